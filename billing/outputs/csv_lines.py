"""Statements as CSV: one flat table for lines, charges and the total, every row with whose it is and its content hash.

Cells are safe for spreadsheets (`shown_text.formula_free`); figures stay as they are. Pure.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from billing.outputs.charge_words import charge_words, terms_words
from billing.outputs.shown_text import formula_free, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

COLUMNS = (
    "month", "department", "department_name", "status", "section", "provider", "model", "unit", "quantity",
    "price_status", "unit_price", "price_currency", "price_id", "price_source", "description", "amount_exact",
    "fx_rate", "amount", "currency", "content_hash",
)  # fmt: skip
FIGURES = frozenset({"quantity", "unit_price", "amount_exact", "fx_rate", "amount"})
ORGANISATION = "organisation"
SECTIONS = (("allocated", "allocated"), ("adjustments", "adjustment"), ("taxes", "tax"))


def csv_rows(documents: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    """The rows below the header: of each document its lines, charges, and a row `total`."""
    for document in documents:
        for line in document["lines"]:
            yield _row(document, {**line, "section": "line", "description": terms_words(line)})
        for section, word in SECTIONS:
            for charge in document[section]:
                told = {"section": word, "description": charge_words(charge)}
                yield _row(document, {**told, "amount_exact": charge["amount_exact"], "amount": charge["amount"]})
        total = {"section": "total", "amount_exact": document["total_exact"], "amount": document["total"]}
        yield _row(document, total)


def csv_file(documents: Sequence[Mapping[str, Any]], whole: Mapping[str, Any] | None = None) -> bytes:
    """The whole file, UTF-8; with the organisation's document a last row holds its total and hash."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(csv_rows(documents))
    if whole is not None:
        writer.writerow(organisation_row(whole))
    return target.getvalue().encode()


def organisation_row(whole: Mapping[str, Any]) -> list[str]:
    """The last row of the organisation's file."""
    told = {"section": ORGANISATION, "amount_exact": whole["total_exact"], "amount": whole["total"]}
    return _row({**whole, "department": None, "department_name": None}, told)


def _row(document: Mapping[str, Any], cells: Mapping[str, Any]) -> list[str]:
    whose = {name: document[name] for name in ("month", "department", "department_name", "status", "currency")}
    found = {**cells, **whose, "content_hash": document["content_hash"]}
    return [_cell(name, found.get(name)) for name in COLUMNS]


def _cell(name: str, value: str | None) -> str:
    if value is None:
        return ""
    return value if name in FIGURES else formula_free(visible(value))
