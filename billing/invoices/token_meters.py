"""Meters and units as words: "Cache Read Input Tokens" is a unit of the contract, "1M Tokens" is a scale.

Every word must be known: half an understanding puts money into the wrong unit. What a bill does not tell apart is
folded the same way on both sides (FOLDS). Sources: FOCUS 1.2 (PricingUnit: a quantity and a plural noun, as in
"1000000 Tokens"), its examples of token meters, and the units that cloud bills write ("1K tokens", "1M").
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

FOLDS = {
    "reasoning_tokens": "output_tokens",
    "cache_write_5m_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_tokens",
}
"""Bills of clouds and resellers tell reasoning and the lifetime of a cache write in no agreed way: both are folded."""

TIERS = {"standard": "standard", "default": "standard", "batch": "batch", "flex": "flex", "priority": "priority"}
_SILENT = {"token", "tokens", "count", "text", "standard"}
_MODALITIES = ("audio", "image", "video")
_CACHED = {"cached", "cache", "read", "reads", "hit", "hits"}
_WRITTEN = {"write", "writes", "creation"}
_LIFETIMES = {"5m", "1h", "30m", "12h"}
_OTHERS = {
    frozenset({"web", "search"}): "web_searches",
    frozenset({"web", "searches"}): "web_searches",
    frozenset({"requests"}): "requests",
    frozenset({"images"}): "images",
    frozenset({"characters"}): "characters",
    frozenset({"seconds"}): "seconds",
}
_NOUNS = {
    "token": "tokens", "tokens": "tokens", "request": "requests", "requests": "requests", "image": "images",
    "images": "images", "search": "requests", "searches": "requests", "web searches": "requests",
    "character": "characters", "characters": "characters", "second": "seconds", "seconds": "seconds",
    "minutes": "minutes", "hours": "hours", "token-hours": "token-hours", "units": "units",
}  # fmt: skip
_SCALES = {"": 1, "K": 1_000, "M": 1_000_000}
_UNIT = re.compile(r"(?:(?P<count>[1-9][0-9]{0,11})\s*)?(?P<letter>[KkMm])?\s*(?P<noun>[A-Za-z][A-Za-z -]*)?")


class Meter(NamedTuple):
    """What a meter counts. `service_tier` is None where the words do not say it."""

    unit: str
    service_tier: str | None


class Scale(NamedTuple):
    """What a quantity counts, and how many of ours one of theirs is. `noun` None: only a number is written ("1K")."""

    noun: str | None
    factor: Decimal


@lru_cache(maxsize=4096)
def meter_of(text: str) -> Meter | None:
    """The unit and tier that a meter's words say; None where a word is unknown, missing or contradicts another."""
    words = set(re.findall(r"[^\W_]+", text.lower()))
    tiers = {TIERS[word] for word in words & TIERS.keys()}
    if len(tiers) > 1:
        return None
    tier = next(iter(tiers), None)
    rest = words - TIERS.keys()
    unit = _OTHERS.get(frozenset(rest)) or _token_unit(rest)
    return None if unit is None else Meter(unit, tier)


@lru_cache(maxsize=4096)
def scale_of(text: str) -> Scale | None:
    """The scale of a quantity's unit: "Tokens", "1000 Tokens", "1M tokens", "1K"; None where it is not known."""
    found = _UNIT.fullmatch(text.strip())
    if found is None or not text.strip():
        return None
    noun = (found["noun"] or "").strip().lower()
    if noun and noun not in _NOUNS:
        return None
    if not noun and not found["letter"]:
        return None
    factor = Decimal(found["count"] or 1) * _SCALES[(found["letter"] or "").upper()]
    return Scale(_NOUNS[noun] if noun else None, factor)


def counted_as(unit: str) -> str:
    """What a unit of the contract counts: tokens, requests, seconds, images, characters."""
    if unit.endswith("_tokens"):
        return "tokens"
    return "requests" if unit == "web_searches" else unit


def folded(unit: str) -> str:
    """The unit as a bill tells it."""
    return FOLDS.get(unit, unit)


def _token_unit(words: set[str]) -> str | None:
    """Direction, cache and modality to one unit; a cached token is named once, as cached."""
    if not words & {"token", "tokens", "input", "output", "reasoning"}:
        return None
    modalities = [word for word in _MODALITIES if word in words]
    directions = [word for word in ("input", "output") if word in words]
    written, cached = bool(words & _WRITTEN), bool(words & _CACHED)
    known = {*_MODALITIES, "input", "output", *_SILENT}
    if cached or written:
        known |= _CACHED | _WRITTEN | (_LIFETIMES if written else set())
    if "reasoning" in words and not cached and not written and not modalities and "input" not in words:
        return "reasoning_tokens" if not words - known - {"reasoning", "thinking"} else None
    if words - known or len(modalities) > 1 or len(directions) > 1 or (written and words & {"read", "reads", "hit"}):
        return None
    modality = f"{modalities[0]}_" if modalities else ""
    if written:
        lifetimes = sorted(words & _LIFETIMES)
        lifetime = f"{lifetimes[0]}_" if lifetimes and lifetimes[0] in {"5m", "1h"} else ""
        return None if directions == ["output"] or len(lifetimes) > 1 else f"cache_write_{modality}{lifetime}tokens"
    if cached:
        return None if directions == ["output"] else f"cache_read_{modality}tokens"
    return f"{modality}{directions[0]}_tokens" if directions else None
