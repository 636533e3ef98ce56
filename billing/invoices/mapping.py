"""A mapping in TOML for a table of no known shape, such as a PDF's invoice typed into a spreadsheet and saved as CSV.

It names the columns, units and their scale, kinds of line by text, how figures and dates are written, and the currency.
Every key is known and checked; a column of the table that it does not name must stand in `ignore`. Nothing is guessed.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from billing.errors import BillingError
from billing.invoices.errors import InvoiceRefused
from billing.invoices.figures import figure
from billing.invoices.lines import LineKind
from billing.periods import load_zone
from billing.sentences import Sentence, said_by

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

BYTES_MAX = 64 * 1024
COLUMNS = ("day", "amount", "kind", "model", "unit", "quantity", "account", "service_tier", "currency", "text")
_SECTIONS = ("ignore", "table", "columns", "figures", "dates", "units", "kinds")
STATED_TOTAL = "stated_total"
"""The kind of a row that repeats what the others come to: it is compared and no line."""
_KINDS = {str(kind): kind for kind in LineKind if kind is not LineKind.QUANTITY}
_MARKS = {"decimal": (".", ","), "thousands": ("", ",", ".", " ", "'")}
_DELIMITERS = (",", ";", "\t", "|")
_UNIT_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DIRECTIVE = re.compile(r"%(.)")
_DIRECTIVES = "YymdHMS"
_SAMPLE = datetime(2026, 10, 31, 23, 59, 58)  # noqa: DTZ001 - to try a format, no instant
Choice = TypeVar("Choice", bound=str)
Table = dict[str, object]


class Unit(NamedTuple):
    """One of theirs is `scale` of our `unit`."""

    unit: str
    scale: Decimal


class Kind(NamedTuple):
    """`kind` None: the row states the total. `is_reversed`: a charge is written negative, money back positive."""

    kind: LineKind | None
    is_reversed: bool


@dataclass(frozen=True)
class MappingFile:
    """A mapping as somebody brought it; identity is the content's SHA-256."""

    name: str
    content: bytes

    @cached_property
    def sha256(self) -> str:
        """The content's address, 64 hexadecimal digits."""
        return sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Mapping:
    """A mapping that was understood. `columns`: our names to the table's. `zone` None: days are the vendor's."""

    columns: dict[str, str]
    ignored: frozenset[str]
    units: dict[str, Unit]
    kinds: dict[str, Kind]
    date_format: str
    zone: ZoneInfo | None
    currency: str | None
    delimiter: str = ","
    decimal: str = "."
    thousands: str = ""
    scale: Decimal = Decimal(1)
    is_reversed: bool = False
    total_tolerance: Decimal = Decimal(0)

    @property
    def is_by_month(self) -> bool:
        """Whether dates tell months and no days."""
        return "%d" not in self.date_format


def read_mapping(file: MappingFile) -> Mapping:
    """The mapping of a file. Raises InvoiceRefused naming file, key and value."""
    sections = _sections(file)
    columns = _texts(file, sections, "columns", COLUMNS)
    for name in ("day", "amount"):
        if name not in columns:
            raise _refused(file, f"columns.{name}", None, "name the column of the table")
    if len(set(columns.values())) < len(columns):
        raise _refused(file, "columns", ", ".join(columns.values()), "name each column once")
    figures = _known(file, sections, "figures",
                     ("decimal", "thousands", "cents", "sign", "currency", "total_tolerance"))  # fmt: skip
    marks = {name: _one_of(file, f"figures.{name}", figures.get(name, choices[0]), choices)
             for name, choices in _MARKS.items()}  # fmt: skip
    if marks["decimal"] == marks["thousands"]:
        raise _refused(file, "figures.thousands", marks["thousands"], "it is the decimal mark already")
    table = _known(file, sections, "table", ("delimiter",))
    cents = figures.get("cents", False)
    if not isinstance(cents, bool):
        raise _refused(file, "figures.cents", cents, "write true or false")
    kinds = _kinds(file, sections, columns)
    date_format, zone = _dates(file, sections)
    sign = _one_of(file, "figures.sign", figures.get("sign", "charge"), ("charge", "reversed"))
    return Mapping(
        columns=columns,
        ignored=_ignored(file, sections, columns),
        units=_units(file, sections, columns),
        kinds=kinds,
        date_format=date_format,
        zone=zone,
        currency=_currency(file, figures, columns),
        delimiter=_one_of(file, "table.delimiter", table.get("delimiter", ","), _DELIMITERS),
        decimal=marks["decimal"],
        thousands=marks["thousands"],
        scale=Decimal("0.01") if cents else Decimal(1),
        is_reversed=sign == "reversed",
        total_tolerance=_positive(file, "figures.total_tolerance", figures.get("total_tolerance", 0), zero=True),
    )


