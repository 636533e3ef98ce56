"""Statements: a month's use in the organisation's currency, for every department at once.

A line is (provider, model, unit, price row). Its exact amount is the sum over days of quantity x unit price x the rate
of the day; the organisation's exact total is rounded once and cut into departments and lines (`billing.rounding`), so
that lines add up to their department and departments to the organisation, to the won. What has no price ('unpriced') or
no rate ('unconverted') is a line without an amount: it shows, and it is never 0.

All departments are computed together, because the rounding of one depends on the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text

from billing.money import exact
from billing.periods import Month, month_in
from billing.rating import PriceStatus, RatedQuantity, rate
from billing.rounding import apportion, round_total
from billing.store import read_book, read_fx
from billing.sums import read_sums

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from billing.fx import FxRow, FxTable
    from billing.policy import MoneyPolicy
    from billing.prices import PriceRow

Department = str | None
"""A department's code; None is use that nobody is known for (contract.md, section 9: the unattributed account)."""


class LineKey(NamedTuple):
    """What makes a line of a department. `price_id` is 0 without a price row."""

    provider: str
    model: str
    unit: str
    price_id: int
    status: PriceStatus


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line. Amounts are in the statement's currency: exact, and as booked; None where they are unknown.

    `rates` holds each exchange rate used with the quantity it converted; empty where no conversion was needed.
    """

    key: LineKey
    quantity: int
    price: PriceRow | None
    rates: tuple[tuple[FxRow, int], ...]
    exact_amount: Decimal | None
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class Statement:
    """One department's month. `total` is the sum of its booked lines."""

    department: Department
    name: str | None
    lines: tuple[StatementLine, ...]
    exact_total: Decimal
    total: Decimal

    def open_quantity(self, status: PriceStatus) -> int:
        """How much of the department's use has a status such as 'unpriced'."""
        return sum(line.quantity for line in self.lines if line.key.status == status)


@dataclass(frozen=True, slots=True)
class MonthStatements:
    """All statements of a month, the unattributed one last, with the organisation's exact and booked total."""

    month: Month
    policy: MoneyPolicy
    statements: tuple[Statement, ...]
    exact_total: Decimal
    total: Decimal

    def of(self, department: Department) -> Statement | None:
        """One department's statement, None where it used nothing."""
        return next((one for one in self.statements if one.department == department), None)


@dataclass(slots=True)
class _Line:
    """A line being added up: quantities by the exchange rate that converts them (0: none is needed)."""

    price: PriceRow | None
    quantity: int = 0
    by_rate: dict[int, int] = field(default_factory=dict)


def compute_month(connection: Connection, month: str, policy: MoneyPolicy) -> MonthStatements:
    """Read, rate, convert and round a month; the connection is a snapshot. Raises BillingError for a bad month."""
    when = month_in(month, policy.zone)
    book = read_book(connection)
    cuts = sorted(book.cuts(when.first_hour, when.end_hour) | set(when.day_hours))
    sums = read_sums(connection, when.first_hour, when.end_hour, cuts, ("department",))
    names = read_department_names(connection)
    return make_statements(rate(sums, book), read_fx(connection), when, policy, names)


def make_statements(
    rated: Iterable[RatedQuantity], rates: FxTable, month: Month, policy: MoneyPolicy, names: Mapping[str, str]
) -> MonthStatements:
    """Statements from rated sums whose only dimension is the department. Pure."""
    lines, used_rates = _add_up(rated, rates, month, policy.currency)
    exact_lines = {
        department: {key: _exact_amount(key, line, used_rates) for key, line in sorted(of_department.items())}
        for department, of_department in sorted(lines.items(), key=lambda item: _code_order(item[0]))
    }
    with exact():
        totals = {
            department: sum((amount for amount in amounts.values() if amount is not None), Decimal(0))
            for department, amounts in exact_lines.items()
        }
        exact_total = sum(totals.values(), Decimal(0))
    total = round_total(exact_total, policy.step_exponent)
    booked = apportion(totals, total, policy.step_exponent)
    statements = tuple(
        _statement(
            department,
            names.get(department or ""),
            lines[department],
            amounts,
            totals[department],
            booked[department],
            used_rates,
            policy,
        )
        for department, amounts in exact_lines.items()
    )
    return MonthStatements(month, policy, statements, exact_total, total)


