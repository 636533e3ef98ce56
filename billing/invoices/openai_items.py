"""OpenAI's `line_item` text: "MODEL, what was used", split on the LAST comma, case-insensitive.

Three spellings are known: "gpt-6-astra, input_tokens" (API reference), "gpt-4o-2024-08-06, Input" and
"gpt-5.6-luna, input" (third-party tests); modality words stand before the direction ("gpt-realtime-2.1, audio input").
Batch, flex and priority use come as lines of their own. What the words say is taken word by word; one word that is
not known makes the whole item unknown, because half an understanding puts money into the wrong unit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from billing.invoices.lines import LineKind

_TIERS = {"batch": "batch", "flex": "flex", "priority": "priority", "standard": "standard", "default": "standard"}
_MODALITIES = ("text", "audio", "image", "video")
_DIRECTIONS = ("input", "output")
_SILENT = {"token", "tokens"}
_LIFETIMES = {"5m", "1h", "30m", "12h"}
_KIND_WORDS = (
    (LineKind.TAX, {"tax", "taxes", "vat", "gst"}),
    (LineKind.CREDIT, {"credit", "credits", "discount", "discounts", "refund", "refunds", "promotion", "promotional"}),
    (LineKind.FEE, {"fee", "fees", "storage", "subscription", "surcharge", "seat", "seats", "session", "sessions"}),
)
_OTHER_UNITS = {
    frozenset({"web", "search"}): "web_searches",
    frozenset({"web", "searches"}): "web_searches",
    frozenset({"web", "search", "call"}): "web_searches",
    frozenset({"web", "search", "calls"}): "web_searches",
    frozenset({"web", "search", "tool", "calls"}): "web_searches",
    frozenset({"web", "search", "requests"}): "web_searches",
    frozenset({"images"}): "images",
    frozenset({"characters"}): "characters",
    frozenset({"seconds"}): "seconds",
    frozenset({"duration"}): "seconds",
    frozenset({"minutes"}): "seconds",
}

FOLDS = {
    "reasoning_tokens": "output_tokens",
    "cache_write_5m_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_tokens",
}
"""OpenAI bills reasoning inside output, and tells a cache write without its lifetime."""

QUANTITY_UNITS: dict[str, tuple[str, Decimal]] = {
    "tokens": ("tokens", Decimal(1)),
    "1000_tokens": ("tokens", Decimal(1000)),
    "duration_seconds": ("seconds", Decimal(1)),
    "duration_minutes": ("seconds", Decimal(60)),
    "duration_hours": ("seconds", Decimal(3600)),
    "images": ("images", Decimal(1)),
    "characters": ("characters", Decimal(1)),
    "gibibyte_hours": ("gibibyte_hours", Decimal(1)),
    "requests": ("requests", Decimal(1)),
    "calls": ("requests", Decimal(1)),
    "searches": ("requests", Decimal(1)),
}
"""`quantity_unit` of the costs API: what is counted, and how many of ours one of theirs is."""


@dataclass(frozen=True, slots=True)
class LineItem:
    """What a line item says. `unit` is a unit of the contract; None on lines that are no use."""

    kind: LineKind
    model: str | None = None
    unit: str | None = None
    service_tier: str | None = None


def parse_line_item(text: str) -> LineItem | None:
    """What the text says, or None where any of it is not known. Blank text is a total over models and units."""
    if not text.strip():
        return LineItem(LineKind.TOTAL)
    model, comma, what = text.rpartition(",")
    words = _words(what)
    unit, tier = _unit_and_tier(words)
    if words and unit is None and all(word in _TIERS for word in words) and "," in model:  # "MODEL, input, batch"
        model, comma, what = model.rpartition(",")
        unit, tier = _unit_and_tier([*_words(what), *words])
    if unit is not None and (comma or unit == "web_searches"):
        return LineItem(LineKind.USAGE, model.strip() or None, unit, tier)
    for kind, names in _KIND_WORDS:
        if names & set(_words(text)):
            return LineItem(kind)
    return None


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _unit_and_tier(words: list[str]) -> tuple[str | None, str | None]:
    """The contract's unit and the tier, each None where not said; no unit where a word is left over or missing."""
    tiers = {_TIERS[word] for word in words if word in _TIERS}
    rest = {word for word in words if word not in _TIERS and word not in _SILENT}
    if len(tiers) > 1:
        return None, None
    tier = next(iter(tiers), None)
    other = _OTHER_UNITS.get(frozenset(rest))
    return (other, tier) if other is not None else (_token_unit(rest), tier)


def _token_unit(words: set[str]) -> str | None:
    """Direction, cache and modality to one unit; disjoint, so cached audio is named once, as cached."""
    if words == {"reasoning"}:
        return "output_tokens"  # as FOLDS has it
    modalities = [word for word in _MODALITIES if word in words]
    directions = [word for word in _DIRECTIONS if word in words]
    cached = "cached" in words or ("cache" in words and bool(words & {"read", "reads"}))
    written = "cache" in words and bool(words & {"write", "writes", "creation"})
    known = {*_MODALITIES, *_DIRECTIONS, "cached", "cache", "read", "reads", "write", "writes", "creation"}
    if words - known - (_LIFETIMES if written else set()) or len(modalities) > 1 or len(directions) > 1:
        return None
    if cached and written:
        return None
    modality = "" if not modalities or modalities[0] == "text" else f"{modalities[0]}_"
    if cached or written:
        verb = "write" if written else "read"
        return None if directions == ["output"] else f"cache_{verb}_{modality}tokens"
    return f"{modality}{directions[0]}_tokens" if directions else None


def counted_as(unit: str) -> str:
    """What a unit counts, to check that a quantity's unit fits it: tokens, seconds, images, characters, requests."""
    if unit.endswith("_tokens"):
        return "tokens"
    return "requests" if unit == "web_searches" else unit
