"""Our side: metered hours of the vendor's month in the vendor's zone, at the prices that departments are charged.

That is the price book with the contract's terms: discounts, and volume tiers reached by all use of a term in the
vendor's month, on whoever's account it ran. A vendor that bills what was agreed then agrees; one that bills the list
differs by PRICE, and where it gives the discount as a line of its own that is CREDIT_OR_DISCOUNT of the other sign.
Within a month every quantity has the same mixture of a graduated tier (`billing.terms.tiers`): a vendor that counts up
day by day differs by PRICE early and late in the month, by nothing over all of it. Minimum fees and commitments price
no use: what a vendor bills for them is FEE.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from typing import TYPE_CHECKING

from billing.money import exact
from billing.periods import hour_start
from billing.prices import Asked, PriceBook, PriceRow
from billing.rating import cost_of, rate_month
from billing.reconciliation.groups import OurGroup, PriceLookup, PriceUse, UsageKey
from billing.store import read_price_rows, read_rules
from billing.sums import read_sums
from billing.terms.store import read_term_book

if TYPE_CHECKING:
    from datetime import date

    from sqlalchemy import Connection

    from billing.invoices.vendors import Vendor
    from billing.periods import Month

HOURS_A_DAY = 24


def vendor_book(connection: Connection, vendor: Vendor) -> PriceBook:
    """The price book of the vendor's providers and of those whose rows may price them, with the contract's terms."""
    rules = read_rules(connection)
    providers = {name for provider in vendor.providers for name in rules.providers_of(provider)}
    return PriceBook(read_price_rows(connection, providers), rules, read_term_book(connection))


def read_ours(connection: Connection, vendor: Vendor, month: Month, book: PriceBook) -> list[OurGroup]:
    """What we metered of the vendor's providers and accounts, by vendor day; the connection is a snapshot.

    A quantity without a price comes as a group of its own, whose amount is None. What nobody bills (answers from the
    gateway's cache, `requests` without a price) is left out.
    """
    days = dict(zip(month.day_hours, month.days, strict=True))
    cuts = sorted(book.cuts(month.first_hour, month.end_hour) | set(month.day_hours))
    day_of = _Days(sorted(days), days)
    sums = read_sums(connection, month.first_hour, month.end_hour, cuts, ("account",))
    # Every account of its providers is rated: a term's volume is the organisation's.
    theirs = (one for one in sums if one.provider.lower() in vendor.providers)
    quantities: dict[tuple[UsageKey, int | None], int] = {}
    prices: dict[int, PriceRow] = {}
    for part in rate_month(theirs, book):
        account = part.usage.dimensions[0]
        if part.status == "not_billable" or (vendor.accounts and account not in vendor.accounts):
            continue
        assert account is None or isinstance(account, str)
        key = UsageKey(day_of(part.usage.hour), account, part.usage.model, part.usage.service_tier, part.unit)
        at = (key, None if part.price is None else part.price.id)
        quantities[at] = quantities.get(at, 0) + part.quantity
        if part.price is not None:
            prices[part.price.id] = part.price
    return [
        OurGroup(key, quantity, None) if price_id is None else _priced(key, quantity, prices[price_id])
        for (key, price_id), quantity in quantities.items()
    ]


def price_lookup(book: PriceBook, vendor: Vendor, month: Month) -> PriceLookup:
    """The price that would have counted on a vendor day for use that we did not see: any hour's, any provider's, with
    the discount that holds. Volume tiers are left out: nobody knows which one it would have reached."""
    first_hours = dict(zip(month.days, month.day_hours, strict=True))

    @cache
    def look(day: date, model: str, tier: str, unit: str) -> PriceUse | None:
        for hour in range(first_hours[day], first_hours[day] + HOURS_A_DAY):
            for provider in vendor.providers:
                row = book.find(Asked(provider, model, tier, None, 0), unit, hour)
                if row is not None:
                    return _use(row)
        return None

    return look


class _Days:
    """The vendor day in which a stretch of hours lies."""

    def __init__(self, starts: list[int], days: dict[int, date]) -> None:
        self._starts = starts
        self._days = days

    def __call__(self, hour: int) -> date:
        return self._days[self._starts[bisect_right(self._starts, hour) - 1]]


def _priced(key: UsageKey, quantity: int, price: PriceRow) -> OurGroup:
    with exact():
        return OurGroup(key, quantity, cost_of(quantity, price), price.currency, (_use(price),))


def _use(row: PriceRow) -> PriceUse:
    """The price as reasons name it: `P-000118`, or `P-000118 with T-000002` where contract terms made it."""
    terms = "".join(f" with {term.code}" for term in row.terms)
    return PriceUse(row.code + terms, row.unit_price, row.currency, hour_start(row.from_hour).date())
