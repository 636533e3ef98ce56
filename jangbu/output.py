"""Printing: one JSON document, CSV, a table on a terminal, tab-separated text elsewhere. stdout is data."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import click

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def print_json(document: Any) -> None:
    """One JSON document on stdout; decimals as strings, times as RFC 3339 UTC. A float is refused: money is none."""
    click.echo(json_text(document, indent=2))


def json_text(document: Any, indent: int | None = None) -> str:
    """A document as JSON: as `print_json` says."""
    return json.dumps(document, ensure_ascii=False, default=_plain, indent=indent)


def print_rows(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, as_csv: bool = False, right: Sequence[str] = ()
) -> None:
    """Rows as CSV where asked, as a table on a terminal, else tab-separated with a header. `right` aligns figures."""
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([csv_cell(cell) for cell in row] for row in rows)
    elif sys.stdout.isatty():
        _print_table(columns, rows, right)
    else:
        click.echo("\t".join(columns))
        for row in rows:
            click.echo("\t".join(safe_text(cell) for cell in row))


def print_documents(
    name: str, documents: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, as_csv: bool
) -> None:
    """Documents that all have `columns`, as `{name: [...]}` or as rows; a list within one is a cell of words."""
    if as_json:
        print_json({name: documents})
        return
    rows = [[" ".join(cell) if isinstance(cell, list) else cell for cell in one.values()] for one in documents]
    print_rows(columns, rows, as_csv=as_csv)


def csv_cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula: text led by = + - @ gets an apostrophe, figures stay."""
    if value is None:
        return ""
    text = as_text(value)
    if isinstance(value, str) and text.startswith(_FORMULA) and not _is_figure(text):
        return f"'{text}"
    return text


def safe_text(value: Any) -> str:
    """Text that cannot steer a terminal: control and direction marks are shown as escapes."""
    if value is None:
        return ""
    text = as_text(value)
    return _CONTROL.sub(lambda hit: f"\\x{ord(hit[0]):02x}" if ord(hit[0]) < 256 else f"\\u{ord(hit[0]):04x}", text)


def as_text(value: Any) -> str:
    """A cell of a row for people and spreadsheets; None is empty."""
    if value is None or isinstance(value, str):
        return value or ""
    return ("no", "yes")[value] if isinstance(value, bool) else str(_plain(value))


def _is_figure(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text) is not None


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int):
        return value
    raise TypeError(f"{type(value).__name__} has no place in output: {value!r}")


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[str]) -> None:
    from rich.console import Console
    from rich.text import Text

    from jangbu.tables import terminal_lines

    console = Console(highlight=False)
    texts = [[safe_text(cell) for cell in row] for row in rows]
    heading, lines = terminal_lines(columns, texts, right, console.width)
    for line in heading:
        console.print(Text(line, "bold"), crop=False, no_wrap=True, overflow="ignore")
    for line in lines:
        console.print(Text(line), crop=False, no_wrap=True, overflow="ignore")
