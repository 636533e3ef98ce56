"""Rows as a file that an accounting system or an office takes: CSV, or a workbook with one sheet. Pure."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import xlsxwriter  # type: ignore[import-untyped]

from billing.outputs.figures import fits_double
from billing.outputs.shown_text import formula_free, visible

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

FIXED_TIME = datetime(2000, 1, 1)  # noqa: DTZ001 - a workbook's property has no zone; fixed, so that bytes are
CELL_CHARACTERS_MAX = 32_000


def rows_csv(columns: Sequence[str], rows: Sequence[Mapping[str, str]], figures: Container[str]) -> bytes:
    """CSV in UTF-8; texts that a spreadsheet would take for a formula get an apostrophe, `figures` stay."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([row[name] if name in figures else formula_free(visible(row[name])) for name in columns])
    return target.getvalue().encode()


def rows_workbook(
    title: str, columns: Sequence[str], rows: Sequence[Mapping[str, str]], figures: Container[str]
) -> bytes:
    """A workbook: frozen header, filter, figures as numbers where a double holds them exactly."""
    target = io.BytesIO()
    made = xlsxwriter.Workbook(
        target, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    )
    made.set_properties({"title": title, "created": FIXED_TIME})
    sheet = made.add_worksheet(title[:31])
    head = made.add_format({"bold": True, "bg_color": "#F2F5F9", "bottom": 1})
    for place, name in enumerate(columns):
        sheet.set_column(place, place, 18 if name in figures else 28)
        sheet.write_string(0, place, name, head)
    number = made.add_format({"num_format": "#,##0.###" if _has_fractions(rows, figures) else "#,##0"})
    for line, row in enumerate(rows, start=1):
        for place, name in enumerate(columns):
            value = row[name]
            if name in figures and value and fits_double(value):
                sheet.write_number(line, place, Decimal(value), number)
            elif value:
                sheet.write_string(line, place, visible(value)[:CELL_CHARACTERS_MAX])
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, max(1, len(rows)), len(columns) - 1)
    made.close()
    return target.getvalue()


def _has_fractions(rows: Sequence[Mapping[str, str]], figures: Container[str]) -> bool:
    return any("." in value for row in rows for name, value in row.items() if name in figures)
