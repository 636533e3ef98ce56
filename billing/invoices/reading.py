"""Reading invoices back: the lines that count, and the invoice's sum from two independent sources.

The sum over the stored lines (SQL) and the sum over the stored bytes, unpacked, hashed and read again by the importer,
must agree; the proof of a reconciliation uses that figure and never the matched amounts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import zstandard
from sqlalchemy import Connection, text

from billing.invoices.errors import StoredInvoiceDamaged
from billing.invoices.line_blocks import LineBlock, in_blocks
from billing.invoices.lines import LineKind, StatedTotal, VendorLine
from billing.invoices.recognise import importer_of
from billing.invoices.source import FILE_BYTES_MAX, SourceFile
from billing.money import exact, plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date


@dataclass(frozen=True, slots=True)
class InvoiceTotals:
    """What the vendor bills, by currency: added up from the bytes, and as the files state it.

    `stated` has a currency only where every line in it lies in a period whose total a file states.
    """

    added: Mapping[str, Decimal]
    stated: Mapping[str, Decimal]


@dataclass(slots=True)
class _Sums:
    """One file's amounts on the days that count."""

    added: dict[str, Decimal] = field(default_factory=dict)
    stated: dict[str, Decimal] = field(default_factory=dict)
    line_days: dict[str, set[date]] = field(default_factory=dict)
    stated_days: dict[str, set[date]] = field(default_factory=dict)

    def take(self, item: object, days: set[date]) -> None:
        """Count a line, or a total that is stated for days that all count."""
        if isinstance(item, VendorLine):
            self._add(item, item.amount, days)
        elif isinstance(item, LineBlock):
            for line, amount in item.sums():
                self._add(line, amount, days)
        elif isinstance(item, StatedTotal):
            length = (item.day - item.first_day).days + 1
            period = {day for day in days if item.first_day <= day <= item.day}
            if len(period) == length:
                self.stated[item.currency] = self.stated.get(item.currency, Decimal(0)) + item.amount
                self.stated_days.setdefault(item.currency, set()).update(period)

    def _add(self, line: VendorLine, amount: Decimal | None, days: set[date]) -> None:
        if amount is not None and line.currency and line.day in days:
            self.added[line.currency] = self.added.get(line.currency, Decimal(0)) + amount
            self.line_days.setdefault(line.currency, set()).add(line.day)

    def unstated(self) -> set[str]:
        """Currencies with lines on days that no stated total is about."""
        return {name for name, days in self.line_days.items() if days - self.stated_days.get(name, set())}


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One import as `invoice list` shows it. `standing_days` are those that nothing superseded."""

    id: int
    vendor: str
    kind: str
    format: str
    file_name: str
    sha256: str
    recognised_by: str
    imported_at: object
    actor: str
    lines: int
    first_day: date
    last_day: date
    days: int
    standing_days: int
    amounts: Mapping[str, Decimal]
    superseded_by: tuple[int, ...]


def read_lines(connection: Connection, vendor: str, first_day: date, end_day: date) -> list[VendorLine]:
    """The lines that count of [first_day, end_day), in the order of imports and files."""
    rows = connection.execute(
        text("""select place, day, kind, item, account, model, unit, service_tier, quantity, quantity_step, amount,
                       currency
                from invoice_line_current
                where vendor = :vendor and day >= :first_day and day < :end_day
                order by import_id, number"""),
        {"vendor": vendor, "first_day": first_day, "end_day": end_day},
    )
    return [VendorLine(row[0], row[1], LineKind(row[2]), *row[3:]) for row in rows]


def read_sums_of_lines(connection: Connection, vendor: str, first_day: date, end_day: date) -> list[VendorLine]:
    """The lines that count of [first_day, end_day): single ones first, in the order of imports and files, then sums.

    A million lines are some thousand sums. Single stay rows that may be equal to another of their day, rows of money
    for a quantity of 0, and amounts so large that their last digit is noise: all whose own figures decide something.
    """
    rows = connection.execute(
        text("""with line as (
                  select import_id, number, place, day, kind, item, account, model, unit, service_tier, quantity,
                         quantity_step, amount, currency, count(*) over (partition by day, quantity, amount) as alike
                  from invoice_line_current where vendor = :vendor and day >= :first_day and day < :end_day
                ), told as materialized (
                  select *, alike > 1 or coalesce(quantity = 0, false) or coalesce(abs(amount) >= 10000, true) as single
                  from line
                )
                select place, day, kind, item, account, model, unit, service_tier, quantity, quantity_step, amount,
                       currency, 1 as rows, null::integer as decimals, import_id, number
                from told where single
                union all
                select min(place), day, kind, item, account, model, unit, service_tier, sum(quantity), quantity_step,
                       sum(amount), currency, count(*), max(scale(trim_scale(amount))), null, min(number)
                from told where not single
                group by day, kind, item, account, model, unit, service_tier, quantity_step, currency, quantity is null
                order by import_id nulls last, number"""),
        {"vendor": vendor, "first_day": first_day, "end_day": end_day},
    )
    return [VendorLine(row[0], row[1], LineKind(row[2]), *row[3:14]) for row in rows]


def covered_days(connection: Connection, vendor: str, kind: str, first_day: date, end_day: date) -> set[date]:
    """The days of [first_day, end_day) that some import of a kind speaks about."""
    return set(
        connection.execute(
            text("""select distinct d.day from invoice_day d join invoice_import i on i.id = d.import_id
                where i.vendor = :vendor and i.kind = :kind and d.superseded_by is null
                  and d.day >= :first_day and d.day < :end_day"""),
            {"vendor": vendor, "kind": kind, "first_day": first_day, "end_day": end_day},
        ).scalars()
    )


def formats_of(connection: Connection, vendor: str, first_day: date, end_day: date) -> set[str]:
    """The surfaces whose lines count in [first_day, end_day)."""
    return set(
        connection.execute(
            text("""select distinct i.format from invoice_day d join invoice_import i on i.id = d.import_id
                where i.vendor = :vendor and d.superseded_by is null and d.day >= :first_day and d.day < :end_day"""),
            {"vendor": vendor, "first_day": first_day, "end_day": end_day},
        ).scalars()
    )


def last_import(connection: Connection) -> int:
    """The newest import's id; 0 before the first."""
    return int(connection.execute(text("select coalesce(max(id), 0) from invoice_import")).scalar_one())


