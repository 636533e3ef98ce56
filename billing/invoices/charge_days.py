"""On which vendor day a charge counts, where a bill writes periods: its charge period, held inside its billing period.

Days are the vendor's, in the zone of the register. Use must lie within one day; what is charged for longer (a tax, a
fee, a credit) counts on the first day of it. A charge for days before or after its billing period is on this bill all
the same: it counts on the billing period's nearest day, as a fee or a credit, and its wording says what it is for,
because no use of ours of that month stands against it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from billing.invoices.days_between import days_between
from billing.invoices.errors import InvoiceRefused
from billing.invoices.vendor_times import instant
from billing.periods import load_zone
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from zoneinfo import ZoneInfo

    from billing.invoices.lines import CoveredDay
    from billing.invoices.source import SourceFile

_INSTANT_STEP = timedelta(microseconds=1)


class Period(NamedTuple):
    """Names of the two columns, and what stands in them."""

    start_field: str
    end_field: str
    start: str
    end: str


class ChargeDay(NamedTuple):
    """`outside`: the charge's own first day, where that is not in the billing period."""

    day: date
    outside: date | None


@dataclass
class ChargeDays:
    """The days of one file. Remembers the first and last of them."""

    source: SourceFile
    first: date | None = None
    last: date | None = None
    zone: ZoneInfo = field(init=False)

    def __post_init__(self) -> None:
        self.zone = load_zone(self.source.zone)
        self._days = lru_cache(maxsize=4096)(self._read)

    def of(self, place: str, charge: Period, billing: Period, *, is_use: bool) -> ChargeDay:
        """The day of a charge. Raises InvoiceRefused where a time is not one, or use is told for more than a day."""
        first, last = self._span(place, charge)
        if is_use and first != last:
            raise InvoiceRefused.at(
                self.source.name, place, charge.end_field, charge.end,
                Sentence("this use is told for more than one day of %(zone)s (it begins "
"%(start)s): export it by day or by hour", zone=self.source.zone, start=charge.start),
            )  # fmt: skip
        bill_first, bill_last = self._span(place, billing)
        day = min(max(first, bill_first), bill_last)
        self.first = day if self.first is None else min(day, self.first)
        self.last = day if self.last is None else max(day, self.last)
        return ChargeDay(day, None if day == first else first)

    def is_longer(self, place: str, charge: Period) -> bool:
        """Whether a charge is for more than one day. Raises InvoiceRefused where a time is not one."""
        first, last = self._span(place, charge)
        return first != last

    def span_of(self, charge: Period) -> tuple[date, date] | None:
        """First and last day of a charge; None where a time is not one, or its end lies before its start."""
        start, end = self._days(charge.start), self._days(charge.end)
        if start is None or end is None or end[2] < start[2]:
            return None
        return start[0], start[0] if end[2] == start[2] else end[1]

    def month_after(self, start: str) -> str:
        """Where a bill tells only when its period begins: the instant at which the month after that one begins, as a
        text; what is no instant comes back as it is, to be refused by its own name."""
        found = self._days(start)
        return start if found is None else self.midnight(found[0].year + found[0].month // 12, found[0].month % 12 + 1)

    def midnight(self, year: int, month: int) -> str:
        """The instant at which a month begins in the vendor's zone, as a text."""
        return datetime(year, month, 1, tzinfo=self.zone).astimezone(UTC).isoformat()

    def covered(self, place: str) -> Iterator[CoveredDay]:
        """Every day from the first to the last that the file has: a day between without a row is an answer too."""
        if self.first is None or self.last is None:
            return
        yield from days_between(self.source, self.first, self.last, place)

    def _span(self, place: str, period: Period) -> tuple[date, date]:
        """First and last day of a period whose end is exclusive."""
        start, end = self._days(period.start), self._days(period.end)
        if start is None:
            instant(self.source.name, place, period.start_field, period.start, utc_unsaid=True)
        if end is None:
            instant(self.source.name, place, period.end_field, period.end, utc_unsaid=True)
        assert start is not None
        assert end is not None
        if end[2] < start[2]:
            raise InvoiceRefused.at(
                self.source.name,
                place,
                period.end_field,
                period.end,
                Sentence("it lies before %(start)s", start=period.start),
            )
        return start[0], start[0] if end[2] == start[2] else end[1]

    def _read(self, text: str) -> tuple[date, date, datetime] | None:
        """(the day of an instant, the day just before it, the instant); None where the text is no instant."""
        try:
            at = instant(self.source.name, "", "", text, utc_unsaid=True)
        except InvoiceRefused:
            return None
        local = at.astimezone(self.zone)
        before = (at - _INSTANT_STEP).astimezone(UTC).astimezone(self.zone)
        return local.date(), before.date(), at
