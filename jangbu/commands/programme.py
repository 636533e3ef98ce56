"""`jangbu programme`: pilots with places, a waiting list, a budget and days left."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jangbu.commands.quota import Instant
from jangbu.errors import NotFoundError
from jangbu.importing import Outcome, file_import_options, print_import, refusals, write
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from billing.programmes.programme import Programme
    from jangbu.context import Context

LIST_COLUMNS = ("programme", "name", "starts_on", "ends_on", "state", "places", "budget", "currency")
PEOPLE_COLUMNS = ("user", "department", "state", "number", "since")


@click.group()
def programme() -> None:
    """Programmes (pilots): import, applications, status, people."""


@programme.command("import")
@file_import_options
@click.pass_obj
def programme_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add programmes from a CSV file; a later row of a programme takes the earlier one's place."""
    from billing.programmes.programme import read_programmes
    from billing.programmes.register import held_programmes, write_programmes
    from billing.store import sha256_of

    raw = file.read_bytes()
    with refusals():
        rows = read_programmes(raw, file.name, ctx.policy.currency)

    def work(connection: Connection) -> Outcome[dict[str, int]]:
        held = held_programmes(connection)
        new = [row for row in rows if held.get(row.programme) != row]
        write_programmes(connection, new, name=file.name, sha256=sha256_of(raw), actor=ctx.actor)
        return _outcome(file.name, "programmes", [row.programme in held for row in new], len(rows))

    _finish(ctx, file, work, dry_run=dry_run, yes=yes, as_json=as_json)


