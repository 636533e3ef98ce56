"""One chunk, one transaction: what it stores, what it refuses, and what a failure at any step leaves behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors

from producers.contract import NAME_BYTES_MAX
from streams.chunk import Chunk
from streams.sink import Behind, Gap, Sink, StaleFacts, Stored
from tests.faults.events import chunk, event
from tests.faults.poison import CORPUS, HARMLESS
from tests.faults.workbench import LOG, Workbench

if TYPE_CHECKING:
    from jangbu.services.postgres import DatabaseUrls
    from streams.prepare import Prepared
    from streams.sink import Outcome


@pytest.fixture
def bench(migrated_database: DatabaseUrls) -> Iterator[Workbench]:
    with Workbench(migrated_database) as made:
        yield made


def ids(bench: Workbench) -> list[str]:
    return [row[0] for row in bench.ask("select event_id from usage_event order by event_id")]


def chunk_rows(bench: Workbench) -> list[tuple[Any, ...]]:
    return bench.ask(
        "select partition, first_offset, next_offset, records, stored, duplicates, quarantined, worker"
        " from stream_chunk order by partition, first_offset"
    )


def next_offset(bench: Workbench, partition: int = 0) -> int:
    query = "select next_offset from stream_offset where log_id = %s and partition = %s"
    return int(bench.ask(query, bench.log_id, partition)[0][0])


def events_summed(bench: Workbench) -> int:
    return int(bench.ask("select coalesce(sum(events), 0) from usage_part")[0][0])


class At:
    """Observes a sink: at the chosen point does what a test wants, once."""

    def __init__(self, point: str, error: Exception) -> None:
        self.point = point
        self.error: Exception | None = error

    def __call__(self, point: str) -> None:
        if point == self.point and self.error is not None:
            error, self.error = self.error, None
            raise error


def test_a_chunk_is_stored_with_its_sums_and_its_row(bench: Workbench) -> None:
    assert bench.store(chunk([event("a"), event("b"), event("a")])) == Stored(3, 2, 1, 0)
    assert ids(bench) == ["a", "b"]
    assert chunk_rows(bench) == [(0, 0, 3, 3, 2, 1, 0, "bench")]
    assert next_offset(bench) == 3
    assert bench.laws() == []


def test_a_stretch_without_records_moves_the_offset(bench: Workbench) -> None:
    """Transaction markers and aborted records take offsets and hold nothing."""
    assert bench.store(Chunk(0, 0, 4, [], 1)) == Stored(4, 0, 0, 0)
    assert chunk_rows(bench) == [(0, 0, 4, 0, 0, 0, 0, "bench")]
    assert bench.laws() == []


def test_poison_is_quarantined_with_field_and_value_and_all_is_accounted_for(bench: Workbench) -> None:
    values: list[bytes | None] = [poison.value for poison in CORPUS] + HARMLESS + HARMLESS[:3]
    assert bench.store(chunk(values)) == Stored(len(values), len(HARMLESS), 3, len(CORPUS))
    found = bench.ask("select kafka_offset, code, field, value, reason, record_value, state from quarantine order by 1")
    assert [row[0] for row in found] == list(range(len(CORPUS)))
    for poison, (_, code, field, value, reason, record_value, state) in zip(CORPUS, found, strict=True):
        assert code == poison.code or not poison.code, poison.name
        assert field == poison.field or not poison.field, poison.name
        assert reason, poison.name
        assert value is not None, poison.name
        assert record_value == poison.value, poison.name
        assert state == "open"
    assert bench.laws() == []


def test_a_record_timestamp_that_no_calendar_holds_is_quarantined(bench: Workbench) -> None:
    for offset, timestamp_ms in enumerate((-1, 2**62, -(2**62))):
        record = chunk([event("a")]).records[0]._replace(offset=offset, timestamp_ms=timestamp_ms)
        assert bench.store(Chunk(0, offset, offset + 1, [record], 1)) == Stored(offset + 1, 0, 0, 1)
    assert bench.laws() == []


def test_of_two_workers_with_one_chunk_one_stores_it(bench: Workbench, migrated_database: DatabaseUrls) -> None:
    """Compare and swap fences a zombie: it finds the offset moved, and writes nothing."""
    with Workbench(migrated_database, worker="zombie") as zombie:
        held_by_zombie = zombie.prepared(chunk([event("a"), event("b")]))
        assert bench.store(chunk([event("a"), event("b"), event("c")])) == Stored(3, 3, 0, 0)
        assert zombie.sink.store(held_by_zombie) == Behind(3)
    assert [row[-1] for row in chunk_rows(bench)] == ["bench"]
    assert events_summed(bench) == 3
    assert bench.laws() == []


def test_two_workers_at_the_same_moment(bench: Workbench, migrated_database: DatabaseUrls) -> None:
    """The second waits for the first's row lock, then sees the offset that it committed."""
    waiting, go_on = threading.Event(), threading.Event()

    def observe(point: str) -> None:
        if point == "in_transaction":
            waiting.set()
            assert go_on.wait(60)

    outcomes: dict[str, Outcome] = {}
    with Workbench(migrated_database, worker="first", observe=observe) as first:
        prepared = first.prepared(chunk([event("a")]))
        storing = threading.Thread(target=lambda: outcomes.update(first=first.sink.store(prepared)))
        storing.start()
        assert waiting.wait(60)
        also = bench.prepared(chunk([event("a")]))
        second = threading.Thread(target=lambda: outcomes.update(second=bench.sink.store(also)))
        second.start()
        second.join(0.5)
        assert second.is_alive(), "it must not pass before the first is through"
        go_on.set()
        storing.join(60)
        second.join(60)
    assert outcomes == {"first": Stored(1, 1, 0, 0), "second": Behind(1)}
    assert bench.laws() == []


