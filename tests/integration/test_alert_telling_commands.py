"""Telling, end to end: programs, digests, quiet hours, deputies, silences, sending again; real SMTP and HTTP."""

from __future__ import annotations

import json
import stat
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import exc, text

from billing.alerts.deliveries import Plan, note_failed, pack_due, take_due
from billing.alerts.quiet import QuietHours, parse_quiet_hours
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

    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

HEADER = "scope,subject,model,unit,limit,window,thresholds,notify\n"
ZONE = "Asia/Seoul"
NOW = datetime.fromisoformat("2026-10-15T23:00:00+09:00")
SECRET = "a-secret-that-signs-webhooks-0123456789"
PROGRAM = """#!{python}
import json, os, sys
told = sys.stdin.read()
with open({log!r}, "a") as file:
    file.write(json.dumps({{"told": json.loads(told), "argv": sys.argv[1:], "names": sorted(os.environ)}}) + "\\n")
sys.exit({code})
"""


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
def owner(migrated_database: DatabaseUrls) -> Iterator[Engine]:
    made = connect(migrated_database.owner)
    yield made
    made.dispose()


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailBox]:
    with serving(MailBox()) as made:
        monkeypatch.setenv("JANGBU_SMTP_URL", made.url)
        monkeypatch.setenv("JANGBU_MAIL_FROM", "jangbu@city.example")
        yield made


def senders_to(box: MailBox) -> Senders:
    return Senders(ZONE, "en", MailServer.of_url(box.url), "jangbu@city.example", SECRET)


def quota(shell: CommandShell, directory: Path, *lines: str) -> None:
    file = directory / "quotas.csv"
    file.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    shell.json("quota", "import", file)


def program(directory: Path, code: int = 0, body: str | None = None) -> tuple[Path, Path]:
    """A receiver of alerts, and what it writes down."""
    file, log = directory / "receiver", directory / "received"
    file.write_text(body or PROGRAM.format(python=sys.executable, log=str(log), code=code))
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file, log


def test_a_program_reads_the_alert_and_none_of_our_secrets(
    shell: CommandShell, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, log = program(tmp_path)
    monkeypatch.setenv("JANGBU_ALERT_COMMANDS", json.dumps({"pager": [str(file), "$(touch pwned)", "; rm -rf /"]}))
    monkeypatch.setenv("JANGBU_WEBHOOK_SECRET", SECRET)
    quota(shell, tmp_path, "user,*,,tokens,100,day,50,command:pager;command:unheard-of")
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 60}, user="$(touch pwned)")
    shell.json("alert", "check", "--at", NOW.isoformat())
    code, out, _ = shell.run("alert", "deliver")
    assert (code, out.strip()) == (6, "1 sent, 1 left")
    (line,) = log.read_text().splitlines()
    seen = json.loads(line)
    assert (seen["told"]["subject"], seen["told"]["used"]) == ("$(touch pwned)", "60")
    assert seen["argv"] == ["$(touch pwned)", "; rm -rf /"], "words as they are: no shell"
    assert not [name for name in seen["names"] if name.startswith("JANGBU_")]
    assert not (tmp_path / "pwned").exists()
    (left,) = shell.json("alert", "deliveries", "--state", "waiting")["deliveries"]
    assert "no command 'unheard-of' is set" in left["last_error"]


@pytest.mark.parametrize(("body", "says"), [(None, "ended with 3"), ("#!/bin/sh\nsleep 60 & sleep 60\n", "within 1 s")])
def test_a_program_that_fails_or_hangs(
    shell: CommandShell, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str | None, says: str
) -> None:
    file, _ = program(tmp_path, 3, body)
    monkeypatch.setenv("JANGBU_ALERT_COMMANDS", json.dumps({"pager": [str(file)]}))
    monkeypatch.setenv("JANGBU_ALERT_COMMAND_SECONDS", "1")
    began_s = time.monotonic()
    code, _, err = shell.run("alert", "test", "command:pager")
    assert (code, says in err) == (3, True), err
    assert time.monotonic() - began_s < 50, "what it started was killed with it"


