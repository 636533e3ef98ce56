"""Columns of a large CSV, a block of rows at a time, by Arrow's reader, as long as nothing in a block could be read in
two ways; from the first block where it could, `csv_rows`, which checks each cell, has the rest.

Doubtful is: a byte that is no text, a blank or overlong line, a lone carriage return, a quote within a cell that is not
quoted or a line's end within one that is, another number of cells than the header has.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import csv as arrow_csv

from billing.invoices.csv_rows import CELL_CHARACTERS_MAX
from billing.invoices.source import UNPACKED_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from billing.invoices.source import SourceFile

BLOCK_BYTES = 8 * 1024 * 1024
_LINE_END, _QUOTE = ord("\n"), ord('"')
_LOOSE_QUOTE = re.compile(rb'[^,\n\r]"[^,\r\n]')


class Columns(NamedTuple):
    """Rows of a file that follow each other: the first one's line, and each column's cells, unstripped."""

    first_line: int
    rows: int
    cells: Mapping[str, pa.ChunkedArray]


class Doubt(NamedTuple):
    """From this line on the strict reader has to read."""

    line: int


def columns_of_csv(
    source: SourceFile, header: Sequence[str], wanted: Collection[str]
) -> Iterator[Columns | Doubt]:
    """The columns named, block by block; a Doubt ends it. The header itself is the caller's to check."""
    line, read = 1, 0
    for block in source.blocks(BLOCK_BYTES):
        read += len(block)
        body = block
        if line == 1:
            end = block.find(b"\n") + 1
            body, line = block[end:] if end else b"", 2
            if not end or b'"' in block[:end]:
                yield Doubt(1)
                return
        if not body:
            continue
        rows = None if read > UNPACKED_BYTES_MAX else _rows_if_plain(body)
        table = None if rows is None else _parsed(body, header, wanted)
        if rows is None or table is None or table.num_rows != rows:
            yield Doubt(line)
            return
        yield Columns(line, rows, {name: table.column(name) for name in table.column_names})
        line += rows


def _rows_if_plain(block: bytes) -> int | None:
    """How many lines a block has, where each is plainly one row; None in doubt."""
    if b"\0" in block or block[:3] == b"\xef\xbb\xbf" or block.count(b"\r") != block.count(b"\r\n"):
        return None
    if not block.isascii():
        try:
            block.decode("utf-8")
        except UnicodeDecodeError:
            return None
    signs = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(signs == _LINE_END)
    if not len(ends) or ends[-1] != len(block) - 1:
        ends = np.append(ends, len(block))
    lengths = np.diff(ends, prepend=-1) - 1
    least = 1 if b"\r" in block else 0
    if lengths.min() <= least or lengths.max() > CELL_CHARACTERS_MAX:
        return None
    if b'"' in block:
        before = np.cumsum(signs == _QUOTE)[np.minimum(ends, len(block) - 1)]
        if (before & 1).any() or _LOOSE_QUOTE.search(block.replace(b'""', b"")):
            return None
    return len(ends)


def _parsed(block: bytes, header: Sequence[str], wanted: Collection[str]) -> pa.Table | None:
    names = [name for name in header if name in wanted]
    try:
        return arrow_csv.read_csv(
            pa.BufferReader(block),
            read_options=arrow_csv.ReadOptions(column_names=list(header), block_size=len(block) + 1),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), include_columns=names
            ),
        )
    except pa.ArrowInvalid:
        return None


@lru_cache(maxsize=8)
def text_scalar(text: str) -> pa.Scalar:
    """A text as Arrow has it; made of Python's, Arrow would load pandas first, which takes longer than a large bill."""
    options = arrow_csv.ReadOptions(column_names=["text"])
    return arrow_csv.read_csv(pa.BufferReader(f"{text}\n".encode()), read_options=options).column(0)[0]
