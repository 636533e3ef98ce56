"""What is due of money: budgets that are reached, invoices that have arrived, breaks that are open. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from billing.alerts.alert import Due, number, severity_of_share
from billing.money import exact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from billing.breaks.worklist import WorkItem
    from billing.plans.budgets import BudgetState


class Arrival(NamedTuple):
    """The files of one `invoice import` of a vendor; the days they speak about, both included."""

    vendor: str
    delivery: int
    files: int
    lines: int
    first_day: date | None
    last_day: date | None


def budgets_due(
    states: Iterable[tuple[str | None, BudgetState]], thresholds: Sequence[Decimal]
) -> Iterator[Due]:
    """Once for a department (None: the organisation), a period, an amount and a percent; an amount that is changed is
    told anew. A budget of 0 is reached by anything."""
    for department, state in states:
        for threshold in _reached(state, thresholds):
            yield Due(
                "budget",
                f"{state.period}/{number(state.amount)}/{number(threshold)}/{department or ''}",
                severity_of_share(threshold),
                _content(state, threshold),
                "organisation" if department is None else "department",
                department or "",
                department,
            )


def programme_budgets_due(
    states: Iterable[tuple[str, BudgetState]], thresholds: Sequence[Decimal]
) -> Iterator[Due]:
    """The same for programmes, by code; the period is the programme's days. No department is concerned: the house's own
    recipients hear of it."""
    for programme, state in states:
        for threshold in _reached(state, thresholds):
            key = f"programme/{state.period}/{number(state.amount)}/{number(threshold)}/{programme}"
            content = _content(state, threshold)
            yield Due("budget", key, severity_of_share(threshold), content, "programme", programme)


def _reached(state: BudgetState, thresholds: Sequence[Decimal]) -> list[Decimal]:
    with exact():
        return [one for one in thresholds if state.spent > 0 and state.spent * 100 >= one * state.amount]


def _content(state: BudgetState, threshold: Decimal) -> dict[str, str]:
    return {
        "period": state.period,
        "threshold": number(threshold),
        "amount": number(state.amount),
        "spent": number(state.spent),
        "currency": state.currency,
    }


def invoices_due(arrivals: Iterable[Arrival]) -> Iterator[Due]:
    """Once for a delivery."""
    for one in arrivals:
        content = {
            "vendor": one.vendor,
            "files": str(one.files),
            "lines": str(one.lines),
            "first_day": None if one.first_day is None else one.first_day.isoformat(),
            "last_day": None if one.last_day is None else one.last_day.isoformat(),
        }
        yield Due("invoice", f"{one.vendor}/{one.delivery}", "info", content)


def breaks_due(items: Iterable[WorkItem]) -> Iterator[Due]:
    """Once for a break of a vendor's month, when somebody has to decide about it for the first time. What an invoice
    that is still to come may settle is not told."""
    for item in items:
        if item.is_open and not item.provisional:
            content = {
                "break": item.name,
                "vendor": item.vendor,
                "month": item.month,
                "class": item.cls,
                "amount": number(item.amount),
                "currency": item.currency,
            }
            yield Due("break", "/".join(item.at), "warning", content)
