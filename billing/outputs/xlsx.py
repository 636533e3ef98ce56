"""Statements as workbooks: numbers that are exact, their exact text beside, and sums by formula that say if they agree.

The same content gives the same bytes: the creation time is the end of the month. Texts are written as texts whatever
they begin with, so `=1+1` in a name stays a name.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

import xlsxwriter  # type: ignore[import-untyped]

from billing.money import exact, minor_digits, plain
from billing.outputs.figures import fits_double, grouped
from billing.outputs.numerals import won_in_words
from billing.outputs.sheets import CHARGE_SECTIONS, Cell, Sheet, column_letter, sheets
from billing.outputs.shown_text import visible
from billing.outputs.texts import month_name, status_name, words
from billing.periods import HOUR_SECONDS, month_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.outputs.page import Beside
    from billing.outputs.texts import Language

SUMS_HEAD_ROW = 12
"""The row (from 1) of the sheet of sums at which its table begins; facts stand above."""
FONTS: dict[Language, dict[str, Any]] = {
    "ko": {"font_name": "맑은 고딕", "font_size": 10}, "en": {"font_name": "Calibri", "font_size": 10},
}  # fmt: skip
"""What offices have; a program without it takes another."""
WRAPPED = ("description", "terms", "price_source", "source")
"""Columns of sentences: as many lines as they take."""
LINE_HEIGHT, LINES_MAX = 15, 27
"""Points a line, and how many lines a row can hold: 409 points."""
HEAD_HEIGHT = 28
"""Points: two lines."""
HEAD_COLOUR, FADED = "#F2F5F9", "#5A6475"
PROPERTIES = ("content_hash", "jangbu_kind", "month", "department", "language")


@dataclass(frozen=True, slots=True)
class Book:
    """What a workbook is about. `whole` is the document whose hash and total it carries: a statement or the summary."""

    kind: str
    whole: Mapping[str, Any]
    documents: Sequence[Mapping[str, Any]]
    language: Language
    organisation: str
    beside: Beside


@dataclass(frozen=True, slots=True)
class SumRow:
    """A line of the sheet of sums: a formula, the value that it has, and what the statement states."""

    name: str
    formula: str
    summed: str
    stated: str


def workbook(book: Book) -> bytes:
    """The file. Sheets: sums, lines, charges, departments, rates."""
    target = io.BytesIO()
    made = xlsxwriter.Workbook(
        target, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
                 "default_format_properties": FONTS[book.language]}
    )  # fmt: skip
    made.set_properties({"title": words(book.language)["title"], "created": _created(book.whole)})
    for name, value in zip(PROPERTIES, _properties(book), strict=True):
        made.set_custom_property(name, value, "text")
    formats = _Formats(made, FONTS[book.language])
    tables = sheets(book.documents, book.language)
    _write_sums(made.add_worksheet(words(book.language)["sums"]), book, tables, formats)
    for table in tables:
        _write_table(made.add_worksheet(table.title), table, formats)
    made.close()
    return target.getvalue()


def sum_rows(book: Book, tables: Sequence[Sheet]) -> list[SumRow]:
    """Each section's sum over its column, the total over the sections, and the total over the departments."""
    label = words(book.language)
    lines, charges, departments = tables[0], tables[1], tables[2]
    rows = [
        SumRow(
            label["line_sum"], f"=SUM({_range(lines, 'amount')})", _added(book, ("lines",)), _added(book, ("lines",))
        )
    ]
    for section in CHARGE_SECTIONS:
        formula = f"=SUMIF({_range(charges, 'section')},A{SUMS_HEAD_ROW + 1 + len(rows)},{_range(charges, 'amount')})"
        stated = book.whole["tax"] if section == "taxes" else _added(book, (section,))
        rows.append(SumRow(label[section], formula, _added(book, (section,)), stated))
    first, last = SUMS_HEAD_ROW + 1, SUMS_HEAD_ROW + len(rows)
    everything = _added(book, ("lines", *CHARGE_SECTIONS))
    rows.append(SumRow(label["total"], f"=SUM(B{first}:B{last})", everything, book.whole["total"]))
    totals = [document["total"] for document in book.documents]
    rows.append(
        SumRow(label["departments"], f"=SUM({_range(departments, 'total')})", _sum(totals), book.whole["total"])
    )
    return rows


