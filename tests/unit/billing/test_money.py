"""Exact money: the context refuses what it cannot keep, text is exact both ways."""

from __future__ import annotations

from decimal import Decimal, FloatOperation, Inexact

import pytest

from billing.money import exact, is_decimal_divisor, minor_digits, parse_amount, plain


def test_an_inexact_quotient_raises() -> None:
    with exact(), pytest.raises(Inexact):
        Decimal(1) / 3


def test_a_float_raises() -> None:
    with exact(), pytest.raises(FloatOperation):
        Decimal(float("0.1"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [("1386.50", "1386.5"), ("0", "0"), ("0.0000000123", "0.0000000123"), ("100", "100"), ("00.10", "0.1")],
)
def test_amounts_are_read_and_shown_exactly(text: str, shown: str) -> None:
    assert plain(parse_amount(text)) == shown


@pytest.mark.parametrize("text", ["", "-1", "+1", "1e3", "1,335.50", "1.", ".5", "NaN", "inf", "1_000", "١", "1" * 19])
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a decimal"):
        parse_amount(text)


def test_exponents_are_not_shown() -> None:
    assert plain(Decimal("1E+3")) == "1000"
    assert plain(Decimal("-0.00")) == "0"


@pytest.mark.parametrize(
    ("per", "exact_quotient"),
    [(1, True), (1000, True), (1_000_000, True), (8, True), (3600, False), (3, False), (0, False), (-10, False)],
)
def test_divisors_that_end(per: int, exact_quotient: bool) -> None:
    assert is_decimal_divisor(per) is exact_quotient


def test_smallest_units() -> None:
    assert (minor_digits("KRW"), minor_digits("JPY"), minor_digits("USD")) == (0, 0, 2)
    with pytest.raises(ValueError, match="'WON'"):
        minor_digits("WON")
