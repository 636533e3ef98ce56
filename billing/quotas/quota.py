"""Quotas as people bring them (contract.md, section 7) and which of them are in force.

A quota is known by (scope, subject, model, unit, window). Rows are added, never overwritten: of the rows of one quota
that hold at a moment the last one counts, so that a row with an end is an override that falls back by itself. A row
without a limit withdraws the quota. `*` as subject stands for each department, programme or user without a row of its
own: they inherit it. A programme's counts what its people use of its models while they have a place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar, get_args

from billing.alerts.recipients import parse_recipients
from billing.csv_file import CellError, Columns, instant_cell, read_file
from billing.errors import CellProblem, FileRefused
from billing.money import MINOR_DIGITS, parse_amount, plain
from billing.quotas.windows import WINDOW_KINDS, WindowKind
from billing.sentences import Sentence, said_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Choice = TypeVar("Choice", bound=str)
Scope = Literal["organisation", "department", "programme", "user"]
Mode = Literal["soft", "hard"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
MODES: tuple[Mode, ...] = get_args(Mode)
EACH = "*"
"""The subject that stands for everybody of a scope without a row of his own; as a model's last letter: any ending."""
TOKENS = "tokens"
"""All units whose name ends in `_tokens`, added up."""
THRESHOLDS = (Decimal(50), Decimal(80), Decimal(100))
"""Percent of the limit, where a file names none."""
COLUMNS = Columns(
    required=("scope", "subject", "model", "unit", "limit", "window", "thresholds", "notify"),
    optional=("mode", "valid_from", "valid_to"),
)
_UNIT = re.compile(r"[a-z][a-z0-9_]{0,63}")
_THRESHOLD_MAX = 1000


class QuotaKey(NamedTuple):
    """What makes two rows the same quota. `subject` is empty for the organisation, `model` for all models."""

    scope: Scope
    subject: str
    model: str
    unit: str
    window: WindowKind


@dataclass(frozen=True, slots=True)
class Quota:
    """One row. `limit` is in the unit, or in the currency that stands as unit; None withdraws. `thresholds` are percent
    of the limit, rising. `id` is 0 for a row that is not stored yet; the hours are half-open."""

    id: int
    key: QuotaKey
    limit: Decimal | None
    thresholds: tuple[Decimal, ...]
    notify: tuple[str, ...]
    mode: Mode
    valid_from: datetime | None
    valid_to: datetime | None

    @property
    def currency(self) -> str | None:
        """The currency of a quota on money; None for one on a quantity."""
        return self.key.unit if self.key.unit in MINOR_DIGITS else None

    def holds(self, moment: datetime) -> bool:
        """Whether the row counts at an instant."""
        return (self.valid_from is None or self.valid_from <= moment) and (
            self.valid_to is None or moment < self.valid_to
        )

    def same_as(self, other: Quota) -> bool:
        """Whether two rows say the same."""
        return self._content() == other._content()

    def counts_model(self, model: str) -> bool:
        """Whether use of a model counts against it."""
        pattern = self.key.model.lower()
        if not pattern or pattern == EACH:
            return True
        return model.lower().startswith(pattern[:-1]) if pattern.endswith(EACH) else model.lower() == pattern

    def counts_unit(self, unit: str) -> bool:
        """Whether a unit counts against it; a quota on money counts all."""
        if self.currency is not None:
            return True
        return unit.endswith("_tokens") if self.key.unit == TOKENS else unit == self.key.unit

    def _content(self) -> tuple[object, ...]:
        return (
            self.key, self.limit, self.thresholds, self.notify, self.mode, self.valid_from, self.valid_to,
        )  # fmt: skip


def in_force(rows: Iterable[Quota], moment: datetime) -> list[Quota]:
    """The quotas that hold at an instant, by key; withdrawn ones are left out."""
    counting: dict[QuotaKey, Quota] = {}
    for row in sorted(rows, key=lambda row: row.id):
        if row.holds(moment):
            counting[row.key] = row
    return [counting[key] for key in sorted(counting) if counting[key].limit is not None]


@dataclass(frozen=True, slots=True)
class QuotaChanges:
    """What a file does; `changed` holds (before, after)."""

    added: tuple[Quota, ...]
    changed: tuple[tuple[Quota, Quota], ...]
    unchanged: int

    @property
    def new_rows(self) -> tuple[Quota, ...]:
        """What is to be written, in the file's order of kinds."""
        return (*self.added, *(after for _, after in self.changed))


