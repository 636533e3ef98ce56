"""Rating: sums of quantities, the price book and the rates of exchange -> lines with exact amounts.

Pure. A sum is a quantity of one unit of one model in a stretch of hours in which no price and no day changes
(`billing.sums` cuts them so). What happens to it:
* priced: a row of the book holds; the exact cost is quantity x price / per, in the row's currency;
* unpriced: no row holds. Unknown is never 0: such a quantity has no cost;
* not billable: `requests` without a row are counted only, and an answer from the gateway's cache cost nobody anything.
A failed or broken-off request is charged for what it used, like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from billing.money import exact
from billing.prices import Asked, PriceBook, PriceRow
from billing.terms.tiers import price_by_volume

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

PriceStatus = Literal["priced", "unpriced", "unconverted", "not_billable"]


class UsageSum(NamedTuple):
    """What was used of one model within one stretch of hours. `dimensions` is what the caller groups by.

    `hour` is the first UTC hour of the stretch; `band` the largest price threshold that each prompt in it exceeds;
    `cached` says that the gateway's cache answered; `quantities` holds (unit, quantity) with quantities other than 0.
    """

    dimensions: tuple[object, ...]
    hour: int
    provider: str
    model: str
    service_tier: str
    region: str | None
    band: int
    cached: bool
    quantities: tuple[tuple[str, int], ...]


class RatedQuantity(NamedTuple):
    """One unit of a sum with the row that prices it."""

    usage: UsageSum
    unit: str
    quantity: int
    price: PriceRow | None
    status: PriceStatus


def rate(sums: Iterable[UsageSum], book: PriceBook) -> Iterator[RatedQuantity]:
    """Find the price row of every quantity. Amounts are taken later (`cost_of`), on totals.

    Most sums differ in their dimensions only, so what was found is kept by (hour, provider, model, tier, region, band):
    a sum costs one look-up, and each of its units another one of a short name.
    """
    kept: dict[tuple[object, ...], dict[str, PriceRow | None]] = {}
    for usage in sums:
        found = kept.setdefault(usage[1:7], {})
        for unit, quantity in usage.quantities:
            if usage.cached:
                yield RatedQuantity(usage, unit, quantity, None, "not_billable")
                continue
            try:
                price = found[unit]
            except KeyError:
                asked = Asked(usage.provider, usage.model, usage.service_tier, usage.region, usage.band)
                price = found[unit] = book.find(asked, unit, usage.hour)
            if price is not None:
                yield RatedQuantity(usage, unit, quantity, price, "priced")
            else:
                yield RatedQuantity(usage, unit, quantity, None, "not_billable" if unit == "requests" else "unpriced")


def rate_month(sums: Iterable[UsageSum], book: PriceBook) -> Iterator[RatedQuantity]:
    """Rate a whole month: volume tiers of the contract look at the month's quantity of the organisation, so the sums
    must be all of the month's (of one vendor at least)."""
    rated = rate(sums, book)
    contract = book.contract
    return rated if contract is None or not contract.has_tiers else price_by_volume(rated, contract)


def cost_of(quantity: int, price: PriceRow) -> Decimal:
    """The exact cost of a quantity, in the row's currency."""
    with exact():
        return price.price * quantity / price.per
