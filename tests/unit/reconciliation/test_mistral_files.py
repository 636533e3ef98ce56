"""Mistral's month of use with its prices: what is read, what is included, and what is refused by name."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from billing.invoices.errors import InvoiceRefused
from billing.invoices.lines import CoveredDay, VendorLine
from billing.invoices.recognise import recognise
from billing.invoices.source import SourceFile

LARGE = "mistral-large-2411"


def entry(group: str, value: Any, paid: Any = None, day: str = "2026-10-14", **more: Any) -> dict[str, Any]:
    return {
        "usage_type": "usage", "event_type": "api_tokens", "billing_metric": LARGE, "billing_display_name": "large",
        "billing_group": group, "timestamp": day, "value": value, "value_paid": value if paid is None else paid, **more,
    }  # fmt: skip


def price(group: str, text: str, event: str = "api_tokens", metric: str = LARGE) -> dict[str, str]:
    return {"event_type": event, "billing_metric": metric, "billing_group": group, "price": text}


def answer(models: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    groups = {"input": [entry("input", 1000)], "output": [entry("output", 20), entry("output", 5)]}
    return {
        "completion": {"models": {"large::2411": groups} if models is None else models},
        "ocr": {"models": {}}, "connectors": {"models": {}}, "audio": {"models": {}},
        "libraries_api": {"pages": {"models": {}}, "tokens": {"models": {}}},
        "fine_tuning": {"training": {}, "storage": {}}, "vibe_usage": 0.0, "date": "2026-10-01T00:00:00Z",
        "previous_month": "2026-09", "next_month": "2026-11", "start_date": "2026-10-01T00:00:00Z",
        "end_date": "2026-10-31T23:59:59.999Z", "currency": "EUR", "currency_symbol": "\u20ac",
        "prices": [price("input", "0.0000017000"), price("output", "5.10E-6"), price("cached", "1.7E-7")], **more,
    }  # fmt: skip


def read(document: Any) -> list[VendorLine | Any]:
    source = SourceFile("mistral.json", json.dumps(document).encode())
    importer = recognise(source).importer
    assert importer.format == "mistral.admin_usage"
    return list(importer.read(source))


def lines(document: Any) -> list[tuple[str, str | None, str | None, Any, Any]]:
    return [(str(one.kind), one.model, one.unit, one.quantity, one.amount) for one in read(document)
            if isinstance(one, VendorLine)]  # fmt: skip


def test_use_is_paid_times_price() -> None:
    found = read(answer())
    assert lines(answer()) == [
        ("usage", LARGE, "input_tokens", 1000, Decimal("0.0017")),
        ("usage", LARGE, "output_tokens", 20, Decimal("0.000102")),
        ("usage", LARGE, "output_tokens", 5, Decimal("0.0000255")),
    ]
    assert len([one for one in found if isinstance(one, CoveredDay)]) == 31
    assert {one.currency for one in found if isinstance(one, VendorLine)} == {"EUR"}


def test_what_a_plan_includes_is_a_credit_and_other_categories_are_fees() -> None:
    pages = entry("input", 7, event_type="ocr_pages", billing_metric="ocr")
    document = answer(
        {"m": {"cached": [entry("cached", 1000, 400)], "input": None}},
        ocr={"models": {"ocr": {"input": [pages]}}},
        prices=[price("cached", "0.001"), price("input", "0.003", "ocr_pages", "ocr")],
    )
    assert lines(document) == [
        ("usage", LARGE, "cache_read_tokens", 1000, 1),
        ("credit", None, None, None, Decimal("-0.6")),
        ("fee", None, None, None, Decimal("0.021")),
    ]
    assert len(lines([answer(), answer()])) == 6


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (answer(embeddings={}), "key is 'embeddings': unknown"),
        (answer(vibe_usage=3.5), "vibe_usage is '3.5': what it counts is not documented"),
        (answer(currency="\u20ac"), "a currency is three letters"),
        (answer(prices=[]), "billing_metric is 'mistral-large-2411': prices has none"),
        (answer(prices=[price("input", "1"), price("input", "2")]), "another price of"),
        (answer(prices=[price("input", "1,5")]), "price is '1,5'"),
        (answer(end_date="2026-11-30T23:59:59Z"), "an answer is for one month"),
        (answer({"m": {"input": [entry("output", 5)]}}), "billing_group is 'output': it stands under input"),
        (answer({"m": {"thinking": []}}), "key is 'thinking': unknown"),
        (answer({"m": {"input": [entry("input", 5, 6)]}}), "value_paid is '6': it is from 0 to value"),
        (answer({"m": {"input": [entry("input", None)]}}), "value is absent"),
        (answer({"m": {"input": [entry("input", 5, day="2026-11-01")]}}), "timestamp is '2026-11-01'"),
        (answer({"m": {"input": [entry("input", 5, day="14.10.2026")]}}), "write a day as 2026-10-01"),
        (answer({"m": {"input": [entry("input", 5, cost=1)]}}), "key is 'cost': unknown"),
        (answer({"m": {"input": [entry("input", 5, usage_type="refund")]}}), "usage_type is 'refund'"),
        (answer({"m": {"input": [entry("input", 5, event_type="images")]}}), "prices has none for images"),
        ([answer(), answer(currency="USD")], "the rows before are in EUR"),
    ],
)
def test_what_is_not_known_is_refused_by_name(document: Any, says: str) -> None:
    with pytest.raises(InvoiceRefused) as refused:
        read(document)
    assert says in str(refused.value)
