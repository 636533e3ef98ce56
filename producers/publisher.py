"""From the outbox to the topic: in sequence, for ever trying, never losing.

An idempotent producer (`acks=all`, `producers.broker`), key = identity, record timestamp = time of acceptance.

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
import threading
import time
from typing import TYPE_CHECKING

from kafka import errors as kafka_errors

from producers.broker import Answer, Broker, NotAcknowledged, TooLarge
from producers.outbox import LogId, Outbox, OutboxError, Pending, Positions, Published
from producers.topic import TOPIC, TopicMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from producers.broker_access import BrokerAccess

IDLE_WAIT_S = 0.02
CONFIRM_EVERY_S = 0.5
BACKOFF_FIRST_S = 0.2
BACKOFF_MAX_S = 5.0
SAY_AGAIN_S = 30.0
SPACE_EVERY_ROWS = 20_000

_log = logging.getLogger(__name__)


class Publisher:
    """Publishes one outbox; hold its PublishingLock meanwhile.

    Args:
        outbox: whose rows are published.
        broker: where Kafka is.
        topic: must exist (`jangbu migrate` makes it).
        stored: None for a broker that keeps its log: rows leave when it has them. For a memory-only broker, how far
            PostgreSQL has read each log and partition: rows leave below it, the others are published again to a
            broker that was started anew. May raise OSError or ConnectionError while PostgreSQL is away.
        say: where troubles and their end are told, a sentence each.
    """

    def __init__(
        self,
        outbox: Outbox,
        broker: BrokerAccess,
        topic: str = TOPIC,
        *,
        stored: Callable[[], Positions] | None = None,
        say: Callable[[str], None] = _log.warning,
    ) -> None:
        self._outbox = outbox
        self._broker = broker
        self._topic = topic
        self._stored = stored
        self._say = say
        self._client: Broker | None = None
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
        published, refused, error = _outcome(rows, client.publish(self._topic, rows, stop))
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

    def _log_now(self, client: Broker) -> LogId:
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

    def _confirm(self, client: Broker) -> None:
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

    def _connected(self) -> Broker:
        if self._client is None:
            self._client = Broker(self._broker)
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
            f"Kafka at {self._broker}: {str(error) or type(error).__name__}; trying again"
        )

    def _out_of_trouble(self) -> None:
        self._backoff_s = BACKOFF_FIRST_S
        if self._trouble_since_s is not None:
            waited_s = time.monotonic() - self._trouble_since_s
            self._trouble_since_s = None
            self._say(f"Kafka at {self._broker} takes events again after {waited_s:.0f} s")

    def _next_backoff(self) -> float:
        wait_s = self._backoff_s
        self._backoff_s = min(BACKOFF_MAX_S, wait_s * 2)
        return wait_s


def _outcome(
    rows: Sequence[Pending], answers: Sequence[Answer]
) -> tuple[list[Published], list[tuple[Pending, str]], NotAcknowledged | None]:
    """(what the broker has, what it will never take, one error of those that may pass)."""
    published: list[Published] = []
    refused: list[tuple[Pending, str]] = []
    passing: NotAcknowledged | None = None
    for row, answer in zip(rows, answers, strict=True):
        if isinstance(answer, Published):
            published.append(answer)
        elif isinstance(answer, TooLarge):
            refused.append((row, answer.reason))
        else:
            passing = answer
    return published, refused, passing
