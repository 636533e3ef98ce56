"""From the outbox to the topic: in sequence, for ever trying, never losing.

kafka-python's idempotent producer (`acks=all`), key = identity, record timestamp = time of acceptance. kafka-python's
partitioner hashes a key as Kafka's Java clients do (murmur2), so that copies of one event from any producer meet.

The order of steps, and what a failure in each means:
1. ask which life of the topic this is (cluster id, topic id);
2. read a batch of rows, bounded in number and bytes: also the bound of what is in flight and in memory;
3. send them and wait for every acknowledgement: on any error the unacknowledged rows stay and are sent again;
4. ask for the life of the topic again: where it has changed, a broker that forgets was started again in between, and
   the acknowledgements of this batch count for nothing;
5. settle the acknowledged rows: a crash before it sends them twice, with the same identity.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka import errors as kafka_errors
from kafka.codec import has_lz4, has_zstd

from producers.outbox import LogId, Outbox, OutboxError, Pending, Positions, Published
from producers.topic import TOPIC, TopicMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

IDLE_WAIT_S = 0.02
CONFIRM_EVERY_S = 0.5
BACKOFF_FIRST_S = 0.2
BACKOFF_MAX_S = 5.0
SAY_AGAIN_S = 30.0
REQUEST_TIMEOUT_MS = 10_000
DELIVERY_TIMEOUT_MS = 30_000
STOP_GRACE_S = 5.0
CLOSE_WAIT_S = 3.0
PROBE_TIMEOUT_S = 3.0
ANSWER_POLL_S = 0.003
RECONNECT_BACKOFF_MAX_MS = 1_000
BATCH_BYTES = 256 * 1024
REQUEST_BYTES_MAX = 2 * 1024 * 1024
"""Above the topic's `max.message.bytes`, so that it is the broker that says no, and its reason is kept."""

BOOTSTRAP_TIMEOUT_MS = 5_000
SPACE_EVERY_ROWS = 20_000

_NEVER_TAKEN = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)
_log = logging.getLogger(__name__)


