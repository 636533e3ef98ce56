"""What is sent in a fault run, by seed: new events, copies of old ones, records that are no event. Keeps what is
accepted, so that the ledger can be held against it."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, Message, Producer
from kafka.errors import KafkaConnectionError as NoConnectionError

from producers.broker import reachable
from producers.contract import record_key
from tests.faults.events import NOW, NOW_MS, event, raw
from tests.faults.poison import CORPUS

SOURCES = ("gateway-1", "gateway-2", "게이트웨이")
MODELS = ("gpt-5-mini", "gpt-5", "claude-sonnet-4-5", "gemini-2.5-flash", "solar-pro")
USERS = 150
HOURS = 30
POISON_SHARE = 0.005
COPY_SHARE = 0.03
OLD_KEPT_MAX = 5_000
STANDSTILL_S = 60.0
REPLACED_AFTER_S = 30.0
LOOKED_AFTER_EVERY_S = 1.0
POISON_KEY = b"poison/"
SMALL_POISON = [poison.value for poison in CORPUS if poison.value is None or len(poison.value) < 2_000]

Identity = tuple[str, str]
SumKey = tuple[int, str, str, str]
"""UTC hour, model, user, unit."""


class Sent(NamedTuple):
    """A record that can be sent again."""

    key: bytes
    value: bytes | None


class Load:
    """Makes and sends. Usable from several threads; one producer, so that each key's records keep their order."""

    def __init__(self, bootstrap: str, topic: str, seed: int, log: Path) -> None:
        self._topic = topic
        self._log = log
        self._choose = Random(seed)
        self._lock = threading.Lock()
        self._made = 0
        self._old: list[Sent] = []
        self.accepted: set[Identity] = set()
        self.sums: Counter[SumKey] = Counter()
        self.records = self.poison = self.copies = 0
        self.failed: list[str] = []
        self.fatal = ""
        self._delivered = 0
        self._delivered_at_s = time.monotonic()
        self.replaced = self.poison_again = 0
        self._retired: list[Producer] = []
        self._again: list[Sent] = []
        self._bootstrap = bootstrap
        self._moved_at_s = self._looked_at_s = time.monotonic()
        self._producer = self._new_producer()

    def _new_producer(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self._bootstrap,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "compression.type": "lz4",
                "message.timeout.ms": 0,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
                "on_delivery": self._told,
                "error_cb": self._in_trouble,
            }
        )

    def send_new(self, count: int, *, shuffled: bool = False) -> None:
        """New events, now and then a copy of an old one or poison; in order of their times, or in none."""
        with self._lock:
            self._look_after_producer()
            batch = [self._new() for _ in range(count)]
            if shuffled:
                batch += self._choose.sample(self._old, min(count // 2, len(self._old)))
                self.copies += len(batch) - count
                self._choose.shuffle(batch)
            for sent in batch:
                self._send(sent)
                self._now_and_then()
        self._producer.poll(0)

    def send_copies(self, count: int) -> None:
        """Old events again, some of them several times."""
        with self._lock:
            for sent in self._choose.choices(self._old, k=count):
                self.copies += 1
                self._send(sent)
        self._producer.poll(0)

    def lines(self, count: int) -> bytes:
        """New events as an NDJSON file that somebody else will send; the caller says when they are accepted."""
        with self._lock:
            return b"".join((self._new(accept=False).value or b"") + b"\n" for _ in range(count))

    def accept_lines(self, lines: bytes) -> None:
        """They were accepted."""
        with self._lock:
            for line in lines.splitlines():
                self._accept(json.loads(line))

    def flush(self, timeout_s: float) -> int:
        """Wait until the broker has everything; how many records it does not have."""
        give_up_s = time.monotonic() + timeout_s
        while (left := self._producer.flush(1.0)) and time.monotonic() < give_up_s:
            with self._lock:
                self._look_after_producer()
        return int(left)

    def _new(self, *, accept: bool = True) -> Sent:
        choose = self._choose
        self._made += 1
        units = {"input_tokens": choose.randrange(300_000), "output_tokens": choose.randrange(5_000), "requests": 1}
        if choose.random() < 0.2:
            units["cache_read_tokens"] = choose.randrange(10_000)
        if choose.random() < 0.1:
            units["dragons"] = choose.randrange(9)
        document = event(
            f"{choose.getrandbits(64):016x}-{self._made}",
            source=choose.choice(SOURCES),
            user=f"u-{choose.randrange(USERS)}",
            time=NOW - timedelta(seconds=choose.randrange(HOURS * 3600), microseconds=choose.randrange(10**6)),
            model=choose.choice(MODELS),
            units=units,
        )
        sent = Sent(record_key(document["source"], document["id"]), raw(document))
        if accept:
            self._accept(document)
            if len(self._old) < OLD_KEPT_MAX:
                self._old.append(sent)
            else:
                self._old[choose.randrange(OLD_KEPT_MAX)] = sent
        return sent

    def _accept(self, document: dict[str, Any]) -> None:
        self.accepted.add((document["source"], document["id"]))
        hour = _hour(document["time"])
        for unit, quantity in document["data"]["units"].items():
            self.sums[hour, document["data"]["model"], document["subject"], unit] += quantity

    def _now_and_then(self) -> None:
        chance = self._choose.random()
        if chance < POISON_SHARE:
            self.poison += 1
            self._send(Sent(POISON_KEY + b"%d" % self.poison, self._choose.choice(SMALL_POISON)))
        elif chance < POISON_SHARE + COPY_SHARE:
            self.copies += 1
            self._send(self._choose.choice(self._old))

    def _send(self, sent: Sent) -> None:
        self.records += 1
        self._produce(sent)

    def _produce(self, sent: Sent) -> None:
        while True:
            try:
                self._producer.produce(self._topic, key=sent.key, value=sent.value, timestamp=NOW_MS)
            except BufferError:
                self._producer.poll(0.1)
                self._look_after_producer()
            else:
                return

    def _look_after_producer(self) -> None:
        """Replace a producer that has delivered nothing for a while although the broker takes connections.

        librdkafka 2.16 was seen to stop trying for good, without a word, once in 72 restarts of a broker that often
        went away as soon as it had come up. Why is not known.
        """
        now_s = time.monotonic()
        if now_s - self._looked_at_s < LOOKED_AFTER_EVERY_S:
            return
        self._looked_at_s = now_s
        self._producer.poll(0)
        try:
            reachable(self._bootstrap)
        except NoConnectionError:
            self._moved_at_s = now_s
        if not len(self._producer):
            self._moved_at_s = now_s
        elif now_s - self._moved_at_s > REPLACED_AFTER_S:
            self._replace_producer()

    def _replace_producer(self) -> None:
        """What the old one held is sent again by a new one. Some of it may have arrived, so it may come twice."""
        old, self._producer = self._producer, self._new_producer()
        self._retired.append(old)  # its end might wait for what it waits for
        self.replaced += 1
        self._note(f"replaced: {len(old)} records in its queue, and none delivered for {REPLACED_AFTER_S:.0f} s")
        old.purge(blocking=False)
        if left := old.flush(REPLACED_AFTER_S):
            self.failed.append(f"{left} records of a producer that stood still were not given back")
        self._moved_at_s = time.monotonic()
        again, self._again = self._again, []
        for sent in again:
            self.poison_again += sent.key.startswith(POISON_KEY)
            self._produce(sent)

    def stands_still(self) -> bool:
        """Whether it has records, and none was delivered for so long that it is not the workers that are stuck."""
        return len(self._producer) > 0 and time.monotonic() - self._delivered_at_s > STANDSTILL_S

    def state(self) -> str:
        """What the producer holds and what came of the rest, in a line; its troubles are in its log."""
        return (
            f"{self.records} records given, {self._delivered} delivered, the last "
            f"{time.monotonic() - self._delivered_at_s:.1f} s ago, {len(self._producer)} in its queue, "
            f"replaced {self.replaced} times, {len(self.failed)} refused {self.failed[:3]}, "
            f"fatal error: {self.fatal or 'none'}; log: {self._log}"
        )

    def _told(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._delivered += 1
            self._delivered_at_s = self._moved_at_s = time.monotonic()
        elif error.code() in (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT):
            self._again.append(Sent(message.key() or b"", message.value()))
        else:
            self.failed.append(str(error))
            self._note(f"a record was not delivered: {error}")

    def _in_trouble(self, error: KafkaError) -> None:
        """librdkafka's own troubles: connections lost, which it mends itself, and fatal ones, which nothing mends."""
        if error.fatal():
            self.fatal = str(error)
        self._note(f"{'fatal: ' if error.fatal() else ''}{error}")

    def _note(self, line: str) -> None:
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%H:%M:%S')} {line}\n")


def _hour(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp()) // 3600