def fact_rows(book: Book) -> list[tuple[str, str]]:
    """What stands above the sums: whose month this is, and what must not be overlooked."""
    label = words(book.language)
    whole, currency = book.whole, book.whole["currency"]
    if book.kind == "organisation":
        whose = label["organisation_unnamed"]
    elif whole["department"] is None:
        whose = label["unattributed"]
    else:
        whose = f"{whole['department']} {whole['department_name'] or ''}".strip()
    in_words = won_in_words(Decimal(whole["total"])) if currency == "KRW" and fits_double(whole["total"]) else "–"
    return [
        (label["organisation"], visible(book.organisation) or "–"),
        (label["department"], visible(whose)),
        (label["month"], f"{month_name(whole['month'], book.language)} ({whole['timezone']})"),
        (label["status"], status_name(whole["status"], book.language)),
        (label["content_hash"], whole["content_hash"]),
        (label["in_words"], in_words),
        (label["budget"], _or_dash(book.beside.budget, currency, book.beside.budget_period)),
        (label["last_month"], _or_dash(book.beside.last_month, currency)),
        (label["unpriced_quantity"], grouped(whole["unpriced_quantity"])),
        (label["unconverted_quantity"], grouped(whole["unconverted_quantity"])),
    ]


class _Formats:
    """Cell formats, made once for each look."""

    def __init__(self, made: Any, font: Mapping[str, Any]) -> None:
        self._made = made
        self._font = font
        self._known: dict[tuple[tuple[str, Any], ...], Any] = {}

    def of(self, **look: Any) -> Any:
        key = tuple(sorted(look.items()))
        if key not in self._known:
            self._known[key] = self._made.add_format({**self._font, **look})
        return self._known[key]

    def number(self, value: str, **look: Any) -> Any:
        """Thousands, and as many decimals as the value has."""
        decimals = len(value.partition(".")[2])
        return self.of(num_format="#,##0" + ("." + "0" * decimals if decimals else ""), **look)


def _write_table(sheet: Any, table: Sheet, formats: _Formats) -> None:
    is_number = table.is_number
    for place, (title, width) in enumerate(zip(table.head, table.widths, strict=True)):
        # The button of a filter stands at the right of its cell, over a title that ends there.
        side = {"align": "right", "indent": 2} if is_number[place] else {"align": "left", "indent": 1}
        head = formats.of(bold=True, bg_color=HEAD_COLOUR, bottom=1, text_wrap=True, valign="vcenter", **side)
        sheet.set_column(place, place, width)
        sheet.write_string(0, place, title, head)
    sheet.set_row(0, HEAD_HEIGHT)
    looks = [_look(table, place, is_number=is_number[place]) for place in range(len(table.names))]
    for line, row in enumerate(table.rows, start=1):
        height = max(_lines(cell.value, table.widths[place]) for place, cell in enumerate(row)
                     if place == 0 or table.names[place] in WRAPPED)  # fmt: skip
        if height > 1:
            sheet.set_row(line, height * LINE_HEIGHT)
        for place, cell in enumerate(row):
            _write_cell(sheet, line, place, cell, formats, **looks[place])
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, max(1, len(table.rows)), len(table.head) - 1)
    _page(sheet)
    sheet.print_area(0, 0, max(1, len(table.rows)), table.printed - 1)
    sheet.repeat_rows(0)


