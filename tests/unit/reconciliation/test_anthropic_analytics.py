"""Anthropic's cost analytics: cents, discounts off the list, groups that overlap, buckets of hours; and what
reconciliation makes of a discount."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from billing.invoices.errors import InvoiceRefused
from billing.invoices.lines import CoveredDay, LineKind, VendorLine
from billing.invoices.recognise import recognise
from billing.invoices.source import SourceFile
from billing.reconciliation.groups import OurGroup, Policy, PriceUse, UsageKey
from billing.reconciliation.reconcile import reconcile

DATA = Path(__file__).resolve().parents[2] / "data" / "invoices"
DAY = date(2026, 10, 1)


def read(content: str, name: str = "analytics.json") -> list[VendorLine | CoveredDay]:
    source = SourceFile(name, content.encode())
    found = recognise(source)
    return [one for one in found.importer.read(source) if isinstance(one, (VendorLine, CoveredDay))]


def lines(content: str) -> list[VendorLine]:
    return [one for one in read(content) if isinstance(one, VendorLine)]


def row(**more: Any) -> str:
    """A page of one row, with some of its parts replaced."""
    group = {"model": "claude-opus-5", "cost_type": "tokens", "token_type": "output_tokens", **more.pop("group", {})}
    cost = {"amount": "12", "list_amount": "12", "currency": "USD", "requests": None, **more.pop("cost", {})}
    times = {"starting_at": "2026-10-01T00:00:00Z", "ending_at": "2026-10-02T00:00:00Z"}
    return json.dumps({"data": [{**times, "group": group, "cost": cost, **more}], "has_more": False, "next_page": None})


def test_amounts_are_cents_and_a_discount_off_the_list_is_a_credit_of_its_own() -> None:
    found = lines((DATA / "anthropic-analytics.json").read_text())
    assert [(one.kind, one.unit, str(one.amount)) for one in found] == [
        (LineKind.USAGE, "input_tokens", "3.005"),
        (LineKind.CREDIT, "input_tokens", "-0.300"),
        (LineKind.USAGE, "output_tokens", "15.00"),
        (LineKind.FEE, None, "0.0525"),
    ]
    assert {one.account for one in found[:3]} == {"wrkspc_1"}


def test_hours_and_minutes_of_a_day_are_added_up_and_buckets_with_results_are_read_alike() -> None:
    hour = {"starting_at": "2026-10-01T05:00:00Z", "ending_at": "2026-10-01T06:00:00Z"}
    (line,) = lines(row(**hour))
    assert (line.day, line.amount) == (DAY, Decimal("0.12"))
    flat = json.loads(row())["data"][0]
    bucket = {**{name: flat.pop(name) for name in ("starting_at", "ending_at")}, "results": [flat]}
    (same,) = lines(json.dumps({"data": [bucket], "has_more": False, "next_page": None}))
    assert (same.day, same.amount, same.unit) == (DAY, Decimal("0.12"), "output_tokens")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"group": {"rbac_group_id": "g1"}}, "group.rbac_group_id is 'g1': rows of these groups overlap"),
        ({"group": {"mood": "good"}}, "key is 'mood'"),
        ({"group": {"service_tier": "gold"}}, "group.service_tier is 'gold'"),
        ({"group": {"context_window": "0-9k"}}, "group.context_window is '0-9k'"),
        ({"group": {"token_type": "dream_tokens"}}, "token_type is 'dream_tokens'"),
        ({"cost": {"amount": 12}}, "cost.amount is '12': this is a text of cents"),
        ({"cost": {"list_amount": 12}}, "cost.list_amount is '12'"),
        ({"cost": {"currency": "EUR"}}, "cost.currency is 'EUR'"),
        ({"cost": {"requests": -1}}, "cost.requests is '-1'"),
        ({"cost": {"tax": "1"}}, "key is 'tax'"),
        ({"ending_at": "2026-10-31T00:00:00Z"}, "a bucket is one UTC day"),
    ],
)
def test_refused_by_name(more: dict[str, Any], words: str) -> None:
    with pytest.raises(InvoiceRefused) as refused:
        read(row(**more))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("unit_price", "expected"),
    [
        ("0.000003005", [("CREDIT_OR_DISCOUNT", "-0.300")]),
        ("0.000002705", []),
        ("0.000002", [("PRICE", "1.005"), ("CREDIT_OR_DISCOUNT", "-0.300")]),
    ],
)
def test_a_discount_is_a_difference_only_where_our_prices_are_the_lists(
    unit_price: str, expected: list[tuple[str, str]]
) -> None:
    """Ours at the list price, at the discounted one, and at neither."""
    billed = [one for one in lines((DATA / "anthropic-analytics.json").read_text()) if one.unit == "input_tokens"]
    told = VendorLine("usage", DAY, LineKind.QUANTITY, None, account="wrkspc_1", model="claude-sonnet-4-5",
                      unit="input_tokens", quantity=Decimal(1_000_000))  # fmt: skip
    use = PriceUse("P-1", Decimal(unit_price), "USD", DAY)
    key = UsageKey(DAY, "wrkspc_1", "claude-sonnet-4-5", "standard", "input_tokens")
    ours = [OurGroup(key, 1_000_000, use.unit_price * 1_000_000, "USD", (use,))]
    found = reconcile(ours, [*billed, told], Policy("USD", price=lambda *_: use))
    assert found.proof.difference == 0
    assert [(str(one.cls), str(one.amount)) for one in found.breaks] == [
        (name, str(Decimal(amount))) if name != "PRICE" else (name, str(Decimal(amount).quantize(one.amount)))
        for (name, amount), one in zip(expected, found.breaks, strict=True)
    ]
