"""Round once, from the top down (contract.md, section 9, Rounding).

The organisation's total is rounded once, half to even. Its departments, and then the items of each department, are cut
down to the step below and given the steps that are left one by one, largest remainder first, ties by place in the
mapping (callers order by code). So parts add up to their whole exactly, and every figure is the floor or the ceiling of
its exact value; a value that already is a whole number of steps stays as it is.

Exact values are `Fraction`, because a share of a cost (a third) has no end as a decimal; `Decimal` is taken as well.

A department may be named to take the rest (`MoneyPolicy.rest_to`). It then gets the first step that is left, however
small its remainder, so that it is rounded up whenever anything is left to give; but never more than one, and never one
if it has no remainder, because every figure stays the floor or the ceiling of its exact value. What is left beyond that
goes by largest remainder as ever.

Why that always works: a whole that is the floor or the ceiling of the sum of its parts lies between F, the sum of their
floors, and F + k, k being the parts with a remainder, because the remainders add up to (sum - F) and each is below one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

from billing.money import exact

Key = TypeVar("Key", bound=Hashable)


def round_total(amount: Decimal | Fraction, step_exponent: int) -> Decimal:
    """The amount as a whole number of steps of 10**step_exponent, half to even."""
    with exact():
        return Decimal(round(_in_steps(amount, step_exponent))).scaleb(step_exponent)


def apportion(
    parts: Mapping[Key, Decimal | Fraction],
    whole: Decimal,
    step_exponent: int,
    goes_first: Callable[[Key], bool] = lambda _: False,
) -> dict[Key, Decimal]:
    """Each part as a whole number of steps, so that together they are `whole`.

    `whole` is a whole number of steps: the floor or the ceiling of the sum of the parts. Parts may be negative. Keys
    that go first and have a remainder get a step before all others; earlier keys win ties. Raises ValueError for
    another whole.
    """
    ratios = {key: amount.as_integer_ratio() for key, amount in parts.items()}
    common = math.lcm(*(denominator for _, denominator in ratios.values()))
    # Whole numbers from here on: a part comes to numerator / step of steps. Fractions would say the same, slower.
    up, step = 10 ** max(0, -step_exponent), common * 10 ** max(0, step_exponent)
    scaled = {key: numerator * (common // denominator) * up for key, (numerator, denominator) in ratios.items()}
    floors = {key: amount // step for key, amount in scaled.items()}
    remainders = {key: scaled[key] - floors[key] * step for key in scaled}
    target = _in_steps(whole, step_exponent)
    if target.denominator != 1 or abs(target.numerator * step - sum(scaled.values())) >= step:
        raise ValueError(f"{whole} is neither the floor nor the ceiling of the sum of its {len(parts)} parts")
    left = target.numerator - sum(floors.values())
    by_remainder = sorted(remainders, key=lambda key: (not (remainders[key] and goes_first(key)), -remainders[key]))
    for key in by_remainder[:left]:
        floors[key] += 1
    with exact():
        return {key: Decimal(steps).scaleb(step_exponent) for key, steps in floors.items()}


def _in_steps(amount: Decimal | Fraction, step_exponent: int) -> Fraction:
    return Fraction(amount) * Fraction(10) ** -step_exponent
