"""Two workers, two partitions, crashes at every named point, facts that change in between: whatever the order, the
ledger holds each accepted event once and the sums are those of the events.

The log is a list for each partition; workers fetch, store and die as the transport lets them.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from streams.chunk import Chunk
from streams.sink import Behind, Gap, StaleFacts, Stored
from tests.faults.events import NOW, event, record
from tests.faults.workbench import LOG, Workbench

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from jangbu.services.postgres import DatabaseUrls
    from streams.prepare import Prepared

PARTITIONS = 2
IDS = 12
HELD_MAX = 3
_numbers = count()


class Died(RuntimeError):
    """The worker's process is gone."""


class Hands:
    """One worker: what it has fetched and not stored, and where it reads on."""

    def __init__(self, urls: DatabaseUrls, log_name: str, name: str) -> None:
        log = replace(LOG, topic_id=log_name, partitions=PARTITIONS)
        self.bench = Workbench(urls, log=log, worker=name, observe=self._observe)
        self.held: list[Prepared] = []
        self.position: dict[int, int] = {}
        self._fails: tuple[str, Exception] | None = None

    def fail_at(self, point: str, error: Exception) -> None:
        """At the next passing."""
        self._fails = (point, error)

    def die(self) -> None:
        """Everything in memory is gone."""
        self.held.clear()
        self.position.clear()
        self.bench.sink.close()
        self._fails = None

    def _observe(self, point: str) -> None:
        if self._fails is not None and self._fails[0] == point:
            error, self._fails = self._fails[1], None
            raise error


