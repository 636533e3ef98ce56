"""A vendor's figures: exact decimals read from the text that writes them, and how finely they are written."""

from __future__ import annotations

import re
from decimal import Context, Decimal

FIGURE_DIGITS = 60
FIGURE_WHOLE_DIGITS = 18
FLOAT_DIGITS = 15
"""Decimal digits that a binary double always carries: vendors compute with doubles, what lies behind is noise."""

_FIGURE = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?|[+-]?\.[0-9]+([eE][+-]?[0-9]{1,3})?")


_SHORT = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,40})?")
"""What most cells write: no exponent, and within the digits that a figure may have."""


def figure(text: str) -> Decimal | None:
    """The exact decimal that a text writes; None where it writes none that a bill could hold."""
    if _SHORT.fullmatch(text):
        return Decimal(text)
    stripped = text.strip()
    if len(stripped) > FIGURE_DIGITS + 8 or not _FIGURE.fullmatch(stripped):
        return None
    return checked(Decimal(stripped))


def checked(value: Decimal) -> Decimal | None:
    """The figure itself where it is finite and of believable size, else None."""
    if not value.is_finite():
        return None
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    if value.adjusted() >= FIGURE_WHOLE_DIGITS or exponent < -FIGURE_DIGITS:
        return None
    return value


def decimals(value: Decimal) -> int:
    """How many decimals a figure writes, trailing zeros not counted: 0.0600 has 2, 1200 has 0."""
    if not value:
        return 0
    digits = value.as_tuple()
    assert isinstance(digits.exponent, int)
    trailing = 0
    for digit in reversed(digits.digits):
        if digit:
            break
        trailing += 1
    return max(0, -(digits.exponent + trailing))


def ratio(over: Decimal, under: Decimal, digits: int = 40) -> Decimal:
    """over / under to so many digits: for prices shown or used to value a difference, never for a total."""
    return Context(prec=digits).divide(over, under)