def test_a_digest_carries_several_each_with_its_id(
    shell: CommandShell, house: House, engine: Engine, owner: Engine, box: MailBox, tmp_path: Path
) -> None:
    with serving(WebHook()) as hook:
        quota(shell, tmp_path, f"user,*,,tokens,100,day,50,head@city.example;{hook.url}")
        for number in range(3):
            house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 60}, user=f"u-{number}")
        watch = Watch(Plan(ZONE, None, 60))
        assert len(look_once(engine, ZONE, NOW, watch) or []) == 3
        assert deliver_due(engine, senders_to(box), watch=watch) == 3, "programs are told at once"
        assert (len(box.mails), len(hook.posts)) == (0, 3)
        with owner.begin() as connection:
            connection.execute(text("update alert_delivery set next_at = now() where state = 'waiting' and id in "
                                    "(select min(id) from alert_delivery where state = 'waiting')"))  # fmt: skip
        box.answers = [450]
        assert deliver_due(engine, senders_to(box), watch=watch) == 0
        house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 60}, user="late")
        look_once(engine, ZONE, NOW, watch)
        first = shell.json("alert", "deliveries", "--state", "waiting")["deliveries"][0]["delivery"]
        shell.json("alert", "resend", first)
        assert deliver_due(engine, senders_to(box), watch=watch) == 3 + 1
    (mail,) = box.mails
    waiting = {one["delivery"] for one in shell.json("alert", "deliveries", "--state", "waiting")["deliveries"]}
    sent = {one["delivery"] for one in shell.json("alert", "deliveries", "--state", "sent")["deliveries"]}
    in_mail = {str(one) for one in mail.get_all("X-Jangbu-Delivery") or []}
    assert len(in_mail) == 3
    assert in_mail <= sent
    assert len(waiting) == 1, "what was due later is in another message"
    assert str(mail["Message-ID"]).strip("<>").partition("@")[0] in in_mail
    assert mail["Subject"].strip().startswith("[jangbu] 3 alerts:")


def test_what_is_not_grave_waits_for_the_morning(
    shell: CommandShell, house: House, engine: Engine, owner: Engine, box: MailBox, tmp_path: Path
) -> None:
    quota(shell, tmp_path, "user,*,,tokens,100,day,50;100,head@city.example")
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 60}, user="half")
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 100}, user="spent")
    watch = Watch(Plan(ZONE, QuietHours(*parse_quiet_hours("22:00-07:00"))))
    assert len(look_once(engine, ZONE, NOW, watch) or []) == 3
    assert deliver_due(engine, senders_to(box), watch=watch) == 1
    assert [mail["Subject"] for mail in box.mails] == ["[jangbu] user spent: 100% of the day's quota is used"]
    with owner.connect() as connection:
        waits = connection.execute(
            text("select distinct next_at - made_at from alert_delivery where state = 'waiting'")
        ).scalars()
        assert [*waits] == [timedelta(hours=8)]


def test_neither_a_digest_nor_a_new_attempt_ends_in_quiet_hours(
    shell: CommandShell, house: House, engine: Engine, owner: Engine, box: MailBox, tmp_path: Path
) -> None:
    """Looked at 23:00, when it is loud: a digest's wait, or the wait of a refused mail, would end after 23:05."""
    quota(shell, tmp_path, "user,*,,tokens,100,day,50;100,head@city.example")
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 60}, user="half")
    quiet = QuietHours(*parse_quiet_hours("23:05-07:00"))
    look_once(engine, ZONE, NOW, Watch(Plan(ZONE, quiet, 600)))
    query = text("select next_at - made_at from alert_delivery")
    with owner.connect() as connection:
        assert [*connection.execute(query).scalars()] == [timedelta(hours=8)]
    with engine.begin() as connection:
        connection.execute(text("update alert_delivery set next_at = now()"))
        assert pack_due(connection) == 1
    with engine.begin() as connection:
        parcel = take_due(connection)
        assert parcel is not None
        late = NOW + timedelta(minutes=5, seconds=-1)
        assert not note_failed(connection, parcel, "busy", Plan(ZONE, quiet), late)
        waits = connection.execute(text("select next_at - clock_timestamp() from alert_delivery")).scalar_one()
    assert timedelta(hours=7, minutes=55) < waits <= timedelta(hours=7, minutes=55, seconds=1)


