"""One connection to Kafka for a publisher: which life a topic has, and rows sent until each has its answer.

librdkafka sends (`acks=all`, idempotent, murmur2 of the key as Kafka's Java clients do, so that copies of one event
from any producer meet): publishing takes half the processor time that it takes by a producer in Python; kafka-python
asks about the topic. Both are thrown away after an error: sequence numbers of an idempotent producer may have a gap.
"""

from __future__ import annotations

import logging
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer
from kafka import KafkaAdminClient
from kafka import errors as kafka_errors

from producers.broker_refusal import let_in
from producers.outbox import LogId, Pending, Published
from producers.topic import log_seen_by

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from producers.broker_access import BrokerAccess

REQUEST_TIMEOUT_MS = 10_000
DELIVERY_TIMEOUT_MS = 30_000
STOP_GRACE_S = 5.0
PROBE_TIMEOUT_S = 3.0
ANSWER_POLL_S = 0.05
"""Also how soon a wish to stop is noticed; answers wake at once."""
RECONNECT_BACKOFF_MAX_MS = 1_000
BATCH_BYTES = 256 * 1024
LINGER_MS = 2
REQUEST_BYTES_MAX = 2 * 1024 * 1024
"""Above the topic's `max.message.bytes`, so that it is the broker that says no, and its reason is kept."""
BOOTSTRAP_TIMEOUT_MS = 5_000
_TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
_log = logging.getLogger("kafka")


class TooLarge(NamedTuple):
    """The broker will never take this row as it is."""

    reason: str


class NotAcknowledged(OSError):
    """Whether a row was taken is not known, or it was not: it is to be sent again."""


Answer = Published | TooLarge | NotAcknowledged


class Broker:
    """A producer and an admin client. Raises OSError or kafka.errors.KafkaError where no broker answers."""

    def __init__(self, broker: BrokerAccess) -> None:
        self._broker = broker
        reachable(broker.bootstrap)
        settings = {
            "client_id": "jangbu-publisher",
            "bootstrap_timeout_ms": BOOTSTRAP_TIMEOUT_MS,
            "reconnect_backoff_max_ms": RECONNECT_BACKOFF_MAX_MS,
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
            **broker.for_kafka_python(),
        }
        self._admin: Any = let_in(broker, lambda: KafkaAdminClient(**settings))
        try:
            self._producer = Producer(_settings(broker), logger=_log)
        except BaseException:
            self._admin.close()
            raise

    def describe(self, topic: str) -> LogId:
        """The life that the topic has now. Raises TopicMissing, NotLetIn."""
        log = log_seen_by(self._admin, self._broker, topic)
        return LogId(log.cluster_id, log.topic_id)

    def publish(self, topic: str, rows: Sequence[Pending], stop: threading.Event) -> list[Answer]:
        """Send rows; an answer for each, in their order. Once `stop` is set, waits at most STOP_GRACE_S longer.

        Rows travel in batches, and a broker refuses a batch as a whole: what it says to be too large is sent once more,
        each row by itself.
        """
        answers = self._send(topic, rows, stop)
        if len(rows) > 1:
            for place, row in enumerate(rows):
                if isinstance(answers[place], TooLarge):
                    (answers[place],) = self._send(topic, (row,), stop)
        return answers

    def close(self) -> None:
        """Without waiting for what is in flight: it stays in the outbox."""
        self._producer.purge()
        self._producer.poll(0)
        self._admin.close()

    def _send(self, topic: str, rows: Sequence[Pending], stop: threading.Event) -> list[Answer]:
        answers: list[Answer | None] = [None] * len(rows)
        left = len(rows)

        def heard(place: int, seq: int) -> Callable[[KafkaError | None, Any], None]:
            def hear(error: KafkaError | None, message: Any) -> None:
                nonlocal left
                left -= 1
                if error is None:
                    answers[place] = Published(seq, message.partition(), message.offset())
                else:
                    answers[place] = _refusal(error)

            return hear

        produce = self._producer.produce
        for place, row in enumerate(rows):
            hear = heard(place, row.seq)
            try:
                produce(topic, row.value, row.key, timestamp=row.accepted_ms, on_delivery=hear)
            except KafkaException as error:
                hear(error.args[0], None)
            except BufferError as error:
                hear(KafkaError(KafkaError._QUEUE_FULL, str(error)), None)
        give_up_s: float | None = None
        while left:
            if stop.is_set() and give_up_s is None:
                give_up_s = time.monotonic() + STOP_GRACE_S
            if give_up_s is not None and time.monotonic() > give_up_s:
                break
            self._producer.poll(ANSWER_POLL_S)
        silent = NotAcknowledged("stopped before every acknowledgement was there")
        return [silent if answer is None else answer for answer in answers]


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


def _settings(broker: BrokerAccess) -> dict[str, Any]:
    """librdkafka's, by its names."""
    return {
        **broker.for_librdkafka(),
        "client.id": "jangbu-publisher",
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "compression.type": "zstd",
        "linger.ms": LINGER_MS,
        "batch.size": BATCH_BYTES,
        "message.max.bytes": REQUEST_BYTES_MAX,
        "request.timeout.ms": REQUEST_TIMEOUT_MS,
        "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
        "reconnect.backoff.max.ms": RECONNECT_BACKOFF_MAX_MS,
        "allow.auto.create.topics": False,
    }


def _refusal(error: KafkaError) -> Answer:
    """What an error says of a row."""
    words = f"{error.name()}: {error.str()}"
    return TooLarge(words) if error.code() in _TOO_LARGE else NotAcknowledged(words)
