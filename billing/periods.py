"""Months, days and hours: a month in a zone is a half-open range of whole UTC hours (design.md, decision 10).

Hours count since 1970-01-01T00:00Z, as in the usage tables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from billing.errors import BillingError
from billing.sentences import Sentence

HOUR_SECONDS = 3600
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month in a zone. `first_hour` and `end_hour` are half-open UTC hours since 1970."""

    name: str
    zone: str
    first_hour: int
    end_hour: int
    days: tuple[date, ...]
    day_hours: tuple[int, ...]
    """The UTC hour at which each local day begins, beside `days`."""


@lru_cache(maxsize=256)
def month_in(name: str, zone: str) -> Month:
    """The month `YYYY-MM` in a zone. Raises BillingError for another form or a zone off whole hours."""
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", name) or name.startswith("0000"):
        raise BillingError(Sentence("month is %(month)s: write it as YYYY-MM, for example 2026-10", month=repr(name)))
    if name == "9999-12":
        raise BillingError("month is '9999-12': later than any month that can be billed")
    year, number = int(name[:4]), int(name[5:])
    first = date(year, number, 1)
    after = date(year + number // 12, number % 12 + 1, 1)
    days = tuple(first + timedelta(days=n) for n in range((after - first).days))
    starts = tuple(day_start(day, zone) for day in (*days, after))
    return Month(name, zone, starts[0], starts[-1], days, starts[:-1])


def month_of_hour(hour: int, zone: str) -> str:
    """The month `YYYY-MM` of a zone in which a UTC hour lies."""
    return hour_start(hour).astimezone(load_zone(zone)).strftime("%Y-%m")


def hour_start(hour: int) -> datetime:
    """The instant at which a UTC hour since 1970 begins."""
    return datetime.fromtimestamp(hour * HOUR_SECONDS, tz=UTC)


def local_seconds(hour: int, zone: ZoneInfo) -> int:
    """What the clocks of a zone show at the beginning of a UTC hour, as seconds since their 1970-01-01T00:00."""
    here = hour_start(hour).astimezone(zone)
    offset = here.utcoffset()
    assert offset is not None
    return hour * HOUR_SECONDS + offset // _SECOND


def hour_number(moment: datetime) -> int:
    """The UTC hour since 1970 in which an aware instant lies."""
    return (moment - EPOCH) // timedelta(seconds=HOUR_SECONDS)


def second_number(moment: datetime) -> int:
    """The whole seconds since 1970 at an aware instant."""
    return (moment - EPOCH) // _SECOND


def is_whole_hour(moment: datetime) -> bool:
    """Whether an aware instant is the start of a UTC hour."""
    in_utc = moment.astimezone(UTC)
    return (in_utc.minute, in_utc.second, in_utc.microsecond) == (0, 0, 0)


def load_zone(name: str) -> ZoneInfo:
    """The zone of a name. Raises BillingError naming it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BillingError(
            Sentence("time zone is %(name)s: use a name such as Asia/Seoul or UTC", name=repr(name))
        ) from None


def day_start(day: date, zone: str) -> int:
    """The UTC hour at which a local day begins. Raises BillingError for a zone off whole hours."""
    try:
        start = datetime(day.year, day.month, day.day, tzinfo=load_zone(zone)).astimezone(UTC)
    except OverflowError:
        raise BillingError(
            Sentence("month of %(day)s is outside what a calendar can hold: use a year from 2 to 9998", day=day)
        ) from None
    if not is_whole_hour(start):
        raise BillingError(
            Sentence(
                "time zone is %(name)s: its days do not begin on a whole UTC hour; use one where they do",
                name=repr(zone),
            )
        )
    return hour_number(start)


def day_starts(first_hour: int, end_hour: int, zone: str) -> set[int]:
    """The UTC hours strictly between two at which a local day begins."""
    zone_info = load_zone(zone)
    return {hour for hour in range(first_hour + 1, end_hour) if hour_start(hour).astimezone(zone_info).hour == 0}
