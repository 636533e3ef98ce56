"""Rules of plans at their edges: each limit has a case on both sides."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from billing.errors import BillingError
from billing.periods import hour_number, month_in
from billing.plans.budget_states import MonthBudgets
from billing.plans.budgets import BudgetRow, Budgets
from billing.plans.day_classes import class_of, count_by_class, country_of, public_holidays
from billing.plans.departments import Department, names_of, terms_of
from billing.plans.forecast import Outlook, estimate, estimates_of, outlook
from billing.plans.forecast_document import Booked
from billing.plans.forecasting import last_complete_day
from billing.plans.seat_document import months_between
from billing.plans.seats import Comparison, Payer, people_of


def hour(text: str) -> int:
    return hour_number(datetime.fromisoformat(text))


LAST_DAYS = [
    # last usage, when a worker last stored something, the last complete day in Seoul
    ("2026-10-21T22:59:00+09:00", None, "2026-10-20"),
    ("2026-10-21T23:00:00+09:00", None, "2026-10-21"),
    ("2026-10-22T00:00:00+09:00", None, "2026-10-21"),
    ("2026-10-21T10:00:00+09:00", "2026-10-21T23:59:00+09:00", "2026-10-20"),
    ("2026-10-21T10:00:00+09:00", "2026-10-22T00:00:00+09:00", "2026-10-21"),
    ("2026-10-21T10:00:00+09:00", "2026-10-20T00:00:00+09:00", "2026-10-20"),
    ("2026-10-01T00:00:00+09:00", None, "2026-09-30"),
]


@pytest.mark.parametrize(("used", "stored", "day"), LAST_DAYS)
def test_the_last_complete_day(used: str, stored: str | None, day: str) -> None:
    found = last_complete_day(hour(used), None if stored is None else hour(stored), "Asia/Seoul")
    assert found == date.fromisoformat(day)


def test_a_day_of_25_hours_ends_with_its_last() -> None:
    """In New York 2026-11-01 has 25 hours: it ends at 05:00Z on the 2nd."""
    assert last_complete_day(hour("2026-11-02T03:00:00Z"), None, "America/New_York") == date(2026, 10, 31)
    assert last_complete_day(hour("2026-11-02T04:00:00Z"), None, "America/New_York") == date(2026, 11, 1)


def test_october_2026_in_korea() -> None:
    """The 3rd (a Saturday) and the 9th are holidays, the 5th stands in for the 3rd."""
    off = public_holidays(country_of("Asia/Seoul"), [2026])
    assert {day for day in off if day.month == 10} == {date(2026, 10, 3), date(2026, 10, 5), date(2026, 10, 9)}
    october = month_in("2026-10", "Asia/Seoul").days
    assert count_by_class(october, off) == {"working": 20, "saturday": 4, "off": 7}
    assert [class_of(date(2026, 10, day), off) for day in (2, 3, 4, 5, 10)] == [
        "working", "off", "off", "off", "saturday",
    ]  # fmt: skip


def test_holidays_of_others() -> None:
    assert country_of("UTC") == "none"
    assert public_holidays("none", [2026]) == frozenset()
    assert date(2026, 7, 4) in public_holidays("US", [2026])
    with pytest.raises(BillingError, match="'ZZ'"):
        public_holidays("ZZ", [2026])


@pytest.mark.parametrize(("count", "low", "high"), [(1, 1, 1), (9, 1, 9), (10, 2, 9), (19, 2, 18), (20, 3, 18)])
def test_a_tenth_is_left_aside_at_either_end(count: int, low: int, high: int) -> None:
    found = estimate([Fraction(number) for number in range(1, count + 1)])
    assert (found.low, found.mean, found.high) == (low, Fraction(count + 1, 2), high)


def test_an_average_beyond_the_others_widens_the_range() -> None:
    """Of ten days one cost 1,000 and is left aside: the range goes up to the average, which it moved."""
    found = estimate([Fraction(1)] * 9 + [Fraction(1000)])
    assert (found.low, found.mean, found.high) == (1, Fraction(1009, 10), Fraction(1009, 10))


def test_nothing_observed_is_not_0() -> None:
    with pytest.raises(ValueError, match="not 0"):
        estimate([])


def test_a_class_that_was_not_observed_takes_all_days() -> None:
    thursday = date(2026, 10, 1)
    estimates = estimates_of([thursday, thursday + timedelta(days=1)], {thursday: Decimal(10)}, frozenset())
    assert estimates["working"] == estimates["saturday"] == estimates["off"] == (0, 5, 10)
    weekend = [date(2026, 10, 10), date(2026, 10, 11)]
    assert outlook(Fraction(10), weekend, {}, estimates, frozenset()) == Outlook(
        Fraction(10), Fraction(20), Fraction(30)
    )


def test_a_seat_that_costs_as_much_as_use_is_no_better() -> None:
    people = people_of(
        {
            Payer("u-1", "D002"): Fraction(10),
            Payer("u-1", "D001"): Fraction(10),
            Payer("u-2", "D001"): Fraction(20),
            Payer("u-3", None): Fraction(41, 2),
            Payer(None, "D001"): Fraction(7),
        }
    )
    assert [(one.user, one.department, one.cost) for one in people] == [
        ("u-1", "D001", 20), ("u-2", "D001", 20), ("u-3", None, Fraction(41, 2)),
    ]  # fmt: skip
    found = Comparison(Decimal(20), Decimal(60), Fraction(135, 2), people)
    assert ([one.user for one in found.cheaper_on_seat], found.at_break_even) == (["u-3"], 3)
    assert (found.beside, found.mixed_exact) == (7, 67)
    assert [one.user for one in found.candidates(2)] == ["u-3", "u-1"]
    assert [found.cheaper(Decimal(total)) for total in ("59", "60", "61")] == ["usage", "equal", "seats"]


def test_months_between() -> None:
    assert months_between("2026-11..2027-02") == ["2026-11", "2026-12", "2027-01", "2027-02"]
    assert months_between("2026-10..2026-10") == ["2026-10"]
    assert len(months_between("2017-01..2026-12")) == 120
    for words in ("2026-10", "2026-10..", "2026-10..2026-13", "2026-10..2026-09", "2016-12..2026-12"):
        with pytest.raises(BillingError):
            months_between(words)


def test_a_month_before_its_year() -> None:
    rows = [
        BudgetRow("D001", "2026", Decimal(1200), "KRW"),
        BudgetRow("D001", "2026-10", Decimal(100), "KRW"),
        BudgetRow("D001", "2026-10", Decimal(150), "KRW"),
        BudgetRow("D001", "2026-09", Decimal(9), "USD"),
        BudgetRow(None, "2026", Decimal(5000), "KRW"),
    ]
    budgets = Budgets(rows, "KRW")
    assert [row.amount for month in ("2026-09", "2026-10") if (row := budgets.of(month, "D001"))] == [1200, 150]
    assert budgets.of("2025-12", "D001") is None
    assert budgets.need_earlier_months("2026-10")  # the organisation's is a year's
    assert not Budgets(rows[:3], "KRW").need_earlier_months("2026-10")
    held = MonthBudgets("2026-10", budgets, {"D001": Decimal(700), None: Decimal(50)})
    state = held.of("D001", Decimal(60))
    assert state is not None
    assert (state.spent, state.remaining) == (60, 90)
    assert held.of(None, Decimal(60)) is None  # use that nobody is known for is not the organisation
    whole = held.of_organisation(Decimal(60))
    assert whole is not None
    assert (whole.spent, whole.remaining) == (810, 4190)


@pytest.mark.parametrize(
    ("forecast", "high", "state"),
    [(100, 100, "within"), (100, 101, "at_risk"), (101, 101, "over")],
)
def test_the_state_of_a_budget(forecast: int, high: int, state: str) -> None:
    held = MonthBudgets("2026-10", Budgets([BudgetRow("D001", "2026-10", Decimal(100), "KRW")], "KRW"), {})
    booked = Booked(Decimal(40), Decimal(50), Decimal(forecast), Decimal(high))
    document = booked.document(held.of("D001", Decimal(40)))
    assert document["budget"]["state"] == state
    assert document["budget"]["expected_remaining"] == str(100 - forecast)


def test_names_as_of_a_month() -> None:
    def row(name: str, day: int) -> Department:
        start = datetime(2026, 10, day, tzinfo=UTC)
        return Department("D012", name, None, None, None, None, None, None, None, start, None)

    terms = terms_of([row("old", 1), row("new", 15), row("mistyped", 20), row("corrected", 20)])
    assert [term.row.name for term in terms] == ["old", "new", "corrected"]
    days = (1, 2, 15, 16, 21)
    assert [names_of(terms, datetime(2026, 10, day, tzinfo=UTC))["D012"] for day in days] == [
        "old", "old", "old", "new", "corrected",
    ]  # fmt: skip
    assert names_of(terms) == {"D012": "corrected"}
