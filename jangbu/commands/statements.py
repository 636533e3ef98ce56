"""`jangbu statement`: what each department owes for a month."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from jangbu.errors import NotFoundError
from jangbu.importing import refusals
from jangbu.keeping import keeper_of
from jangbu.output import print_json, print_rows, safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from billing.open_months import Keeper
    from billing.policy import MoneyPolicy
    from jangbu.context import Context

UNATTRIBUTED = "unattributed"
"""The word for the statement of use that nobody is known for, unless a department has that code."""
ORGANISATION = "organisation"
"""The word for the statement of all departments together, unless a department has that code."""
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
BESIDE = ("allocated", "adjustments", "taxes")
TERMINAL_COLUMNS = ("model", "unit", "quantity", "unit_price", "price_row", "amount_exact", "fx_rate", "amount")
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
    from billing.statement_document import read_summary

    with _reading(ctx, month) as (connection, policy):
        document = read_summary(connection, month, policy, keeper_of(ctx))
    if as_json:
        print_json(document)
        return
    rows = [[one[name] for name in LIST_COLUMNS] for one in document["statements"]]
    if not as_csv:
        whole = (document["total"], document["total_exact"], "", "", document["status"], document["content_hash"])
        rows = [[row[0] or UNATTRIBUTED, *row[1:]] for row in rows]
        rows.append(["", "total", *whole])
    print_rows(LIST_COLUMNS, rows, as_csv=as_csv, right=LIST_COLUMNS[2:6])


@statement.command("show")
@click.argument("month")
@click.argument("department")
@_formats
@click.pass_obj
def statement_show(ctx: Context, month: str, department: str, as_json: bool, as_csv: bool) -> None:
    """One department's statement of MONTH; `unattributed` is use that nobody is known for, `organisation` all
    together."""
    from billing.plans.budget_states import show_budgets

    with _reading(ctx, month) as (connection, policy):
        document = read_beside_last(connection, month, policy, department, keeper_of(ctx))
        show_budgets(connection, month, policy, [document])
    if as_json:
        print_json(document)
        return
    rows = [[line[name] for name in LINE_COLUMNS] for line in document["lines"]]
    if not as_csv:
        rows += _rows_beside(document)
        rows.append(["total", *[""] * 7, document["total_exact"], "", document["total"]])
        _say_heading(document)
    right = ("quantity", "unit_price", "amount_exact", "fx_rate", "amount")
    if not as_csv and sys.stdout.isatty():
        print_rows(TERMINAL_COLUMNS, [_for_terminal(row) for row in rows], right=right)
        return
    print_rows(LINE_COLUMNS, rows, as_csv=as_csv, right=right)


def _for_terminal(row: Sequence[Any]) -> list[Any]:
    """A row in fewer columns: whose model, and what is not priced, stand with what they are about."""
    provider, model, unit, quantity, status, unit_price, currency, price_id, exact, rate, amount = row
    if status in ("unpriced", "unconverted", "not_billable"):
        unit_price, currency = status.replace("_", " "), None
    elif not unit_price:
        price_id = " ".join(str(one) for one in (status, price_id) if one)  # a charge's reason
    price = " ".join(str(one) for one in (unit_price, currency) if one)
    what = model if not model else f"{provider}: {model}" if provider in BESIDE else f"{provider}/{model}"
    return [what or provider, unit, quantity, price, price_id, exact, rate, amount]


def _say_heading(document: Mapping[str, Any]) -> None:
    """Whose statement it is, and what stands beside its total, on standard error."""
    whose = ORGANISATION if document.get("scope") == ORGANISATION else document["department"] or UNATTRIBUTED
    name = f" ({document['department_name']})" if document["department_name"] else ""
    told = [f"{document['month']} {document['timezone']}", f"{whose}{name}", document["currency"], document["status"]]
    if document["last_month"] is not None:
        told.append(f"last month {document['last_month']['total']}")
    if document["budget"] is not None:
        budget = document["budget"]
        told.append(f"budget {budget['amount']} of {budget['period']}, {budget['remaining']} left")
    click.echo(safe_text(", ".join(told)), err=True)


def _rows_beside(document: Mapping[str, Any]) -> list[list[str]]:
    """Shares, corrections and taxes as rows under the lines: their section, what they are, and their amounts."""
    rows = []
    for section in BESIDE:
        for item in document[section]:
            known = (item.get(name) for name in ("rule", "origin", "vendor", "pool", "name"))
            what = next((str(word) for word in known if word), "")
            if item.get("model"):
                what += f" ({item['provider']}/{item['model']})"
            rows.append([section, what, str(item.get("unit") or ""), str(item.get("quantity") or ""),
                         str(item.get("reason") or ""), "", "", str(item.get("price_id") or ""), item["amount_exact"],
                         "", item["amount"]])  # fmt: skip
    return rows


def read_beside_last(
    connection: Connection, month: str, policy: MoneyPolicy, department: str, keeper: Keeper
) -> dict[str, Any]:
    """The document of a department, or of the word for all or for nobody where no department has that code; the month
    before beside it. The connection is a snapshot. Raises NotFoundError."""
    from billing.statement_document import read_last_month, read_organisation, read_statement
    from billing.statements import is_known_department

    is_known = is_known_department(connection, department)
    if department == ORGANISATION and not is_known:
        document = read_organisation(connection, month, policy, keeper)
        before = read_last_month(connection, month, policy, None, keeper, organisation=True)
        return {**document, "last_month": before}
    code = None if department == UNATTRIBUTED and not is_known else department
    document, is_there = read_statement(connection, month, policy, code, keeper)
    if not is_there and not is_known and code is not None:
        raise NotFoundError(
            f"department is {department!r}: neither usage nor the roster knows it; "
            f"`jangbu statement list {month}` names those with use"
        )
    return {**document, "last_month": read_last_month(connection, month, policy, code, keeper)}


@contextmanager
def _reading(ctx: Context, month: str) -> Iterator[tuple[Connection, MoneyPolicy]]:
    """One state of the database, for a month that can be."""
    from billing.periods import month_in
    from billing.store import snapshot

    with refusals():
        month_in(month, ctx.policy.zone)
        with ctx.engine("reader") as engine, snapshot(engine) as connection:
            yield connection, ctx.policy
