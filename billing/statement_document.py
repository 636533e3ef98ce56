"""A statement as the document that contract.md (section 3) shows, and its content hash.

The hash is SHA-256, in hex, over the canonical JSON of the document's content: UTF-8, keys sorted, no spaces, decimals
as text without exponent and trailing zeros. Left out are `content_hash` itself, `status` (it changes while the content
stands), `department_name` (a rename changes no figure) and `last_month` (another month's total, shown beside). Price
rows are named by id and by what they say, rates by date, value and source, so that another book can never give the same
hash.
"""

from __future__ import annotations

import hashlib
import json
import time
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from billing.ledger.closes import is_closed, month_before, read_state
from billing.ledger.kept import read_kept
from billing.money import exact, exact_text, plain
from billing.open_months import OpenMonth, not_kept, read_kept_open, read_locked, read_mark, unwatched
from billing.periods import month_in
from billing.plans.budget_states import show_budgets
from billing.statements import LineKey, MonthStatements, Statement, StatementLine, compute_month, empty_statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from billing.charges import BookedCharge, Department, Section
    from billing.fx import FxRow
    from billing.open_months import Keeper, Mark
    from billing.policy import MoneyPolicy

NOT_HASHED = ("content_hash", "status", "department_name", "last_month", "budget")
SUMMARY = ("department", "department_name", "total", "total_exact", "tax", "unpriced_quantity", "unconverted_quantity",
           "status", "content_hash")  # fmt: skip


def statement_document(statement: Statement, month: MonthStatements, status: str = "open") -> dict[str, Any]:
    """One department's statement. An open month's statement is computed when it is read."""
    document: dict[str, Any] = {
        "month": month.month.name,
        "timezone": month.policy.zone,
        "department": statement.department,
        "department_name": statement.name,
        "currency": month.policy.currency,
        "status": status,
        "content_hash": "",
        "lines": [_line(line, month.policy.currency) for line in statement.lines],
        "allocated": _charges(statement, "allocated"),
        "adjustments": _charges(statement, "adjustments"),
        "unpriced_quantity": str(statement.open_quantity("unpriced")),
        "unconverted_quantity": str(statement.open_quantity("unconverted")),
        "total_exact": exact_text(statement.exact_total),
        "taxes": _charges(statement, "tax"),
        "tax": plain(statement.tax),
        "total": plain(statement.total),
    }
    document["content_hash"] = content_hash(document)
    return document


def organisation_document(
    month: MonthStatements, documents: Iterable[Mapping[str, Any]], status: str = "open"
) -> dict[str, Any]:
    """The organisation's statement: like a department's, with lines and charges summed over departments, and with the
    totals and hashes of the departments' `documents`, so that its own hash vouches for all of them."""
    whole = Statement(None, None, _summed_lines(month), (), month.exact_total, month.total)
    tax = sum((Fraction(one.tax) for one in month.statements), Fraction(0))
    document = statement_document(whole, month, status)
    document |= {
        "scope": "organisation",
        "allocated": _summed_charges(month, "allocated"),
        "adjustments": _summed_charges(month, "adjustments"),
        "taxes": _summed_charges(month, "tax"),
        "tax": exact_text(tax),
        "statements": [
            {name: one[name] for name in ("department", "total", "total_exact", "content_hash")}
            for one in documents
        ],
    }
    document["content_hash"] = content_hash(document)
    return document


def month_document(
    month: MonthStatements, documents: Sequence[Mapping[str, Any]] | None = None, status: str = "open"
) -> dict[str, Any]:
    """All statements of a month in short, with the organisation's total that they add up to."""
    if documents is None:
        documents = [statement_document(one, month, status) for one in month.statements]
    return _summary(organisation_document(month, documents, status), documents)


def read_documents(
    connection: Connection, month: str, policy: MoneyPolicy, keeper: Keeper = not_kept
) -> list[dict[str, Any]]:
    """The statement of every department that has one, by code, the unattributed one last, its budget beside: as it was
    closed, or as it is now. The connection is a snapshot."""
    documents = read_month(connection, month, policy, keeper)[1]
    show_budgets(connection, month, policy, documents)
    return documents


