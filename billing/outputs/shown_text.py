"""Names that strangers chose, made harmless to show: nothing steers, hides or overflows.

Names of departments and models come from events and files. Characters that cannot be seen (controls, direction marks,
joiners, private use) are shown as <U+202E>; a very long text is cut with the count of what is left out. Pure.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
FORMULA_LEADS = ("=", "+", "-", "@", "\t", "\r")
BREAK_AFTER = 14
ZERO_WIDTH_SPACE = "\u200b"


def visible(text: str) -> str:
    """The text with every character that does not show, written out; composed, one sign a Hangul syllable."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(_escape(sign) if unicodedata.category(sign) in HIDDEN_CATEGORIES else sign for sign in composed)


def printable(text: str, covered: Container[int], limit: int) -> str:
    """The text for a page: visible, only characters of the font (`covered` holds code points), at most `limit` long,
    with places where a line may break inside long words."""
    shown = "".join(sign if ord(sign) in covered else _escape(sign) for sign in visible(text[: limit + 1]))
    if len(text) > limit:
        shown = "".join(sign if ord(sign) in covered else _escape(sign) for sign in visible(text[:limit]))
        shown += f" … (+{len(text) - limit:,})"
    return breakable(shown)


def breakable(text: str) -> str:
    """The text with a zero-width space in every run of more than 14 characters that has no blank."""
    made, run = [], 0
    for sign in text:
        run = 0 if sign == " " else run + 1
        if run > BREAK_AFTER:
            made.append(ZERO_WIDTH_SPACE)
            run = 1
        made.append(sign)
    return "".join(made)


def formula_free(text: str) -> str:
    """The text as a CSV cell that no spreadsheet takes for a formula: an apostrophe before = + - @, tab and return."""
    return f"'{text}" if text.startswith(FORMULA_LEADS) else text


def _escape(sign: str) -> str:
    return f"<U+{ord(sign):04X}>"
