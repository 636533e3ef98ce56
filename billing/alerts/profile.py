"""When an organisation works: how its use is spread over the hours of a week, in the local zone. Pure and exact."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from billing.periods import hour_number, hour_start, load_zone, second_number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

DAYS_MIN = 14
"""Less history than two weeks makes no profile."""
WEEKS = 4
SECONDS_AN_HOUR = 3600

Cell = tuple[int, int]
"""Weekday (Monday is 0) and hour of the local clock."""


class Profile:
    """Weights of the hours of a week; their unit is of no account."""

    def __init__(self, weights: Mapping[Cell, int], zone: str) -> None:
        self._weights = dict(weights)
        self._zone = load_zone(zone)
        self._sums: dict[tuple[int, int], list[int]] = {}

    def share_passed(self, first_hour: int, end_hour: int, moment: datetime) -> Fraction | None:
        """Which share of a window's usual use has passed at an instant within it; None where usually nothing is used.
        Of the hour that runs, the part that has passed counts."""
        sums = self._cumulated(first_hour, end_hour)
        if not sums[-1]:
            return None
        hour = hour_number(moment)
        whole = sums[hour - first_hour]
        weight = sums[hour - first_hour + 1] - whole
        into_s = second_number(moment) - second_number(hour_start(hour))
        return (whole + Fraction(weight * into_s, SECONDS_AN_HOUR)) / sums[-1]

    def hour_of_share(self, first_hour: int, end_hour: int, share: Fraction) -> int:
        """The UTC hour in which a share of the window's usual use is reached."""
        sums = self._cumulated(first_hour, end_hour)
        return next(
            (first_hour + place for place, so_far in enumerate(sums[1:]) if so_far >= share * sums[-1]), end_hour - 1
        )

    def _cumulated(self, first_hour: int, end_hour: int) -> list[int]:
        """Weights added up from the window's start: one more than it has hours."""
        found = self._sums.get((first_hour, end_hour))
        if found is None:
            found = [0]
            for hour in range(first_hour, end_hour):
                here = hour_start(hour).astimezone(self._zone)
                found.append(found[-1] + self._weights.get((here.weekday(), here.hour), 0))
            self._sums[first_hour, end_hour] = found
        return found


def profile_of(events_by_hour: Mapping[int, int], first_hour: int, now_hour: int, zone: str) -> Profile | None:
    """The profile of the last `WEEKS` weeks before an hour, from events by UTC hour. `first_hour`: since when usage is
    known. None where that is less than `DAYS_MIN` days ago."""
    since = max(first_hour, now_hour - WEEKS * 7 * 24)
    if now_hour - since < DAYS_MIN * 24:
        return None
    tz = load_zone(zone)
    weights: dict[Cell, int] = {}
    for hour, events in events_by_hour.items():
        if since <= hour < now_hour and events > 0:
            here = hour_start(hour).astimezone(tz)
            cell = (here.weekday(), here.hour)
            weights[cell] = weights.get(cell, 0) + events
    return Profile(weights, zone) if weights else None
