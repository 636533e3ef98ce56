"""The stream worker: Faust's shell around decode, prepare and sink.

An agent takes chunks one after the other. While PostgreSQL stores one chunk, the next is decoded; a chunk of one
partition never overtakes another. The agent's body never raises for bad data: that is quarantine's business. What it
cannot mend (a defect, a gap in the log, another log under the topic's name) ends the worker with a sentence, and
nothing of the chunk is stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import faust
import mode
import psycopg
from faust.auth import Credentials, SASLCredentials, SSLCredentials
from faust.types import TP
from kafka.errors import KafkaError
from psycopg import errors

from producers.broker_access import BrokerAccess
from producers.contract import TimeBounds
from producers.topic import TopicLog, TopicMissing, describe_log
from streams.chunk import Chunk
from streams.decode import Decoder, Facts
from streams.dictionary import Dictionary
from streams.facts import load_facts
from streams.offsets import SqlOffsets, register_log
from streams.prepare import Prepared, prepare
from streams.sink import DATABASE_AWAY, Behind, Gap, Outcome, Sink, StaleFacts, Stored, no_observer
from streams.transport import CHUNK_RECORDS_MAX, ChunkTransport, RecordsGone

logger = logging.getLogger("jangbu.worker")

_Result = TypeVar("_Result")

RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
METADATA_SECONDS_MAX = 10
"""How old what is known of the topic may be. aiokafka does not ask again where asking failed: a worker that came up
while the broker was away would, as its group's leader, hand out no partition to anybody for so long (measured)."""
IDLE_IN_TRANSACTION_SECONDS_MAX = 60
"""A worker that is frozen in mid-transaction holds its partition's offset row; PostgreSQL ends it after so long."""


class LogMadeAgain(RuntimeError):
    """The topic is not the one that this worker began to read."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker needs. `database_url` is the worker role's login."""

    broker: BrokerAccess
    database_url: str
    log: TopicLog
    data_dir: str
    group: str = "jangbu-worker"
    bounds: TimeBounds = field(default_factory=TimeBounds)
    session_seconds: float = 10.0
    identity_check_seconds: float = 15.0
    roll_up_seconds: float = 60.0
    name: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}")
    observe: Callable[[str], None] = no_observer
    sink_type: type[Sink] = Sink


