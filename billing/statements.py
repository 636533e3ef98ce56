"""Statements: a month's use in the organisation's currency, for every department at once.

A line is (provider, model, unit, price row). Its exact amount is the sum over rates of quantity x unit price x the rate
of the day; the organisation's exact total is rounded once and cut into departments and lines (`billing.rounding`), so
that lines add up to their department and departments to the organisation, to the won. What has no price ('unpriced') or
no rate ('unconverted') is a line without an amount: it shows, and it is never 0.

All departments are computed together, because the rounding of one depends on the others.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text

from billing.charges import BookedCharge, Charge, Department
from billing.cuts import Model, models_at, money_cuts, read_used
from billing.fx_policy import Conversion
from billing.invoices.vendor_store import read_register
from billing.invoices.vendor_terms import VendorTerms
from billing.money import exact
from billing.month_charges import read_charges
from billing.periods import Month, hour_start, month_in
from billing.plans.departments import names_of, terms_of
from billing.plans.registers import held_departments
from billing.rating import PriceStatus, RatedQuantity, rate, rate_month
from billing.rounding import apportion, round_total
from billing.store import read_book, read_fx
from billing.sums import read_sums
from billing.tax import VendorUse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from billing.fx import FxRow
    from billing.invoices.vendors import Vendor
    from billing.policy import MoneyPolicy
    from billing.prices import PriceBook, PriceRow
    from billing.rating import UsageSum

TOKENS = "_tokens"
"""How the name of a unit ends that counts tokens."""


class LineKey(NamedTuple):
    """What makes a line of a department. `price_id` is 0 without a price row, and a number of its own for a price that
    contract terms made of a row (`PriceRow.row_id` is the stored row's)."""

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
    """One department's month. `total` is the sum of its booked lines and charges, tax included."""

    department: Department
    name: str | None
    lines: tuple[StatementLine, ...]
    charges: tuple[BookedCharge, ...]
    exact_total: Fraction
    total: Decimal

    @property
    def tax(self) -> Decimal:
        """The booked tax, which `total` includes."""
        with exact():
            return sum((one.amount for one in self.charges if one.charge.section == "tax"), Decimal(0))

    def open_quantity(self, status: PriceStatus) -> int:
        """How much of the department's use has a status such as 'unpriced'."""
        return sum(line.quantity for line in self.lines if line.key.status == status)


@dataclass(frozen=True, slots=True)
class MonthStatements:
    """All statements of a month, the unattributed one last, with the organisation's exact and booked total."""

    month: Month
    policy: MoneyPolicy
    statements: tuple[Statement, ...]
    exact_total: Fraction
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
    by_vendor: dict[int, dict[int, int]] = field(default_factory=dict)
    """The same by the vendor that bills them (its place in AddedLines.vendors)."""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Within it, nothing looks for cycles. Hundreds of thousands of small objects without any are made and kept;
    walking over them again and again took half of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def compute_month(connection: Connection, month: str, policy: MoneyPolicy) -> MonthStatements:
    """Read, rate, convert and round a month; the connection is a snapshot. Raises BillingError for a bad month."""
    conversion, lines = read_month_lines(connection, month, policy)
    charges = read_charges(connection, conversion, lines.use_by_vendor())
    names = read_department_names(connection, conversion.month.end_hour)
    return make_statements(lines, conversion.month, policy, names, charges)


def read_month_lines(
    connection: Connection, month: str, policy: MoneyPolicy, book: PriceBook | None = None
) -> tuple[Conversion, AddedLines]:
    """A month's lines before rounding, by the price book as it is or another one; the connection is a snapshot."""
    when = month_in(month, policy.zone)
    book = read_book(connection) if book is None else book
    conversion = read_conversion(connection, when, policy)
    used = read_used(connection)
    asked = [(book, dict[Model, Model]())]
    cuts, only = money_cuts(asked, used, conversion), models_at(asked, used, conversion)
    sums = read_sums(connection, when.first_hour, when.end_hour, cuts, conversion.dimensions, models_at=only)
    return conversion, rate_and_add_up(sums, book, conversion)


@_uncollected()
def make_statements(
    added: AddedLines, month: Month, policy: MoneyPolicy, names: Mapping[str, str], charges: Iterable[Charge] = ()
) -> MonthStatements:
    """Statements from the lines of all departments and from charges beside them. Pure."""
    lines, used_rates = added.by_department, _Rates(added.rates)
    beside: dict[Department, list[Charge]] = {}
    for charge in sorted(charges, key=lambda charge: (charge.section, charge.key)):
        beside.setdefault(charge.department, []).append(charge)
    drafts = [
        _draft(department, lines.get(department, {}), beside.get(department, []), used_rates)
        for department in sorted(lines.keys() | beside.keys(), key=_code_order)
    ]
    totals = {draft.department: draft.exact_total for draft in drafts}
    exact_total = sum(totals.values(), Fraction(0))
    total = round_total(exact_total, policy.step_exponent)
    booked = apportion(totals, total, policy.step_exponent, policy.takes_rest)
    statements = tuple(
        _statement(draft, names.get(draft.department or ""), booked[draft.department], used_rates, policy)
        for draft in drafts
    )
    return MonthStatements(month, policy, statements, exact_total, total)


def read_department_names(connection: Connection, end_hour: int | None = None) -> dict[str, str]:
    """The name of each department: by the register, the last that began before a UTC hour if one is given, else by the
    newest roster row that gives one."""
    rows = connection.execute(
        text("""
        select distinct on (department) department, department_name from roster
        where department_name is not null order by department, valid_from desc, id desc""")
    )
    names = {row.department: row.department_name for row in rows}
    return names | names_of(terms_of(held_departments(connection)), None if end_hour is None else hour_start(end_hour))


def is_known_department(connection: Connection, department: str) -> bool:
    """Whether usage, the roster or the register names a department."""
    return bool(
        connection.execute(
            text("""
        select exists (select from payer where department = :department)
            or exists (select from roster where department = :department)
            or exists (select from department d where d.department = :department)"""),
            {"department": department},
        ).scalar_one()
    )


@dataclass(frozen=True, slots=True)
class AddedLines:
    """The lines of every department before rounding, and the rates that they used, by id."""

    by_department: Mapping[Department, Mapping[LineKey, _Line]]
    rates: Mapping[int, FxRow]
    vendors: tuple[Vendor | None, ...]

    def use_by_vendor(self) -> dict[Department, dict[Vendor | None, VendorUse]]:
        """What each department used of each row of the vendor register; None: of providers without a vendor."""
        found: dict[Department, dict[Vendor | None, VendorUse]] = {}
        rates = _Rates(self.rates)
        for department, lines in self.by_department.items():
            costs = [Decimal(0)] * len(self.vendors)
            tokens = [0] * len(self.vendors)
            with exact():
                for key, line in lines.items():
                    is_tokens = key.unit.endswith(TOKENS)
                    for place, by_rate in line.by_vendor.items():
                        costs[place] += _amount_of(key, line.price, by_rate, rates) or 0
                        tokens[place] += sum(by_rate.values()) if is_tokens else 0
            found[department] = {
                vendor: VendorUse(Fraction(cost), count)
                for vendor, cost, count in zip(self.vendors, costs, tokens, strict=True)
            }
        return found


def read_conversion(connection: Connection, month: Month, policy: MoneyPolicy) -> Conversion:
    """The rates and the vendor register for a month; the connection is a snapshot."""
    return Conversion(read_fx(connection), VendorTerms(read_register(connection)), month, policy)


@_uncollected()
def rate_and_add_up(sums: Iterable[UsageSum], book: PriceBook, conversion: Conversion) -> AddedLines:
    """A month's sums, rated, as lines; the sums have `conversion.dimensions`. Pure.

    As add_up(rate_month(sums, book), conversion), and several times as fast: what a quantity belongs to (line, price,
    rate, vendor) is decided once for each question and unit and kept as a number; so a sum costs one look-up of its
    question, and a quantity one addition. Volume tiers cut quantities one by one, and go the long way.
    """
    if book.contract is not None and book.contract.has_tiers:
        return add_up(rate_month(sums, book), conversion)
    adder = _Adder(conversion)
    plans: dict[tuple[object, ...], dict[str, int]] = {}
    totals: dict[object, defaultdict[int, int]] = {}
    with_account = len(conversion.dimensions) > 1
    for usage in sums:
        dimensions = usage[0]
        question = (*usage[1:8], dimensions[1]) if with_account else usage[1:8]
        plan = plans.get(question)
        if plan is None:
            plan = plans[question] = {}
        of_department = totals.get(dimensions[0])
        if of_department is None:
            of_department = totals[dimensions[0]] = defaultdict(int)
        for unit, quantity in usage[8]:
            place = plan.get(unit)
            if place is None:
                (rated,) = rate((usage._replace(quantities=((unit, quantity),)),), book)
                place = plan[unit] = adder.place_of(rated)
            of_department[place] += quantity
    return adder.lines(totals)


def add_up(rated: Iterable[RatedQuantity], conversion: Conversion) -> AddedLines:
    """Quantities by department, line, vendor and exchange rate; the sums have `conversion.dimensions`. Pure."""
    adder = _Adder(conversion)
    totals: dict[object, defaultdict[int, int]] = {}
    for part in rated:
        totals.setdefault(part.usage.dimensions[0], defaultdict(int))[adder.place_of(part)] += part.quantity
    return adder.lines(totals)


class _Slot(NamedTuple):
    """What quantities of a department are added up by: its line, and within it the rate (0: none) and the vendor."""

    key: LineKey
    price: PriceRow | None
    rate_id: int
    vendor: int


class _Adder:
    """Gives slots their places, each once, and makes lines of what was added up by place."""

    def __init__(self, conversion: Conversion) -> None:
        self._conversion = conversion
        self._places: dict[tuple[object, ...], int] = {}
        self._slots: list[_Slot] = []
        self._rates: dict[int, FxRow] = {}
        self._vendors: dict[Vendor | None, int] = {}
        self._converted: dict[tuple[str, object, int, str | None], tuple[int, FxRow | None]] = {}

    def place_of(self, part: RatedQuantity) -> int:
        """The place of a rated quantity's slot."""
        usage, price, status = part.usage, part.price, part.status
        _, *account = usage.dimensions
        foreign = None if price is None or price.currency == self._conversion.policy.currency else price.currency
        asked = (usage.provider, account[0] if account else None, usage.hour, foreign)
        if asked not in self._converted:
            vendor, found = self._conversion.for_use(*asked)  # type: ignore[arg-type]
            self._converted[asked] = self._vendors.setdefault(vendor, len(self._vendors)), found
        vendor_place, row = self._converted[asked]
        rate_id = 0
        if row is not None:
            rate_id = row.id
            self._rates[rate_id] = row
        elif foreign is not None:
            status = "unconverted"
        price_id = 0 if price is None else price.id
        name = (usage.provider, usage.model, part.unit, price_id, status, rate_id, vendor_place)
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = len(self._slots)
            key = LineKey(usage.provider, usage.model, part.unit, price_id, status)
            self._slots.append(_Slot(key, price, rate_id, vendor_place))
        return place

    def lines(self, totals: Mapping[object, Mapping[int, int]]) -> AddedLines:
        """The lines of what was added up by department and place."""
        by_department: dict[Department, dict[LineKey, _Line]] = {}
        for department, by_place in totals.items():
            assert department is None or isinstance(department, str)
            lines = by_department[department] = {}
            for place, quantity in by_place.items():
                key, price, rate_id, vendor = self._slots[place]
                line = lines.get(key)
                if line is None:
                    line = lines[key] = _Line(price)
                line.quantity += quantity
                line.by_rate[rate_id] = line.by_rate.get(rate_id, 0) + quantity
                line.by_vendor.setdefault(vendor, {})[rate_id] = quantity
        return AddedLines(by_department, self._rates, tuple(self._vendors))


class _Rates:
    """Rates of exchange as whole numbers of 10**-digits, so that quantities are weighted as integers: exact, and one
    decimal product a line instead of one a rate. Under 0 stands the rate of what needs no conversion."""

    def __init__(self, rows: Mapping[int, FxRow]) -> None:
        self.by_date = sorted(rows.items(), key=lambda item: (item[1].date, item[0]))
        exponents = [row.rate.as_tuple().exponent for row in rows.values()]
        self.digits = max([0, *(-exponent for exponent in exponents if isinstance(exponent, int))])
        with exact():
            self.scaled = {rate_id: int(row.rate.scaleb(self.digits)) for rate_id, row in rows.items()}
        self.scaled[0] = 10**self.digits

    def weigh(self, by_rate: Mapping[int, int]) -> Decimal:
        """The sum of quantity x rate; within `exact`."""
        scaled = self.scaled
        return Decimal(sum([scaled[rate_id] * quantity for rate_id, quantity in by_rate.items()])).scaleb(-self.digits)


def _amount_of(key: LineKey, price: PriceRow | None, by_rate: Mapping[int, int], rates: _Rates) -> Decimal | None:
    """The exact amount in the statement's currency of quantities by rate, of one line; 0 for what nobody bills, None
    for what is unknown. Within `exact`."""
    if key.status == "not_billable":
        return Decimal(0)
    if price is None or key.status == "unconverted":
        return None
    return rates.weigh(by_rate) * price.price / price.per


@dataclass(frozen=True, slots=True)
class _Draft:
    """A department's month before rounding."""

    department: Department
    lines: Mapping[LineKey, _Line]
    amounts: Mapping[LineKey, Decimal | None]
    charges: Sequence[Charge]
    exact_total: Fraction


def _draft(
    department: Department, lines: Mapping[LineKey, _Line], charges: Sequence[Charge], rates: _Rates
) -> _Draft:
    with exact():
        amounts = {key: _amount_of(key, line.price, line.by_rate, rates) for key, line in sorted(lines.items())}
        known = sum((amount for amount in amounts.values() if amount is not None), Decimal(0))
    total = Fraction(known) + sum((charge.exact for charge in charges), Fraction(0))
    return _Draft(department, lines, amounts, charges, total)


def _statement(
    draft: _Draft, name: str | None, total: Decimal, rates: _Rates, policy: MoneyPolicy
) -> Statement:
    items: dict[LineKey | int, Decimal | Fraction] = {
        key: amount for key, amount in draft.amounts.items() if amount is not None
    }
    items.update({place: charge.exact for place, charge in enumerate(draft.charges)})
    booked = apportion(items, total, policy.step_exponent)
    made = []
    for key, amount in draft.amounts.items():
        line = draft.lines[key]
        by_rate = line.by_rate
        used = tuple([(row, by_rate[rate_id]) for rate_id, row in rates.by_date if rate_id in by_rate])
        made.append(StatementLine(key, line.quantity, line.price, used, amount, booked.get(key)))
    charges = tuple(BookedCharge(charge, booked[place]) for place, charge in enumerate(draft.charges))
    return Statement(draft.department, name, tuple(made), charges, draft.exact_total, total)


def _code_order(department: Department) -> tuple[bool, str]:
    """Departments by code; the unattributed account last."""
    return (department is None, department or "")


def empty_statement(department: Department, name: str | None = None) -> Statement:
    """The statement of a department that used nothing."""
    return Statement(department, name, (), (), Fraction(0), Decimal(0))
