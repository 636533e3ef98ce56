"""The full path against a plain Faust agent, a bare loop with the same SQL, and COPY alone: in turn, several rounds."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.bench.report import Figure, Findings, of_rounds, thousand
from tests.bench.stage import Child, Disturbed, Stage, connect
from tests.bench.truth import Truth, WrongSums, check_ledger

if TYPE_CHECKING:
    import psycopg

    from producers.topic import TopicLog
    from tests.bench.scale import Scale

OTHER_INDEXES = "select indexname from pg_indexes where tablename = 'usage_event' and indexname <> 'usage_event_pkey'"
CHUNKS = "select worker, committed_at, records from stream_chunk where records > 0 order by committed_at"


class ChunkRow(NamedTuple):
    """A stored chunk. `committed_at` is when its transaction began: that is what `now()` is."""

    worker: str
    committed_at: datetime
    records: int


@dataclass(slots=True)
class Rounds:
    """Events/s of each variant, a number a round."""

    full: list[float] = field(default_factory=list)
    full_by_two: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    copy: list[float] = field(default_factory=list)


def events_per_s(chunks: Sequence[ChunkRow]) -> float:
    """The speed while all workers were at work: from the last worker's second chunk to the first worker's last one.

    A chunk's time is its transaction's beginning, so the chunks that begin within this time were stored in it, and the
    one that begins at its end was not. The first chunk of each worker is left out: it waits for the start, and every
    name in it is new. Chunks come in order of time.
    """
    workers = {chunk.worker for chunk in chunks}
    times = {worker: [chunk.committed_at for chunk in chunks if chunk.worker == worker] for worker in workers}
    begin, end = max(own[min(1, len(own) - 1)] for own in times.values()), min(own[-1] for own in times.values())
    seconds = (end - begin).total_seconds()
    if seconds <= 0:
        raise Disturbed(f"{len(chunks)} chunks of {len(workers)} workers are too few to tell a speed: give more events")
    return sum(chunk.records for chunk in chunks if begin <= chunk.committed_at < end) / seconds


def measure(stage: Stage, scale: Scale, say: Callable[[str], None]) -> Findings:
    """Run every variant in turn, `scale.rounds` times, or as often as `scale.speed_s` allows, once at least."""
    house = stage.house
    day = house.day(0, scale.events)
    plain_day = house.day(0, scale.plain_events)
    truth, plain_truth = house.truth(day), house.truth(plain_day)
    done = Rounds()
    with stage.topic(scale.partitions) as log, stage.topic(scale.partitions) as plain_log:
        say(f"speed: putting {len(day):,} and {len(plain_day):,} events into Kafka")
        stage.produce(log, house.events(day))
        stage.produce(plain_log, house.events(plain_day))
        shapes: list[str] = []
        began_s = time.monotonic()
        for number in range(1, scale.rounds + 1):
            done.full.append(_full(stage, log, truth, 1, shapes))
            done.plain.append(_plain(stage, plain_log, plain_truth))
            done.bare.append(_bare(stage, log, truth))
            done.copy.append(_copy(stage, log, truth))
            done.full_by_two.append(_full(stage, log, truth, 2, []))
            last = ", ".join(f"{name} {thousand(speeds[-1])}" for name, speeds in asdict(done).items())
            say(f"speed: round {number} of {scale.rounds}: {last}")
            if (time.monotonic() - began_s) * (number + 1) / number > scale.speed_s:
                break
    work = f"{len(day):,} events in {scale.partitions} partitions"
    return Findings(figures(done), [f"Speed: {number} of {scale.rounds} rounds; {work}; the full path: {shapes[-1]}."])


def figures(done: Rounds) -> list[Figure]:
    """The rounds as ratios."""
    full, two, plain, bare, copy = (thousand(median(speeds)) for speeds in asdict(done).values())
    return [
        of_rounds("full path, two workers / (a) plain Faust agent, sums in memory alone", done.full_by_two, done.plain,
                  ("at least", 8), f"{two} / {plain}"),
        of_rounds("full path, one worker / (a)", done.full, done.plain, None, f"{full} / {plain}"),
        of_rounds("full path, one worker / (b) bare confluent-kafka loop, same SQL", done.full, done.bare,
                  ("at least", 0.85), f"{full} / {bare}"),
        of_rounds("full path, one worker / (c) COPY alone: the limit", done.full, done.copy, None, f"{full} / {copy}"),
        of_rounds("full path, two workers / one", done.full_by_two, done.full, None, f"{two} / {full}"),
    ]  # fmt: skip


def _full(stage: Stage, log: TopicLog, truth: Truth, workers: int, shapes: list[str]) -> float:
    """The product's workers on the backlog."""
    children: list[Child] = []
    with stage.database() as urls, ExitStack() as stack, connect(urls.owner) as connection:
        with stage.held(connection, children):
            names = [f"worker-{number}" for number in range(1, workers + 1)]
            children += [stack.enter_context(stage.worker(urls, log, name)) for name in names]
        stage.wait_until_read(connection, truth.events, *children)
        cpu_s = sum(child.cpu_s() for child in children)
        check_ledger(connection, truth)
        shapes.append(_shape(connection, truth.events, cpu_s))
        return _speed(connection, workers)


