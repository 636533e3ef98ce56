"""`jangbu statement`: what each department owes for a month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jangbu.errors import NotFoundError, UsageError
from jangbu.output import print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.statements import MonthStatements
    from jangbu.context import Context

UNATTRIBUTED = "unattributed"
"""The word for the statement of use that nobody is known for, unless a department has that code."""
LIST_COLUMNS = (
    "department",
    "department_name",
    "total",
    "total_exact",
    "unpriced_quantity",
    "unconverted_quantity",
    "status",
    "content_hash",
)
LINE_COLUMNS = (
    "provider",
    "model",
    "unit",
    "quantity",
    "price_status",
    "unit_price",
    "price_currency",
    "price_id",
    "amount_exact",
    "fx_rate",
    "amount",
)


@click.group()
def statement() -> None:
    """A month's statements, by department."""


def _formats(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True)(click.option("--csv", "as_csv", is_flag=True)(command))


@statement.command("list")
@click.argument("month")
@_formats
@click.pass_obj
def statement_list(ctx: Context, month: str, as_json: bool, as_csv: bool) -> None:
    """All departments' totals of MONTH (YYYY-MM), which add up to the organisation's."""
    from billing.statement_document import month_document

    document = month_document(_compute(ctx, month, None)[0])
    if as_json:
        print_json(document)
        return
    rows = [[one[name] for name in LIST_COLUMNS] for one in document["statements"]]
    if not as_csv:
        rows.append(["", "total", document["total"], document["total_exact"], "", "", document["status"], ""])
    print_rows(LIST_COLUMNS, rows, as_csv=as_csv, right=LIST_COLUMNS[2:6])


@statement.command("show")
@click.argument("month")
@click.argument("department")
@_formats
@click.pass_obj
def statement_show(ctx: Context, month: str, department: str, as_json: bool, as_csv: bool) -> None:
    """One department's statement of MONTH; `unattributed` is use that nobody is known for."""
    from billing.statement_document import statement_document
    from billing.statements import empty_statement

    computed, is_known = _compute(ctx, month, department)
    code = None if department == UNATTRIBUTED and not is_known else department
    found = computed.of(code)
    if found is None and not is_known and code is not None:
        raise NotFoundError(
            f"department is {department!r}: neither usage nor the roster knows it; "
            f"`jangbu statement list {month}` names those with use"
        )
    document = statement_document(found or empty_statement(code), computed)
    if as_json:
        print_json(document)
        return
    rows = [[line[name] for name in LINE_COLUMNS] for line in document["lines"]]
    if not as_csv:
        rows.append(["total", *[""] * 7, document["total_exact"], "", document["total"]])
    print_rows(LINE_COLUMNS, rows, as_csv=as_csv, right=("quantity", "unit_price", "amount_exact", "fx_rate", "amount"))


def _compute(ctx: Context, month: str, department: str | None) -> tuple[MonthStatements, bool]:
    """The month's statements, and whether a department is known, in one state of the database."""
    from billing.errors import BillingError
    from billing.periods import month_in
    from billing.statements import compute_month, is_known_department
    from billing.store import snapshot

    policy = ctx.policy
    try:
        month_in(month, policy.zone)
    except BillingError as error:
        raise UsageError(str(error)) from error
    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        is_known = department is not None and is_known_department(connection, department)
        return compute_month(connection, month, policy), is_known
