"""The names of what is counted, and how they are related.

A unit is a disjoint, non-negative, whole count inside a usage event (contract, section 1): no token stands in two units
of one event. Names end in what they count (`_tokens`, `_searches`) and say cache before modality:
`cache_write_5m_tokens`, `cache_read_audio_tokens`, `audio_input_tokens`.

Pure: names in, facts about names out.
"""

from __future__ import annotations

import re
from typing import Final

MODALITIES: Final = ("audio", "image", "video")
"""What tokens can be besides text, in the order in which rules walk through them."""

UNITS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "video_input_tokens",
    "video_output_tokens",
    "cache_read_audio_tokens",
    "cache_read_image_tokens",
    "cache_read_video_tokens",
    "cache_write_audio_tokens",
    "cache_write_image_tokens",
    "cache_write_video_tokens",
    "web_searches",
    "requests",
)
"""The units that the contract names and those that its naming rule makes of them, in the order in which they are shown.
Others are allowed: a name that is not here is stored and counted, and stays unpriced until a price row names it."""

_UNIT_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_CACHED_MODALITY: Final = re.compile(rf"(cache_(?:read|write(?:_[0-9]+[smhd])?))_(?:{'|'.join(MODALITIES)})_tokens")
_PLAIN_MODALITY: Final = re.compile(rf"(?:{'|'.join(MODALITIES)})_(input|output)_tokens")
_PLACE: Final = {name: place for place, name in enumerate(UNITS)}


def is_unit_name(name: str) -> bool:
    """Whether a text may name a unit: lower-case ASCII letters, digits and `_`, a letter first, at most 63 long."""
    return _UNIT_NAME.fullmatch(name) is not None


def is_input_unit(name: str) -> bool:
    """Whether a unit counts towards the length of the prompt, which long-context prices are decided by.

    All input units of a request together (contract, section 9, Prices): fresh, read from a cache or written to one, of
    every modality.
    """
    if name == "input_tokens" or name.endswith("_input_tokens"):
        return True
    return name.startswith("cache_") and name.endswith("_tokens")


def parent(name: str) -> str | None:
    """The unit whose price a unit takes when it has no price row of its own; None where it then stays unpriced.

    Contract, section 9, Prices: reasoning takes the output row, a modality its text parent, a cache unit nothing else.
    So a cached modality may take the row of the same cache unit for text, and never that of fresh input.
    """
    if name == "reasoning_tokens":
        return "output_tokens"
    if plain := _PLAIN_MODALITY.fullmatch(name):
        return f"{plain.group(1)}_tokens"
    if cached := _CACHED_MODALITY.fullmatch(name):
        return f"{cached.group(1)}_tokens"
    return None


def in_order(units: dict[str, int]) -> dict[str, int]:
    """The same units in the order of `UNITS`, those without a place there behind them by name."""
    return {name: units[name] for name in sorted(units, key=lambda name: (_PLACE.get(name, len(_PLACE)), name))}