def _plain(stage: Stage, log: TopicLog, truth: Truth) -> float:
    settings = {"bootstrap": stage.bootstrap, "topic": log.topic, "events": truth.events}
    with stage.child("plain", **settings, group=f"plain-{uuid.uuid4().hex[:12]}") as child:
        result = child.wait_for_result()
    if tuple(result["totals"]) != truth.totals:
        raise WrongSums(f"the plain agent added up {result['totals']}, sent were {truth.totals}")
    return float(result["events_per_s"])


def _bare(stage: Stage, log: TopicLog, truth: Truth) -> float:
    with stage.database() as urls:
        settings = {"bootstrap": stage.bootstrap, "database_url": urls.worker, "log": asdict(log)}
        with stage.child("bare", **settings) as child:
            child.result()
        with connect(urls.owner) as connection:
            check_ledger(connection, truth)
            return _speed(connection, 1)


def _copy(stage: Stage, log: TopicLog, truth: Truth) -> float:
    with stage.database() as urls, connect(urls.owner) as connection:
        for (name,) in connection.execute(OTHER_INDEXES).fetchall():
            connection.execute(f"drop index {name}".encode())
        settings = {"bootstrap": stage.bootstrap, "database_url": urls.worker, "log": asdict(log)}
        with stage.child("copy", **settings) as child:
            result = child.result()
        stored = connection.execute("select count(*), sum(output_tokens)::bigint from usage_event").fetchone()
    if stored != (truth.events, truth.totals[3]) or result["rows"] != truth.events:
        raise WrongSums(f"COPY alone stored {stored}, sent were {truth.events} events")
    return float(result["events_per_s"])


def _speed(connection: psycopg.Connection[Any], workers: int) -> float:
    chunks = [ChunkRow(*row) for row in connection.execute(CHUNKS)]
    if len({chunk.worker for chunk in chunks}) != workers:
        raise Disturbed(f"not all of {workers} workers stored something: give more events")
    return events_per_s(chunks)


def _shape(connection: psycopg.Connection[Any], events: int, cpu_s: float) -> str:
    """What the work was like: sums an event, events a transaction, the worker's own processor time an event."""
    row = connection.execute("select (select count(*) from usage_part), (select count(*) from stream_chunk)").fetchone()
    assert row is not None
    return (
        f"{row[0] / events:.2f} sums an event, {events / row[1]:,.0f} events a transaction, "
        f"{cpu_s / events * 1e6:.1f} us of the worker's CPU an event (its start included)"
    )
