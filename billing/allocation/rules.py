"""Rules of shared costs: what a rule says, which rows hold in a month, and which rules contradict each other.

A row of a rule begins with a month. Of two rows of one rule that begin with the same month the last id counts. A row
holds until its own `valid_to` or the month with which the rule's next row begins, whichever is earlier; a row with the
pool `none` ends its rule. Nothing is overwritten. Months are the organisation's, `YYYY-MM`, half-open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, NamedTuple

from billing.money import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PoolKind = Literal[
    "none", "fixed", "term", "invoice_tax", "invoice_fee", "invoice_credit", "invoice_difference", "unattributed"
]
Basis = Literal["", "tokens", "cost", "users", "headcount", "shares"]
INVOICE_POOLS = ("invoice_tax", "invoice_fee", "invoice_credit", "invoice_difference")


@dataclass(frozen=True, slots=True)
class Rule:
    """One dated row. `id` is 0 for a row that is not stored yet.

    `pool_of` is a vendor (pools of invoices) or the name of a contract term (None: every term that no rule names).
    `basis_of` is a vendor whose use alone counts. `amount` of `currency` is a fixed pool's, each month; it may be
    negative. `departments` empty: all. `shares` holds (department, weight) of fixed shares.
    """

    id: int
    rule: str
    pool: PoolKind
    pool_of: str | None
    amount: Decimal | None
    currency: str | None
    basis: Basis
    basis_of: str | None
    departments: tuple[str, ...]
    shares: tuple[tuple[str, Decimal], ...]
    valid_from: str
    valid_to: str | None
    source: str

    @property
    def code(self) -> str:
        """The row's id as statements and people name it."""
        return f"A-{self.id:06d}"

    @property
    def pool_name(self) -> str:
        """What is shared, as files write it: `unattributed`, `invoice_tax:openai`."""
        return self.pool if self.pool_of is None else f"{self.pool}:{self.pool_of}"

    @property
    def basis_name(self) -> str:
        """The measure, as files write it: `cost`, `tokens:openai`."""
        return self.basis if self.basis_of is None else f"{self.basis}:{self.basis_of}"

    @property
    def key(self) -> tuple[str, str]:
        """What tells rows apart: the rule and the month with which the row begins."""
        return self.rule, self.valid_from

    def document(self) -> dict[str, object]:
        """The row as commands show it."""
        return {
            "rule_id": self.code,
            "rule": self.rule,
            "pool": self.pool_name,
            "amount": None if self.amount is None else plain(self.amount),
            "currency": self.currency,
            "basis": self.basis_name or None,
            "departments": list(self.departments),
            "shares": {department: plain(weight) for department, weight in self.shares},
            "valid_from": self.valid_from,
            "valid_to": self.valid_to,
            "source": self.source,
        }


class Conflict(NamedTuple):
    """Two rules that share one pool in one month."""

    month: str
    first: Rule
    second: Rule


def counting(rows: Iterable[Rule]) -> dict[tuple[str, str], Rule]:
    """The rows that count: for each rule and beginning the last id."""
    return {row.key: row for row in sorted(rows, key=lambda row: row.id)}


def in_force(rows: Iterable[Rule], month: str) -> list[Rule]:
    """The rows that hold in a month, by rule; none of a rule that has ended."""
    newest: dict[str, Rule] = {}
    for row in sorted(counting(rows).values(), key=lambda row: row.valid_from):
        if row.valid_from <= month:
            newest[row.rule] = row
    return [
        row
        for _, row in sorted(newest.items())
        if row.pool != "none" and (row.valid_to is None or month < row.valid_to)
    ]


def added_rows(known: Iterable[Rule], new: Iterable[Rule]) -> list[Rule]:
    """The rows of `new` that are not known as they are."""
    held = counting(known)
    return [row for row in new if row.key not in held or replace(held[row.key], id=row.id) != row]


def conflicts(rows: Sequence[Rule]) -> list[Conflict]:
    """Every pool that two rules share in one month; fixed amounts are each rule's own. By the month it begins with."""
    found = []
    for month in sorted({row.valid_from for row in rows}):
        taken: dict[str, Rule] = {}
        for row in in_force(rows, month):
            if row.pool == "fixed":
                continue
            first = taken.setdefault(row.pool_name, row)
            if first is not row:
                found.append(Conflict(month, first, row))
    return found


def tax_rules(rows: Iterable[Rule], month: str) -> Mapping[str, str]:
    """The rule that shares the tax lines of a vendor's invoice in a month, by vendor."""
    return {row.pool_of: row.rule for row in in_force(rows, month) if row.pool == "invoice_tax" and row.pool_of}
