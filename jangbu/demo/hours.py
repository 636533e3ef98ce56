"""When people of a Korean city hall work: public holidays, and the shape of a day by the hour in KST.

Holidays: the Korean rules on days off of public offices, with substitute days, as far as they fall on weekdays; the
lunar ones and the substitutes are written out. A year that is not here has no holidays, which harms no figure.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

SEOUL = ZoneInfo("Asia/Seoul")
HOURS_AFTER_MONTH = 9
"""A UTC month ends nine hours after the Korean one: a vendor's bill speaks of these hours too."""

_HOLIDAYS = """
2025-12-25
2026-01-01 2026-02-16 2026-02-17 2026-02-18 2026-03-02 2026-05-05 2026-05-25 2026-06-03 2026-08-17 2026-09-24
2026-09-25 2026-10-05 2026-10-09 2026-12-25
2027-01-01 2027-02-08 2027-02-09 2027-03-01 2027-05-05 2027-05-13 2027-08-16 2027-09-14 2027-09-15 2027-09-16
2027-10-04 2027-10-11 2027-12-27
"""
HOLIDAYS = frozenset(date.fromisoformat(day) for day in _HOLIDAYS.split())

_WORKDAY_BY_HOUR = (
    15, 10, 6, 5, 6, 12, 40, 150, 480, 960, 1150, 1000, 340, 830, 1080, 1100, 1010, 800, 330, 210, 150, 100, 60, 30,
)  # fmt: skip
"""Requests by the hour of a working day, any scale: a peak before noon, a hole at lunch, overtime in the evening."""
_DAY_OFF_BY_HOUR = (4, 3, 2, 2, 2, 3, 5, 8, 14, 26, 34, 36, 28, 30, 36, 38, 36, 30, 24, 24, 26, 24, 16, 8)
_BY_WEEKDAY = (1.06, 1.05, 1.02, 1.0, 0.87)


def is_day_off(day: date) -> bool:
    """Whether the city hall is closed: weekends and public holidays."""
    return day.weekday() >= len(_BY_WEEKDAY) or day in HOLIDAYS


def hour_weights(day: date) -> Sequence[float]:
    """How much is asked in each of the 24 hours of a Korean day, on one scale for all days."""
    if is_day_off(day):
        return _DAY_OFF_BY_HOUR
    factor = _BY_WEEKDAY[day.weekday()]
    return [weight * factor for weight in _WORKDAY_BY_HOUR]


def month_hours(month: str) -> list[tuple[datetime, float]]:
    """(begin of the hour in KST, weight) from the begin of a Korean month to the end of the same month in UTC."""
    day = date.fromisoformat(f"{month}-01")
    hours: list[tuple[datetime, float]] = []
    while day.strftime("%Y-%m") == month:
        hours += _hours(day, 24)
        day += timedelta(days=1)
    return hours + _hours(day, HOURS_AFTER_MONTH)


def _hours(day: date, count: int) -> list[tuple[datetime, float]]:
    weights = hour_weights(day)
    return [(datetime(day.year, day.month, day.day, hour, tzinfo=SEOUL), weights[hour]) for hour in range(count)]
