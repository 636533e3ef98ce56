"""`jangbu roster`: who belonged to which department when."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jangbu.importing import file_import_options, print_import, write
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from jangbu.context import Context


@click.group()
def roster() -> None:
    """Who belonged to which department when: import, list."""


@roster.command("import")
@file_import_options
@click.pass_obj
def roster_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add and change memberships from a CSV file, and attribute again the use that they touch."""
    from jangbu.roster_imports import import_roster

    raw, zone = file.read_bytes(), ctx.settings.timezone
    outcome = write(
        ctx, lambda connection: import_roster(connection, raw, file.name, ctx.actor, zone), dry_run=dry_run, yes=yes
    )
    print_import(outcome.result, outcome, as_json=as_json, dry_run=dry_run)


@roster.command("list")
@click.option("--user", help="Rows of one user only: an id, or a pseudonym.")
@click.option("--department", help="Rows of one department only.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def roster_list(ctx: Context, user: str | None, department: str | None, as_json: bool, as_csv: bool) -> None:
    """The roster as it stands."""
    from billing.pseudonyms import shown_rows
    from billing.roster import Membership, held_roster

    sought = _sought(ctx, user)
    with ctx.engine("reader") as engine, engine.connect() as connection:
        rows = [
            row._asdict()
            for row in held_roster(connection)
            if sought(row.user) and (department is None or row.department == department)
        ]
    shown = shown_rows(ctx.people, rows, ("user", "key", "valid_from"))
    if as_json:
        print_json({"memberships": shown})
    else:
        columns = Membership._fields
        print_rows(columns, [[row[name] for name in columns] for row in shown], as_csv=as_csv)


def _sought(ctx: Context, asked: str | None) -> Callable[[str | None], bool]:
    """Whether a user is the one asked for, by id or by pseudonym where this data directory has its key."""
    from billing.pseudonyms import PREFIX, Pseudonyms
    from jangbu.settings import resolve_pseudonym_key

    settings = ctx.settings
    has_key = settings.pseudonym_key is not None or settings.pseudonym_key_file.exists()
    if asked is None or not asked.startswith(PREFIX) or not has_key:
        return lambda user: asked in (None, user)
    people = Pseudonyms(resolve_pseudonym_key(settings))
    return lambda user: user == asked or (user is not None and people.of("user", user) == asked)
