"""Chunk delivery: Faust gets one message for all records that a partition's fetch returned.

Faust spends about 50 µs on a message, whatever it holds; so a message here holds up to thousands of records. Faust
keeps group membership, rebalancing, agents and lifecycle. It does not keep offsets: the topic is declared with
`acks=False`, and where to read on is asked of SQL each time partitions are assigned (`OffsetStore.read_from`).

What each piece guarantees, and what happens where it fails:

- `ChunkConsumer.getmany` yields a chunk only for a partition that is active in the generation in which it was fetched.
  A chunk that Faust drops on the way (a rebalance does) shows as a gap below the next one; the sink refuses that one
  and the partition is read again from SQL's offset.
- `ChunkConsumer.seek_to_committed` seeks explicitly, also to 0, since aiokafka's own does nothing for 0 or None.
- `ChunkConsumerThread` reads `read_committed`, whatever Faust's guarantee setting says, so that records of aborted
  transactions are never counted; and it has no reset policy, so that an offset that Kafka no longer holds ends the
  worker with a sentence (`RecordsGone`) instead of being passed over.
- Where a seek failed or timed out, `getmany` finds partitions without a position and seeks again; nothing is read
  before that.
- `ChunkConsumerThread` asks aiokafka's background tasks how they are (streams/membership.py); nobody else does.
- A chunk says which stretch of offsets it covers, by the consumer's positions just before and after; where a seek or a
  rebalance came between, it claims no more than its records.
- A chunk is bounded in records and bytes, and so is what waits: `stream_buffer_maxsize` chunks a channel, then the
  partition is left out of fetching (`on_buffer_full`) until there is room.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import aiokafka
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.drivers.aiokafka import (
    AIOKafkaConsumerThread,
    Consumer,
    Transport,
    credentials_to_aiokafka_auth,
    server_list,
)
from faust.types import TP, ConsumerMessage
from mode import Service

from streams.chunk import Chunk, Record
from streams.membership import LOOKED_AFTER_EVERY_SECONDS, Membership, is_pending

logger = logging.getLogger("jangbu.worker")

CHUNK_RECORDS_MAX = 20_000
CHUNK_BYTES_MAX = 12_000_000
_STEP_RECORDS = 500
"""Records asked of aiokafka at once, so that a chunk of large records passes its bound by no more than these."""
FETCH_BYTES_MAX = 4_194_304
"""A partition's fetch, compressed: what aiokafka holds ahead for each partition."""

NOTHING_FETCHED_SECONDS_MAX = 24 * 24 * 3600
"""Never. While PostgreSQL is away nothing is fetched, for hours perhaps. aiokafka would leave the group after Faust's
`broker_max_poll_interval` and not join it again before something is fetched, while Faust would fetch nothing before the
group is joined again: both would wait for ever. That the worker lives is what its heartbeats say."""
SEEK_SECONDS_MAX = 10.0
"""How long a seek to SQL's offsets may take at once; where SQL is away for longer, it is tried again."""
STOP_SECONDS_MAX = 5.0
"""How long a worker that is asked to end tries to leave its group."""


@dataclass(slots=True)
class Stretch:
    """Records of one partition in one piece, and the offsets that they cover, half-open."""

    first_offset: int
    next_offset: int
    records: list[Record]


class OffsetStore(Protocol):
    """Where reading goes on, by partition; SQL in production."""

    async def read_from(self, partitions: set[int]) -> dict[int, int]:
        """The next offset to read for each partition asked. Waits while SQL is away."""


class RecordsGone(RuntimeError):
    """Kafka no longer holds, or does not yet hold, the offset that SQL says is next: nothing may be passed over."""


class LightRecords(fetcher.PartitionRecords):
    """A fetch's records as `Record`s: a tuple of four instead of an object of eleven fields, 1.3 µs less a record."""

    def _consumer_record(self, tp: TP, record: Any) -> Record:  # noqa: ARG002 - aiokafka's signature
        return _new_record(Record, (record.offset, record.timestamp, record.key, record.value))


_new_record = tuple.__new__
# aiokafka's fetcher names the class where it makes one, and takes no other by setting.
fetcher.PartitionRecords = LightRecords


