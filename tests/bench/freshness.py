"""How long from accepted to visible: events offered at a steady rate through outbox, publisher, Kafka and worker.

Accepted is when `Outbox.append` has returned: then the event is on the disk, and whoever brought it is told so.
Visible is when a query of `usage_event` by its key, by the reader's login, has shown it; its sums become visible in the
same transaction. The sampler asks again and again for the events that it waits for: what it says is an upper bound.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from producers.contract import HOUR_US, identity_digest
from producers.outbox import Accepted, Outbox
from tests.bench.house import SOURCE
from tests.bench.report import Figure, Findings
from tests.bench.stage import Child, Disturbed, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.house import House

RATE_PER_S = int(os.environ.get("BENCH_EVENTS_PER_S", "10000"))
BATCH_EVENTS = 100
"""Events that a gateway hands over at once, every 20 ms."""
SAMPLED_A_BATCH = 1
WARM_UP_S = 3.0
"""Offered before the samples count: names are new, caches are cold. The first event of all must be visible before."""
BOUND_S = 1.0
PARTITIONS = 8
POLL_S = 0.04
"""Between two questions for what is waited for. Asking costs PostgreSQL time that the pipeline needs too: every 5 ms it
took more processor time than anything that is measured here. What is said is late by up to so much."""
LAG_EVERY_S = 0.5
LATE_MAX_S = 60.0
"""After the last event: what is not visible by then counts as lost."""
OFFERED_SHARE_MIN = 0.98
SEE = "select event_key from usage_event where event_key = any(%s)"
LOOK_UP_BY_KEY = "set enable_seqscan = off"
"""The ledger grows from nothing while it is looked at, and a planner without statistics would read all of it."""
COUNTS = "select (select count(*) from usage_event), (select sum(events) from usage_part)"
_HEAD = '{"specversion":"1.0","type":"ai.usage.v1","source":"gateway-1","id":"'


@dataclass(frozen=True, slots=True)
class Sample:
    """An event to look for: its stored key as a UUID's text, and when it was accepted (time.monotonic)."""

    key: str
    accepted_s: float
    counts: bool


@dataclass(slots=True)
class Offer:
    """What the offering thread has done, read by the sampler; and what the sampler saw waiting, in events."""

    samples: deque[Sample] = field(default_factory=deque)
    events: int = 0
    append_s: list[float] = field(default_factory=list)
    took_s: float = 0.0
    outbox_max: int = 0
    kafka_max: int = 0
    cpu_s: dict[str, float] = field(default_factory=dict)
    error: Exception | None = None


def measure(stage: Stage, offered_s: float, say: Callable[[str], None]) -> Findings:
    """Offer RATE_PER_S for so long, look at sampled events, tell how late they were seen."""
    with stage.topic(PARTITIONS) as log, stage.database() as urls:
        outbox_path = stage.directory / f"outbox-{log.topic}" / "outbox.sqlite"
        publisher = {"bootstrap": stage.bootstrap, "topic": log.topic, "outbox": str(outbox_path)}
        say(f"freshness: offering {RATE_PER_S:,} events/s for {offered_s:.0f} s")
        with stage.worker(urls, log) as worker, stage.child("publisher", **publisher) as child:
            offer, seen_s = _offer_and_look(stage.house, outbox_path, urls.reader, offered_s, (worker, child))
        with psycopg.connect(urls.reader) as connection:
            row = connection.execute(COUNTS).fetchone()
    if row is None or set(row) != {offer.events}:
        raise Disturbed(f"freshness: {offer.events} events were accepted, the ledger and its sums hold {row}")
    return Findings(_figures(seen_s), [_note(offer, len(seen_s))])


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)]


def _figures(seen_s: Sequence[float]) -> list[Figure]:
    found = {"p99": percentile(seen_s, 0.99), "p50": percentile(seen_s, 0.5), "max": max(seen_s)}
    return [
        Figure(f"freshness: accepted to visible, {name} / {BOUND_S:.0f} s", value_s / BOUND_S,
               ("at most", 1) if name == "p99" else None, f"{value_s:.3f} s")
        for name, value_s in found.items()
    ]  # fmt: skip


def _note(offer: Offer, samples: int) -> str:
    rate = offer.events / offer.took_s
    short = "" if rate >= RATE_PER_S * OFFERED_SHARE_MIN else " (LESS THAN WANTED: the machine is too busy)"
    append_s = percentile(offer.append_s, 0.99)
    cpu = " and ".join(f"{role} {cpu_s / offer.events * 1e6:.0f} us" for role, cpu_s in offer.cpu_s.items())
    return (
        f"Freshness: {offer.events:,} events, offered at {rate / RATE_PER_S:.2f} of the rate{short}; {samples:,} were "
        f"looked for. The outbox took {append_s:.3f} s (p99) before it accepted. At worst {offer.outbox_max:,} events "
        f"waited in it, and (at another moment) {offer.kafka_max:,} between Kafka and SQL. CPU an event: {cpu}."
    )


