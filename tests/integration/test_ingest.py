"""`jangbu ingest` and the publisher as their users run them, on Apache Kafka and the embedded broker."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import zstandard
from kafka import KafkaAdminClient

from jangbu.services.broker import EmbeddedBroker
from producers.broker_access import BrokerAccess
from producers.outbox import Accepted, LogId, Outbox
from producers.publisher import Publisher
from producers.topic import describe_log, make_topic, reach
from tests.integration.ingest_world import (
    START_S,
    World,
    event_line,
    fixture_kafka_world,
    fixture_sockets_collected,
    fixture_world,
    until,
)

if TYPE_CHECKING:
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls
    from tests.services.apache_kafka import ApacheKafka

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
__all__ = ["fixture_kafka_world", "fixture_sockets_collected", "fixture_world"]


def test_lines_become_records(kafka_world: World) -> None:
    before_ms = time.time_ns() // 1_000_000
    good = [event_line(n) for n in range(300)]
    path = kafka_world.file("a.ndjson", b"".join([*good[:100], b"{oops\n", *good[100:], b'{"id":1}\n']))
    report = kafka_world.ingest(path, "--format", "usage")
    assert (report["accepted"], report["rejected"]) == (300, 2)
    assert [rejection["line"] for rejection in report["rejections"]] == [101, 302]
    assert all(rejection["reason"] for rejection in report["rejections"])
    records = kafka_world.records(300)
    assert Counter(record.key for record in records) == Counter(b"gateway-1/id-%d" % n for n in range(300))
    for record in records:
        assert json.loads(record.value)["id"] == record.key.partition(b"/")[2].decode()
        assert before_ms <= record.timestamp <= time.time_ns() // 1_000_000
    with Outbox(kafka_world.outbox_path) as outbox:
        assert outbox.held_count() == 0


def test_refused_lines_are_written_down(world: World) -> None:
    path = world.file("bad.ndjson", event_line(1) + b"{oops\n\n\xff\x00\n")
    rejects = world.directory / "rejects.ndjson"
    report = world.ingest(path, "--format", "usage", "--rejects", str(rejects))
    assert report["rejects"] == str(rejects)
    written = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(line["line"], line["raw"]) for line in written] == [(2, "{oops"), (4, "\\xff\x00")]
    assert [line["reason"] for line in written] == [rejection["reason"] for rejection in report["rejections"]]
    assert rejects.stat().st_mode & 0o777 == 0o600
    default = world.ingest(path, "--format", "usage")["rejects"]
    assert default.startswith(str(world.directory / "data" / "rejects"))


def test_compressed_files_several_files_and_standard_input(world: World) -> None:
    files = [
        world.file("a.ndjson.gz", gzip.compress(event_line(1) + event_line(2))),
        world.file("b.zst", zstandard.ZstdCompressor().compress(event_line(3) + b"x\n")),
        world.file("c", event_line(4).rstrip()),
    ]
    report = world.ingest(*files, "-", "--format", "usage", stdin=gzip.compress(event_line(5)))
    assert (report["accepted"], report["rejected"]) == (5, 1)
    assert [(rejection["line"], rejection["file"]) for rejection in report["rejections"]] == [(2, files[1])]
    with Outbox(world.outbox_path) as outbox:
        assert [row.key for row in outbox.read_pending()] == [b"gateway-1/id-%d" % n for n in (1, 2, 3, 4, 5)]


def test_standard_input_is_durable_while_it_pauses(world: World) -> None:
    process = world.start("ingest", "-", "--format", "usage", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(event_line(1) + event_line(2)[:30])
    process.stdin.flush()
    deadline = time.monotonic() + START_S
    while count_of(world) != 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.stdin.write(event_line(2)[30:])
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert b"2 accepted" in out


def count_of(world: World) -> int:
    """Rows in the outbox, by a connection of its own; 0 before there is one."""
    if not world.outbox_path.exists():
        return 0
    sql = sqlite3.connect(world.outbox_path, timeout=10)
    try:
        return int(sql.execute("select count(*) from event").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        sql.close()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["absent.ndjson", "--format", "usage"], 4, "absent.ndjson"),
        (["a", "--format", "litellm"], 2, "--source"),
        (["a", "--format", "nonsense"], 2, "nonsense"),
        (["--format", "usage"], 2, "FILE"),
        ([".", "--format", "usage"], 2, "directory"),
        (["cut.gz", "--format", "usage"], 3, "cut.gz breaks off after line"),
        (["a", "--format", "usage", "--rejects", "/proc/nowhere/r"], 3, "/proc/nowhere/r"),
    ],
)
def test_wrong_calls_say_what_to_do(world: World, arguments: list[str], code: int, said: str) -> None:
    world.file("a", event_line(1))
    lines = b"".join(event_line(n) + os.urandom(40).hex().encode() for n in range(500))
    world.file("cut.gz", gzip.compress(lines)[:-200])
    found, _out, err = world.run("ingest", *arguments)
    assert found == code, err
    assert said in err
    assert "Traceback" not in err


def test_what_stood_before_a_broken_end_is_accepted_and_reported(world: World) -> None:
    whole = b"".join(event_line(n) for n in range(5000))
    path = world.file("cut.zst", zstandard.ZstdCompressor().compress(whole)[:-300])
    code, out, err = world.run("ingest", path, "--format", "usage", "--json")
    assert code == 3
    assert 0 < json.loads(out)["accepted"] < 5000
    assert count_of(world) == json.loads(out)["accepted"]
    assert "breaks off" in err


def test_a_damaged_outbox_is_named(world: World) -> None:
    world.outbox_path.parent.mkdir(parents=True)
    world.outbox_path.write_bytes(b"no database at all" * 1000)
    code, out, err = world.run("ingest", world.file("a", event_line(1)), "--format", "usage", "--json")
    assert (code, out) == (3, "")
    assert "is damaged" in err


def test_killed_in_mid_file_nothing_is_lost_or_doubled(kafka_world: World) -> None:
    """SIGKILL after rows by seed, then a run to the end. Rows ever made in the outbox = lines: none came twice."""
    seed = random.Random(20261122)
    total = 40_000
    content = b"".join(event_line(n) if n % 1000 else b"bad line %d\n" % n for n in range(1, total + 1))
    path = kafka_world.file("big.ndjson.gz", gzip.compress(content, 1))
    kills = 0
    while True:
        process = kafka_world.start("ingest", path, "--format", "usage", "--json")
        if kills < 6:
            enough = last_row(kafka_world) + seed.randint(1, 3000)
            deadline = time.monotonic() + START_S
            while last_row(kafka_world) < enough and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
        out, err = process.communicate(timeout=120)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, err
        kills += 1
    assert kills >= 3, "the file is too small for this machine: nothing was tried"
    report = json.loads(out)
    assert (report["accepted"], report["rejected"]) == (total - 40, 40)
    assert [rejection["line"] for rejection in report["rejections"]] == list(range(1000, total + 1, 1000))
    assert last_row(kafka_world) == total - 40
    records = kafka_world.records(total - 40)
    assert {record.key for record in records} == {b"gateway-1/id-%d" % n for n in range(1, total + 1) if n % 1000}
    with Outbox(kafka_world.outbox_path) as outbox:
        assert outbox.held_count() == 0


def last_row(world: World) -> int:
    if not world.outbox_path.exists():
        return 0
    sql = sqlite3.connect(world.outbox_path, timeout=10)
    try:
        row = sql.execute("select seq from sqlite_sequence where name = 'event'").fetchone()
        return int(row[0]) if row else 0
    except sqlite3.OperationalError:
        return 0
    finally:
        sql.close()


def test_without_kafka_accepted_events_are_safe_and_go_on_later(kafka_world: World) -> None:
    right, kafka_world.bootstrap = kafka_world.bootstrap, "127.0.0.1:9"
    path = kafka_world.file("a", event_line(1) + event_line(2))
    code, out, err = kafka_world.run("ingest", path, "--format", "usage", "--json", "--patience", "1")
    assert code == 3
    assert json.loads(out)["accepted"] == 2
    assert "safe" in err
    assert count_of(kafka_world) == 2
    kafka_world.bootstrap = right
    kafka_world.ingest(kafka_world.file("b", event_line(3)), "--format", "usage")
    assert {record.key for record in kafka_world.records(3)} == {b"gateway-1/id-%d" % n for n in (1, 2, 3)}


def test_a_running_publisher_is_left_to_publish(kafka_world: World, migrated_database: DatabaseUrls) -> None:
    kafka_world.database_url = migrated_database.owner
    publisher = kafka_world.start("publisher")
    try:
        wait_for_publisher(kafka_world)
        report = kafka_world.ingest(kafka_world.file("a", b"".join(map(event_line, range(50)))), "--format", "usage")
        assert report["accepted"] == 50
        assert len(kafka_world.records(50)) == 50
    finally:
        publisher.send_signal(signal.SIGTERM)
        _, err = publisher.communicate(timeout=15)
    assert publisher.returncode == 0, err


def wait_for_publisher(world: World) -> None:
    from producers.publishing_lock import PublishingLock

    deadline = time.monotonic() + START_S
    while not PublishingLock(world.outbox_path).holder_runs_on():
        assert time.monotonic() < deadline, "no publisher"
        time.sleep(0.05)


def test_a_broker_that_is_killed_while_publishing_loses_nothing(tmp_path: Path, kafka: ApacheKafka) -> None:
    from tests.services.apache_kafka import ApacheKafka

    _ = kafka  # its jars are there
    said: list[str] = []
    with ApacheKafka(tmp_path / "kafka") as broker, Outbox(tmp_path / "outbox.sqlite") as outbox:
        make_topic(BrokerAccess(broker.bootstrap), "t", partitions=4, replicas=1)
        for start in range(0, 40_000, 5_000):
            outbox.append([Accepted(b"s/%d" % n, b"v" * 300, 1_790_000_000_000) for n in range(start, start + 5_000)])
        stop = threading.Event()
        publisher = Publisher(outbox, BrokerAccess(broker.bootstrap), "t", say=said.append)
        thread = threading.Thread(target=publisher.run, args=(stop,))
        thread.start()
        try:
            while outbox.held_count() > 30_000:
                time.sleep(0.01)
            broker.restart(kill=True)
            outbox.append([Accepted(b"s/last", b"v", 1_790_000_000_000)])
            deadline = time.monotonic() + 90
            while outbox.held_count() and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            stop.set()
            thread.join(timeout=20)
        assert outbox.held_count() == 0
        records = World(tmp_path, broker.bootstrap, "t").records(40_001)
    assert {record.key for record in records} == {b"s/%d" % n for n in range(40_000)} | {b"s/last"}


def test_a_row_that_the_broker_never_takes_is_kept_and_the_rest_goes_on(kafka_world: World) -> None:
    from kafka.admin import ConfigResource, ConfigResourceType

    admin = KafkaAdminClient(bootstrap_servers=kafka_world.bootstrap)

    def limit(size_bytes: int) -> None:
        configs = {"max.message.bytes": str(size_bytes)}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, kafka_world.topic, configs)])

    limit(20_000)
    said: list[str] = []
    with Outbox(kafka_world.outbox_path) as outbox:
        outbox.append([Accepted(b"s/%d" % n, b"v" * 100, 1_790_000_000_000) for n in range(10)])
        outbox.append([Accepted(b"s/large", os.urandom(30_000), 1_790_000_000_000)])
        outbox.append([Accepted(b"s/%d" % n, b"v" * 100, 1_790_000_000_000) for n in range(10, 20)])
        broker = BrokerAccess(kafka_world.bootstrap or "")
        assert Publisher(outbox, broker, kafka_world.topic, say=said.append).drain(20)
        assert [seq for seq, _ in outbox.refused()] == [11]
        assert any("row 11" in sentence for sentence in said)
        limit(1_048_576)
        admin.close()
        assert Publisher(outbox, broker, kafka_world.topic, say=said.append).drain(20)
        assert outbox.held_count() == 0
    assert len({record.key for record in kafka_world.records(21)}) == 21


def test_a_missing_topic_is_said_and_waited_for(kafka: ApacheKafka, world: World) -> None:
    said: list[str] = []
    with Outbox(world.outbox_path) as outbox:
        outbox.append([Accepted(b"s/1", b"v", 0)])
        stop = threading.Event()
        publisher = Publisher(outbox, BrokerAccess(kafka.bootstrap), world.topic, say=said.append)
        thread = threading.Thread(target=publisher.run, args=(stop,))
        thread.start()
        try:
            deadline = time.monotonic() + 30
            while not said and time.monotonic() < deadline:
                time.sleep(0.05)
            assert "jangbu migrate" in said[0]
            make_topic(BrokerAccess(kafka.bootstrap), world.topic, partitions=1, replicas=1)
            while outbox.held_count() and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            stop.set()
            thread.join(timeout=20)
        assert outbox.held_count() == 0


def test_a_broker_that_forgets_gets_again_what_postgresql_lacks(tmp_path: Path) -> None:
    stored: dict[tuple[LogId, int], int] = {}
    with Outbox(tmp_path / "outbox.sqlite") as outbox, EmbeddedBroker(tmp_path / "run") as broker:
        outbox.append([Accepted(b"s/%d" % n, b"v" * 300, 1_790_000_000_000) for n in range(3000)])
        make_topic(BrokerAccess(broker.bootstrap), "t", partitions=2, replicas=1)
        first = describe_log(BrokerAccess(broker.bootstrap), "t")
        access = BrokerAccess(broker.bootstrap)
        publisher = Publisher(outbox, access, "t", stored=lambda: dict(stored), say=lambda _: None)
        stop = threading.Event()
        thread = threading.Thread(target=publisher.run, args=(stop,))
        thread.start()
        try:
            until(lambda: outbox.pending_count() == 0)
            assert outbox.held_count() == 3000, "a broker in memory is not where events are safe"
            ends = reach(BrokerAccess(broker.bootstrap), first)
            assert sum(end.end for end in ends.values()) == 3000
            stored[(LogId(first.cluster_id, first.topic_id), 0)] = ends[0].end
            until(lambda: outbox.held_count() == ends[1].end)
            kept = {row[0] for row in outbox.query("select key from event")}
            broker.stop()
            broker.start()
            make_topic(BrokerAccess(broker.bootstrap), "t", partitions=2, replicas=1)
            second = describe_log(BrokerAccess(broker.bootstrap), "t")
            assert second != first
            log = LogId(second.cluster_id, second.topic_id)
            until(lambda: outbox.pending_count() == 0 and outbox.published_elsewhere(log, 9999) == 0)
        finally:
            stop.set()
            thread.join(timeout=20)
        records = World(tmp_path, broker.bootstrap, "t").records(len(kept))
        assert {record.key for record in records} == kept
