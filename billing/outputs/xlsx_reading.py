"""Reading a workbook that somebody sends back: its custom properties and the values of its cells, nothing else.

Only the parts that are needed are unpacked, within a limit, and XML with a document type is refused, so that a hostile
file costs nothing. Formulas are read as the value that was stored with them. Pure: bytes in, texts out.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from billing.errors import BillingError

if TYPE_CHECKING:
    from collections.abc import Mapping

BYTES_MAX = 256 * 1024 * 1024
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError, ElementTree.ParseError,
    KeyError, IndexError, ValueError,
)  # fmt: skip
"""What broken archives, broken XML and references to nothing raise."""
_CELL = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")


@dataclass(frozen=True, slots=True)
class ReadBook:
    """`cells` holds the value of each cell as text, by sheet and by (row, column) from 1."""

    properties: Mapping[str, str]
    cells: Mapping[str, Mapping[tuple[int, int], str]]


def read_workbook(raw: bytes) -> ReadBook:
    """Properties and cells of a workbook. Raises BillingError for what is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > BYTES_MAX:
                raise BillingError(f"the workbook unpacks to more than {BYTES_MAX // 2**20} MiB: not read")
            return _read(packed)
    except _UNREADABLE as error:
        if isinstance(error, BillingError):
            raise
        raise BillingError(f"the workbook cannot be read: {error}") from error


def _read(packed: zipfile.ZipFile) -> ReadBook:
    names = set(packed.namelist())
    shared = _shared(packed) if "xl/sharedStrings.xml" in names else []
    targets = {
        relation.get("Id", ""): relation.get("Target", "") for relation in _xml(packed, "xl/_rels/workbook.xml.rels")
    }
    cells = {}
    for sheet in _xml(packed, "xl/workbook.xml").iter(f"{_MAIN}sheet"):
        target = targets[sheet.get(_RELATION, "")].removeprefix("/")
        path = target if target.startswith("xl/") else f"xl/{target}"
        cells[sheet.get("name", "")] = _cells(_xml(packed, path), shared)
    properties = _properties(packed) if "docProps/custom.xml" in names else {}
    return ReadBook(properties, cells)


def _xml(packed: zipfile.ZipFile, path: str) -> ElementTree.Element:
    raw = packed.read(path)
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise BillingError(f"the workbook holds a document type in {path}: no workbook needs one")
    return ElementTree.fromstring(raw)  # noqa: S314 - entities are refused above


def _shared(packed: zipfile.ZipFile) -> list[str]:
    return [
        _plain("".join(text.text or "" for text in item.iter(f"{_MAIN}t")))
        for item in _xml(packed, "xl/sharedStrings.xml").iter(f"{_MAIN}si")
    ]


def _cells(sheet: ElementTree.Element, shared: list[str]) -> dict[tuple[int, int], str]:
    found = {}
    for cell in sheet.iter(f"{_MAIN}c"):
        place = _CELL.fullmatch(cell.get("r", ""))
        if place is None:
            raise BillingError(f"the workbook has a cell at {cell.get('r')!r}: that is no place")
        text = _plain("".join(part.text or "" for part in cell.iter(f"{_MAIN}t")))
        value = cell.find(f"{_MAIN}v")
        if value is not None and value.text is not None:
            text = shared[int(value.text)] if cell.get("t") == "s" else value.text
        if text:
            found[int(place[2]), _column(place[1])] = text
    return found


def _plain(text: str) -> str:
    """The text without the escapes of the format: _x000D_ is a return, _x005F_ the line before another escape."""
    return _ESCAPE.sub(lambda hit: chr(int(hit[1], 16)), text)


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _properties(packed: zipfile.ZipFile) -> dict[str, str]:
    return {
        one.get("name", ""): _plain("".join(value.text or "" for value in one))
        for one in _xml(packed, "docProps/custom.xml")
        if one.get("name")
    }