class Publisher:
    """Publishes one outbox; hold its PublishingLock meanwhile.

    Args:
        outbox: whose rows are published.
        bootstrap: Kafka's addresses, `host:port[,host:port…]`.
        topic: must exist (`jangbu migrate` makes it).
        stored: None for a broker that keeps its log: rows leave when it has them. For a memory-only broker, how far
            PostgreSQL has read each log and partition: rows leave below it, the others are published again to a
            broker that was started anew. May raise OSError or ConnectionError while PostgreSQL is away.
        say: where troubles and their end are told, a sentence each.
    """

    def __init__(
        self,
        outbox: Outbox,
        bootstrap: str,
        topic: str = TOPIC,
        *,
        stored: Callable[[], Positions] | None = None,
        say: Callable[[str], None] = _log.warning,
    ) -> None:
        self._outbox = outbox
        self._bootstrap = bootstrap
        self._topic = topic
        self._stored = stored
        self._say = say
        self._client: _Client | None = None
        self._log: LogId | None = None
        self._confirm_due_s = 0.0
        self._trouble_since_s: float | None = None
        self._said_at_s = 0.0
        self._backoff_s = BACKOFF_FIRST_S
        self._rows_left = 0

    def run(self, stop: threading.Event, *, pace_s: float = 0) -> None:
        """Publish until `stop` is set. Troubles with Kafka are said and tried again, for ever.

        pace_s: a pause after each batch, for a process that has something else to do: fewer, larger batches.
        """
        self._outbox.retry_refused()
        try:
            while not stop.is_set():
                published = self._try_once(stop)
                if published == 0:
                    stop.wait(max(IDLE_WAIT_S, pace_s))
                elif published is None:
                    stop.wait(self._next_backoff())
                elif pace_s:
                    stop.wait(pace_s)
        finally:
            self._disconnect()

    def drain(self, patience_s: float) -> bool:
        """Publish until nothing is pending; False when Kafka took nothing for `patience_s`. Refused rows stay."""
        never = threading.Event()
        last_progress_s = time.monotonic()
        self._outbox.retry_refused()
        try:
            while self._outbox.read_pending(rows_max=1):
                published = self._try_once(never)
                if published:
                    last_progress_s = time.monotonic()
                elif time.monotonic() - last_progress_s > patience_s:
                    return False
                elif published is None:
                    time.sleep(self._next_backoff())
            return True
        finally:
            self._disconnect()

    def _try_once(self, stop: threading.Event) -> int | None:
        """One batch: how many rows were published; None after a trouble, which has been said."""
        try:
            published = self._publish_batch(stop)
        except OutboxError:
            raise  # the file itself: nothing here can mend it
        except (kafka_errors.KafkaError, TopicMissing, OSError) as error:
            self._in_trouble(error)
            return None
        self._out_of_trouble()
        return published

    def _publish_batch(self, stop: threading.Event) -> int:
        client = self._connected()
        log = self._log_now(client) if self._log is None else self._log
        self._confirm(client)
        rows = self._outbox.read_pending()
        if not rows:
            return 0
        futures = [client.send(self._topic, row) for row in rows]
        client.wait_for(futures, stop)
        published, refused, error = _outcome(rows, futures)
        if self._log_now(client) != log:
            return 0  # acknowledged by a broker that is no more: every row is still pending, and sent again
        self._outbox.settle(log, published, keep=self._stored is not None)
        for row, reason in refused:
            self._outbox.refuse(row.seq, reason)
            self._say(f"Kafka refuses row {row.seq} of the outbox {self._outbox.path} ({reason}): it is kept aside")
        if error is not None:
            raise error
        self._give_back_space(len(published))
        return len(published) + len(refused)

    def _log_now(self, client: _Client) -> LogId:
        """The topic's life now; rows that went to another one are pending again, but for what PostgreSQL has."""
        log = client.describe(self._topic)
        if log != self._log:
            if self._stored is not None:
                self._outbox.confirm(self._stored())
                again = self._outbox.unpublish_others(log)
                if again:
                    self._say(f"The broker was started anew: {again} events that PostgreSQL lacks are published again")
            self._log = log
        return log

    def _confirm(self, client: _Client) -> None:
        """With a memory-only broker, now and then: is it still the same, and what has PostgreSQL?"""
        if self._stored is None or time.monotonic() < self._confirm_due_s:
            return
        self._log_now(client)
        try:
            self._give_back_space(self._outbox.confirm(self._stored()))
        except OutboxError:
            raise
        except OSError as error:  # PostgreSQL is away: publishing goes on, the rows stay
            _log.info("what PostgreSQL has cannot be asked: %s", error)
        self._confirm_due_s = time.monotonic() + CONFIRM_EVERY_S

    def _give_back_space(self, rows: int) -> None:
        """Shrink the file when many rows have left and none wait; a few are not worth the writing."""
        self._rows_left += rows
        if self._rows_left >= SPACE_EVERY_ROWS and not self._outbox.read_pending(rows_max=1):
            self._rows_left = 0
            self._outbox.give_back_space()

    def _connected(self) -> _Client:
        if self._client is None:
            self._client = _Client(self._bootstrap)
        return self._client

    def _disconnect(self) -> None:
        """Leave the broker; a producer that met an error is not used again, its sequence numbers may have a gap."""
        if self._client is not None:
            self._client.close()
        self._client = None
        self._log = None

    def _in_trouble(self, error: Exception) -> None:
        self._disconnect()
        now_s = time.monotonic()
        if self._trouble_since_s is None:
            self._trouble_since_s = now_s
        elif now_s - self._said_at_s < SAY_AGAIN_S:
            return
        self._said_at_s = now_s
        self._say(
            f"{self._outbox.pending_count()} events wait in the outbox {self._outbox.path}; "
            f"Kafka at {self._bootstrap}: {str(error) or type(error).__name__}; trying again"
        )

    def _out_of_trouble(self) -> None:
        self._backoff_s = BACKOFF_FIRST_S
        if self._trouble_since_s is not None:
            waited_s = time.monotonic() - self._trouble_since_s
            self._trouble_since_s = None
            self._say(f"Kafka at {self._bootstrap} takes events again after {waited_s:.0f} s")

    def _next_backoff(self) -> float:
        wait_s = self._backoff_s
        self._backoff_s = min(BACKOFF_MAX_S, wait_s * 2)
        return wait_s


