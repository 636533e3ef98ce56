"""Invoices in PostgreSQL: importing the files of one delivery in one transaction, all of them or none.

An import covers vendor days. A later import of the same kind (money, or quantities) that covers a day again takes its
place, visibly: the earlier day keeps its lines and says what superseded it. It adds instead where both name accounts
and share none (one export a project), or are files of one delivery in a format that is cut into parts. Files of one
delivery never supersede each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import zstandard
from sqlalchemy import Connection, text

from billing.invoices.errors import AlreadyImported, CoversAlready, InvoiceRefused
from billing.invoices.imported import At, Change, Imported, Superseded
from billing.invoices.line_blocks import in_blocks
from billing.invoices.line_copies import copied_blocks
from billing.invoices.lines import ANYBODY, FileKind, LineKind, StatedTotal, VendorLine
from billing.invoices.recognise import PARTS_ADD_UP, Recognised, mapped, recognise
from billing.money import exact
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from billing.invoices.lines import CoveredDay
    from billing.invoices.mapping import MappingFile
    from billing.invoices.source import SourceFile
    from billing.invoices.vendors import Vendor
    from billing.periods import Month

IMPORT_LOCK = 0x6A620003
ZSTD_LEVEL = 3
"""Bills pack to a tenth at any level; higher ones take longer than reading the file does."""
_COLUMNS = (
    "import_id",
    "number",
    "place",
    "day",
    "kind",
    "item",
    "account",
    "model",
    "unit",
    "service_tier",
    "quantity",
    "quantity_step",
    "amount",
    "currency",
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a person wants imported. `month`: refuse lines outside it; None: take every day of the files.

    `mapping`: how to read files of no known shape; with it nothing is recognised.
    """

    vendor: Vendor
    month: Month | None
    actor: str
    replace: bool = False
    mapping: MappingFile | None = None


def import_files(connection: Connection, files: Sequence[SourceFile], delivery: Delivery) -> list[Imported]:
    """Import the files in their order, in the caller's transaction; the billing login.

    Raises InvoiceRefused and its kinds; the caller rolls back, so that nothing of any file stays.
    """
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": IMPORT_LOCK})
    first_id = int(connection.execute(text("select coalesce(max(id), 0) + 1 from invoice_import")).scalar_one())
    done: list[Imported] = []
    for number, brought in enumerate(files):
        source = brought.in_zone(delivery.vendor.zone)
        _refuse_known(connection, source, delivery, done)
        found = recognise(source) if delivery.mapping is None else mapped(source, delivery.mapping)
        _refuse_stranger(source, found, delivery)
        imported = Imported(
            first_id + number, source.name, source.sha256, found.importer.format, found.importer.kind, found.why
        )
        _copy_lines(connection, source, found, imported, delivery)
        _store_import(connection, source, found, imported, delivery, first_id)
        _supersede(connection, imported, delivery, done)
        done.append(imported)
    return done


def _refuse_known(connection: Connection, source: SourceFile, delivery: Delivery, done: Sequence[Imported]) -> None:
    """The same bytes again, in this delivery or in an earlier one."""
    twin = next((one for one in done if one.sha256 == source.sha256), None)
    if twin is not None:
        raise AlreadyImported(
            Sentence(
                "%(file)s holds the same bytes as %(earlier)s: name it once; nothing was imported",
                file=source.name,
                earlier=twin.file_name,
            )
        )
    row = connection.execute(
        text("""select i.id, i.file_name, i.imported_at, i.mapping_sha256, bool_and(d.superseded_by is null) as whole
                from invoice_import i left join invoice_day d on d.import_id = i.id
                where i.sha256 = :sha256 and i.vendor = :vendor
                group by i.id order by i.id desc limit 1"""),
        {"sha256": source.sha256, "vendor": delivery.vendor.vendor},
    ).one_or_none()
    is_read_anew = row is not None and row.mapping_sha256 != (delivery.mapping and delivery.mapping.sha256)
    if row is None or (delivery.replace and (is_read_anew or not row.whole)):
        return
    rest = "" if row.whole else Sentence(" and days of it are superseded since; use --replace to let it count again")
    rest = Sentence(" by another mapping; use --replace to read it by this one") if is_read_anew else rest
    raise AlreadyImported(
        Sentence(
            "%(file)s is already imported as import %(number)s (%(earlier)s, "
            "%(imported_at)s UTC)%(rest)s; nothing was imported",
            file=source.name,
            number=row.id,
            earlier=row.file_name,
            imported_at=f"{row.imported_at:%Y-%m-%d %H:%M}",
            rest=rest,
        )
    )


