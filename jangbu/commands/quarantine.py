"""`jangbu quarantine`: records that were no event, or contradicted one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jangbu.errors import UsageError
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from jangbu.context import Context
    from jangbu.quarantine_decisions import Decision

COLUMNS = ("id", "state", "code", "field", "value", "reason", "partition", "offset", "record_time", "found_at")
DECIDED = ("decided_at", "decided_by", "decision_reason")
"""Beside them where something has been decided: always in JSON and CSV, in a table for entries that are not open."""
NUMBER = click.IntRange(min=1, max=2**63 - 1)
STATES = click.Choice(["open", "redriven", "dismissed", "all"])


@click.group()
def quarantine() -> None:
    """Records that were no event, or contradicted one: list, redrive, dismiss, reopen."""


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
                "select id, state, code, field, value, reason, partition, kafka_offset, record_time, found_at,"
                " q.decided_at, q.decided_by, (select d.reason from quarantine_decision d"
                "  where d.quarantine_id = q.id and q.state <> 'redriven' order by d.id desc limit 1)"
                " from quarantine q where (:state = 'all' or state = :state)"
                " and (cast(:code as text) is null or code = :code) order by id"
            ),
            {"state": state, "code": code},
        ).fetchall()
    columns = (*COLUMNS, *DECIDED) if as_json or as_csv or state != "open" else COLUMNS
    if as_json:
        print_json({"quarantine": [dict(zip(columns, row, strict=True)) for row in rows]})
    else:
        print_rows(columns, [row[: len(columns)] for row in rows], as_csv=as_csv, right=("id", "partition", "offset"))


@quarantine.command("redrive")
@click.option("--id", "ids", type=NUMBER, multiple=True, help="One record; may be given again. Default: all open ones.")
@click.option("--code", help="All open ones of one kind.")
@click.option("--dry-run", is_flag=True, help="Count; send nothing.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def redrive(ctx: Context, ids: tuple[int, ...], code: str | None, dry_run: bool, as_json: bool) -> None:
    """Send open records again, as they were and with their own timestamps, after what was wrong has been mended.

    What is still wrong comes back as a new quarantine entry; what was stored meanwhile counts as a duplicate. What was
    dismissed is not sent: reopen it first.
    """
    from jangbu.redriving import redrive_open

    with ctx.engine("billing") as engine:
        sent = redrive_open(ctx.settings, engine, ids, code, ctx.actor, dry_run=dry_run)
    if as_json:
        print_json({"dry_run": dry_run, "redriven": sent})
    else:
        verb = "would be sent" if dry_run else "accepted into the outbox and sent"
        click.echo(f"{len(sent)} records {verb} again")


def decision_options(command: Callable[..., None]) -> Callable[..., None]:
    """What a decision about entries is given: which, why, and whether it is only tried."""
    for option in (
        click.option("--json", "as_json", is_flag=True),
        click.option("--dry-run", is_flag=True, help="Say which; write nothing."),
        click.option("--reason", required=True, help="Why; kept with your name and the time."),
        click.option("--code", help="All of one kind, as `quarantine list --code` shows them."),
        click.argument("ids", metavar="[ID]...", nargs=-1, type=NUMBER),
    ):
        command = option(command)
    return command


@quarantine.command("dismiss")
@decision_options
@click.pass_obj
def dismiss(ctx: Context, ids: tuple[int, ...], code: str | None, reason: str, dry_run: bool, as_json: bool) -> None:
    """Decide that open records are not to be counted. They stay on record, and stop no close any more."""
    _decide(ctx, "dismissed", ids, code, reason, dry_run=dry_run, as_json=as_json)


@quarantine.command("reopen")
@decision_options
@click.pass_obj
def reopen(ctx: Context, ids: tuple[int, ...], code: str | None, reason: str, dry_run: bool, as_json: bool) -> None:
    """Take dismissed records back: they are open again, and can be sent again."""
    _decide(ctx, "reopened", ids, code, reason, dry_run=dry_run, as_json=as_json)


def _decide(
    ctx: Context,
    decision: Decision,
    ids: tuple[int, ...],
    code: str | None,
    reason: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    from jangbu.quarantine_decisions import decide

    with ctx.engine("billing") as engine, engine.connect() as connection:
        numbers = decide(connection, decision, ids, code, reason, ctx.actor)
        if dry_run:
            connection.rollback()
        else:
            connection.commit()
    if as_json:
        print_json({"dry_run": dry_run, decision: numbers, "reason": reason.strip()})
    else:
        named = ", ".join(map(str, numbers))
        what = "1 record" if len(numbers) == 1 else f"{len(numbers)} records"
        click.echo(f"{what} {'would be ' if dry_run else ''}{decision}: {named}")


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
