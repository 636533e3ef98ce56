"""Amazon Bedrock's usage types, as USE1-NovaPro-cache-read-input-token-count or USE1-MP:USE1_InputTokenCount-Units.

Two families (AWS, "Understanding your CUR data" for Bedrock, and usage types seen on bills): models that AWS sells name
the model first and then what was used, with the tier as a suffix; models of the marketplace name only what was used,
the model stands in the product's name. One meter may have two spellings: `Qwen3-32B-input-tokens-flex` and
`qwen.qwen3-32b-mantle-input-tokens-flex`. The region's prefix is not derivable from the region's name and is taken off.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from billing.invoices.token_meters import TIERS, folded, meter_of

_REGION = re.compile(r"[A-Z]{2,4}[0-9]{0,2}-")
_OWN = re.compile(
    r"(?P<model>.+?)-(?P<what>(?:cache-(?:read|write)-)?(?:input|output)-token(?:s|-count))"
    r"(?P<suffix>(?:-(?:batch|flex|priority|standard|custom-model|cross-region-global|global))*)"
)
_MARKET = re.compile(r"MP:[A-Z0-9]+_(?P<what>[A-Za-z0-9_]+)-Units")
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[0-9]+[a-z]*|[A-Z]+")
_SILENT = {"global", "cross", "region", "count"}
_PUBLISHER = re.compile(r"[a-z0-9]+\.(?=[a-z])")
_FEES = ("guardrail", "provisionedthroughput", "modelunits", "knowledgebase", "customization", "storage", "ccu",
         "claudeconsumptionunit", "dataautomation", "agentcore", "flows")  # fmt: skip


class BedrockMeter(NamedTuple):
    """`model` is None on marketplace types. The unit is folded (`token_meters.FOLDS`)."""

    model: str | None
    unit: str
    service_tier: str | None


@lru_cache(maxsize=4096)
def bedrock_meter(usage_type: str) -> BedrockMeter | None:
    """What a usage type counts; None where it is no known count of tokens."""
    rest = _REGION.sub("", usage_type, count=1) if _REGION.match(usage_type) else usage_type
    market = _MARKET.fullmatch(rest)
    if market is not None:
        words = [word.lower() for word in _WORDS.findall(market["what"])]
        return _meter(None, [word for word in words if word not in _SILENT])
    own = _OWN.fullmatch(rest)
    if own is None:
        return None
    suffixes = [word for word in TIERS if f"-{word}" in own["suffix"]]
    model = _PUBLISHER.sub("", own["model"].removesuffix("-mantle"), count=1)
    if "-custom-model" in own["suffix"]:
        model = f"{model}-custom-model"
    what = [word for word in own["what"].split("-") if word not in _SILENT]
    return _meter(model, [*what, *suffixes])


def is_fee(usage_type: str) -> bool:
    """Whether a usage type of Bedrock is known to count no model's use: guardrails, reserved units, storage, CCU."""
    flat = re.sub(r"[^a-z]", "", usage_type.lower())
    return any(word in flat for word in _FEES)


def _meter(model: str | None, words: list[str]) -> BedrockMeter | None:
    found = meter_of(" ".join(words))
    return None if found is None else BedrockMeter(model, folded(found.unit), found.service_tier)