def _refuse_stranger(source: SourceFile, found: Recognised, delivery: Delivery) -> None:
    """A file of one vendor's surface under another vendor's name, unless that one sells its models."""
    vendor = delivery.vendor
    if found.importer.vendor not in {ANYBODY, vendor.vendor, *vendor.providers}:
        raise InvoiceRefused(
            Sentence(
                "%(file)s is a file of %(other)s (%(why)s), but vendor %(vendor)s bills for "
                "%(providers)s: name the right --vendor; nothing was imported",
                file=source.name,
                other=found.importer.vendor,
                why=found.why,
                vendor=repr(vendor.vendor),
                providers=", ".join(vendor.providers),
            )
        )


def _copy_lines(
    connection: Connection, source: SourceFile, found: Recognised, imported: Imported, delivery: Delivery
) -> None:
    """Stream the lines into the table as they are read, and keep what the file covers."""
    raw = connection.connection.driver_connection
    assert raw is not None
    by_block = in_blocks(found.importer, source)
    if by_block is not None:
        with raw.cursor() as cursor, cursor.copy(f"copy invoice_line ({', '.join(_COLUMNS)}) from stdin") as copy:
            for text_of_rows in copied_blocks(by_block.blocks(source), source, delivery.month, imported):
                copy.write(text_of_rows)
        _refuse_empty(source, imported, delivery)
        return
    with exact(), raw.cursor() as cursor, cursor.copy(f"copy invoice_line ({', '.join(_COLUMNS)}) from stdin") as copy:
        for line in _within(source, found.importer.read(source), delivery.month, imported):
            imported.lines += 1
            imported.accounts.add(line.account)
            imported.has_detail = imported.has_detail or line.kind is LineKind.USAGE
            if line.amount is not None and line.currency is not None:
                at = At(line.day, line.model, line.currency)
                imported.by_day[at] = imported.by_day.get(at, Decimal(0)) + line.amount
                imported.amounts[line.currency] = imported.amounts.get(line.currency, Decimal(0)) + line.amount
            copy.write_row((
                imported.import_id, imported.lines, line.place, line.day, str(line.kind), line.text, line.account,
                line.model, line.unit, line.service_tier, line.quantity, line.quantity_step, line.amount, line.currency,
            ))  # fmt: skip
    _refuse_empty(source, imported, delivery)


def _refuse_empty(source: SourceFile, imported: Imported, delivery: Delivery) -> None:
    if not imported.days:
        raise InvoiceRefused(
            Sentence(
                "%(file)s covers no day%(of_month)s: export the month again; nothing was imported",
                file=source.name,
                of_month=_of(delivery),
            )
        )


def _within(
    source: SourceFile, items: Iterator[VendorLine | CoveredDay | StatedTotal], month: Month | None, imported: Imported
) -> Iterator[VendorLine]:
    """The lines, their days noted. A line outside the month named is refused; an empty day outside it is left out."""
    for item in items:
        if isinstance(item, StatedTotal):
            imported.stated[item.currency] = imported.stated.get(item.currency, Decimal(0)) + item.amount
            continue
        inside = month is None or item.day in month.days
        if inside:
            imported.days.add(item.day)
        if isinstance(item, VendorLine):
            if not inside and month is not None:
                raise InvoiceRefused.at(
                    source.name,
                    item.place,
                    "day",
                    item.day,
                    Sentence(
                        "it lies outside %(month)s; leave out --month to import every day of the file", month=month.name
                    ),
                )
            yield item


def _store_import(
    connection: Connection, source: SourceFile, found: Recognised, imported: Imported, delivery: Delivery, first_id: int
) -> None:
    _store_content(connection, source.sha256, source.content)
    mapping = delivery.mapping
    if mapping is not None:
        _store_content(connection, mapping.sha256, mapping.content)
    connection.execute(
        text("""insert into invoice_import (id, delivery, vendor, format, kind, sha256, file_name, recognised_by, zone,
                                            stated_total, mapping_sha256, lines, actor)
                values (:id, :delivery, :vendor, :format, :kind, :sha256, :file_name, :why, :zone, :stated,
                        :mapping_sha256, :lines, :actor)"""),
        {
            "id": imported.import_id,
            "delivery": first_id,
            "vendor": delivery.vendor.vendor,
            "format": imported.format,
            "kind": str(imported.kind),
            "sha256": imported.sha256,
            "file_name": source.name,
            "why": found.why,
            "zone": delivery.vendor.zone,
            "stated": next(iter(imported.stated.values())) if len(imported.stated) == 1 else None,
            "mapping_sha256": mapping and mapping.sha256,
            "lines": imported.lines,
            "actor": delivery.actor,
        },
    )
    connection.execute(
        text("insert into invoice_day (import_id, day) select :id, unnest(cast(:days as date[]))"),
        {"id": imported.import_id, "days": sorted(imported.days)},
    )


