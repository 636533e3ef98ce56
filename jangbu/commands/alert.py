"""`jangbu alert`: thresholds of quotas that were reached, each kept once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jangbu.commands.quota import Instant, shown_subject
from jangbu.errors import SettingsError, WorkLeftError
from jangbu.importing import refusals
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from datetime import datetime

    from billing.quotas.deliveries import DeliveryState
    from billing.quotas.register import Alert
    from jangbu.context import Context

COLUMNS = (
    "alert", "recorded_at", "scope", "subject", "model", "unit", "window", "window_start", "threshold", "used", "limit",
)  # fmt: skip
DELIVERY_COLUMNS = ("delivery", "alert", "recipient", "state", "attempts", "next_at", "last_error", "sent_at")


@click.group()
def alert() -> None:
    """Alerts of quotas: what was reached, who was told, looking and sending by hand."""


@alert.command("list")
@click.option("--after", "after_id", type=click.IntRange(0), default=0, metavar="ID", help="Only those after this one.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def alert_list(ctx: Context, after_id: int, as_json: bool, as_csv: bool) -> None:
    """The thresholds that were reached, in the order in which they were found."""
    from billing.quotas.register import read_alerts

    with ctx.engine("reader") as engine, engine.connect() as connection:
        documents = [shown_subject(ctx.people, _document(one)) for one in read_alerts(connection, after_id=after_id)]
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


@alert.command("deliveries")
@click.option("--state", type=click.Choice(["waiting", "sent", "dead"]), help="Only those in a state.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def alert_deliveries(ctx: Context, state: str | None, as_json: bool, as_csv: bool) -> None:
    """To whom alerts went, what still waits and why, and what was given up."""
    from billing.quotas.deliveries import read_deliveries

    with ctx.engine("reader") as engine, engine.connect() as connection:
        documents = [_delivery_document(one) for one in read_deliveries(connection, state)]
    if as_json:
        print_json({"deliveries": documents})
        return
    print_rows(DELIVERY_COLUMNS, [[one[column] for column in DELIVERY_COLUMNS] for one in documents], as_csv=as_csv)


@alert.command("deliver")
@click.option("--retry-dead", is_flag=True, help="Also those that were given up.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def alert_deliver(ctx: Context, retry_dead: bool, as_json: bool) -> None:
    """Send what is due, once (`up` does so each second). Exit 6 where something was not taken."""
    from billing.quotas import deliveries
    from jangbu.alerting import deliver_due
    from jangbu.sending import senders_of

    with ctx.engine("billing") as engine:
        if retry_dead:
            with engine.begin() as connection:
                deliveries.retry_dead(connection)
        taken = deliver_due(engine, senders_of(ctx.settings, ctx.people))
        with engine.connect() as connection:
            left = [one for one in deliveries.read_deliveries(connection) if one.state != "sent"]
    if as_json:
        print_json({"sent": taken, "left": [_delivery_document(one) for one in left]})
    else:
        click.echo(f"{taken} sent, {len(left)} left")
    if left:
        raise WorkLeftError(f"{len(left)} deliveries are not taken: `jangbu alert deliveries` says why")


@alert.command("test")
@click.argument("recipient")
@click.pass_obj
def alert_test(ctx: Context, recipient: str) -> None:
    """Send a made-up alert to a mail address, slack:https://… or https://…, to see that it arrives."""
    from jangbu.sending import NotTaken, senders_of, trial

    try:
        senders_of(ctx.settings, ctx.people).send(trial(recipient))
    except NotTaken as error:
        raise SettingsError(f"the trial was not taken: {error}") from error
    click.echo("the trial was taken")


def _delivery_document(one: DeliveryState) -> dict[str, Any]:
    from billing.quotas.recipients import parse_recipient

    return {
        "delivery": one.id,
        "alert": one.alert_id,
        "recipient": parse_recipient(one.recipient).shown,
        "state": one.state,
        "attempts": one.attempts,
        "next_at": one.next_at if one.state == "waiting" else None,
        "last_error": one.last_error,
        "sent_at": one.sent_at,
    }


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
