"""Law 8 finds each threshold that is due and not kept, also of money and programmes; what it cannot know it names."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from tests.faults.events import chunk, event
from tests.faults.workbench import Workbench
from tests.integration.command_world import CommandShell, house_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

HEADER = "scope,subject,model,unit,limit,window,thresholds,notify\n"
QUOTAS = (
    "organisation,,,KRW,1000,month,50;100,",
    "department,*,,KRW,400,day,100,",
    "user,u-1,gpt-*,USD,2,day,100,",
    "programme,pilot,,tokens,900,month,100,",
    "programme,*,,KRW,5000,month,10,",
    "organisation,,,requests,7,day,100,",
)
PRICES = "openai,gpt-x,input_tokens,,,,USD,1,1000,2026-01-01T00:00:00Z,,letter"
PROGRAMMES = "programme,name,starts_on,ends_on,places,models\npilot,Pilot,2026-10-01,2026-11-01,1,gpt*\n"
APPLICATIONS = "programme,user,department,applied_at,left_at\npilot,u-1,D001,2026-10-01T00:00:00Z,\n"
NOW = "2026-10-15T12:00:00+09:00"


class Desk(CommandShell):
    """The commands with files, and a look that can be moved in time."""

    def __init__(self, capsys: pytest.CaptureFixture[str], directory: Path, house: House) -> None:
        super().__init__(capsys)
        self._directory, self._house = directory, house

    def bring(self, command: str, content: str, verb: str = "import") -> None:
        file = self._directory / f"{command}.csv"
        file.write_text(content, encoding="utf-8")
        self.json(command, verb, file)

    def look(self, at: str = NOW) -> int:
        """How many alerts are new; the look then counts as one that everything was there for."""
        found = len(self.json("alert", "check", "--at", at)["new"])
        self.move_look(timedelta(hours=2))
        return found

    def move_look(self, by: timedelta) -> None:
        """As if the last look had been then."""
        with self._house.as_role("owner") as connection:
            connection.execute(text("update quota_look set looked_at = now() + :by"), {"by": by})

    def law(self) -> dict[str, Any]:
        """What `jangbu audit` says of law 8."""
        code, out, err = self.run("audit", "--json")
        assert code in (0, 7), err
        (found,) = (one for one in json.loads(out)["laws"] if one["law"] == "8-alerts")
        assert code == 7 or not found["violations"]
        return dict(found)


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def desk(house: House, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Desk:
    """Everything is known, and 300 tokens at 300 KRW are used by somebody with a place; nothing is due."""
    made = Desk(capsys, tmp_path, house)
    house.prices(PRICES)
    house.fx("2026-10-14,USD,KRW,1000,bank")
    made.bring("programme", PROGRAMMES)
    made.bring("programme", APPLICATIONS, "apply")
    made.bring("quota", HEADER + "\n".join(QUOTAS) + "\n")
    house.use("2026-10-15T09:00:00+09:00", "D001", "gpt-x", {"input_tokens": 300, "requests": 1}, user="u-1")
    assert made.look() == 0
    return made


def test_each_kind_of_quota_is_judged(desk: Desk, house: House) -> None:
    """Use that an alerter overlooked: as many findings as it then tells of, and none afterwards."""
    assert desk.law() == {"law": "8-alerts", "checked": 0, "violations": [], "not_judged": []}
    house.use("2026-10-15T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 1700, "requests": 6}, user="u-1")
    said = desk.law()["violations"]
    for part in (
        "for '': 50 percent of 1000 KRW is reached with 2000 in the window from 2026-09-30T15:00:00+00:00",
        "for '': 100 percent of 1000 KRW",
        "for 'D001': 100 percent of 400 KRW",
        "for 'u-1': 100 percent of 2 USD is reached with 2 ",
        "for 'pilot': 100 percent of 900 tokens is reached with 2000",
        "for 'pilot': 10 percent of 5000 KRW",
        "for '': 100 percent of 7 is reached with 7",
    ):
        assert [one for one in said if part in one and one.endswith("no alert is kept")], (part, said)
    assert len(said) == 7
    assert desk.look() == 7
    assert desk.law() == {"law": "8-alerts", "checked": 14, "violations": [], "not_judged": []}


def test_whose_own_quota_is_withdrawn_inherits_again(desk: Desk, house: House) -> None:
    """In SQL (requests) as for money: the one of each counts for D001."""
    rows = ("department,*,,{},5,day,100,", "department,D001,,{},9000,day,100,", "department,D001,,{},,day,100,")
    for line in rows:
        desk.bring("quota", HEADER + "\n".join(line.format(unit) for unit in ("requests", "USD")) + "\n")
    assert desk.look() == 0
    house.use("2026-10-15T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 4700, "requests": 4}, user="u-3")
    said = [one for one in desk.law()["violations"] if "100 percent of 5 " in one]
    assert len(said) == 2, desk.law()
    assert desk.look() > 2
    assert desk.law()["violations"] == []


def test_the_window_before_is_judged_too(desk: Desk, house: House) -> None:
    """Use that came late: it counts in the window of its time, for quotas that were known then."""
    begin = datetime.now(UTC) + timedelta(days=40)
    tomorrow = (begin + timedelta(days=1)).isoformat()
    desk.bring("quota", HEADER + "department,D001,,KRW,9,day,100,\nuser,u-1,,tokens,9,day,100,\n")
    assert desk.look(tomorrow) == 0
    house.use(begin.isoformat(), "D001", "gpt-x", {"input_tokens": 9}, user="u-1")
    said = desk.law()["violations"]
    assert [one for one in said if "for 'D001': 100 percent of 9 KRW" in one]
    assert [one for one in said if "for 'u-1': 100 percent of 9 tokens" in one]
    assert desk.look(tomorrow) >= 2
    assert desk.law()["violations"] == []


@pytest.mark.parametrize(
    ("change", "why", "quotas"),
    [
        ("price", "prices, rates or contracts changed", 4),
        ("rate", "prices, rates or contracts changed", 4),
        ("place", "programmes or who has a place in them changed", 2),
        ("roster", "the roster changed", 1),
        ("quota", "the quotas changed", 2),
    ],
)
def test_what_changed_after_the_look_is_no_finding(
    desk: Desk, house: House, change: str, why: str, quotas: int
) -> None:
    """Each change makes something due that was not when it was looked; the next look judges it."""
    with house.as_role("owner") as connection:
        let_stand(connection)
    desk.move_look(-timedelta(hours=1))
    if change == "price":
        house.prices("openai,gpt-x,input_tokens,,,,USD,9,1000,2026-01-01T00:00:00Z,,dearer")
    elif change == "rate":
        house.fx("2026-10-15,USD,KRW,9000,bank")
    elif change == "place":
        house.use("2026-10-15T09:00:00+09:00", "D001", "gpt-x", {"output_tokens": 900}, user="u-2")
        desk.bring("programme", APPLICATIONS + "pilot,u-2,D001,2026-09-01T00:00:00Z,\n", "apply")
    elif change == "quota":
        desk.bring("quota", HEADER + "department,D001,,KRW,200,day,100,\n")
    else:
        desk.bring("roster", "user,key,department,department_name,cost_centre,valid_from,valid_to,pledge_signed_on\n"
                   "u-1,,D001,,,2026-01-01T00:00:00+09:00,,\n")  # fmt: skip
        house.use("2026-10-15T09:00:00+09:00", "D001", "gpt-x", {"input_tokens": 150}, user="u-9")
    found = desk.law()
    assert found["violations"] == []
    (said,) = [one for one in found["not_judged"] if why in one]
    assert said.startswith(f"{quotas} quotas: {why} less than 60 s before the last look at quotas (")
    desk.look()
    assert desk.law()["violations"] == []
    assert desk.law()["not_judged"] == []


def test_use_that_came_with_or_after_the_look_waits_for_the_next(
    house: House, migrated_database: DatabaseUrls, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A house that is never quiet is judged too: by what was there a minute before the look."""
    desk = Desk(capsys, tmp_path, house)
    desk.bring("quota", HEADER + "organisation,,,tokens,20,day,100,\norganisation,,,KRW,20,day,100,\n")
    house.prices("openai,gpt-5-mini,input_tokens,,,,KRW,1,1,2026-01-01T00:00:00Z,,letter")
    at = "2026-10-15T12:00:00Z"
    with Workbench(migrated_database) as bench:
        bench.store(chunk([event("a", units={"input_tokens": 15, "odd_tokens": 1})]))
        assert desk.look(at) == 0
        bench.tell("update stream_chunk set committed_at = now() - interval '1 hour'")
        bench.store(chunk([event("b", units={"input_tokens": 15, "odd_tokens": 1})], first_offset=1))
        bench.tell("update quota_look set looked_at = now() + interval '5 seconds'")
        with house.as_role("owner") as connection:  # everything but the second chunk had been there for an hour
            let_stand(connection)
        assert desk.law() == {"law": "8-alerts", "checked": 0, "violations": [], "not_judged": []}
        house.use("2026-10-15T11:00:00Z", "D001", "gpt-5-mini", {"input_tokens": 5})
        assert len(desk.law()["violations"]) == 2, "without the second chunk too"
        desk.json("alert", "check", "--at", at)
        assert desk.law()["violations"] == []


def test_a_new_model_is_judged_in_a_house_that_is_never_quiet(
    house: House, migrated_database: DatabaseUrls, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """By what came two minutes before the last look at models, not by the newest."""
    desk = Desk(capsys, tmp_path, house)
    desk.json("alert", "check")
    with Workbench(migrated_database) as bench:
        bench.store(chunk([event("a", model="overlooked")]))
        bench.store(chunk([event("b", model="overlooked")], first_offset=1))
        bench.tell("update stream_chunk set committed_at = now() - interval '1 hour'")
        bench.store(chunk([event("c", model="just-now")], first_offset=2))
        bench.tell("update alert_watch set looked_at = now() + interval '5 seconds'")
        (said,) = desk.law()["violations"]
    assert "overlooked" in said
    desk.json("alert", "check")
    assert desk.law()["violations"] == []


def let_stand(connection: Connection) -> None:
    """As if whatever was changed had been changed two hours before; the owner's transaction."""
    for table, column in (("register_import", "imported_at"), ("input_change", "began")):
        connection.execute(text(f"alter table {table} disable trigger user"))
        connection.execute(text(f"update {table} set {column} = {column} - interval '2 hours'"))
        connection.execute(text(f"alter table {table} enable trigger user"))