def read_department_names(connection: Connection) -> dict[str, str]:
    """The name of each department by the newest roster row that gives one."""
    rows = connection.execute(
        text("""
        select distinct on (department) department, department_name from roster
        where department_name is not null order by department, valid_from desc, id desc""")
    )
    return {row.department: row.department_name for row in rows}


def is_known_department(connection: Connection, department: str) -> bool:
    """Whether usage or the roster names a department."""
    return bool(
        connection.execute(
            text("""
        select exists (select from payer where department = :department)
            or exists (select from roster where department = :department)"""),
            {"department": department},
        ).scalar_one()
    )


def _add_up(
    rated: Iterable[RatedQuantity], rates: FxTable, month: Month, currency: str
) -> tuple[dict[Department, dict[LineKey, _Line]], dict[int, FxRow]]:
    """Quantities by department, line and exchange rate; and the rates used, by id."""
    lines: dict[Department, dict[LineKey, _Line]] = {}
    used: dict[int, FxRow] = {}
    days = _day_of_hour(month)
    rate_of: dict[tuple[date, str], FxRow | None] = {}
    for part in rated:
        usage, price, status = part.usage, part.price, part.status
        rate_id = 0
        if price is not None and price.currency != currency:
            asked = (days[usage.hour], price.currency)
            if asked not in rate_of:
                rate_of[asked] = rates.on(asked[0], price.currency, currency)
            row = rate_of[asked]
            if row is None:
                status = "unconverted"
            else:
                rate_id = row.id
                used[row.id] = row
        key = LineKey(usage.provider, usage.model, part.unit, 0 if price is None else price.id, status)
        (department,) = usage.dimensions
        assert department is None or isinstance(department, str)
        line = lines.setdefault(department, {}).setdefault(key, _Line(price))
        line.quantity += part.quantity
        line.by_rate[rate_id] = line.by_rate.get(rate_id, 0) + part.quantity
    return lines, used


def _exact_amount(key: LineKey, line: _Line, rates: Mapping[int, FxRow]) -> Decimal | None:
    """The line's exact amount in the statement's currency; 0 for what nobody bills, None for what is unknown."""
    if key.status == "not_billable":
        return Decimal(0)
    if line.price is None or key.status == "unconverted":
        return None
    with exact():
        weighted = sum(
            (quantity * (rates[rate_id].rate if rate_id else Decimal(1)) for rate_id, quantity in line.by_rate.items()),
            Decimal(0),
        )
        return weighted * line.price.price / line.price.per


def _statement(
    department: Department,
    name: str | None,
    lines: Mapping[LineKey, _Line],
    amounts: Mapping[LineKey, Decimal | None],
    exact_total: Decimal,
    total: Decimal,
    rates: Mapping[int, FxRow],
    policy: MoneyPolicy,
) -> Statement:
    known = {key: amount for key, amount in amounts.items() if amount is not None}
    booked = apportion(known, total, policy.step_exponent)
    made = tuple(
        StatementLine(
            key,
            lines[key].quantity,
            lines[key].price,
            tuple((rates[rate_id], quantity) for rate_id, quantity in _by_date(lines[key].by_rate, rates)),
            amount,
            booked.get(key),
        )
        for key, amount in amounts.items()
    )
    return Statement(department, name, made, exact_total, total)


def _by_date(by_rate: Mapping[int, int], rates: Mapping[int, FxRow]) -> list[tuple[int, int]]:
    used = [(rate_id, quantity) for rate_id, quantity in by_rate.items() if rate_id]
    return sorted(used, key=lambda item: (rates[item[0]].date, item[0]))


def _day_of_hour(month: Month) -> dict[int, date]:
    found: dict[int, date] = {}
    for day, first, end in zip(month.days, month.day_hours, [*month.day_hours[1:], month.end_hour], strict=True):
        found.update(dict.fromkeys(range(first, end), day))
    return found


def _code_order(department: Department) -> tuple[bool, str]:
    """Departments by code; the unattributed account last."""
    return (department is None, department or "")


def empty_statement(department: Department, name: str | None = None) -> Statement:
    """The statement of a department that used nothing."""
    return Statement(department, name, (), Decimal(0), Decimal(0))
