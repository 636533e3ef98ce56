"""What a contract's minimums leave to be paid in a month, as pools: amounts that no department's use explains.

The rules of shared costs (`billing.allocation`) spread a pool over departments, by its name; a pool that no rule names
is spread by cost. A minimum fee's pool stands in every month whose charges do not reach it, a commitment's in the month
in which its validity ends. While a month is open its charges grow, and the pool shrinks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from billing.errors import BillingError
from billing.fx_policy import fixed_day
from billing.money import exact_text, plain
from billing.periods import Month, month_in, month_of_hour
from billing.rating import rate_month
from billing.store import read_book, read_fx
from billing.sums import read_sums
from billing.terms.obligations import DrawDown, charges_of, draw_down, shortfall

if TYPE_CHECKING:
    from datetime import date

    from sqlalchemy import Connection

    from billing.fx import FxTable
    from billing.policy import MoneyPolicy
    from billing.prices import PriceBook
    from billing.terms.term import ContractTerm, DatedTerm


@dataclass(frozen=True, slots=True)
class Pool:
    """A cost to be spread. `exact` is in the statement's currency and above 0; `name` is the contract term's, `kind`
    minimum_fee or commitment; `document` says how it came about (texts, None, and nested mappings and lists)."""

    name: str
    kind: str
    exact: Fraction
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ObligationMonth:
    """How one minimum stands at the end of a month, in the term's currency. `months` is a commitment's draw-down."""

    term: ContractTerm
    end_hour: int
    charges: Fraction
    missing: Fraction
    is_due: bool
    months: tuple[DrawDown, ...]

    def document(self) -> dict[str, Any]:
        """As commands and statements show it."""
        assert self.term.amount is not None
        return {
            "term_id": self.term.code,
            "name": self.term.name,
            "kind": self.term.kind,
            "currency": self.term.currency,
            "amount": plain(self.term.amount),
            "charges": exact_text(self.charges),
            "shortfall": exact_text(self.missing),
            "due": self.is_due,
            "remaining": exact_text(self.months[-1].remaining) if self.months else None,
            "months": [
                {
                    "month": one.month,
                    "opening": exact_text(one.opening),
                    "charges": exact_text(one.charges),
                    "drawn": exact_text(one.drawn),
                    "beyond": exact_text(one.beyond),
                    "remaining": exact_text(one.remaining),
                }
                for one in self.months
            ],
            "source": self.term.source,
        }


def read_pools(connection: Connection, month: Month, policy: MoneyPolicy) -> list[Pool]:
    """The shortfalls of a month, by name; the connection is a snapshot. Raises BillingError naming a missing rate."""
    standing = read_obligations(connection, month)
    due = [one for one in standing if one.is_due and one.missing]
    if not due:
        return []
    rates = read_fx(connection)
    day = fixed_day(policy.fx_day, month.days[-1])
    return [_pool(one, rates, day, policy.currency) for one in due]


def read_obligations(connection: Connection, month: Month) -> list[ObligationMonth]:
    """How every minimum that holds in a month stands at its end, by name; the connection is a snapshot."""
    book = read_book(connection)
    if book.contract is None:
        return []
    held = [one for one in book.contract.obligations if _holds_in(one, month)]
    if not held:
        return []
    rates = read_fx(connection)
    first = min((one.term.from_hour for one in held if one.term.kind == "commitment"), default=month.first_hour)
    by_month = {
        when.name: _read_charges(connection, when, book, held, rates)
        for when in _months(min(first, month.first_hour), month)
    }
    return [_standing(one, by_month, month) for one in held]


def _holds_in(one: DatedTerm, month: Month) -> bool:
    """A minimum fee holds for a month if it does at the month's beginning; a commitment if it does at any hour."""
    if one.term.kind == "minimum_fee":
        return one.holds(month.first_hour)
    return one.term.from_hour < month.end_hour and one.end_hour > month.first_hour


def _months(first_hour: int, last: Month) -> list[Month]:
    """The months of the zone from the one of an hour to `last`."""
    months = [last]
    while months[0].first_hour > first_hour:
        months.insert(0, month_in(month_of_hour(months[0].first_hour - 1, last.zone), last.zone))
    return months


def _read_charges(
    connection: Connection, month: Month, book: PriceBook, held: list[DatedTerm], rates: FxTable
) -> dict[int, Fraction]:
    cuts = sorted(book.cuts(month.first_hour, month.end_hour) | set(month.day_hours))
    sums = read_sums(connection, month.first_hour, month.end_hour, cuts, ())
    return charges_of(rate_month(sums, book), held, rates, _day_of_hour(month))


def _standing(one: DatedTerm, by_month: Mapping[str, Mapping[int, Fraction]], month: Month) -> ObligationMonth:
    assert one.term.amount is not None
    minimum = Fraction(one.term.amount)
    if one.term.kind == "minimum_fee":
        charges = by_month[month.name][one.term.id]
        return ObligationMonth(one.term, one.end_hour, charges, shortfall(minimum, charges), True, ())
    own = [
        (name, charges[one.term.id])
        for name, charges in by_month.items()
        if month_in(name, month.zone).end_hour > one.term.from_hour
    ]
    months = tuple(draw_down(minimum, own))
    total = sum((charges for _, charges in own), Fraction(0))
    ends = month.first_hour < one.end_hour <= month.end_hour
    return ObligationMonth(one.term, one.end_hour, total, months[-1].remaining, ends, months)


def _pool(one: ObligationMonth, rates: FxTable, day: date, currency: str) -> Pool:
    """The shortfall in the statement's currency, by the rate of the month's day (or the last one before it)."""
    own = one.term.currency
    assert own is not None
    exact, rate = one.missing, None
    if own != currency:
        rate = rates.on(day, own, currency)
        if rate is None:
            raise BillingError(
                f"the shortfall of {one.term.name} ({one.term.code}) is {exact_text(one.missing)} {own}: import a rate "
                f"of {own} in {currency} with `jangbu fx import FILE`"
            )
        exact *= Fraction(rate.rate)
    document = one.document() | {
        "fx_rate": "1" if rate is None else plain(rate.rate),
        "fx_date": None if rate is None else rate.date.isoformat(),
        "fx_source": None if rate is None else rate.source,
    }
    return Pool(one.term.name, one.term.kind, exact, document)


def _day_of_hour(month: Month) -> dict[int, date]:
    found: dict[int, date] = {}
    for day, first, end in zip(month.days, month.day_hours, [*month.day_hours[1:], month.end_hour], strict=True):
        found.update(dict.fromkeys(range(first, end), day))
    return found