class Pipeline:
    """Chunks in, outcomes out. Owns the connections and the two threads that use them."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._decode_thread = ThreadPoolExecutor(1, "decode")
        self._store_thread = ThreadPoolExecutor(1, "store")
        self._decoder = Decoder(settings.bounds)
        self._facts: Facts | None = None
        self._reference = self.connect()
        self.log_id = register_log(self._reference, settings.log)
        self._dictionary = Dictionary(self._reference)
        self._offsets = SqlOffsets(self.connect, self.log_id)
        self._sink = settings.sink_type(self.connect, self.log_id, settings.name, settings.observe)

    def connect(self) -> psycopg.Connection:
        """A connection as the worker role."""
        return psycopg.connect(
            self._settings.database_url,
            autocommit=True,
            application_name="jangbu worker",
            connect_timeout=10,
            options=f"-c timezone=UTC -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_SECONDS_MAX}s",
        )

    async def decoded(self, chunk: Chunk) -> Prepared:
        """Decode and pack a chunk, in the decode thread; tries again while the database is away."""
        return await self._until_up(self._decode_thread, lambda: self._decode(chunk))

    async def read_from(self, partitions: set[int]) -> dict[int, int]:
        """Where to read on (streams.transport.OffsetStore); tries again while the database is away."""
        return await self._until_up(None, lambda: self._offsets.read_from(partitions))

    async def stored(self, prepared: Prepared) -> Outcome:
        """Store a prepared chunk, in the store thread; tries again while the database is away."""
        return await self._until_up(self._store_thread, lambda: self._sink.store(prepared))

    def roll_up(self) -> None:
        """Roll the sums up and put some days that are over in order, on a connection of its own; another time where the
        database is away."""
        with contextlib.suppress(*DATABASE_AWAY), self.connect() as connection:
            connection.execute("select roll_up_usage()")
            connection.execute("select order_rolled_days()")

    def forget_facts(self) -> None:
        """Roster or thresholds changed: read them again before the next chunk."""
        self._facts = None

    def close(self) -> None:
        """Let go of threads and connections."""
        self._decode_thread.shutdown(wait=False, cancel_futures=True)
        self._store_thread.shutdown(wait=True, cancel_futures=True)
        self._sink.close()
        self._reference.close()

    def _decode(self, chunk: Chunk) -> Prepared:
        if self._reference.closed:
            self._reference = self.connect()
            self._dictionary = Dictionary(self._reference)
        try:
            if self._facts is None:
                self._facts = load_facts(self._reference)
            return prepare(self._decoder.decode(chunk, self._facts), self._dictionary, self.log_id)
        except DATABASE_AWAY:
            self._reference.close()
            raise

    async def _until_up(self, pool: ThreadPoolExecutor | None, work: Callable[[], _Result]) -> _Result:
        loop = asyncio.get_running_loop()
        attempt = 0
        while True:
            try:
                return await loop.run_in_executor(pool, work)
            except errors.ProgramLimitExceeded:
                raise  # an OperationalError by class, and no matter of waiting
            except DATABASE_AWAY as error:
                wait_s = RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]
                attempt += 1
                logger.warning("the database is away (%s); trying again in %s s", first_line(error), wait_s)
                await asyncio.sleep(wait_s)


def credentials(broker: BrokerAccess) -> Credentials | None:
    """What Faust's consumer connects with; None for a broker that lets everybody in."""
    tls, login = broker.tls(), broker.login
    if login is not None:
        return SASLCredentials(
            username=login.user, password=login.password, ssl_context=tls, mechanism=login.mechanism
        )
    return None if tls is None else SSLCredentials(tls)


