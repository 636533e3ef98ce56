"""Amounts as pages show them: rounded for the eye, but unknown is never zero, and a little is not zero either."""

from __future__ import annotations

import pytest
from markupsafe import Markup

from jangbu.web.figures import Figures
from jangbu.web.wording import wording

ENGLISH, KOREAN = (Figures(wording(language), "Asia/Seoul") for language in ("en", "ko"))


@pytest.mark.parametrize(
    ("value", "currency", "shown"),
    [
        ("0", "USD", "0.00 USD"), ("0.000000", "USD", "0.00 USD"), ("0.005", "USD", "0.01 USD"),
        ("1234.5", "USD", "1,234.50 USD"), ("-0.005", "USD", "−0.01 USD"), ("0.5", "KRW", "1 KRW"),
        ("0", "KRW", "0 KRW"), ("-12", None, "−12"),
    ],
)  # fmt: skip
def test_what_rounds_to_something_is_rounded(value: str, currency: str | None, shown: str) -> None:
    assert ENGLISH.money(value, currency) == shown


@pytest.mark.parametrize(
    ("value", "currency", "shown", "title"),
    [
        ("0.0049", "USD", "&lt; 0.01 USD", "0.0049 USD"), ("0.0000001", "EUR", "&lt; 0.01 EUR", "0.0000001 EUR"),
        ("-0.0049", "USD", "&gt; −0.01 USD", "−0.0049 USD"), ("0.49", "KRW", "&lt; 1 KRW", "0.49 KRW"),
        ("0.49", "JPY", "&lt; 1 JPY", "0.49 JPY"),
    ],
)  # fmt: skip
def test_a_little_is_not_zero_and_says_how_much_it_is(value: str, currency: str, shown: str, title: str) -> None:
    assert str(ENGLISH.money(value, currency)) == f'<span title="{title}">{shown}</span>'


def test_a_little_in_korean_and_under_a_heading_with_the_currency() -> None:
    assert KOREAN.money("0.3", "KRW") == Markup('<span title="0.3원">&lt; 1원</span>')
    assert KOREAN.money("0.3", "KRW", bare=True) == Markup('<span title="0.3원">&lt; 1</span>')
    assert KOREAN.money("12.3", "USD", bare=True) == "12.30"


def test_every_digit_where_every_digit_is_asked_for() -> None:
    assert ENGLISH.money("0.00000025", "USD", exact=True) == "0.00000025 USD"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("0", "0.00 USD"), ("2", "+2.00 USD"), ("-2", "−2.00 USD"),
     ("0.001", Markup('<span title="+0.001 USD">&lt; +0.01 USD</span>')),
     ("-0.001", Markup('<span title="−0.001 USD">&gt; −0.01 USD</span>'))],
)  # fmt: skip
def test_a_change_has_its_sign(value: str, shown: str) -> None:
    assert ENGLISH.change(value, "USD") == shown


def test_a_currency_of_attackers_is_no_markup() -> None:
    assert "<b>" not in ENGLISH.money("0.001", "<b>")


def test_unknown_is_a_word() -> None:
    assert ENGLISH.money(None, "USD") == ENGLISH.change(None, "USD") == Markup('<span class="unknown">unknown</span>')
