"""A line's hours: sums that were moved away show why they are 0, hours of other units do not show at all."""

from __future__ import annotations

from billing.explaining.basis import Basis
from billing.explaining.event_steps import Footing, hours_document
from billing.explaining.events import EventSum, Sought
from billing.explaining.hours import HourSum
from billing.periods import month_in

OCTOBER = month_in("2026-10", "Asia/Seoul")
FIRST = OCTOBER.first_hour


def test_hours_in_which_only_other_units_were_used_are_left_out() -> None:
    """A roster that moves an event writes 0 for each unit that the event did not use."""
    sums = (
        HourSum(FIRST, 1, 0, "chunk", "cache_read_tokens", 1, 60),
        HourSum(FIRST + 1, 1, 0, "roster", "cache_read_tokens", 1, 0),
        HourSum(FIRST + 2, 1, 0, "chunk", "cache_read_tokens", 1, 7),
        HourSum(FIRST + 2, 1, 0, "roster", "cache_read_tokens", 1, -7),
        HourSum(FIRST + 3, 1, 0, "roster", "cache_read_tokens", 1, 0),
    )
    events = {(FIRST, 1, 0): EventSum(1, 60, 0), (FIRST + 3, 1, 0): EventSum(1, 5, 0)}
    footing = Footing(Sought((1,), "cache_read_tokens", frozenset(events)), events)
    shown = hours_document(Basis((), sums, {}), footing, OCTOBER)
    assert [(row["quantity"], row["reasons"], row["events_quantity"]) for row in shown] == [
        ("60", {"chunk": "60"}, "60"),
        ("0", {"chunk": "7", "roster": "-7"}, "0"),
        ("0", {"roster": "0"}, "5"),  # a sum of 0 over events that are none shows: that is a disagreement
    ]
