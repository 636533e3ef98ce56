"""The stream worker on Apache Kafka and PostgreSQL: what it reads, where it goes on, what ends it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient, NewPartitions
from kafka import KafkaAdminClient, TopicPartition

from producers.broker_access import BrokerAccess
from producers.topic import make_topic
from tests.faults.events import NOW_MS, event, raw
from tests.faults.poison import CORPUS, HARMLESS
from tests.integration.streams_world import StreamsWorld

if TYPE_CHECKING:
    from jangbu.services.postgres import DatabaseUrls, EmbeddedPostgres
    from tests.services.apache_kafka import ApacheKafka

Worlds = Callable[..., StreamsWorld]


@pytest.fixture
def worlds(kafka: ApacheKafka, migrated_database: DatabaseUrls, tmp_path: Path) -> Iterator[Worlds]:
    """Makes worlds; their workers end with the test."""
    made: list[StreamsWorld] = []

    def make(**options: Any) -> StreamsWorld:
        made.append(StreamsWorld(kafka, migrated_database, tmp_path, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()


def usage(event_id: str, **fields: Any) -> dict[str, Any]:
    """An event of this moment."""
    return event(event_id, time=datetime.now(UTC), **fields)


def usages(first: int, end: int) -> list[dict[str, Any]]:
    """Events with ids from `first` to `end`, half-open, that sort as they count."""
    return [usage(f"{number:05d}") for number in range(first, end)]


def test_a_store_that_fails_for_good_ends_the_worker(worlds: Worlds) -> None:
    world = worlds()
    worker = world.worker(sink="tests.faults.sinks:BrokenSink")
    world.send(usages(0, 3))
    code, said = world.wait_for_end(worker)
    assert code == 1
    assert "this sink is broken for good" in said
    assert world.accounts() == (0, 0, 0, 0)


def test_postgres_away_while_partitions_are_assigned(worlds: Worlds, postgres_server: EmbeddedPostgres) -> None:
    world = worlds()
    worker = world.worker(start=False)
    order = worker.order("rebalance", "stop")
    worker.start()
    world.wait("the rebalance", lambda: worker.has_done(order))
    postgres_server.kill()
    worker.signal(signal.SIGCONT)
    time.sleep(1.0)
    postgres_server.start()
    world.send(usages(0, 3))
    world.wait_for_records(3)
    assert worker.exit_code is None


def test_records_that_retention_took_end_the_worker(worlds: Worlds) -> None:
    world = worlds()
    world.send(usages(0, 5))
    worker = world.worker()
    world.wait_for_records(5)
    worker.stop()
    world.send(usages(5, 25))
    delete_before(world, 12)
    again = world.worker()
    code, said = world.wait_for_end(again)
    assert code == 1
    assert "7 records" in said
    assert "partition 0" in said
    assert world.offsets() == {0: 5}
    assert world.accounts()[0] == 5


def test_topic_made_again_counts_from_nothing(worlds: Worlds) -> None:
    world = worlds()
    world.send(usages(0, 10))
    worker = world.worker()
    world.wait_for_records(10)
    worker.stop()
    remake(world)
    world.send(usages(10, 14))
    world.worker()
    world.wait_for_records(14)
    assert world.stored_ids() == [f"{number:05d}" for number in range(14)]
    assert world.laws() == []


def test_topic_made_again_under_a_running_worker(worlds: Worlds) -> None:
    world = worlds()
    world.send(usages(0, 10))
    worker = world.worker()
    world.wait_for_records(10)
    worker.signal(signal.SIGSTOP)
    remake(world)
    world.send(usages(10, 40))  # it reaches further than the old life: the old offset lies within it
    worker.signal(signal.SIGCONT)
    code, said = world.wait_for_end(worker)
    assert code == 1
    assert "made again" in said
    world.worker()
    world.wait_for_records(40)
    assert world.stored_ids() == [f"{number:05d}" for number in range(40)]
    assert world.laws() == []


def test_poison_stops_nothing_and_all_is_accounted_for(worlds: Worlds) -> None:
    world = worlds()
    worker = world.worker()
    values: list[bytes | None] = []
    for place, poison in enumerate(CORPUS):
        values += [HARMLESS[place % len(HARMLESS)], poison.value]
    with world.producer(**{"message.max.bytes": 1_048_576}) as producer:
        for place, value in enumerate(values):
            key = [None, b"", b"\xff\x00", b"k" * 10_000][place % 4]
            producer.produce(world.topic, key=key, value=value, partition=0, timestamp=NOW_MS)
    world.wait_for_records(len(values))
    copies = len(CORPUS) - len(HARMLESS)
    assert world.accounts() == (len(values), len(HARMLESS), copies, len(CORPUS))
    assert worker.exit_code is None
    found = world.ask("select code, field, record_value from quarantine order by kafka_offset")
    assert [row[2] for row in found] == [poison.value for poison in CORPUS]
    assert all(code == poison.code or not poison.code for poison, (code, _, _) in zip(CORPUS, found, strict=True))
    assert world.laws() == []


def test_aborted_records_are_never_counted_and_marks_make_no_gap(worlds: Worlds) -> None:
    world = worlds()
    worker = world.worker()
    with world.producer(**{"transactional.id": world.topic}) as producer:
        producer.init_transactions()
        for round_, commits in enumerate((True, False, False, True, False)):
            producer.begin_transaction()
            for document in usages(round_ * 10, round_ * 10 + 10):
                producer.produce(world.topic, value=raw(document), partition=0)
            producer.flush()
            world.send(usages(1000 + round_, 1001 + round_))  # of another producer, in the midst of it
            (producer.commit_transaction if commits else producer.abort_transaction)()
    wanted = [*range(10), *range(30, 40), *range(1000, 1005)]
    end = 50 + 5 + 5  # records, marks, and what came between
    world.wait("the end, marks included", lambda: world.offsets() == {0: end})
    assert world.stored_ids() == [f"{number:05d}" for number in wanted]
    assert world.accounts() == (len(wanted), len(wanted), 0, 0)
    assert worker.exit_code is None
    assert world.laws() == []


def test_records_of_a_transaction_that_is_open_wait(worlds: Worlds) -> None:
    world = worlds()
    world.send(usages(0, 3))
    world.worker()
    with world.producer(**{"transactional.id": world.topic}) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.produce(world.topic, value=raw(usage("00003")), partition=0)
        producer.flush()
        world.send(usages(4, 6))
        world.wait_for_records(3)
        time.sleep(1.0)
        assert world.stored_ids() == ["00000", "00001", "00002"]
        producer.commit_transaction()
    world.wait_for_records(6)
    assert len(world.stored_ids()) == 6
    assert world.laws() == []


def test_a_first_start_reads_from_the_beginning(worlds: Worlds) -> None:
    world = worlds(partitions=2)
    world.send(usages(0, 4), partition=1)
    world.worker()
    world.wait_for_records(4)
    assert world.offsets() == {0: 0, 1: 4}
    world.send(usages(4, 5), partition=0)
    world.wait_for_records(5)
    assert world.laws() == []


@pytest.mark.parametrize("stored", [0, 3])
def test_sql_says_where_to_read_on_whatever_kafka_was_told(worlds: Worlds, stored: int) -> None:
    """An offset that somebody committed to Kafka is not looked at; SQL's counts, also where it is 0."""
    world = worlds()
    world.send(usages(0, stored))
    if stored:
        worker = world.worker()
        world.wait_for_records(stored)
        worker.stop()
    world.send(usages(stored, 8))
    group = world.worker(start=False).plan.group
    commit_to_kafka(world, group, 6)
    world.worker()
    world.wait_for_records(8)
    assert len(world.stored_ids()) == 8
    assert world.accounts() == (8, 8, 0, 0)
    assert world.laws() == []


