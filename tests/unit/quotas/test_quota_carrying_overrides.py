"""What is carried over never stands before an override of a part of the window, nor makes one last longer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.quotas.carrying import carry
from billing.quotas.quota import Quota, QuotaKey
from billing.quotas.states import QuotaState
from billing.quotas.windows import window_of

ZONE = "Asia/Seoul"
WINDOW = window_of("month", datetime(2027, 1, 20, tzinfo=UTC), ZONE)
LAST = window_of("month", WINDOW.start - timedelta(hours=1), ZONE)
KEY = QuotaKey("department", "D001", "", "tokens", "month")


def row(number: int, limit: int, since: datetime | None = None, until: datetime | None = None) -> Quota:
    return Quota(number, KEY, Decimal(limit), (), (), "hard", since, until)


BASE = row(1, 1_000)
IN_IT = WINDOW.start + timedelta(days=9)


@pytest.mark.parametrize(
    ("override", "carried"),
    [
        (row(2, 5_000, WINDOW.start, IN_IT), None),  # of the first nine days
        (row(2, 5_000, LAST.start, IN_IT), None),
        (row(2, 5_000, IN_IT, WINDOW.end), None),
        (row(2, 5_000, IN_IT, WINDOW.end + timedelta(days=9)), None),
        (row(2, 5_000, LAST.start, WINDOW.start), 1_700),  # over when the window begins
        (row(2, 5_000, WINDOW.end, None), 1_700),
        (row(2, 5_000, LAST.start, WINDOW.end + timedelta(days=9)), 5_700),  # all of it
    ],
)
def test_an_override_of_a_part_of_the_window_is_left_to_people(override: Quota, carried: int | None) -> None:
    since = dict.fromkeys((1, 2), LAST.start)
    found = carry([BASE, override], [QuotaState(BASE, "D001", LAST, Decimal(300))], WINDOW, since)
    assert [one.limit for one in found.rows] == ([] if carried is None else [carried])
    assert [one.quota for one in found.left_out] == ([1] if carried is None else [])
    assert carried is not None or "row 2 begins or ends within the window" in found.left_out[0].why
