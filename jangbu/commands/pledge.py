"""`jangbu pledge`: who signed which version of the pledge when, and who has to sign."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jangbu.importing import Outcome, file_import_options, print_import, write
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from jangbu.context import Context

COLUMNS = ("user", "department", "state", "version", "signed_on", "ends_on")


class Day(click.ParamType):
    """A day, YYYY-MM-DD."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The day."""
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day: write it as YYYY-MM-DD", param, ctx)


@click.group()
def pledge() -> None:
    """The pledge: import signatures, list who has to sign."""


@pledge.command("import")
@file_import_options
@click.pass_obj
def pledge_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add signatures from a CSV file; what is known already is left as it is."""
    from jangbu.register_imports import import_signatures

    raw, today = file.read_bytes(), ctx.today

    def work(connection: Connection) -> Outcome[dict[str, Any]]:
        return import_signatures(connection, raw, file.name, ctx.actor, today)

    outcome = write(ctx, work, dry_run=dry_run, yes=yes)
    print_import(outcome.result, outcome, as_json=as_json, dry_run=dry_run)


@pledge.command("list")
@click.option("--at", "day", type=Day(), metavar="DAY", help="On a day of the organisation's zone (default: today).")
@click.option("--state", metavar="STATE[,...]", help="Only some: signed, expiring, expired, outdated, unsigned.")
@click.option("--department", help="Only a department's people.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def pledge_list(
    ctx: Context, day: date | None, state: str | None, department: str | None, as_json: bool, as_csv: bool
) -> None:
    """Everybody whom the roster knows, with the signature that decides."""
    from billing.pledges.documents import pledges_document
    from billing.pledges.pledge import STATES, PledgeRules
    from billing.store import snapshot

    wanted = {word.strip() for word in state.split(",")} if state else set(STATES)
    if unknown := wanted - set(STATES):
        raise click.BadParameter(f"{min(unknown)!r} is no state: use {', '.join(STATES)}", param_hint="--state")
    rules = PledgeRules(ctx.settings.pledge_version, ctx.settings.pledge_valid_days)
    only = None if department is None else {department}
    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        document = pledges_document(
            connection, rules, ctx.settings.timezone, day or ctx.today, departments=only, states=wanted,
            people=ctx.people,
        )  # fmt: skip
    if as_json:
        print_json(document)
        return
    print_rows(COLUMNS, [[one[column] for column in COLUMNS] for one in document["people"]], as_csv=as_csv)