def test_partitions_that_are_added_later_are_read(worlds: Worlds) -> None:
    """By the workers that run, soon; a copy may meet another partition than the first did."""
    world = worlds()
    world.worker()
    world.send(usages(0, 4))
    world.wait_for_records(4)
    admin = AdminClient({"bootstrap.servers": world.broker.bootstrap})
    admin.create_partitions([NewPartitions(world.topic, 3)])[world.topic].result()
    world.send(usages(2, 6), partition=1)
    world.send(usages(6, 9), partition=2)
    world.wait_for_records(11)
    assert world.stored_ids() == [f"{number:05d}" for number in range(9)]
    assert world.laws() == []


def test_a_backlog_is_held_back(worlds: Worlds) -> None:
    """However much waits in Kafka, a worker holds a few chunks: those in its queue, in hand, and of the last fetch."""
    world = worlds(partitions=4)
    records = 12_000
    with world.producer() as producer:
        for number in range(records):
            producer.produce(world.topic, value=raw(usage(f"{number:05d}")), partition=number % 4)
    worker = world.worker(sink="tests.faults.sinks:SlowSink")
    world.wait_for_records(records)
    chunks = world.ask("select count(*), max(records) from stream_chunk")[0]
    held_max = int((worker.directory / "held").read_text(encoding="ascii"))
    assert chunks[0] >= 40
    assert held_max <= 12
    assert world.laws() == []


