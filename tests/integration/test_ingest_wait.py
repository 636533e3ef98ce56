"""`jangbu wait --caught-up`: 0 only when SQL has what was accepted, never because nothing answered."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
from kafka import KafkaProducer

from producers.broker_access import BrokerAccess
from producers.outbox import Accepted, Outbox
from producers.topic import describe_log, reach
from tests.integration.ingest_world import (
    World,
    event_line,
    fixture_kafka_world,
    fixture_sockets_collected,
    fixture_world,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
__all__ = ["fixture_kafka_world", "fixture_sockets_collected", "fixture_world"]


@contextmanager
def books(world: World) -> Iterator[psycopg.Connection]:
    """The offsets as a worker writes them; the worker itself has tests of its own."""
    assert world.database_url is not None
    assert world.bootstrap is not None
    log = describe_log(BrokerAccess(world.bootstrap), world.topic)
    with psycopg.connect(world.database_url, autocommit=True) as connection:
        connection.execute(
            "insert into topic_log (cluster_id, topic, topic_id) values (%s, %s, %s) on conflict do nothing",
            (log.cluster_id, log.topic, log.topic_id),
        )
        yield connection


def store(connection: psycopg.Connection, offsets: dict[int, int]) -> None:
    for partition, offset in offsets.items():
        connection.execute(
            "insert into stream_offset (log_id, partition, next_offset)"
            " select max(id), %s, %s from topic_log on conflict (log_id, partition)"
            " do update set next_offset = excluded.next_offset",
            (partition, offset),
        )


@pytest.fixture
def waiting_world(kafka_world: World, migrated_database: DatabaseUrls) -> World:
    kafka_world.database_url = migrated_database.owner
    return kafka_world


def ends_of(world: World) -> dict[int, int]:
    assert world.bootstrap is not None
    broker = BrokerAccess(world.bootstrap)
    places = reach(broker, describe_log(broker, world.topic))
    return {partition: place.end for partition, place in places.items()}


def test_wait_returns_when_sql_has_everything(waiting_world: World) -> None:
    waiting_world.ingest(waiting_world.file("a", b"".join(map(event_line, range(200)))), "--format", "usage")
    code, out, err = waiting_world.run("wait", "--caught-up", "--timeout", "2", "--json")
    assert code == 6, err
    assert json.loads(out)["caught_up"] is False
    ends = ends_of(waiting_world)
    assert sum(ends.values()) == 200
    with books(waiting_world) as connection:
        store(connection, {**ends, 0: ends[0] - 1})
        assert waiting_world.run("wait", "--caught-up", "--timeout", "3")[0] == 6, "one record is missing"
        store(connection, ends)
        code, out, err = waiting_world.run("wait", "--caught-up", "--timeout", "20", "--json")
        assert code == 0, err
        assert json.loads(out)["caught_up"] is True
        # Offsets of another life of the topic say nothing about this one.
        connection.execute("update topic_log set topic_id = 'another'")
        assert waiting_world.run("wait", "--caught-up", "--timeout", "2")[0] == 6


def test_wait_does_not_pass_over_the_outbox(waiting_world: World) -> None:
    with Outbox(waiting_world.outbox_path) as outbox:
        outbox.append([Accepted(b"s/1", event_line(1), 1_790_000_000_000)])
    code, _out, err = waiting_world.run("wait", "--caught-up", "--timeout", "2")
    assert code == 6
    assert "not published" in err
    assert "jangbu publisher" in err


def test_wait_ends_while_a_worker_catches_up(waiting_world: World) -> None:
    waiting_world.ingest(waiting_world.file("a", b"".join(map(event_line, range(50)))), "--format", "usage")
    process = waiting_world.start("wait", "--caught-up", "--timeout", "60")
    time.sleep(2)
    assert process.poll() is None
    with books(waiting_world) as connection:
        store(connection, ends_of(waiting_world))
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err


def test_wait_passes_over_a_tail_that_no_reader_sees(waiting_world: World) -> None:
    producer = KafkaProducer(
        bootstrap_servers=waiting_world.bootstrap, transactional_id=f"tx-{waiting_world.topic}", acks="all"
    )
    producer.init_transactions()
    for commit in (True, False):
        producer.begin_transaction()
        producer.send(waiting_world.topic, value=event_line(1), key=b"k", partition=0)
        producer.flush()
        if commit:
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    producer.close()
    until(lambda: ends_of(waiting_world)[0] == 4)
    with books(waiting_world) as connection:
        store(connection, {0: 0, 1: 0, 2: 0, 3: 0})
        assert waiting_world.run("wait", "--caught-up", "--timeout", "4")[0] == 6, "the committed record is not stored"
        store(connection, {0: 1})
        code, _out, err = waiting_world.run("wait", "--caught-up", "--timeout", "20")
        assert code == 0, err


def test_wait_is_never_done_because_nothing_answers(waiting_world: World) -> None:
    right, waiting_world.bootstrap = waiting_world.bootstrap, "127.0.0.1:9"
    code, _out, err = waiting_world.run("wait", "--caught-up", "--timeout", "3")
    assert code == 3
    assert "127.0.0.1:9" in err
    waiting_world.bootstrap = right
    waiting_world.topic = "there-is-no-such-topic"
    code, _out, err = waiting_world.run("wait", "--caught-up", "--timeout", "3")
    assert code == 3
    assert "jangbu migrate" in err


def test_wait_without_any_broker_says_so(world: World) -> None:
    code, _out, err = world.run("wait", "--caught-up", "--timeout", "3")
    assert code == 3
    assert "jangbu up" in err
