"""A table of no known shape, read by a mapping that somebody brings (`mapping`): rows with a day and an amount.

A row of use names model and unit; what the table does not tell by model is a total. Figures are exact: the mapping's
marks are taken off, and what is left must be a plain decimal. Rows that state the total are compared with the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from billing.invoices.csv_rows import rows_of
from billing.invoices.days_between import days_between
from billing.invoices.errors import InvoiceRefused
from billing.invoices.figures import decimals, figure
from billing.invoices.lines import ANYBODY, CoveredDay, FileKind, LineKind, StatedTotal, VendorLine
from billing.invoices.mapping import Kind, Mapping, MappingFile, Unit, read_mapping
from billing.invoices.money_cells import OneCurrency
from billing.invoices.texts import text_of
from billing.invoices.token_meters import FOLDS, TIERS, folded
from billing.invoices.vendor_times import YEARS, month_days
from billing.money import exact, plain
from billing.periods import load_zone
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing.invoices.source import SourceFile

BY_DAY, BY_MONTH = "generic.by_day", "generic.by_month"
FORMATS = (BY_DAY, BY_MONTH)


@dataclass(frozen=True)
class MappedTable:
    """The importer that a mapping makes. Without one (`mapping` None) it tells what is folded and reads nothing."""

    mapping: Mapping | None
    file: MappingFile | None = None
    format: str = BY_DAY
    vendor: str = ANYBODY
    kind: FileKind = FileKind.COST

    @property
    def folds(self) -> dict[str, str]:
        """See `token_meters.FOLDS`: what somebody types tells reasoning and lifetimes in no agreed way."""
        return FOLDS

    @classmethod
    def by(cls, file: MappingFile) -> MappedTable:
        """The importer of a mapping file. Raises InvoiceRefused where the mapping is wrong."""
        mapping = read_mapping(file)
        return cls(mapping, file, BY_MONTH if mapping.is_by_month else BY_DAY)

    def recognise(self, source: SourceFile) -> str | None:  # noqa: ARG002 - as the protocol has it
        """Nothing is recognised: a person says that the file is to be read so."""
        return None if self.file is None else f"read by the mapping {self.file.name} ({self.file.sha256[:12]})"

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay | StatedTotal]:
        """A line a row, the days between the first and the last, and the total where a row states it."""
        if self.mapping is None:
            raise InvoiceRefused(
                Sentence("%(file)s was read by a mapping: name it again with --mapping", file=source.name)
            )
        mapping = self.mapping
        known = {*mapping.columns.values(), *mapping.ignored}
        rows = rows_of(source, known, list(mapping.columns.values()), delimiter=mapping.delimiter)
        table = _Rows(source, mapping)
        for place, cells in rows:
            line = table.line(place, {ours: cells[theirs] for ours, theirs in mapping.columns.items()})
            if line is not None:
                yield line
        yield from table.at_the_end()


@dataclass
class _Rows:
    """One reading of a table: what its rows came to so far."""

    source: SourceFile
    mapping: Mapping
    added: Decimal = Decimal(0)
    stated: tuple[str, Decimal] | None = None
    days: set[date] = field(default_factory=set)
    place: str = "line 1"

    def __post_init__(self) -> None:
        self.currency = OneCurrency(self.source, self.mapping.columns.get("currency", "currency"))
        self.currency.known = self.mapping.currency
        self._day = lru_cache(maxsize=4096)(self._read_day)

    def line(self, place: str, row: dict[str, str]) -> VendorLine | None:
        """The line of a row; None for one that states the total."""
        self.place = place
        told = self._kind(place, row)
        amount = self._figure(place, "amount", row["amount"], money=True)
        if told.is_reversed != self.mapping.is_reversed:
            with exact():
                amount = -amount
        money = self.currency.of(place, row.get("currency") or self.mapping.currency or "")
        if told.kind is None:
            if self.stated is not None:
                raise self._refused(
                    place, "kind", row["kind"], Sentence("%(place)s states the total already", place=self.stated[0])
                )
            self.stated = (place, amount)
            return None
        day = self._day(row["day"])
        if day is None:
            raise self._refused(
                place,
                "day",
                row["day"],
                Sentence("dates are written %(format)s", format=repr(self.mapping.date_format)),
            )
        self.days.add(day)
        with exact():
            self.added += amount
        account = self._text(place, "account", row)
        text = self._text(place, "text", row) or row.get("kind") or None
        line = VendorLine(place, day, told.kind, text, account, amount=amount, currency=money)
        return self._use(place, row, line) if told.kind is LineKind.USAGE else line

    def at_the_end(self) -> Iterator[CoveredDay | StatedTotal]:
        """The days that the table speaks about, and its total."""
        if not self.days:
            raise InvoiceRefused(
                Sentence(
                    "%(file)s has no row: export it again; nothing of this import was stored", file=self.source.name
                )
            )
        if self.mapping.is_by_month:
            for last in sorted(self.days):
                days = month_days(self.source.name, self.place, "day", last.year, last.month)
                yield from (CoveredDay(day, self.place) for day in days)
        else:
            yield from days_between(self.source, min(self.days), max(self.days), self.place)
        if self.stated is None:
            return
        place, total = self.stated
        with exact():
            off = abs(total - self.added)
        if off > self.mapping.total_tolerance:
            raise self._refused(
                place, "amount", plain(total), Sentence("the rows add up to %(sum)s", sum=plain(self.added))
            )
        assert self.currency.known is not None
        yield StatedTotal(place, self._first_day(), max(self.days), total, self.currency.known)

    def _first_day(self) -> date:
        return min(self.days).replace(day=1) if self.mapping.is_by_month else min(self.days)

    def _kind(self, place: str, row: dict[str, str]) -> Kind:
        if "kind" not in row:
            return Kind(LineKind.USAGE if row.get("model") else LineKind.TOTAL, is_reversed=False)
        found = self.mapping.kinds.get(row["kind"])
        if found is None:
            raise self._refused(place, "kind", row["kind"] or None, "add this text to [kinds] of the mapping")
        return found

    def _use(self, place: str, row: dict[str, str], line: VendorLine) -> VendorLine:
        """The line with model, unit and quantity. Money back without use taken back is a credit."""
        model, unit = self._text(place, "model", row), self._unit(place, row)
        if model is None and unit.unit.endswith("_tokens"):
            raise self._refused(place, "model", None, "tokens name their model; what has none is of kind total")
        tier = row.get("service_tier", "").lower()
        if tier and tier not in TIERS:
            raise self._refused(
                place,
                "service_tier",
                tier,
                Sentence("known are %(known)s", known=", ".join(sorted(set(TIERS.values())))),
            )
        quantity = step = None
        if row.get("quantity"):
            written = self._figure(place, "quantity", row["quantity"])
            with exact():
                quantity, step = written * unit.scale, unit.scale.scaleb(-decimals(written))
        assert line.amount is not None
        is_back = line.amount < 0 and (quantity is None or quantity >= 0)
        return VendorLine(
            place, line.day, LineKind.CREDIT if is_back else LineKind.USAGE, line.text, line.account, model,
            folded(unit.unit), TIERS.get(tier), quantity, step, line.amount, line.currency,
        )  # fmt: skip

    def _unit(self, place: str, row: dict[str, str]) -> Unit:
        found = self.mapping.units.get(row.get("unit", ""))
        if found is None:
            raise self._refused(place, "unit", row.get("unit") or None, "add this text to [units] of the mapping")
        return found

    def _text(self, place: str, name: str, row: dict[str, str]) -> str | None:
        return text_of(self.source.name, place, self.mapping.columns.get(name, name), row.get(name))

    def _figure(self, place: str, name: str, written: str, *, money: bool = False) -> Decimal:
        """The exact decimal of a cell, in units of the currency where it is money."""
        found = figure(_plain(written, self.mapping.decimal, self.mapping.thousands) or "-")
        if found is None:
            marks = f"decimal mark {self.mapping.decimal!r}, thousands mark {self.mapping.thousands or 'none'!r}"
            raise self._refused(
                place, name, written or None, Sentence("write a plain decimal (%(marks)s)", marks=marks)
            )
        with exact():
            return found * self.mapping.scale if money else found

    def _read_day(self, written: str) -> date | None:
        """The vendor's day (of a month its last); None where the text is written otherwise."""
        try:
            at = datetime.strptime(written, self.mapping.date_format)  # noqa: DTZ007 - the zone is put on below
        except ValueError:
            return None
        if at.year not in YEARS:
            return None
        if self.mapping.is_by_month:
            return month_days(self.source.name, self.place, "day", at.year, at.month)[-1]
        if self.mapping.zone is None:
            return at.date()
        there = at.replace(tzinfo=self.mapping.zone).astimezone(UTC)
        return there.astimezone(load_zone(self.source.zone)).date()

    def _refused(self, place: str, name: str, value: object, remedy: str) -> InvoiceRefused:
        return InvoiceRefused.at(self.source.name, place, self.mapping.columns.get(name, name), value, remedy)


def _plain(written: str, decimal: str, thousands: str) -> str | None:
    """The figure with a point and no thousands marks; None where a mark stands where none can be."""
    if thousands and thousands in written:
        whole, point, rest = written.partition(decimal)
        if thousands in rest or not re.fullmatch(rf"[+-]?[0-9]{{1,3}}({re.escape(thousands)}[0-9]{{3}})+", whole):
            return None
        written = whole.replace(thousands, "") + point + rest
    if decimal != ".":
        if "." in written:
            return None
        written = written.replace(decimal, ".")
    return written
