"""What vendors say beside the counts: the service tier and what they say that the answer cost."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from producers.formats.usage import UsageRefused

if TYPE_CHECKING:
    from producers.formats.reading import Fields

TIERS: Final = {
    "standard": "standard",
    "default": "standard",  # OpenAI, Bedrock
    "on_demand": "standard",  # Groq; Google's trafficType
    "batch": "batch",
    "priority": "priority",
    "on_demand_priority": "priority",  # Google's trafficType
    "flex": "flex",
    "on_demand_flex": "flex",  # Google's trafficType
}
"""Vendors' words in lower case -> the contract's tiers. `auto` (a wish, not an answer), `scale`, `reserved` and
`provisioned_throughput` (bought in advance) are none of them and stay the vendor's words."""

TICKS_PER_USD: Final = Decimal(10**10)
"""xAI's `cost_in_usd_ticks` (its page on cost tracking, seen 2026-11)."""

_CURRENCY: Final = re.compile(r"[A-Z]{3}")


def tier(*words: str | None) -> tuple[str | None, dict[str, str]]:
    """(tier of the contract or None, tags) from the first word that says one; a word that is unknown is kept."""
    word = next((word for word in words if word), None)
    if word is None or word.lower().endswith("unspecified"):
        return None, {}
    known = TIERS.get(word.lower())
    return known, {} if known else {"vendor_service_tier": word[:64]}


def reported_cost(usage: Fields) -> tuple[Decimal, str] | None:
    """(amount, currency) of what the vendor says the answer cost; None where it says nothing.

    OpenRouter tells a number of USD in `cost`, Perplexity an object with `total_cost` (and sometimes `currency`) there,
    xAI whole ticks in `cost_in_usd_ticks`. Estimates of gateways are not read.
    """
    ticks = usage.count("cost_in_usd_ticks")
    if ticks is not None:
        return Decimal(ticks) / TICKS_PER_USD, "USD"
    cost = usage.values.get("cost")
    if cost is None:
        return None
    if not hasattr(cost, "keys"):
        return _money(usage.where("cost"), cost), "USD"
    parts = usage.inside("cost")
    total = parts.values.get("total_cost")
    if total is None:
        return None
    currency = (parts.text("currency") or "USD").upper()
    if not _CURRENCY.fullmatch(currency):
        raise UsageRefused(parts.where("currency"), currency, "a currency must be a code of three letters")
    return _money(parts.where("total_cost"), total), currency


def _money(where: str, value: Any) -> Decimal:
    """An exact amount. Decode bodies with `parse_float=Decimal`; of a number that was already rounded to a binary
    fraction only the shortest text that names it is left, and that is taken."""
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal, float)):
        raise UsageRefused(where, value, "an amount must be a JSON number")
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise UsageRefused(where, value, "an amount must be a decimal number") from None
    if not amount.is_finite() or amount < 0:
        raise UsageRefused(where, value, "an amount must be a finite number and not below 0")
    return amount
