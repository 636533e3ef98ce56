"""Comparison (b): a bare confluent-kafka loop, one thread, with the worker's own decoding and SQL; no Faust, no group.

And (c): COPY of the very rows that (b) would store into the same table with its primary key and nothing else.
"""

from __future__ import annotations

import gc
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from confluent_kafka import Consumer, TopicPartition

from producers.contract import TimeBounds
from producers.topic import TopicLog
from streams.chunk import Chunk, Record
from streams.decode import Decoder
from streams.dictionary import Dictionary
from streams.facts import load_facts
from streams.offsets import register_log
from streams.prepare import Prepared, events_copy, prepare
from streams.rows import EVENT_COLUMNS
from streams.sink import Sink, Stored

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_RECORDS = 20_000
CONSUME_WAIT_S = 1.0
COPY_EVENTS = f"copy usage_event ({', '.join(EVENT_COLUMNS)}) from stdin (format binary)"


class Hands:
    """Decode, prepare and store as the worker does, through one connection each."""

    def __init__(self, database_url: str, log: TopicLog) -> None:
        gc.set_threshold(200_000, 20, 20)  # as `streams.worker.run_worker` does, for the same reason
        self._url = database_url
        self.reference = self.connect()
        self.log_id = register_log(self.reference, log)
        self._dictionary = Dictionary(self.reference)
        self._decoder = Decoder(TimeBounds())
        self._facts = load_facts(self.reference)
        self._sink = Sink(self.connect, self.log_id, "bench")

    def connect(self) -> psycopg.Connection:
        """A connection as the worker's."""
        return psycopg.connect(self._url, autocommit=True, options="-c timezone=UTC")

    def prepare(self, chunk: Chunk) -> Prepared:
        """Decode and pack."""
        return prepare(self._decoder.decode(chunk, self._facts), self._dictionary, self.log_id)

    def store(self, prepared: Prepared) -> None:
        """One transaction."""
        outcome = self._sink.store(prepared)
        assert isinstance(outcome, Stored), outcome

    def close(self) -> None:
        """Let go of the connections."""
        self._sink.close()
        self.reference.close()


def run(settings: dict[str, Any]) -> int:
    """Read all that the topic holds, and store it."""
    log = TopicLog(**settings["log"])
    hands = Hands(settings["database_url"], log)
    for chunk in _chunks(settings["bootstrap"], log):
        hands.store(hands.prepare(chunk))
    hands.close()
    Path(settings["result"]).write_text("{}", encoding="utf-8")
    return 0


def run_copy_alone(settings: dict[str, Any]) -> int:
    """Prepare the rows of all that the topic holds, then COPY them, a transaction a chunk."""
    log = TopicLog(**settings["log"])
    hands = Hands(settings["database_url"], log)
    prepared = [events_copy(hands.prepare(chunk), ()) for chunk in _chunks(settings["bootstrap"], log)]
    rows = 0
    with hands.connect() as connection, connection.cursor() as cursor:
        began_s = time.perf_counter()
        for data in prepared:
            with cursor.copy(COPY_EVENTS) as copy:
                copy.write(data)
            rows += cursor.rowcount
        seconds = time.perf_counter() - began_s
    hands.close()
    document = {"rows": rows, "events_per_s": rows / seconds}
    Path(settings["result"]).write_text(json.dumps(document), encoding="utf-8")
    return 0


def _chunks(bootstrap: str, log: TopicLog) -> Iterator[Chunk]:
    """All records of the topic, CHUNK_RECORDS of a partition at a time."""
    places = [TopicPartition(log.topic, partition, 0) for partition in range(log.partitions)]
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": f"bare-{log.topic}", "enable.auto.commit": False,
        "auto.offset.reset": "error", "isolation.level": "read_committed",
    })  # fmt: skip
    try:
        ends = {place.partition: consumer.get_watermark_offsets(place, timeout=10.0)[1] for place in places}
        consumer.assign(places)
        held: dict[int, list[Record]] = {partition: [] for partition in ends}
        read = dict.fromkeys(ends, 0)
        while any(held.values()) or read != ends:
            for message in consumer.consume(CHUNK_RECORDS, CONSUME_WAIT_S):
                error, partition = message.error(), message.partition()
                if error is not None or partition is None:
                    raise RuntimeError(f"confluent-kafka: {error}")
                offset = message.offset()
                assert offset is not None
                held[partition].append(Record(offset, message.timestamp()[1], message.key(), message.value()))
                read[partition] = offset + 1
            for partition in held:
                is_read = read[partition] == ends[partition]
                while len(held[partition]) >= CHUNK_RECORDS or (is_read and held[partition]):
                    taken, held[partition] = held[partition][:CHUNK_RECORDS], held[partition][CHUNK_RECORDS:]
                    yield Chunk(partition, taken[0].offset, taken[-1].offset + 1, taken, 1)
    finally:
        consumer.close()
