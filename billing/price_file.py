"""Price files that people bring (contract.md, section 7): cells to rows, and what such a file would change."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from billing.csv_file import CellError, Columns, read_file
from billing.errors import CellProblem, FileRefused
from billing.money import MINOR_DIGITS, is_decimal_divisor, parse_amount
from billing.periods import hour_number, is_whole_hour
from billing.prices import Origin, PriceKey, PriceRow, in_force
from billing.sentences import Sentence, said_by
from producers.units import UNITS, is_unit_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COLUMNS = Columns(
    required=("provider", "model", "unit", "currency", "price", "per", "valid_from"),
    optional=("service_tier", "region", "prompt_above", "valid_to", "source"),
)
TIERS = ("standard", "batch", "priority", "flex", "*")
PER_MAX = 10**12
PROMPT_ABOVE_MAX = 10**9
YEARS = range(2000, 2100)
COUNTED = (
    "tokens",
    "searches",
    "requests",
    "seconds",
    "characters",
    "images",
    "pages",
    "messages",
    "executions",
    "pixels",
)
"""What a unit's name may end in (contract.md, section 1: others by the same naming)."""


@dataclass(frozen=True, slots=True)
class PriceChanges:
    """What rows do to a book. `ended` are rows of the book that end where a new row begins."""

    added: tuple[PriceRow, ...]
    changed: tuple[tuple[PriceRow, PriceRow], ...]
    ended: tuple[PriceRow, ...]
    unchanged: int

    @property
    def new_rows(self) -> tuple[PriceRow, ...]:
        """The rows to be written, in the order in which they came."""
        return self.added + tuple(new for _, new in self.changed)

    @property
    def thresholds(self) -> tuple[int, ...]:
        """The prompt lengths that the new rows begin above."""
        return tuple(sorted({row.key.prompt_above for row in self.new_rows if row.key.prompt_above}))


def read_prices(raw: bytes, name: str) -> list[PriceRow]:
    """The rows of a price file in its order, with id 0. Raises FileRefused naming everything that is wrong."""
    read = read_file(raw, name, COLUMNS, lambda cells: _row(cells, name))
    seen: dict[tuple[PriceKey, int], int] = {}
    problems = []
    for line, row in read:
        first = seen.setdefault((row.key, row.from_hour), line)
        if first != line:
            remedy = Sentence("line %(first)s prices the same from the same hour: keep one", first=first)
            problems.append(CellProblem(name, line, "", row.key.model, remedy))
    if problems:
        raise FileRefused(problems)
    return [row for _, row in read]


def changes(book: Iterable[PriceRow], rows: Sequence[PriceRow], origin: Origin) -> PriceChanges:
    """What rows would change among the rows of one origin. Rows that say what the book says already are left out."""
    terms = {(term.row.key, term.row.from_hour): term for term in in_force(book) if term.row.origin == origin}
    added, changed, unchanged = [], [], 0
    for row in (replace(row, origin=origin) for row in rows):
        known = terms.get((row.key, row.from_hour))
        if known is None:
            added.append(row)
        elif _says(known.row) == _says(row):
            unchanged += 1
        else:
            changed.append((known.row, row))
    starts: dict[PriceKey, list[int]] = {}
    for row in added:
        starts.setdefault(row.key, []).append(row.from_hour)
    ended = [
        term.row
        for term in terms.values()
        if any(term.row.from_hour < start < term.end_hour for start in starts.get(term.row.key, ()))
    ]
    return PriceChanges(tuple(added), tuple(changed), tuple(ended), unchanged)


def _says(row: PriceRow) -> tuple[object, ...]:
    return row.currency, row.price, row.per, row.to_hour


def _row(cells: Mapping[str, str], name: str) -> PriceRow:
    from_hour = read_hour("valid_from", cells["valid_from"])
    to_hour = read_hour("valid_to", cells["valid_to"]) if cells.get("valid_to") else None
    if to_hour is not None and to_hour <= from_hour:
        raise CellError("valid_to", cells["valid_to"], "end later than valid_from, or leave it empty")
    if cells["currency"] not in MINOR_DIGITS:
        raise CellError("currency", cells["currency"], "use an ISO 4217 code in capitals, such as USD or KRW")
    try:
        price = parse_amount(cells["price"])
    except ValueError as error:
        raise CellError("price", cells["price"], said_by(error)) from None
    per = _whole("per", cells["per"], PER_MAX)
    if not is_decimal_divisor(per):
        raise CellError("per", cells["per"], "state the price for 1, 1000, 1000000 units or another 2^a x 5^b")
    return PriceRow(
        id=0,
        origin="contract",
        key=_key(cells),
        currency=cells["currency"],
        price=price,
        per=per,
        from_hour=from_hour,
        to_hour=to_hour,
        source=cells.get("source") or name,
    )


def _key(cells: Mapping[str, str]) -> PriceKey:
    for column in ("provider", "model"):
        if not cells[column] or len(cells[column]) > 256:
            raise CellError(column, cells[column][:60], "give a name of 1 to 256 characters")
    if "*" in cells["model"][:-1] or "*" in cells["provider"]:
        raise CellError("model", cells["model"], "a * stands only at the end of a model, for all names that begin so")
    unit = read_unit(cells["unit"])
    tier = cells.get("service_tier") or "standard"
    if tier not in TIERS:
        raise CellError(
            "service_tier",
            tier,
            Sentence("use one of %(known)s, or leave it empty for standard", known=", ".join(TIERS)),
        )
    above = cells.get("prompt_above") or "0"
    return PriceKey(
        cells["provider"],
        cells["model"],
        unit,
        tier,
        cells.get("region") or None,
        _whole("prompt_above", above, PROMPT_ABOVE_MAX, least=0),
    )


def read_unit(text: str) -> str:
    """A unit's name. Raises CellError."""
    if not is_unit_name(text) or (text not in UNITS and text.rpartition("_")[2] not in COUNTED):
        raise CellError(
            "unit",
            text,
            Sentence("use a unit such as input_tokens, or one that ends in %(known)s", known=", ".join(COUNTED)),
        )
    return text


def _whole(column: str, text: str, most: int, *, least: int = 1) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text) or not least <= int(text) <= most:
        raise CellError(
            column, text, Sentence("write a whole number from %(least)s to %(most)s", least=least, most=most)
        )
    return int(text)


def read_hour(column: str, text: str) -> int:
    """A whole UTC hour: RFC 3339 with its offset, or a day, which begins at 00:00 UTC."""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            day = date.fromisoformat(text)
            moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        remedy = "write a time such as 2026-10-01T03:00:00Z, or a day, which begins at 00:00 UTC"
        raise CellError(column, text, remedy) from None
    if moment.tzinfo is None:
        raise CellError(column, text, "say in which zone: end it in Z or an offset such as +09:00")
    if moment.year not in YEARS:
        raise CellError(column, text, Sentence("use a year from %(least)s to %(most)s", least=YEARS[0], most=YEARS[-1]))
    if not is_whole_hour(moment):
        raise CellError(column, text, "prices change on whole UTC hours only: move it to one")
    return hour_number(moment)
