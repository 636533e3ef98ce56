"""Quiet hours: at which instant somebody may be told. Pure; hours are those of the organisation's wall clock."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple

from billing.alerts.alert import Severity, is_at_least
from billing.periods import load_zone

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_SPAN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


class QuietHours(NamedTuple):
    """From a time of day to another, half-open; over midnight where the end is the earlier one. What is as grave as
    `except_from` is told at any hour."""

    begin: time
    end: time
    except_from: Severity = "critical"

    def told_at(self, severity: Severity, moment: datetime, zone: str) -> datetime:
        """When something that is due at an instant may be told: then, or at the end of the quiet hours that hold it."""
        if is_at_least(severity, self.except_from):
            return moment
        tz = load_zone(zone)
        here = moment.astimezone(tz)
        for first in (here.date() - timedelta(days=1), here.date()):
            begin, end = self._span(first, tz)
            if begin <= moment < end:
                return end
        return moment

    def _span(self, day: date, tz: ZoneInfo) -> tuple[datetime, datetime]:
        """The quiet hours that begin on a day. Where a clock change leaves a time out, the instant after the gap."""
        last = day + timedelta(days=1) if self.end <= self.begin else day
        return tuple(  # type: ignore[return-value]
            datetime.combine(one, clock, tz).astimezone(UTC) for one, clock in ((day, self.begin), (last, self.end))
        )


def parse_quiet_hours(text: str) -> tuple[time, time]:
    """`22:00-07:00`. Raises ValueError."""
    found = _SPAN.fullmatch(text.strip())
    if found is None or found[0][:5] == found[0][6:]:
        raise ValueError("are no hours of a day: write 22:00-07:00")
    return time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
