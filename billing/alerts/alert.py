"""What an alert is: its kinds, how grave it is, and the id that follows from what it is about. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from billing.money import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["threshold", "projected", "budget", "spike", "new_model", "unpriced", "late", "silent", "invoice",
               "break", "pledge", "place"]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
"""`late`: the pipeline does not move while records wait; `silent`: a source says nothing when it usually does."""
Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""From the least to the gravest."""
BY_THE_DOZEN: frozenset[Kind] = frozenset({"new_model", "unpriced", "invoice", "break", "pledge", "place"})
"""Kinds that come many at a time: what is due together for one person goes in one message."""
_FULL, _NEARLY = Decimal(100), Decimal(80)


@dataclass(frozen=True, slots=True)
class Due:
    """Something to tell. `key`: what it is about, once ever for a kind. `scope` is empty for what concerns the house
    itself. `department`: whose people hear of it; `notify`: who hears of it instead. `content`: what a message says,
    quantities and money as texts."""

    kind: Kind
    key: str
    severity: Severity
    content: Mapping[str, Any]
    scope: str = ""
    subject: str = ""
    department: str | None = None
    quota: int | None = None
    notify: tuple[str, ...] = field(default=())

    @property
    def uid(self) -> str:
        """Its id."""
        return uid_of(self.kind, self.key)


class Alert(NamedTuple):
    """An alert as it is kept. `id`: its place in the order; `silenced_by`: the silence that kept it from being sent."""

    id: int
    uid: str
    kind: Kind
    key: str
    severity: Severity
    scope: str
    subject: str
    department: str | None
    quota: int | None
    content: dict[str, Any]
    notify: tuple[str, ...]
    silenced_by: int | None
    recorded_at: datetime


def uid_of(kind: str, key: str) -> str:
    """The id of an alert, 32 hex digits: the same as the database's `alert_uid`."""
    return hashlib.sha256(f"{kind}\n{key}".encode()).hexdigest()[:32]


def severity_of_share(percent: Decimal) -> Severity:
    """Of a share of a limit that is reached: all of it is critical, 80 percent a warning."""
    return "critical" if percent >= _FULL else "warning" if percent >= _NEARLY else "info"


def is_at_least(severity: str, lowest: str) -> bool:
    """Whether one is as grave as another."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(lowest)


def number(amount: Decimal | int) -> str:
    """An exact decimal as a text without needless zeros."""
    return plain(Decimal(amount))
