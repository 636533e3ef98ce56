"""The figures of a demo's screen, and how they are made of the commands' documents. Values in, values out.

Quantities are whole numbers, money is `Decimal`; `as_document` writes money as text (contract.md, head).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jangbu.demo.gateway import Delivered
    from jangbu.demo.people import Plan
    from jangbu.demo.vendor_bill import Planted

SEAT_PRICE = Decimal(30_000)
"""KRW a person and month: what a seat costs where use is not metered (design.md, head)."""
LARGEST_SHOWN = 5


class Stored(NamedTuple):
    """What PostgreSQL says of the month. `records` were read from Kafka; the next three add up to them."""

    records: int
    stored: int
    duplicates: int
    quarantined: int
    people: int
    departments: int
    models: int
    unattributed_events: int


class DepartmentTotal(NamedTuple):
    """One department's statement in short."""

    code: str
    name: str
    total: Decimal


class Class(NamedTuple):
    """One class of breaks: what was planted of it and what reconciliation found, in the vendor's currency."""

    cls: str
    found: Decimal
    found_breaks: int
    planted: Planted | None

    @property
    def agrees(self) -> bool:
        """Whether exactly what was planted was found."""
        return self.found == (self.planted.amount if self.planted is not None else Decimal(0))


class Law(NamedTuple):
    """A law of the audit."""

    law: str
    checked: int
    violations: int


@dataclass(frozen=True)
class Figures:
    """Everything the screen shows."""

    plan: Plan
    delivered: Delivered
    accepted: int
    refused: Mapping[str, int]
    quarantined: Mapping[str, int]
    stored: Stored
    currency: str
    total: Decimal
    unattributed: Decimal
    unpriced_models: Sequence[str]
    unpriced_quantity: int
    largest: Sequence[DepartmentTotal]
    statements: int
    statements_hash: str
    vendor: str
    vendor_currency: str
    ours: Decimal
    invoice: Decimal
    proof_difference: Decimal
    matched_groups: int
    classes: Sequence[Class]
    laws: Sequence[Law]
    path_seconds: float
    total_seconds: float
    processors: int
    directory: str

    @property
    def seats_of_users(self) -> Decimal:
        """Seats for everybody who used a model."""
        return SEAT_PRICE * self.stored.people

    @property
    def seats_of_all(self) -> Decimal:
        """Seats for everybody."""
        return SEAT_PRICE * self.plan.users

    @property
    def events_a_second(self) -> int:
        """Records from the files into SQL, start of the commands included, in this run."""
        return round(self.stored.records / self.path_seconds)

    @property
    def holds(self) -> bool:
        """Whether every law holds and the proof comes out at 0."""
        return self.proof_difference == 0 and not any(law.violations for law in self.laws)

    def as_document(self) -> dict[str, Any]:
        """For `demo --json`."""
        return {
            "month": self.plan.month, "users": self.plan.users, "events": self.plan.events, "seed": self.plan.seed,
            "came_in": {"delivered": self.delivered.as_document(), "accepted": self.accepted, **self.stored._asdict()},
            "refused": dict(self.refused), "quarantined": dict(self.quarantined),
            "month_total": {
                "currency": self.currency, "total": _text(self.total), "unattributed": _text(self.unattributed),
                "seat_price": _text(SEAT_PRICE), "seats_of_users": _text(self.seats_of_users),
                "seats_of_all": _text(self.seats_of_all), "unpriced_models": list(self.unpriced_models),
                "unpriced_quantity": str(self.unpriced_quantity),
            },
            "largest_departments": [
                {"department": one.code, "name": one.name, "total": _text(one.total)} for one in self.largest
            ],
            "statements": {"count": self.statements, "hash": self.statements_hash},
            "invoice": {
                "vendor": self.vendor, "currency": self.vendor_currency, "ours": _text(self.ours),
                "invoice": _text(self.invoice), "difference": _text(self.proof_difference),
                "matched_groups": self.matched_groups,
                "classes": [
                    {"class": one.cls, "found": _text(one.found), "breaks": one.found_breaks, "agrees": one.agrees,
                     "planted": None if one.planted is None else one.planted.as_document()} for one in self.classes
                ],
            },
            "laws": [law._asdict() for law in self.laws],
            "speed": {"records": self.stored.records, "seconds": str(round(self.path_seconds, 2)),
                      "records_a_second": self.events_a_second, "processors": self.processors,
                      "whole_run_seconds": str(round(self.total_seconds, 1))},
            "directory": self.directory,
        }  # fmt: skip


def statements_hash(statements: Sequence[Mapping[str, Any]]) -> str:
    """One hash for all statements of a month: SHA-256 over "CODE HASH" lines in the order of codes."""
    lines = sorted(f"{one['department'] or ''} {one['content_hash']}" for one in statements)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def largest_departments(statements: Sequence[Mapping[str, Any]]) -> list[DepartmentTotal]:
    """The largest statements; use that nobody is known for is none."""
    found = [
        DepartmentTotal(one["department"], one["department_name"] or "", Decimal(one["total"]))
        for one in statements if one["department"] is not None
    ]  # fmt: skip
    return sorted(found, key=lambda one: (-one.total, one.code))[:LARGEST_SHOWN]


def classes_of(breaks: Sequence[Mapping[str, Any]], planted: Sequence[Planted]) -> list[Class]:
    """What was found of each class beside what was planted: planted ones first, in their order."""
    amounts: dict[str, Decimal] = {fault.cls: Decimal(0) for fault in planted}
    counts: dict[str, int] = dict.fromkeys(amounts, 0)
    for one in breaks:
        cls = one["class"]
        amounts[cls] = amounts.get(cls, Decimal(0)) + Decimal(one["amount"])
        counts[cls] = counts.get(cls, 0) + 1
    by_class = {fault.cls: fault for fault in planted}
    return [Class(cls, amounts[cls], counts[cls], by_class.get(cls)) for cls in amounts]


def counted(words: Sequence[str]) -> dict[str, int]:
    """How often each word comes, the most frequent first, then by name."""
    counts = {word: words.count(word) for word in set(words)}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _text(amount: Decimal) -> str:
    return format(amount.normalize() if amount else Decimal(0), "f")
