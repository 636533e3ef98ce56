"""Laws as SQL files: what they repeat of Python's tables is the same."""

from __future__ import annotations

import re
from pathlib import Path

from billing.money import MINOR_DIGITS

CHECKS = Path(__file__).resolve().parents[2] / "sql" / "checks"


def test_law_3_knows_the_digits_of_every_currency_that_statements_may_be_in() -> None:
    text = (CHECKS / "3-rounding.sql").read_text(encoding="utf-8")
    told = {currency: int(digits) for codes, digits in re.findall(r"in \(([^)]*)\) then (\d)", text)
            for currency in re.findall(r"[A-Z]{3}", codes)}  # fmt: skip
    assert len(told) > 20
    assert {currency: told.get(currency, 2) for currency in MINOR_DIGITS} == MINOR_DIGITS
