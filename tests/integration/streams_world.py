"""A topic on Apache Kafka, a migrated database, and workers as processes: what tests of the worker as a whole need."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from confluent_kafka import KafkaError, Message, Producer

from jangbu.migrate import sql_directory
from producers.broker_access import BrokerAccess
from producers.topic import describe_log, make_topic
from tests.faults.events import raw
from tests.faults.worker import Plan, WorkerProcess

if TYPE_CHECKING:
    from jangbu.services.postgres import DatabaseUrls
    from tests.services.apache_kafka import ApacheKafka

PATIENCE_S = 90.0
"""How long a test waits for what must come; the machine may be busy."""


class StreamsWorld:
    """One topic, one database, any number of workers. Close it, or use `streams_world`."""

    def __init__(self, broker: ApacheKafka, urls: DatabaseUrls, directory: Path, partitions: int = 1) -> None:
        self.broker = broker
        self.urls = urls
        self.directory = directory
        self.topic = f"usage.{uuid.uuid4().hex[:12]}"
        make_topic(BrokerAccess(broker.bootstrap), self.topic, partitions, replicas=1)
        self.workers: list[WorkerProcess] = []

    def worker(self, *, start: bool = True, **changes: Any) -> WorkerProcess:
        """A worker of the topic as it is now, started."""
        name = f"worker-{len(self.workers)}"
        plan: dict[str, Any] = {
            "bootstrap": self.broker.bootstrap,
            "database_url": self.urls.worker,
            "log": describe_log(BrokerAccess(self.broker.bootstrap), self.topic),
            "directory": str(self.directory / name),
            "name": name,
            "group": f"group-{self.topic}",
        }
        process = WorkerProcess(Plan(**{**plan, **changes}))
        self.workers.append(process)
        if start:
            process.start()
        return process

    @contextlib.contextmanager
    def producer(self, **settings: Any) -> Iterator[Producer]:
        """A producer that sends in order and says at the end if anything was not taken."""
        failed: list[str] = []

        def told(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(str(error))

        config = {"bootstrap.servers": self.broker.bootstrap, "enable.idempotence": True, "linger.ms": 1}
        producer = Producer({**config, "on_delivery": told, **settings})
        yield producer
        producer.flush()
        assert not failed, failed

    def send(
        self, values: Iterable[bytes | Mapping[str, Any] | None], *, partition: int = 0, key: bytes | None = None
    ) -> None:
        """Put records into one partition, in order; their timestamps are now."""
        with self.producer() as producer:
            for value in values:
                value_bytes = raw(value) if isinstance(value, Mapping) else value
                producer.produce(self.topic, key=key, value=value_bytes, partition=partition)

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows, as the owner."""
        with psycopg.connect(self.urls.owner, autocommit=True, options="-c timezone=UTC") as connection:
            return connection.execute(query, values).fetchall()

    def tell(self, statement: str, *values: Any) -> None:
        """A statement as the owner."""
        with psycopg.connect(self.urls.owner, autocommit=True, options="-c timezone=UTC") as connection:
            connection.execute(statement, values)

    def stored_ids(self) -> list[str]:
        """Ids of the ledger's events, sorted, each as often as it stands there."""
        return [row[0] for row in self.ask("select event_id from usage_event order by event_id")]

    def offsets(self) -> dict[int, int]:
        """Stored offsets by partition, of the newest life of the topic."""
        return dict(
            self.ask(
                "select partition, next_offset from stream_offset"
                " where log_id = (select max(id) from topic_log where topic = %s)",
                self.topic,
            )
        )

    def accounts(self) -> tuple[int, int, int, int]:
        """(records, stored, duplicates, quarantined) over all chunks."""
        query = (
            "select coalesce(sum(records), 0), coalesce(sum(stored), 0), coalesce(sum(duplicates), 0),"
            " coalesce(sum(quarantined), 0) from stream_chunk"
        )
        records, stored, duplicates, quarantined = (int(value) for value in self.ask(query)[0])
        return records, stored, duplicates, quarantined

    def wait(self, what: str, condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        """Wait until it holds; else fail with what the workers say."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline_s:
                said = "\n".join(f"--- {worker.plan.name}: {worker.said()[-3000:]}" for worker in self.workers)
                raise AssertionError(f"not in {timeout_s:.0f} s: {what}\n{said}")
            time.sleep(0.05)

    def wait_for_records(self, records: int) -> None:
        """Until so many records are accounted for."""
        self.wait(f"{records} records in chunks", lambda: self.accounts()[0] >= records)

    def wait_for_end(self, worker: WorkerProcess) -> tuple[int, str]:
        """A worker's exit code and what it said."""
        self.wait(f"the end of {worker.plan.name}", lambda: worker.exit_code is not None)
        assert worker.exit_code is not None
        return worker.exit_code, worker.said()

    def laws(self) -> list[str]:
        """What laws 1 and 2 find wrong."""
        found: list[str] = []
        for law in ("1-accepted", "2-sums"):
            query = (sql_directory() / "checks" / f"{law}.sql").read_text(encoding="utf-8")
            with psycopg.connect(self.urls.owner, autocommit=True) as connection:
                row = connection.execute(query.encode()).fetchone()  # without parameters, so that a % is a %
            assert row is not None
            found += row[1]
        return found

    def close(self) -> None:
        """End the workers that still run."""
        for worker in self.workers:
            worker.stop()