def changes(held: Iterable[Quota], rows: Iterable[Quota]) -> QuotaChanges:
    """What a file adds and changes. A row with dates stands beside the one without: each is compared with the last one
    of its own dates."""
    latest = {_place(row): row for row in sorted(held, key=lambda row: row.id)}
    added, changed, unchanged = [], [], 0
    for row in rows:
        old = latest.get(_place(row))
        if old is None:
            added.append(row)
        elif old.same_as(row):
            unchanged += 1
        else:
            changed.append((old, row))
    return QuotaChanges(tuple(added), tuple(changed), unchanged)


def read_quotas(raw: bytes, name: str) -> list[Quota]:
    """The rows of a quotas file, in its order. Raises FileRefused naming everything that is wrong."""
    read = read_file(raw, name, COLUMNS, _row)
    first: dict[object, int] = {}
    problems = []
    for line, row in read:
        earlier = first.setdefault(_place(row), line)
        if earlier != line:
            remedy = Sentence("line %(earlier)s gives this quota already: keep one", earlier=earlier)
            problems.append(CellProblem(name, line, "subject", row.key.subject, remedy))
    if problems:
        raise FileRefused(problems)
    return [row for _, row in read]


def _place(row: Quota) -> tuple[QuotaKey, datetime | None, datetime | None]:
    return row.key, row.valid_from, row.valid_to


def _row(cells: Mapping[str, str]) -> Quota:
    scope = _one_of("scope", cells["scope"], SCOPES)
    subject = cells["subject"]
    if scope == "organisation":
        if subject not in ("", "organisation"):
            raise CellError("subject", subject, "leave it empty: a quota of the organisation has no other subject")
        subject = ""
    elif not subject:
        raise CellError(
            "subject",
            subject,
            Sentence("name a %(scope)s, or write * for each %(scope)s without a row of its own", scope=scope),
        )
    window = _one_of("window", cells["window"], WINDOW_KINDS)
    unit = cells["unit"]
    if not _UNIT.fullmatch(unit) and unit not in MINOR_DIGITS:
        raise CellError("unit", unit, "write a unit (output_tokens), tokens, requests, or a currency (KRW)")
    valid_from, valid_to = (
        instant_cell(column, text) if (text := cells.get(column)) else None for column in ("valid_from", "valid_to")
    )
    if valid_from is not None and valid_to is not None and valid_to <= valid_from:
        raise CellError("valid_to", cells["valid_to"], "let it end after it begins")
    return Quota(
        0,
        QuotaKey(scope, subject, cells["model"], unit, window),
        _limit(cells["limit"], unit),
        _thresholds(cells["thresholds"]),
        _notify(cells["notify"]),
        _one_of("mode", cells.get("mode") or "soft", MODES),
        valid_from,
        valid_to,
    )


def _one_of(column: str, text: str, allowed: tuple[Choice, ...]) -> Choice:
    for choice in allowed:
        if text == choice:
            return choice
    raise CellError(column, text, Sentence("use %(known)s", known=", ".join(allowed)))


def _limit(text: str, unit: str) -> Decimal | None:
    if not text:
        return None
    try:
        limit = parse_amount(text)
    except ValueError as error:
        raise CellError("limit", text, said_by(error)) from None
    if not limit:
        raise CellError("limit", text, "give a limit above 0; leave it empty to withdraw the quota")
    digits = MINOR_DIGITS.get(unit, 0)
    if len(plain(limit).partition(".")[2]) > digits:
        raise CellError(
            "limit",
            text,
            Sentence("%(unit)s has %(digits)s digits after the point: write no more", unit=unit, digits=digits),
        )
    return limit


def _thresholds(text: str) -> tuple[Decimal, ...]:
    """Percent, rising; separated by `;` or spaces, with or without a percent sign."""
    words = [word.rstrip("%") for word in text.replace(";", " ").split()]
    found: list[Decimal] = []
    for word in words:
        try:
            value = parse_amount(word)
        except ValueError:
            value = Decimal(0)
        if not 0 < value <= _THRESHOLD_MAX:
            raise CellError("thresholds", text, "write percents of the limit above 0, such as 50;80;100")
        found.append(value)
    return tuple(sorted(set(found))) or THRESHOLDS


def _notify(text: str) -> tuple[str, ...]:
    try:
        return parse_recipients(text)
    except ValueError as error:
        raise CellError("notify", text, said_by(error)) from None
