"""`jangbu wait --caught-up`: what is accepted when it is called, and whether PostgreSQL has it (contract, section 3).

Noted at the call: the last row of the data directory's outbox, and the end of every partition. Reached is a partition
when SQL's `next_offset`, which moves in the transaction that stores events and sums, is at or past both the noted end
and the last of the noted rows. Nothing that did not answer is taken for reached: Kafka must have told its ends and SQL
its offsets for the same life of the topic.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kafka import errors as kafka_errors

from billing.sentences import Sentence
from jangbu.errors import SettingsError
from jangbu.ingesting import StoredOffsets, quiet_kafka
from jangbu.services import join
from jangbu.settings_kafka import broker_of
from producers.broker_refusal import NotLetIn
from producers.outbox import LogId, Outbox, OutboxError
from producers.publishing_lock import PublishingLock
from producers.topic import TopicLog, TopicMissing, describe_log, nothing_left, reach

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jangbu.settings import Settings
    from producers.broker_access import BrokerAccess

LOOK_EVERY_S = 0.1
DESCRIBE_EVERY_S = 2.0
STUCK_S = 1.0
SAY_EVERY_S = 10.0
JOIN_TIMEOUT_S = 60.0


@dataclass(slots=True)
class Outcome:
    """Where everything stands. `missing` is a sentence's end, empty when nothing is."""

    last_row: int
    log: TopicLog
    ends: dict[int, int]
    stored: dict[int, int] = field(default_factory=dict)
    unpublished: int = 0
    missing: str = Sentence("nothing has answered yet")

    def as_document(self) -> dict[str, Any]:
        """For `--json`; offsets count records of any kind."""
        partitions = [
            {"partition": partition, "end": end, "stored": self.stored.get(partition)}
            for partition, end in sorted(self.ends.items())
        ]
        return {
            "caught_up": not self.missing,
            "missing": self.missing or None,
            "outbox": {"last_row": self.last_row, "unpublished": self.unpublished},
            "topic": self.log.topic,
            "partitions": partitions,
        }


def wait_until_caught_up(
    settings: Settings, outbox_path: Path | None, timeout_s: float | None, say: Callable[[str], None]
) -> Outcome:
    """Look until all that was noted is stored, or the time is over.

    Raises SettingsError where Kafka or PostgreSQL cannot be had at all.
    """
    quiet_kafka()
    began_s = time.monotonic()
    deadline_s = None if timeout_s is None else began_s + timeout_s
    outbox = None if outbox_path is None else _opened(outbox_path)
    try:
        last_row = 0 if outbox is None else outbox.last_seq()
        join_s = JOIN_TIMEOUT_S if timeout_s is None else min(JOIN_TIMEOUT_S, max(timeout_s, 1.0))
        with join(settings, need={"postgres", "kafka"}, timeout_s=join_s) as endpoints:
            broker = broker_of(settings, endpoints)
            if broker is None:
                raise SettingsError("no Kafka is set and none runs: start `jangbu up` or set JANGBU_KAFKA_BOOTSTRAP")
            stored = StoredOffsets(endpoints.database_url_reader, settings.topic)
            watch = _Watch(broker, settings.topic, outbox, last_row, stored)
            try:
                return watch.until(deadline_s, say)
            finally:
                stored.close()
    except OutboxError as error:
        raise SettingsError(str(error)) from error
    finally:
        if outbox is not None:
            outbox.close()


