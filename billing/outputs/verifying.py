"""Does a file that somebody holds say what the ledger says? (`jangbu statement verify`.)

Every file carries its month, whose it is and its content hash. The ledger's statement is looked up, and then compared
as far as the form allows:

* JSON: the hash is computed again from the file's content, and every figure compared;
* CSV and XLSX: every row and cell compared with what the ledger's statement gives, sums included;
* PDF: the hash compared, and the page made again from the ledger by the recipe in the file: it must be the same bytes.
  A page that another version made cannot be compared so; then only its hash is, and the verdict says it.

Pure: bytes and the ledger's documents in, a verdict out.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal, Protocol

from billing.errors import BillingError
from billing.outputs.csv_lines import COLUMNS, ORGANISATION, csv_rows, organisation_row
from billing.outputs.page import Beside
from billing.outputs.pdf import code_in_recipe, maker, read_recipe, statement_pdf
from billing.outputs.sheets import sheets
from billing.outputs.shown_text import visible
from billing.outputs.texts import words
from billing.outputs.xlsx import SUMS_HEAD_ROW, Book, sum_rows
from billing.outputs.xlsx_reading import ReadBook, read_workbook
from billing.sentences import Sentence
from billing.statement_document import NOT_HASHED, content_hash

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Answer = Literal["agrees", "differs", "unknown"]
DIFFERENCES_MAX = 100
MEMBERS_MAX = 10_000
UNPACKED_BYTES_MAX = 1024 * 1024 * 1024
CSV_NOT_CONTENT = frozenset({"department_name", "status"})
SHEETS_NOT_CONTENT = frozenset({"department_name", "status"})
"""Columns that may change while the content stands."""


class Ledger(Protocol):
    """What the ledger says of a month."""

    def month(self, month: str) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
        """The organisation's statement and those of all departments; none of them where nothing was used."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure or word that differs. `where` names the place in the file as a reader finds it."""

    where: str
    figure: str
    file: str
    ledger: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one file. `checked` says what was compared, `note` what could not be."""

    file: str
    form: str
    answer: Answer
    month: str = ""
    department: str = ""
    file_hash: str = ""
    ledger_hash: str = ""
    differences: tuple[Difference, ...] = ()
    checked: tuple[str, ...] = ()
    note: str = ""


@dataclass(slots=True)
class _Found:
    """What a comparison finds on its way."""

    differences: list[Difference] = field(default_factory=list)

    def compare(self, where: str, figure: str, file: str, ledger: str) -> None:
        if file != ledger:
            self.differences.append(Difference(where, figure, file[:200], ledger[:200]))


def verify(name: str, raw: bytes, ledger: Ledger) -> list[Verdict]:
    """The verdict on a file, or on each member of a zip. Raises BillingError for a file that is none of ours."""
    return _verify(name, raw, ledger, is_member=False)


def _verify(name: str, raw: bytes, ledger: Ledger, *, is_member: bool) -> list[Verdict]:
    if raw.startswith(b"%PDF-"):
        return [_pdf(name, raw, ledger)]
    if raw.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _packed(name, raw, ledger, is_member=is_member)
    text = _text(raw)
    if text.lstrip().startswith("{"):
        try:
            return [_json(name, text, ledger)]
        except RecursionError:
            raise BillingError(Sentence("%(name)s is nested deeper than any statement", name=repr(name))) from None
    if text.startswith(",".join(COLUMNS)):
        return [_csv(name, text, ledger)]
    raise BillingError(
        Sentence(
            "%(name)s is no statement that jangbu made: PDF, XLSX, CSV, JSON or a zip of them is one", name=repr(name)
        )
    )


def _packed(name: str, raw: bytes, ledger: Ledger, *, is_member: bool) -> list[Verdict]:
    """A workbook, or an archive; no archive within one, which could hold itself."""
    members = _members(name, raw)
    if "xl/workbook.xml" in members:
        return [_xlsx(name, raw, ledger)]
    if is_member:
        raise BillingError(Sentence("%(name)s is an archive within an archive: unpack it first", name=repr(name)))
    verdicts = []
    for member, content in members.items():
        verdicts += _verify(f"{name}/{member}", content, ledger, is_member=True)
    return verdicts


def _members(name: str, raw: bytes) -> dict[str, bytes]:
    """The files of a zip; of a workbook only the names, since it is read in its own way."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as packed:
            entries = [entry for entry in packed.infolist() if not entry.is_dir()]
            is_workbook = any(entry.filename == "xl/workbook.xml" for entry in entries)
            size = sum(entry.file_size for entry in entries)
            if is_workbook or len(entries) > MEMBERS_MAX or size > UNPACKED_BYTES_MAX:
                found = dict.fromkeys((entry.filename for entry in entries), b"")
            else:
                return {entry.filename: packed.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, OSError) as error:
        raise BillingError(Sentence("%(name)s cannot be unpacked: %(error)s", name=repr(name), error=error)) from error
    if not is_workbook:
        raise BillingError(Sentence("%(name)s unpacks to more than any month has: not read", name=repr(name)))
    return found


