"""The worker's loop: what becomes of a chunk by what the sink says, and what ends the worker."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from faust.types import TP
from kafka.errors import KafkaConnectionError
from psycopg import errors

from producers.broker_access import BrokerAccess
from producers.topic import TopicLog, TopicMissing
from streams import worker as streams_worker
from streams.chunk import Chunk
from streams.sink import Behind, Gap, Outcome, StaleFacts, Stored
from streams.worker import LogMadeAgain, Pipeline, UsageWorker
from tests.faults.events import chunk

LOG = TopicLog("cluster", "usage.events", "topic-id", 2)
STORED = Stored(0, 0, 0, 0)


class Steps:
    """A pipeline that says what it is asked, and answers from a script."""

    def __init__(self, *outcomes: Outcome | Exception) -> None:
        self.outcomes = list(outcomes)
        self.said: list[str] = []
        self.before_answer: Any = None
        self.storing = self.storing_max = 0

    async def decoded(self, asked: Chunk) -> Any:
        self.said.append(f"decode {asked.first_offset}-{asked.next_offset}")
        await asyncio.sleep(0)
        return SimpleNamespace(chunk=asked)

    async def stored(self, prepared: Any) -> Outcome:
        self.said.append(f"store {prepared.chunk.first_offset}-{prepared.chunk.next_offset}")
        self.storing += 1
        self.storing_max = max(self.storing_max, self.storing)
        for _ in range(10):
            await asyncio.sleep(0)
        self.storing -= 1
        if self.before_answer is not None:
            self.before_answer()
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def forget_facts(self) -> None:
        self.said.append("forget facts")


def worker_with(steps: Steps) -> UsageWorker:
    worker = UsageWorker.__new__(UsageWorker)
    worker.settings = SimpleNamespace(log=LOG, broker=BrokerAccess("nowhere:1"))
    worker.pipeline = steps
    worker._storing = None
    crashes: list[Exception] = []

    async def crash(reason: Exception) -> None:
        crashes.append(reason)

    async def read_again_from(tp: TP, offset: int) -> None:
        steps.said.append(f"read {tp.partition} again from {offset}")

    consumer = SimpleNamespace(assignment=lambda: {TP("usage.events", 0)}, read_again_from=read_again_from)
    worker.app = SimpleNamespace(consumer_generation_id=1, consumer=consumer, crash=crash, crashes=crashes)
    return worker


def bring_on(steps: Steps, asked: Chunk | None = None) -> UsageWorker:
    worker = worker_with(steps)
    held = asked or chunk([b"a", b"b", b"c"], first_offset=4)
    asyncio.run(worker._bring_to_end(SimpleNamespace(chunk=held)))
    return worker


def test_stored_is_the_end_of_it() -> None:
    steps = Steps(STORED)
    bring_on(steps)
    assert steps.said == ["store 4-7"]


def test_of_a_chunk_that_is_partly_stored_the_rest_is() -> None:
    steps = Steps(Behind(6), STORED)
    bring_on(steps)
    assert steps.said == ["store 4-7", "decode 6-7", "store 6-7"]


@pytest.mark.parametrize("next_offset", [7, 9])
def test_a_chunk_that_another_worker_stored_is_left(next_offset: int) -> None:
    """The zombie's fate, and that of a chunk whose commit's reply was lost."""
    steps = Steps(Behind(next_offset))
    bring_on(steps)
    assert steps.said == ["store 4-7"]


def test_a_gap_is_read_again() -> None:
    steps = Steps(Gap(2))
    bring_on(steps)
    assert steps.said == ["store 4-7", "read 0 again from 2"]


def test_where_facts_changed_the_chunk_is_decoded_again() -> None:
    steps = Steps(StaleFacts(), StaleFacts(), STORED)
    bring_on(steps)
    assert steps.said == ["store 4-7"] + ["forget facts", "decode 4-7", "store 4-7"] * 2


def test_a_chunk_of_an_old_generation_or_of_anothers_partition_is_not_stored() -> None:
    for stale in (chunk([b"a"], generation=0), chunk([b"a"], partition=1)):
        steps = Steps()
        bring_on(steps, stale)
        assert steps.said == []


def test_a_rebalance_in_the_middle_ends_the_work_on_a_chunk() -> None:
    steps = Steps(Behind(6))
    worker = worker_with(steps)
    steps.before_answer = lambda: setattr(worker.app, "consumer_generation_id", 2)
    asyncio.run(worker._bring_to_end(SimpleNamespace(chunk=chunk([b"a", b"b", b"c"], first_offset=4))))
    assert steps.said == ["store 4-7", "decode 6-7"]


def test_what_cannot_be_mended_ends_the_worker_also_where_no_chunk_follows() -> None:
    worker = worker_with(Steps(ValueError("a defect")))
    with pytest.raises(ValueError, match="a defect"):
        asyncio.run(worker._store(SimpleNamespace(chunk=chunk([b"a"]))))
    assert [str(reason) for reason in worker.app.crashes] == ["a defect"]


class Stream:
    """Faust's stream of events, with chunks in them."""

    def __init__(self, *chunks: Chunk) -> None:
        self._chunks = chunks

    def noack(self) -> Stream:
        return self

    async def events(self) -> Any:
        for each in self._chunks:
            yield SimpleNamespace(message=SimpleNamespace(value=each))


