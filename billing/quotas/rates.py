"""What one unit of a model can cost at most now, for reservations of money quotas: from above, in whole ticks.

The dearest of all tiers, regions and prompt lengths of the book, at the rate of exchange of the day. A model without
any price gets no rates: unknown is never 0, and a gateway then refuses a call under a hard quota of money.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.periods import hour_number
from billing.prices import Asked
from billing.quotas.leases import ticks_of
from producers.units import UNITS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from billing.quotas.states import Prices

MODELS_MAX = 200
"""Of one report."""


def rates_of(
    prices: Prices, models: Iterable[tuple[str, str]], currencies: Iterable[str], moment: datetime
) -> list[tuple[str, str, str, dict[str, int]]]:
    """(currency, provider, model, ticks by unit) of each model that has prices."""
    hour = hour_number(moment)
    terms = [term for term in prices.book.terms if term.holds(hour)]
    keys = {(term.row.key.service_tier, term.row.key.region, term.row.key.prompt_above) for term in terms}
    tiers = {tier if tier != "*" else "standard" for tier, _, _ in keys} | {"standard"}
    regions = {region for _, region, _ in keys} | {None}
    bands = {band for _, _, band in keys} | {0}
    units = {*UNITS, *(term.row.key.unit for term in terms)}
    found = []
    for provider, model in list(models)[:MODELS_MAX]:
        asked = [Asked(provider, model, tier, region, band) for tier in tiers for region in regions for band in bands]
        for currency in currencies:
            of_units: dict[str, int] = {}
            for unit in units:
                rows = {row for one in asked if (row := prices.book.find(one, unit, hour)) is not None}
                costs = [prices.amount(1, row, hour, currency) for row in rows]
                ticks = [ticks_of(cost, currency) for cost in costs if cost is not None]
                if ticks:
                    of_units[unit] = max(ticks)
            if of_units:
                found.append((currency, provider, model, of_units))
    return found
