"""The alert process itself: looks, tells at once, outlives what fails, ends when it is asked; and its eye on Kafka."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from kafka.errors import KafkaConnectionError
from sqlalchemy import exc, text

from billing.alerts import around, watching
from billing.alerts.deliveries import Plan
from billing.alerts.live import LiveStates
from billing.alerts.watching import QuotaMemory, Watch
from jangbu import alerting, pipeline_eye
from jangbu.database import connect
from jangbu.pipeline_eye import PipelineEye
from jangbu.sending import MailServer, Senders
from producers.topic import Reach, TopicLog
from tests.integration.alert_receivers import MailBox, serving
from tests.integration.command_world import CommandShell, house_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

ZONE = "Asia/Seoul"
PATIENCE_S = 60.0


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def engine(migrated_database: DatabaseUrls) -> Iterator[Engine]:
    made = connect(migrated_database.billing)
    yield made
    made.dispose()


def wait_for(what: str, condition: Any) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_s, what
        time.sleep(0.02)


def test_it_tells_at_once_and_outlives_a_kind_that_fails(
    house: House,
    engine: Engine,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_sight: Any) -> Any:
        raise RuntimeError("a rule that fails")

    monkeypatch.setitem(around._RULES, "invoice", broken)
    monkeypatch.setattr(alerting, "EVERY_S", 0.05)
    file = tmp_path / "quotas.csv"
    file.write_text("scope,subject,model,unit,limit,window,thresholds,notify\n"
                    "user,*,,tokens,100,day,50,head@city.example\n", encoding="utf-8")  # fmt: skip
    CommandShell(capsys).json("quota", "import", file)
    stop = threading.Event()
    with serving(MailBox()) as box, caplog.at_level(logging.ERROR):
        senders = Senders(ZONE, "ko", MailServer.of_url(box.url), "jangbu@city.example")
        watch = Watch(Plan(ZONE), ("ops@city.example",))
        thread = threading.Thread(target=alerting.run, args=(engine, ZONE, senders, stop, watch))
        thread.start()
        try:
            query = text("select count(*) from alert_watch where kind in ('new_model', 'break')")
            wait_for("a first look", lambda: _count(house, query) == 2)
            house.use(datetime.now(UTC).isoformat(), "D001", "gpt-x", {"input_tokens": 60}, user="u-1")
            wait_for("a mail", lambda: any(mail["To"] == "head@city.example" for mail in box.mails))
        finally:
            stop.set()
            thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert [one.getMessage() for one in caplog.records] == ["alerts: looking at invoice: a rule that fails"]


def _count(house: House, query: Any) -> int:
    with house.as_role("reader") as connection:
        return int(connection.execute(query).scalar_one())


def test_what_was_not_committed_is_looked_at_again(
    house: House, engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the alert and before the commit: nothing is kept, nothing is remembered as told."""
    file = tmp_path / "quotas.csv"
    file.write_text("scope,subject,model,unit,limit,window,thresholds,notify\nuser,*,,tokens,100,day,50,\n")
    CommandShell(capsys).json("quota", "import", file)
    now = datetime.now(UTC)
    house.use(now.isoformat(), "D001", "gpt-x", {"input_tokens": 60}, user="u-1")
    memory = QuotaMemory(LiveStates(ZONE))
    noted = watching.note_look

    def away(*_words: Any) -> None:
        raise exc.OperationalError("note", {}, Exception("the database went away"))

    monkeypatch.setattr(watching, "note_look", away)
    with pytest.raises(exc.OperationalError):
        alerting.look_once(engine, ZONE, now, memory=memory)
    monkeypatch.setattr(watching, "note_look", noted)
    assert len(alerting.look_once(engine, ZONE, now, memory=memory) or []) == 1
    assert alerting.look_once(engine, ZONE, now, memory=memory) == []


def test_the_eye_remembers_since_when_a_place_stands(
    house: House, engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log, ends = TopicLog("c", "usage.events", "t", 2), {0: Reach(0, 5), 1: Reach(0, 0)}
    monkeypatch.setattr(pipeline_eye, "describe_log", lambda *_words: log)
    monkeypatch.setattr(pipeline_eye, "reach", lambda *_words: ends)
    now = datetime(2026, 10, 15, tzinfo=UTC)
    ticks = iter(now + timedelta(minutes=minute) for minute in range(10))
    eye = PipelineEye(engine, "host:9092", "usage.events", lambda: next(ticks))
    assert [(one.partition, one.offset, one.end, one.since) for one in eye()] == [(0, 0, 5, now)]
    assert [one.since for one in eye()] == [now], "still"
    with house.as_role("owner") as connection:
        names = "insert into topic_log (cluster_id, topic, topic_id) values ('c', 'usage.events', 't')"
        connection.execute(text(names))
        connection.execute(text("insert into stream_offset (log_id, partition, next_offset) values (1, 0, 3)"))
    (moved,) = eye()
    assert (moved.log, moved.offset, moved.since) == (1, 3, now + timedelta(minutes=1))
    ends[0] = Reach(0, 3)
    assert eye() == []

    def away(*_words: Any) -> Any:
        raise KafkaConnectionError("nobody there")

    monkeypatch.setattr(pipeline_eye, "describe_log", away)
    with caplog.at_level(logging.WARNING):
        assert [eye(), eye()] == [[], []]
    assert len(caplog.records) == 1, "said once"
