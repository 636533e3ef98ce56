"""Programmes and applications as people bring them. Pure; days are the organisation's, half-open."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from billing.csv_file import CellError, Columns, day_cell, instant_cell, read_file
from billing.errors import CellProblem, FileRefused
from billing.money import minor_digits, parse_amount, plain
from billing.sentences import Sentence, said_by

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

PLACES_MAX = 1_000_000
PROGRAMME_COLUMNS = Columns(
    required=("programme", "name", "starts_on", "ends_on", "places"),
    optional=("department_places", "budget", "currency", "models", "rules_version", "rules"),
)
APPLICATION_COLUMNS = Columns(required=("programme", "user", "department", "applied_at"), optional=("left_at",))
Row = TypeVar("Row")


class Programme(NamedTuple):
    """One programme. `ends_on` is the first day after it. `department_places` empty: first come, first served; else
    only the departments that it names have places, `places` together. `models` empty: all; a `*` ends a beginning of
    names. `rules` are sentences that everybody in it agrees to, under a version."""

    programme: str
    name: str
    starts_on: date
    ends_on: date
    places: int
    department_places: tuple[tuple[str, int], ...]
    budget: Decimal | None
    currency: str
    models: tuple[str, ...]
    rules_version: str
    rules: tuple[str, ...]

    def allows(self, model: str) -> bool:
        """Whether a model is one of its models."""
        name = model.lower()
        return not self.models or any(
            name.startswith(one[:-1].lower()) if one.endswith("*") else name == one.lower() for one in self.models
        )


class Application(NamedTuple):
    """One person's wish for a place, from an instant on; `left_at` None: it stands."""

    programme: str
    user: str
    department: str
    applied_at: datetime
    left_at: datetime | None


State = Literal["coming", "running", "ended"]


def state_on(programme: Programme, day: date) -> State:
    """Whether it has begun, or ended, on a day."""
    if day < programme.starts_on:
        return "coming"
    return "running" if day < programme.ends_on else "ended"


def counting_programmes(rows: Iterable[Programme]) -> dict[str, Programme]:
    """Of rows of one programme the last one; `rows` in the order of ids."""
    return {row.programme: row for row in rows}


def counting_applications(rows: Iterable[Application]) -> list[Application]:
    """Of rows of one programme, user and instant the last one; `rows` in the order of ids."""
    return list({(row.programme, row.user, row.applied_at): row for row in rows}.values())


def read_programmes(raw: bytes, name: str, currency: str) -> list[Programme]:
    """The rows of a programmes file; `currency` is the statements'. Raises FileRefused."""
    return _read(raw, name, PROGRAMME_COLUMNS, lambda cells: _programme(cells, currency), lambda row: row.programme)


def read_applications(raw: bytes, name: str, known: Iterable[str]) -> list[Application]:
    """The rows of an applications file; `known`: the programmes that there are. Raises FileRefused."""
    programmes = set(known)
    return _read(
        raw,
        name,
        APPLICATION_COLUMNS,
        lambda cells: _application(cells, programmes),
        lambda row: (row.programme, row.user, row.applied_at),
    )


def _read(
    raw: bytes,
    name: str,
    columns: Columns,
    read_row: Callable[[Mapping[str, str]], Row],
    identity: Callable[[Row], Hashable],
) -> list[Row]:
    read = read_file(raw, name, columns, read_row)
    first: dict[Hashable, int] = {}
    problems = []
    for line, row in read:
        earlier = first.setdefault(identity(row), line)
        if earlier != line:
            problems.append(
                CellProblem(
                    name,
                    line,
                    columns.required[0],
                    "",
                    Sentence("line %(earlier)s is the same: keep one", earlier=earlier),
                )
            )
    if problems:
        raise FileRefused(problems)
    return [row for _, row in read]


def _programme(cells: Mapping[str, str], currency: str) -> Programme:
    for column in ("programme", "name"):
        if not cells[column]:
            raise CellError(column, "", "fill it in")
    starts_on, ends_on = day_cell("starts_on", cells["starts_on"]), day_cell("ends_on", cells["ends_on"])
    if ends_on <= starts_on:
        raise CellError("ends_on", cells["ends_on"], "write the first day after it: later than it starts")
    places = _places("places", cells["places"])
    by_department = _department_places(cells.get("department_places", ""))
    if by_department and sum(number for _, number in by_department) != places:
        told = sum(number for _, number in by_department)
        raise CellError(
            "places", cells["places"], Sentence("the departments have %(told)s together: let both agree", told=told)
        )
    budget = _budget(cells.get("budget", ""), cells.get("currency", ""), currency)
    return Programme(
        cells["programme"],
        cells["name"],
        starts_on,
        ends_on,
        places,
        by_department,
        budget,
        currency,
        _parts(cells.get("models", "")),
        cells.get("rules_version", ""),
        _parts(cells.get("rules", "")),
    )


def _application(cells: Mapping[str, str], programmes: set[str]) -> Application:
    if cells["programme"] not in programmes:
        raise CellError("programme", cells["programme"], "there is no such programme: import it first")
    for column in ("user", "department"):
        if not cells[column]:
            raise CellError(column, "", Sentence("name the %(column)s", column=column))
    applied_at = instant_cell("applied_at", cells["applied_at"])
    left_at = instant_cell("left_at", cells["left_at"]) if cells.get("left_at") else None
    if left_at is not None and left_at <= applied_at:
        raise CellError("left_at", cells["left_at"], "let it be later than the application")
    return Application(cells["programme"], cells["user"], cells["department"], applied_at, left_at)


def _places(column: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= PLACES_MAX):
        raise CellError(column, text, Sentence("write a whole number from 1 to %(most)s", most=PLACES_MAX))
    return int(text)


def _department_places(text: str) -> tuple[tuple[str, int], ...]:
    """`D001:20;D002:10`."""
    found: dict[str, int] = {}
    for part in _parts(text):
        code, colon, number = part.rpartition(":")
        if not colon or not code or code in found:
            raise CellError("department_places", text, "write each department once with its places: D001:20;D002:10")
        found[code] = _places("department_places", number)
    return tuple(sorted(found.items()))


def _budget(text: str, written: str, currency: str) -> Decimal | None:
    if not text:
        return None
    if written != currency:
        raise CellError(
            "currency",
            written,
            Sentence("budgets are in the currency of the statements: write %(currency)s", currency=currency),
        )
    try:
        amount = parse_amount(text)
    except ValueError as error:
        raise CellError("budget", text, said_by(error)) from None
    if len(plain(amount).partition(".")[2]) > minor_digits(currency):
        raise CellError(
            "budget",
            text,
            Sentence(
                "%(currency)s has %(digits)s digits after the point", currency=currency, digits=minor_digits(currency)
            ),
        )
    return amount


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


