"""The worker's decode, prepare and sink on one database without Kafka: for tests of what a transaction does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import psycopg

from jangbu.migrate import sql_directory
from producers.contract import TimeBounds
from producers.topic import TopicLog
from streams.decode import Decoder, Facts
from streams.dictionary import Dictionary
from streams.facts import load_facts
from streams.offsets import register_log
from streams.prepare import Prepared, prepare
from streams.sink import Outcome, Sink, no_observer

if TYPE_CHECKING:
    from jangbu.services.postgres import DatabaseUrls
    from streams.chunk import Chunk

LOG = TopicLog("cluster-1", "usage.events", "topic-1", 4)


class Workbench:
    """One worker's hands, step by step. Usable as a context manager.

    Args:
        urls: of a migrated database; work is done as the worker's login.
        connect: what the sink connects with, where a test wants another connection than the usual.
    """

    def __init__(
        self,
        urls: DatabaseUrls,
        *,
        log: TopicLog = LOG,
        worker: str = "bench",
        connect: Callable[[], psycopg.Connection] | None = None,
        observe: Callable[[str], None] = no_observer,
        sink_type: type[Sink] = Sink,
    ) -> None:
        self.urls = urls
        self.reference = self.connect()
        self.log_id = register_log(self.reference, log)
        self.dictionary = Dictionary(self.reference)
        self.decoder = Decoder(TimeBounds())
        self.sink = sink_type(connect or self.connect, self.log_id, worker, observe)

    def connect(self) -> psycopg.Connection:
        """A connection as the worker."""
        return psycopg.connect(self.urls.worker, autocommit=True, options="-c timezone=UTC")

    def facts(self) -> Facts:
        """Roster and thresholds as they are now."""
        return load_facts(self.reference)

    def prepared(self, chunk: Chunk, facts: Facts | None = None) -> Prepared:
        """Decoded and packed."""
        return prepare(self.decoder.decode(chunk, facts or self.facts()), self.dictionary, self.log_id)

    def store(self, chunk: Chunk) -> Outcome:
        """The whole way."""
        return self.sink.store(self.prepared(chunk))

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows, as the owner."""
        with psycopg.connect(self.urls.owner, autocommit=True, options="-c timezone=UTC") as connection:
            return connection.execute(query, values).fetchall()

    def tell(self, statement: str, *values: Any) -> None:
        """A statement as the owner."""
        with psycopg.connect(self.urls.owner, autocommit=True, options="-c timezone=UTC") as connection:
            connection.execute(statement, values)

    def laws(self) -> list[str]:
        """What laws 1 and 2 find wrong."""
        found: list[str] = []
        for law in ("1-accepted", "2-sums"):
            query = (sql_directory() / "checks" / f"{law}.sql").read_text(encoding="utf-8")
            with psycopg.connect(self.urls.owner, autocommit=True) as connection:
                row = connection.execute(query.encode()).fetchone()
            assert row is not None
            found += row[1]
        return found

    def close(self) -> None:
        """Let go of the connections."""
        self.sink.close()
        self.reference.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