@programme.command("apply")
@file_import_options
@click.pass_obj
def programme_apply(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add applications for places, and who left, from a CSV file."""
    from billing.programmes.programme import read_applications
    from billing.programmes.register import held_applications, held_programmes, write_applications
    from billing.store import sha256_of

    raw = file.read_bytes()

    def work(connection: Connection) -> Outcome[dict[str, int]]:
        rows = read_applications(raw, file.name, held_programmes(connection))
        held = held_applications(connection)
        new = [row for row in rows if row not in held]
        known = {(row.programme, row.user, row.applied_at) for row in held}
        write_applications(connection, new, name=file.name, sha256=sha256_of(raw), actor=ctx.actor)
        changed = [(row.programme, row.user, row.applied_at) in known for row in new]
        return _outcome(file.name, "applications", changed, len(rows))

    _finish(ctx, file, work, dry_run=dry_run, yes=yes, as_json=as_json)


@programme.command("list")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def programme_list(ctx: Context, as_json: bool, as_csv: bool) -> None:
    """Every programme with its rules."""
    from billing.programmes.register import held_programmes

    with ctx.engine("reader") as engine, engine.connect() as connection:
        documents = [_document(one, _today(ctx, None)) for _, one in sorted(held_programmes(connection).items())]
    if as_json:
        print_json({"programmes": documents})
        return
    rows = [[one[column] for column in LIST_COLUMNS] for one in documents]
    print_rows(LIST_COLUMNS, rows, as_csv=as_csv, right=("places", "budget"))


@programme.command("status")
@click.argument("name", metavar="PROGRAMME")
@click.option("--at", "moment", type=Instant(), metavar="INSTANT", help="As of an instant (default: now).")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def programme_status(ctx: Context, name: str, moment: datetime | None, as_json: bool) -> None:
    """Places taken and free, who waits, days left, and use against the budget."""
    from billing.money import exact, plain
    from billing.programmes.places import places_of, waiting_at
    from billing.programmes.register import held_applications
    from billing.programmes.use import read_use
    from billing.quotas.looking import read_prices
    from billing.store import snapshot

    moment = moment or datetime.now(UTC)
    with refusals(), ctx.engine("reader") as engine, snapshot(engine) as connection:
        one = _named(connection, name)
        applications = held_applications(connection)
        places = places_of(one, applications)
        use = read_use(connection, one, places, read_prices(connection, ctx.policy.zone), moment)
    taken = sum(1 for place in places if place.holds(moment))
    waiting = waiting_at(one, applications, moment)
    today = _today(ctx, moment)
    with exact():
        remaining = None if one.budget is None else plain(one.budget - use.used)
    document = {
        **_document(one, today),
        "at": moment,
        "taken": taken,
        "free": max(0, one.places - taken),
        "waiting": len(waiting),
        "days_left": max(0, (one.ends_on - max(today, one.starts_on)).days),
        "used": plain(use.used),
        "remaining": remaining,
        "unknown_quantity": str(use.unknown_quantity),
        "users_with_use": use.users,
    }
    if as_json:
        print_json(document)
        return
    for key in ("name", "state", "days_left", "places", "taken", "free", "waiting", "used", "budget", "remaining"):
        click.echo(f"{key}\t{_shown(document[key])}")


@programme.command("people")
@click.argument("name", metavar="PROGRAMME")
@click.option("--at", "moment", type=Instant(), metavar="INSTANT", help="As of an instant (default: now).")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def programme_people(ctx: Context, name: str, moment: datetime | None, as_json: bool, as_csv: bool) -> None:
    """Who has a place since when, and who waits at which number."""
    from billing.programmes.places import places_of, waiting_at
    from billing.programmes.register import held_applications

    moment = moment or datetime.now(UTC)
    with ctx.engine("reader") as engine, engine.connect() as connection:
        one = _named(connection, name)
        applications = held_applications(connection)
    rows: list[dict[str, Any]] = [
        {"user": _person(ctx, place.user), "department": place.department, "state": "placed", "number": None,
         "since": place.since}
        for place in places_of(one, applications)
        if place.holds(moment)
    ]  # fmt: skip
    rows += [
        {"user": _person(ctx, wait.user), "department": wait.department, "state": "waiting", "number": wait.number,
         "since": wait.applied_at}
        for wait in waiting_at(one, applications, moment)
    ]  # fmt: skip
    if as_json:
        print_json({"programme": one.programme, "at": moment, "people": rows})
        return
    print_rows(PEOPLE_COLUMNS, [list(row.values()) for row in rows], as_csv=as_csv, right=("number",))


def _finish(ctx: Context, file: Path, work: Any, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    outcome = write(ctx, work, dry_run=dry_run, yes=yes)
    print_import({"source": file.name, **outcome.result}, outcome, as_json=as_json, dry_run=dry_run)


def _outcome(name: str, what: str, changed: Sequence[bool], rows: int) -> Outcome[dict[str, int]]:
    """`changed`: for each new row, whether it takes an earlier one's place."""
    counts = {"added": changed.count(False), "changed": changed.count(True), "unchanged": rows - len(changed)}
    sentence = (
        f"{name}: {counts['added']} {what} added, {counts['changed']} changed, {counts['unchanged']} as they were"
    )
    return Outcome(counts, bool(changed), sentence)


def _named(connection: Connection, name: str) -> Programme:
    from billing.programmes.register import held_programmes

    found = held_programmes(connection)
    if name not in found:
        known = ", ".join(sorted(found)) or "none yet"
        raise NotFoundError(f"there is no programme {name!r}: known are {known}")
    return found[name]


def _document(one: Programme, today: Any) -> dict[str, Any]:
    from billing.money import plain
    from billing.programmes.programme import state_on

    return {
        "programme": one.programme,
        "name": one.name,
        "starts_on": one.starts_on,
        "ends_on": one.ends_on,
        "state": state_on(one, today),
        "places": one.places,
        "department_places": dict(one.department_places),
        "budget": None if one.budget is None else plain(one.budget),
        "currency": one.currency,
        "models": list(one.models),
        "rules_version": one.rules_version or None,
        "rules": list(one.rules),
    }


def _today(ctx: Context, moment: datetime | None) -> Any:
    from billing.periods import load_zone

    return (moment or datetime.now(UTC)).astimezone(load_zone(ctx.settings.timezone)).date()


def _person(ctx: Context, user: str) -> str:
    return user if ctx.people is None else ctx.people.of("user", user)


def _shown(value: object) -> str:
    from jangbu.output import safe_text

    return "-" if value is None else safe_text(value)