def test_what_is_left_of_a_chunk_that_is_partly_stored(bench: Workbench) -> None:
    bench.store(chunk([event("a"), event("b")]))
    whole = chunk([event("a"), event("b"), event("c")])
    outcome = bench.store(whole)
    assert outcome == Behind(2)
    rest = whole.from_offset(2)
    assert rest is not None
    assert bench.store(rest) == Stored(3, 1, 0, 0)
    assert ids(bench) == ["a", "b", "c"]
    assert bench.laws() == []


def test_a_gap_is_refused_and_writes_nothing(bench: Workbench) -> None:
    bench.store(chunk([event("a")]))
    assert bench.store(chunk([event("c")], first_offset=2)) == Gap(1)
    assert ids(bench) == ["a"]
    assert next_offset(bench) == 1
    assert bench.laws() == []


def test_two_lives_of_a_topic_have_offsets_of_their_own(bench: Workbench, migrated_database: DatabaseUrls) -> None:
    bench.store(chunk([event("a"), event("b")]))
    with Workbench(migrated_database, log=replace(LOG, topic_id="topic-2")) as other:
        assert other.log_id != bench.log_id
        assert other.store(chunk([event("b"), event("c")])) == Stored(2, 1, 1, 0)
    assert ids(bench) == ["a", "b", "c"]
    assert bench.laws() == []


@pytest.mark.parametrize("committed", [True, False], ids=["after the commit", "before the commit"])
def test_a_lost_commit_reply(bench: Workbench, migrated_database: DatabaseUrls, committed: bool) -> None:
    """Whether it happened is asked of the offset row; nothing is done twice, nothing is left out."""
    point = "after_commit" if committed else "in_transaction"
    bench.store(chunk([event("a")]))
    with Workbench(migrated_database, observe=At(point, psycopg.OperationalError("the reply is lost"))) as worker:
        prepared = worker.prepared(chunk([event("a"), event("b"), event("b")], first_offset=1))
        with pytest.raises(psycopg.OperationalError):
            worker.sink.store(prepared)
        assert worker.sink.store(prepared) == (Behind(4) if committed else Stored(4, 1, 2, 0))
    assert ids(bench) == ["a", "b"]
    assert bench.laws() == []


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_storing_again_after_a_failure_leaves_the_same_sums(
    bench: Workbench, migrated_database: DatabaseUrls, failures: int
) -> None:
    """The sums of what is left out are taken off in every try from the whole, never from what the last try left."""
    bench.store(chunk([event("a"), event("b", user="u-2")]))
    with Workbench(migrated_database) as worker:
        again = [event("a"), event("c"), event("b", user="u-2"), event("d", user="u-2")]
        prepared = worker.prepared(chunk(again, first_offset=2))
        for _ in range(failures):
            worker.sink._observe = At("in_transaction", psycopg.OperationalError("away"))
            with pytest.raises(psycopg.OperationalError):
                worker.sink.store(prepared)
        assert worker.sink.store(prepared) == Stored(6, 2, 2, 0)
    assert events_summed(bench) == 4
    assert bench.laws() == []


