"""Anthropic's words in ours: token types, tiers, context windows, and display names as model names.

Token types are the API's own (`cache_creation.ephemeral_5m_input_tokens`) and the console's (`input_cache_write_5m`).
All of them are disjoint; output holds thinking, and images count as input. Fast mode and the data residency of a row
change its price, not its unit: they stay in the row's text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from billing.invoices.errors import InvoiceRefused
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

VENDOR = "anthropic"
CURRENCY = "USD"
TOKEN_UNITS = {
    "uncached_input_tokens": "input_tokens",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write_5m_tokens",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "output_tokens": "output_tokens",
}
CONSOLE_TOKEN_UNITS = {
    "input_no_cache": "input_tokens",
    "input_cache_write_5m": "cache_write_5m_tokens",
    "input_cache_write_1h": "cache_write_1h_tokens",
    "input_cache_read": "cache_read_tokens",
    "output": "output_tokens",
    "uncached_input": "input_tokens",
    "output_tokens": "output_tokens",
    **{
        f"{before}cache_{what}{after}": unit
        for before in ("", "input_")
        for after in ("", "_tokens")
        for what, unit in (
            ("read", "cache_read_tokens"),
            ("write_5m", "cache_write_5m_tokens"),
            ("write_1h", "cache_write_1h_tokens"),
        )
    },
    **TOKEN_UNITS,
}
"""The console's words as seen (`input_no_cache`), and the same words in other orders that mean no other class."""
FOLDS = {"reasoning_tokens": "output_tokens", "image_input_tokens": "input_tokens"}
TIERS = {
    "standard": "standard",
    "batch": "batch",
    "priority": "priority",
    "priority_on_demand": "priority",
    "flex": "flex",
    "flex_discount": "flex",
}
CONTEXT_WINDOWS = ("0-200k", "200k-1M")
CONSOLE_CONTEXT_WINDOWS = ("", "≤ 200k", "> 200k", "≤200k", ">200k", "200k – 1M", "≤ 1M", *CONTEXT_WINDOWS)
SPEEDS = ("", "standard", "fast")
_NEW_NAME = re.compile(r"claude ([a-z]+) (\d+(?:\.\d+)?)((?: \d{4}-\d\d-\d\d)?)")
_OLD_NAME = re.compile(r"claude (\d+(?:\.\d+)?) ([a-z]+)((?: \d{4}-\d\d-\d\d)?)")
_FIRST_NEW_GENERATION = 4


def one_of(file: str, place: str, field: str, value: object, known: Iterable[str]) -> str | None:
    """A word of an enumeration, None where the vendor tells none. Raises InvoiceRefused for any other word."""
    names = list(known)
    if value is None:
        return None
    if not isinstance(value, str) or value not in names:
        said = ", ".join(repr(name) for name in names)
        raise InvoiceRefused.at(file, place, field, value, Sentence("unknown; known are %(known)s", known=said))
    return value


def tier_of(file: str, place: str, field: str, value: object) -> str | None:
    """Our name of a service tier, None where the vendor tells none."""
    found = one_of(file, place, field, value, TIERS)
    return None if found is None else TIERS[found]


def model_id(display: str) -> str:
    """The model id that a display name stands for, without its date: "Claude Sonnet 4.5" is claude-sonnet-4-5.

    From generation 4 on the family stands before the number, before that behind it, in ids as in older display names.
    A name of another form is kept as it is: reconciliation then says that it has no price.
    """
    lower = display.strip().lower()
    if new := _NEW_NAME.fullmatch(lower):
        family, number, day = new.groups()
    elif old := _OLD_NAME.fullmatch(lower):
        number, family, day = old.groups()
    else:
        return display.strip()
    parts = [family, number] if int(number.partition(".")[0]) >= _FIRST_NEW_GENERATION else [number, family]
    date = f"-{day.strip().replace('-', '')}" if day else ""
    return f"claude-{'-'.join(parts)}".replace(".", "-") + date
