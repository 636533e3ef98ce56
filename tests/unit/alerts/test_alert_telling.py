"""Who is told, when, and in which words: pure, with hostile names."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, time
from typing import Any

import pytest

from billing.alerts.alert import KINDS, Alert, Due, uid_of
from billing.alerts.messages import document_of, message_of
from billing.alerts.quiet import QuietHours, parse_quiet_hours
from billing.alerts.recipients import mail_of_user, parse_recipient
from billing.alerts.routing import Registers
from billing.alerts.silences import Silence, silence_for
from billing.alerts.wording import CASES, LABELS, SUBJECTS
from billing.plans.departments import Department
from billing.roster import BEGINNING
from jangbu.sending.posts import is_ours, signed_headers
from jangbu.settings_alerts import parse_commands, parse_notify, parse_thresholds

ZONE = "Asia/Seoul"
HOSTILE = "<script>alert(1)</script>\r\nBcc: all@city.example\u202e\u2066=cmd|' /C calc'!A0{who}%s"
NOW = datetime.fromisoformat("2026-10-15T12:00:00+09:00")


def alert(kind: Any = "threshold", number: Any = 1, **content: Any) -> Alert:
    told = {"model": HOSTILE, "unit": "tokens", "window": "day", "window_hour": 497_000, "used": "60", "limit": "100",
            "threshold": "50", **content}  # fmt: skip
    key = f"key-{number}"
    return Alert(number, uid_of(kind, key), kind, key, "info", "user", HOSTILE, None, None, told, (), None, NOW)


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_names_harm_no_message(kind: str, language: Any) -> None:
    names = {name: HOSTILE for name in LABELS if name not in alert().content}
    moments = dict.fromkeys(("exhausted_at", "since", "last_seen", "hour_start", "window_start"), NOW.isoformat())
    said = message_of([alert(kind, **{**names, **moments}), alert(kind, 2)], ["a" * 32, "b" * 32], ZONE, language)
    for text in (said.subject, said.text.replace("\n", ""), said.html):
        assert not re.search("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", text)
    assert "\n" not in said.subject
    assert "<script" not in said.html
    assert {"a" * 32, "b" * 32} <= set(re.findall("[ab]{32}", said.text))
    assert document_of(alert(kind), "a" * 32)["subject"] == HOSTILE, "programs get the name itself"


def test_every_kind_has_words() -> None:
    assert set(SUBJECTS) == set(KINDS)
    assert all(korean and english for korean, english in [*SUBJECTS.values(), *CASES.values(), *LABELS.values()])


def test_some_alerts_of_a_kind_are_another_case() -> None:
    said = message_of([alert("late", case="away")], ["a"], ZONE, "en").subject
    assert said == "[jangbu] Kafka does not answer: no use can be collected"
    said = message_of([alert("pledge", case="version", version="3")], ["a"], ZONE, "ko").subject
    assert "새 판(3)" in said


@pytest.mark.parametrize(
    ("at", "severity", "told"),
    [
        ("21:59", "warning", "2026-10-15T21:59"),
        ("22:00", "warning", "2026-10-16T07:00"),
        ("22:00", "critical", "2026-10-15T22:00"),
        ("00:30", "info", "2026-10-15T07:00"),
        ("06:59", "warning", "2026-10-15T07:00"),
        ("07:00", "warning", "2026-10-15T07:00"),
    ],
)
def test_quiet_hours_over_midnight(at: str, severity: Any, told: str) -> None:
    moment = datetime.fromisoformat(f"2026-10-15T{at}:00+09:00")
    quiet = QuietHours(*parse_quiet_hours("22:00-07:00"))
    assert quiet.told_at(severity, moment, ZONE) == datetime.fromisoformat(f"{told}:00+09:00")


def test_quiet_hours_within_a_day_and_over_a_clock_change() -> None:
    quiet = QuietHours(time(12), time(13), "warning")
    assert quiet.told_at("info", NOW, ZONE) == datetime.fromisoformat("2026-10-15T13:00:00+09:00")
    assert quiet.told_at("warning", NOW, ZONE) == NOW
    night = QuietHours(time(22), time(7))
    before_change = datetime.fromisoformat("2026-10-31T23:00:00-04:00")
    morning = datetime.fromisoformat("2026-11-01T07:00:00-05:00")
    assert night.told_at("info", before_change, "America/New_York") == morning
    for wrong in ("22-07", "24:00-07:00", "22:00-22:00", ""):
        with pytest.raises(ValueError, match="write 22:00-07:00"):
            parse_quiet_hours(wrong)


def department(code: str, parent: str | None = None, **cells: Any) -> Department:
    blank = dict.fromkeys(("cost_centre", "head_user", "deputy_user", "notify", "programme", "budget_item"))
    return Department(code, code, parent, **{**blank, **cells}, valid_from=BEGINNING, valid_to=None)


def due(department: str | None = "D001", severity: Any = "info", **more: Any) -> Due:
    return Due("budget", "k", severity, {}, **{"scope": "department", "subject": "", "department": department, **more})


def registers(*rows: Department, members: frozenset[str] | None = None) -> Registers:
    return Registers({row.department: row for row in rows}, members, ("ops@city.example",), "city.example")


def test_a_department_its_head_and_deputy() -> None:
    row = department("D001", notify="budget@city.example", head_user="kim", deputy_user="lee")
    everybody = frozenset({"kim", "lee"})
    both = ("budget@city.example", "kim@city.example")
    assert registers(row, members=everybody).recipients_of(due()) == both
    assert registers(row, members=everybody).recipients_of(due(severity="critical")) == (*both, "lee@city.example")
    gone = registers(row, members=frozenset({"lee"}))
    assert gone.recipients_of(due()) == ("budget@city.example", "lee@city.example"), "the head has left"
    assert registers(row).recipients_of(due(notify=("own@city.example",))) == ("own@city.example",)


def test_what_is_given_up_goes_on_to_somebody_else() -> None:
    row = department("D001", notify="budget@city.example", head_user="kim", deputy_user="lee")
    both, house = registers(row, members=frozenset({"kim", "lee"})), ("ops@city.example",)
    assert both.instead_of("kim@city.example", due()) == ("lee@city.example",)
    assert both.instead_of("lee@city.example", due()) == house, "the deputy is not there either"
    assert both.instead_of("budget@city.example", due()) == house
    alone = registers(row, members=frozenset({"kim"}))
    assert alone.instead_of("kim@city.example", due()) == house, "the deputy has left"
    assert both.instead_of("ops@city.example", due(None)) == (), "nobody is left"
    assert both.instead_of("pager@city.example", due(None, notify=("pager@city.example",))) == house
    own = due(None, scope="user", subject="kim")
    assert both.instead_of("kim@city.example", own) == (), "a user's quota is nobody else's matter"
    assert both.instead_of("kim@city.example", replace(own, kind="pledge")) == house


def test_the_department_above_and_the_organisation() -> None:
    above, below = department("D000", notify="top@city.example"), department("D001", "D000", notify="javascript:1")
    assert registers(above, below).recipients_of(due()) == ("top@city.example",)
    assert registers(below).recipients_of(due()) == ("ops@city.example",)
    half = department("D001", notify="not an address; a@city.example;https://h.example:abc/x")
    assert registers(half).recipients_of(due()) == ("a@city.example",), "one that cannot be told silences no other"
    circle = (department("D001", "D002"), department("D002", "D001"))
    assert registers(*circle).recipients_of(due()) == ("ops@city.example",)
    assert registers().recipients_of(due(None, scope="")) == ("ops@city.example",)


def test_a_user_hears_of_what_is_theirs_where_the_roster_knows_them() -> None:
    about = due(None, scope="user", subject="kim")
    assert registers(members=frozenset({"kim"})).recipients_of(about) == ("kim@city.example",)
    assert registers(members=frozenset({"lee"})).recipients_of(about) == (), "a forged name gets no mail"
    assert registers().recipients_of(about) == ()
    for name in (HOSTILE, "a b", "x\n", "", "kim@evil.example", "<kim>"):
        assert mail_of_user(name, "city.example") is None


def test_silences_fit_what_they_name() -> None:
    def silence(number: int, kind: str | None, quota: int | None, code: str | None, lifted: Any = None) -> Silence:
        return Silence(number, kind, quota, code, NOW, "why", "os:me", NOW, lifted)

    before = datetime.fromisoformat("2026-10-15T11:59:59+09:00")
    of_both = [silence(1, "spike", None, "D001"), silence(2, "budget", None, "D001")]
    assert silence_for(due(), of_both, before) == 2
    assert silence_for(due(), of_both, NOW) is None, "it has passed"
    assert silence_for(due("D002"), of_both, before) is None
    assert silence_for(due(), [silence(2, "budget", None, None, lifted=3)], before) is None
    assert silence_for(due(quota=7), [silence(1, None, 7, None)], before) == 1


def test_a_replayed_or_changed_webhook_is_refused() -> None:
    secret, body, at = "0123456789abcdef", b'{"id":"1"}', 1_760_000_000
    headers = signed_headers(secret, body, at)
    assert is_ours(secret, headers, body, at + 300)
    assert not is_ours(secret, headers, body, at + 301)
    assert not is_ours(secret, headers, body, at - 301)
    assert not is_ours(secret, headers, body + b" ", at)
    assert not is_ours(secret, {**headers, "X-Jangbu-Timestamp": str(at + 1)}, body, at)
    assert not is_ours("another-secret-of-16", headers, body, at)
    for wrong in ("", "-1", "٣", "9" * 40):
        assert not is_ours(secret, {**headers, "X-Jangbu-Timestamp": wrong}, body, at)
    assert not is_ours(secret, {}, body, at)


def test_recipients_and_settings() -> None:
    assert parse_recipient("command:pager") == ("command", "pager")
    assert parse_recipient("command:pager").shown == "command:pager"
    for wrong in ("command:", "command:/bin/sh", "command:a b", "command:A;rm", "command:../x"):
        with pytest.raises(ValueError, match="command:NAME"):
            parse_recipient(wrong)
    assert parse_commands('{"pager": ["/bin/page", "--now"]}')["pager"] == ("/bin/page", "--now")
    for wrong in ("[]", "{", '{"pager": "x"}', '{"pager": []}', '{"pager": ["page"]}', '{"P x": ["/bin/page"]}',
                  '{"pager": ["/bin/page", 1]}', '{"pager": ["/bin/\\u0000"]}'):  # fmt: skip
        with pytest.raises(ValueError, match=r"pager|program"):
            parse_commands(wrong)
    assert parse_notify("a@b.example; command:pager") == ("a@b.example", "command:pager")
    assert [str(one) for one in parse_thresholds("100 50%;80")] == ["50", "80", "100"]
    for wrong in ("", "0", "-1", "NaN", "Infinity", "x"):
        with pytest.raises(ValueError, match="50;80;100"):
            parse_thresholds(wrong)