def _sections(file: MappingFile) -> Table:
    if len(file.content) > BYTES_MAX:
        raise _refused(
            file, "file", f"{len(file.content)} bytes", Sentence("a mapping has at most %(most)s", most=BYTES_MAX)
        )
    try:
        found: Table = tomllib.loads(file.content.decode("utf-8-sig"), parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise InvoiceRefused(
            Sentence(
                "%(file)s is not readable TOML in UTF-8: %(error)s; nothing was imported", file=file.name, error=error
            )
        ) from None
    for name in found:
        if name not in _SECTIONS:
            raise _refused(
                file, name, found[name], Sentence("unknown; known are %(known)s", known=", ".join(_SECTIONS))
            )
    return found


def _known(file: MappingFile, sections: Table, section: str, names: tuple[str, ...] | None) -> Table:
    """A section, whose keys must be of `names`."""
    found = sections.get(section, {})
    if not isinstance(found, dict):
        raise _refused(file, section, found, Sentence("write it as a table [%(section)s]", section=section))
    for name, value in found.items():
        if names is not None and name not in names:
            raise _refused(
                file, f"{section}.{name}", value, Sentence("unknown; known are %(known)s", known=", ".join(names))
            )
    return found


def _texts(file: MappingFile, sections: Table, section: str, names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name, value in _known(file, sections, section, names).items():
        if not isinstance(value, str) or not value.strip():
            raise _refused(file, f"{section}.{name}", value, "a text in quotes stands here")
        found[name] = value.strip()
    return found


def _ignored(file: MappingFile, sections: Table, columns: dict[str, str]) -> frozenset[str]:
    found = sections.get("ignore", [])
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise _refused(file, "ignore", found, "a list of columns that are not read stands here")
    for name in found:
        if name in columns.values():
            raise _refused(file, "ignore", name, "this column is read: take it out of one of the two")
    return frozenset(found)


def _currency(file: MappingFile, figures: Table, columns: dict[str, str]) -> str | None:
    value = figures.get("currency")
    if ("currency" in columns) == (value is not None):
        raise _refused(file, "figures.currency", value, "either it or columns.currency tells the currency")
    if value is not None and not (isinstance(value, str) and _CURRENCY.fullmatch(value)):
        raise _refused(file, "figures.currency", value, "a currency is three letters, as in KRW")
    return None if value is None else str(value)


def _units(file: MappingFile, sections: Table, columns: dict[str, str]) -> dict[str, Unit]:
    found = {}
    for text, value in _known(file, sections, "units", None).items():
        key = f"units.{text}"
        told = {"unit": value} if isinstance(value, str) else value
        if not isinstance(told, dict) or not told.keys() <= {"unit", "scale"}:
            raise _refused(file, key, value, 'write { unit = "input_tokens", scale = "1000" }')
        unit = told.get("unit")
        if not isinstance(unit, str) or not _UNIT_NAME.fullmatch(unit):
            raise _refused(file, f"{key}.unit", unit, "a unit of usage events stands here, as in input_tokens")
        found[text.strip()] = Unit(unit, _positive(file, f"{key}.scale", told.get("scale", 1)))
    if ("unit" in columns) != bool(found):
        raise _refused(file, "units", ", ".join(found) or None, "columns.unit and [units] go together")
    if "quantity" in columns and not found:
        raise _refused(file, "columns.quantity", columns["quantity"], "columns.unit tells what is counted")
    return found


def _kinds(file: MappingFile, sections: Table, columns: dict[str, str]) -> dict[str, Kind]:
    found = {}
    for text, value in _known(file, sections, "kinds", None).items():
        key = f"kinds.{text}"
        told = {"kind": value} if isinstance(value, str) else value
        if not isinstance(told, dict) or not told.keys() <= {"kind", "reversed"}:
            raise _refused(file, key, value, 'write "tax", or { kind = "credit", reversed = true }')
        name, is_reversed = told.get("kind"), told.get("reversed", False)
        if name != STATED_TOTAL and name not in _KINDS:
            raise _refused(
                file, f"{key}.kind", name, Sentence("known are %(known)s", known=", ".join((*_KINDS, STATED_TOTAL)))
            )
        if not isinstance(is_reversed, bool):
            raise _refused(file, f"{key}.reversed", is_reversed, "write true or false")
        found[text.strip()] = Kind(_KINDS.get(str(name)), is_reversed)
    if ("kind" in columns) != bool(found):
        raise _refused(file, "kinds", ", ".join(found) or None, "columns.kind and [kinds] go together")
    return found


def _dates(file: MappingFile, sections: Table) -> tuple[str, ZoneInfo | None]:
    dates = _known(file, sections, "dates", ("format", "zone"))
    written, zone = dates.get("format"), dates.get("zone")
    remedy = Sentence(
        'write how dates stand there, as in "%%Y-%%m-%%d", or "%%Y-%%m" for '
        "months; known are %%Y %%y %%m %%d %%H %%M %%S"
    )
    if not isinstance(written, str):
        raise _refused(file, "dates.format", written, remedy)
    directives = _DIRECTIVE.findall(written)
    if set(directives) - set(_DIRECTIVES) or "m" not in directives or not {"Y", "y"} & set(directives):
        raise _refused(file, "dates.format", written, remedy)
    try:
        datetime.strptime(_SAMPLE.strftime(written), written)  # noqa: DTZ007 - to try the format
    except ValueError as error:
        raise _refused(file, "dates.format", written, said_by(error)) from None
    has_time = "H" in directives
    if has_time and "d" not in directives:
        raise _refused(file, "dates.format", written, Sentence("an hour needs its day, %%d"))
    if has_time != (zone is not None):
        raise _refused(
            file, "dates.zone", zone, Sentence("dates with %%H need the zone they are in, dates without have none")
        )
    if zone is None:
        return written, None
    try:
        return written, load_zone(str(zone))
    except BillingError as error:
        raise _refused(file, "dates.zone", zone, said_by(error)) from None


def _one_of(file: MappingFile, key: str, value: object, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise _refused(file, key, value, Sentence("use one of %(known)s", known=", ".join(map(repr, choices))))
    return str(value)


def _positive(file: MappingFile, key: str, value: object, *, zero: bool = False) -> Decimal:
    """An exact positive decimal, written as a number or as a text."""
    is_number = isinstance(value, (str, int, Decimal)) and not isinstance(value, bool)
    found = figure(str(value)) if is_number else None
    if found is None or found < 0 or (not found and not zero):
        raise _refused(file, key, value, "a positive decimal stands here, as in 1000")
    return found


def _refused(file: MappingFile, key: str, value: object, remedy: str) -> InvoiceRefused:
    return InvoiceRefused.at(file.name, "mapping", key, value, remedy)