def test_who_may_read_an_alert_does_not_read_what_lets_one_in(
    shell: CommandShell, house: House, engine: Engine, tmp_path: Path
) -> None:
    quota(shell, tmp_path, "user,*,,tokens,100,day,50,slack:https://chat.example/services/T0/secret;a@b.example",
          "organisation,,,tokens,100,day,50,")  # fmt: skip
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 60}, user="half")
    assert len(look_once(engine, ZONE, NOW) or []) == 2
    told = {one["scope"]: one for one in shell.json("alert", "list")["alerts"]}
    assert told["user"]["notify"] == ["slack:chat.example", "a@b.example"]
    assert (told["user"]["recipients"], told["organisation"]["recipients"]) == (2, 0), "nobody is told"


def test_a_deputy_hears_where_the_heads_mail_is_given_up(
    shell: CommandShell, house: House, engine: Engine, box: MailBox, tmp_path: Path
) -> None:
    for name, lines in (
        ("department", "department,name,head_user,deputy_user,valid_from\nD001,예산과,kim,lee,2026-01-01\n"),
        ("roster", ("user,key,department,department_name,cost_centre,valid_from,valid_to,pledge_signed_on\n"
                    "kim,,D001,,,2026-01-01T00:00:00+09:00,,\nlee,,D001,,,2026-01-01T00:00:00+09:00,,\n")),
    ):  # fmt: skip
        (tmp_path / f"{name}.csv").write_text(lines, encoding="utf-8")
        shell.json(name, "import", tmp_path / f"{name}.csv")
    quota(shell, tmp_path, "department,*,,tokens,100,day,50,")
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 60})
    watch = Watch(Plan(ZONE), (), "city.example")
    look_once(engine, ZONE, NOW, watch)
    box.answers = [550]
    assert deliver_due(engine, senders_to(box), watch=watch) == 1
    assert [mail["To"] for mail in box.mails] == ["lee@city.example"]
    told = {(one["recipient"], one["state"]) for one in shell.json("alert", "deliveries")["deliveries"]}
    assert told == {("kim@city.example", "dead"), ("lee@city.example", "sent")}
    assert len({one["alert"] for one in shell.json("alert", "deliveries")["deliveries"]}) == 1


def test_the_house_hears_what_could_be_told_to_nobody_of_a_department(
    shell: CommandShell, house: House, engine: Engine, box: MailBox, tmp_path: Path
) -> None:
    """A mailbox that is not there: once, under an id of its own, and no message of what the house was told anyway."""
    quota(shell, tmp_path, "department,*,,tokens,100,day,50,gone@city.example", "organisation,,,tokens,100,day,50,")
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 60})
    watch = Watch(Plan(ZONE), ("ops@city.example",))
    look_once(engine, ZONE, NOW, watch)
    box.gone = {"gone@city.example"}
    assert deliver_due(engine, senders_to(box), watch=watch) == 2
    assert [mail["To"] for mail in box.mails] == ["ops@city.example"] * 2
    told = sorted((one["recipient"], one["state"]) for one in shell.json("alert", "deliveries")["deliveries"])
    assert told == [("gone@city.example", "dead"), ("ops@city.example", "sent"), ("ops@city.example", "sent")]
    assert deliver_due(engine, senders_to(box), watch=watch) == 0


