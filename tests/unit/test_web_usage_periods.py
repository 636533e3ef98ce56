"""The periods that the page of usage offers: often asked ones, and the ones before and after what is shown."""

from __future__ import annotations

from datetime import date

import pytest

from billing.usage_slice import Slice
from jangbu.web.pages.usage_asked import choices_of

TODAY = date(2026, 11, 23)


def offered(first: date, last: date, today: date = TODAY) -> dict[str, tuple[str, str]]:
    """Periods by name."""
    found = choices_of(Slice(first, last, "Asia/Seoul"), today)
    return {one["name"]: (str(one["from"]), str(one["to"])) for one in found}


def test_what_is_often_asked_for_ends_today() -> None:
    found = offered(date(2026, 11, 1), TODAY)
    assert found["today"] == ("2026-11-23", "2026-11-23")
    assert found["last_7_days"] == ("2026-11-17", "2026-11-23")
    assert found["this_month"] == ("2026-11-01", "2026-11-23")
    assert found["last_month"] == ("2026-10-01", "2026-10-31")
    assert found["this_year"] == ("2026-01-01", "2026-11-23")
    assert offered(TODAY, TODAY, date(2026, 1, 5))["last_month"] == ("2025-12-01", "2025-12-31")


@pytest.mark.parametrize(
    ("first", "last", "earlier", "later"),
    [
        (date(2026, 2, 1), date(2026, 2, 28), ("2026-01-01", "2026-01-31"), ("2026-03-01", "2026-03-31")),
        (date(2025, 11, 1), date(2026, 1, 31), ("2025-08-01", "2025-10-31"), ("2026-02-01", "2026-04-30")),
        (date(2026, 2, 2), date(2026, 2, 8), ("2026-01-26", "2026-02-01"), ("2026-02-09", "2026-02-15")),
    ],
)
def test_the_periods_beside_are_as_long(
    first: date, last: date, earlier: tuple[str, str], later: tuple[str, str]
) -> None:
    found = offered(first, last)
    assert (found["earlier"], found["later"]) == (earlier, later)


def test_nothing_is_offered_that_has_not_begun_or_that_no_calendar_has() -> None:
    assert "later" not in offered(date(2026, 11, 1), date(2026, 11, 30))
    assert "earlier" not in offered(date(1, 1, 1), date(1, 1, 31))
    assert "later" not in offered(date(9999, 11, 1), date(9999, 11, 30))


def test_what_is_shown_is_marked() -> None:
    found = choices_of(Slice(date(2026, 10, 1), date(2026, 10, 31), "Asia/Seoul"), TODAY)
    assert [one["name"] for one in found if one["is_asked"]] == ["last_month"]
    hour = choices_of(Slice(TODAY, TODAY, "Asia/Seoul", hour=498_000), TODAY)
    assert [one["name"] for one in hour if one["is_asked"]] == []