class Interleavings(RuleBasedStateMachine):
    """What may happen, in any order."""

    def __init__(self, urls: DatabaseUrls) -> None:
        super().__init__()
        self.name = f"run-{next(_numbers)}"
        self.workers = [Hands(urls, self.name, f"w-{number}") for number in range(2)]
        self.bench = self.workers[0].bench
        self.logs: list[list[Any]] = [[] for _ in range(PARTITIONS)]

    places = st.integers(0, PARTITIONS - 1)
    hands = st.integers(0, 1)

    @rule(
        place=places,
        number=st.integers(0, IDS - 1),
        content=st.integers(0, 1),
        minutes=st.sampled_from([0, 0, 0, 9, 300]),
    )
    def send(self, place: int, number: int, content: int, minutes: int) -> None:
        units = {"input_tokens": 100_000 * (number + content), "dragons": number, "requests": 1}
        moment: datetime = NOW.replace(hour=3, minute=number * 4 + minutes % 60) + (minutes // 60) * (
            NOW - NOW.replace(hour=11)
        )
        document = event(f"e-{number}", source=self.name, user=f"u-{number % 3}", time=moment, units=units)
        self.logs[place].append(document)

    @rule(place=places)
    def send_poison(self, place: int) -> None:
        self.logs[place].append(b"poison")

    @rule(who=hands, place=places, size=st.integers(1, 6))
    def fetch(self, who: int, place: int, size: int) -> None:
        worker = self.workers[who]
        if len(worker.held) >= HELD_MAX:
            return
        begin = worker.position.get(place)
        if begin is None:
            begin = self.stored_offset(place)
        values = self.logs[place][begin : begin + size]
        if values:
            records = [record(begin + number, value) for number, value in enumerate(values)]
            chunk = Chunk(place, begin, begin + len(values), records, 1)
            worker.held.append(worker.bench.prepared(chunk))
            worker.position[place] = chunk.next_offset

    @rule(who=hands)
    def drop_what_is_in_flight(self, who: int) -> None:
        """A rebalance does; the worker does not know how far it came, and reads on where it stood."""
        self.workers[who].held.clear()

    @rule(who=hands)
    def seek(self, who: int) -> None:
        self.workers[who].position.clear()

    @rule(who=hands)
    def store(self, who: int) -> None:
        self.bring_on(self.workers[who])

    @rule(who=hands, point=st.sampled_from(["after_commit", "before_sql", "in_transaction"]))
    def die(self, who: int, point: str) -> None:
        worker = self.workers[who]
        worker.fail_at(point, Died())
        self.expect(Died, lambda: self.bring_on(worker))
        worker.die()

    @rule(who=hands, point=st.sampled_from(["after_commit", "before_sql", "in_transaction"]))
    def lose_the_connection(self, who: int, point: str) -> None:
        """The worker lives, and tries again with what it has in hand."""
        worker = self.workers[who]
        worker.fail_at(point, psycopg.OperationalError("lost"))
        self.expect(psycopg.OperationalError, lambda: self.bring_on(worker))
        worker.fail_at("", Died())
        self.bring_on(worker)

    @rule(tokens=st.integers(1, 12))
    def add_threshold(self, tokens: int) -> None:
        self.bench.tell("select add_prompt_threshold(%s)", tokens * 100_000)

    @rule(number=st.integers(0, 2), department=st.sampled_from(["D1", "D2"]), day=st.integers(1, 20))
    def change_the_roster(self, number: int, department: str, day: int) -> None:
        with psycopg.connect(self.bench.urls.billing) as connection:
            connection.execute(
                'insert into roster ("user", department, valid_from) values (%s, %s, make_date(2026, 10, %s))',
                (f"u-{number}", department, day),
            )
            connection.execute("select * from reattribute('2026-10-01', '2026-11-01')")

    @rule()
    def take_out_copies(self) -> None:
        self.bench.tell("select take_out_copies()")

    @rule(who=hands)
    def roll_up(self, who: int) -> None:
        """By a worker that has nothing to read."""
        with self.workers[who].bench.connect() as connection:
            connection.execute("select roll_up_usage()")

    @invariant()
    def the_laws_hold(self) -> None:
        assert [law for law in self.bench.laws() if "copies of one source" not in law] == []

    def teardown(self) -> None:
        try:
            self.read_to_the_end()
        finally:
            for worker in self.workers:
                worker.bench.close()

    def read_to_the_end(self) -> None:
        """A last worker reads what is left; then the ledger is held against the log."""
        last = self.workers[0]
        last.die()
        for place, log in enumerate(self.logs):
            while self.stored_offset(place) < len(log):
                self.fetch(0, place, 5)
                self.bring_on(last)
        self.bench.tell("select take_out_copies()")
        sent = {document["id"] for log in self.logs for document in log if document != b"poison"}
        stored = self.bench.ask("select event_id from usage_event_named where source = %s order by 1", self.name)
        assert [row[0] for row in stored] == sorted(sent)
        poison = sum(document == b"poison" for log in self.logs for document in log)
        found = self.bench.ask(
            "select count(*) from quarantine where code = 'malformed' and log_id = %s", self.bench.log_id
        )
        assert found == [(poison,)]
        assert self.bench.laws() == []

    def bring_on(self, worker: Hands) -> None:
        """What the agent does with the chunk in hand, one step."""
        if not worker.held:
            return
        prepared = worker.held[0]
        outcome = worker.bench.sink.store(prepared)
        worker.held.pop(0)
        if isinstance(outcome, Stored):
            assert outcome.next_offset == prepared.chunk.next_offset
        elif isinstance(outcome, Gap):
            worker.position[prepared.chunk.partition] = outcome.next_offset
        else:
            assert isinstance(outcome, Behind | StaleFacts)
            next_offset = outcome.next_offset if isinstance(outcome, Behind) else prepared.chunk.first_offset
            left = prepared.chunk.from_offset(next_offset)
            if left is not None:
                worker.held.insert(0, worker.bench.prepared(left))

    def stored_offset(self, place: int) -> int:
        query = "select next_offset from stream_offset where log_id = %s and partition = %s"
        return int(self.bench.ask(query, self.bench.log_id, place)[0][0])

    @staticmethod
    def expect(error: type[Exception], act: Callable[[], None]) -> None:
        """It may also not come to the point: nothing in hand, a chunk that is not ours."""
        with contextlib.suppress(error):
            act()


@pytest.mark.timeout(600)
def test_whatever_the_order_each_event_is_counted_once(migrated_database: DatabaseUrls) -> None:
    run_state_machine_as_test(
        lambda: Interleavings(migrated_database),
        settings=settings(deadline=None, max_examples=8, stateful_step_count=40),
    )
