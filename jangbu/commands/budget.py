"""`jangbu budget`: what departments, and the organisation, may spend in a month or a year."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jangbu.importing import Outcome, file_import_options, print_import, refusals, write
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from billing.plans.budgets import BudgetChanges, BudgetRow
    from jangbu.context import Context

DIFF_LINES_MAX = 20
COLUMNS = ("department", "period", "amount", "currency")


@click.group()
def budget() -> None:
    """Budgets of departments and of the organisation: import, list."""


@budget.command("import")
@file_import_options
@click.pass_obj
def budget_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add budgets from a CSV file; a later row replaces an earlier one of its department and period."""
    from billing.plans.budgets import changes, read_budgets
    from billing.plans.registers import held_budgets, lock_registers, unknown_departments, write_budgets
    from billing.store import sha256_of

    raw = file.read_bytes()
    with refusals():
        rows = read_budgets(raw, file.name, ctx.policy.currency)

    def work(connection: Connection) -> Outcome[tuple[BudgetChanges, list[str]]]:
        lock_registers(connection)
        found = changes(held_budgets(connection), rows)
        write_budgets(connection, found.new_rows, name=file.name, sha256=sha256_of(raw), actor=ctx.actor)
        codes = sorted({row.department for row in found.new_rows if row.department is not None})
        unknown = unknown_departments(connection, codes)
        sentence = (
            f"{file.name}: {len(found.added)} budgets added, {len(found.changed)} changed, "
            f"{found.unchanged} as they were"
        )
        warned = [f"nobody knows {code!r} yet: neither departments, roster nor usage name it" for code in unknown]
        details = tuple([*warned, *_difference(found)][:DIFF_LINES_MAX])
        return Outcome((found, unknown), bool(found.new_rows), sentence, details)

    outcome = write(ctx, work, dry_run=dry_run, yes=yes)
    found, unknown = outcome.result
    document = {
        "source": file.name,
        "added": len(found.added),
        "changed": len(found.changed),
        "unchanged": found.unchanged,
        "changes": [
            {"department": after.department, "period": after.period, "from": _amount(old), "to": _amount(after)}
            for old, after in found.changed
        ],
        "unknown_departments": unknown,
    }
    print_import(document, outcome, as_json=as_json, dry_run=dry_run)


@budget.command("list")
@click.option("--department", "code", metavar="CODE", help="One department's; `organisation` for the whole.")
@click.option("--period", metavar="YYYY[-MM]", help="One month's or one year's, as it was imported.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def budget_list(ctx: Context, code: str | None, period: str | None, as_json: bool, as_csv: bool) -> None:
    """The budgets that count, by department and period; the organisation's has no department."""
    from billing.money import plain
    from billing.plans.departments import ORGANISATION
    from billing.plans.registers import held_budgets

    with ctx.engine("reader") as engine, engine.connect() as connection:
        counting = {(row.department, row.period): row for row in held_budgets(connection)}
    rows = [
        row
        for _, row in sorted(counting.items(), key=lambda item: (item[0][0] or "", item[0][1]))
        if code in (None, row.department or ORGANISATION) and period in (None, row.period)
    ]
    documents = [{**row._asdict(), "amount": plain(row.amount)} for row in rows]
    if as_json:
        print_json({"budgets": documents})
    else:
        shown = [list({**one, "department": one["department"] or ORGANISATION}.values()) for one in documents]
        print_rows(COLUMNS, shown, as_csv=as_csv, right=("amount",))


def _difference(found: BudgetChanges) -> list[str]:
    from billing.plans.departments import ORGANISATION

    added = [f"+ {row.department or ORGANISATION} {row.period}: {_amount(row)} {row.currency}" for row in found.added]
    changed = [
        f"~ {row.department or ORGANISATION} {row.period}: {_amount(old)} -> {_amount(row)} {row.currency}"
        for old, row in found.changed
    ]
    return added + changed


def _amount(row: BudgetRow) -> str:
    from billing.money import plain

    return plain(row.amount)
