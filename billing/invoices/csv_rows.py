"""Rows of a vendor's CSV with a header: every column known, every row as wide as the header, or refused by name."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from billing.invoices.errors import InvoiceRefused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from billing.invoices.source import SourceFile

CELL_CHARACTERS_MAX = 100_000


def header_of(source: SourceFile) -> list[str]:
    """The names in the first line, spaces around them taken off; [] where it is no CSV line."""
    first = source.text.split("\n", 1)[0]
    if len(first) > CELL_CHARACTERS_MAX:
        return []
    try:
        return [name.strip() for name in next(csv.reader([first.rstrip("\r")], strict=True), [])]
    except csv.Error:
        return []


Row = tuple[str, dict[str, str]]


def rows_of(source: SourceFile, known: Collection[str], required: Collection[str]) -> Iterator[Row]:
    """Each row with its place ("line 3"), cells stripped. Raises InvoiceRefused naming line, column and value."""
    header = header_of(source)
    for place, name in enumerate(header, 1):
        if name not in known:
            raise InvoiceRefused.at(
                source.name, "line 1", f"column {place}", name, f"unknown column; known are {', '.join(sorted(known))}"
            )
        if header.count(name) > 1:
            raise InvoiceRefused.at(source.name, "line 1", f"column {place}", name, "the column stands twice")
    missing = [name for name in required if name not in header]
    if missing:
        raise InvoiceRefused(
            f"{source.name}, line 1, has no column {missing[0]!r}: export it again with all columns; "
            "nothing of this import was stored"
        )
    csv.field_size_limit(CELL_CHARACTERS_MAX)
    reader = csv.reader(io.StringIO(source.text, newline=""), strict=True)
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
            yield f"line {first_line}", {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    except csv.Error as error:
        raise InvoiceRefused(
            f"{source.name}, line {line}: {error}; export it again; nothing of this import was stored"
        ) from None
