"""What stands beside a statement's total: its budget and last month's total, read in the statement's own snapshot."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from billing.errors import BillingError
from billing.money import exact, plain
from billing.outputs.page import Beside
from billing.periods import month_in
from billing.plans.budget_states import read_month_budgets
from billing.plans.month_totals import read_month_totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from billing.plans.budgets import BudgetState
    from billing.policy import MoneyPolicy


def read_besides(
    connection: Connection, month: str, policy: MoneyPolicy, documents: Sequence[Mapping[str, Any]]
) -> tuple[dict[str | None, Beside], Beside]:
    """(by department, for the organisation). A year's budget stands with what is left of it after this month."""
    budgets = read_month_budgets(connection, month, policy)
    before = month_before(month)
    earlier = None if before is None else read_month_totals(connection, before, policy)
    booked = {} if earlier is None else {code: total.booked for code, total in earlier.by_department.items()}
    by_department: dict[str | None, Beside] = {}
    for document in documents:
        code = document["department"]
        by_department[code] = _beside(budgets.of(code, Decimal(document["total"])), booked.get(code))
    with exact():
        total = sum((Decimal(document["total"]) for document in documents), Decimal(0))
    last = earlier.booked if earlier is not None and booked else None
    return by_department, _beside(budgets.of_organisation(total), last)


def month_before(month: str) -> str | None:
    """The month before; None where a calendar has none."""
    year, number = (int(part) for part in month.split("-"))
    earlier = f"{year - (number == 1):04d}-{(number - 2) % 12 + 1:02d}"
    try:
        month_in(earlier, "UTC")
    except BillingError:
        return None
    return earlier


def _beside(budget: BudgetState | None, last_month: Decimal | None) -> Beside:
    last = None if last_month is None else plain(last_month)
    if budget is None:
        return Beside(last_month=last)
    return Beside(plain(budget.amount), budget.period, plain(budget.remaining), last)
