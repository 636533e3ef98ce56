"""Chunk delivery: what a chunk claims to cover, what it never claims, and when the partition is sought again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from streams import transport
from streams.chunk import Record
from streams.transport import ChunkConsumer, ChunkConsumerThread, RecordsGone, Stretch

ONE, TWO = TP("usage.events", 1), TP("usage.events", 2)


def records(*offsets: int, value: bytes = b"x") -> list[Record]:
    return [Record(offset, 0, None, value) for offset in offsets]


class Fetches:
    """What aiokafka gives, fetch by fetch: positions after it, and its records or its error."""

    def __init__(self, begin: dict[TP, int]) -> None:
        self.positions = dict(begin)
        self.script: list[tuple[dict[TP, list[Record]], dict[TP, int], bool]] = []
        self.error: Exception | None = None
        self.asked: list[int | None] = []

    def then(self, got: dict[TP, list[Record]], positions: dict[TP, int], *, sought: bool = False) -> Fetches:
        self.script.append((got, positions, sought))
        return self

    def thread(self, monkeypatch: pytest.MonkeyPatch) -> ChunkConsumerThread:
        thread = ChunkConsumerThread.__new__(ChunkConsumerThread)

        async def fetch(_self: Any, _consumer: Any, _active: Any, timeout: float, max_records: int) -> Any:  # noqa: ASYNC109
            self.asked.append(max_records)
            if self.script:
                got, positions, sought = self.script.pop(0)
                self.positions.update(positions)
                thread._seeks += sought
                return got
            if self.error is not None:
                raise self.error
            return {}

        monkeypatch.setattr(AIOKafkaConsumerThread, "_fetch_records", fetch)
        monkeypatch.setattr(ChunkConsumerThread, "_positions", lambda _self, _consumer, _tps: dict(self.positions))
        return thread


def fetched(thread: ChunkConsumerThread, consumer: Any = None, max_records: int | None = None) -> dict[TP, Stretch]:
    return asyncio.run(thread._fetch_records(consumer, {ONE, TWO}, 1.0, max_records))


def test_a_stretch_goes_from_position_to_position(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks of transactions before, between and behind the records are covered."""
    thread = Fetches({ONE: 5}).then({ONE: records(6, 8)}, {ONE: 11}).thread(monkeypatch)
    assert fetched(thread) == {ONE: Stretch(5, 11, records(6, 8))}


def test_a_stretch_of_marks_alone_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = Fetches({ONE: 5, TWO: 0}).then({}, {ONE: 9}).thread(monkeypatch)
    assert fetched(thread) == {ONE: Stretch(5, 9, [])}


def test_nothing_fetched_is_no_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetched(Fetches({ONE: 5}).thread(monkeypatch)) == {}


def test_where_a_seek_came_between_no_more_is_claimed_than_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = Fetches({ONE: 5, TWO: 0}).then({ONE: records(6, 8)}, {ONE: 2, TWO: 7}, sought=True).thread(monkeypatch)
    assert fetched(thread) == {ONE: Stretch(6, 9, records(6, 8))}


def test_where_the_position_is_not_known_no_more_is_claimed_than_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = Fetches({}).then({ONE: records(6, 8)}, {}).thread(monkeypatch)
    assert fetched(thread) == {ONE: Stretch(6, 9, records(6, 8))}


def test_stretches_that_touch_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    fetches = Fetches({ONE: 0, TWO: 0}).then({ONE: records(0, 1)}, {ONE: 2})
    fetches.then({ONE: records(2), TWO: records(0)}, {ONE: 3, TWO: 1})
    assert fetched(fetches.thread(monkeypatch)) == {
        ONE: Stretch(0, 3, records(0, 1, 2)),
        TWO: Stretch(0, 1, records(0)),
    }


def test_stretches_that_do_not_touch_are_never_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """The later one is left: its successor shows the gap, and the sink sends the reader back."""
    thread = Fetches({}).then({ONE: records(0, 1)}, {}).then({ONE: records(4, 5)}, {}).thread(monkeypatch)
    assert fetched(thread) == {ONE: Stretch(0, 2, records(0, 1))}


def test_a_fetch_is_bounded_in_records(monkeypatch: pytest.MonkeyPatch) -> None:
    fetches = Fetches({ONE: 0})
    for number in range(9):
        fetches.then({ONE: records(*range(number * 10, number * 10 + 10))}, {ONE: number * 10 + 10})
    (stretch,) = fetched(fetches.thread(monkeypatch), max_records=25).values()
    assert len(stretch.records) == 30
    assert set(fetches.asked) == {transport._STEP_RECORDS}


def test_a_fetch_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CHUNK_BYTES_MAX", 1_500)
    fetches = Fetches({ONE: 0})
    for number in range(9):
        fetches.then({ONE: records(number, value=b"x" * 1_000)}, {ONE: number + 1})
    (stretch,) = fetched(fetches.thread(monkeypatch)).values()
    assert len(stretch.records) == 2


def test_a_partition_without_a_position_is_told_to_be_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    fetches = Fetches({ONE: 0}).then({ONE: records(0)}, {ONE: 1})
    fetches.error = NoOffsetForPartitionError(TWO)
    thread = fetches.thread(monkeypatch)
    assert fetched(thread) == {ONE: Stretch(0, 1, records(0))}
    assert thread.is_unsought