def _store_content(connection: Connection, sha256: str, content: bytes) -> None:
    """Bytes once, addressed by what they are."""
    connection.execute(
        text("""insert into invoice_content (sha256, bytes, zstd) values (:sha256, :bytes, :zstd)
                on conflict (sha256) do nothing"""),
        {"sha256": sha256, "bytes": len(content), "zstd": zstandard.compress(content, ZSTD_LEVEL)},
    )


def _supersede(connection: Connection, imported: Imported, delivery: Delivery, done: Sequence[Imported]) -> None:
    """Mark the days of earlier imports of this kind that this one speaks about again."""
    rows = connection.execute(
        text("""select i.id, i.file_name, i.sha256, array_agg(d.day order by d.day) as days,
                       (select array_agg(distinct l.account) from invoice_line l where l.import_id = i.id) as accounts
                from invoice_import i join invoice_day d on d.import_id = i.id
                where i.vendor = :vendor and i.kind = :kind and i.id < :id and d.superseded_by is null
                  and d.day = any(cast(:days as date[]))
                group by i.id order by i.id"""),
        {
            "vendor": delivery.vendor.vendor,
            "kind": str(imported.kind),
            "id": imported.import_id,
            "days": sorted(imported.days),
        },
    ).all()
    for row in rows:
        theirs = set(row.accounts or ())
        is_apart = None not in theirs | imported.accounts and not theirs & imported.accounts
        if theirs and imported.accounts and is_apart and row.sha256 != imported.sha256:
            continue
        twin = next((one for one in done if one.import_id == row.id), None)
        if twin is not None and twin.format == imported.format and imported.format in PARTS_ADD_UP:
            continue
        if twin is not None:
            raise InvoiceRefused(
                Sentence(
                    "%(file)s and %(earlier)s both cover %(day)s: import them one after the other "
                    "if the later replaces the earlier; nothing was imported",
                    file=imported.file_name,
                    earlier=row.file_name,
                    day=row.days[0],
                )
            )
        _refuse_coarser(connection, imported, row.id, row.days, delivery)
        was = _day_sums(connection, row.id, row.days)
        connection.execute(
            text("""update invoice_day set superseded_by = :new
                    where import_id = :old and superseded_by is null and day = any(cast(:days as date[]))"""),
            {"new": imported.import_id, "old": row.id, "days": row.days},
        )
        days = set(row.days)
        now = {at: amount for at, amount in imported.by_day.items() if at.day in days}
        imported.supersedes.append(
            Superseded(row.id, row.file_name, tuple(row.days), _sums(was), _sums(now), _changes(was, now))
        )


def _refuse_coarser(
    connection: Connection, imported: Imported, old: int, days: Sequence[date], delivery: Delivery
) -> None:
    """Day totals do not take the place of line items unless a person says so: the detail would be lost to matching."""
    if delivery.replace or imported.has_detail or imported.kind is not FileKind.COST or not imported.lines:
        return
    has_detail = connection.execute(
        text("""select exists (select from invoice_line where import_id = :old and kind = 'usage'
                               and day = any(cast(:days as date[])))"""),
        {"old": old, "days": list(days)},
    ).scalar_one()
    if has_detail:
        raise CoversAlready(
            Sentence(
                "%(file)s has day totals for %(first)s to %(last)s, which import %(number)s knows by line "
                "item: use --replace if the totals are to count instead; nothing was imported",
                file=imported.file_name,
                first=days[0],
                last=days[-1],
                number=old,
            )
        )


def _day_sums(connection: Connection, import_id: int, days: Sequence[date]) -> dict[At, Decimal]:
    rows = connection.execute(
        text("""select day, model, currency, sum(amount) from invoice_line
                where import_id = :id and day = any(cast(:days as date[])) and amount is not null
                group by day, model, currency order by day, model, currency"""),
        {"id": import_id, "days": list(days)},
    )
    return {At(row[0], row[1], row[2]): row[3] for row in rows}


def _sums(amounts: dict[At, Decimal]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    with exact():
        for at, amount in sorted(amounts.items(), key=lambda item: item[0].currency):
            found[at.currency] = found.get(at.currency, Decimal(0)) + amount
    return found


def _changes(was: dict[At, Decimal], now: dict[At, Decimal]) -> tuple[Change, ...]:
    """What is not as it was, the largest difference first."""
    none = Decimal(0)
    changes = [Change(at, was.get(at, none), now.get(at, none)) for at in was.keys() | now.keys()]
    with exact():
        return tuple(sorted(
            (one for one in changes if one.before != one.after),
            key=lambda one: (-abs(one.after - one.before), one.at.day, one.at.model or "", one.at.currency),
        ))  # fmt: skip


def _of(delivery: Delivery) -> str:
    return "" if delivery.month is None else Sentence(" of %(month)s", month=delivery.month.name)
