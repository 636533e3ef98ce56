"""Windows of quotas: every instant lies in exactly one window of a kind, and windows follow each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import BillingError
from billing.quotas.windows import WINDOW_KINDS, window_of

if TYPE_CHECKING:
    from billing.quotas.windows import WindowKind

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2039, 12, 31)).map(lambda one: one.replace(tzinfo=UTC))  # noqa: DTZ001
ZONES = st.sampled_from(["Asia/Seoul", "UTC", "America/Los_Angeles", "Europe/Berlin"])


@pytest.mark.parametrize(
    ("kind", "start", "end"),
    [
        ("hour", "2026-10-31T14:00:00+00:00", "2026-10-31T15:00:00+00:00"),
        ("day", "2026-10-30T15:00:00+00:00", "2026-10-31T15:00:00+00:00"),
        ("week", "2026-10-25T15:00:00+00:00", "2026-11-01T15:00:00+00:00"),
        ("month", "2026-09-30T15:00:00+00:00", "2026-10-31T15:00:00+00:00"),
        ("year", "2025-12-31T15:00:00+00:00", "2026-12-31T15:00:00+00:00"),
    ],
)
def test_windows_are_of_the_local_calendar(kind: WindowKind, start: str, end: str) -> None:
    """The last minute of October in Seoul, a Saturday."""
    window = window_of(kind, datetime.fromisoformat("2026-10-31T23:59:00+09:00"), "Asia/Seoul")
    assert (window.start.isoformat(), window.end.isoformat()) == (start, end)


def test_the_day_on_which_clocks_change_has_25_hours() -> None:
    window = window_of("day", datetime.fromisoformat("2026-11-01T12:00:00-08:00"), "America/Los_Angeles")
    assert window.end_hour - window.first_hour == 25


@given(MOMENTS, st.sampled_from(WINDOW_KINDS), ZONES)
def test_an_instant_lies_in_its_window_and_windows_meet(moment: datetime, kind: WindowKind, zone: str) -> None:
    window = window_of(kind, moment, zone)
    assert window.start <= moment < window.end
    assert window_of(kind, window.start, zone) == window
    assert window_of(kind, window.end - timedelta(microseconds=1), zone) == window
    assert window_of(kind, window.end, zone).first_hour == window.end_hour


def test_an_unknown_zone_is_named() -> None:
    with pytest.raises(BillingError, match="Mars/Olympus"):
        window_of("day", datetime(2026, 10, 1, tzinfo=UTC), "Mars/Olympus")