class Log:
    """A consumer that knows where a partition's log begins and ends."""

    def __init__(self, begin: int, end: int) -> None:
        self.begin, self.end = begin, end

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, self.begin)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, self.end)


@pytest.mark.parametrize(
    ("begin", "end", "said"),
    [
        (12, 30, "usage.events, partition 1: 7 records are gone from Kafka before they were read"),
        (0, 4, "usage.events, partition 1: SQL has read up to offset 5, the log ends at 4: Kafka lost 1 records"),
    ],
)
def test_an_offset_that_kafka_does_not_hold_ends_the_worker(
    monkeypatch: pytest.MonkeyPatch, begin: int, end: int, said: str
) -> None:
    fetches = Fetches({ONE: 5})
    fetches.error = OffsetOutOfRangeError({TopicPartition("usage.events", 1): 5})
    with pytest.raises(RecordsGone, match=said):
        fetched(fetches.thread(monkeypatch), Log(begin, end))


@pytest.mark.parametrize(("begin", "end"), [(5, 30), (0, 5), (5, 5)])
def test_an_offset_that_kafka_holds_after_all_is_read_again(
    monkeypatch: pytest.MonkeyPatch, begin: int, end: int
) -> None:
    fetches = Fetches({ONE: 5})
    fetches.error = OffsetOutOfRangeError({TopicPartition("usage.events", 1): 5})
    assert fetched(fetches.thread(monkeypatch), Log(begin, end)) == {}


def test_a_seek_that_a_rebalance_overtook_seeks_what_is_still_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    sought: dict[TP, int] = {}

    async def seek(_self: Any, _consumer: Any, partitions: dict[TP, int]) -> None:
        sought.update(partitions)

    monkeypatch.setattr(AIOKafkaConsumerThread, "_seek_wait", seek)
    thread = ChunkConsumerThread.__new__(ChunkConsumerThread)
    consumer = SimpleNamespace(assignment=lambda: {TopicPartition(*TWO)})
    asyncio.run(thread._seek_wait(consumer, {ONE: 5, TWO: 0}))
    assert sought == {TWO: 0}
    assert thread._seeks > 0


class Consumers:
    """A ChunkConsumer without Faust around it."""

    def __init__(self, got: dict[TP, Stretch], active: set[TP] | None = None) -> None:
        self.consumer = ChunkConsumer.__new__(ChunkConsumer)
        self.app = SimpleNamespace(consumer_generation_id=3)
        self.seeks = 0
        self.consumer.app = self.app
        self.consumer._thread = SimpleNamespace(is_unsought=False)
        self.consumer._stopped = asyncio.Event()
        self.consumer._crashed = asyncio.Event()
        self.consumer._buffered_partitions = set()
        self.consumer.flow_active = True

        async def wait(_timeout: float) -> Any:
            return got, active

        async def perform_seek() -> None:
            self.seeks += 1

        self.consumer._wait_next_records = wait
        self.consumer.perform_seek = perform_seek

    def messages(self, after_first: Any = None) -> list[Any]:
        async def read() -> list[Any]:
            found = []
            async for tp, message in self.consumer.getmany(1.0):
                found.append((tp, message))
                if after_first is not None and len(found) == 1:
                    after_first()
            return found

        return asyncio.run(read())


GOT = {ONE: Stretch(5, 9, records(5, 7)), TWO: Stretch(0, 1, records(0))}


def test_a_message_is_a_partitions_chunk() -> None:
    (tp, message), (other, _) = Consumers(GOT).messages()
    assert (tp, other) == (ONE, TWO)
    chunk = message.value
    assert (chunk.partition, chunk.first_offset, chunk.next_offset, chunk.generation) == (1, 5, 9, 3)
    assert chunk.records == records(5, 7)
    assert (message.offset, message.generation_id) == (8, 3)


def test_a_partition_that_is_not_active_gets_no_chunk() -> None:
    consumers = Consumers(GOT, {TWO})
    assert [tp for tp, _ in consumers.messages()] == [TWO]
    consumers.consumer._buffered_partitions.add(ONE)
    assert [tp for tp, _ in consumers.messages()] == [ONE, TWO]


def test_chunks_of_an_old_generation_are_not_handed_over() -> None:
    consumers = Consumers(GOT)

    def rebalance() -> None:
        consumers.app.consumer_generation_id += 1

    assert [tp for tp, _ in consumers.messages(rebalance)] == [ONE]


def test_chunks_are_not_handed_over_while_partitions_are_revoked() -> None:
    consumers = Consumers(GOT)
    assert [tp for tp, _ in consumers.messages(lambda: setattr(consumers.consumer, "flow_active", False))] == [ONE]
    assert consumers.messages() == []
    assert consumers.seeks == 1


def test_partitions_without_a_position_are_sought_before_anything_is_handed_over() -> None:
    consumers = Consumers(GOT)
    consumers.consumer._thread.is_unsought = True
    assert consumers.messages() == []
    assert (consumers.seeks, consumers.consumer._thread.is_unsought) == (1, False)
    assert len(consumers.messages()) == 2
