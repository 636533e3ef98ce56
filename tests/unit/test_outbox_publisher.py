"""The publisher's order of steps, with a broker made of paper: what each failure leaves in the outbox."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from producers import publisher as module
from producers.broker import Answer, NotAcknowledged, TooLarge
from producers.broker_access import BrokerAccess
from producers.outbox import Accepted, LogId, Outbox, OutboxError, Pending, Published
from producers.publisher import Publisher
from producers.topic import TopicMissing

FIRST = LogId("cluster-1", "topic-1")
SECOND = LogId("cluster-2", "topic-2")


class Paper:
    """A broker that keeps what it is sent, and does what the test planned for the nth batch."""

    def __init__(self) -> None:
        self.log = FIRST
        self.records: list[bytes] = []
        self.batches = 0
        self.connections = 0
        self.plans: dict[int, Any] = {}
        self.failures: dict[bytes, Answer] = {}

    def connect(self, _broker: BrokerAccess) -> Paper:
        self.connections += 1
        return self

    def describe(self, _topic: str) -> LogId:
        return self.log

    def publish(self, _topic: str, rows: Sequence[Pending], _stop: threading.Event) -> list[Answer]:
        answers = [self._take(row) for row in rows]
        self.batches += 1
        if plan := self.plans.get(self.batches):
            plan()
        return answers

    def _take(self, row: Pending) -> Answer:
        failure = self.failures.pop(row.key, None)
        if failure is not None:
            return failure
        self.records.append(row.key)
        return Published(row.seq, 0, len(self.records) - 1)

    def close(self) -> None:
        pass


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Paper:
    broker = Paper()
    monkeypatch.setattr(module, "Broker", broker.connect)
    monkeypatch.setattr(module, "BACKOFF_FIRST_S", 0.0)
    return broker


@pytest.fixture
def outbox(tmp_path: Path) -> Any:
    with Outbox(tmp_path / "outbox.sqlite") as opened:
        opened.append([Accepted(b"s/%d" % n, b"v", 0) for n in range(3)])
        yield opened


def all_keys() -> list[bytes]:
    return [b"s/0", b"s/1", b"s/2"]


def test_rows_go_in_sequence_and_leave(paper: Paper, outbox: Outbox) -> None:
    assert Publisher(outbox, BrokerAccess("b:1")).drain(5)
    assert paper.records == all_keys()
    assert outbox.held_count() == 0
    assert outbox.reach(FIRST) == {0: 3}


def test_acknowledgements_of_a_broker_that_is_no_more_count_for_nothing(paper: Paper, outbox: Outbox) -> None:
    def restart() -> None:
        paper.log = SECOND
        paper.records = []

    paper.plans[1] = restart
    publisher = Publisher(outbox, BrokerAccess("b:1"), stored=dict, say=lambda _: None)
    assert publisher.drain(5)
    assert paper.records == all_keys(), "sent again to the new broker"
    assert outbox.reach(FIRST) == {}
    assert outbox.reach(SECOND) == {0: 3}
    assert outbox.held_count() == 3, "kept until PostgreSQL has them"


def test_what_postgresql_has_is_not_sent_again(paper: Paper, outbox: Outbox) -> None:
    assert Publisher(outbox, BrokerAccess("b:1"), stored=dict).drain(5)
    paper.log, paper.records = SECOND, []
    publisher = Publisher(outbox, BrokerAccess("b:1"), stored=lambda: {(FIRST, 0): 2}, say=lambda _: None)
    outbox.append([Accepted(b"s/3", b"v", 0)])
    assert publisher.drain(5)
    assert paper.records == [b"s/2", b"s/3"]


def test_a_passing_error_keeps_the_row_and_says_so(paper: Paper, outbox: Outbox) -> None:
    said: list[str] = []
    paper.failures[b"s/1"] = NotAcknowledged("too slow")
    assert Publisher(outbox, BrokerAccess("b:1"), say=said.append).drain(5)
    assert paper.records == [b"s/0", b"s/2", b"s/1"]
    assert paper.connections == 2, "a producer that met an error is not used again"
    assert "too slow" in said[0]
    assert "takes events again" in said[-1]


def test_a_crash_before_the_rows_are_settled_sends_them_again(paper: Paper, outbox: Outbox) -> None:
    def crash() -> None:
        raise KeyboardInterrupt

    paper.plans[1] = crash
    with pytest.raises(KeyboardInterrupt):
        Publisher(outbox, BrokerAccess("b:1")).drain(5)
    assert outbox.pending_count() == 3
    assert Publisher(outbox, BrokerAccess("b:1")).drain(5)
    assert paper.records == all_keys() * 2, "twice, with the same identity"


def test_a_row_that_is_too_large_is_kept_aside(paper: Paper, outbox: Outbox) -> None:
    said: list[str] = []
    paper.failures[b"s/1"] = TooLarge("20000")
    assert Publisher(outbox, BrokerAccess("b:1"), say=said.append).drain(5)
    assert paper.records == [b"s/0", b"s/2"]
    assert [seq for seq, _ in outbox.refused()] == [2]
    assert "row 2" in said[0]
    assert Publisher(outbox, BrokerAccess("b:1"), say=said.append).drain(5)
    assert paper.records[-1] == b"s/1", "every start tries again"


def test_patience_ends(paper: Paper, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_topic: str) -> LogId:
        raise TopicMissing("no topic")

    monkeypatch.setattr(paper, "describe", missing)
    said: list[str] = []
    assert not Publisher(outbox, BrokerAccess("b:1"), say=said.append).drain(0.0)
    assert outbox.held_count() == 3
    assert len(said) == 1, "a trouble that lasts is not said each time"


def test_postgresql_away_does_not_stop_publishing(paper: Paper, outbox: Outbox) -> None:
    answers = [{}, ConnectionError("PostgreSQL is away")]

    def stored() -> Any:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert Publisher(outbox, BrokerAccess("b:1"), stored=stored, say=lambda _: None).drain(5)
    assert paper.records == all_keys()


def test_a_damaged_outbox_ends_the_publisher(paper: Paper, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_: object, **__: object) -> None:
        raise OutboxError("the outbox is damaged")

    monkeypatch.setattr(outbox, "settle", damaged)
    with pytest.raises(OutboxError):
        Publisher(outbox, BrokerAccess("b:1")).drain(5)


def test_run_ends_when_told(paper: Paper, outbox: Outbox) -> None:
    stop = threading.Event()
    paper.plans[1] = stop.set
    Publisher(outbox, BrokerAccess("b:1")).run(stop)
    assert outbox.held_count() == 0
