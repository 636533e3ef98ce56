"""List prices from the installed genai-prices package, as price rows and model rules of ours.

What genai-prices says and what becomes of it:
* its fields are prices of disjoint leaves, as our units are: `_UNITS` maps them. `cache_write_mtok` prices written
  tokens of unknown and of five minutes' lifetime; tokens kept for an hour have a row only where it names their price;
* a tier ("above 200,000 input tokens, all tokens cost ...") is a row with `prompt_above`;
* dated prices begin at 00:00 UTC of their date; what holds before the first date, or has none, begins at BASELINE,
  which means: for as long as the list tells nothing else;
* batch, priority and flex prices are rows of that service tier, complete with the units that keep their standard price;
* prices are its exact decimals, by their text.
What our rows cannot say is not carried, and named in the result: prices by time of day (all of that model, because
carrying its other hours would price the rest wrongly), prices for 3600 seconds (no exact decimal), and price variants
other than service tiers. Such use is unpriced until somebody imports a price for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from billing.models import Clause, ModelRule
from billing.money import is_decimal_divisor
from billing.periods import hour_number
from billing.prices import PriceKey, PriceRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

BASELINE = datetime(2000, 1, 1, tzinfo=UTC)
PACKAGE = "genai-prices"

_UNITS: Mapping[str, tuple[str, ...]] = {
    "input_mtok": ("input_tokens",),
    "output_mtok": ("output_tokens",),
    "cache_read_mtok": ("cache_read_tokens",),
    "cache_write_mtok": ("cache_write_tokens", "cache_write_5m_tokens"),
    "cache_write_5m_mtok": ("cache_write_5m_tokens",),
    "cache_write_1h_mtok": ("cache_write_1h_tokens",),
    "output_reasoning_mtok": ("reasoning_tokens",),
    "output_citation_mtok": ("citation_tokens",),
    "input_mchars": ("input_characters",),
    "input_text_messages_kcount": ("input_messages",),
    "input_document_kpages": ("document_pages",),
    "input_annotated_document_kpages": ("annotated_document_pages",),
    "web_searches_kcount": ("web_searches",),
    "social_searches_kcount": ("social_searches",),
    "storage_searches_kcount": ("storage_searches",),
    "rerank_searches_kcount": ("rerank_searches",),
    "code_executions_kcount": ("code_executions",),
    "requests_kcount": ("requests",),
    **{
        price_key: (unit,)
        for kind in ("audio", "image", "video")
        for price_key, unit in (
            (f"input_{kind}_mtok", f"{kind}_input_tokens"),
            (f"output_{kind}_mtok", f"{kind}_output_tokens"),
            (f"cache_{kind}_read_mtok", f"cache_read_{kind}_tokens"),
            (f"cache_{kind}_write_mtok", f"cache_write_{kind}_tokens"),
        )
    },
}
_TIERS: Mapping[str, Mapping[str, str]] = {
    "standard": {},
    "batch": {"processing": "batch"},
    "priority": {"service_tier": "priority"},
    "flex": {"service_tier": "flex"},
}
"""Our service tiers as the request context that genai-prices selects its variants by."""


@dataclass(frozen=True, slots=True)
class Seed:
    """What the list gives. `not_carried` names each model or price that our rows cannot say, with the reason."""

    source: str
    rows: tuple[PriceRow, ...]
    rules: tuple[ModelRule, ...]
    not_carried: tuple[str, ...]


def read_seed() -> Seed:
    """The prices of the installed package; reads its own data, never the network."""
    from genai_prices import data

    source = f"{PACKAGE} {version(PACKAGE)}"
    rows: list[PriceRow] = []
    lost: list[str] = []
    for provider in data.providers:
        for model in provider.models:
            rows += _model_rows(provider.id, model, source, lost)
    return Seed(source, tuple(rows), tuple(_rules(data.providers)), tuple(lost))


def _model_rows(provider: str, model: Any, source: str, lost: list[str]) -> list[PriceRow]:
    """The rows of one model; what cannot be carried is added to `lost`."""
    name = f"{provider}/{model.id}"
    blocks = model.prices if isinstance(model.prices, list) else []
    variants = model.price_variants or []
    if any(hasattr(part.constraint, "start_time") for part in [*blocks, *variants]):
        lost.append(f"{name}: its price depends on the time of day")
        return []
    if not blocks and isinstance(model.prices, list):
        return []
    lost += [
        f"{name}: the variant for {', '.join(f'{key}={value}' for key, value in variant.when.items())}"
        for variant in variants
        if variant.when not in _TIERS.values() and any(value is not None for value in vars(variant.prices).values())
    ]
    starts = sorted({part.constraint.start_date for part in [*blocks, *variants] if part.constraint is not None})
    moments = [BASELINE, *(datetime.combine(start, time(), tzinfo=UTC) for start in starts)]
    rows: list[PriceRow] = []
    for tier, context in _TIERS.items():
        history = [
            (moment, _prices_at(model, variants, moment, context, name, lost if tier == "standard" else []))
            for moment in moments
        ]
        rows += _rows_of(history, provider, model.id, tier, source)
    return rows


def _prices_at(
    model: Any, variants: Iterable[Any], moment: datetime, context: Mapping[str, str], name: str, lost: list[str]
) -> dict[tuple[str, int], tuple[Decimal, int]]:
    """(unit, prompt_above) -> (price, per) as of a moment; empty for a tier that has no variant then."""
    if context and not any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(moment))
        for variant in variants
    ):
        return {}
    prices = model.get_prices(moment, context or None)
    stated = {key: value for key, value in vars(prices).items() if value is not None and not key.startswith("_")}
    found: dict[tuple[str, int], tuple[Decimal, int]] = {}
    for price_key, value in stated.items():
        per = _per(price_key)
        if per is None:
            sentence = f"{name}: {price_key} has no unit here or no exact decimal for one unit"
            if sentence not in lost:
                lost.append(sentence)
            continue
        for unit in _UNITS[price_key]:
            if price_key == "cache_write_mtok" and unit == "cache_write_5m_tokens" and "cache_write_5m_mtok" in stated:
                continue
            found.update({(unit, above): (price, per) for above, price in _steps(value)})
    return found


def _steps(value: Any) -> Iterator[tuple[int, Decimal]]:
    """(prompt_above, price) of a flat or tiered price."""
    if isinstance(value, Decimal):
        yield 0, value
        return
    yield 0, value.base
    for tier in value.tiers:
        yield tier.start, tier.price


def _per(price_key: str) -> int | None:
    """For how many units a field states its price; None for one that our rows cannot say."""
    from genai_prices.data_units import unit_data

    per = next((int(unit["per"]) for unit in unit_data.values() if unit["price_key"] == price_key), 0)
    return per if price_key in _UNITS and is_decimal_divisor(per) else None


def _rows_of(
    history: list[tuple[datetime, dict[tuple[str, int], tuple[Decimal, int]]]],
    provider: str,
    model: str,
    tier: str,
    source: str,
) -> list[PriceRow]:
    """Rows for a history of prices: one where a price begins or changes; with an end only where nothing follows it."""
    rows: list[PriceRow] = []
    for unit, above in dict.fromkeys(key for _, prices in history for key in prices):
        spans: list[tuple[int, int | None, tuple[Decimal, int]]] = []
        before: tuple[Decimal, int] | None = None
        for moment, prices in history:
            now = prices.get((unit, above))
            if now is None and before is not None:
                first, _, price = spans.pop()
                spans.append((first, hour_number(moment), price))
            elif now is not None and now != before:
                spans.append((hour_number(moment), None, now))
            before = now
        rows += [
            PriceRow(
                0, "list", PriceKey(provider, model, unit, tier, None, above), "USD", price, per, first, last, source
            )
            for first, last, (price, per) in spans
        ]
    return rows


def _rules(providers: Iterable[Any]) -> Iterator[ModelRule]:
    for provider in providers:
        place = 0
        for model in provider.models:
            yield ModelRule(provider.id, place, clause_of(model.match), provider.id, model.id)
            place += 1
        for other in provider.fallback_model_providers or ():
            yield ModelRule(provider.id, place, None, other, None)
            place += 1


def clause_of(match: Any) -> Clause:
    """A match clause of genai-prices in our form. Raises ValueError for a kind that is new to us."""
    for attribute, kind in (("or_", "any"), ("and_", "all")):
        if hasattr(match, attribute):
            return {kind: [clause_of(part) for part in getattr(match, attribute)]}
    for kind in ("equals", "starts_with", "ends_with", "contains", "regex"):
        if hasattr(match, kind):
            return {kind: getattr(match, kind)}
    raise ValueError(f"{PACKAGE} has a match clause {type(match).__name__}, which is new: pin an earlier version")
