"""The window of a quota: an hour, day, week, month or year of the organisation's zone as half-open UTC hours.

A pure function of the calendar and the zone: nothing is ever "reset", so no restart and no clock change can lose or
double a window. Weeks begin on Monday (ISO 8601).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple, get_args

from billing.periods import day_start, hour_number, hour_start, load_zone

WindowKind = Literal["hour", "day", "week", "month", "year"]
WINDOW_KINDS: tuple[WindowKind, ...] = get_args(WindowKind)


class Window(NamedTuple):
    """UTC hours since 1970, half-open."""

    kind: WindowKind
    first_hour: int
    end_hour: int

    @property
    def start(self) -> datetime:
        """The instant at which it begins."""
        return hour_start(self.first_hour)

    @property
    def end(self) -> datetime:
        """The instant at which the next one begins: when the quota is whole again."""
        return hour_start(self.end_hour)


def window_of(kind: WindowKind, moment: datetime, zone: str) -> Window:
    """The window of a kind in which an aware instant lies. Raises BillingError for an unknown zone."""
    if kind == "hour":
        hour = hour_number(moment)
        return Window(kind, hour, hour + 1)
    day = moment.astimezone(load_zone(zone)).date()
    first, after = _days(kind, day)
    return Window(kind, day_start(first, zone), day_start(after, zone))


def _days(kind: WindowKind, day: date) -> tuple[date, date]:
    if kind == "day":
        return day, day + timedelta(days=1)
    if kind == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    if kind == "month":
        return day.replace(day=1), date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return date(day.year, 1, 1), date(day.year + 1, 1, 1)
