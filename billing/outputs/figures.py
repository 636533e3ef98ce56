"""How exact figures, which documents hold as text, are shown: with thousands, and as numbers where a double is exact.

A spreadsheet holds doubles: 15 significant digits always survive, from 16 on the end may be lost (style.md's trap). So
a figure becomes a number in a cell only if it has at most 15; its exact text stands beside it either way. Pure.
"""

from __future__ import annotations

import re
from fractions import Fraction

DOUBLE_DIGITS = 15
_DECIMAL = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?")
_QUOTIENT = re.compile(r"-?[0-9]+/[1-9][0-9]*")


def grouped(text: str) -> str:
    """A figure with commas between thousands: -1234567.5 -> -1,234,567.5; anything else comes back as it is."""
    found = _DECIMAL.fullmatch(text)
    if found is None:
        return text
    sign, whole, rest = found.groups()
    return f"{sign}{int(whole):,}" + (f".{rest}" if rest is not None else "")


def exact_value(text: str) -> Fraction:
    """The value of a document's figure: a plain decimal, or numerator/denominator. Raises ValueError for another."""
    if not (_DECIMAL.fullmatch(text) or _QUOTIENT.fullmatch(text)):
        raise ValueError(f"{text!r} is no figure: a plain decimal or numerator/denominator is one")
    return Fraction(text)


def fits_double(text: str) -> bool:
    """Whether a figure is a decimal that a double, and so a spreadsheet, gives back unchanged."""
    found = _DECIMAL.fullmatch(text)
    if found is None:
        return False
    digits = (found[2] + (found[3] or "")).strip("0")
    return len(digits) <= DOUBLE_DIGITS and len(found[2]) <= DOUBLE_DIGITS


def about(text: str, digits: int = 6) -> str:
    """A figure for a narrow column: as it is where it ends within `digits` decimals, else cut, marked by an ellipsis.

    Cut, never rounded: what is shown are true digits.
    """
    value = exact_value(text)
    if "/" not in text and len(text.partition(".")[2]) <= digits:
        return grouped(text)
    sign = "-" if value < 0 else ""
    scaled = abs(value) * 10**digits
    whole, rest = divmod(scaled.numerator // scaled.denominator, 10**digits)
    return f"{sign}{whole:,}.{rest:0{digits}d}…"
