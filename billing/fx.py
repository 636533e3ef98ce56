"""Exchange rates: dated rows with their source, and the rate of a day (contract.md, sections 7 and 9, FX).

A rate says how many units of `quote` ONE unit of `base` is. Only the pair as written is used: an inverse or a cross
rate is never computed, because the official rate of the other direction differs. The rate of a day is that day's row,
else the last one before it (holidays); with none before it the amount stays unconverted, which shows, and is never 0.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from billing.csv_file import CellError, Columns, day_cell, read_file
from billing.errors import CellProblem, FileRefused
from billing.money import MINOR_DIGITS, exact, parse_amount, plain
from billing.sentences import Sentence, said_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

COLUMNS = Columns(required=("date", "base", "quote", "rate"), optional=("source",))
FAR_TIMES = 5
FAR_ID = 1 << 62
"""Rows that are not stored yet count after those that are."""
_HUNDREDS = re.compile(r"([A-Z]{3})\((1|10|100|1000)\)")


@dataclass(frozen=True, slots=True)
class FxRow:
    """One unit of `base` is `rate` units of `quote` on `date`. `id` is 0 for a row that is not stored yet."""

    id: int
    date: date
    base: str
    quote: str
    rate: Decimal
    source: str


class FxTable:
    """Rates of all pairs, ready to be asked."""

    def __init__(self, rows: Iterable[FxRow]) -> None:
        by_pair: dict[tuple[str, str], dict[date, FxRow]] = {}
        for row in sorted(rows, key=lambda row: row.id):
            by_pair.setdefault((row.base, row.quote), {})[row.date] = row
        self._days = {pair: sorted(rows_by_day) for pair, rows_by_day in by_pair.items()}
        self._rows = by_pair

    def on(self, day: date, base: str, quote: str) -> FxRow | None:
        """The row of that day, else the last one before it; None where there is none."""
        days = self._days.get((base, quote), [])
        place = bisect_right(days, day)
        return self._rows[base, quote][days[place - 1]] if place else None

    def before(self, day: date, base: str, quote: str) -> FxRow | None:
        """The last row before a day."""
        days = self._days.get((base, quote), [])
        place = bisect_left(days, day)
        return self._rows[base, quote][days[place - 1]] if place else None

    def within(self, first: date, last: date, base: str, quote: str) -> list[FxRow]:
        """The rows of the days from `first` to `last`, both included, by day."""
        days = self._days.get((base, quote), [])
        rows = self._rows.get((base, quote), {})
        return [rows[day] for day in days[bisect_left(days, first) : bisect_right(days, last)]]


def read_fx(raw: bytes, name: str) -> list[FxRow]:
    """The rows of an fx file, in its order, with id 0. Raises FileRefused naming everything that is wrong."""
    read = read_file(raw, name, COLUMNS, lambda cells: _row(cells, name))
    seen: dict[tuple[date, str, str], int] = {}
    problems = []
    for line, row in read:
        key = (row.date, row.base, row.quote)
        if key in seen:
            remedy = Sentence("line %(place)s gives the rate of that day and pair already: keep one", place=seen[key])
            problems.append(CellProblem(name, line, "date", row.date.isoformat(), remedy))
        seen.setdefault(key, line)
    if problems:
        raise FileRefused(problems)
    return [row for _, row in read]


def new_rates(book: Iterable[FxRow], rows: Iterable[FxRow]) -> tuple[list[FxRow], list[FxRow]]:
    """(added, changed): rows for a new day or pair, and rows whose rate or source differs from the one that counts."""
    counting = {(row.date, row.base, row.quote): row for row in sorted(book, key=lambda row: row.id)}
    added, changed = [], []
    for row in rows:
        known = counting.get((row.date, row.base, row.quote))
        if known is None:
            added.append(row)
        elif (known.rate, known.source) != (row.rate, row.source):
            changed.append(row)
    return added, changed


def doubtful_rates(book: Iterable[FxRow], rows: Iterable[FxRow]) -> list[Sentence]:
    """Sentences about rates that are FAR_TIMES away from the pair's last one before: a slip of a point, or a table for
    a hundred units that was not written as one. They are taken all the same: a person decides."""
    table = FxTable([*book, *(replace(row, id=FAR_ID) for row in rows)])
    told = []
    for row in rows:
        before = table.before(row.date, row.base, row.quote)
        if before is None or (before.rate < row.rate * FAR_TIMES and row.rate < before.rate * FAR_TIMES):
            continue
        told.append(
            Sentence(
                "%(base)s in %(quote)s is %(rate)s on %(day)s, and %(before)s on %(day_before)s: "
                "is it for one %(base)s? (a rate for a hundred is written %(base)s(100))",
                base=row.base, quote=row.quote, rate=plain(row.rate), day=row.date, before=plain(before.rate),
                day_before=before.date,
            )
        )  # fmt: skip
    return told


def _row(cells: Mapping[str, str], name: str) -> FxRow:
    day = day_cell("date", cells["date"])
    base, units = _base(cells["base"])
    quote = _currency("quote", cells["quote"])
    if base == quote:
        raise CellError("quote", quote, "name another currency than the base")
    try:
        rate = parse_amount(cells["rate"])
    except ValueError as error:
        raise CellError("rate", cells["rate"], said_by(error)) from None
    if not rate:
        raise CellError("rate", cells["rate"], "give a rate above 0, or leave the day out")
    with exact():
        return FxRow(0, day, base, quote, rate / units, cells.get("source") or name)


def _base(text: str) -> tuple[str, int]:
    """The currency, and for how many of it the rate is stated: JPY(100), as Korean rate tables write it, is 100."""
    found = _HUNDREDS.fullmatch(text)
    return (_currency("base", found.group(1)), int(found.group(2))) if found else (_currency("base", text), 1)


def _currency(column: str, text: str) -> str:
    if text not in MINOR_DIGITS:
        raise CellError(column, text, "use an ISO 4217 code in capitals, such as USD or KRW")
    return text
