"""Why a bill changed: quantity and price effects, which always come to the difference."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.movers import Group, Thing, Used, movers

UNIT: Thing = ("openai", "gpt-x", "input_tokens")
MonthUse = dict[tuple[Group, Thing], Used]


@pytest.mark.parametrize(
    ("before", "now", "by_quantity", "by_price"),
    [
        ((100, 200), (200, 400), 200, 0),
        ((100, 200), (100, 300), 0, 100),
        ((100, 200), (200, 600), 200, 200),
        ((0, 0), (50, 70), 70, 0),
        ((50, 70), (0, 0), -70, 0),
        ((3, 10), (4, 10), 3, -3),
    ],
)
def test_more_use_and_another_price_are_told_apart(
    before: tuple[int, int], now: tuple[int, int], by_quantity: int, by_price: int
) -> None:
    old, new = (Used(quantity, Decimal(cost)) for quantity, cost in (before, now))
    (found,) = movers({("m", UNIT): old}, {("m", UNIT): new}, 0)
    assert (found.quantity_effect, found.price_effect) == (Decimal(by_quantity), Decimal(by_price))


def test_the_largest_move_stands_first_whatever_its_sign() -> None:
    five = Used(1, Decimal(5))
    before: MonthUse = {("a", UNIT): Used(1, Decimal(10)), ("b", UNIT): Used(1, Decimal(100)), (None, UNIT): five}
    now: MonthUse = {("a", UNIT): Used(1, Decimal(30)), (None, UNIT): Used(1, Decimal(5))}
    assert [one.group for one in movers(before, now, 0)] == ["b", "a", None]


def test_what_has_no_price_is_told() -> None:
    (found,) = movers({("a", UNIT): Used(1, Decimal(1))}, {("a", UNIT): Used(5, None)}, 0)
    assert found.is_partial
    assert [found.now, found.quantity_effect, found.price_effect] == [0, -1, 0]


USED = st.builds(Used, st.integers(0, 10**12), st.none() | st.decimals(0, 10**9, places=6))
MONTH = st.dictionaries(st.tuples(st.sampled_from(["a", "b", None]), st.tuples(st.sampled_from("xyz"))), USED)


@given(MONTH, MONTH)
def test_effects_come_to_the_difference_of_all_that_is_known(before: MonthUse, now: MonthUse) -> None:
    found = movers(before, now, 2)
    assert all(one.quantity_effect + one.price_effect == one.now - one.before for one in found)
    known = sum(one.cost or 0 for one in now.values()) - sum(one.cost or 0 for one in before.values())
    assert sum(one.difference for one in found) == known
