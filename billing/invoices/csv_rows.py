"""Rows of a vendor's CSV with a header: every column known, every row as wide as the header, or refused by name."""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING

from billing.invoices.errors import InvoiceRefused
from billing.invoices.json_pages import looks_like_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from billing.invoices.source import SourceFile

CELL_CHARACTERS_MAX = 100_000


def header_of(source: SourceFile, delimiter: str = ",") -> list[str]:
    """The names in the first line, spaces around them taken off; [] where it is no CSV line."""
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
) -> Iterator[Row]:
    """Each row with its place ("line 3"), cells stripped. Raises InvoiceRefused naming line, column and value.

    `wanted`: the columns to give, of wide files; None gives all. `own_prefix` begins names that a format leaves to
    whoever writes it. Rows are read as they are asked for.
    """
    header = header_of(source, delimiter)
    twice = {name for name, count in Counter(header).items() if count > 1}
    for place, name in enumerate(header, 1):
        if name not in known and not (own_prefix and name.startswith(own_prefix)):
            raise InvoiceRefused.at(
                source.name, "line 1", f"column {place}", name, f"unknown column; known are {', '.join(sorted(known))}"
            )
        if name in twice:
            raise InvoiceRefused.at(source.name, "line 1", f"column {place}", name, "the column stands twice")
    missing = [name for name in required if name not in header]
    if missing:
        raise InvoiceRefused(
            f"{source.name}, line 1, has no column {missing[0]!r}: export it again with all columns; "
            "nothing of this import was stored"
        )
    csv.field_size_limit(CELL_CHARACTERS_MAX)
    columns = [(name, place) for place, name in enumerate(header) if wanted is None or name in wanted]
    reader = csv.reader(source.lines(), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            first_line, line = line, reader.line_num + 1
            if first_line == 1 or not cells:
                continue
            if len(cells) != len(header):
                raise InvoiceRefused.at(
                    source.name, f"line {first_line}", "number of cells", len(cells), f"the header has {len(header)}"
                )
            yield f"line {first_line}", {name: cells[place].strip() for name, place in columns}
    except csv.Error as error:
        raise InvoiceRefused(
            f"{source.name}, line {line}: {error}; export it again; nothing of this import was stored"
        ) from None
