"""FOCUS with use told by the month, as resellers write it: rows of use whose charge period is longer than a day.

The rows are those of `focus`; use of a month tells no days, so it counts on the month's last day and covers the whole
month, and reconciliation compares the month (`recognise.MONTHLY`).
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from billing.invoices.csv_rows import rows_of
from billing.invoices.days_between import days_between
from billing.invoices.focus import COLUMNS, REQUIRED, WANTED, FocusCsv, FocusRows
from billing.invoices.focus_grain import tells_months
from billing.invoices.lines import CoveredDay, VendorLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing.invoices.source import SourceFile


@dataclass(frozen=True)
class FocusMonths(FocusCsv):
    """A cost and usage data set of FOCUS by the month."""

    format: str = "focus.by_month"

    def recognise(self, source: SourceFile) -> str | None:
        """By its header, and by the charge period of its first row of use."""
        why = self.header_says(source)
        return f"{why}; use is told by the month" if why is not None and tells_months(source) else None

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """A line a row, on the last day of its month; at the end all days of the months."""
        rows, months, place = FocusRows(source, whole_months=True), set(), "line 1"
        for place, row in rows_of(source, COLUMNS, REQUIRED, wanted=WANTED, own_prefix="x_", doubles=()):
            line = rows.line(place, row)
            last = line.day.replace(day=monthrange(line.day.year, line.day.month)[1])
            months.add(last)
            yield replace(line, day=last)
        for last in sorted(months):
            yield from days_between(source, last.replace(day=1), last, place)
