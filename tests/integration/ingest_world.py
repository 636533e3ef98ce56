"""One data directory, one topic, and commands as a user would call them: for the tests of ingest and wait."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from producers.broker_access import BrokerAccess
from producers.topic import describe_log, make_topic, reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.apache_kafka import ApacheKafka

START_S = 60.0
CHECKOUT = str(Path(__file__).resolve().parents[2])


def event_line(number: int, source: str = "gateway-1") -> bytes:
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - number % 86_400))
    return json.dumps({
        "specversion": "1.0", "type": "ai.usage.v1", "source": source, "id": f"id-{number}", "time": moment,
        "data": {"model": "m", "provider": "p", "units": {"input_tokens": number, "requests": 1}},
    }).encode() + b"\n"  # fmt: skip


class World:
    """One data directory, one topic, and commands as a user would call them."""

    def __init__(self, directory: Path, bootstrap: str | None, topic: str) -> None:
        self.directory = directory
        self.bootstrap = bootstrap
        self.topic = topic
        self.database_url: str | None = None
        self.variables: dict[str, str] = {}

    @property
    def outbox_path(self) -> Path:
        return self.directory / "data" / "outbox" / "outbox.sqlite"

    def start(self, *arguments: str, stdin: int | None = None) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JANGBU_")}
        environment |= {"JANGBU_DATA_DIR": str(self.directory / "data"), "JANGBU_TOPIC": self.topic}
        environment["PYTHONPATH"] = CHECKOUT
        if self.bootstrap:
            environment["JANGBU_KAFKA_BOOTSTRAP"] = self.bootstrap
        if self.database_url:
            environment["JANGBU_DATABASE_URL"] = self.database_url
        environment |= self.variables
        return subprocess.Popen(
            [sys.executable, "-m", "jangbu", *arguments], env=environment, cwd=self.directory, stdin=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *arguments: str, stdin: bytes | None = None) -> tuple[int, str, str]:
        process = self.start(*arguments, stdin=subprocess.PIPE if stdin is not None else None)
        out, err = process.communicate(stdin, timeout=120)
        return process.returncode, out.decode(), err.decode()

    def ingest(self, *arguments: str, stdin: bytes | None = None) -> dict[str, Any]:
        code, out, err = self.run("ingest", *arguments, "--json", stdin=stdin)
        assert code == 0, err
        return dict(json.loads(out))

    def file(self, name: str, content: bytes) -> str:
        path = self.directory / name
        path.write_bytes(content)
        return str(path)

    def records(self, expected: int) -> list[Any]:
        """All records of the topic, once there are at least `expected` offsets."""
        assert self.bootstrap is not None
        log = describe_log(BrokerAccess(self.bootstrap), self.topic)
        deadline = time.monotonic() + 30
        while True:
            ends = reach(BrokerAccess(self.bootstrap), log)
            if sum(place.end for place in ends.values()) >= expected:
                break
            assert time.monotonic() < deadline, f"{ends} of {expected}"
        settings = {"enable_auto_commit": False, "auto_offset_reset": "earliest"}
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, **settings)
        places = [TopicPartition(self.topic, partition) for partition in ends]
        consumer.assign(places)
        found: list[Any] = []
        while any(consumer.position(place) < ends[place.partition].end for place in places):
            assert time.monotonic() < deadline
            for records in consumer.poll(200).values():
                found += records
        consumer.close()
        return found


def until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture(name="_sockets_collected", autouse=True)
def fixture_sockets_collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """kafka-python leaves the sockets of failed connections to the garbage collector. Its log records would keep
    errors, their frames and the sockets in them beyond the test."""
    monkeypatch.setattr(logging.getLogger("kafka"), "level", logging.CRITICAL)
    yield
    gc.collect()


@pytest.fixture(name="world")
def fixture_world(tmp_path: Path) -> World:
    return World(tmp_path, None, f"t-{uuid.uuid4().hex[:12]}")


@pytest.fixture(name="kafka_world")
def fixture_kafka_world(world: World, kafka: ApacheKafka) -> World:
    make_topic(BrokerAccess(kafka.bootstrap), world.topic, partitions=4, replicas=1)
    world.bootstrap = kafka.bootstrap
    return world
