"""Exact money: one decimal context for all of billing, and currencies with their smallest units.

Nothing here rounds. Every sum, difference, product and quotient that billing takes is exact, or it raises: the context
traps Inexact. Quotients are exact because prices are stated for 2^a x 5^b units (`is_decimal_divisor`).
Rounding is a step of its own (`billing.rounding`).
"""

from __future__ import annotations

import re
from decimal import (
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)
from fractions import Fraction
from typing import TYPE_CHECKING

from billing.sentences import Sentence

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

DIGITS_MAX = 200
"""Digits of the context: a quantity (19) x price (36) x rate (36), over a `per` of 13 digits, summed, stays below."""

MONEY = Context(prec=DIGITS_MAX, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow, FloatOperation])

MINOR_DIGITS = {
    "AED": 2, "AUD": 2, "BHD": 3, "BRL": 2, "CAD": 2, "CHF": 2, "CLP": 0, "CNY": 2, "CZK": 2, "DKK": 2, "EUR": 2,
    "GBP": 2, "HKD": 2, "HUF": 2, "IDR": 2, "ILS": 2, "INR": 2, "ISK": 0, "JOD": 3, "JPY": 0, "KRW": 0, "KWD": 3,
    "MXN": 2, "MYR": 2, "NOK": 2, "NZD": 2, "OMR": 3, "PHP": 2, "PLN": 2, "SAR": 2, "SEK": 2, "SGD": 2, "THB": 2,
    "TND": 3, "TRY": 2, "TWD": 2, "USD": 2, "VND": 0, "ZAR": 2,
}  # fmt: skip
"""Digits after the point of a currency's smallest unit (ISO 4217). The won and the yen have none."""

_PLAIN_DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")


def exact() -> AbstractContextManager[Context]:
    """Within it, decimal arithmetic is exact or raises decimal.Inexact."""
    return localcontext(MONEY)


def parse_amount(text: str) -> Decimal:
    """A non-negative decimal as people write it in files: digits, at most one point, no sign, comma or exponent.

    Raises ValueError with the remedy.
    """
    if not _PLAIN_DECIMAL.fullmatch(text):
        raise ValueError("write a decimal such as 1386.50: digits and one point, at most 18 of each, no comma or sign")
    return Decimal(text)


def plain(amount: Decimal) -> str:
    """The exact decimal as text, without exponent and trailing zeros: 0.0123, 1386.5, 0."""
    if not amount:
        return "0"
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def exact_text(amount: Fraction) -> str:
    """The exact value as text: a plain decimal where it ends (0.0123), else numerator/denominator (1/3)."""
    if is_decimal_divisor(amount.denominator):
        with exact():
            return plain(Decimal(amount.numerator) / amount.denominator)
    return f"{amount.numerator}/{amount.denominator}"


def is_decimal_divisor(per: int) -> bool:
    """Whether dividing by `per` always ends: per = 2^a x 5^b."""
    if per <= 0:
        return False
    for factor in (2, 5):
        while per % factor == 0:
            per //= factor
    return per == 1


def minor_digits(currency: str) -> int:
    """Digits after the point in which a currency is booked. Raises ValueError for one that is not in the table."""
    try:
        return MINOR_DIGITS[currency]
    except KeyError:
        raise ValueError(
            Sentence("%(name)s is no currency known here: use an ISO 4217 code such as KRW or USD", name=repr(currency))
        ) from None
