"""Which fetched files say nothing new: the same bytes, or the same rows under other cursors, as what still counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import zstandard
from sqlalchemy import Connection, text

from billing.invoices.fetching.paging import decoded
from billing.invoices.source import FILE_BYTES_MAX
from billing.invoices.store import IMPORT_LOCK

if TYPE_CHECKING:
    from billing.invoices.fetching.month import FetchedFile
    from billing.periods import Month

_CURSORS = frozenset({"has_more", "next_page", "first_page"})


def wait_for_other_imports(connection: Connection) -> None:
    """Of two fetches at once the second looks when the first is done, until the end of the transaction."""
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": IMPORT_LOCK})


def known_as(connection: Connection, vendor: str, file: FetchedFile, month: Month) -> int | None:
    """The import that says the same of the month and still counts whole; None where the file says something new."""
    rows = connection.execute(
        text("""select i.id, i.sha256, c.zstd
                from invoice_import i
                join invoice_content c on c.sha256 = i.sha256
                where i.vendor = :vendor and i.format = :format
                  and exists (select from invoice_day d where d.import_id = i.id and d.day between :first and :last)
                  and not exists (select from invoice_day d where d.import_id = i.id and d.superseded_by is not null)
                order by i.id desc"""),
        {"vendor": vendor, "format": file.format, "first": month.days[0], "last": month.days[-1]},
    )
    fetched = rows_of(file.source.content)
    for row in rows:
        if row.sha256 == file.source.sha256:
            return int(row.id)
        if rows_of(zstandard.decompress(row.zstd, max_output_size=FILE_BYTES_MAX)) == fetched:
            return int(row.id)
    return None


def rows_of(content: bytes) -> object:
    """What an answer says, its pages put end to end, without what only leads from page to page."""
    document = decoded(content)
    around: list[object] = []
    data: list[object] = []
    for page in document if isinstance(document, list) else [document]:
        rows = page.get("data") if isinstance(page, dict) else None
        if not isinstance(page, dict) or not isinstance(rows, list):
            return document
        around.append({name: page[name] for name in page if name not in {*_CURSORS, "data"}})
        data += rows
    return {"around": around[:1] if all(one == around[0] for one in around) else around, "data": data}
