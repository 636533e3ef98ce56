"""Google's SKU descriptions of Gemini models, in the grammars of Vertex AI and of the Gemini API.

Vertex AI: "Gemini 2.5 Flash GA Thinking Text Output - Predictions", "Gemini 2.5 Pro Text Input (Long) - Batch
Predictions". Gemini API: "Generate content input token count gemini 2.5 flash text". Every word behind the model
must be known; GA is a word and never a part of one. Thinking is output; a cached input is a cache read; storage of a
cache is counted in token-hours and is no use of a model. Seen on bills and price lists; Google documents no grammar.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_TIERS = {"batch": "batch", "flex": "flex", "priority": "priority"}
_MODALITIES = {"audio": "audio_", "image": "image_", "video": "video_", "text": ""}
_SILENT = {"ga", "global", "predictions", "thinking", "long", "short", "count", "token", "tokens", "-"}
_CACHED = {"cached", "caching"}
_KNOWN = _TIERS.keys() | _MODALITIES.keys() | _SILENT | _CACHED | {"input", "output"}
_GENERATE = re.compile(r"generate content (?P<what>(?:cached )?(?:input|output)) token count (?P<rest>gemini .+)")


class GoogleSku(NamedTuple):
    """`model` in lower case, joined by dashes: gemini-2.5-flash."""

    model: str
    unit: str
    service_tier: str | None


@lru_cache(maxsize=4096)
def google_sku(description: str) -> GoogleSku | None:
    """What a SKU counts; None where it is no known count of a Gemini model's tokens."""
    text = description.lower().strip()
    generate = _GENERATE.fullmatch(text)
    if generate is None and not text.startswith("gemini "):
        return None
    words = re.findall(r"[^\s()]+", generate["rest"] if generate else text)
    end = next((place for place, word in enumerate(words) if word in _KNOWN), len(words))
    rest = {*words[end:], *(generate["what"].split() if generate else ())}
    tiers = {_TIERS[word] for word in rest & _TIERS.keys()}
    modalities = {_MODALITIES[word] for word in rest & _MODALITIES.keys()}
    directions = rest & {"input", "output"}
    if end < 2 or rest - _KNOWN or len(tiers) > 1 or len(modalities) > 1:
        return None
    if rest & _CACHED:
        directions = directions - {"input"} if directions == {"input"} else directions
        unit = None if directions else f"cache_read_{next(iter(modalities), '')}tokens"
    else:
        unit = f"{next(iter(modalities), '')}{next(iter(directions))}_tokens" if len(directions) == 1 else None
    return None if unit is None else GoogleSku("-".join(words[:end]), unit, next(iter(tiers), None))


def is_known_fee(description: str) -> bool:
    """Whether a SKU of these services is known to count no model's tokens: a cache's storage, grounding."""
    text = description.lower()
    return "storage" in text.split() or "grounding" in text
