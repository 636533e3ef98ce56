"""The stream worker on Apache Kafka and PostgreSQL: what it reads, where it goes on, what ends it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaAdminClient, TopicPartition

from producers.topic import make_topic
from tests.faults.events import event
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
    make_topic(world.broker.bootstrap, world.topic, 1, replicas=1)
