"""`jangbu alert`: what was due, who was told, looking and sending by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jangbu.commands.quota import Instant
from jangbu.errors import SettingsError, WorkLeftError
from jangbu.importing import refusals
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from datetime import datetime

    from jangbu.context import Context

KINDS = ("threshold", "projected", "budget", "spike", "new_model", "unpriced", "late", "silent", "invoice", "break",
         "pledge", "place")  # fmt: skip
"""As `billing.alerts.alert.KINDS`, without importing it for every command."""
COLUMNS = (
    "alert", "recorded_at", "kind", "severity", "scope", "subject", "model", "unit", "window", "window_start",
    "threshold", "used", "limit", "recipients",
)  # fmt: skip
DELIVERY_COLUMNS = ("delivery", "alert", "recipient", "state", "attempts", "next_at", "last_error", "sent_at")


@click.group()
def alert() -> None:
    """Alerts: what was due, who was told, silences, looking and sending by hand."""


@alert.command("list")
@click.option("--after", "after_id", type=click.IntRange(0), default=0, metavar="ID", help="Only those after this one.")
@click.option("--kind", type=click.Choice(KINDS), help="Only one kind.")
@click.option("--severity", type=click.Choice(["info", "warning", "critical"]), help="Only those that grave.")
@click.option("--department", help="Only what a department's people hear of.")
@click.option("--quota", type=click.IntRange(1), metavar="ID", help="Only a quota's.")
@click.option("--since", type=Instant(), metavar="INSTANT", help="Only those found since then.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def alert_list(
    ctx: Context,
    after_id: int,
    kind: str | None,
    severity: str | None,
    department: str | None,
    quota: int | None,
    since: datetime | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """What was due, each once, in the order in which it was found."""
    from billing.alerts.documents import alert_document
    from billing.alerts.register import Wanted, count_deliveries, read_alerts

    wanted = Wanted(after_id, kind, severity, department, quota, since)
    with ctx.engine("reader") as engine, engine.connect() as connection:
        found = read_alerts(connection, wanted)
        told = count_deliveries(connection, [one.id for one in found])
        documents = [{**alert_document(one, ctx.people), "recipients": told.get(one.id, 0)} for one in found]
    if as_json:
        print_json({"alerts": documents})
        return
    rows = [[one[column] for column in COLUMNS] for one in documents]
    print_rows(COLUMNS, rows, as_csv=as_csv, right=("threshold", "used", "limit", "recipients"))


@alert.command("check")
@click.option("--at", "moment", type=Instant(), metavar="INSTANT", help="As of an instant (default: now).")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def alert_check(ctx: Context, moment: datetime | None, as_json: bool) -> None:
    """Look at everything once and keep what is newly due (`up` does so each second)."""
    from jangbu.alerting import look_around_once, look_once, watch_of

    with refusals(), ctx.engine("billing") as engine:
        watch = watch_of(ctx.settings)
        new = look_once(engine, ctx.policy.zone, moment, watch)
        around = look_around_once(engine, watch, moment)
        if new is not None:
            new += around or []
    if as_json:
        print_json({"looked": new is not None, "new": new or []})
    elif new is None:
        click.echo("another process is looking: nothing to do")
    else:
        click.echo(f"{len(new)} new alert{'' if len(new) == 1 else 's'}")


@alert.command("deliveries")
@click.option("--state", type=click.Choice(["waiting", "sent", "dead"]), help="Only those in a state.")
@click.option("--alert", "alert_id", type=click.IntRange(1), metavar="ID", help="Only those of one alert.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def alert_deliveries(ctx: Context, state: str | None, alert_id: int | None, as_json: bool, as_csv: bool) -> None:
    """To whom alerts went, what still waits and why, and what was given up."""
    from billing.alerts.deliveries import read_deliveries
    from billing.alerts.documents import delivery_document

    with ctx.engine("reader") as engine, engine.connect() as connection:
        documents = [delivery_document(one) for one in read_deliveries(connection, state, alert_id)]
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
    from billing.alerts import deliveries
    from billing.alerts.documents import delivery_document
    from jangbu.alerting import deliver_due, watch_of
    from jangbu.sending import senders_of

    with ctx.engine("billing") as engine:
        if retry_dead:
            with engine.begin() as connection:
                deliveries.send_again(connection)
        taken = deliver_due(engine, senders_of(ctx.settings, ctx.people), watch=watch_of(ctx.settings))
        with engine.connect() as connection:
            left = [one for one in deliveries.read_deliveries(connection) if one.state != "sent"]
    if as_json:
        print_json({"sent": taken, "left": [delivery_document(one) for one in left]})
    else:
        click.echo(f"{taken} sent, {len(left)} left")
    if left:
        raise WorkLeftError(f"{len(left)} deliveries are not taken: `jangbu alert deliveries` says why")


@alert.command("resend")
@click.argument("deliveries", nargs=-1, metavar="[DELIVERY]...")
@click.option("--dead", is_flag=True, help="All that were given up.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def alert_resend(ctx: Context, deliveries: tuple[str, ...], dead: bool, as_json: bool) -> None:
    """Let deliveries that were given up, or wait, be tried at once, under their ids. What was sent stays sent."""
    from billing.alerts.deliveries import send_again
    from jangbu.errors import NotFoundError

    if bool(deliveries) == dead:
        raise click.UsageError("name deliveries (`jangbu alert deliveries --state dead` lists them), or say --dead")
    with ctx.engine("billing") as engine, engine.begin() as connection:
        again = send_again(connection, None if dead else deliveries)
    missing = sorted(set(deliveries) - set(again))
    if missing:
        raise NotFoundError(f"no delivery {missing[0]!r} waits or was given up: `jangbu alert deliveries` lists them")
    if as_json:
        print_json({"again": again})
    else:
        click.echo(f"{len(again)} will be tried again")


@alert.command("silence")
@click.option("--kind", type=click.Choice(KINDS), help="Alerts of one kind.")
@click.option("--quota", type=click.IntRange(1), metavar="ID", help="A quota's.")
@click.option("--department", help="A department's.")
@click.option("--until", type=Instant(), metavar="INSTANT", help="Until when.")
@click.option("--lift", type=click.IntRange(1), metavar="ID", help="End a silence instead.")
@click.option("--reason", required=True, help="Why; it is kept.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def alert_silence(
    ctx: Context,
    kind: str | None,
    quota: int | None,
    department: str | None,
    until: datetime | None,
    lift: int | None,
    reason: str,
    as_json: bool,
) -> None:
    """Let nobody be told of some alerts for a while. They are kept all the same, and listed as silenced."""
    from datetime import UTC
    from datetime import datetime as clock

    from billing.alerts.silences import add_silence, lift_silence

    if (lift is None) == (until is None) or (lift is not None and (kind or quota or department)):
        raise click.UsageError("name a kind, a quota or a department and --until, or a silence to --lift")
    with refusals(), ctx.engine("billing") as engine, engine.begin() as connection:
        if lift is not None:
            made = lift_silence(connection, lift, reason=reason, actor=ctx.actor)
        else:
            assert until is not None
            made = add_silence(
                connection, kind=kind, quota=quota, department=department, until=until, reason=reason, actor=ctx.actor,
                moment=clock.now(UTC),
            )  # fmt: skip
    if as_json:
        print_json({"silence": made, "lifts": lift})
    else:
        click.echo(f"silence {made}" if lift is None else f"silence {lift} is lifted")


@alert.command("silences")
@click.option("--all", "everything", is_flag=True, help="Also those that have passed or were lifted.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def alert_silences(ctx: Context, everything: bool, as_json: bool, as_csv: bool) -> None:
    """What nobody is told about now, until when, why, and who said so."""
    from datetime import UTC
    from datetime import datetime as clock

    from billing.alerts.silences import Silence, read_silences

    with ctx.engine("reader") as engine, engine.connect() as connection:
        found = [one for one in read_silences(connection) if everything or one.holds(clock.now(UTC))]
    if as_json:
        print_json({"silences": [one._asdict() for one in found]})
        return
    print_rows(Silence._fields, [list(one) for one in found], as_csv=as_csv)


@alert.command("test")
@click.argument("recipient")
@click.pass_obj
def alert_test(ctx: Context, recipient: str) -> None:
    """Send a made-up alert to a mail address, slack:https://…, https://… or command:NAME, to see that it arrives."""
    from jangbu.sending import NotTaken, senders_of, trial

    try:
        with senders_of(ctx.settings, ctx.people) as senders:
            senders.send(trial(recipient))
    except NotTaken as error:
        raise SettingsError(f"the trial was not taken: {error}") from error
    click.echo("the trial was taken")
