"""`jangbu programme`: pilots with places, a waiting list, a budget and days left."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jangbu.commands.quota import Instant
from jangbu.errors import NotFoundError
from jangbu.importing import file_import_options, print_import, refusals, write
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from billing.programmes.programme import Programme
    from jangbu.context import Context

LIST_COLUMNS = ("programme", "name", "starts_on", "ends_on", "state", "places", "budget", "currency")
PEOPLE_COLUMNS = ("user", "department", "state", "number", "since", "in_roster")


@click.group()
def programme() -> None:
    """Programmes (pilots): import, applications, status, people."""


@programme.command("import")
@file_import_options
@click.pass_obj
def programme_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add programmes from a CSV file; a later row of a programme takes the earlier one's place."""
    from jangbu.register_imports import import_programmes

    raw, currency = file.read_bytes(), ctx.policy.currency
    outcome = write(
        ctx, lambda connection: import_programmes(connection, raw, file.name, ctx.actor, currency), dry_run=dry_run,
        yes=yes,
    )  # fmt: skip
    print_import(outcome.result, outcome, as_json=as_json, dry_run=dry_run)


@programme.command("apply")
@file_import_options
@click.pass_obj
def programme_apply(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add applications for places, and who left, from a CSV file."""
    from jangbu.register_imports import import_applications

    raw = file.read_bytes()
    outcome = write(
        ctx, lambda connection: import_applications(connection, raw, file.name, ctx.actor), dry_run=dry_run, yes=yes
    )
    print_import(outcome.result, outcome, as_json=as_json, dry_run=dry_run)


@programme.command("list")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def programme_list(ctx: Context, as_json: bool, as_csv: bool) -> None:
    """Every programme with its rules."""
    from billing.programmes.documents import programme_document
    from billing.programmes.register import held_programmes

    with ctx.engine("reader") as engine, engine.connect() as connection:
        documents = [programme_document(one, ctx.today) for _, one in sorted(held_programmes(connection).items())]
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
    from billing.programmes.documents import programme_status as status_document
    from billing.programmes.register import held_applications
    from billing.quotas.looking import read_prices
    from billing.store import snapshot

    with refusals(), ctx.engine("reader") as engine, snapshot(engine) as connection:
        prices = read_prices(connection, ctx.policy.zone)
        document = status_document(
            connection, _named(connection, name), held_applications(connection), prices, moment or datetime.now(UTC)
        )
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
    from billing.pledges.register import members
    from billing.programmes.documents import programme_people as people_documents
    from billing.programmes.register import held_applications

    moment = moment or datetime.now(UTC)
    with ctx.engine("reader") as engine, engine.connect() as connection:
        one = _named(connection, name)
        known = members(connection, moment) or None
        rows = people_documents(one, held_applications(connection), moment, ctx.people, known)
    if as_json:
        print_json({"programme": one.programme, "at": moment, "people": rows})
        return
    print_rows(PEOPLE_COLUMNS, [list(row.values()) for row in rows], as_csv=as_csv, right=("number",))


def _named(connection: Connection, name: str) -> Programme:
    from billing.programmes.register import held_programmes

    found = held_programmes(connection)
    if name not in found:
        known = ", ".join(sorted(found)) or "none yet"
        raise NotFoundError(f"there is no programme {name!r}: known are {known}")
    return found[name]


def _shown(value: object) -> str:
    from jangbu.output import safe_text

    return "-" if value is None else safe_text(value)
