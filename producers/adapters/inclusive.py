"""Counts that contain one another -> disjoint units: the cached are part of the input, the reasoned of the output.

Source of the rule: field.md, 1.2 (OpenAI, Gemini, OpenTelemetry count inclusively; Anthropic and Bedrock do not). Pure.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from producers.adapters.base import whole
from producers.contract import EventRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

CACHE_OUTSIDE: Final = frozenset({"anthropic", "aws"})
"""Vendors whose own `input` excludes what is cached."""
_DIGITS_MAX: Final = 20


class Counts(NamedTuple):
    """What one call says, each None where it says nothing. `cache_read` and `cache_write` are parts of `input`, and
    `reasoning` of `output`, where they are told inclusively."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None

    def says_nothing(self) -> bool:
        """Whether neither side is told."""
        return self.input is None and self.output is None


def count_in(fields: Mapping[str, object], *names: str) -> int | None:
    """The first of these fields that is told, as a whole count from 0; a text of digits is one. Raises EventRefused."""
    for name in names:
        value = fields.get(name)
        if value is None:
            continue
        count = whole(value)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX:
            count = int(value)
        if count is None:
            kind = value if isinstance(value, str | int | Decimal) else f"of kind {type(value).__name__}"
            raise EventRefused("invalid", name, kind, "send a whole number from 0")
        return count
    return None


def disjoint(counts: Counts, *, cache_inside: bool = True) -> dict[str, int]:
    """The units of one call; a class that is not told is absent. Raises EventRefused where a part exceeds its whole."""
    units: dict[str, int] = {}
    if counts.input is not None:
        cached = (counts.cache_read or 0) + (counts.cache_write or 0) if cache_inside else 0
        units["input_tokens"] = _rest("input", counts.input, cached)
    if counts.cache_read is not None:
        units["cache_read_tokens"] = counts.cache_read
    if counts.cache_write is not None:
        units["cache_write_tokens"] = counts.cache_write
    if counts.output is not None:
        units["output_tokens"] = _rest("output", counts.output, counts.reasoning or 0)
    if counts.reasoning is not None:
        units["reasoning_tokens"] = counts.reasoning
    return units


def _rest(side: str, whole: int, parts: int) -> int:
    if parts > whole:
        raise EventRefused(
            "usage", f"{side} tokens", whole, f"its parts (cached, reasoning) add up to {parts}: send inclusive counts"
        )
    return whole - parts
