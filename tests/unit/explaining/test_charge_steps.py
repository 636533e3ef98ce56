"""Charges walked back: what agrees, and a share, a weight or a tax that was tampered with."""

from __future__ import annotations

from typing import Any

import pytest

from billing.explaining.charge_steps import charge_steps
from billing.explaining.items import Item


def shares() -> list[dict[str, Any]]:
    """A pool of 100 in the ratio 1 : 2, on two departments' statements."""
    common = {"rule": "support", "rule_id": "R-1", "pool": "support", "basis": "cost", "pool_amount": "100",
              "weight_total": "3"}  # fmt: skip
    return [
        {"allocated": [{**common, "weight": "1", "amount_exact": "100/3", "amount": "33"}]},
        {"allocated": [{**common, "weight": "2", "amount_exact": "200/3", "amount": "67"}]},
    ]


def agreed(documents: list[dict[str, Any]], place: int = 0) -> list[bool | None]:
    _, checks = charge_steps(Item(1, "allocated/1", "allocated", documents[place]["allocated"][0]), documents)
    return [check.agrees for check in checks]


def test_shares_come_to_their_pool() -> None:
    assert agreed(shares()) == agreed(shares(), 1) == [True, True, True]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("amount_exact", "66", [True, False, True]), ("weight", "3", [True, True, False])],
)
def test_a_share_that_was_tampered_with(name: str, value: str, expected: list[bool]) -> None:
    documents = shares()
    documents[1]["allocated"][0][name] = value
    assert agreed(documents) == expected


def test_a_pool_without_an_amount_has_nothing_to_check() -> None:
    documents = shares()
    documents[0]["allocated"][0] |= {"pool_amount": None, "weight": None, "why": "no invoice yet"}
    assert agreed(documents) == []


@pytest.mark.parametrize(
    ("in_price", "exact", "expected"), [("added", "12.5", True), ("added", "12", False), ("included", "0", True)]
)
def test_taxes(in_price: str, exact: str, expected: bool) -> None:
    tax = {"vendor": "openai", "base_exact": "125", "tax_rate": "0.1", "tax_in_price": in_price, "amount_exact": exact}
    _, checks = charge_steps(Item(1, "taxes/1", "taxes", tax), [])
    assert [check.agrees for check in checks] == [expected]


def test_a_correction_names_the_line_to_walk_on_from() -> None:
    one = {"reason": "LATE_USAGE", "origin_period": "2026-10", "provider": "p", "model": "a/b", "unit": "input_tokens",
           "price_id": None, "section": "lines"}  # fmt: skip
    rests, checks = charge_steps(Item(1, "adjustments/1", "adjustments", one), [])
    assert (rests["rests_on"]["origin_line"], checks) == ("p/a/b/input_tokens/unpriced", [])
