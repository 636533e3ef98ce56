"""Files that people bring: CSV with a header, UTF-8. Read whole or refused whole, with every problem named.

A reader of one kind of file gives its columns and a function from cells to a value; that function raises CellError for
a cell that cannot be. All problems of a file come back together, so that a person corrects it once.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, TypeVar

from billing.errors import CellProblem, FileRefused
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

BYTES_MAX = 64 * 1024 * 1024
CELL_CHARACTERS_MAX = 1024
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")

Value = TypeVar("Value")


class CellError(ValueError):
    """A cell that cannot be: raised by the reader of a row; the message is the remedy."""

    def __init__(self, column: str, value: str, remedy: str) -> None:
        self.column = column
        self.value = value
        self.remedy = remedy
        super().__init__(f"{column} is {value!r}: {remedy}")


@dataclass(frozen=True, slots=True)
class Columns:
    """The header a file has: which columns must be there and which may."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        return self.required + self.optional


def read_file(
    raw: bytes, name: str, columns: Columns, read_row: Callable[[Mapping[str, str]], Value]
) -> list[tuple[int, Value]]:
    """The rows of a file as (line, value); `name` is what errors call it. Raises FileRefused with every problem."""
    text = _text(raw, name)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    problems: list[CellProblem] = []
    values: list[tuple[int, Value]] = []
    try:
        header = next(reader, None)
        header_problems = _header_problems(header, name, columns)
        if header is None or header_problems:
            raise FileRefused(header_problems)
        for cells in reader:
            if cells:
                _take(cells, header, reader.line_num, name, read_row, values, problems)
    except csv.Error as error:
        problems.append(CellProblem(name, reader.line_num, "", str(error), Sentence("write it as CSV (RFC 4180)")))
    if problems:
        raise FileRefused(problems)
    return values


def day_cell(column: str, text: str) -> date:
    """A calendar day, as YYYY-MM-DD and no other way. Raises CellError."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or text != day.isoformat():
        raise CellError(column, text, "write the day as YYYY-MM-DD")
    return day


def instant_cell(column: str, text: str) -> datetime:
    """An instant with its offset, in UTC. Raises CellError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CellError(column, text, "write an instant with its offset, such as 2026-10-01T09:00:00+09:00")
    return moment.astimezone(UTC)


def _take(
    cells: list[str],
    header: list[str],
    line: int,
    name: str,
    read_row: Callable[[Mapping[str, str]], Value],
    values: list[tuple[int, Value]],
    problems: list[CellProblem],
) -> None:
    """Read one line; what is wrong with it goes to `problems`."""
    if len(cells) != len(header):
        remedy = Sentence("give %(count)s cells, as the header has", count=len(header))
        problems.append(CellProblem(name, line, "", f"{len(cells)} cells", remedy))
        return
    for column, cell in zip(header, cells, strict=True):
        if len(cell) > CELL_CHARACTERS_MAX or _CONTROL.search(cell):
            remedy = Sentence("use at most %(most)s printable characters", most=CELL_CHARACTERS_MAX)
            problems.append(CellProblem(name, line, column, cell[:60], remedy))
            return
    try:
        values.append((line, read_row({c: cell.strip() for c, cell in zip(header, cells, strict=True)})))
    except CellError as error:
        problems.append(CellProblem(name, line, error.column, error.value, error.remedy))


def _text(raw: bytes, name: str) -> str:
    if len(raw) > BYTES_MAX:
        remedy = Sentence("split it: at most %(most)s bytes", most=BYTES_MAX)
        raise FileRefused([CellProblem(name, 1, "", f"{len(raw)} bytes", remedy)])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        bad = raw[error.start : error.start + 1].hex()
        raise FileRefused([CellProblem(name, line, "", f"byte 0x{bad}", Sentence("save the file as UTF-8"))]) from None


def _header_problems(header: Sequence[str] | None, name: str, columns: Columns) -> list[CellProblem]:
    known = ",".join(columns.known)
    if not header:
        return [CellProblem(name, 1, "", "", Sentence("begin with the header %(header)s", header=known))]
    if len(header) == 1 and (sign := next((one for one in ";\t|" if one in header[0]), None)) is not None:
        remedy = Sentence("put commas between the columns, not %(sign)s", sign=repr(sign))
        return [CellProblem(name, 1, "", header[0], remedy)]
    problems = [
        CellProblem(name, 1, column, column, Sentence("no such column here: use %(known)s", known=known))
        for column in header
        if column not in columns.known
    ]
    problems += [
        CellProblem(name, 1, column, column, Sentence("the column is missing: add it to the header"))
        for column in columns.required
        if column not in header
    ]
    problems += [
        CellProblem(name, 1, column, column, Sentence("the column stands twice: keep one"))
        for column in dict.fromkeys(header)
        if list(header).count(column) > 1
    ]
    return problems
