"""What an import says of itself: the file as it went in, and what it took the place of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    from billing.invoices.lines import FileKind


class At(NamedTuple):
    """Where an amount counts, as far as a revised file is compared with the one before."""

    day: date
    model: str | None
    currency: str


class Change(NamedTuple):
    """What a revised file says of a day and model; 0 where it says nothing."""

    at: At
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True)
class Superseded:
    """Days of an earlier import that an import replaces, and what they come to before and after, by currency.

    `changes` are the days and models whose amount is another one now, the largest first.
    """

    import_id: int
    file_name: str
    days: tuple[date, ...]
    before: dict[str, Decimal]
    after: dict[str, Decimal]
    changes: tuple[Change, ...] = ()


@dataclass(slots=True)
class Imported:
    """One file as it went in. `amounts` is the sum of its lines by currency."""

    import_id: int
    file_name: str
    sha256: str
    format: str
    kind: FileKind
    why: str
    lines: int = 0
    days: set[date] = field(default_factory=set)
    accounts: set[str | None] = field(default_factory=set)
    amounts: dict[str, Decimal] = field(default_factory=dict)
    stated: dict[str, Decimal] = field(default_factory=dict)
    by_day: dict[At, Decimal] = field(default_factory=dict)
    has_detail: bool = False
    supersedes: list[Superseded] = field(default_factory=list)