def test_workers_that_come_and_go_in_the_middle_of_a_backlog(worlds: Worlds) -> None:
    """What a rebalance drops in flight is read again, and chunks of an old generation are not stored."""
    world = worlds(partitions=4)
    first = world.worker(sink="tests.faults.sinks:SlowSink")
    with world.producer() as producer:
        for number in range(8_000):
            producer.produce(world.topic, value=raw(usage(f"{number:05d}")), partition=number % 4)
    for sooner in (400, 1_200, 2_400):
        world.wait_for_records(sooner)
        world.worker(sink="tests.faults.sinks:SlowSink")
    world.wait_for_records(4_000)
    assert first.stop() == 0
    world.wait_for_records(8_000)
    assert world.stored_ids() == [f"{number:05d}" for number in range(8_000)]
    assert world.accounts() == (8_000, 8_000, 0, 0)
    assert len(world.ask("select distinct worker from stream_chunk")) >= 3
    assert world.laws() == []


def test_a_worker_frozen_in_its_transaction_does_not_hold_its_partition_for_ever(worlds: Worlds) -> None:
    """PostgreSQL ends its transaction; another goes on; the frozen one wakes up, finds that, and writes nothing."""
    world = worlds()
    frozen = world.worker(sink="tests.faults.sinks:ImpatientSink")
    order = frozen.order("in_transaction", "stop")
    world.send(usages(0, 5))
    world.wait("the transaction", lambda: frozen.has_done(order))
    world.worker()
    world.wait_for_records(5)
    frozen.signal(signal.SIGCONT)
    world.send(usages(5, 9))
    world.wait_for_records(9)
    assert world.ask("select distinct worker from stream_chunk where first_offset = 0") == [("worker-1",)]
    assert frozen.exit_code is None
    assert world.accounts() == (9, 9, 0, 0)
    assert world.laws() == []


def test_a_worker_ends_when_asked_also_while_the_broker_is_away(worlds: Worlds, kafka: ApacheKafka) -> None:
    world = worlds()
    world.send(usages(0, 3))
    worker = world.worker()
    world.wait_for_records(3)
    kafka.kill()
    try:
        time.sleep(2.0)
        assert worker.stop(timeout_s=60.0) == 0
    finally:
        kafka.start()
    world.send(usages(3, 5))
    world.worker()
    world.wait_for_records(5)
    assert world.laws() == []


def commit_to_kafka(world: StreamsWorld, group: str, offset: int) -> None:
    """What a lag tool or an older program may have left in the group."""
    consumer = Consumer({"bootstrap.servers": world.broker.bootstrap, "group.id": group, "enable.auto.commit": False})
    consumer.commit(offsets=[Place(world.topic, 0, offset)], asynchronous=False)
    consumer.close()


def delete_before(world: StreamsWorld, offset: int) -> None:
    """What retention does: the partition's records below an offset are gone."""
    admin = KafkaAdminClient(bootstrap_servers=world.broker.bootstrap)
    admin.delete_records({TopicPartition(world.topic, 0): offset})
    admin.close()


def remake(world: StreamsWorld) -> None:
    """Delete the topic and make it again under its name."""
    admin = KafkaAdminClient(bootstrap_servers=world.broker.bootstrap)
    admin.delete_topics([world.topic])
    world.wait("the topic's end", lambda: world.topic not in admin.list_topics())
    admin.close()
    make_topic(BrokerAccess(world.broker.bootstrap), world.topic, 1, replicas=1)
