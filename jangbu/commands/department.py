"""`jangbu department`: what departments are called, where they belong and who leads them, and when."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jangbu.errors import UsageError
from jangbu.importing import Outcome, file_import_options, print_import, refusals, write
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from billing.plans.departments import Department, DepartmentChanges
    from jangbu.context import Context

DIFF_LINES_MAX = 20


@click.group()
def department() -> None:
    """The register of departments: import, list."""


@department.command("import")
@file_import_options
@click.pass_obj
def department_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add departments, and what changes about them, from a CSV file. Rows are never overwritten."""
    from billing.plans.departments import changes, ends_of, read_departments, terms_of
    from billing.plans.registers import held_departments, left_behind, lock_registers, write_departments
    from billing.store import sha256_of

    raw = file.read_bytes()
    with refusals():
        lines = read_departments(raw, file.name, ctx.settings.timezone)

    def work(connection: Connection) -> Outcome[tuple[DepartmentChanges, dict[str, int]]]:
        lock_registers(connection)
        found = changes(held_departments(connection), lines, file.name)
        write_departments(connection, found.new_rows, name=file.name, sha256=sha256_of(raw), actor=ctx.actor)
        sentence = (
            f"{file.name}: {len(found.added)} departments added, {len(found.changed)} changed, "
            f"{found.unchanged} as they were"
        )
        behind = left_behind(connection, ends_of(terms_of(held_departments(connection))))
        warned = [
            f"{count} memberships still lead to {code} after its end: move them with `jangbu roster import`"
            for code, count in behind.items()
        ]
        details = tuple([*warned, *_difference(found)][:DIFF_LINES_MAX])
        return Outcome((found, behind), bool(found.new_rows), sentence, details)

    outcome = write(ctx, work, dry_run=dry_run, yes=yes)
    found, behind = outcome.result
    document = {
        "source": file.name,
        "added": len(found.added),
        "changed": len(found.changed),
        "unchanged": found.unchanged,
        "changes": [
            {"department": after.department, "valid_from": after.valid_from, "from": before, "to": to}
            for old, after in found.changed
            for before, to in [_changed_cells(old, after)]
        ],
        "left_behind": [{"department": code, "memberships": count} for code, count in behind.items()],
    }
    print_import(document, outcome, as_json=as_json, dry_run=dry_run)


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


def _difference(found: DepartmentChanges) -> list[str]:
    added = [f"+ {row.department} {row.name}, from {row.valid_from:%Y-%m-%dT%H:%MZ}" for row in found.added]
    changed = []
    for old, after in found.changed:
        before, to = _changed_cells(old, after)
        cells = ", ".join(f"{column} {before[column] or '(empty)'} -> {to[column] or '(empty)'}" for column in to)
        changed.append(f"~ {after.department}: {cells}")
    return added + changed


def _changed_cells(old: Department, after: Department) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """The cells of a row that differ, before and after, as text."""
    before, to = ({column: _text(cell) for column, cell in row._asdict().items()} for row in (old, after))
    names = [column for column in to if before[column] != to[column]]
    return {column: before[column] for column in names}, {column: to[column] for column in names}


def _text(cell: str | datetime | None) -> str | None:
    return cell if cell is None or isinstance(cell, str) else f"{cell:%Y-%m-%dT%H:%M:%SZ}"
