"""`jangbu migrate`, `doctor` and `audit`: the state of an installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jangbu.errors import LawViolatedError, SettingsError
from jangbu.output import print_json, print_rows
from jangbu.settings_kafka import set_broker

if TYPE_CHECKING:
    from jangbu.context import Context
    from jangbu.services import Endpoints
    from jangbu.settings import Settings
    from producers.broker_access import BrokerAccess

SHOWN_MAX = 5


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def migrate(ctx: Context, as_json: bool) -> None:
    """Bring the database to the newest schema and make the topic where it does not exist."""
    from jangbu.migrate import migrate_database
    from producers.topic import make_topic

    settings = ctx.settings
    with ctx.services() as endpoints:
        revision = migrate_database(endpoints.database_url)
    made = None
    broker = set_broker(settings)
    if broker is not None:
        made = make_topic(broker, settings.topic, settings.partitions, settings.retention_ms)
    if as_json:
        print_json({"schema": revision, "topic": settings.topic, "topic_made": made})
        return
    click.echo(f"database: schema {revision}")
    told = {
        None: "made by `jangbu up` (embedded broker)",
        True: f"made, {settings.partitions} partitions",
        False: "there",
    }
    click.echo(f"topic {settings.topic}: {told[made]}")


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def doctor(ctx: Context, as_json: bool) -> None:
    """Every setting with its origin (secrets redacted), what runs, and what to look at (exit 3 if something fails)."""
    from jangbu.services import describe
    from jangbu.settings import explain, warnings_of

    settings = ctx.settings
    warnings = warnings_of(settings, ctx.environ)
    shown = explain(settings)
    state = describe(settings)
    running = {name: entry["state"] for name, entry in state["services"].items()}
    problems = _problems(ctx)
    if as_json:
        print_json(
            {
                "settings": [{"name": name, "value": value, "origin": origin} for name, value, origin in shown],
                "running": running,
                "warnings": warnings,
                "problems": problems,
            }
        )
    else:
        print_rows(("setting", "value", "from"), shown)
        click.echo(f"embedded services running: {', '.join(sorted(running)) or 'none'}")
        for warning in warnings:
            click.echo(f"warning: {warning}")
        for problem in problems:
            click.echo(f"problem: {problem}")
    if problems:
        raise SettingsError(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}: see above")


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def audit(ctx: Context, as_json: bool) -> None:
    """Check the laws of the books; exit 7 if one is violated.

    First takes out copies of one event that came with times in different hours: they go to quarantine.
    """
    from dataclasses import asdict

    from jangbu.auditing import audit as check
    from jangbu.auditing import take_out_copies
    from jangbu.context import engine_for

    with ctx.services() as endpoints:
        with engine_for(endpoints, "billing") as engine:
            taken_out = take_out_copies(engine)
        with engine_for(endpoints, "reader") as engine:
            results = check(ctx.settings, engine)
    broken = [result for result in results if result.violations]
    if as_json:
        laws = [asdict(result) for result in results]
        print_json({"ok": not broken, "laws": laws, "copies_taken_out": taken_out})
    else:
        print_rows(
            ("law", "checked", "violations"),
            [(r.law, r.checked, len(r.violations)) for r in results],
            right=("checked", "violations"),
        )
        for result in broken:
            for sentence in result.violations[:SHOWN_MAX]:
                click.echo(f"{result.law}: {sentence}", err=True)
        for result in results:
            for sentence in result.not_judged:
                click.echo(f"{result.law}: not judged: {sentence}", err=True)
        if taken_out:
            click.echo(f"{taken_out} copies with another time were taken out: see `jangbu quarantine list`", err=True)
    if broken:
        raise LawViolatedError(f"{len(broken)} of {len(results)} laws are violated: {', '.join(r.law for r in broken)}")


def _problems(ctx: Context) -> list[str]:
    """What does not work, a sentence each."""
    from jangbu.context import connection_sentence
    from jangbu.errors import JangbuError

    found = _sign_in_problems(ctx.settings)
    try:
        with ctx.services() as endpoints:
            found += _database_problems(endpoints)
            broker = set_broker(ctx.settings)
            if broker is not None:
                found += _topic_problems(broker, ctx.settings.topic)
    except JangbuError as error:
        found.append(str(error))
    except Exception as error:
        sentence = connection_sentence(error)
        if sentence is None:
            raise
        found.append(sentence)
    return found


def _sign_in_problems(settings: Settings) -> list[str]:
    """Contradictions of the sign-in's settings, and whether the OpenID provider answers as one."""
    from jangbu.settings_sign_in import sign_in_contradictions
    from jangbu.web.signin.oidc import ProviderAway, provider_of

    found = sign_in_contradictions(settings)
    provider = provider_of(settings)
    if provider is not None:
        try:
            provider.check()
        except ProviderAway as error:
            found.append(f"{error}; nobody can sign in by it")
    return found


def _database_problems(endpoints: Endpoints) -> list[str]:
    from jangbu.context import engine_for

    found = []
    for role in ("owner", "worker", "billing", "reader"):
        try:
            with engine_for(endpoints, role):
                pass
        except SettingsError as error:
            return [str(error)]
        except Exception as error:
            from jangbu.context import connection_sentence

            sentence = connection_sentence(error)
            if sentence is None:
                raise
            found.append(f"as {role}: {sentence}")
    return found


def _topic_problems(broker: BrokerAccess, topic: str) -> list[str]:
    from producers.topic import TopicMissing, describe_log

    try:
        describe_log(broker, topic)
    except TopicMissing as missing:
        return [str(missing)]
    return []
