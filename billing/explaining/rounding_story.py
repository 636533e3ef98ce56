"""Why an exact amount was booked as its floor or its ceiling (contract.md, section 9, Rounding), told from the outcome.

Pure, and independent of the code that rounded: it looks at all the parts of a whole with what each was booked as, and
finds the place of one of them among the remainders. So a figure that was rounded by no rule shows.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Rounded:
    """One part: amounts in the currency; `remainder` in steps, from 0 to below 1. `place` is the part's among the
    remainders, largest first, of `parts`; `left` steps were given out. `agrees`: the booked amount follows the rule."""

    exact: Fraction
    booked: Decimal
    floor: Fraction
    remainder: Fraction
    place: int
    parts: int
    left: int
    agrees: bool
    why: str


def rounded_part(
    exact: Mapping[Key, Fraction],
    booked: Mapping[Key, Decimal],
    key: Key,
    step_exponent: int,
    first: frozenset[Key] = frozenset(),
) -> Rounded:
    """How the part `key` of a whole was rounded to steps of 10**step_exponent.

    `exact` and `booked` hold all parts in the order in which ties are decided; `first` are the parts that policy gives
    a step that is left before all others.
    """
    step = Fraction(10) ** step_exponent
    floors = {part: math.floor(amount / step) for part, amount in exact.items()}
    remainders = {part: amount / step - floors[part] for part, amount in exact.items()}
    whole = sum((Fraction(amount) for amount in booked.values()), Fraction(0)) / step
    left = whole - sum(floors.values())
    order = sorted(remainders, key=lambda part: (not (remainders[part] and part in first), -remainders[part]))
    place = order.index(key) + 1
    is_near = abs(exact[key] - Fraction(booked[key])) < step
    due = floors[key] + (1 if place <= left else 0)
    return Rounded(
        exact=exact[key],
        booked=booked[key],
        floor=floors[key] * step,
        remainder=remainders[key],
        place=place,
        parts=len(exact),
        left=int(left),
        agrees=left.denominator == 1 and due * step == Fraction(booked[key]) and is_near,
        why=_why(remainders[key], place, int(left), len(exact), key in first),
    )


def rounded_whole(exact: Fraction, booked: Decimal, step_exponent: int) -> Rounded:
    """How the organisation's total, which no part decides, was rounded: once, half to even."""
    step = Fraction(10) ** step_exponent
    floor = math.floor(exact / step)
    remainder = exact / step - floor
    return Rounded(
        exact=exact,
        booked=booked,
        floor=floor * step,
        remainder=remainder,
        place=1,
        parts=1,
        left=round(exact / step) - floor,
        agrees=round(exact / step) * step == Fraction(booked),
        why="a whole number of steps: nothing to round" if not remainder else "the total is rounded once, half to even",
    )


def _why(remainder: Fraction, place: int, left: int, parts: int, goes_first: bool) -> str:
    if not remainder:
        return "a whole number of steps: nothing to round"
    if goes_first and place <= left:
        return f"rounded up: policy gives it the first of the {left} steps that the floors of all {parts} parts leave"
    ranked = f"by remainder it is number {place} of {parts}"
    if place <= left:
        return f"rounded up: the floors of all {parts} parts leave {left} to give, and {ranked}"
    return f"rounded down: the floors of all {parts} parts leave {left} to give, and {ranked}"