def _lines(text: str, width: int) -> int:
    """How many lines a text takes in a column, at most so many as a row can be high; Korean letters are twice as wide.
    A program that is not told shows the first line only, or one over the other."""
    columns = sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)
    return min(LINES_MAX, -(-columns // max(1, width - 1)) or 1)


def _look(table: Sheet, place: int, *, is_number: bool) -> dict[str, Any]:
    """How the cells of a column look: a figure that no double holds stands where figures do."""
    look: dict[str, Any] = {"valign": "vcenter", "align": "right"} if is_number else {
        "valign": "vcenter", "align": "left", "indent": 1}  # fmt: skip
    if table.names[place] in WRAPPED:
        look["text_wrap"] = True
    if place >= table.printed:
        look["font_color"] = FADED
    return look


def _write_cell(sheet: Any, line: int, place: int, cell: Cell, formats: _Formats, **look: Any) -> None:
    if cell.kind == "number":
        sheet.write_number(line, place, Decimal(cell.value), formats.number(cell.value, **look))
    elif cell.value:
        sheet.write_string(line, place, cell.value, formats.of(**look))


def _write_sums(sheet: Any, book: Book, tables: Sequence[Sheet], formats: _Formats) -> None:
    label = words(book.language)
    sheet.set_column(0, 0, 26)
    sheet.set_column(1, 2, 24)
    sheet.set_column(3, 4, 20)
    title = label["title_organisation" if book.kind == "organisation" else "title"]
    sheet.write_string(0, 0, title, formats.of(bold=True, font_size=16))
    for line, (name, value) in enumerate(fact_rows(book), start=1):
        alarm = {"bold": True, "font_color": "#B3261E"} if line >= 9 and value != "0" else {}
        sheet.write_string(line, 0, name, formats.of(font_color=FADED))
        sheet.write_string(line, 1, value[:32_000], formats.of(**alarm))
    titles = (label["section"], label["by_formula"], label["stated"], label["agrees"], label["exact_text"])
    for place, name in enumerate(titles):
        side = {"align": "right"} if place in (1, 2) else {"indent": 1} if place else {}
        look = {"bold": True, "bg_color": HEAD_COLOUR, "bottom": 1, **side}
        sheet.write_string(SUMS_HEAD_ROW - 1, place, name, formats.of(**look))
    digits = minor_digits(book.whole["currency"])
    for line, row in enumerate(sum_rows(book, tables), start=SUMS_HEAD_ROW):
        bold = {"bold": True} if row.stated is book.whole["total"] else {}
        sheet.write_string(line, 0, row.name, formats.of(**bold))
        sheet.write_formula(line, 1, row.formula, formats.number(row.summed, **bold), Decimal(row.summed))
        _write_cell(sheet, line, 2, Cell("number" if fits_double(row.stated) else "text", row.stated), formats,
                    align="right", **bold)  # fmt: skip
        formula = f'=IF(ROUND(B{line + 1}-C{line + 1},{digits})=0,"{label["yes"]}","{label["no"]}")'
        agrees = Decimal(row.summed) == Decimal(row.stated)
        sheet.write_formula(line, 3, formula, formats.of(indent=1, **bold), label["yes" if agrees else "no"])
        sheet.write_string(line, 4, row.stated, formats.of(indent=1))
    sheet.freeze_panes(SUMS_HEAD_ROW, 0)
    _page(sheet)


def _page(sheet: Any) -> None:
    """A4 across, as many pages long as it takes, with page numbers."""
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&L&A&R&P / &N")


def _properties(book: Book) -> tuple[str, ...]:
    code = book.whole.get("department")
    kind = "unattributed" if book.kind == "department" and code is None else book.kind
    return (book.whole["content_hash"], kind, book.whole["month"], visible(code or "")[:250] or "-", book.language)


def _range(sheet: Sheet, name: str) -> str:
    letter = column_letter(sheet, name)
    return f"'{sheet.title}'!{letter}2:{letter}{max(2, len(sheet.rows) + 1)}"


def _added(book: Book, sections: Sequence[str]) -> str:
    return _sum(
        one["amount"]
        for document in book.documents
        for section in sections
        for one in document[section]
        if one["amount"] is not None
    )


def _sum(figures: Any) -> str:
    with exact():
        return plain(sum((Decimal(figure) for figure in figures), Decimal(0)))


def _or_dash(figure: str | None, currency: str, period: str = "") -> str:
    if figure is None:
        return "–"
    return f"{grouped(figure)} {currency}" + (f" ({period})" if period else "")


def _created(document: Mapping[str, Any]) -> datetime:
    end = month_in(document["month"], document["timezone"]).end_hour * HOUR_SECONDS
    return datetime.fromtimestamp(end, tz=UTC).replace(tzinfo=None)