class UsageWorker:
    """A Faust app with one agent over chunks of `usage.events`."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self.pipeline = Pipeline(settings)
        self.app = self._make_app()
        self._storing: asyncio.Task[None] | None = None

    def _make_app(self) -> faust.App:
        settings = self.settings
        app = faust.App(
            settings.group,
            broker=f"kafka://{settings.broker}",
            broker_credentials=credentials(settings.broker),
            datadir=settings.data_dir,
            value_serializer="raw",
            topic_disable_leader=True,
            topic_allow_declare=False,
            consumer_auto_offset_reset="earliest",
            consumer_metadata_max_age_ms=METADATA_SECONDS_MAX * 1000,
            broker_max_poll_records=CHUNK_RECORDS_MAX,
            broker_session_timeout=settings.session_seconds,
            broker_heartbeat_interval=settings.session_seconds / 4,
            broker_request_timeout=max(40.0, settings.session_seconds * 2),
            stream_buffer_maxsize=2,
            stream_wait_empty=False,
            stream_processing_timeout=3600.0,
            broker_commit_livelock_soft_timeout=3600.0,
            web_enabled=False,
        )
        transport = ChunkTransport(app.conf.broker_consumer, app)
        transport.offset_store = self.pipeline
        app.transport = transport
        topic = app.topic(settings.log.topic, value_serializer="raw", key_serializer="raw", acks=False)
        app.agent(topic, concurrency=1, supervisor_strategy=mode.CrashingSupervisor)(self._agent)
        app.timer(settings.identity_check_seconds)(self._check_log)
        app.timer(settings.roll_up_seconds)(self.roll_up_if_idle)
        return app

    async def _agent(self, stream: faust.StreamT[Chunk]) -> None:
        """Decode each chunk while the one before is stored."""
        async for event in stream.noack().events():
            chunk = event.message.value
            if self._is_stale(chunk):
                continue
            prepared = await self.pipeline.decoded(chunk)
            await self._finish_storing()
            self._storing = asyncio.create_task(self._store(prepared))

    async def _finish_storing(self) -> None:
        if self._storing is not None:
            storing, self._storing = self._storing, None
            await storing

    async def _store(self, prepared: Prepared) -> None:
        """Store one chunk; what cannot be mended ends the worker, also where no next chunk asks how this one went."""
        try:
            await self._bring_to_end(prepared)
        except Exception as error:
            await self.app.crash(error)
            raise

    async def _bring_to_end(self, prepared: Prepared) -> None:
        """Until the chunk is stored, found to be stored already, or to be read again."""
        while True:
            chunk = prepared.chunk
            if self._is_stale(chunk):
                return
            outcome = await self.pipeline.stored(prepared)
            if isinstance(outcome, Stored):
                return
            if isinstance(outcome, Gap):
                await self._read_again(chunk, outcome.next_offset)
                return
            left: Chunk | None = chunk
            if isinstance(outcome, StaleFacts):
                self.pipeline.forget_facts()
            else:
                assert isinstance(outcome, Behind)
                left = chunk.from_offset(outcome.next_offset)
            if left is None:
                return
            prepared = await self.pipeline.decoded(left)

    def _is_stale(self, chunk: Chunk) -> bool:
        """Whether the chunk was fetched before the last rebalance: another worker may have its partition now."""
        tp = TP(self.settings.log.topic, chunk.partition)
        return chunk.generation != self.app.consumer_generation_id or tp not in self.app.consumer.assignment()

    async def _check_log(self) -> None:
        """End the worker where the topic was deleted and made again, or the cluster is another: offsets of one log
        mean nothing in the other. What was read under the wrong name until then is read again by the next worker,
        from the new log's beginning, and found to be there.
        """
        log, loop = self.settings.log, asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(None, describe_log, self.settings.broker, log.topic)
        except (KafkaError, TopicMissing, OSError):
            return  # Kafka is away: others say so
        if (found.cluster_id, found.topic_id) != (log.cluster_id, log.topic_id):
            await self.app.crash(
                LogMadeAgain(
                    f"topic {log.topic} was made again (its id was {log.topic_id} and is {found.topic_id} now; "
                    f"cluster {found.cluster_id}): start the worker again, it reads the new log from its beginning"
                )
            )

    async def roll_up_if_idle(self) -> None:
        """Where no chunk is being stored: who reads a month then adds up days instead of hours. A backlog goes first,
        and is not slowed down."""
        if self._storing is None or self._storing.done():
            await asyncio.get_running_loop().run_in_executor(None, self.pipeline.roll_up)

    async def _read_again(self, chunk: Chunk, next_offset: int) -> None:
        """Records below the chunk were fetched and dropped on the way (a rebalance does that): go back for them."""
        logger.info("partition %d: reading again from %d", chunk.partition, next_offset)
        await self.app.consumer.read_again_from(TP(self.settings.log.topic, chunk.partition), next_offset)


def first_line(error: BaseException) -> str:
    """An error's first line, for a log."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _say_why(reason: BaseException | None) -> None:
    """What ended the worker, in a sentence; with its trace where it is a defect."""
    if isinstance(reason, RecordsGone | LogMadeAgain):
        logger.error("the worker ends: %s", reason)
    elif reason is not None:
        logger.error("the worker ends by %s: %s", type(reason).__name__, first_line(reason), exc_info=reason)


def run_worker(settings: WorkerSettings, loglevel: str = "WARNING") -> int:
    """Run one worker in the foreground until SIGINT or SIGTERM; the process' exit code."""
    # Chunks are made of many small tuples that live shortly and hold no cycles: collecting them by the default
    # thresholds costs a fifth of the worker's time.
    gc.set_threshold(200_000, 20, 20)
    # A thread that comes back from PostgreSQL waits this long for one that computes; by default it is 5 ms, ten times
    # a chunk, while PostgreSQL has nothing to do.
    sys.setswitchinterval(0.0005)
    worker = UsageWorker(settings)
    shell = faust.Worker(worker.app, loglevel=loglevel, quiet=True, redirect_stdouts=False, override_logging=False)
    try:
        shell.execute_from_commandline()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    finally:
        _say_why(worker.app.crash_reason or shell.crash_reason)
        worker.pipeline.close()
    return 1 if worker.app.should_stop and shell.crashed else 0
