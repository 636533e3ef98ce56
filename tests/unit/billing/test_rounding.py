"""Rounding from the top down: tables of what goes where."""

from __future__ import annotations

from decimal import Decimal

import pytest

from billing.rounding import apportion, round_total


@pytest.mark.parametrize(
    ("amount", "exponent", "rounded"),
    [("0.5", 0, "0"), ("1.5", 0, "2"), ("2.5", 0, "2"), ("2.500001", 0, "3"), ("-1.5", 0, "-2"), ("-0.4", 0, "0"),
     ("15", 1, "20"), ("25", 1, "20"), ("24.9", 1, "20"), ("0.125", -2, "0.12"), ("0.135", -2, "0.14")],
)  # fmt: skip
def test_totals_round_half_to_even(amount: str, exponent: int, rounded: str) -> None:
    assert round_total(Decimal(amount), exponent) == Decimal(rounded)


@pytest.mark.parametrize(
    ("parts", "whole", "exponent", "booked"),
    [
        (["0.4", "0.4", "0.4"], "1", 0, ["1", "0", "0"]),  # a tie: the first in order
        (["0.4", "0.6", "0.5"], "2", 0, ["0", "1", "1"]),
        (["1", "2.5", "3.5"], "7", 0, ["1", "3", "3"]),  # what is whole stays
        (["-0.4", "0.9"], "1", 0, ["0", "1"]),
        (["-0.5", "-0.5"], "-1", 0, ["0", "-1"]),
        (["14", "13", "13"], "40", 1, ["20", "10", "10"]),
        ([], "0", 0, []),
    ],
)
def test_largest_remainders(parts: list[str], whole: str, exponent: int, booked: list[str]) -> None:
    found = apportion({place: Decimal(part) for place, part in enumerate(parts)}, Decimal(whole), exponent)
    assert list(found.values()) == [Decimal(amount) for amount in booked]


@pytest.mark.parametrize("whole", ["0", "4", "1.5"])
def test_a_whole_that_its_parts_cannot_reach_is_refused(whole: str) -> None:
    with pytest.raises(ValueError, match="neither the floor nor the ceiling"):
        apportion({"a": Decimal("1.2"), "b": Decimal("1.2")}, Decimal(whole), 0)