def invoice_totals(connection: Connection, vendor: str, first_day: date, end_day: date) -> InvoiceTotals:
    """What the vendor bills for [first_day, end_day), by currency: summed from the bytes, checked against the lines.

    Raises StoredInvoiceDamaged where bytes and lines do not say the same.
    """
    from_lines = {
        row[0]: row[1]
        for row in connection.execute(
            text("""select currency, sum(amount) from invoice_line_current
                    where vendor = :vendor and amount is not null and day >= :first_day and day < :end_day
                    group by currency"""),
            {"vendor": vendor, "first_day": first_day, "end_day": end_day},
        )
    }
    totals = _totals_of_bytes(connection, vendor, first_day, end_day)
    from_bytes = totals.added
    for currency in from_lines.keys() | from_bytes.keys():
        lines, raw = from_lines.get(currency), from_bytes.get(currency)
        if lines != raw:
            raise StoredInvoiceDamaged(
                f"the stored files of {vendor} add up to {_shown(raw)} {currency} and their lines to {_shown(lines)}: "
                "one of them was changed behind our back; restore the database from a backup"
            )
    return totals


def list_imports(connection: Connection, vendor: str | None, month_days: tuple[date, ...] | None) -> list[ImportRow]:
    """The imports, oldest first; those of one vendor, those that cover some of the days."""
    rows = connection.execute(
        text("""select i.id, i.vendor, i.kind, i.format, i.file_name, i.sha256, i.recognised_by, i.imported_at, i.actor,
                       i.lines, min(d.day), max(d.day), count(*), count(*) filter (where d.superseded_by is null),
                       (select coalesce(jsonb_object_agg(currency, amount::text), '{}') from (
                          select currency, sum(amount) as amount from invoice_line l
                          where l.import_id = i.id and amount is not null group by currency) s),
                       array_remove(array_agg(distinct d.superseded_by), null)
                from invoice_import i join invoice_day d on d.import_id = i.id
                where cast(:vendor as text) is null or i.vendor = :vendor
                group by i.id
                having cast(:days as date[]) is null or bool_or(d.day = any(cast(:days as date[])))
                order by i.id"""),
        {"vendor": vendor, "days": None if month_days is None else list(month_days)},
    )
    found = []
    for row in rows:
        cells: list[Any] = list(row)
        amounts = {currency: Decimal(amount) for currency, amount in sorted(cells[-2].items())}
        found.append(ImportRow(*[*cells[:-2], amounts, tuple(cells[-1])]))
    return found


def _totals_of_bytes(connection: Connection, vendor: str, first_day: date, end_day: date) -> InvoiceTotals:
    rows = connection.execute(
        text("""select i.id, i.format, i.file_name, i.sha256, i.zone, i.mapping_sha256, array_agg(d.day) as days
                from invoice_import i
                join invoice_day d on d.import_id = i.id and d.superseded_by is null
                  and d.day >= :first_day and d.day < :end_day
                where i.vendor = :vendor and i.kind = 'cost'
                group by i.id order by i.id"""),
        {"vendor": vendor, "first_day": first_day, "end_day": end_day},
    ).all()
    added: dict[str, Decimal] = {}
    stated: dict[str, Decimal] = {}
    unstated: set[str] = set()
    for row in rows:
        content = _kept(connection, row.id, row.file_name, row.sha256)
        mapping = None
        if row.mapping_sha256 is not None:
            mapping = _kept(connection, row.id, f"mapping of {row.file_name}", row.mapping_sha256)
        sums, days = _Sums(), set(row.days)
        source, importer = SourceFile(row.file_name, content, row.zone), importer_of(row.format, mapping)
        by_block = in_blocks(importer, source)
        with exact():
            for item in importer.read(source) if by_block is None else by_block.blocks(source):
                sums.take(item, days)
            for ours, found in ((added, sums.added), (stated, sums.stated)):
                for currency, amount in found.items():
                    ours[currency] = ours.get(currency, Decimal(0)) + amount
        unstated |= sums.unstated()
    return InvoiceTotals(added, {name: amount for name, amount in stated.items() if name not in unstated})


def _kept(connection: Connection, import_id: int, name: str, sha256: str) -> bytes:
    """The stored bytes of a hash. Raises StoredInvoiceDamaged where they no longer have it."""
    packed = connection.execute(
        text("select zstd from invoice_content where sha256 = :sha256"), {"sha256": sha256}
    ).scalar_one()
    content = zstandard.decompress(packed, max_output_size=FILE_BYTES_MAX)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise StoredInvoiceDamaged(
            f"the stored bytes of import {import_id} ({name}) no longer have the hash {sha256[:12]}…: "
            "restore the database from a backup"
        )
    return content


def _shown(amount: Decimal | None) -> str:
    return "nothing" if amount is None else plain(amount)
