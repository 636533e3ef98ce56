"""Budgets beside what was spent: for a month's statements, and for forecasts.

A month's own budget is held against that month; a year's against the year up to and with that month. What earlier
months cost is what their statements say: stored ones where they are closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from billing.ledger.closes import last_closed
from billing.money import exact
from billing.periods import month_in
from billing.plans.budgets import Budgets, BudgetState
from billing.plans.departments import ORGANISATION
from billing.plans.month_totals import read_month_totals
from billing.plans.registers import held_budgets
from billing.sums import first_and_last_hour

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from billing.charges import Department
    from billing.policy import MoneyPolicy

NOUGHT = Decimal(0)


@dataclass(frozen=True, slots=True)
class MonthBudgets:
    """The budgets that hold in a month. `spent_before` is what was spent in the year's earlier months, by department;
    it is there where some budget is a year's."""

    month: str
    budgets: Budgets
    spent_before: Mapping[Department, Decimal]

    def of(self, department: Department, spent: Decimal) -> BudgetState | None:
        """A department's budget with what it spent in the month; None where it has none. Use that nobody is known for
        has no budget."""
        return None if department is None else self._state(department, spent, self.spent_before.get(department, NOUGHT))

    def of_organisation(self, spent: Decimal) -> BudgetState | None:
        """The organisation's budget with what it spent in the month; None where it has none."""
        with exact():
            before = sum(self.spent_before.values(), NOUGHT)
        return self._state(None, spent, before)

    def _state(self, key: str | None, spent: Decimal, before: Decimal) -> BudgetState | None:
        row = self.budgets.of(self.month, key)
        if row is None:
            return None
        with exact():
            counted = spent if row.period == self.month else before + spent
        return BudgetState(row.period, row.amount, row.currency, counted)


def read_month_budgets(connection: Connection, month: str, policy: MoneyPolicy) -> MonthBudgets:
    """The budgets of a month; the connection is a snapshot. Raises BillingError for a bad month."""
    budgets = Budgets(held_budgets(connection), policy.currency)
    spent: dict[Department, Decimal] = {}
    if budgets.need_earlier_months(month):
        for earlier in earlier_months(connection, month, policy.zone):
            with exact():
                for department, total in read_month_totals(connection, earlier, policy).by_department.items():
                    spent[department] = spent.get(department, NOUGHT) + total.booked
    return MonthBudgets(month, budgets, spent)


def show_budgets(
    connection: Connection, month: str, policy: MoneyPolicy, documents: Iterable[dict[str, Any]]
) -> None:
    """Put `budget` into statement documents of a month, the organisation's among them: beside what they say, outside of
    their hash."""
    budgets = read_month_budgets(connection, month, policy)
    for document in documents:
        spent = Decimal(document["total"])
        is_whole = document.get("scope") == ORGANISATION
        state = budgets.of_organisation(spent) if is_whole else budgets.of(document["department"], spent)
        document["budget"] = None if state is None else state.document()


def earlier_months(connection: Connection, month: str, zone: str) -> list[str]:
    """The earlier months of the year that may have cost something: closed, or with usage before their end."""
    hours = first_and_last_hour(connection)
    closed = last_closed(connection)
    names = [f"{month[:4]}-{number:02}" for number in range(1, int(month[5:]))]
    return [
        name
        for name in names
        if (closed is not None and name <= closed) or (hours is not None and hours[0] < month_in(name, zone).end_hour)
    ]
