"""Times as vendors write them: instants of RFC 3339, calendar days, and months that a surface tells without days."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from billing.invoices.errors import InvoiceRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

YEARS = range(2015, 2100)
ONE_DAY = timedelta(days=1)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def instant(file: str, place: str, field: str, value: object, *, utc_unsaid: bool = False) -> datetime:
    """An instant in UTC. `utc_unsaid`: the vendor writes UTC without saying so, and may write a midnight as the day
    alone. Raises InvoiceRefused."""
    found: datetime | None = None
    if utc_unsaid and isinstance(value, str) and _DAY.fullmatch(value.strip()):
        value = f"{value.strip()}T00:00:00"
    if isinstance(value, str) and (match := _INSTANT.fullmatch(value.strip())):
        text = value.strip() if match.group(2) or not utc_unsaid else f"{value.strip()}Z"
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            found = None
    if found is None or found.tzinfo is None or found.year not in YEARS:
        raise InvoiceRefused.at(file, place, field, value, "write an instant such as 2026-10-01T00:00:00Z")
    return found.astimezone(UTC)


def calendar_day(file: str, place: str, field: str, value: object) -> date:
    """A day written as 2026-10-01. Raises InvoiceRefused."""
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            found = date.fromisoformat(value)
        except ValueError:
            found = None
        if found is not None and found.year in YEARS:
            return found
    raise InvoiceRefused.at(file, place, field, value, "write a day as 2026-10-01")


def bucket_utc_day(file: str, place: str, start: object, end: object, *, whole: bool) -> date:
    """The UTC day of a bucket from `starting_at` to `ending_at` (exclusive). `whole`: it must be the whole day.

    Raises InvoiceRefused for a bucket that is no part of one UTC day.
    """
    first, last = instant(file, place, "starting_at", start), instant(file, place, "ending_at", end)
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    if whole and first != midnight:
        raise InvoiceRefused.at(file, place, "starting_at", start, "a bucket starts at 00:00 UTC")
    if not first < last <= midnight + ONE_DAY or (whole and last != midnight + ONE_DAY):
        raise InvoiceRefused.at(file, place, "ending_at", end, "a bucket is one UTC day; ask with bucket_width 1d")
    return first.date()


def month_days(file: str, place: str, field: str, year: object, month: object) -> Sequence[date]:
    """The days of a month, in order. Raises InvoiceRefused where the numbers are no month."""
    if type(year) is not int or type(month) is not int or year not in YEARS or not 1 <= month <= 12:
        raise InvoiceRefused.at(file, place, field, f"{year}-{month}", "a year and a month from 1 to 12 stand here")
    first = date(year, month, 1)
    following = date(year + month // 12, month % 12 + 1, 1)
    return [first + n * ONE_DAY for n in range((following - first).days)]