def test_the_next_chunk_is_decoded_while_one_is_stored_and_never_overtakes_it() -> None:
    steps = Steps(STORED, STORED, STORED)
    worker = worker_with(steps)

    async def run() -> None:
        await worker._agent(Stream(*(chunk([b"x"], first_offset=number) for number in range(3))))
        await worker._finish_storing()

    asyncio.run(run())
    assert [said for said in steps.said if said.startswith("store")] == ["store 0-1", "store 1-2", "store 2-3"]
    assert steps.storing_max == 1
    assert steps.said == ["decode 0-1", "decode 1-2", "store 0-1", "decode 2-3", "store 1-2", "store 2-3"] or (
        steps.said.index("decode 1-2") < steps.said.index("store 1-2")
    )


def test_the_agent_passes_over_stale_chunks() -> None:
    steps = Steps(STORED)
    worker = worker_with(steps)

    async def run() -> None:
        await worker._agent(Stream(chunk([b"x"], generation=0), chunk([b"x"])))
        await worker._finish_storing()

    asyncio.run(run())
    assert steps.said == ["decode 0-1", "store 0-1"]


@pytest.mark.parametrize(
    "error", [psycopg.OperationalError("server closed"), psycopg.InterfaceError("closed"), errors.DeadlockDetected("d"),
              errors.IdleInTransactionSessionTimeout("frozen")], ids=lambda error: type(error).__name__
)  # fmt: skip
def test_while_the_database_is_away_work_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    monkeypatch.setattr(streams_worker, "RETRY_SECONDS", (0.0, 0.001))
    answers: list[Exception | str] = [error, error, error, "done"]

    def work() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with ThreadPoolExecutor(1) as pool, caplog.at_level(logging.WARNING, "jangbu.worker"):
        assert asyncio.run(Pipeline.__new__(Pipeline)._until_up(pool, work)) == "done"
    assert len(caplog.records) == 3
    assert "the database is away" in caplog.text


@pytest.mark.parametrize(
    "error", [errors.ProgramLimitExceeded("index row size"), ValueError("defect"), errors.InsufficientPrivilege("no"),
              LookupError("no offset row")], ids=lambda error: type(error).__name__
)  # fmt: skip
def test_what_waiting_does_not_mend_is_not_waited_for(error: Exception) -> None:
    def work() -> None:
        raise error

    with ThreadPoolExecutor(1) as pool, pytest.raises(type(error)):
        asyncio.run(Pipeline.__new__(Pipeline)._until_up(pool, work))


@pytest.mark.parametrize(
    ("cluster_id", "topic_id", "ends"),
    [("cluster", "topic-id", False), ("cluster", "x", True), ("x", "topic-id", True)],
)
def test_another_log_under_the_topics_name_ends_the_worker(
    monkeypatch: pytest.MonkeyPatch, cluster_id: str, topic_id: str, ends: bool
) -> None:
    worker = worker_with(Steps())
    monkeypatch.setattr(streams_worker, "describe_log", lambda *_: TopicLog(cluster_id, "usage.events", topic_id, 9))
    asyncio.run(worker._check_log())
    assert [type(reason) for reason in worker.app.crashes] == ([LogMadeAgain] if ends else [])


@pytest.mark.parametrize("error", [KafkaConnectionError("away"), TopicMissing("not there yet"), OSError("refused")])
def test_a_broker_that_is_away_ends_no_worker(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def away(*_: Any) -> TopicLog:
        raise error

    worker = worker_with(Steps())
    monkeypatch.setattr(streams_worker, "describe_log", away)
    asyncio.run(worker._check_log())
    assert worker.app.crashes == []
