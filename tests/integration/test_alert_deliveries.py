"""Alerts on their way: mail, chat, signed webhooks; refused, delayed, given up, sent again under the same id."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import exc, text

from billing.alerts.deliveries import Plan
from billing.alerts.watching import Watch
from jangbu.alerting import deliver_due, look_once
from jangbu.database import connect
from jangbu.sending import MailServer, Senders
from tests.integration.alert_receivers import MailBox, WebHook, serving
from tests.integration.command_world import CommandShell, house_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from billing.alerts.deliveries import Delivery
    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

HEADER = "scope,subject,model,unit,limit,window,thresholds,notify\n"
NOW = datetime.fromisoformat("2026-10-15T12:00:00+09:00")
SECRET = "a-secret-that-signs-webhooks-0123456789"
HOSTILE = '<script>alert(1)</script>\u202e=cmd"&'


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def shell(house: House, capsys: pytest.CaptureFixture[str]) -> CommandShell:
    return CommandShell(capsys)


@pytest.fixture
def engine(migrated_database: DatabaseUrls) -> Iterator[Engine]:
    made = connect(migrated_database.billing)
    yield made
    made.dispose()


@pytest.fixture
def box() -> Iterator[MailBox]:
    with serving(MailBox()) as made:
        yield made


@pytest.fixture
def hook() -> Iterator[WebHook]:
    with serving(WebHook()) as made:
        yield made


@pytest.fixture
def senders(box: MailBox) -> Senders:
    return Senders("Asia/Seoul", "ko", MailServer.of_url(box.url), "jangbu@city.example", SECRET)


def due(shell: CommandShell, house: House, engine: Engine, tmp_path: Path, *notify: str, user: str = "u-1") -> None:
    """A quota of 100 tokens a day whose thresholds of 50 percent is reached, for these to hear."""
    file = tmp_path / "quotas.csv"
    file.write_text(f"{HEADER}user,*,,tokens,100,day,50,{';'.join(notify)}\n", encoding="utf-8")
    shell.json("quota", "import", file)
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 60}, user=user)
    assert look_once(engine, "Asia/Seoul", NOW)


def make_due_now(urls: DatabaseUrls) -> None:
    """Waits are over."""
    owner = connect(urls.owner)
    with owner.begin() as connection:
        connection.execute(text("update alert_delivery set next_at = now() where state = 'waiting'"))
    owner.dispose()


def left(shell: CommandShell) -> list[tuple[str, str, int]]:
    told = shell.json("alert", "deliveries")["deliveries"]
    return [(one["recipient"], one["state"], one["attempts"]) for one in told]


def test_each_channel_gets_it_once(
    shell: CommandShell, house: House, engine: Engine, box: MailBox, hook: WebHook, senders: Senders, tmp_path: Path
) -> None:
    due(shell, house, engine, tmp_path, "head@city.example", f"slack:{hook.url}", hook.url, user=HOSTILE)
    assert deliver_due(engine, senders) == 3
    assert look_once(engine, "Asia/Seoul", NOW) == []
    assert deliver_due(engine, senders) == 0

    (mail,) = box.mails
    assert "50%에 이르렀습니다" in mail["Subject"]
    assert mail["To"] == "head@city.example"
    assert "\u202e" not in mail["Subject"]
    page = mail.get_body(("html",))
    assert page is not None
    assert "<script>" not in page.get_content()
    assert "&lt;script&gt;" in page.get_content()
    slack, own = sorted(hook.posts, key=lambda post: "X-Jangbu-Signature" in post[0])
    assert "&lt;script&gt;" in json.loads(slack[1])["text"]
    headers, body = own
    expected = hmac.new(SECRET.encode(), headers["X-Jangbu-Timestamp"].encode() + b"." + body, hashlib.sha256)
    assert headers["X-Jangbu-Signature"] == f"v1={expected.hexdigest()}"
    told = json.loads(body)
    assert told["id"] == headers["X-Jangbu-Delivery"]
    assert (told["subject"], told["used"], told["limit"], told["threshold"]) == (HOSTILE, "60", "100", "50")
    assert {state for _, state, _ in left(shell)} == {"sent"}


def test_what_is_refused_for_now_is_tried_again_under_the_same_id(
    shell: CommandShell,
    house: House,
    engine: Engine,
    box: MailBox,
    hook: WebHook,
    senders: Senders,
    tmp_path: Path,
    migrated_database: DatabaseUrls,
) -> None:
    due(shell, house, engine, tmp_path, "head@city.example", hook.url)
    box.answers, hook.answers = [450], [503, 302]
    assert deliver_due(engine, senders) == 0
    assert {(state, attempts) for _, state, attempts in left(shell)} == {("waiting", 1)}
    assert deliver_due(engine, senders) == 0, "both wait"
    make_due_now(migrated_database)
    assert deliver_due(engine, senders) == 1
    make_due_now(migrated_database)
    assert deliver_due(engine, senders) == 1
    assert len({headers["X-Jangbu-Delivery"] for headers, _ in hook.posts}) == 1
    assert (len(box.mails), len(hook.posts)) == (1, 3)


@pytest.mark.parametrize("odd", ["http://a..example/x", "https://h.example:abc/x", "http://h.example/\x7f"])
def test_an_address_that_cannot_be_keeps_no_other_from_being_told(
    shell: CommandShell, house: House, engine: Engine, hook: WebHook, senders: Senders, tmp_path: Path, odd: str,
) -> None:  # fmt: skip
    """Such an address may stand in the database from before they were refused at the import."""
    file = tmp_path / "quotas.csv"
    file.write_text(f"{HEADER}user,*,,tokens,100,day,50,a@city.example;{odd}\n", encoding="utf-8")
    assert shell.run("quota", "import", file)[0] != 0
    due(shell, house, engine, tmp_path, hook.url)
    with engine.begin() as connection:
        query = """insert into alert_delivery (id, alert_id, recipient, bundles, is_fallback, next_at)
                   select repeat('0', 32), alert_id, :odd, false, false, now() - interval '1 h' from alert_delivery"""
        connection.execute(text(query), {"odd": odd})
    assert deliver_due(engine, senders) == 1
    assert sorted((state, attempts) for _, state, attempts in left(shell)) == [("sent", 1), ("waiting", 1)]


def test_what_is_refused_for_good_is_kept_and_may_be_tried_again(
    shell: CommandShell,
    house: House,
    engine: Engine,
    box: MailBox,
    hook: WebHook,
    senders: Senders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    due(shell, house, engine, tmp_path, "nobody@city.example", hook.url)
    box.answers, hook.answers = [550], [410]
    assert deliver_due(engine, senders) == 0
    assert sorted(left(shell)) == [("nobody@city.example", "dead", 1), ("webhook:127.0.0.1", "dead", 1)]
    said = shell.run("alert", "deliveries")[1]
    assert "answered 410" in said
    assert "s3cret-path" not in said
    monkeypatch.setenv("JANGBU_SMTP_URL", box.url)
    monkeypatch.setenv("JANGBU_MAIL_FROM", "jangbu@city.example")
    monkeypatch.setenv("JANGBU_WEBHOOK_SECRET", SECRET)
    code, out, _ = shell.run("alert", "deliver", "--retry-dead")
    assert (code, out.strip()) == (0, "2 sent, 0 left")


def test_a_crash_after_sending_sends_again_with_the_same_id(
    shell: CommandShell, house: House, engine: Engine, hook: WebHook, senders: Senders, tmp_path: Path
) -> None:
    due(shell, house, engine, tmp_path, hook.url)

    class Killed(BaseException):
        """What ends a process between the answer and the commit."""

    class Dying:
        def send(self, delivery: Delivery) -> None:
            senders.send(delivery)
            raise Killed

    with pytest.raises(Killed):
        deliver_due(engine, Dying())  # type: ignore[arg-type]
    assert deliver_due(engine, senders) == 1
    assert len(hook.posts) == 2
    assert len({headers["X-Jangbu-Delivery"] for headers, _ in hook.posts}) == 1


def test_several_processes_send_each_once(
    shell: CommandShell, house: House, engine: Engine, hook: WebHook, senders: Senders, tmp_path: Path
) -> None:
    for number in range(20):
        house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 60}, user=f"many-{number}")
    due(shell, house, engine, tmp_path, hook.url)
    threads = [threading.Thread(target=deliver_due, args=(engine, senders)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [headers["X-Jangbu-Delivery"] for headers, _ in hook.posts]
    assert (len(ids), len(set(ids))) == (21, 21)


def test_a_departments_alert_goes_to_whom_the_register_names(
    shell: CommandShell, house: House, engine: Engine, box: MailBox, senders: Senders, tmp_path: Path
) -> None:
    register = tmp_path / "departments.csv"
    lines = "department,name,notify,valid_from\nD001,예산과,budget@city.example,2026-01-01\n"
    register.write_text(lines, encoding="utf-8")
    shell.json("department", "import", register)
    file = tmp_path / "quotas.csv"
    file.write_text(f"{HEADER}department,*,,tokens,100,day,50,\n", encoding="utf-8")
    shell.json("quota", "import", file)
    for code in ("D001", "D002"):
        house.use(NOW.isoformat(), code, "gpt-x", {"input_tokens": 60})
    assert len(look_once(engine, "Asia/Seoul", NOW) or []) == 2
    assert deliver_due(engine, senders) == 1
    assert [mail["To"] for mail in box.mails] == ["budget@city.example"]


def test_what_is_missing_is_said(shell: CommandShell, house: House, engine: Engine, tmp_path: Path) -> None:
    due(shell, house, engine, tmp_path, "head@city.example", "https://example.com/hook")
    assert deliver_due(engine, Senders("Asia/Seoul", "en")) == 0
    said = {one["last_error"] for one in shell.json("alert", "deliveries")["deliveries"]}
    assert said == {
        "no mail server is set: set JANGBU_SMTP_URL and JANGBU_MAIL_FROM",
        "no secret signs webhooks: set JANGBU_WEBHOOK_SECRET",
    }


def test_a_login_is_not_sent_in_clear(
    shell: CommandShell, house: House, engine: Engine, box: MailBox, tmp_path: Path
) -> None:
    due(shell, house, engine, tmp_path, "head@city.example")
    server = MailServer.of_url(box.url.replace("smtp://", "smtp://user:hunter2hunter2@"))
    assert deliver_due(engine, Senders("Asia/Seoul", "en", server, "jangbu@city.example")) == 0
    (one,) = shell.json("alert", "deliveries")["deliveries"]
    assert "not sent in clear" in one["last_error"]
    assert "hunter2" not in repr(server) + json.dumps(one)


def test_a_trial_by_command(shell: CommandShell, box: MailBox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANGBU_MAIL_FROM", "jangbu@city.example")
    monkeypatch.setenv("JANGBU_SMTP_URL", box.url)
    monkeypatch.setenv("JANGBU_ALERT_LANGUAGE", "en")
    assert shell.run("alert", "test", "me@city.example")[0] == 0
    assert box.mails[0]["Subject"] == "[jangbu] the organisation: 80% of the day's quota is used"
    code, _, err = shell.run("alert", "test", "not an address")
    assert (code, "slack:https://" in err) == (3, True)
    monkeypatch.setenv("JANGBU_SMTP_URL", "http://host")
    code, _, err = shell.run("alert", "test", "me@city.example")
    assert (code, "smtp://host:587" in err) == (3, True)


def test_what_was_sent_stays_sent(
    shell: CommandShell,
    house: House,
    engine: Engine,
    hook: WebHook,
    senders: Senders,
    tmp_path: Path,
    migrated_database: DatabaseUrls,
) -> None:
    due(shell, house, engine, tmp_path, hook.url)
    assert deliver_due(engine, senders) == 1
    owner = connect(migrated_database.owner)
    for statement in ("update alert_delivery set state = 'waiting', sent_at = null", "delete from alert_delivery"):
        with pytest.raises(exc.DBAPIError), owner.begin() as connection:
            connection.execute(text(statement))
    owner.dispose()


def test_times_are_told_in_the_zone(
    engine: Engine, house: House, shell: CommandShell, tmp_path: Path, box: MailBox, senders: Senders
) -> None:
    due(shell, house, engine, tmp_path, "head@city.example")
    deliver_due(engine, senders)
    body: Any = box.mails[0].get_body(("plain",))
    assert "2026-10-15 00:00 (Asia/Seoul)" in body.get_content()


def test_a_thousand_at_once_are_five_mails_that_can_be_read(
    shell: CommandShell, house: House, engine: Engine, box: MailBox, senders: Senders, tmp_path: Path
) -> None:
    for number in range(1, 1_000):
        house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 60}, user=f"person-{number:04}")
    file = tmp_path / "quotas.csv"
    file.write_text(f"{HEADER}user,*,,tokens,100,day,50,head@city.example\n", encoding="utf-8")
    shell.json("quota", "import", file)
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 60}, user="person-0000")
    watch = Watch(Plan("Asia/Seoul", digest_s=600))
    look_once(engine, "Asia/Seoul", NOW, watch)
    assert deliver_due(engine, senders, watch=watch) == 0, "a digest waits"
    with engine.begin() as connection:
        connection.execute(text("update alert_delivery set next_at = now() where bundles"))
    assert deliver_due(engine, senders, watch=watch) >= 1_000
    assert len({str(mail["Message-ID"]) for mail in box.mails}) == len(box.mails) == 5
    carried = [str(one) for mail in box.mails for one in mail.get_all("X-Jangbu-Delivery") or []]
    assert len(carried) == len(set(carried)) >= 1_000
    told = ""
    for mail in box.mails:
        assert len(bytes(mail)) < 250_000
        plain, page = mail.get_body(("plain",)), mail.get_body(("html",))
        assert plain is not None
        assert page is not None
        told += plain.get_content()
        assert page.get_content().count("<table>") <= 20
    assert all(f"person-{number:04}" in told for number in range(1_000)), "nobody is left out"
