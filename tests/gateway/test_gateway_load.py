"""The small version of `make gateway-load`, and what its judgement lets pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.gateway import load
from tests.gateway import proxy_world as world
from tests.services.apache_kafka import KafkaUnavailableError, fetch_libs

KILLED_AT = 1_000.0


def line(tag: str, at: float, outcome: str = "success") -> dict[str, Any]:
    """A line of the bill."""
    return {"tag": tag, "at": at, "outcome": outcome, "units": {"output_tokens": 7} if outcome == "success" else {}}


def event(tag: str, status: str = "success", tokens: int = 7) -> dict[str, Any]:
    """An event of the ledger."""
    units = {"requests": 1, **({"output_tokens": tokens} if status == "success" else {})}
    return {"id": tag, "data": {"status": status, "usage_source": "provider", "tags": {"call": tag}, "units": units}}


def test_a_failure_on_the_way_is_told_apart_from_a_difference() -> None:
    found = load.Truth(killed_at=KILLED_AT)
    bill, events = [line("a", 10)], [event("a"), event("a", "failure")]
    load._hold_against(bill, events, {}, found)
    assert (len(found.unreached), len(found.wrong)) == (1, 0)
    load._hold_against(bill, [event("a", tokens=8), event("a", "failure")], {}, found)
    assert (len(found.unreached), len(found.wrong)) == (1, 1)


@pytest.mark.parametrize(
    ("bill", "events", "lost", "wrong"),
    [
        ([line("a", 990)], [event("a")], 0, 0),
        ([line("a", 990)], [], 1, 0),
        ([line("a", 1_020)], [], 0, 1),  # after the proxy was there again: nothing excuses it
        ([line("a", 900)], [], 0, 1),  # long before: it had been handed over
        ([line("a", 990)], [event("a", tokens=8)], 0, 1),  # a token more is no lost call
        ([line("a", 900)], [event("a", tokens=8)], 0, 1),
        ([line("a", 990)], [event("a"), event("a")], 0, 1),  # a call too many is never excused
        ([], [event("a")], 0, 1),
        ([line("a", 995, "failure"), line("a", 996)], [event("a", "failure")], 1, 0),
    ],
)
def test_only_what_was_under_way_at_the_kill_is_excused(
    bill: list[dict[str, Any]], events: list[dict[str, Any]], lost: int, wrong: int
) -> None:
    found = load.Truth(killed_at=KILLED_AT)
    load._hold_against(bill, events, {}, found)
    assert (len(found.lost), len(found.wrong)) == (lost, wrong)


@pytest.mark.load
@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.postgres
def test_the_ledger_is_the_bill_after_kafka_and_the_proxy_were_killed(tmp_path: Path) -> None:
    """Kafka twice, the proxy once, a worker each 30 s; what differs was under way at the kill."""
    world.need_clients()
    try:
        fetch_libs()
    except KafkaUnavailableError as error:
        pytest.skip(str(error))
    found = load.true(tmp_path, calls=240, at_once=40)
    assert found.wrong == [], "\n".join(found.wrong[:10])
    assert found.kafka_killed == 2
    assert found.killed_at > 0
    assert len(found.lost) <= 3 * 40, "\n".join(found.lost[:10])
    assert found.stored > found.billed - 3 * 40
