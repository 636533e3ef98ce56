"""`jangbu allocation`: the rules by which shared costs reach departments, and what they do in a month."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jangbu.importing import ExistingFile, Outcome, file_import_options, print_import, refusals, write
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from billing.allocation.preview import PreviewedRule
    from billing.allocation.rules import Rule
    from jangbu.context import Context

LIST_COLUMNS = (
    "rule_id",
    "rule",
    "pool",
    "amount",
    "currency",
    "basis",
    "departments",
    "shares",
    "valid_from",
    "valid_to",
    "source",
)
PREVIEW_COLUMNS = (
    "rule",
    "pool",
    "basis",
    "pool_amount",
    "department",
    "weight",
    "weight_total",
    "amount_exact",
    "amount",
    "why",
)
DIFF_LINES_MAX = 20


@click.group()
def allocation() -> None:
    """Shared costs: import rules, list them, preview a month."""


@allocation.command("import")
@file_import_options
@click.pass_obj
def allocation_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add rules from a CSV file. Nothing is overwritten: a rule's later row replaces its earlier one from there on."""
    raw = file.read_bytes()

    def work(connection: Connection) -> Outcome[tuple[list[Rule], int]]:
        added, read = _add(connection, raw, file.name, ctx.actor)
        sentence = f"{file.name}: {len(added)} rows added, {read - len(added)} as they were"
        return Outcome((added, read), bool(added), sentence, tuple(_diff(added)))

    outcome = write(ctx, work, dry_run=dry_run, yes=yes)
    added, read = outcome.result
    document = {
        "source": file.name,
        "added": len(added),
        "unchanged": read - len(added),
        "rules": [row.document() for row in added],
    }
    print_import(document, outcome, as_json=as_json, dry_run=dry_run)


@allocation.command("list")
@click.option("--month", metavar="YYYY-MM", help="Rules that hold in a month only.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def allocation_list(ctx: Context, month: str | None, as_json: bool, as_csv: bool) -> None:
    """The rows of all rules that count, or those that hold in a month."""
    from billing.allocation.rules import counting, in_force
    from billing.allocation.store import read_rules
    from billing.periods import month_in
    from billing.store import snapshot

    with refusals():
        if month is not None:
            month_in(month, ctx.policy.zone)
    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        every = read_rules(connection)
    rows = [row for _, row in sorted(counting(every).items())] if month is None else in_force(every, month)
    documents = [row.document() for row in rows]
    if as_json:
        print_json({"month": month, "rules": documents})
    else:
        print_rows(LIST_COLUMNS, (_cells(document) for document in documents), as_csv=as_csv, right=("amount",))


@allocation.command("preview")
@click.option("--month", required=True, metavar="YYYY-MM", help="The organisation's month.")
@click.option("--rules", type=ExistingFile(), help="As if this file had been imported; nothing is written.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def allocation_preview(ctx: Context, month: str, rules: Path | None, as_json: bool, as_csv: bool) -> None:
    """Every rule's pool, measure, weights and parts in a month, as its statements would have them now."""
    from sqlalchemy import text

    from billing.allocation.preview import preview
    from billing.store import snapshot

    with refusals():
        if rules is None:
            with ctx.engine("reader") as engine, snapshot(engine) as connection:
                found = preview(connection, month, ctx.policy)
        else:
            raw = rules.read_bytes()
            with ctx.engine("billing") as engine, engine.connect() as connection:
                connection.execute(text("set transaction isolation level repeatable read"))
                _add(connection, raw, rules.name, ctx.actor)
                found = preview(connection, month, ctx.policy)
                connection.rollback()
    documents = [one.document() for one in found]
    if as_json:
        print_json({"month": month, "currency": ctx.policy.currency, "rules": documents})
        return
    rows = [[row[name] for name in PREVIEW_COLUMNS] for one in found for row in _preview_rows(one)]
    right = ("pool_amount", "weight", "weight_total", "amount_exact", "amount")
    print_rows(PREVIEW_COLUMNS, rows, as_csv=as_csv, right=right)


def _add(connection: Connection, raw: bytes, name: str, actor: str) -> tuple[list[Rule], int]:
    """Add a file's rules in the connection's transaction: (what is new, how many rows the file has)."""
    from billing.allocation.file import read_rules_file
    from billing.allocation.store import add_rules, read_known_names
    from billing.store import sha256_of

    rows = read_rules_file(raw, name, read_known_names(connection))
    return add_rules(connection, rows, name=name, sha256=sha256_of(raw), actor=actor), len(rows)


def _diff(added: list[Rule]) -> Iterator[str]:
    """What a person should see before saying yes."""
    for row in added[:DIFF_LINES_MAX]:
        amount = "" if row.amount is None else f" {row.amount} {row.currency}"
        what = "ends" if row.pool == "none" else f"shares {row.pool_name}{amount} by {row.basis_name}"
        yield f"+ {row.rule} {what} from {row.valid_from}" + (f" to before {row.valid_to}" if row.valid_to else "")
    if len(added) > DIFF_LINES_MAX:
        yield f"and {len(added) - DIFF_LINES_MAX} more"


def _cells(document: dict[str, Any]) -> list[Any]:
    """A rule's document as cells of one row."""
    flat = {
        **document,
        "departments": "; ".join(document["departments"]),
        "shares": "; ".join(f"{code}={weight}" for code, weight in document["shares"].items()),
    }
    return [flat[name] for name in LIST_COLUMNS]


def _preview_rows(previewed: PreviewedRule) -> Iterator[dict[str, Any]]:
    """A row for each part; a pool without parts is one row that says why."""
    document = previewed.document()
    parts = document.pop("parts")
    nothing = dict.fromkeys(("department", "weight", "amount_exact", "amount"))
    for part in parts or [nothing]:
        yield {**document, **part, "department": part["department"] or ("unattributed" if parts else None)}