def test_a_silence_is_kept_with_who_and_why(
    shell: CommandShell, house: House, engine: Engine, owner: Engine, tmp_path: Path
) -> None:
    quota(shell, tmp_path, "department,*,,tokens,100,day,50,head@city.example")
    until = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    made = shell.json("alert", "silence", "--department", "D001", "--until", until, "--reason", "moving house")
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 60})
    house.use(NOW.isoformat(), "D002", "gpt-x", {"input_tokens": 60})
    look_once(engine, ZONE, NOW)
    alerts = {one["subject"]: one["silenced_by"] for one in shell.json("alert", "list")["alerts"]}
    assert alerts == {"D001": made["silence"], "D002": None}, "kept, and not told"
    assert len(shell.json("alert", "deliveries")["deliveries"]) == 1
    (one,) = shell.json("alert", "silences")["silences"]
    assert (one["reason"], one["department"], one["actor"][:3]) == ("moving house", "D001", "os:")
    shell.json("alert", "silence", "--lift", made["silence"], "--reason", "back")
    assert shell.json("alert", "silences")["silences"] == []
    assert len(shell.json("alert", "silences", "--all")["silences"]) == 1
    house.use((NOW + timedelta(days=1)).isoformat(), "D001", "gpt-x", {"input_tokens": 60})
    look_once(engine, ZONE, NOW + timedelta(days=1))
    assert len(shell.json("alert", "deliveries")["deliveries"]) == 2
    for statement in ("update alert_silence set reason = 'x'", "delete from alert_silence", "delete from alert"):
        with pytest.raises(exc.DBAPIError), owner.begin() as connection:
            connection.execute(text(statement))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--until", "2930-01-01T00:00:00Z"], "a silence of everything is refused"),
        (["--kind", "spike", "--until", "2020-01-01T00:00:00Z"], "has passed"),
        (["--quota", "99", "--until", "2930-01-01T00:00:00Z"], "no quota 99"),
        (["--lift", "99"], "no silence 99"),
        (["--kind", "spike"], "--until"),
        (["--kind", "spike", "--lift", "1"], "--lift"),
    ],
)
def test_silences_that_say_nothing_are_refused(shell: CommandShell, words: list[str], says: str) -> None:
    code, _, err = shell.run("alert", "silence", *words, "--reason", "x")
    assert (code, says in err) == (2, True), err


def test_lists_pick_and_resend_knows_its_limits(
    shell: CommandShell, house: House, engine: Engine, box: MailBox, tmp_path: Path
) -> None:
    quota(shell, tmp_path, "user,*,,tokens,100,day,50;100,head@city.example")
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 100}, user="u-1")
    look_once(engine, ZONE, NOW)
    assert len(shell.json("alert", "list", "--kind", "threshold")["alerts"]) == 2
    assert shell.json("alert", "list", "--kind", "spike")["alerts"] == []
    (critical,) = shell.json("alert", "list", "--severity", "critical", "--quota", 1)["alerts"]
    assert shell.json("alert", "list", "--after", critical["alert"], "--since", NOW.isoformat())["alerts"] == []
    box.answers = [550, 550]
    deliver_due(engine, senders_to(box))
    dead = [one["delivery"] for one in shell.json("alert", "deliveries", "--state", "dead")["deliveries"]]
    assert len(dead) == 2
    assert shell.json("alert", "resend", dead[0])["again"] == [dead[0]]
    assert shell.json("alert", "resend", "--dead")["again"] == [dead[1]]
    assert deliver_due(engine, senders_to(box)) == 2
    assert {str(mail["X-Jangbu-Delivery"]) for mail in box.mails} == set(dead), "under the same ids"
    code, _, err = shell.run("alert", "resend", dead[0])
    assert (code, "waits or was given up" in err) == (4, True), "what was sent stays sent"
    assert shell.run("alert", "resend")[0] == 2
