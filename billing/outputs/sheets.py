"""The tables of a workbook as plain values: what each cell holds, before anything is written. Pure.

`xlsx` writes them, `verifying` compares a file that somebody holds with them: the same cells serve both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from billing.outputs.charge_words import charge_words, terms_words
from billing.outputs.figures import fits_double
from billing.outputs.shown_text import visible
from billing.outputs.texts import status_name, unit_name, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.outputs.texts import Language

CELL_CHARACTERS_MAX = 32_000
"""A cell of a spreadsheet holds 32,767 characters."""
CHARGE_SECTIONS = ("allocated", "adjustments", "taxes")
LINE_NUMBERS = ("quantity", "price", "per", "fx_rate", "amount_exact", "amount")
EXACT_TEXT = "_text"
"""How the name of a column of exact texts ends."""
LINE_EXACT = ("quantity", "unit_price", "fx_rate", "amount_exact", "amount")
"""Figures of a line that stand as numbers, and those whose exact text stands beside."""


@dataclass(frozen=True, slots=True)
class Cell:
    """`number` is written as a number, and only where a double gives it back; `text` is written as text, always."""

    kind: Literal["text", "number"]
    value: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table with one header row. `key` names it for programs, `title` for people."""

    key: str
    title: str
    names: tuple[str, ...]
    head: tuple[str, ...]
    widths: tuple[int, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def printed(self) -> int:
        """How many columns go on paper: those before the exact texts, which repeat the figures for who computes."""
        return next((place for place, name in enumerate(self.names) if name.endswith(EXACT_TEXT)), len(self.names))

    @property
    def is_number(self) -> tuple[bool, ...]:
        """Which columns hold figures."""
        return tuple(any(row[place].kind == "number" for row in self.rows) for place in range(len(self.names)))


def line_sheet(documents: Sequence[Mapping[str, Any]], language: Language) -> Sheet:
    """Every line of the documents: words, numbers, and the exact texts of the numbers at the right."""
    label = words(language)
    named = ("department", "provider", "model", "unit", "quantity", "price_status", "price", "per", "price_currency",
             "price_id", "price_source", "terms", "fx_rate", "amount_exact", "amount")  # fmt: skip
    exact = tuple(f"{name}_text" for name in LINE_EXACT)
    rows = [
        (
            _department(document, language),
            *(_line_cell(line, name, language) for name in named[1:]),
            *(_text(line[name] or "") for name in LINE_EXACT),
        )
        for document in documents
        for line in document["lines"]
    ]
    head = [*(label[name] for name in named), *(f"{label[name]} — {label['exact_text']}" for name in LINE_EXACT)]
    widths = (12, 11, 30, 24, 15, 11, 10, 12, 9, 11, 20, 18, 10, 20, 13, *(24 for _ in exact))
    return Sheet("lines", label["lines"], (*named, *exact), tuple(head), widths, tuple(rows))


def charge_sheet(documents: Sequence[Mapping[str, Any]], language: Language) -> Sheet:
    """Everything beside the lines: shared costs, corrections, tax."""
    label = words(language)
    rows = [
        (
            _department(document, language),
            _text(label[section]),
            _text(charge_words(charge, language)),
            _figure(charge["amount_exact"]),
            _figure(charge["amount"]),
            _text(charge["amount_exact"]),
            _text(charge["amount"]),
        )
        for document in documents
        for section in CHARGE_SECTIONS
        for charge in document[section]
    ]
    names = ("department", "section", "description", "amount_exact", "amount", "amount_exact_text", "amount_text")
    head = [label[name] for name in names[:5]]
    head += [f"{label[name]} — {label['exact_text']}" for name in ("amount_exact", "amount")]
    return Sheet("charges", label["charges"], names, tuple(head), (12, 16, 64, 20, 15, 28, 18), tuple(rows))


def department_sheet(documents: Sequence[Mapping[str, Any]], language: Language) -> Sheet:
    """Each department's total, as its statement states it."""
    label = words(language)
    names = ("department", "department_name", "status", "tax", "total", "unpriced_quantity", "unconverted_quantity",
             "total_exact", "content_hash")  # fmt: skip
    rows = [
        (
            _department(document, language),
            _text(document["department_name"] or ""),
            _text(status_name(document["status"], language)),
            _figure(document["tax"]),
            _figure(document["total"]),
            _figure(document["unpriced_quantity"]),
            _figure(document["unconverted_quantity"]),
            _text(document["total_exact"]),
            _text(document["content_hash"]),
        )
        for document in documents
    ]
    head = [label[name] for name in names]
    return Sheet(
        "departments", label["departments"], names, tuple(head), (12, 28, 11, 14, 16, 16, 16, 40, 66), tuple(rows)
    )


def rate_sheet(documents: Sequence[Mapping[str, Any]], language: Language) -> Sheet:
    """Every exchange rate that a line used, with the quantity of the line that it converted."""
    label = words(language)
    names = ("department", "model", "unit", "price_id", "date", "price_currency", "fx_rate", "source", "quantity")
    rows = [
        (
            _department(document, language),
            _text(line["model"]),
            _text(unit_name(line["unit"], language)),
            _text(line["price_id"] or ""),
            _text(row["date"]),
            _text(line["price_currency"] or ""),
            _figure(row["rate"]),
            _text(row["source"]),
            _figure(row["quantity"]),
        )
        for document in documents
        for line in document["lines"]
        for row in line["fx_rows"]
    ]
    head = [label[name] for name in names]
    return Sheet("rates", label["rates"], names, tuple(head), (12, 34, 24, 12, 12, 9, 12, 28, 15), tuple(rows))


def sheets(documents: Sequence[Mapping[str, Any]], language: Language) -> tuple[Sheet, ...]:
    """All tables of a workbook, the sheet of sums apart."""
    return (
        line_sheet(documents, language),
        charge_sheet(documents, language),
        department_sheet(documents, language),
        rate_sheet(documents, language),
    )


def column_letter(sheet: Sheet, name: str) -> str:
    """The letter of a column; tables have fewer than 27."""
    return chr(ord("A") + sheet.names.index(name))


def _department(document: Mapping[str, Any], language: Language) -> Cell:
    return _text(words(language)["unattributed"] if document["department"] is None else document["department"])


def _line_cell(line: Mapping[str, Any], name: str, language: Language) -> Cell:
    if name == "terms":
        return _text(terms_words(line, language))
    value = line[name]
    if name == "price_status":
        return _text(words(language)[value])
    if name == "unit":
        return _text(unit_name(value, language))
    if value is None:
        return _text("")
    return _figure(value) if name in LINE_NUMBERS else _text(value)


def _figure(value: str) -> Cell:
    return Cell("number", value) if fits_double(value) else Cell("text", value)


def _text(value: str) -> Cell:
    return Cell("text", visible(value)[:CELL_CHARACTERS_MAX])
