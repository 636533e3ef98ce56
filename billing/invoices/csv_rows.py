"""Rows of a vendor's table: CSV with a header, or Parquet where an importer says so.

Every column is known and every row as wide as the header, or the file is refused by name.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from typing import TYPE_CHECKING

from billing.invoices.errors import InvoiceRefused
from billing.invoices.json_pages import looks_like_json
from billing.invoices.parquet_rows import columns_of, parquet_rows
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from billing.invoices.source import SourceFile

CELL_CHARACTERS_MAX = 100_000


def header_of(source: SourceFile, delimiter: str = ",", *, parquet: bool = False) -> list[str]:
    """The names in the first line, spaces around them taken off; [] where it is no CSV line.

    `parquet`: also the columns of a Parquet file.
    """
    if source.is_parquet:
        return columns_of(source) if parquet else []
    if looks_like_json(source):
        return []
    first = next(source.lines(), "").rstrip("\n")
    if len(first) > CELL_CHARACTERS_MAX:
        return []
    try:
        return [name.strip() for name in next(csv.reader([first.rstrip("\r")], delimiter=delimiter, strict=True), [])]
    except csv.Error:
        return []


Row = tuple[str, dict[str, str]]


def rows_of(
    source: SourceFile,
    known: Collection[str],
    required: Collection[str],
    *,
    wanted: Collection[str] | None = None,
    own_prefix: str | None = None,
    delimiter: str = ",",
    doubles: Collection[str] | None = None,
) -> Iterator[Row]:
    """Each row with its place ("line 3"), cells stripped. Raises InvoiceRefused naming line, column and value.

    `wanted`: the columns to give, of wide files; None gives all. `own_prefix` begins names that a format leaves to
    whoever writes it. `doubles`: the format is also read from Parquet, where these columns may be doubles
    (`parquet_rows`). Rows are read as they are asked for.
    """
    header = header_of(source, delimiter, parquet=doubles is not None)
    check_header(source, header, known, required, own_prefix)
    if source.is_parquet:
        yield from _from_parquet(source, wanted or header, doubles or ())
        return
    columns = [(name, place) for place, name in enumerate(header) if wanted is None or name in wanted]
    yield from _from_csv(source, header, columns, delimiter)


def check_header(
    source: SourceFile,
    header: Sequence[str],
    known: Collection[str],
    required: Collection[str],
    own_prefix: str | None = None,
) -> None:
    """Raises InvoiceRefused for a column that is unknown, stands twice, or is missing."""
    twice = {name for name, count in Counter(header).items() if count > 1}
    for place, name in enumerate(header, 1):
        if name not in known and not (own_prefix and name.startswith(own_prefix)):
            raise InvoiceRefused.at(
                source.name,
                "line 1",
                Sentence("column %(place)s", place=place),
                name,
                Sentence("unknown column; known are %(known)s", known=", ".join(sorted(known))),
            )
        if name in twice:
            which = Sentence("column %(place)s", place=place)
            raise InvoiceRefused.at(source.name, "line 1", which, name, "the column stands twice")
    missing = [name for name in required if name not in header]
    if missing:
        raise InvoiceRefused(
            Sentence(
                "%(file)s, line 1, has no column %(column)s: export it again with "
                "all columns; nothing of this import was stored",
                file=source.name,
                column=repr(missing[0]),
            )
        )


def _from_csv(
    source: SourceFile, header: list[str], columns: list[tuple[str, int]], delimiter: str
) -> Iterator[Row]:
    csv.field_size_limit(CELL_CHARACTERS_MAX)
    reader = csv.reader(source.lines(), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            first_line, line = line, reader.line_num + 1
            if first_line == 1 or not cells:
                continue
            if len(cells) != len(header):
                raise InvoiceRefused.at(
                    source.name,
                    f"line {first_line}",
                    Sentence("number of cells"),
                    len(cells),
                    Sentence("the header has %(count)s", count=len(header)),
                )
            yield f"line {first_line}", {name: cells[place].strip() for name, place in columns}
    except csv.Error as error:
        raise InvoiceRefused(
            Sentence(
                "%(file)s, line %(line)s: %(error)s; export it again; nothing of this import was stored",
                file=source.name,
                line=line,
                error=error,
            )
        ) from None


def _from_parquet(source: SourceFile, wanted: Collection[str], doubles: Collection[str]) -> Iterator[Row]:
    """The cells as a CSV would write them: a map is a JSON object."""
    for place, row in parquet_rows(source, wanted, doubles):
        yield place, {name: value.strip() if type(value) is str else _cell(value) for name, value in row.items()}


def _cell(value: object) -> str:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)
