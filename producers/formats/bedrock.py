"""`bedrock.converse`: Amazon Bedrock's Converse, and the `metadata` event that ends a ConverseStream.

`inputTokens` is fresh input only; cache reads and writes stand beside it (the total is the sum of all four). Newer
answers write each cache count under two names; the first that tells one is read. `cacheDetails` splits the writes by
lifetime (`ttl`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from producers.formats.beside import tier
from producers.formats.reading import Fields, find
from producers.formats.split import Part, split_written
from producers.formats.usage import Usage

PLACES: Final = (("usage",), ("metadata", "usage"))

_LIFETIME: Final = re.compile(r"[0-9]+[smhd]")


def read(body: Mapping[str, Any]) -> Usage:
    """One answer of Converse, or the last event of its stream."""
    holder, usage = find(body, PLACES)
    told = {
        "input_tokens": usage.count("inputTokens"),
        "cache_read_tokens": usage.count("cacheReadInputTokens", "cacheReadInputTokenCount"),
        "output_tokens": usage.count("outputTokens"),
    }
    written = Part(
        usage.where("cacheWriteInputTokens"), usage.count("cacheWriteInputTokens", "cacheWriteInputTokenCount")
    )
    units = {unit: count for unit, count in told.items() if count is not None}
    units |= split_written(written, _lifetimes(usage))
    service = holder.values.get("serviceTier")
    word = service.get("type") if isinstance(service, Mapping) else service
    service_tier, tags = tier(word if isinstance(word, str) else None)
    return Usage(units=units, usage_source="provider" if units else "missing", service_tier=service_tier, tags=tags)


def _lifetimes(usage: Fields) -> dict[str, int]:
    """Writes by lifetime; an entry whose lifetime is not told or not readable stays in the writes without one."""
    found: dict[str, int] = {}
    for entry in usage.each("cacheDetails"):
        lifetime, count = entry.text("ttl"), entry.count("inputTokens")
        if lifetime is not None and count is not None and _LIFETIME.fullmatch(lifetime):
            found[lifetime] = found.get(lifetime, 0) + count
    return found
