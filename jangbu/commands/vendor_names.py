"""`jangbu vendor map`: dated rules by which a vendor's model and meter names mean ours."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from jangbu.errors import RefusedByStateError, UsageError
from jangbu.importing import ExistingFile, import_state
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from pathlib import Path

    from billing.reconciliation.name_rules import NameRule
    from jangbu.context import Context

RULE_COLUMNS = ("vendor", "text", "model", "unit", "valid_from", "valid_to")
FILE = ExistingFile()


@click.group("map")
def name_map() -> None:
    """What a vendor's names mean: its models and meters as ours, by dated rules."""


@name_map.command("import")
@click.argument("file", type=FILE)
@click.option("--dry-run", is_flag=True, help="Show what would change; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def map_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add rules from a CSV file: vendor, text, model, unit, valid_from, valid_to.

    A star at the end of a text takes all that begins so.
    """
    from billing.errors import BillingError, StateRefused
    from billing.reconciliation.name_rules import add_rules, read_rules_file

    try:
        rules = read_rules_file(file.read_bytes(), file.name)
        with ctx.engine("billing") as engine, engine.connect() as connection:
            changed = add_rules(connection, rules, ctx.actor)
            asks = not dry_run and not yes and sys.stdin.isatty() and sys.stdout.isatty()
            if asks and not click.confirm(f"Add {len(changed)} rules?", err=True):
                raise RefusedByStateError("nothing was written: you said no")
            if dry_run:
                connection.rollback()
            else:
                connection.commit()
    except StateRefused as error:
        raise RefusedByStateError(str(error)) from error
    except BillingError as error:
        raise UsageError(str(error)) from error
    if as_json:
        print_json({
            **import_state(dry_run=dry_run),
            "source": file.name,
            "added": [_document(rule) for rule in changed],
            "unchanged": len(rules) - len(changed),
        })  # fmt: skip
    else:
        rest = " (dry run: nothing written)" if dry_run else ""
        click.echo(f"{file.name}: {len(changed)} rules added, {len(rules) - len(changed)} as they were{rest}")


@name_map.command("list")
@click.option("--vendor", "vendor_name", help="Rules of one vendor only.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def map_list(ctx: Context, vendor_name: str | None, as_json: bool, as_csv: bool) -> None:
    """The rules that count."""
    from billing.reconciliation.name_rules import read_rules
    from billing.store import snapshot

    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        rules = read_rules(connection, vendor_name)
    documents = [_document(rule) for rule in rules]
    if as_json:
        print_json({"rules": documents})
    else:
        print_rows(RULE_COLUMNS, ([one[name] for name in RULE_COLUMNS] for one in documents), as_csv=as_csv)


def _document(rule: NameRule) -> dict[str, Any]:
    return {name: getattr(rule, name) for name in RULE_COLUMNS}
