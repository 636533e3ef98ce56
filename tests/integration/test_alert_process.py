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
from billing.alerts.alert import KINDS
from billing.alerts.deliveries import Plan
from billing.alerts.live import LiveStates
from billing.alerts.pipeline_rules import Standing
from billing.alerts.watching import QuotaMemory, Watch
from billing.pledges.pledge import PledgeRules
from jangbu import alerting, pipeline_eye
from jangbu.database import connect
from jangbu.pipeline_eye import PipelineEye
from jangbu.sending import MailServer, Senders
from producers.broker_access import BrokerAccess
from producers.topic import Reach, TopicLog
from tests.integration.alert_receivers import MailBox, serving
from tests.integration.command_world import CommandShell, house_on
from tests.integration.test_alert_kinds import ARRIVED, DAY, NOW, weeks_of_use

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

ZONE = "Asia/Seoul"
PATIENCE_S = 60.0
QUOTAS = """scope,subject,model,unit,limit,window,thresholds,notify
department,*,,tokens,1100000,day,50,
"""


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


def test_every_kind_is_told_by_the_process(
    house: House, engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that can be due is, one after the other, and arrives by mail in both languages' words of its kind."""
    monkeypatch.setattr(alerting, "EVERY_S", 0.05)
    monkeypatch.setattr(alerting, "SHARE_OF_TIME", 0)
    for kind in around.EVERY_S:
        monkeypatch.setitem(around.EVERY_S, kind, 0)
    bring = Bringing(CommandShell(capsys), tmp_path)
    house.prices("openai,gpt-x,input_tokens,,,,KRW,1,1000,2026-01-01T00:00:00Z,,letter")
    weeks_of_use(house)
    house.use((NOW - 56 * DAY).isoformat(), "D001", "gpt-x", {"input_tokens": 1}, source="quiet-one")
    with house.as_role("owner") as connection:
        connection.execute(text(_HEARD), {"until": NOW - DAY})
    bring("quota import", QUOTAS)
    bring("programme import", "programme,name,starts_on,ends_on,places,models\nP,pilot,2026-10-01,2026-12-01,1,\n")
    line = "programme,user,department,applied_at,left_at\nP,u-8,D001,2026-10-01T00:00:00Z,{}\n"
    bring("programme apply", line.format("") + "P,u-9,D002,2026-10-02T00:00:00Z,\n")
    bring("roster import", "user,key,department,department_name,cost_centre,valid_from,valid_to,pledge_signed_on\n"
          "u-7,,D001,,,2026-01-01T00:00:00+09:00,,\n")  # fmt: skip
    standing: list[Standing] = []
    stop = threading.Event()
    with serving(MailBox()) as box:
        senders = Senders(ZONE, "en", MailServer.of_url(box.url), "jangbu@city.example")
        watch = Watch(Plan(ZONE), ("ops@city.example",), pledge_rules=PledgeRules())
        words = (engine, ZONE, senders, stop, watch, lambda: standing, lambda: NOW)
        thread = threading.Thread(target=alerting.run, args=words)
        thread.start()
        try:
            watched = text("select count(*) from alert_watch")
            wait_for("a first look at each", lambda: _count(house, watched) == len(around.EVERY_S))
            house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 150_000}, user="u-1")
            house.use(NOW.isoformat(), "D001", "new", {"input_tokens": 1}, user="u-1")
            bring("budget import", "department,period,amount,currency\nD001,2026-10,100,KRW\n")
            bring("programme apply", line.format("2026-10-10T00:00:00Z"))
            bring("pledge import", "user,version,signed_on,expires_on\nu-7,1,2026-01-01,2026-10-30\n")
            standing.append(Standing(1, 0, 10, 12, NOW - timedelta(hours=1)))
            with house.as_role("owner") as connection:
                connection.execute(text(ARRIVED), {"id": 1})
                connection.execute(text(_BREAK))
            found = text("select count(distinct kind) from alert")
            wait_for("all kinds", lambda: _count(house, found) == len(KINDS))
            sent = text("select count(*) from alert_delivery where state <> 'sent'")
            wait_for("all mails", lambda: _count(house, sent) == 0)
        finally:
            stop.set()
            thread.join(PATIENCE_S)
    told = " ".join(str(mail["Subject"]) + mail.get_body(("plain",)).get_content() for mail in box.mails)  # type: ignore[union-attr]
    for words_of_kind in (
        "of the day's quota is used", "quota will be spent before it ends", "of the budget of 2026-10 is spent",
        "far more is used than usual", "a new model is in use: openai new", "use without a price: openai new",
        "the pipeline stands still", "a source is silent longer than is usual: quiet-one", "an invoice has arrived",
        "a break is open: openai 2026-10 PRICE", "the pledge ends on 2026-10-30", "a place in programme P has become",
    ):  # fmt: skip
        assert words_of_kind in told, words_of_kind


class Bringing:
    """Files to commands."""

    def __init__(self, shell: CommandShell, directory: Path) -> None:
        self._shell, self._directory = shell, directory

    def __call__(self, command: str, content: str) -> None:
        file = self._directory / f"{command.replace(' ', '-')}.csv"
        file.write_text(content, encoding="utf-8")
        self._shell.json(*command.split(), file)


_HEARD = """
insert into usage_part (hour, route_id, payer_id, partition, log_id, events, input_tokens)
select at, p.route_id, p.payer_id, 0, 1, 1, 1
from (select p.* from usage_part p join route r on r.id = p.route_id where r.source = 'quiet-one') p,
     generate_series(1, 63) day, generate_series(-3, 5) place
cross join lateral (select p.hour + 24 * day + place as at) t
where hour_start(at) <= :until"""
_BREAK = """
with run as (
  insert into reconciliation (vendor, month, first_day, end_day, currency, last_import_id, invoice_total, ours_total,
                              matched_groups, matched_amount, content_hash, actor)
  values ('openai', '2026-10', '2026-10-01', '2026-11-01', 'KRW', 1, 0, 0, 0, 0, repeat('0', 64), 'os:test')
  returning id)
insert into reconciliation_break (reconciliation_id, place, class, amount, key, ours, vendor, why, provisional)
select id, 1, 'PRICE', 30, '{"day": "2026-10-03", "model": "gpt-x", "unit": "input_tokens"}',
       '{"quantity": "1000", "amount": "10"}', '{"quantity": "1100", "amount": "11"}', 'seen', false from run"""


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
    eye = PipelineEye(engine, BrokerAccess("host:9092"), "usage.events", lambda: next(ticks))
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
        (gone,), (still,) = eye(), eye()
    assert gone == still
    assert (gone.stored, gone.since) == (3, now + timedelta(minutes=2))
    assert len(caplog.records) == 1, "said once"
    monkeypatch.setattr(pipeline_eye, "describe_log", lambda *_words: log)
    assert eye() == []
    monkeypatch.setattr(pipeline_eye, "describe_log", away)
    (again,) = eye()
    assert again.since == now + timedelta(minutes=3), "answered in between"