class ChunkConsumerThread(AIOKafkaConsumerThread):
    """The thread that talks to Kafka: an aiokafka consumer with settings fit for billing."""

    _seeks = 0
    _assignment_seen: object = None
    is_unsought = False
    """A partition was to be read that has no position yet."""

    def _create_worker_consumer(self, transport: Transport) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        self._assignor = RoundRobinPartitionAssignor
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            bootstrap_servers=server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_poll_records=CHUNK_RECORDS_MAX,
            max_poll_interval_ms=NOTHING_FETCHED_SECONDS_MAX * 1000,
            max_partition_fetch_bytes=FETCH_BYTES_MAX,
            fetch_max_wait_ms=500,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            check_crcs=conf.broker_check_crcs,
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            **credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )

    async def _fetch_records(
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> dict[TP, Stretch]:
        """Stretches by partition: waits for the first records, then takes what is there, up to a chunk's bounds."""
        stretches: dict[TP, Stretch] = {}
        records_n = bytes_n = 0
        while records_n < (max_records or CHUNK_RECORDS_MAX) and bytes_n < CHUNK_BYTES_MAX:
            before, seeks = self._positions(consumer, active_partitions), self._seeks
            try:
                fetched = await super()._fetch_records(
                    consumer, active_partitions, timeout=0 if stretches else timeout, max_records=_STEP_RECORDS
                )
            except NoOffsetForPartitionError:
                self.is_unsought = True  # a seek failed: `getmany` sees to it
                return stretches
            except OffsetOutOfRangeError as error:
                await self._refuse_what_is_gone(consumer, error.args[0])
                return stretches
            except KafkaError:
                if not is_pending(consumer):
                    raise
                return stretches  # the coordinator's, told to whoever waits: `_look_after_membership` sees to it
            undisturbed = seeks == self._seeks
            after = self._positions(consumer, active_partitions) if undisturbed else {}
            for tp in set(fetched) | {tp for tp in after if after[tp] != before.get(tp)}:
                records = fetched.get(tp, [])
                first, following = before.get(tp), after.get(tp)
                if first is None or following is None or not undisturbed:
                    if not records:
                        continue
                    first, following = records[0].offset, records[-1].offset + 1
                self._extend(stretches, tp, Stretch(first, following, records))
                records_n += len(records)
                bytes_n += sum(len(record.value or b"") for record in records)
            if not fetched or not undisturbed:
                break
        return stretches

    def _extend(self, stretches: dict[TP, Stretch], tp: TP, more: Stretch) -> None:
        """Join a stretch to the one before it; where they do not touch, the later one is left for a gap to show."""
        held = stretches.get(tp)
        if held is None:
            stretches[tp] = more
        elif held.next_offset == more.first_offset:
            held.next_offset = more.next_offset
            held.records += more.records

    def _positions(self, consumer: aiokafka.AIOKafkaConsumer, partitions: set[TP]) -> dict[TP, int]:
        """Where aiokafka stands in each partition, without asking the broker. Counts a new assignment as a seek."""
        assignment = consumer._subscription.subscription.assignment if consumer._subscription.subscription else None
        if assignment is not self._assignment_seen:
            self._assignment_seen = assignment
            self._seeks += 1
        positions: dict[TP, int] = {}
        if assignment is None:
            return positions
        for tp in partitions:
            state = assignment.state_value(TopicPartition(tp.topic, tp.partition))
            if state is not None and state.has_valid_position:
                positions[tp] = state.position
        return positions

    async def _refuse_what_is_gone(
        self, consumer: aiokafka.AIOKafkaConsumer, wanted: Mapping[TopicPartition, int]
    ) -> None:
        """Raise RecordsGone for offsets outside of what Kafka holds; return where it holds them after all."""
        begins = await consumer.beginning_offsets(list(wanted))
        ends = await consumer.end_offsets(list(wanted))
        for place, offset in wanted.items():
            where = f"{place.topic}, partition {place.partition}"
            if offset < begins[place]:
                raise RecordsGone(
                    f"{where}: {begins[place] - offset} records are gone from Kafka before they were read: SQL has "
                    f"read up to offset {offset}, the log begins at {begins[place]}. Nothing is passed over: restore "
                    f"them, or accept the loss with `jangbu quarantine accept-lost --partition {place.partition} --to "
                    f"{begins[place]} --reason TEXT`"
                )
            if offset > ends[place]:
                raise RecordsGone(
                    f"{where}: SQL has read up to offset {offset}, the log ends at {ends[place]}: Kafka lost "
                    f"{offset - ends[place]} records, or the topic was made again. Start the worker again; if it says "
                    "this again, make the topic anew, so that its offsets count from 0"
                )

    async def _seek_wait(self, consumer: aiokafka.AIOKafkaConsumer, partitions: Mapping[TP, int]) -> None:
        """Seek those that are still ours: a rebalance may have come while SQL was asked; another seek follows it."""
        assigned = consumer.assignment()
        ours = {tp: offset for tp, offset in partitions.items() if TopicPartition(tp.topic, tp.partition) in assigned}
        self._seeks += 1
        await super()._seek_wait(consumer, ours)
        self._seeks += 1

    @Service.task  # type: ignore[untyped-decorator]
    async def _look_after_membership(self) -> None:
        """What aiokafka's background tasks met is taken note of here; what they cannot mend ends the worker."""
        membership: Membership | None = None
        while not self.should_stop:
            await self.sleep(LOOKED_AFTER_EVERY_SECONDS)
            if self._consumer is None or self._consumer._closed or self.should_stop:
                continue
            membership = membership or Membership(self._consumer)
            fault = membership.fault(flow_active=self.consumer.flow_active)
            if fault is not None:
                asyncio.run_coroutine_threadsafe(self.app.crash(fault), self.parent_loop)
                return

    async def on_thread_stop(self) -> None:
        """Leave the group. A broker that is away is not waited for: it forgets us by itself.

        aiokafka's fetcher, cancelled while it waits for a broker, hands its cancellation on to us (0.14, `close`): the
        thread would end without saying so, and the worker would wait for it for ever.
        """
        with contextlib.suppress(asyncio.CancelledError, TimeoutError):
            await asyncio.wait_for(super().on_thread_stop(), STOP_SECONDS_MAX)

    def seek(self, partition: TP, offset: int) -> None:
        """Seek, and remember that positions have moved."""
        self._seeks += 1
        super().seek(partition, offset)


class ChunkConsumer(Consumer):
    """Faust's consumer, handing over chunks and starting where SQL says."""

    def on_buffer_full(self, tp: TP) -> None:
        """Do not pause the partition whose chunk filled the queue: what is delivered next waits for room instead.

        A paused partition goes on only when somebody finds the queue quite empty, and while a worker is behind the
        others keep it filled: seen at 5,000 events/s, one partition stood still for half a minute while seven went on.
        The queue's own bound holds back all partitions alike, so memory is bounded as before.
        """

    async def perform_seek(self) -> None:
        """Seek to SQL's offsets, or return after a while without: `getmany` then finds partitions without a position.

        Faust calls this after each rebalance with a time limit, and takes the limit passed for its own end (mode's
        `wait_first` tells a time-out as "stopped"): the flow would never be resumed, by no later rebalance either.
        """
        try:
            await asyncio.wait_for(super().perform_seek(), SEEK_SECONDS_MAX)
        except TimeoutError:
            logger.warning("where to read on is not known after %.0f s; asking again", SEEK_SECONDS_MAX)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109
        """One message a partition: its value is a `Chunk`, its offset the chunk's last."""
        records_by_tp, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if self._thread.is_unsought and not self.should_stop:
            self._thread.is_unsought = False
            await self.perform_seek()
            return
        if not records_by_tp or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        for tp, stretch in records_by_tp.items():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            if active is None or tp in active or tp in self._buffered_partitions:
                yield tp, self._chunk_message(tp, stretch, generation)

    def _chunk_message(self, tp: TP, stretch: Stretch, generation: int) -> ConsumerMessage:
        chunk = Chunk(
            tp.partition,
            stretch.first_offset,
            stretch.next_offset,
            stretch.records,
            generation,
        )
        return ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=chunk.next_offset - 1,
            timestamp=time.time(),
            timestamp_type=0,
            headers=[],
            key=None,
            value=chunk,
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            tp=tp,
            generation_id=generation,
        )

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every assigned partition to SQL's offset."""
        assigned = self.assignment()
        store: OffsetStore = self.transport.offset_store
        offsets = await store.read_from({tp.partition for tp in assigned})
        wanted = {tp: offsets[tp.partition] for tp in assigned}
        await self._thread.seek_wait(wanted)
        return wanted

    async def read_again_from(self, partition: TP, offset: int) -> None:
        """Go back to `offset`, after a chunk began above it."""
        await self._thread.seek_wait({partition: offset})

    def _new_consumer_thread(self) -> ChunkConsumerThread:
        return ChunkConsumerThread(self, loop=self.loop, beacon=self.beacon)


class ChunkTransport(Transport):
    """Faust's `kafka://` transport with chunk delivery."""

    Consumer = ChunkConsumer
    offset_store: OffsetStore
