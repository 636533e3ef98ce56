"""What-if where the contract has volume tiers: by the same sums, a day each, as statements are made of.

A tier looks at the organisation's whole month, and cuts quantities day by day; so totals over days do not do, and a
month takes as long as a statement. Pure: sums, conversion and two pricings in, amounts out.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from billing.money import exact
from billing.rating import UsageSum, cost_of, rate_month
from billing.whatif.compare import Cell, Cells, Pricing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.fx_policy import Conversion

Amounts = dict[tuple[int, str], tuple[Decimal, int]]
"""By place of the sum and unit: the amount, and the quantity that has none."""


def compare_by_volume(sums: Sequence[UsageSum], now: Pricing, then: Pricing, conversion: Conversion) -> Cells:
    """Rate a month's sums (their dimensions are the conversion's) by both pricings."""
    cells: Cells = {}
    of_now, of_then = (_amounts(sums, pricing, conversion) for pricing in (now, then))
    with exact():
        for place, usage in enumerate(sums):
            department = usage.dimensions[0]
            assert department is None or isinstance(department, str)
            cell = cells.setdefault((department, usage.provider, usage.model), Cell())
            for unit, _ in usage.quantities:
                amount_now, unknown_now = of_now[place, unit]
                amount_then, unknown_then = of_then[place, unit]
                lost = max(0, abs(unknown_then) - abs(unknown_now))
                cell.add(Cell(amount_now, amount_then, unknown_now, unknown_then, lost))
    return cells


def _amounts(sums: Sequence[UsageSum], pricing: Pricing, conversion: Conversion) -> Amounts:
    found: Amounts = {}
    asked: list[UsageSum] = []
    places: dict[int, int] = {}
    for place, usage in enumerate(sums):
        provider, model = pricing.instead.get((usage.provider, usage.model), (usage.provider, usage.model))
        asked.append(usage._replace(provider=provider, model=model))
        places[id(asked[-1])] = place
    own = conversion.policy.currency
    with exact():
        for part in rate_month(asked, pricing.book):
            place = places[id(part.usage)]
            amount, unknown = Decimal(0), 0
            if part.status == "unpriced":
                unknown = part.quantity
            elif part.price is not None:
                rate: Decimal | None = Decimal(1)
                if part.price.currency != own:
                    provider, account = sums[place].provider, (*sums[place].dimensions, None)[1]
                    assert account is None or isinstance(account, str)
                    _, row = conversion.for_use(provider, account, part.usage.hour, part.price.currency)
                    rate = None if row is None else row.rate
                if rate is None:
                    unknown = part.quantity
                else:
                    amount = cost_of(part.quantity, part.price) * rate
            before = found.get((place, part.unit), (Decimal(0), 0))
            found[place, part.unit] = (before[0] + amount, before[1] + unknown)
    return found
