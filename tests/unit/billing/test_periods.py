"""Months in zones as half-open ranges of UTC hours."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from billing.errors import BillingError
from billing.periods import hour_number, hour_start, month_in, month_of_hour


def utc(*parts: int) -> int:
    return hour_number(datetime(*parts, tzinfo=UTC))  # type: ignore[misc]


def test_october_in_seoul() -> None:
    month = month_in("2026-10", "Asia/Seoul")
    assert (month.first_hour, month.end_hour) == (utc(2026, 9, 30, 15), utc(2026, 10, 31, 15))
    assert (len(month.days), month.days[0], month.day_hours[1]) == (31, date(2026, 10, 1), utc(2026, 10, 1, 15))


@pytest.mark.parametrize(
    ("name", "zone", "hours"),
    [
        ("2028-02", "Asia/Seoul", 29 * 24),
        ("2026-02", "UTC", 28 * 24),
        ("2026-03", "Europe/Berlin", 31 * 24 - 1),
        ("2026-10", "Europe/Berlin", 31 * 24 + 1),
        ("2026-11", "America/Los_Angeles", 30 * 24 + 1),
    ],
)
def test_leap_years_and_summer_time(name: str, zone: str, hours: int) -> None:
    month = month_in(name, zone)
    assert month.end_hour - month.first_hour == hours


def test_months_follow_each_other_without_gap() -> None:
    assert month_in("2026-12", "Asia/Seoul").end_hour == month_in("2027-01", "Asia/Seoul").first_hour


@pytest.mark.parametrize(
    "name", ["2026-13", "2026-00", "2026-1", "26-01", "", "2026-10-01", "0000-01", "9999-12", "२०२६-१०"]
)
def test_other_forms_are_refused(name: str) -> None:
    with pytest.raises(BillingError, match="month is"):
        month_in(name, "Asia/Seoul")


@pytest.mark.parametrize(
    ("zone", "says"), [("Asia/Kolkata", "whole UTC hour"), ("Asia/Seul", "Asia/Seul"), ("../etc", "etc")]
)
def test_zones_that_cannot_be(zone: str, says: str) -> None:
    with pytest.raises(BillingError, match=says):
        month_in("2026-10", zone)


def test_the_month_of_an_hour_is_the_zones() -> None:
    assert month_of_hour(utc(2026, 9, 30, 14), "Asia/Seoul") == "2026-09"
    assert month_of_hour(utc(2026, 9, 30, 15), "Asia/Seoul") == "2026-10"
    assert hour_start(utc(2026, 9, 30, 15)) == datetime(2026, 9, 30, 15, tzinfo=UTC)
