"""`jangbu budget`: what departments, and the organisation, may spend in a month or a year."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jangbu.importing import file_import_options, print_import, write
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from jangbu.context import Context

COLUMNS = ("department", "period", "amount", "currency")


@click.group()
def budget() -> None:
    """Budgets of departments and of the organisation: import, list."""


@budget.command("import")
@file_import_options
@click.pass_obj
def budget_import(ctx: Context, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add budgets from a CSV file; a later row replaces an earlier one of its department and period."""
    from jangbu.department_imports import import_budgets

    raw, currency = file.read_bytes(), ctx.policy.currency
    outcome = write(
        ctx, lambda connection: import_budgets(connection, raw, file.name, ctx.actor, currency), dry_run=dry_run,
        yes=yes,
    )  # fmt: skip
    print_import(outcome.result, outcome, as_json=as_json, dry_run=dry_run)


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
