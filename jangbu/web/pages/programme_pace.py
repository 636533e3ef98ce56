"""Where a programme's budget is going: at the pace since its first day, used up when, and how much by its end. Pure."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

UNKNOWN: Final[dict[str, Any]] = {"projected": None, "exhausted_on": None}


def pace(used: Decimal, budget: Decimal | None, starts_on: date, ends_on: date, today: date) -> dict[str, Any]:
    """`projected`: whole units of the currency by the last day; `exhausted_on`: the day on which the budget is used up,
    if that is before `ends_on` (exclusive). Both None before it begins, after it ended, and without use or a budget;
    today counts as a whole day. What is used up already has no day to come."""
    if budget is None or used <= 0 or not starts_on <= today < ends_on:
        return UNKNOWN
    a_day = Fraction(used) / ((today - starts_on).days + 1)
    projected = round(a_day * (ends_on - starts_on).days)
    day = starts_on + timedelta(days=int(min(Fraction(budget) / a_day, Fraction((ends_on - starts_on).days))))
    return {"projected": str(projected), "exhausted_on": day if today <= day < ends_on and used < budget else None}
