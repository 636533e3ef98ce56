"""Where the benchmarks play: Apache Kafka, the embedded PostgreSQL, fresh databases and topics, child processes.

Everything lies in one temporary directory and ends with the stage, also after Ctrl-C; a child ends even where this
process is killed.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psycopg
from confluent_kafka import Consumer, Producer, TopicPartition
from kafka import KafkaAdminClient

from jangbu.migrate import migrate_database
from jangbu.services import processes
from jangbu.services.postgres import EmbeddedPostgres
from producers.broker_access import BrokerAccess
from producers.topic import TopicLog, describe_log, make_topic
from tests.services.apache_kafka import ApacheKafka

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jangbu.services.postgres import DatabaseUrls
    from tests.bench.house import Event, House

CHECKOUT = Path(__file__).resolve().parents[2]
POLL_S = 0.1
CHILD_STOP = ((signal.SIGTERM, 15.0),)
LOG_END_CHARACTERS = 3_000
QUEUE_FULL_WAIT_S = 0.05
FLUSH_S = 60.0
DROP_TRIES = 3
LOG_ERRORS = 3
"""librdkafka's log_level for errors and worse (syslog(3))."""


_WAITING = """
  select count(*) from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock' and application_name = 'jangbu worker'
"""


class Disturbed(RuntimeError):
    """A benchmark could not be carried out; the sentence says why."""


