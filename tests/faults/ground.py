"""What a fault run stands on: Apache Kafka, PostgreSQL behind a proxy, three workers, a load that goes on.

Services are started and killed by the thread that made the ground: they end with it (jangbu.services.processes).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import psycopg
from confluent_kafka import Consumer
from kafka.errors import KafkaError

from jangbu.migrate import migrate_database
from jangbu.services.postgres import EmbeddedPostgres
from producers.broker_access import BrokerAccess
from producers.topic import describe_log, make_topic, reach
from tests.faults import testimony
from tests.faults.load import Load
from tests.faults.proxy import Proxy
from tests.faults.worker import Plan, WorkerProcess
from tests.services.apache_kafka import ApacheKafka, KafkaUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOPIC = "usage.events"
GROUP = "jangbu-worker"
PARTITIONS = 6
WORKERS = 3
SESSION_S = 2.0
EXPELLED_AFTER_S = SESSION_S + 2.0
"""A worker that is stopped for so long has left the group: the session, and the broker's own slack."""
TRICKLE_EVENTS = 40
TRICKLE_EVERY_S = 0.1
SUPERVISED_EVERY_S = 2.0
PATIENCE_S = 240.0
"""How long what must come may take while all services are there; the machine may be busy."""
BROKER_STARTS_MAX = 5
POLL_S = 0.05
SERVICE_AWAY = ("Unable connect to", "Unable to bootstrap from", "connection failed: connection to server")
"""What a worker says that was started while Kafka or PostgreSQL was away."""
NOT_A_MEMBER = "member_id was not recognized"
CHECKOUT = Path(__file__).resolve().parents[2]


class Stuck(AssertionError):
    """What must come did not come; says what the workers say."""


