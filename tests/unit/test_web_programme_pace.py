"""A programme's budget at its pace: edges of days, of the budget, and of the programme."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from jangbu.web.pages.programme_pace import UNKNOWN, pace

FIRST, END = date(2026, 10, 1), date(2026, 10, 31)
"""30 days."""


@pytest.mark.parametrize(
    ("used", "budget", "today", "expected"),
    [
        ("100", "300", date(2026, 10, 10), {"projected": "300", "exhausted_on": None}),  # to the won, at the end
        ("100", "299", date(2026, 10, 10), {"projected": "300", "exhausted_on": date(2026, 10, 30)}),
        ("100", "150", date(2026, 10, 10), {"projected": "300", "exhausted_on": date(2026, 10, 16)}),
        ("100", "101", date(2026, 10, 10), {"projected": "300", "exhausted_on": date(2026, 10, 11)}),
        ("99.5", "100", FIRST, {"projected": "2985", "exhausted_on": date(2026, 10, 2)}),
        ("100", "100", date(2026, 10, 10), {"projected": "300", "exhausted_on": None}),  # used up already
        ("0", "100", date(2026, 10, 10), UNKNOWN), ("100", None, date(2026, 10, 10), UNKNOWN),
        ("100", "300", date(2026, 9, 30), UNKNOWN), ("100", "300", END, UNKNOWN),
        ("0.01", "1000000000", date(2026, 10, 30), {"projected": "0", "exhausted_on": None}),
    ],
)  # fmt: skip
def test_where_a_budget_is_going(used: str, budget: str | None, today: date, expected: dict[str, Any]) -> None:
    assert pace(Decimal(used), None if budget is None else Decimal(budget), FIRST, END, today) == expected
