"""`cohere.chat`: Cohere's Chat, versions 1 and 2, whole or the event that ends a stream.

`billed_units` is what Cohere charges for. `tokens` is what the model saw, with Cohere's own preamble; it is read only
where no billed units are told, and `cached_tokens` belongs to it, not to the billed units (it is often the larger).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from producers.formats.beside import tier
from producers.formats.reading import Fields, find
from producers.formats.split import Part, split_input
from producers.formats.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACES: Final = (("usage",), ("delta", "usage"), ("meta",), ("response", "meta"))
"""Version 2 and its `message-end`; version 1 and its `stream-end`."""

_BILLED: Final = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "image_tokens": "image_input_tokens",
    "search_units": "rerank_searches",
    "classifications": "classifications",
}


def read(body: Mapping[str, Any]) -> Usage:
    """One answer of Cohere's Chat."""
    holder, usage = find(body, PLACES)
    units = _billed(usage.inside("billed_units")) or _seen(usage)
    service_tier, tags = tier(usage.text("service_tier"), holder.text("service_tier"))
    return Usage(units=units, usage_source="provider" if units else "missing", service_tier=service_tier, tags=tags)


def _billed(billed: Fields) -> dict[str, int]:
    told = {unit: billed.count(name) for name, unit in _BILLED.items()}
    return {unit: count for unit, count in told.items() if count is not None}


def _seen(usage: Fields) -> dict[str, int]:
    tokens = usage.inside("tokens")
    units = split_input(
        Part(tokens.where("input_tokens"), tokens.count("input_tokens")),
        Part(usage.where("cached_tokens"), usage.count("cached_tokens")),
        Part(tokens.where("cache_write_tokens"), None),  # the format has no such count
    )
    answer = tokens.count("output_tokens")
    return units if answer is None else units | {"output_tokens": answer}
