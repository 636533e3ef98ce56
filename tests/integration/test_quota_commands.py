"""`quota` and `alert` as a person runs them: what counts, what is told once, what is refused, and law 8."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import exc, text

from jangbu.alerting import look_once
from jangbu.auditing import run_check
from jangbu.database import connect
from tests.integration.command_world import CommandShell, house_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

HEADER = "scope,subject,model,unit,limit,window,thresholds,notify\n"
DATED = "scope,subject,model,unit,limit,window,thresholds,notify,valid_from,valid_to\n"
NOTIFY = ["head@city.example", "slack:https://example.com/x"]
SHOWN = ["head@city.example", "slack:example.com"]
"""A webhook's path may be what lets one in."""
NOW = "2026-10-15T12:00:00+09:00"
PRICES = (
    "openai,gpt-x,input_tokens,,,,USD,1,1000,2026-01-01T00:00:00Z,,letter",
    "openai,gpt-x,input_tokens,,,,USD,2,1000,2026-10-14T15:00:00Z,,letter of October",
    "local,qwen,input_tokens,,,,KRW,0.5,1,2026-01-01T00:00:00Z,,own",
)


class Desk(CommandShell):
    """The commands with a directory for files."""

    def __init__(self, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
        super().__init__(capsys)
        self._directory = directory

    def quotas(self, *lines: str, header: str = HEADER, code: int = 0) -> Any:
        """Import quota lines."""
        file = self._directory / "quotas.csv"
        file.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
        if code:
            ended, _, err = self.run("quota", "import", file)
            assert ended == code
            return err
        return self.json("quota", "import", file)

    def states(self, at: str = NOW, *more: str) -> dict[tuple[str, str | None, str, str], dict[str, Any]]:
        """Quota states by (scope, subject, unit, window)."""
        told = self.json("quota", "status", "--at", at, *more)["quotas"]
        return {(one["scope"], one["subject"], one["unit"], one["window"]): one for one in told}

    def alerts(self) -> list[tuple[str, str | None, str, str]]:
        """(scope, subject, window, threshold) of the alerts that are kept."""
        told = self.json("alert", "list")["alerts"]
        return [(one["scope"], one["subject"], one["window"], one["threshold"]) for one in told]


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def desk(house: House, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Desk:
    return Desk(capsys, tmp_path)


def test_what_counts_against_a_quota(desk: Desk, house: House) -> None:
    """Tokens of all kinds, one unit, requests, by model and subject, in the window of the local calendar."""
    desk.quotas(
        "organisation,,,tokens,1000,month,,",
        "department,D001,,tokens,100,day,,",
        "department,D001,gpt-*,output_tokens,50,month,,",
        "user,u-1,,requests,10,week,,",
        "user,*,,tokens,60,month,,",
        "user,u-2,,tokens,500,month,,",
    )
    house.use("2026-10-14T23:30:00+09:00", "D001", "gpt-x", {"input_tokens": 7, "requests": 1}, user="u-1")
    house.use("2026-10-15T00:30:00+09:00", "D001", "gpt-x", {"input_tokens": 20, "output_tokens": 5}, user="u-1")
    house.use("2026-10-15T09:30:00+09:00", "D001", "claude-y", {"output_tokens": 9, "requests": 2}, user="u-2")
    house.use("2026-10-15T09:30:00+09:00", None, "gpt-x", {"input_tokens": 100}, user=None)
    house.use("2026-09-30T23:59:00+09:00", "D001", "gpt-x", {"input_tokens": 1_000_000}, user="u-1")
    seen = {key: (one["used"], one["remaining"]) for key, one in desk.states().items()}
    assert seen == {
        ("organisation", None, "tokens", "month"): ("141", "859"),
        ("department", "D001", "tokens", "day"): ("34", "66"),
        ("department", "D001", "output_tokens", "month"): ("5", "45"),
        ("user", "u-1", "requests", "week"): ("1", "9"),
        ("user", "u-1", "tokens", "month"): ("32", "28"),
        ("user", "u-2", "tokens", "month"): ("9", "491"),
    }
    day = desk.states()["department", "D001", "tokens", "day"]
    assert (day["window_start"], day["resets_at"]) == ("2026-10-14T15:00:00Z", "2026-10-15T15:00:00Z")
    assert (day["percent"], day["state"], day["crossed"]) == ("34", "within", [])
    assert [*desk.states(NOW, "--user", "u-2")] == [("user", "u-2", "tokens", "month")]


def test_money_counts_at_the_price_and_rate_of_its_time(desk: Desk, house: House) -> None:
    """1,000 tokens before a price change and 1,000 after it, at rates of two days; what has no price is beside it."""
    house.prices(*PRICES)
    house.fx("2026-10-14,USD,KRW,1000,bank", "2026-10-15,USD,KRW,1100,bank")
    desk.quotas("department,D001,,KRW,5000,month,50;100,")
    house.use("2026-10-14T23:30:00+09:00", "D001", "gpt-x", {"input_tokens": 1000})
    house.use("2026-10-15T00:30:00+09:00", "D001", "gpt-x", {"input_tokens": 1000})
    house.use("2026-10-15T00:30:00+09:00", "D001", "qwen", {"input_tokens": 4}, provider="local")
    house.use("2026-10-15T00:30:00+09:00", "D001", "unheard-of", {"input_tokens": 33, "requests": 1})
    (state,) = desk.states().values()
    assert (state["used"], state["remaining"], state["percent"]) == ("3202", "1798", "64")
    assert state["unknown_quantity"] == "33"
    assert (state["state"], state["crossed"]) == ("warned", ["50"])


def test_a_threshold_is_told_once(desk: Desk, house: House) -> None:
    desk.quotas("user,*,,tokens,100,day,50;80;100,head@city.example")
    house.use("2026-10-15T09:00:00+09:00", "D001", "gpt-x", {"input_tokens": 50}, user="u-1")
    house.use("2026-10-15T09:00:00+09:00", "D001", "gpt-x", {"input_tokens": 49}, user="u-2")
    assert len(desk.json("alert", "check", "--at", NOW)["new"]) == 1
    assert desk.json("alert", "check", "--at", NOW)["new"] == []
    house.use("2026-10-15T10:00:00+09:00", "D001", "gpt-x", {"output_tokens": 51}, user="u-1")
    assert len(desk.json("alert", "check", "--at", NOW)["new"]) == 2
    assert desk.alerts() == [("user", "u-1", "day", "50"), ("user", "u-1", "day", "80"), ("user", "u-1", "day", "100")]
    (state,) = desk.json("quota", "status", "--at", NOW, "--user", "u-1")["quotas"]
    assert (state["state"], state["remaining"], state["percent"]) == ("spent", "0", "101")


def test_late_use_counts_in_the_window_of_its_time(desk: Desk, house: House) -> None:
    """Only for quotas that were known then: one that is made today says nothing about yesterday."""
    desk.quotas("department,*,,tokens,100,day,100,")
    now = datetime.now(UTC)
    house.use((now - timedelta(days=1)).isoformat(), "D001", "gpt-x", {"input_tokens": 100})
    assert desk.json("alert", "check", "--at", now.isoformat())["new"] == []
    tomorrow = (now + timedelta(days=1)).isoformat()
    assert desk.json("alert", "check", "--at", tomorrow)["new"] == []
    house.use(now.isoformat(), "D002", "gpt-x", {"input_tokens": 100})
    assert len(desk.json("alert", "check", "--at", tomorrow)["new"]) == 1
    assert desk.alerts() == [("department", "D002", "day", "100")]


def test_an_override_with_an_end_falls_back_by_itself(desk: Desk) -> None:
    desk.quotas("department,D001,,tokens,100,month,,")
    dated = "department,D001,,tokens,900,month,,,2026-10-10T00:00:00+09:00,2026-10-20T00:00:00+09:00"
    assert desk.quotas(dated, header=DATED)["added"] == 1
    limits = [
        desk.json("quota", "list", "--at", f"2026-10-{day}T12:00:00+09:00")["quotas"][0]["limit"]
        for day in ("09", "15", "20")
    ]
    assert limits == ["100", "900", "100"]


def test_import_shows_changes_and_withdraws(desk: Desk) -> None:
    told = ";".join(NOTIFY)
    first = desk.quotas(f"user,u-1,,tokens,100,day,80 100%,{'; '.join(NOTIFY)}")
    assert (first["added"], first["changed"], first["unchanged"]) == (1, 0, 0)
    assert desk.quotas(f"user,u-1,,tokens,100,day,80;100,{told}")["unchanged"] == 1
    changed = desk.quotas(f"user,u-1,,tokens,200,day,80;100,{told}")
    assert (changed["changes"][0]["before"]["limit"], changed["changes"][0]["limit"]) == ("100", "200")
    (held,) = desk.json("quota", "list")["quotas"]
    assert (held["thresholds"], held["notify"], held["mode"]) == (["80", "100"], SHOWN, "soft")
    desk.quotas("user,u-1,,tokens,,day,,")
    assert desk.json("quota", "list")["quotas"] == []
    assert len(desk.json("quota", "list", "--all")["quotas"]) == 3


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("team,D001,,tokens,1,day,,", ["line 2", "scope", "'team'", "organisation, department, programme, user"]),
        ("department,,,tokens,1,day,,", ["subject", "write * for each department"]),
        ("organisation,D001,,tokens,1,day,,", ["subject", "'D001'", "leave it empty"]),
        ("user,u,,Tokens,1,day,,", ["unit", "'Tokens'", "currency (KRW)"]),
        ("user,u,,tokens,-1,day,,", ["limit", "'-1'"]),
        ("user,u,,tokens,0,day,,", ["limit", "'0'", "withdraw"]),
        ("user,u,,KRW,1.5,day,,", ["limit", "'1.5'", "KRW has 0 digits"]),
        ("user,u,,tokens,1,fortnight,,", ["window", "'fortnight'", "week"]),
        ("user,u,,tokens,1,day,50;-3,", ["thresholds", "'50;-3'", "percents"]),
        ("user,u,,tokens,1,day,,head@city.example;javascript:1", ["notify", "'javascript:1'", "slack:https://"]),
        ("user,u,,tokens,1,day,,\nuser,u,,tokens,2,day,,", ["line 3", "line 2 gives this quota already"]),
    ],
)
def test_wrong_files_are_refused_whole(desk: Desk, line: str, says: list[str]) -> None:
    err = desk.quotas(*line.split("\n"), "user,fine,,tokens,5,day,,", code=2)
    for part in says:
        assert part in err
    assert desk.json("quota", "list")["quotas"] == []