@pytest.mark.parametrize("point", ["before_sql", "in_transaction"])
def test_a_crash_before_the_commit_leaves_nothing(
    bench: Workbench, migrated_database: DatabaseUrls, point: str
) -> None:
    with Workbench(migrated_database, observe=At(point, RuntimeError("crashed"))) as crashing:
        prepared = crashing.prepared(chunk([event("a"), b"poison"]))
        with pytest.raises(RuntimeError, match="crashed"):
            crashing.sink.store(prepared)
    assert (ids(bench), chunk_rows(bench), next_offset(bench)) == ([], [], 0)
    assert bench.ask("select count(*) from quarantine") == [(0,)]
    assert bench.store(chunk([event("a"), b"poison"])) == Stored(2, 1, 0, 1)
    assert bench.laws() == []


def test_a_crash_after_the_commit_leaves_all_of_it(bench: Workbench, migrated_database: DatabaseUrls) -> None:
    with Workbench(migrated_database, observe=At("after_commit", RuntimeError("crashed"))) as crashing:
        prepared = crashing.prepared(chunk([event("a")]))
        with pytest.raises(RuntimeError, match="crashed"):
            crashing.sink.store(prepared)
    assert bench.store(chunk([event("a")])) == Behind(1)
    assert ids(bench) == ["a"]
    assert bench.laws() == []


def test_a_copy_that_meets_another_partitions_worker_at_this_moment(
    bench: Workbench, migrated_database: DatabaseUrls
) -> None:
    """The unique index refuses it after the other's commit: begin again, look again, count a duplicate."""
    waiting, go_on = threading.Event(), threading.Event()

    def observe(point: str) -> None:
        if point == "in_transaction":
            waiting.set()
            assert go_on.wait(60)

    outcomes: dict[str, Outcome] = {}
    with Workbench(migrated_database, observe=observe) as first:
        prepared = first.prepared(chunk([event("a"), event("b")]))
        storing = threading.Thread(target=lambda: outcomes.update(first=first.sink.store(prepared)))
        storing.start()
        assert waiting.wait(60)
        also = bench.prepared(chunk([event("b"), event("c"), event("a")], partition=1))
        second = threading.Thread(target=lambda: outcomes.update(second=bench.sink.store(also)))
        second.start()
        second.join(0.5)
        assert second.is_alive(), "it must wait for what the first does with the same identity"
        go_on.set()
        storing.join(60)
        second.join(60)
    assert outcomes == {"first": Stored(2, 2, 0, 0), "second": Stored(3, 1, 2, 0)}
    assert ids(bench) == ["a", "b", "c"]
    assert bench.laws() == []


def test_an_index_that_refuses_for_ever_is_said(bench: Workbench) -> None:
    class Refusing(Sink):
        tries = 0

        def _once(self, prepared: Prepared) -> Outcome:
            type(self).tries += 1
            raise errors.UniqueViolation

    sink = Refusing(bench.connect, bench.log_id, "w")
    with pytest.raises(RuntimeError, match=r"partition 0 at 0: .* run `jangbu audit`"):
        sink.store(bench.prepared(chunk([event("a")])))
    assert 1 < Refusing.tries < 100


