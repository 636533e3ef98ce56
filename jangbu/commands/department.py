"""`jangbu department`: what departments are called, where they belong and who leads them, and when."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jangbu.errors import UsageError
from jangbu.importing import file_import_options, print_import, write
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from datetime import datetime

    from jangbu.context import Context



@click.group()
def department() -> None:
    """The register of departments: import, list."""


@department.command("import")
@file_import_options
@click.pass_obj
def department_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add departments, and what changes about them, from a CSV file. Rows are never overwritten."""
    from jangbu.department_imports import import_departments

    raw, zone = file.read_bytes(), ctx.settings.timezone
    outcome = write(
        ctx, lambda connection: import_departments(connection, raw, file.name, ctx.actor, zone), dry_run=dry_run,
        yes=yes,
    )  # fmt: skip
    print_import(outcome.result, outcome, as_json=as_json, dry_run=dry_run)


@department.command("list")
@click.option("--at", "at_day", metavar="DAY", help="Those in force when this day begins, in the organisation's zone.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def department_list(ctx: Context, at_day: str | None, as_json: bool, as_csv: bool) -> None:
    """The register as it stands: each row with the moment at which it really ends."""
    from billing.plans.departments import Department, terms_of
    from billing.plans.registers import held_departments

    moment = None if at_day is None else _day_start(at_day, ctx.settings.timezone)
    with ctx.engine("reader") as engine, engine.connect() as connection:
        terms = terms_of(held_departments(connection))
    rows = [term.row._replace(valid_to=term.end) for term in terms if moment is None or term.holds(moment)]
    if as_json:
        print_json({"departments": [row._asdict() for row in rows]})
    else:
        print_rows(Department._fields, rows, as_csv=as_csv)


def _day_start(text: str, zone: str) -> datetime:
    from billing.csv_file import CellError
    from billing.roster import parse_moment

    try:
        moment = parse_moment("--at", text, zone) if len(text) == 10 else None
    except CellError as error:
        raise UsageError(str(error)) from error
    if moment is None:
        raise UsageError(f"--at is {text!r}: write a day, as in 2026-10-15")
    return moment
