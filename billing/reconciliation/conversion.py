"""Our side in the currency of a bill that is written in another: a reseller's won for dollars of use.

Our rate of the vendor's day converts (the last one before it on holidays), or the rate of the invoice's day where the
register says so for the vendor. Only where the whole bill is in one currency and every day of ours has a rate:
otherwise each currency stays a document of its own. What the vendor's rate differs by is the class FX.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from billing.fx_policy import invoice_day
from billing.money import exact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from billing.fx import FxTable
    from billing.invoices.lines import VendorLine
    from billing.invoices.vendors import Vendor
    from billing.reconciliation.groups import OurGroup, PriceLookup, PriceUse


@dataclass(frozen=True, slots=True)
class Converted:
    """`rates` is empty where nothing was converted. `base` is the currency of our prices then."""

    ours: list[OurGroup]
    base: str | None
    currency: str | None
    rates: Mapping[date, Decimal]

    def lookup(self, prices: PriceLookup) -> PriceLookup:
        """Prices of `base` in the bill's currency."""
        if not self.rates or self.currency is None:
            return prices

        def look(day: date, model: str, tier: str, unit: str) -> PriceUse | None:
            use = prices(day, model, tier, unit)
            return use if use is None or use.currency != self.base else self._converted(use, day)

        return look

    def _converted(self, use: PriceUse, day: date) -> PriceUse:
        assert self.currency is not None
        with exact():
            return replace(use, unit_price=use.unit_price * self.rates[day], currency=self.currency)


def convert(
    ours: Sequence[OurGroup], lines: Sequence[VendorLine], days: Sequence[date], vendor: Vendor, rates: FxTable
) -> Converted:
    """Our groups in the bill's currency where they are in another and each of `days` has a rate."""
    billed = {line.currency for line in lines if line.currency is not None}
    priced = {group.currency for group in ours if group.currency is not None}
    if len(billed) != 1 or len(priced) != 1 or billed == priced:
        return Converted(list(ours), None, None, {})
    (currency,), (base,) = billed, priced
    assert currency is not None
    assert base is not None
    by_day: dict[date, Decimal] = {}
    for day in days:
        on = invoice_day(vendor, days[-1]) if vendor.fx_policy in ("invoice_date", "payment_date") else day
        row = rates.on(on, base, currency)
        if row is None:
            return Converted(list(ours), None, None, {})
        by_day[day] = row.rate
    found = Converted([], base, currency, by_day)
    found.ours.extend(_group(found, group, currency) for group in ours)
    return found


def _group(found: Converted, group: OurGroup, currency: str) -> OurGroup:
    if group.amount is None:
        return group
    rate = found.rates[group.key.day]
    prices = tuple(found._converted(use, group.key.day) for use in group.prices)
    with exact():
        return replace(group, amount=group.amount * rate, currency=currency, prices=prices)
