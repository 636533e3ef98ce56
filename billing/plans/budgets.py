"""Budgets: what a department, or the organisation, may spend in a month or a year (contract.md, section 7).

A month is judged by its own row, else by its year's. Of rows for one department and period the last one counts; none is
overwritten. A budget is in the currency of the statements, because what is left of it is a plain difference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from billing.csv_file import CellError, Columns, read_file
from billing.errors import CellProblem, FileRefused
from billing.money import exact, minor_digits, parse_amount, plain
from billing.plans.departments import ORGANISATION
from billing.sentences import Sentence, said_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COLUMNS = Columns(required=("department", "period", "amount", "currency"))
_PERIOD = re.compile(r"(?!0000)[0-9]{4}(-(0[1-9]|1[0-2]))?")


class BudgetRow(NamedTuple):
    """`amount` of `currency` for a period: `2026-10` or `2026`. `department` None is the organisation."""

    department: str | None
    period: str
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget beside what counts against it so far. `remaining` is negative where more was spent."""

    period: str
    amount: Decimal
    currency: str
    spent: Decimal

    @property
    def remaining(self) -> Decimal:
        """What is left."""
        with exact():
            return self.amount - self.spent

    def document(self) -> dict[str, str]:
        """As statements show it."""
        return {
            "period": self.period,
            "amount": plain(self.amount),
            "currency": self.currency,
            "spent": plain(self.spent),
            "remaining": plain(self.remaining),
        }


@dataclass(frozen=True, slots=True)
class BudgetChanges:
    """What a file does; `changed` holds (before, after)."""

    added: tuple[BudgetRow, ...]
    changed: tuple[tuple[BudgetRow, BudgetRow], ...]
    unchanged: int

    @property
    def new_rows(self) -> tuple[BudgetRow, ...]:
        """What is to be written."""
        return (*self.added, *(after for _, after in self.changed))


class Budgets:
    """The rows that count, ready to be asked."""

    def __init__(self, rows: Iterable[BudgetRow], currency: str) -> None:
        """`rows` in the order of ids; those of another currency than the statements' are left aside."""
        self.counting = {(row.department, row.period): row for row in rows if row.currency == currency}

    def of(self, month: str, department: str | None) -> BudgetRow | None:
        """The month's own row, else its year's."""
        return self.counting.get((department, month)) or self.counting.get((department, month[:4]))

    def year_of(self, year: str, department: str | None) -> BudgetRow | None:
        """The row of a whole year."""
        return self.counting.get((department, year))

    def need_earlier_months(self, month: str) -> bool:
        """Whether some budget of a month is a year's, so that what was spent before counts."""
        return any(
            period == month[:4] and (department, month) not in self.counting for department, period in self.counting
        )


def read_budgets(raw: bytes, name: str, currency: str) -> list[BudgetRow]:
    """The rows of a budgets file; `currency` is the statements'. Raises FileRefused naming everything that is wrong."""
    read = read_file(raw, name, COLUMNS, lambda cells: _row(cells, currency))
    first: dict[tuple[str | None, str], int] = {}
    problems = []
    for line, row in read:
        earlier = first.setdefault((row.department, row.period), line)
        if earlier != line:
            remedy = Sentence(
                "line %(earlier)s gives %(department)s's budget of that period: keep one",
                earlier=earlier,
                department=row.department or ORGANISATION,
            )
            problems.append(CellProblem(name, line, "period", row.period, remedy))
    if problems:
        raise FileRefused(problems)
    return [row for _, row in read]


def changes(held: Iterable[BudgetRow], rows: Iterable[BudgetRow]) -> BudgetChanges:
    """What a file adds and changes; `held` in the order of ids."""
    counting = {(row.department, row.period): row for row in held}
    added, changed, unchanged = [], [], 0
    for row in rows:
        old = counting.get((row.department, row.period))
        if old is None:
            added.append(row)
        elif old != row:
            changed.append((old, row))
        else:
            unchanged += 1
    return BudgetChanges(tuple(added), tuple(changed), unchanged)


def _row(cells: Mapping[str, str], currency: str) -> BudgetRow:
    period = cells["period"]
    if not _PERIOD.fullmatch(period):
        raise CellError("period", period, "write a month (2026-10) or a year (2026)")
    if cells["currency"] != currency:
        remedy = Sentence(
            "budgets are in the currency of the statements: write the amount in %(currency)s", currency=currency
        )
        raise CellError("currency", cells["currency"], remedy)
    try:
        amount = parse_amount(cells["amount"])
    except ValueError as error:
        raise CellError("amount", cells["amount"], said_by(error)) from None
    digits = minor_digits(currency)
    if len(plain(amount).partition(".")[2]) > digits:
        raise CellError(
            "amount",
            cells["amount"],
            Sentence(
                "%(currency)s has %(digits)s digits after the point: write no more", currency=currency, digits=digits
            ),
        )
    department = cells["department"]
    return BudgetRow(None if department in ("", ORGANISATION) else department, period, amount, currency)