class Ground:
    """Everything of one run. Usable as a context manager."""

    def __init__(self, directory: Path, seed: int, sink: str = "streams.sink:Sink") -> None:
        self.directory = directory
        self._seed = seed
        self._sink = sink
        self._incarnations = 0
        self._trickling = threading.Event()
        self._ended = threading.Event()
        self._testifying = threading.Lock()
        self._away_s = 0.0
        self._away_since_s: float | None = None
        self._restarting = threading.Lock()
        self.testimonies: list[Path] = []
        self.group = GROUP
        self.ended_by_themselves: list[str] = []
        self.started_in_vain = 0
        self.starts = 0
        self.wakings: list[tuple[str, datetime, dict[int, int]]] = []

    def __enter__(self) -> Self:
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        self.broker = ApacheKafka(self.directory / "kafka").start()
        # Asked once: the broker reads it from a file that it writes anew, in place, each time it starts and ends.
        self.bootstrap = self.broker.bootstrap
        self.access = BrokerAccess(self.bootstrap)
        self.postgres = EmbeddedPostgres(self.directory / "postgres", self.directory / "run").start()
        migrate_database(self.postgres.urls.owner)
        make_topic(self.access, TOPIC, PARTITIONS, replicas=1)
        self.log = describe_log(self.access, TOPIC)
        self.proxy = Proxy(self.postgres.port)
        self.load = Load(self.bootstrap, TOPIC, self._seed, self.directory / "producer.log")
        self.workers: list[WorkerProcess] = [self._new_worker(place) for place in range(WORKERS)]
        threading.Thread(target=self._trickle, daemon=True).start()
        threading.Thread(target=self._supervise, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        with self._restarting:
            self._ended.set()
        for worker in self.workers:
            worker.signal(signal.SIGKILL)
        self.proxy.close()
        self.broker.kill()
        self.postgres.kill()

    def alive(self, place: int) -> WorkerProcess:
        """The worker in a place; a new one where it ended. It may by order, and by itself while a service is away at
        its start; any other end is told."""
        with self._restarting:
            worker = self.workers[place]
            code = worker.exit_code
            if code is None or self._ended.is_set():
                return worker
            said = _last_lines(worker.said())
            if worker.ended_as_told:
                pass
            elif any(sign in line for line in said for sign in SERVICE_AWAY):
                self.started_in_vain += 1
            else:
                self.ended_by_themselves.append(f"{worker.plan.name} with code {code}: {' | '.join(said[-2:])}")
            self.workers[place] = self._new_worker(place)
            return self.workers[place]

    def has_stored(self, worker: WorkerProcess) -> bool:
        """Whether it has stored a chunk: it is past its start."""
        return bool(self.ask("select from stream_chunk where worker = %s limit 1", worker.plan.name))

    def expelled(self) -> int:
        """How many of those that were stopped and woke up were told by the broker that they are members no longer."""
        names = {name for name, _, _ in self.wakings}
        return sum(NOT_A_MEMBER in (self.directory / name / "log").read_text(errors="replace") for name in names)

    def said(self) -> str:
        """The end of each worker's log."""
        return "\n".join(
            f"--- {worker.plan.name} (exit code {worker.exit_code}):\n" + "\n".join(_last_lines(worker.said()))
            for worker in self.workers
        )

    def stuck(self, what: str) -> Stuck:
        """The error to raise where what must come does not come; what everybody is doing is written down first."""
        if self.load.stands_still():
            what += "; it is the harness's own producer that stands still"
        with self._testifying:
            path = self.directory / f"stuck-{len(self.testimonies) + 1}.txt"
            self.testimonies.append(path)
            testimony.take(self, what, path)
        return Stuck(f"{what}; what each was doing: {path}\n{self.said()}")

    def note_waking(self, name: str) -> None:
        """A worker that was stopped will go on: what is stored by now is none of its business."""
        rows = self.ask("select partition, next_offset, clock_timestamp() from stream_offset")
        if rows:
            self.wakings.append((name, max(row[2] for row in rows), {row[0]: row[1] for row in rows}))

    @contextlib.contextmanager
    def service_away(self) -> Iterator[None]:
        """A service is killed and started again within: that time is no part of anybody's patience."""
        self._away_since_s = time.monotonic()
        try:
            yield
        finally:
            self._away_s += time.monotonic() - self._away_since_s
            self._away_since_s = None

    def clock(self) -> float:
        """Seconds, of those in which all services are there. The order of the two looks can make it a bit early."""
        since_s = self._away_since_s
        return (since_s if since_s is not None else time.monotonic()) - self._away_s

    def start_broker(self) -> None:
        """Start it; on a busy machine it may take several tries."""
        for _ in range(BROKER_STARTS_MAX - 1):
            with contextlib.suppress(KafkaUnavailableError):
                self.broker.start()
                return
        self.broker.start()

    def trickle(self, *, on: bool) -> None:
        """New events all the time, or none."""
        (self._trickling.set if on else self._trickling.clear)()

    def nudge(self) -> None:
        """Let a stranger join the group and leave it: two rebalances."""
        with contextlib.suppress(Exception):
            stranger = Consumer(
                {
                    "bootstrap.servers": self.bootstrap,
                    "group.id": self.group,
                    "partition.assignment.strategy": "roundrobin",
                    "session.timeout.ms": 2_000,
                    "heartbeat.interval.ms": 500,
                    "enable.auto.commit": False,
                    "log_level": 0,
                }
            )
            stranger.subscribe([TOPIC])
            stranger.poll(2.0)
            stranger.close()

    def ingest(self, file: Path, data_dir: Path) -> subprocess.Popen[bytes]:
        """`jangbu ingest` of a file, started."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JANGBU_")}
        environment |= {"JANGBU_KAFKA_BOOTSTRAP": self.bootstrap, "JANGBU_DATA_DIR": str(data_dir)}
        return subprocess.Popen(
            [sys.executable, "-m", "jangbu", "ingest", str(file), "--format", "usage", "--json"],
            cwd=CHECKOUT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows, as the owner; waits while PostgreSQL is away."""
        give_up_s = time.monotonic() + 60
        while True:
            try:
                with psycopg.connect(self.postgres.urls.owner, options="-c timezone=UTC") as connection:
                    return connection.execute(query.encode(), values or None).fetchall()
            except psycopg.OperationalError:
                if time.monotonic() > give_up_s:
                    raise
                time.sleep(POLL_S)

    def offsets(self) -> dict[int, int]:
        """Stored offsets by partition."""
        return dict(self.ask("select partition, next_offset from stream_offset"))

    def wait(self, what: str, condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        """Wait until it holds. Raises Stuck."""
        give_up_s = self.clock() + timeout_s
        while not condition():
            if self.clock() > give_up_s:
                raise self.stuck(f"not in {timeout_s:.0f} s: {what}")
            time.sleep(POLL_S)

    def warm_up(self) -> None:
        """Let events come in until every worker has stored some."""
        self.trickle(on=True)
        query = "select count(distinct worker) from stream_chunk"
        self.wait("a chunk from every worker", lambda: self.ask(query)[0][0] >= WORKERS)

    def drain(self, timeout_s: float = PATIENCE_S) -> None:
        """Until everything that was sent is read and stored. Raises Stuck."""
        self.trickle(on=False)
        left = self.load.flush(timeout_s)
        if left or self.load.failed:
            raise self.stuck(f"the broker did not take {left} records; refused: {self.load.failed[:3]}")

        self.read_on("every partition read to its end", timeout_s)

    def read_on(self, what: str, timeout_s: float = PATIENCE_S) -> None:
        """Until all that Kafka holds now is stored. Raises Stuck."""
        ends: dict[int, int] = {}

        def has_read() -> bool:
            if not ends:
                with contextlib.suppress(KafkaError):
                    ends.update(
                        {partition: place.end for partition, place in reach(self.access, self.log).items()}
                    )
            stored = self.offsets()
            return bool(ends) and all(stored.get(partition, 0) >= end for partition, end in ends.items())

        self.wait(what, has_read, timeout_s)

    def _supervise(self) -> None:
        """Whoever runs workers starts another where one ended: a worker may end at its start while a service is away,
        and again, and there may be nobody else in the round who looks."""
        while not self._ended.wait(SUPERVISED_EVERY_S):
            for place in range(WORKERS):
                self.alive(place)

    def _new_worker(self, place: int) -> WorkerProcess:
        self._incarnations += 1
        self.starts += 1
        name = f"worker-{place}.{self._incarnations}"
        worker = WorkerProcess(
            Plan(
                self.bootstrap,
                self._through_proxy(self.postgres.urls.worker),
                self.log,
                str(self.directory / name),
                name,
                group=self.group,
                session_s=SESSION_S,
                sink=self._sink,
            )
        )
        worker.start()
        return worker

    def _through_proxy(self, url: str) -> str:
        parts = urlsplit(url)
        return parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{self.proxy.port}")).geturl()

    def _trickle(self) -> None:
        while not self._ended.wait(TRICKLE_EVERY_S):
            if self._trickling.is_set():
                self.load.send_new(TRICKLE_EVENTS)


def _last_lines(text: str) -> list[str]:
    """The last lines, each once."""
    return list(dict.fromkeys(text.splitlines()[-200:]))[-12:]