def read_month(
    connection: Connection, month: str, policy: MoneyPolicy, keeper: Keeper = not_kept
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The organisation's statement and every department's: as they were closed, or as they are now.

    The connection is a snapshot. Of an open month the kept documents are read where they hold (`billing.open_months`),
    else all are computed, and handed to `keeper`.
    """
    kept = read_kept(connection, month)
    if kept:
        whole = next(one for one in kept if one.is_organisation)
        return whole.document, [one.document for one in kept if not one.is_organisation]
    when = month_in(month, policy.zone)
    mark = read_mark(connection, when, policy)
    held = None if mark is None else read_kept_open(connection, when, mark)
    if held is not None:
        return held[-1][1], [document for kind, document in held if kind == "department"]
    return _compute_documents(connection, month, policy, mark, keeper)


def read_statement(
    connection: Connection, month: str, policy: MoneyPolicy, department: Department, keeper: Keeper = not_kept
) -> tuple[dict[str, Any], bool]:
    """One department's statement, as it was closed or as it is now, and whether it has one; else an empty one."""
    kept = read_kept(connection, month, department)
    if kept:
        return kept[0].document, True
    when = month_in(month, policy.zone)
    mark = read_mark(connection, when, policy)
    held = None if mark is None else read_kept_open(connection, when, mark, department)
    if held is None:
        _, documents = _compute_documents(connection, month, policy, mark, keeper)
        held = [("department", one) for one in documents if one["department"] == department]
    return (held[0][1], True) if held else (no_statement(connection, month, policy, department), False)


def no_statement(connection: Connection, month: str, policy: MoneyPolicy, department: Department) -> dict[str, Any]:
    """The empty statement of a department that has none."""
    nothing = MonthStatements(month_in(month, policy.zone), policy, (), Fraction(0), Decimal(0))
    return statement_document(empty_statement(department), nothing, read_state(connection, month))


def read_organisation(
    connection: Connection, month: str, policy: MoneyPolicy, keeper: Keeper = not_kept
) -> dict[str, Any]:
    """The organisation's statement, as it was closed or as it is now."""
    return read_month(connection, month, policy, keeper)[0]


def read_last_month(
    connection: Connection, month: str, policy: MoneyPolicy, department: Department, keeper: Keeper = not_kept,
    *, organisation: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Month, total and status of the statement of the month before, to stand beside a statement."""
    before = month_before(month)
    if organisation:
        document = read_organisation(connection, before, policy, keeper)
    else:
        document, _ = read_statement(connection, before, policy, department, keeper)
    return {name: document[name] for name in ("month", "total", "status")}


def read_summary(
    connection: Connection, month: str, policy: MoneyPolicy, keeper: Keeper = not_kept
) -> dict[str, Any]:
    """All statements of a month in short (`statement list`), as they were closed, or as they are now."""
    whole, documents = read_month(connection, month, policy, keeper)
    return _summary(whole, documents)


def _compute_documents(
    connection: Connection, month: str, policy: MoneyPolicy, mark: Mark | None, keeper: Keeper
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Compute a month that is not closed, and have it kept where its mark holds all that was read."""
    before = frozenset() if mark is None else read_locked(connection)
    began_ms = time.monotonic_ns() // 1_000_000
    computed, status = compute_open(connection, month, policy)
    documents = [statement_document(one, computed, status) for one in computed.statements]
    whole = organisation_document(computed, documents, status)
    if mark is not None and status != "closed" and not unwatched(connection, read_locked(connection) - before):
        keeper(OpenMonth(month, mark, whole, documents, time.monotonic_ns() // 1_000_000 - began_ms))
    return whole, documents


def compute_open(connection: Connection, month: str, policy: MoneyPolicy) -> tuple[MonthStatements, str]:
    """The statements of a month that has no kept ones, and its state. A month that closes have passed over, because
    nobody had used anything, is empty: what came for it later is booked as corrections."""
    if is_closed(connection, month):
        return MonthStatements(month_in(month, policy.zone), policy, (), Fraction(0), Decimal(0)), "closed"
    return compute_month(connection, month, policy), read_state(connection, month)


def canonical(document: Mapping[str, Any]) -> str:
    """The content of a document as the text that is hashed, and kept."""
    content = {key: value for key, value in document.items() if key not in NOT_HASHED}
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def content_hash(document: Mapping[str, Any]) -> str:
    """The hash of a statement's content, as the module says."""
    return hashlib.sha256(canonical(document).encode()).hexdigest()


def _summary(whole: Mapping[str, Any], documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        **{name: whole[name] for name in ("month", "timezone", "currency", "status")},
        "statements": [{name: one[name] for name in SUMMARY} for one in documents],
        **{name: whole[name] for name in ("total_exact", "total", "content_hash")},
    }


def _summed_lines(month: MonthStatements) -> tuple[StatementLine, ...]:
    """One line for each (provider, model, unit, price row) of any department."""
    parts: dict[LineKey, list[StatementLine]] = {}
    for statement in month.statements:
        for line in statement.lines:
            parts.setdefault(line.key, []).append(line)
    made = []
    with exact():
        for key, lines in sorted(parts.items()):
            rates: dict[FxRow, int] = {}
            for row, quantity in (pair for line in lines for pair in line.rates):
                rates[row] = rates.get(row, 0) + quantity
            exact_amounts = [line.exact_amount for line in lines if line.exact_amount is not None]
            amounts = [line.amount for line in lines if line.amount is not None]
            made.append(
                StatementLine(
                    key,
                    sum(line.quantity for line in lines),
                    lines[0].price,
                    tuple(sorted(rates.items(), key=lambda item: (item[0].date, item[0].id))),
                    sum(exact_amounts, Decimal(0)) if exact_amounts else None,
                    sum(amounts, Decimal(0)) if amounts else None,
                )
            )
    return tuple(made)


def _summed_charges(month: MonthStatements, section: Section) -> list[dict[str, Any]]:
    """Charges of one key summed over departments; of their documents what is the same in all."""
    groups: dict[tuple[str, ...], list[BookedCharge]] = {}
    for statement in month.statements:
        for booked in statement.charges:
            if booked.charge.section == section:
                groups.setdefault(booked.charge.key, []).append(booked)
    items = []
    for _, group in sorted(groups.items()):
        documents = [one.charge.document for one in group]
        same = {name: value for name, value in documents[0].items()
                if all(name in one and one[name] == value for one in documents)}  # fmt: skip
        with exact():
            amount = sum((one.amount for one in group), Decimal(0))
        exact_amount = sum((one.charge.exact for one in group), Fraction(0))
        items.append({**same, "amount_exact": exact_text(exact_amount), "amount": plain(amount)})
    return items


def _charges(statement: Statement, section: Section) -> list[dict[str, Any]]:
    return [
        {**booked.charge.document, "amount_exact": exact_text(booked.charge.exact), "amount": plain(booked.amount)}
        for booked in statement.charges
        if booked.charge.section == section
    ]


def _line(line: StatementLine, currency: str) -> dict[str, Any]:
    price = line.price
    several = len(line.rates) > 1
    fx_rate = None
    if line.key.status == "priced" and price is not None and not several:
        fx_rate = "1" if price.currency == currency else plain(line.rates[0][0].rate)
    return {
        "provider": line.key.provider,
        "model": line.key.model,
        "unit": line.key.unit,
        "quantity": str(line.quantity),
        "price_status": line.key.status,
        "unit_price": None if price is None else plain(price.unit_price),
        "price": None if price is None else plain(price.price),
        "per": None if price is None else str(price.per),
        "price_currency": None if price is None else price.currency,
        "price_id": None if price is None else price.code,
        "price_source": None if price is None else price.source,
        "terms": [] if price is None else [term.document() for term in price.terms],
        "amount_exact": None if line.exact_amount is None else plain(line.exact_amount),
        "fx_rate": fx_rate,
        "fx_rows": [
            {"date": row.date.isoformat(), "rate": plain(row.rate), "source": row.source, "quantity": str(quantity)}
            for row, quantity in line.rates
        ],
        "amount": None if line.amount is None else plain(line.amount),
    }