def _offer_and_look(
    house: House, outbox_path: Path, reader_url: str, offered_s: float, children: Sequence[Child]
) -> tuple[Offer, list[float]]:
    """Offer in a thread, look in this one."""
    batches = round((WARM_UP_S + offered_s) * RATE_PER_S / BATCH_EVENTS)
    tails = [tail.decode() for tail in house.tails_of(1 + batches * BATCH_EVENTS, 1)]
    offer = Offer()
    stop = threading.Event()
    with Outbox(outbox_path) as outbox:
        first = _batch(0, tails[:1])
        outbox.append(first[0])
        offer.samples.append(Sample(first[1][0], time.monotonic(), counts=False))
        thread = threading.Thread(target=_offer, args=(outbox, tails[1:], offer, stop), name="offer")
        with psycopg.connect(reader_url, autocommit=True, prepare_threshold=0) as connection:
            connection.execute(LOOK_UP_BY_KEY)
            _look(connection, offer, None, children, outbox)
            used_s = {child.role: child.cpu_s() for child in children}
            thread.start()
            try:
                seen_s = _look(connection, offer, thread, children, outbox)
            finally:
                stop.set()
                thread.join()
    if offer.error is not None:
        raise offer.error
    offer.events += 1
    offer.cpu_s = {child.role: child.cpu_s() - used_s[child.role] for child in children}
    return offer, seen_s


def _offer(outbox: Outbox, tails: Sequence[str], offer: Offer, stop: threading.Event) -> None:
    """Append a batch whenever one is due; where appending was late, the next batches follow at once."""
    began_s = time.monotonic()
    try:
        for first in range(0, len(tails), BATCH_EVENTS):
            due_s = began_s + first / RATE_PER_S
            if stop.wait(max(0.0, due_s - time.monotonic())):
                break
            batch, keys = _batch(1 + first, tails[first : first + BATCH_EVENTS])
            asked_s = time.monotonic()
            outbox.append(batch)
            accepted_s = time.monotonic()
            offer.append_s.append(accepted_s - asked_s)
            offer.events += len(batch)
            counts = due_s - began_s >= WARM_UP_S
            offer.samples.extend(Sample(key, accepted_s, counts) for key in keys)
    except Exception as error:  # noqa: BLE001 - whoever looks raises it
        offer.error = error
    offer.took_s = time.monotonic() - began_s


def _batch(first: int, tails: Sequence[str]) -> tuple[list[Accepted], list[str]]:
    """Events of this moment, and the stored keys of those that are looked for."""
    now = datetime.now(UTC)
    now_ms = int(now.timestamp() * 1000)
    middle = f'","time":"{now.strftime("%Y-%m-%dT%H:%M:%S")}.{now_ms % 1000:03d}Z'
    names = [f"offered-{first + place}" for place in range(len(tails))]
    batch = [
        Accepted(f"{SOURCE}/{name}".encode(), f"{_HEAD}{name}{middle}{tail}".encode(), now_ms)
        for name, tail in zip(names, tails, strict=True)
    ]
    hour = (now_ms * 1000 // HOUR_US).to_bytes(4, "big")
    step = max(1, len(names) // SAMPLED_A_BATCH)
    return batch, [(hour + identity_digest(SOURCE, name)).hex() for name in names[::step][:SAMPLED_A_BATCH]]


def _look(connection: psycopg.Connection[Any], offer: Offer, thread: threading.Thread | None,
          children: Sequence[Child], outbox: Outbox) -> list[float]:
    """Ask for what is accepted and not yet seen, until the thread has ended and all is. Returns how long each counted
    sample took, in seconds."""
    waiting: dict[str, Sample] = {}
    seen_s: list[float] = []
    give_up_s, look_at_lag_s = float("inf"), 0.0
    while True:
        is_over = thread is None or not thread.is_alive()
        while offer.samples:
            sample = offer.samples.popleft()
            waiting[sample.key] = sample
        if waiting:
            rows = connection.execute(SEE, (list(waiting),)).fetchall()
            now_s = time.monotonic()
            for (key,) in rows:
                sample = waiting.pop(key.hex)
                if sample.counts:
                    seen_s.append(now_s - sample.accepted_s)
        elif is_over:
            return seen_s
        if is_over and give_up_s == float("inf"):
            give_up_s = time.monotonic() + LATE_MAX_S
        if time.monotonic() > give_up_s:
            raise Disturbed(f"freshness: {len(waiting)} accepted events are not visible {LATE_MAX_S:.0f} s later")
        if time.monotonic() > look_at_lag_s:
            look_at_lag_s = time.monotonic() + LAG_EVERY_S
            _note_lag(connection, outbox, offer)
            for child in children:
                child.check()
        time.sleep(POLL_S)


def _note_lag(connection: psycopg.Connection[Any], outbox: Outbox, offer: Offer) -> None:
    """How many events wait where, so that a late one can be blamed on somebody."""
    in_outbox = outbox.pending_count()
    accepted = outbox.last_seq()
    row = connection.execute("select coalesce(sum(next_offset), 0) from stream_offset").fetchone()
    assert row is not None
    offer.outbox_max = max(offer.outbox_max, in_outbox)
    offer.kafka_max = max(offer.kafka_max, accepted - in_outbox - int(row[0]))