def _pdf(name: str, raw: bytes, ledger: Ledger) -> Verdict:
    try:
        recipe = read_recipe(raw)
    except ValueError as error:
        raise BillingError(Sentence("%(name)s: %(error)s", name=repr(name), error=error)) from error
    if recipe is None:
        raise BillingError(
            Sentence(
                "%(name)s is a PDF that does not say which statement it is: jangbu did not make it", name=repr(name)
            )
        )
    begun = Verdict(name, "pdf", "unknown", recipe.month, recipe.department or "", recipe.content_hash)
    whole, documents = ledger.month(recipe.month)
    held = _held(whole, documents, recipe.kind, recipe.department)
    if held is None:
        return begun
    found = _Found()
    found.compare("metadata", "content_hash", recipe.content_hash, held["content_hash"])
    checked, note = ["content_hash"], ""
    if recipe.maker != maker():
        note = f"made by another version ({recipe.maker}): its pages were not compared, only its hash"
    elif not found.differences:
        checked.append("pages")
        if statement_pdf(held, recipe, documents if recipe.kind == "organisation" else None) != raw:
            found.differences.append(Difference("pages", "bytes", "changed", "as made from the ledger"))
    return _closed(begun, held, found, checked, note)


def _json(name: str, text: str, ledger: Ledger) -> Verdict:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BillingError(Sentence("%(name)s is no JSON document: %(error)s", name=repr(name), error=error)) from error
    if not isinstance(document, dict) or not isinstance(document.get("content_hash"), str) or "month" not in document:
        raise BillingError(Sentence("%(name)s is no statement: it has no month or no content_hash", name=repr(name)))
    kind = "organisation" if document.get("scope") == "organisation" else "department"
    department = document.get("department")
    said = document["content_hash"]
    begun = Verdict(name, "json", "unknown", str(document["month"]), str(department or ""), said)
    held = _held(*ledger.month(str(document["month"])), kind, department)
    if held is None:
        return begun
    found, checked = _Found(), ["content_hash", "hash of the content", "figures"]
    found.compare("document", "content_hash", said, held["content_hash"])
    found.compare("document", "content_hash, from its content", content_hash(document), said)
    _compare_values(found, "document", _content(document), _content(held))
    return _closed(begun, held, found, checked)


def _csv(name: str, text: str, ledger: Ledger) -> Verdict:
    try:
        rows = list(csv.reader(io.StringIO(text)))[1:]
    except csv.Error as error:
        raise BillingError(Sentence("%(name)s is no CSV: %(error)s", name=repr(name), error=error)) from error
    if not rows or any(len(row) != len(COLUMNS) for row in rows):
        raise BillingError(
            Sentence(
                "%(name)s: a row has not the %(count)s columns that a statement has",
                name=repr(name),
                count=len(COLUMNS),
            )
        )
    month, is_whole = rows[0][0], any(row[COLUMNS.index("section")] == ORGANISATION for row in rows)
    said = rows[-1][COLUMNS.index("content_hash")]
    codes = dict.fromkeys(
        row[COLUMNS.index("department")] for row in rows if row[COLUMNS.index("section")] != ORGANISATION
    )
    begun = Verdict(name, "csv", "unknown", month, "" if is_whole else next(iter(codes), ""), said)
    whole, everybody = ledger.month(month)
    documents = [one for one in everybody if is_whole or _csv_code(one) in codes]
    if not documents or (not is_whole and len(documents) < len(codes)):
        return begun
    held = whole if is_whole else documents[-1]
    expected = list(csv_rows(documents)) + ([organisation_row(whole)] if is_whole else [])
    found = _Found()
    for place in range(max(len(rows), len(expected))):
        where = f"line {place + 2}"
        if place >= len(rows) or place >= len(expected):
            row = rows[place] if place < len(rows) else expected[place]
            there, not_there = (",".join(row), "") if place < len(rows) else ("", ",".join(row))
            found.compare(where, "row", there, not_there)
            continue
        for column, is_said, is_held in zip(COLUMNS, rows[place], expected[place], strict=True):
            if column not in CSV_NOT_CONTENT:
                found.compare(where, column, is_said, is_held)
    _compare_csv_sums(found, rows)
    return _closed(begun, held, found, ["content_hash", "rows", "sums"])


def _compare_csv_sums(found: _Found, rows: Sequence[Sequence[str]]) -> None:
    """Each department's rows add up to its total, whatever the ledger says."""
    sums: dict[str, Decimal] = {}
    for place, row in enumerate(rows, start=2):
        cells = dict(zip(COLUMNS, row, strict=True))
        try:
            amount = Decimal(cells["amount"] or "0")
        except InvalidOperation:
            continue  # a figure that is none was found already
        if cells["section"] == "total":
            summed = sums.get(cells["department"], Decimal(0))
            if summed != amount:
                found.compare(f"line {place}", "sum of the rows above", str(summed), cells["amount"])
        elif cells["section"] != ORGANISATION:
            sums[cells["department"]] = sums.get(cells["department"], Decimal(0)) + amount


