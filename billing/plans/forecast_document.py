"""A forecast as a document: figures as they would be booked, beside budgets, for departments and the organisation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from billing.money import exact, plain
from billing.plans.budget_states import read_month_budgets
from billing.plans.budgets import BudgetRow, Budgets, BudgetState
from billing.plans.day_classes import count_by_class
from billing.plans.forecast import Outlook
from billing.plans.forecasting import Forecaster, Part, PeriodForecast
from billing.rounding import apportion, round_total
from billing.statements import read_department_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from billing.charges import Department
    from billing.policy import MoneyPolicy

NOBODY_SPENT = Part(Fraction(0), Outlook(Fraction(0), Fraction(0), Fraction(0)))


@dataclass(frozen=True, slots=True)
class Booked:
    """A forecast in whole steps. `low` is rounded down and `high` up; for a finished period all are what was booked."""

    so_far: Decimal
    low: Decimal
    forecast: Decimal
    high: Decimal

    def document(self, budget: BudgetState | None) -> dict[str, Any]:
        """As JSON, with a budget beside: `spent` is what counts against it so far, `expected` what will."""
        figures = {name: plain(getattr(self, name)) for name in ("so_far", "forecast", "low", "high")}
        return {**figures, "budget": None if budget is None else self._beside(budget)}

    def _beside(self, budget: BudgetState) -> dict[str, str]:
        with exact():
            before = budget.spent - self.so_far
            expected, at_most = before + self.forecast, before + self.high
            state = "over" if expected > budget.amount else "at_risk" if at_most > budget.amount else "within"
            return {
                **budget.document(),
                "expected": plain(expected),
                "expected_remaining": plain(budget.amount - expected),
                "state": state,
            }


def forecast_document(
    forecaster: Forecaster, month: str, *, only: tuple[Department, ...] = (), with_year: bool = False
) -> dict[str, Any]:
    """The document of `jangbu forecast`. `only` names departments to show, none: all. The organisation's figures are
    those of all departments in any case."""
    policy, connection = forecaster.policy, forecaster.connection
    found = forecaster.month(month)
    year = forecaster.year(month[:4]) if with_year else None
    budgets, names = read_month_budgets(connection, month, policy), read_department_names(connection)
    codes = _codes(month, budgets.budgets, found, year)
    booked, whole = book(found, codes, policy)
    rows = {code: booked[code].document(budgets.of(code, booked[code].so_far)) for code in codes}
    organisation = whole.document(budgets.of_organisation(whole.so_far))
    if year is not None:
        _add_year(year, codes, budgets.budgets, policy, rows, organisation)
    return {
        "month": month,
        "timezone": policy.zone,
        "currency": policy.currency,
        **_basis(forecaster, found),
        "departments": [
            {"department": code, "department_name": names.get(code or ""), **rows[code]}
            for code in codes
            if not only or code in only
        ],
        "organisation": organisation,
    }


def book(
    found: PeriodForecast, codes: list[Department], policy: MoneyPolicy
) -> tuple[dict[Department, Booked], Booked]:
    """A forecast rounded as statements are: once, top down, so that departments add up to the organisation."""
    parts = {code: found.departments.get(code, NOBODY_SPENT) for code in codes}
    so_far, spent = _apportioned(parts, lambda part: part.so_far, policy)
    forecast, expected = _apportioned(parts, lambda part: part.end.forecast, policy)
    booked = {code: _booked(part, so_far[code], forecast[code], policy) for code, part in parts.items()}
    return booked, _booked(found.organisation, spent, expected, policy)


def _apportioned(
    parts: Mapping[Department, Part], figure: Callable[[Part], Fraction], policy: MoneyPolicy
) -> tuple[dict[Department, Decimal], Decimal]:
    amounts = {code: figure(part) for code, part in parts.items()}
    total = round_total(sum(amounts.values(), Fraction(0)), policy.step_exponent)
    return apportion(amounts, total, policy.step_exponent, policy.takes_rest), total


def _booked(part: Part, so_far: Decimal, forecast: Decimal, policy: MoneyPolicy) -> Booked:
    end = part.end
    if end.low == end.forecast == end.high:
        return Booked(so_far, forecast, forecast, forecast)
    step = Fraction(10) ** policy.step_exponent
    with exact():
        low = Decimal(math.floor(end.low / step)).scaleb(policy.step_exponent)
        high = Decimal(math.ceil(end.high / step)).scaleb(policy.step_exponent)
        return Booked(so_far, min(low, forecast), forecast, max(high, forecast))


def _codes(month: str, budgets: Budgets, *found: PeriodForecast | None) -> list[Department]:
    """Departments that spent something, or may by a budget: by code, the unattributed account last."""
    named = {code for code, _ in budgets.counting if code is not None}
    codes: set[Department] = {code for code in named if budgets.of(month, code) is not None}
    codes.update(*(one.departments for one in found if one is not None))
    return sorted(codes, key=lambda code: (code is None, code or ""))


def _basis(forecaster: Forecaster, found: PeriodForecast) -> dict[str, Any]:
    """From what the forecast is made."""
    window = None
    if not found.is_finished:
        days = forecaster.window
        window = {
            "first": days[0].isoformat(),
            "last": days[-1].isoformat(),
            "days": count_by_class(days, forecaster.days_off(days)),
        }
    to_come = found.days_to_come
    return {
        "as_of": forecaster.span.last.isoformat(),
        "finished": found.is_finished,
        "observed": window,
        "days_to_come": count_by_class(to_come, forecaster.days_off(to_come)),
        "unknown_quantity": str(found.unknown_quantity),
    }


def _add_year(
    found: PeriodForecast,
    codes: list[Department],
    budgets: Budgets,
    policy: MoneyPolicy,
    rows: Mapping[Department, dict[str, Any]],
    organisation: dict[str, Any],
) -> None:
    """Put `year` beside each month's figures, held against the year's budget."""
    booked, whole = book(found, codes, policy)

    def shown(figures: Booked, row: BudgetRow | None) -> dict[str, Any]:
        state = None if row is None else BudgetState(row.period, row.amount, row.currency, figures.so_far)
        return {"year": found.period, **figures.document(state)}

    for code, row in rows.items():
        budget = None if code is None else budgets.year_of(found.period, code)
        row["year"] = shown(booked[code], budget)
    organisation["year"] = shown(whole, budgets.year_of(found.period, None))
