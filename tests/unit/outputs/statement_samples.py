"""Statement documents made up for tests of files: the shape of `statement_document`, without a database."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.money import exact, exact_text, plain
from billing.statement_document import content_hash

HOSTILE = (
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "#strong[x] $1+1$ `raw` <label> @ref \\ //comment /* x */ #{ panic() }",
    "\u202eabc\u202c \u200f\u2066x\u2069",
    "😀 عربي עברית \ue000 \ufffe \uffff \U0010ffff",
    "<b>&amp;</b> ]]> <!-- -->",
    "a" * 4000,
    "길" * 4000,
    "../../etc/passwd",
    "C:\\x\\CON",
    "각각\u0301",
    " ",
    "{{x}} ${x} %s %(x)s",
    "_x0041_ _x000D_",
)
"""Names that strangers may have chosen."""


def line(
    model: str = "gpt-x",
    unit: str = "input_tokens",
    quantity: int = 1_234_567,
    price: str | None = "0.25",
    rate: str = "1386.5",
    **more: Any,
) -> dict[str, Any]:
    """One line; without a price it is unpriced."""
    amount_exact = None
    if price is not None:
        with exact():
            amount_exact = plain(quantity * Decimal(price) * Decimal(rate) / 1_000_000)
    is_priced = price is not None
    used = {"date": "2026-10-02", "rate": rate, "source": "bank", "quantity": str(quantity)}
    return {
        "provider": "openai",
        "model": model,
        "unit": unit,
        "quantity": str(quantity),
        "price_status": "priced" if is_priced else "unpriced",
        "unit_price": plain(Decimal(price) / 1_000_000) if price is not None else None,
        "price": price,
        "per": "1000000" if is_priced else None,
        "price_currency": "USD" if is_priced else None,
        "price_id": "P-000007" if is_priced else None,
        "price_source": "letter" if is_priced else None,
        "terms": [],
        "amount_exact": amount_exact,
        "fx_rate": rate if is_priced else None,
        "fx_rows": [used] if is_priced else [],
        "amount": None if amount_exact is None else str(int(Decimal(amount_exact))),
        **more,
    }


def statement(department: str | None = "D012", *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A statement whose total is the sum of its parts."""
    document: dict[str, Any] = {
        "month": "2026-10",
        "timezone": "Asia/Seoul",
        "department": department,
        "department_name": None if department is None else "예산과",
        "currency": "KRW",
        "status": "open",
        "content_hash": "",
        "lines": list(lines) or [line(), line(unit="cache_read_tokens", quantity=99, price=None)],
        "allocated": [],
        "adjustments": [],
        "taxes": [],
        "unconverted_quantity": "0",
        **more,
    }
    parts = [one for name in ("lines", "allocated", "adjustments", "taxes") for one in document[name]]
    document["unpriced_quantity"] = str(sum(int(one["quantity"]) for one in document["lines"] if one["price"] is None))
    document["total_exact"] = exact_text(sum((Fraction(one["amount_exact"] or 0) for one in parts), Fraction(0)))
    document["tax"] = str(sum(int(one["amount"]) for one in document["taxes"]))
    document["total"] = str(sum(int(one["amount"]) for one in parts if one["amount"] is not None))
    document["content_hash"] = content_hash(document)
    return document


def organisation(*documents: dict[str, Any]) -> dict[str, Any]:
    """The organisation's document over departments."""
    whole = statement(None, *[one for document in documents for one in document["lines"]])
    whole |= {"scope": "organisation", "department_name": None}
    for name in ("allocated", "adjustments", "taxes"):
        whole[name] = [one for document in documents for one in document[name]]
    whole["tax"] = str(sum(int(document["tax"]) for document in documents))
    whole["total"] = str(sum(int(document["total"]) for document in documents))
    whole["content_hash"] = content_hash(whole)
    return whole