def _xlsx(name: str, raw: bytes, ledger: Ledger) -> Verdict:
    read = read_workbook(raw)
    said = read.properties
    if not {"content_hash", "jangbu_kind", "month", "language"} <= said.keys() or said["language"] not in ("ko", "en"):
        raise BillingError(
            Sentence(
                "%(name)s is a workbook that does not say which statement it is: jangbu did not make it",
                name=repr(name),
            )
        )
    kind = "organisation" if said["jangbu_kind"] == "organisation" else "department"
    shown = None if said["jangbu_kind"] in ("organisation", "unattributed") else said.get("department", "")
    begun = Verdict(name, "xlsx", "unknown", said["month"], shown or "", said["content_hash"])
    whole, documents = ledger.month(said["month"])
    if kind == "department":
        documents = [one for one in documents if _property_code(one) == shown]
    if not documents:
        return begun
    held = whole if kind == "organisation" else documents[0]
    found = _Found()
    found.compare("properties", "content_hash", said["content_hash"], held["content_hash"])
    _compare_book(found, read, Book(kind, held, documents, said["language"], "", Beside()))  # type: ignore[arg-type]
    return _closed(begun, held, found, ["content_hash", "cells", "sums"])


def _compare_book(found: _Found, read: ReadBook, book: Book) -> None:
    tables = sheets(book.documents, book.language)
    for table in tables:
        cells = read.cells.get(table.title, {})
        last = max([len(table.rows) + 1, *(line for line, _ in cells)])
        for line in range(2, last + 1):
            row = table.rows[line - 2] if line - 2 < len(table.rows) else None
            for place, column in enumerate(table.names):
                is_said = cells.get((line, place + 1), "")
                is_held = row[place].value if row is not None else ""
                if column in SHEETS_NOT_CONTENT or (is_said == is_held):
                    continue
                if row is not None and row[place].kind == "number" and _same_number(is_said, is_held):
                    continue
                found.compare(f"{table.title}, row {line}", table.head[place], is_said, is_held)
    label = words(book.language)
    cells = read.cells.get(label["sums"], {})
    for line, sum_row in enumerate(sum_rows(book, tables), start=SUMS_HEAD_ROW + 1):
        for place, figure in ((2, sum_row.summed), (3, sum_row.stated)):
            is_said = cells.get((line, place), "")
            if not _same_number(is_said, figure):
                found.compare(f"{label['sums']}, row {line}", sum_row.name, is_said, figure)


def _same_number(is_said: str, is_held: str) -> bool:
    """Whether a cell's double is the figure: equal in the 15 digits that a spreadsheet keeps."""
    try:
        return f"{Decimal(is_said):.14E}" == f"{Decimal(is_held):.14E}"
    except InvalidOperation:
        return False


def _held(
    whole: Mapping[str, Any], documents: Sequence[Mapping[str, Any]], kind: str, department: str | None
) -> Mapping[str, Any] | None:
    """The ledger's document, None where it has none."""
    if kind == "organisation":
        return whole if documents else None
    return next(
        (one for one in documents if department in (one["department"], code_in_recipe(one["department"]))), None
    )


def _content(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in NOT_HASHED}


def _compare_values(found: _Found, where: str, is_said: Any, is_held: Any) -> None:
    """Walk two JSON values together; lines and charges are named by their place from 1."""
    if isinstance(is_said, dict) and isinstance(is_held, dict):
        for name in sorted(is_said.keys() | is_held.keys()):
            if name in NOT_HASHED and where != "document":
                continue
            inner = name if where == "document" else f"{where}, {name}"
            _compare_values(found, inner, is_said.get(name), is_held.get(name))
    elif isinstance(is_said, list) and isinstance(is_held, list):
        for place in range(max(len(is_said), len(is_held))):
            pair = [values[place] if place < len(values) else None for values in (is_said, is_held)]
            _compare_values(found, f"{where} {place + 1}", *pair)
    elif is_said != is_held:
        place_words, _, figure = where.rpartition(", ")
        found.compare(place_words or "document", figure or where, _shown(is_said), _shown(is_held))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _closed(begun: Verdict, held: Mapping[str, Any], found: _Found, checked: Sequence[str], note: str = "") -> Verdict:
    left_out = len(found.differences) - DIFFERENCES_MAX
    return replace(
        begun,
        answer="differs" if found.differences else "agrees",
        ledger_hash=held["content_hash"],
        differences=tuple(found.differences[:DIFFERENCES_MAX]),
        checked=tuple(checked),
        note=note or (f"and {left_out} differences more" if left_out > 0 else ""),
    )


def _csv_code(document: Mapping[str, Any]) -> str:
    return next(csv_rows([{**document, "lines": [], "allocated": [], "adjustments": [], "taxes": []}]))[1]


def _property_code(document: Mapping[str, Any]) -> str | None:
    code = document["department"]
    return None if code is None else (visible(code)[:250] or "-")


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise BillingError(
            Sentence("the file is neither a PDF, a workbook nor UTF-8 text: %(error)s", error=error)
        ) from error
