"""Glue between settings and `producers`: where the outbox is, who publishes it, what PostgreSQL has."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import psycopg

from jangbu.errors import SettingsError
from jangbu.settings_kafka import set_broker
from producers.outbox import LogId, Outbox, OutboxError
from producers.publishing_lock import PublishingLock

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from jangbu.settings import Settings
    from producers.broker_access import BrokerAccess
    from producers.outbox import Positions

LOCK_POLL_S = 0.2
CONNECT_TIMEOUT_S = 5


def outbox_path(settings: Settings) -> Path:
    """The outbox of this data directory; the lock of its publisher stands beside it."""
    return settings.data_dir / "outbox" / "outbox.sqlite"


def open_outbox(settings: Settings) -> Outbox:
    """The outbox, made if missing. Raises SettingsError with what to do."""
    try:
        return Outbox(outbox_path(settings))
    except OutboxError as error:
        raise SettingsError(str(error)) from error


class StoredOffsets:
    """Asks PostgreSQL how far each log and partition has been read; its one connection is made anew if it dies."""

    def __init__(self, database_url: str, topic: str) -> None:
        self._url = database_url
        self._topic = topic
        self._connection: psycopg.Connection | None = None

    def __call__(self) -> Positions:
        """(log, partition) -> the offset after the last one stored. Raises ConnectionError while PostgreSQL is away."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
            rows = self._connection.execute(
                "select l.cluster_id, l.topic_id, o.partition, o.next_offset"
                " from stream_offset o join topic_log l on l.id = o.log_id where l.topic = %s",
                (self._topic,),
            ).fetchall()
        except psycopg.errors.UndefinedTable:
            raise SettingsError("the database has no jangbu tables: run `jangbu migrate` first") from None
        except psycopg.Error as error:
            self.close()
            raise ConnectionError(f"PostgreSQL does not answer: {str(error).partition(chr(10))[0]}") from error
        return {(LogId(cluster, topic_id), partition): offset for cluster, topic_id, partition, offset in rows}

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def run_publisher(
    settings: Settings,
    broker: BrokerAccess,
    forgetful_with: str | None,
    stop: threading.Event,
    say: Callable[[str], None],
) -> None:
    """Publish this data directory's outbox until `stop` is set; waits while another process publishes it.

    forgetful_with: for a memory-only broker the database that says what it has; None: the broker keeps its log.
    """
    from producers.publisher import Publisher

    quiet_kafka()
    stored = None if forgetful_with is None else StoredOffsets(forgetful_with, settings.topic)
    with open_outbox(settings) as outbox, PublishingLock(outbox.path) as lock:
        said = False
        while not lock.acquire(runs_on=True):
            if not said:
                say(f"Another process publishes {outbox.path}: waiting for it to end")
                said = True
            if stop.wait(LOCK_POLL_S):
                return
        try:
            Publisher(outbox, broker, settings.topic, stored=stored, say=say).run(stop)
        finally:
            if stored is not None:
                stored.close()


def publish_rest(settings: Settings, outbox: Outbox, patience_s: float, say: Callable[[str], None]) -> None:
    """See that what is in the outbox gets on: by a publisher that runs, else by ourselves until it is empty.

    Raises SettingsError where Kafka takes nothing for `patience_s`; the events stay in the outbox.
    """
    broker = set_broker(settings)
    lock = PublishingLock(outbox.path)
    last_pending, since_s = outbox.pending_count(), time.monotonic()
    while last_pending:
        if broker is not None and lock.acquire(runs_on=False):
            with lock:
                drained = _drain(broker, settings.topic, outbox, patience_s, say)
            if drained:
                return
            raise SettingsError(_left(settings, outbox))
        if lock.holder_runs_on():
            return
        if broker is None:
            say(f"{last_pending} events wait in the outbox {outbox.path}: `jangbu up` sends them on")
            return
        time.sleep(LOCK_POLL_S)  # another `ingest` publishes and may end before it has seen our events
        pending = outbox.pending_count()
        if pending != last_pending:
            last_pending, since_s = pending, time.monotonic()
        elif time.monotonic() - since_s > patience_s:
            raise SettingsError(_left(settings, outbox))


def quiet_kafka() -> None:
    """kafka-python tells each failed connection; the publisher says what matters, once."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)


def _drain(
    broker: BrokerAccess, topic: str, outbox: Outbox, patience_s: float, say: Callable[[str], None]
) -> bool:
    from producers.publisher import Publisher

    quiet_kafka()
    return Publisher(outbox, broker, topic, say=say).drain(patience_s)


def _left(settings: Settings, outbox: Outbox) -> str:
    return (
        f"{outbox.pending_count()} accepted events wait in the outbox {outbox.path}: Kafka at "
        f"{settings.kafka_bootstrap} does not take them. They are safe there; the next `jangbu ingest`, "
        "`jangbu publisher` or `jangbu up` sends them once Kafka answers"
    )
