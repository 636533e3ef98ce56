"""What a month, or a year, will cost, from what days cost so far. Pure, exact and deterministic.

A day that is still to come costs what days of its class (working day, Saturday, Sunday or holiday) cost on average in
the weeks before; a class that was not observed takes the average of all observed days. A day without use costs 0.

The range: of the observed days of a class a tenth at either end, rounded down, is left aside; the least and the most
costly of the others say what a day of the class costs at least and at most, and the average where it lies outside them.
All days to come at the least, and all at the most, are the ends of the range: it is wide on purpose, because what moves
use (a new model, a new department) moves all days together.

More use on any observed day never makes a forecast smaller: averages, order statistics and sums all rise with it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from billing.plans.day_classes import DayClass, class_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date
    from decimal import Decimal

LEFT_ASIDE = 10
"""One of how many observed days is left aside at either end."""


class Estimate(NamedTuple):
    """What a day costs: at least, on average, at most."""

    low: Fraction
    mean: Fraction
    high: Fraction


class Outlook(NamedTuple):
    """What a period will have cost at its end, and the range it will lie in."""

    low: Fraction
    forecast: Fraction
    high: Fraction

    def plus(self, other: Outlook) -> Outlook:
        """Two periods, or a period and a fixed amount on both sides."""
        return Outlook(self.low + other.low, self.forecast + other.forecast, self.high + other.high)


def estimates_of(
    days: Sequence[date], costs: Mapping[date, Decimal | Fraction], days_off: frozenset[date]
) -> dict[DayClass, Estimate]:
    """What a day of each class costs. `days` are all observed days, at least one; a day without use has no cost."""
    by_class: dict[DayClass, list[Fraction]] = {"working": [], "saturday": [], "off": []}
    for day in days:
        by_class[class_of(day, days_off)].append(Fraction(costs.get(day, 0)))
    everything = estimate([cost for observed in by_class.values() for cost in observed])
    return {kind: estimate(observed) if observed else everything for kind, observed in by_class.items()}


def estimate(observed: Sequence[Fraction]) -> Estimate:
    """Average and range of what observed days cost. Raises ValueError without any."""
    if not observed:
        raise ValueError("no day was observed, so nothing is known: that is not 0")
    mean = sum(observed, Fraction(0)) / len(observed)
    ordered = sorted(observed)
    aside = len(ordered) // LEFT_ASIDE
    return Estimate(min(ordered[aside], mean), mean, max(ordered[-1 - aside], mean))


def outlook(
    so_far: Fraction,
    to_come: Iterable[date],
    begun: Mapping[date, Decimal | Fraction],
    estimates: Mapping[DayClass, Estimate],
    days_off: frozenset[date],
) -> Outlook:
    """`so_far` is what the period cost without the days `to_come`; `begun` what those among them cost already.

    A day that has begun costs what is expected of it, or what it cost already where that is more.
    """
    low = forecast = high = so_far
    for day in to_come:
        used = Fraction(begun.get(day, 0))
        expected = estimates[class_of(day, days_off)]
        low += max(used, expected.low)
        forecast += max(used, expected.mean)
        high += max(used, expected.high)
    return Outlook(low, forecast, high)