def test_a_lost_connection_is_made_again(bench: Workbench) -> None:
    bench.store(chunk([event("a")]))
    prepared = bench.prepared(chunk([event("a"), event("b")], first_offset=1))
    assert bench.sink._connection is not None
    with bench.connect() as killer:
        killer.execute("select pg_terminate_backend(%s)", (bench.sink._connection.info.backend_pid,))
    with pytest.raises(psycopg.OperationalError):
        bench.sink.store(prepared)
    assert bench.sink.store(prepared) == Stored(3, 1, 1, 0)
    assert bench.laws() == []


def test_a_roster_that_changes_between_decoding_and_storing(bench: Workbench) -> None:
    """The chunk is decoded again with the new roster; nothing is booked on the old department."""
    prepared = bench.prepared(chunk([event("a")]))
    bench.tell("""insert into roster ("user", department, valid_from) values ('u-1', 'D9', '2026-01-01')""")
    bench.tell("update reference_version set version = version + 1")
    assert bench.sink.store(prepared) == StaleFacts()
    assert (ids(bench), chunk_rows(bench), next_offset(bench)) == ([], [], 0)
    assert bench.store(chunk([event("a")])) == Stored(1, 1, 0, 0)
    assert bench.ask("select department, attributed_by from usage_event_named") == [("D9", "user")]


def test_a_change_of_facts_waits_for_the_chunk_in_its_transaction(
    bench: Workbench, migrated_database: DatabaseUrls
) -> None:
    """The version is locked FOR SHARE: a threshold that comes meanwhile finds the chunk's events and moves them."""
    waiting, go_on = threading.Event(), threading.Event()

    def observe(point: str) -> None:
        if point == "in_transaction":
            waiting.set()
            assert go_on.wait(60)

    with Workbench(migrated_database, observe=observe) as first:
        prepared = first.prepared(chunk([event("a", units={"input_tokens": 300_000})]))
        storing = threading.Thread(target=lambda: first.sink.store(prepared))
        storing.start()
        assert waiting.wait(60)
        changing = threading.Thread(target=lambda: bench.tell("select add_prompt_threshold(200000)"))
        changing.start()
        changing.join(0.5)
        assert changing.is_alive()
        go_on.set()
        storing.join(60)
        changing.join(60)
    assert bench.ask("select band, sum(events) from usage_part group by band having sum(events) <> 0") == [(200_000, 1)]
    assert bench.laws() == []


def test_numbers_of_routes_and_payers_are_found_again_whatever_is_told(bench: Workbench) -> None:
    told = [
        event(f"{number}", user=user, department=department, key=key, account=account, region=region)
        for number, (user, department, key, account, region) in enumerate(
            (user, department, key, account, region)
            for user in ("u", None)
            for department in ("d", None)
            for key in ("k", None)
            for account in ("a", None)
            for region in ("r", None)
        )
    ]
    bench.store(chunk(told))
    before = bench.ask("select (select max(id) from route), (select max(id) from payer), count(*) from route")
    with Workbench(bench.urls, worker="new") as other:
        other.dictionary.number([])
        other.store(chunk([document | {"id": document["id"] + "-again"} for document in told], first_offset=32))
    after = bench.ask("select (select max(id) from route), (select max(id) from payer), count(*) from route")
    assert before[0][2] == after[0][2] == 4
    assert bench.ask("select count(*) from payer") == [(8,)]
    rows = bench.ask("""select "user", department, key, account, region, count(*) from usage_event_named
                        group by 1, 2, 3, 4, 5""")
    assert len(rows) == 32
    assert {row[-1] for row in rows} == {2}
    assert bench.laws() == []


def test_the_longest_names_fit_into_their_index(bench: Workbench) -> None:
    """Text that no compression makes smaller, as long as the contract lets it be."""
    choose = Random(7)

    def name() -> str:
        return "".join(chr(choose.randrange(0x20000, 0x2A6D0)) for _ in range(NAME_BYTES_MAX // 4))

    fields = {field: name() for field in ("model", "provider", "account", "operation", "region", "department", "key")}
    assert bench.store(chunk([event("a", user=name(), source=name(), **fields)])) == Stored(1, 1, 0, 0)
    assert bench.laws() == []