class Child:
    """A process of `tests.bench.child`, with a directory of its own for its log and its result."""

    def __init__(self, role: str, directory: Path, settings: Mapping[str, Any]) -> None:
        self.role = role
        self.directory = directory
        directory.mkdir(parents=True)
        self._log = directory / "log"
        words = json.dumps({**settings, "directory": str(directory), "result": str(directory / "result.json")})
        with self._log.open("ab") as log:
            self._process: subprocess.Popen[bytes] = processes.spawn(
                [sys.executable, str(Path(__file__).with_name("child.py")), role, words], log=log, cwd=CHECKOUT
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def check(self) -> None:
        """Raise Disturbed where it has ended by an error."""
        if self._process.poll() not in (None, 0):
            raise Disturbed(f"the {self.role} process ended with {self._process.returncode}: {self.said()}")

    def result(self) -> dict[str, Any]:
        """What it found out, once it has ended by itself."""
        while self._process.poll() is None:
            time.sleep(POLL_S)
        self.check()
        document: dict[str, Any] = json.loads((self.directory / "result.json").read_text(encoding="utf-8"))
        return document

    def wait_for_result(self) -> dict[str, Any]:
        """The same for one that goes on after it has written its result; it is stopped."""
        while not (self.directory / "result.json").exists():
            self.check()
            time.sleep(POLL_S)
        document: dict[str, Any] = json.loads((self.directory / "result.json").read_text(encoding="utf-8"))
        self.stop()
        return document

    def memory_peak_bytes(self) -> int:
        """The most memory that it ever held (VmHWM, proc_pid_status(5))."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise Disturbed("the kernel does not tell a process' peak memory (VmHWM): run this on Linux")

    def cpu_s(self) -> float:
        """The processor time that it has used."""
        import psutil

        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def stop(self) -> int:
        """SIGTERM, SIGKILL after a while; its exit code."""
        return processes.stop(self._process, CHILD_STOP)

    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-LOG_END_CHARACTERS:].strip() or "(nothing)"


class Stage:
    """Apache Kafka and PostgreSQL, running, with a migrated template database. Usable as a context manager.

    Without Kafka, where no part needs it, only databases and child processes can be had.
    """

    def __init__(self, house: House, directory: Path | None = None, *, with_kafka: bool = True) -> None:
        self.house = house
        self._with_kafka = with_kafka
        self._wanted = directory
        self._stack = ExitStack()
        self._count = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.directory = Path(tempfile.mkdtemp(prefix="jangbu-bench-", dir=self._wanted))
            stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
            if self._with_kafka:
                self.kafka = ApacheKafka(self.directory / "kafka", long_run=True)
                stack.callback(self.kafka.stop)
                self.kafka.start()
            private = self.directory / "postgres"
            self.postgres = EmbeddedPostgres(private / "cluster", private / "run")
            stack.enter_context(self.postgres)
            self._make_template()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    @property
    def bootstrap(self) -> str:
        """Kafka's address."""
        return self.kafka.bootstrap

    @contextmanager
    def database(self) -> Iterator[DatabaseUrls]:
        """A fresh database with every migration and the house's roster; nothing left to be written by others."""
        name = f"bench_{uuid.uuid4().hex[:12]}"
        self._tell(f"create database {name} template {self._template}", "checkpoint")
        try:
            yield self.postgres.urls_of(name)
        finally:
            self._drop(name)

    @contextmanager
    def topic(self, partitions: int) -> Iterator[TopicLog]:
        """A fresh topic."""
        name = f"usage.{uuid.uuid4().hex[:12]}"
        make_topic(BrokerAccess(self.bootstrap), name, partitions, replicas=1)
        try:
            yield describe_log(BrokerAccess(self.bootstrap), name)
        finally:
            admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
            admin.delete_topics([name])
            admin.close()

    @contextmanager
    def child(self, role: str, **settings: Any) -> Iterator[Child]:
        """A process, ended at the end."""
        self._count += 1
        child = Child(role, self.directory / f"{role}-{self._count}", settings)
        try:
            yield child
        finally:
            child.stop()

    @contextmanager
    def worker(self, urls: DatabaseUrls, log: TopicLog, name: str = "worker") -> Iterator[Child]:
        """A stream worker of the product."""
        settings = {"bootstrap": self.bootstrap, "database_url": urls.worker, "log": asdict(log), "name": name}
        with self.child("worker", **settings, group=f"group-{log.topic}-{urls.worker[-12:]}") as child:
            yield child

    def produce(self, log: TopicLog, events: Iterable[Event]) -> None:
        """Put events into Kafka with librdkafka, lz4, partitioned by murmur2 of the key; all are there on return."""
        producer = Producer({
            "bootstrap.servers": self.bootstrap, "enable.idempotence": True, "compression.type": "lz4",
            "partitioner": "murmur2_random", "linger.ms": 50, "batch.size": 1_000_000,
            "queue.buffering.max.messages": 500_000, "queue.buffering.max.kbytes": 262_144, "log_level": LOG_ERRORS,
        })  # fmt: skip
        produce, topic, sent = producer.produce, log.topic, 0
        for key, value, timestamp_ms in events:
            while True:
                try:
                    produce(topic, value, key, timestamp=timestamp_ms)
                    break
                except BufferError:
                    producer.poll(QUEUE_FULL_WAIT_S)
            sent += 1
        left = producer.flush(FLUSH_S)
        held = self.records(log)
        if left or held != sent:
            raise Disturbed(f"Kafka holds {held} of {sent} events that were sent; see {self.kafka.log_file}")

    def records(self, log: TopicLog) -> int:
        """How many records the topic holds."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "looks-only"})
        try:
            places = [TopicPartition(log.topic, partition) for partition in range(log.partitions)]
            marks = [consumer.get_watermark_offsets(place, timeout=10.0) for place in places]
        finally:
            consumer.close()
        return sum(int(end) - int(begin) for begin, end in marks)

    @contextmanager
    def held(self, connection: psycopg.Connection[Any], children: Sequence[Child]) -> Iterator[None]:
        """Workers started within this store nothing until all of them have a chunk in hand, so that they begin at once.

        Each chunk's transaction begins by sharing the row that is locked here.
        """
        with connection.transaction():
            connection.execute("select from reference_version for update")
            yield
            waiting = (0,)
            while waiting != (len(children),):
                for child in children:
                    child.check()
                time.sleep(POLL_S)
                connection.execute("select pg_stat_clear_snapshot()")  # else a transaction sees the first look again
                waiting = connection.execute(_WAITING).fetchone() or (0,)

    def wait_until_read(self, connection: psycopg.Connection[Any], records: int, *children: Child) -> None:
        """Until SQL's offsets have passed so many records. Raises Disturbed where a child ends before."""
        while True:
            row = connection.execute("select coalesce(sum(next_offset), 0) from stream_offset").fetchone()
            if row is not None and row[0] >= records:
                return
            for child in children:
                child.check()
            time.sleep(POLL_S)

    def _make_template(self) -> None:
        self._template = "bench_template"
        self._tell(f"create database {self._template}")
        urls = self.postgres.urls_of(self._template)
        migrate_database(urls.owner)
        with psycopg.connect(urls.owner) as connection, connection.cursor() as cursor:
            with cursor.copy('copy roster ("user", department, valid_from) from stdin') as copy:
                for user, department in self.house.roster():
                    copy.write_row((user, department, "2020-01-01T00:00:00Z"))
            cursor.execute("update reference_version set version = version + 1")
        with psycopg.connect(urls.owner, autocommit=True) as connection:
            connection.execute("vacuum analyze")

    def _drop(self, name: str) -> None:
        """Give the disk back. Without force, which may not end an autovacuum; PostgreSQL itself ends that and waits 5 s
        for the others. A database that stays in use after all goes with the stage."""
        for _ in range(DROP_TRIES):
            with contextlib.suppress(psycopg.errors.ObjectInUse):
                self._tell(f"drop database {name}")
                return

    def _tell(self, *statements: str) -> None:
        """Statements to the server, as the owner."""
        with psycopg.connect(self.postgres.urls.owner, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def connect(url: str) -> psycopg.Connection[Any]:
    """A connection for looking."""
    return psycopg.connect(url, autocommit=True, options="-c timezone=UTC")
