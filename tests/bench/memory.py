"""The worker's memory while a large backlog waits in Kafka: its peak over the whole of it (VmHWM)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING

from tests.bench.report import Figure, Findings
from tests.bench.stage import Stage, connect
from tests.bench.truth import Truth, check_ledger

if TYPE_CHECKING:
    from producers.topic import TopicLog

DAYS = 5
LIMIT_MB = 400
MB = 1024 * 1024
PARTITIONS = 8


def measure(stage: Stage, events: int, say: Callable[[str], None]) -> Findings:
    """Put a backlog into Kafka, let one worker store all of it, and look at its peak."""
    house = stage.house
    days = [house.day(number, events // DAYS) for number in range(DAYS)]
    truth = Truth()
    for day in days:
        truth.add(house.truth(day))
    with stage.topic(PARTITIONS) as log:
        say(f"memory: putting {truth.events:,} events into Kafka")
        stage.produce(log, chain.from_iterable(house.events(day) for day in days))
        say(f"memory: one worker reads them from {PARTITIONS} partitions")
        peak_mb = _peak_mb(stage, log, truth)
    what = f"memory: the worker's peak with {truth.events / 1e6:g} M events behind / {LIMIT_MB} MB"
    return Findings([Figure(what, peak_mb / LIMIT_MB, ("at most", 1), f"{peak_mb:.0f} MB")], [])


def _peak_mb(stage: Stage, log: TopicLog, truth: Truth) -> float:
    with stage.database() as urls, stage.worker(urls, log) as child, connect(urls.owner) as connection:
        stage.wait_until_read(connection, truth.events, child)
        peak_bytes = child.memory_peak_bytes()
        check_ledger(connection, truth)
    return peak_bytes / MB