class _Watch:
    """Compares what was noted with what SQL has."""

    def __init__(
        self, broker: BrokerAccess, topic: str, outbox: Outbox | None, last_row: int, stored: StoredOffsets
    ) -> None:
        self._broker = broker
        self._topic = topic
        self._outbox = outbox
        self._last_row = last_row
        self._stored = stored
        self._described_s = time.monotonic()
        self._outbox_noted = outbox is None
        self._empty_tails: set[tuple[int, int]] = set()
        try:
            log = describe_log(broker, topic)
            self.outcome = Outcome(last_row, log, _ends(broker, log))
        except TopicMissing as error:
            raise SettingsError(str(error)) from error
        except NotLetIn as error:
            raise SettingsError(str(error)) from error
        except kafka_errors.KafkaError as error:
            sentence = f"Kafka at {broker} does not answer ({error}): check JANGBU_KAFKA_BOOTSTRAP"
            raise SettingsError(sentence) from error

    def until(self, deadline_s: float | None, say: Callable[[str], None]) -> Outcome:
        """Look again and again."""
        said_s = moved_s = time.monotonic()
        before: dict[int, int] = {}
        while True:
            self._look()
            now_s = time.monotonic()
            if not self.outcome.missing or (deadline_s is not None and now_s >= deadline_s):
                return self.outcome
            if self.outcome.stored != before:
                before, moved_s = dict(self.outcome.stored), now_s
            elif now_s - moved_s > STUCK_S:
                moved_s = now_s
                self._pass_over_empty_tails()
            if now_s - said_s > SAY_EVERY_S:
                said_s = now_s
                say(f"waiting: {self.outcome.missing}")
            time.sleep(LOOK_EVERY_S)

    def _look(self) -> None:
        """One comparison. Who does not answer is told in `missing` and asked again."""
        outcome = self.outcome
        try:
            self._follow_the_log()
            log = LogId(outcome.log.cluster_id, outcome.log.topic_id)
            positions = self._stored()
        except (kafka_errors.KafkaError, TopicMissing, ConnectionError) as error:
            outcome.missing = str(error) or type(error).__name__
            return
        outcome.stored = {partition: offset for (of, partition), offset in positions.items() if of == log}
        waiting = self._waiting_rows(log)
        if waiting:
            outcome.missing = waiting
            return
        behind = {
            partition: end - outcome.stored.get(partition, 0)
            for partition, end in outcome.ends.items()
            if outcome.stored.get(partition, 0) < end and not self._is_empty_tail(partition)
        }
        outcome.missing = (
            Sentence(
                "PostgreSQL lacks %(count)s offsets in partitions %(partitions)s of %(topic)s; "
                "does a worker run (`jangbu up`, `jangbu worker`)?",
                count=sum(behind.values()), partitions=sorted(behind), topic=outcome.log.topic,
            )
            if behind
            else ""
        )

    def _waiting_rows(self, log: LogId) -> str:
        """What the noted rows of the outbox still wait for; once nothing, their offsets are among the ends."""
        if self._outbox is None:
            return ""
        pending = self._outbox.pending_count(self._last_row)
        elsewhere = self._outbox.published_elsewhere(log, self._last_row)
        self.outcome.unpublished = pending + elsewhere
        if pending or elsewhere:
            refused = len(self._outbox.refused())
            if refused:
                return Sentence(
                    "Kafka refuses %(count)s events of %(outbox)s: raise the topic's max.message.bytes",
                    count=refused, outbox=self._outbox.path,
                )  # fmt: skip
            running = PublishingLock(self._outbox.path).holder_runs_on()
            remedy = "" if running else Sentence("; no publisher runs: start `jangbu up` or `jangbu publisher`")
            return Sentence(
                "%(count)s events of the outbox %(outbox)s are not published%(remedy)s",
                count=pending + elsewhere, outbox=self._outbox.path, remedy=remedy,
            )  # fmt: skip
        if not self._outbox_noted:
            for partition, end in self._outbox.reach(log).items():
                self.outcome.ends[partition] = max(end, self.outcome.ends.get(partition, 0))
            self._outbox_noted = True
        return ""

    def _follow_the_log(self) -> None:
        """A broker that forgets may start anew while we wait: what it lost comes again from the outbox."""
        if time.monotonic() - self._described_s < DESCRIBE_EVERY_S:
            return
        self._described_s = time.monotonic()
        log = describe_log(self._broker, self._topic)
        if log.topic_id != self.outcome.log.topic_id or log.cluster_id != self.outcome.log.cluster_id:
            self.outcome.ends = _ends(self._broker, log)
            self.outcome.log = log
            self.outcome.stored = {}
            self._outbox_noted = self._outbox is None
            self._empty_tails.clear()

    def _is_empty_tail(self, partition: int) -> bool:
        return (partition, self.outcome.stored.get(partition, 0)) in self._empty_tails

    def _pass_over_empty_tails(self) -> None:
        """Offsets at the end of a partition that no reader ever sees: ask the broker, not the clock."""
        for partition, end in self.outcome.ends.items():
            start = self.outcome.stored.get(partition)
            if start is None or start >= end or self._is_empty_tail(partition):
                continue
            try:
                if nothing_left(self._broker, self.outcome.log, partition, start, end):
                    self._empty_tails.add((partition, start))
            except kafka_errors.KafkaError:
                continue  # asked again later


def _ends(broker: BrokerAccess, log: TopicLog) -> dict[int, int]:
    return {partition: place.end for partition, place in reach(broker, log).items()}


def _opened(path: Path) -> Outbox:
    try:
        return Outbox(path)
    except OutboxError as error:
        raise SettingsError(str(error)) from error
