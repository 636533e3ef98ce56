"""Which kind of day a day is: people work on some, and what they use follows.

Three classes: working days, Saturdays, and Sundays with public holidays. Holidays come from the package `holidays`, for
South Korea with substitute days (대체공휴일); days that a government adds later are known as far as the installed
version knows them, and are named by a setting beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from billing.errors import BillingError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

DayClass = Literal["working", "saturday", "off"]
CLASSES: tuple[DayClass, ...] = ("working", "saturday", "off")
NO_COUNTRY = "none"
COUNTRY_OF_ZONE = {"Asia/Seoul": "KR"}
"""Whose holidays hold where nobody says it: of this zone's country, else none."""
_SATURDAY, _SUNDAY = 5, 6


def country_of(zone: str) -> str:
    """The country whose holidays hold in a zone, `none` where we do not know it."""
    return COUNTRY_OF_ZONE.get(zone, NO_COUNTRY)


def public_holidays(country: str, years: Iterable[int]) -> frozenset[date]:
    """The public holidays of some years. `country` is an ISO 3166 code or `none`. Raises BillingError for another."""
    if country == NO_COUNTRY:
        return frozenset()
    import holidays

    try:
        return frozenset(holidays.country_holidays(country, years=sorted(set(years))))
    except NotImplementedError:
        raise BillingError(
            f"holidays are those of {country!r}: use an ISO 3166 code such as KR, or {NO_COUNTRY!r}"
        ) from None


def class_of(day: date, days_off: frozenset[date]) -> DayClass:
    """The class of a day, given the public holidays."""
    if day in days_off or day.weekday() == _SUNDAY:
        return "off"
    return "saturday" if day.weekday() == _SATURDAY else "working"


def count_by_class(days: Iterable[date], days_off: frozenset[date]) -> dict[str, int]:
    """How many days there are of each class."""
    counts: dict[str, int] = dict.fromkeys(CLASSES, 0)
    for day in days:
        counts[class_of(day, days_off)] += 1
    return counts