class _Client:
    """A producer and an admin client of kafka-python; thrown away after an error."""

    def __init__(self, bootstrap: str) -> None:
        reachable(bootstrap)
        common: dict[str, Any] = {"bootstrap_servers": bootstrap.split(","), "client_id": "jangbu-publisher"}
        common |= {"bootstrap_timeout_ms": BOOTSTRAP_TIMEOUT_MS, "reconnect_backoff_max_ms": RECONNECT_BACKOFF_MAX_MS}
        self._admin: Any = KafkaAdminClient(**common, request_timeout_ms=REQUEST_TIMEOUT_MS)
        try:
            self._producer: Any = KafkaProducer(
                **common,
                acks="all",
                enable_idempotence=True,
                compression_type=compression(),
                linger_ms=2,
                batch_size=BATCH_BYTES,
                max_request_size=REQUEST_BYTES_MAX,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
                max_block_ms=REQUEST_TIMEOUT_MS,
                allow_auto_create_topics=False,
            )
        except BaseException:
            self._admin.close()
            raise

    def describe(self, topic: str) -> LogId:
        """The life that the topic has now. Raises TopicMissing."""
        cluster_id = self._admin.describe_cluster()["cluster_id"]
        found = [entry for entry in self._admin.describe_topics([topic]) if entry["error_code"] == 0]
        if not found:
            raise TopicMissing(f"there is no topic {topic!r}: run `jangbu migrate`, which makes it")
        return LogId(str(cluster_id), str(found[0]["topic_id"]))

    def send(self, topic: str, row: Pending) -> Any:
        """A future of the record's place."""
        return self._producer.send(topic, key=row.key, value=row.value, timestamp_ms=row.accepted_ms)

    def wait_for(self, futures: Sequence[Any], stop: threading.Event) -> None:
        """Until each has its answer; once `stop` is set, at most STOP_GRACE_S longer. Delivery itself has a limit."""
        give_up_s: float | None = None
        while not all(future.is_done for future in futures):
            if stop.is_set() and give_up_s is None:
                give_up_s = time.monotonic() + STOP_GRACE_S
            if give_up_s is not None and time.monotonic() > give_up_s:
                return
            time.sleep(ANSWER_POLL_S)  # `flush` of kafka-python 3.0.12 raises when the broker asks for smaller batches

    def close(self) -> None:
        """Without waiting for what is in flight: it stays in the outbox.

        kafka-python's own `close` flushes first and, where that fails, leaves its thread running: end the thread first.
        """
        sender = self._producer._sender
        sender.force_close()
        sender.join(CLOSE_WAIT_S)
        with suppress(kafka_errors.KafkaError):
            self._producer.close(timeout=0)
        self._admin.close()


def reachable(bootstrap: str) -> None:
    """Raise KafkaConnectionError where no address takes a connection: cheaper, quicker and clearer than to let the
    clients try, which leave sockets behind when they fail."""
    last: OSError | None = None
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_TIMEOUT_S).close()
        except OSError as error:
            last = error
        else:
            return
    raise kafka_errors.KafkaConnectionError(f"no connection ({last})")


def compression() -> str:
    """zstd, or what else this installation has."""
    return "zstd" if has_zstd() else "lz4" if has_lz4() else "gzip"


def _outcome(
    rows: Sequence[Pending], futures: Sequence[Any]
) -> tuple[list[Published], list[tuple[Pending, str]], Exception | None]:
    """(what the broker has, what it will never take, one error of those that may pass)."""
    published: list[Published] = []
    refused: list[tuple[Pending, str]] = []
    passing: Exception | None = None
    for row, future in zip(rows, futures, strict=True):
        if not future.is_done:
            passing = passing or kafka_errors.KafkaTimeoutError("stopped before every acknowledgement was there")
        elif future.succeeded():
            place = future.value
            published.append(Published(row.seq, place.partition, place.offset))
        elif isinstance(future.exception, _NEVER_TAKEN):
            refused.append((row, f"{type(future.exception).__name__}: {future.exception}"))
        else:
            passing = future.exception
    return published, refused, passing
