"""`jangbu quarantine`: records that were no event, or contradicted one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jangbu.errors import NotFoundError, UsageError
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from jangbu.context import Context

COLUMNS = ("id", "state", "code", "field", "value", "reason", "partition", "offset", "record_time", "found_at")
STATES = click.Choice(["open", "redriven", "dismissed", "all"])


@click.group()
def quarantine() -> None:
    """Records that were no event, or contradicted one: list, redrive."""


@quarantine.command("list")
@click.option("--state", type=STATES, default="open", show_default=True)
@click.option("--code", help="One kind of reason only, such as conflict or far_future.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def quarantine_list(ctx: Context, state: str, code: str | None, as_json: bool, as_csv: bool) -> None:
    """What is in quarantine and why, oldest first."""
    from sqlalchemy import text

    with ctx.engine("reader") as engine, engine.connect() as connection:
        rows = connection.execute(
            text(
                "select id, state, code, field, value, reason, partition, kafka_offset, record_time, found_at"
                " from quarantine where (:state = 'all' or state = :state)"
                " and (cast(:code as text) is null or code = :code) order by id"
            ),
            {"state": state, "code": code},
        ).fetchall()
    if as_json:
        print_json({"quarantine": [dict(zip(COLUMNS, row, strict=True)) for row in rows]})
    else:
        print_rows(COLUMNS, rows, as_csv=as_csv, right=("id", "partition", "offset"))


@quarantine.command("redrive")
@click.option("--id", "ids", type=int, multiple=True, help="One record; may be given again. Default: all open ones.")
@click.option("--code", help="All open ones of one kind.")
@click.option("--dry-run", is_flag=True, help="Count; send nothing.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def redrive(ctx: Context, ids: tuple[int, ...], code: str | None, dry_run: bool, as_json: bool) -> None:
    """Send open records again, as they were and with their own timestamps, after what was wrong has been mended.

    What is still wrong comes back as a new quarantine entry; what was stored meanwhile counts as a duplicate.
    """
    from jangbu.redriving import redrive_open

    with ctx.engine("billing") as engine:
        sent = redrive_open(ctx.settings, engine, ids, code, ctx.actor, dry_run=dry_run)
    if ids and not sent:
        raise NotFoundError(f"no open quarantine entry among {', '.join(map(str, ids))}: see `jangbu quarantine list`")
    if as_json:
        print_json({"dry_run": dry_run, "redriven": sent})
    else:
        verb = "would be sent" if dry_run else "accepted into the outbox and sent"
        click.echo(f"{len(sent)} records {verb} again")


@quarantine.command("accept-lost")
@click.option("--partition", required=True, type=click.IntRange(min=0))
@click.option("--to", "to_offset", required=True, type=click.IntRange(min=1), help="The first offset that Kafka holds.")
@click.option("--reason", required=True, help="Why the records are gone for good; kept with your name.")
@click.pass_obj
def quarantine_accept_lost(ctx: Context, partition: int, to_offset: int, reason: str) -> None:
    """Go on without records that Kafka removed before they were read. They stay listed as lost."""
    import psycopg

    from jangbu.commands.run import topic_log
    from streams.offsets import accept_lost, register_log

    with ctx.services(kafka=True) as endpoints, psycopg.connect(endpoints.database_url, autocommit=True) as connection:
        log_id = register_log(connection, topic_log(ctx.settings, endpoints))
        try:
            lost = accept_lost(connection, log_id, partition, to_offset, reason, ctx.actor)
        except ValueError as error:
            raise UsageError(str(error)) from None
    click.echo(f"partition {partition}: {lost} offsets are accepted as lost; reading goes on at {to_offset}")
