"""`jangbu alert`: thresholds of quotas that were reached, each kept once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jangbu.commands.quota import Instant
from jangbu.importing import refusals
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from datetime import datetime

    from billing.quotas.register import Alert
    from jangbu.context import Context

COLUMNS = (
    "alert", "recorded_at", "scope", "subject", "model", "unit", "window", "window_start", "threshold", "used", "limit",
)  # fmt: skip


@click.group()
def alert() -> None:
    """Alerts of quotas: list them, or look for what is due."""


@alert.command("list")
@click.option("--after", "after_id", type=click.IntRange(0), default=0, metavar="ID", help="Only those after this one.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def alert_list(ctx: Context, after_id: int, as_json: bool, as_csv: bool) -> None:
    """The thresholds that were reached, in the order in which they were found."""
    from billing.quotas.register import read_alerts

    with ctx.engine("reader") as engine, engine.connect() as connection:
        documents = [_document(one) for one in read_alerts(connection, after_id=after_id)]
    if as_json:
        print_json({"alerts": documents})
        return
    rows = [[one[column] for column in COLUMNS] for one in documents]
    print_rows(COLUMNS, rows, as_csv=as_csv, right=("threshold", "used", "limit"))


@alert.command("check")
@click.option("--at", "moment", type=Instant(), metavar="INSTANT", help="As of an instant (default: now).")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def alert_check(ctx: Context, moment: datetime | None, as_json: bool) -> None:
    """Look at every quota once and keep the thresholds that are newly reached (`up` does so each second)."""
    from jangbu.alerting import look_once

    with refusals(), ctx.engine("billing") as engine:
        new = look_once(engine, ctx.policy.zone, moment)
    if as_json:
        print_json({"looked": new is not None, "new": new or []})
    elif new is None:
        click.echo("another process is looking at the quotas: nothing to do")
    else:
        click.echo(f"{len(new)} new alert{'' if len(new) == 1 else 's'}")


def _document(one: Alert) -> dict[str, Any]:
    from billing.money import plain
    from billing.periods import hour_start

    return {
        "alert": one.id,
        "quota": one.quota,
        "scope": one.scope,
        "subject": one.subject or None,
        "model": one.model or None,
        "unit": one.unit,
        "window": one.window,
        "window_start": hour_start(one.window_hour),
        "threshold": plain(one.threshold),
        "used": plain(one.used),
        "limit": plain(one.limit),
        "recorded_at": one.recorded_at,
        "notify": list(one.notify),
    }
