"""A statement as the document that contract.md (section 3) shows, and its content hash.

The hash is SHA-256, in hex, over the canonical JSON of the document's content: UTF-8, keys sorted, no spaces, decimals
as text without exponent and trailing zeros. Left out are `content_hash` itself, `status` (it changes while the content
stands) and `department_name` (a rename changes no figure). Price rows are named by id and by what they say, rates by
date, value and source, so that another book can never give the same hash.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from billing.money import exact_text, plain
from billing.statements import compute_month

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from billing.charges import Section
    from billing.policy import MoneyPolicy
    from billing.statements import MonthStatements, Statement, StatementLine

NOT_HASHED = ("content_hash", "status", "department_name")


def statement_document(statement: Statement, month: MonthStatements) -> dict[str, Any]:
    """One department's statement. An open month's statement is computed when it is read."""
    document: dict[str, Any] = {
        "month": month.month.name,
        "timezone": month.policy.zone,
        "department": statement.department,
        "department_name": statement.name,
        "currency": month.policy.currency,
        "status": "open",
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


def month_document(month: MonthStatements) -> dict[str, Any]:
    """All statements of a month in short, with the organisation's total that they add up to."""
    return {
        "month": month.month.name,
        "timezone": month.policy.zone,
        "currency": month.policy.currency,
        "status": "open",
        "statements": [
            {key: document[key] for key in ("department", "department_name", "total", "total_exact", "tax",
                                            "unpriced_quantity", "unconverted_quantity", "status", "content_hash")}
            for document in (statement_document(one, month) for one in month.statements)
        ],
        "total_exact": exact_text(month.exact_total),
        "total": plain(month.total),
    }  # fmt: skip


def read_documents(connection: Connection, month: str, policy: MoneyPolicy) -> list[dict[str, Any]]:
    """The statement of every department that has one, by code, the unattributed one last; the connection is a
    snapshot."""
    computed = compute_month(connection, month, policy)
    return [statement_document(one, computed) for one in computed.statements]


def content_hash(document: Mapping[str, Any]) -> str:
    """The hash of a statement's content, as the module says."""
    content = {key: value for key, value in document.items() if key not in NOT_HASHED}
    canonical = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


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