def test_instants_need_an_offset(desk: Desk) -> None:
    code, _, err = desk.run("quota", "status", "--at", "2026-10-15")
    assert (code, "2026-10-15" in err, "with its offset" in err) == (2, True, True)


def test_two_looks_at_once_tell_once(desk: Desk, house: House, migrated_database: DatabaseUrls) -> None:
    desk.quotas("user,*,,tokens,10,day,100,")
    for number in range(30):
        house.use("2026-10-15T09:00:00+09:00", "D001", "gpt-x", {"input_tokens": 10}, user=f"u-{number}")
    engine = connect(migrated_database.billing)
    moment = datetime.fromisoformat(NOW)
    threads = [threading.Thread(target=look_once, args=(engine, "Asia/Seoul", moment)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    look_once(engine, "Asia/Seoul", moment)
    engine.dispose()
    assert sorted(desk.alerts()) == sorted(("user", f"u-{number}", "day", "100") for number in range(30))


def test_law_8_finds_what_was_not_told(desk: Desk, house: House, migrated_database: DatabaseUrls) -> None:
    """A look that recorded nothing of what was due, as a broken alerter would leave it."""
    desk.quotas(
        "user,*,gpt-*,tokens,10,day,50;100,",
        "user,u-2,gpt-*,tokens,1000,day,100,",
        "organisation,,,requests,2,month,,",
    )
    units = {"input_tokens": 4, "output_tokens": 3, "requests": 1}
    for user in ("u-1", "u-2"):
        house.use("2026-10-15T09:00:00+09:00", "D001", "gpt-x", units, user=user)
    assert len(desk.json("alert", "check", "--at", NOW)["new"]) == 4
    owner = connect(migrated_database.owner)
    with owner.begin() as connection:  # as if the quotas had been there for an hour before the look
        connection.execute(text("update quota_look set looked_at = now() + interval '2 hours'"))
        kept = run_check(connection, "8-alerts")
    assert (kept.checked, kept.violations) == (8, [])
    house.use("2026-10-15T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 5, "odd_tokens": 1}, user="u-1")
    with owner.connect() as connection:
        (said,) = run_check(connection, "8-alerts").violations
    assert "for 'u-1': 100 percent of 10 is reached with 13" in said
    owner.dispose()


def test_what_was_told_stays(desk: Desk, house: House, migrated_database: DatabaseUrls) -> None:
    desk.quotas("organisation,,,tokens,10,day,,")
    house.use("2026-10-15T09:00:00+09:00", "D001", "gpt-x", {"input_tokens": 10})
    desk.json("alert", "check", "--at", NOW)
    owner = connect(migrated_database.owner)
    for statement in ("update quota_alert set used = 0", "delete from quota_alert", "update quota set unit = 'x'"):
        with pytest.raises(exc.DBAPIError), owner.begin() as connection:
            connection.execute(text(statement))
    owner.dispose()


def test_what_is_left_is_carried_into_the_next_window_once(desk: Desk, house: House) -> None:
    """Unused of yesterday on top of today's limit, at most so much; nothing of what is everybody's or not known."""
    house.prices(*PRICES)
    desk.quotas(
        "department,D001,,tokens,100,day,,",
        "department,D002,,tokens,100,day,,",
        "department,D003,,tokens,100,day,,",
        "department,D003,,tokens,100,month,,",
        "department,D001,,KRW,5000,day,,",
        "user,*,,tokens,60,day,,",
    )
    begin = datetime.now(UTC) + timedelta(days=2)
    day = [(begin + timedelta(days=number)).isoformat() for number in range(3)]
    house.use(day[0], "D001", "gpt-x", {"output_tokens": 70}, user="u-1")
    house.use(day[0], "D002", "gpt-x", {"output_tokens": 130})
    asked = ("quota", "carry", "--window", "day", "--at")
    told = desk.json(*asked, day[1], "--most", "50", "--dry-run")
    assert {one["subject"]: one["limit"] for one in told["carried"]} == {"D001": "130", "D003": "150"}
    assert sorted((one["unit"], one["subject"]) for one in told["left_out"]) == [("KRW", "D001"), ("tokens", "*")]
    assert desk.states(day[1])["department", "D001", "tokens", "day"]["limit"] == "100", "a dry run writes nothing"
    assert len(desk.json(*asked, day[1])["carried"]) == 2
    held = desk.states(day[1])
    limits = {code: held["department", code, "tokens", "day"]["limit"] for code in ("D001", "D002", "D003")}
    assert limits == {"D001": "130", "D002": "100", "D003": "200"}
    assert desk.json(*asked, day[1])["carried"] == [], "once a window"
    assert desk.states(day[2])["department", "D001", "tokens", "day"]["limit"] == "100", "it ends with the window"
    house.use(day[1], "D001", "gpt-x", {"output_tokens": 10})
    told = desk.json(*asked, day[2])
    assert {one["subject"]: one["limit"] for one in told["carried"]} == {"D001": "200", "D002": "200", "D003": "200"}
