"""Whether the ledger's speed stays as it grows: day after day through decode, prepare and store, in this process.

Time moves forward as in life, ids are random, a day's events come in their order. Only what the worker does is timed,
not the making of events. The first day, when the table begins empty and every name is new, is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from producers.topic import TopicLog
from streams.chunk import Chunk, Record
from tests.bench.bare_loop import CHUNK_RECORDS, Hands
from tests.bench.report import Figure, Findings, thousand
from tests.bench.stage import Stage, connect
from tests.bench.truth import Truth, check_ledger

if TYPE_CHECKING:
    from tests.bench.house import Event

DAYS = 20
SIDE_DAYS = 3
"""Days at each end whose median counts."""
DAYS_MIN = 1 + 2 * SIDE_DAYS
FLAT = 0.85
LOG = TopicLog("bench", "usage.events", "growth", 4)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that one day's events took: altogether, and in PostgreSQL's transactions alone."""

    events: int
    all_s: float
    store_s: float


def measure(stage: Stage, events: int, budget_s: float, say: Callable[[str], None]) -> Findings:
    """Grow a ledger to so many events in DAYS equal days, or for as many days as `budget_s` allows."""
    give_up_s = time.monotonic() + budget_s
    paces: list[Pace] = []
    truth = Truth()
    next_offsets = dict.fromkeys(range(LOG.partitions), 0)
    with stage.database() as urls:
        hands = Hands(urls.worker, LOG)
        for number in range(DAYS):
            day = stage.house.day(number, events // DAYS)
            paces.append(_one_day(hands, stage.house.events(day), next_offsets))
            truth.add(stage.house.truth(day))
            say(f"growth: {truth.events:,} events; the last {len(day):,} at {thousand(len(day) / paces[-1].all_s)}")
            if time.monotonic() > give_up_s:
                break
        hands.close()
        with connect(urls.owner) as connection:
            check_ledger(connection, truth)
    figures = compare(paces) if len(paces) >= DAYS_MIN else []
    short = "" if len(paces) == DAYS else f" in the {budget_s:.0f} s that were left; {events:,} were wanted"
    untold = "" if figures else f", and {DAYS_MIN} of {DAYS} days are needed to tell something"
    return Findings(figures, [f"Growth: the ledger grew to {truth.events:,} events{short}{untold}."])


def compare(paces: Sequence[Pace]) -> list[Figure]:
    """The last days' speed by that of the first days after the first one."""
    first, last = paces[1 : 1 + SIDE_DAYS], paces[-SIDE_DAYS:]
    day, end = paces[0].events, sum(pace.events for pace in paces)

    def ratio(seconds: Callable[[Pace], float]) -> tuple[float, str]:
        before, after = (median(pace.events / seconds(pace) for pace in side) for side in (first, last))
        return after / before, f"{thousand(after)} / {thousand(before)}"

    whole, beside = ratio(lambda pace: pace.all_s)
    store, store_beside = ratio(lambda pace: pace.store_s)
    return [
        Figure(f"growth: speed at {_short(end)} events / at {_short(day)}", whole, ("at least", FLAT), beside),
        Figure("growth: the same of the transactions alone", store, None, store_beside),
    ]


def _one_day(hands: Hands, events: Iterator[Event], next_offsets: dict[int, int]) -> Pace:
    """Hand the events over in chunks of one partition, dealt out in turn as a hash would."""
    held: dict[int, list[Record]] = {partition: [] for partition in next_offsets}
    all_s = store_s = 0.0
    count = 0

    def store(partition: int) -> None:
        nonlocal all_s, store_s
        records, held[partition] = held[partition], []
        chunk = Chunk(partition, records[0].offset, records[-1].offset + 1, records, 1)
        began_s = time.perf_counter()
        prepared = hands.prepare(chunk)
        prepared_s = time.perf_counter()
        hands.store(prepared)
        ended_s = time.perf_counter()
        all_s += ended_s - began_s
        store_s += ended_s - prepared_s

    for key, value, timestamp_ms in events:
        partition = count % LOG.partitions
        count += 1
        held[partition].append(Record(next_offsets[partition], timestamp_ms, key, value))
        next_offsets[partition] += 1
        if len(held[partition]) == CHUNK_RECORDS:
            store(partition)
    for partition, records in held.items():
        if records:
            store(partition)
    return Pace(count, all_s, store_s)


def _short(events: int) -> str:
    return f"{events / 1_000_000:g} M"
