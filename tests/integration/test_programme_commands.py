"""`programme` as a person runs it: the pilot from its file to places, the waiting list, and use of its budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.command_world import CommandShell, house_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

PILOT = """programme,name,starts_on,ends_on,places,budget,currency,models,rules_version,rules
pilot,생성형 AI 시범,2026-10-01,2027-01-01,2,1000,KRW,gpt-*,2026-1,no sensitive data;check and cite results
"""
WISHES = """programme,user,department,applied_at,left_at
pilot,u-1,D001,2026-09-20T09:00:00+09:00,2026-10-15T09:00:00+09:00
pilot,u-2,D001,2026-09-20T09:00:01+09:00,
pilot,u-3,D002,2026-09-21T09:00:00+09:00,
"""
AT = "2026-10-20T09:30:00+09:00"


class Desk(CommandShell):
    """The commands with a directory for files."""

    def __init__(self, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
        super().__init__(capsys)
        self._directory = directory

    def bring(self, what: str, content: str) -> Any:
        file = self._directory / f"{what}.csv"
        file.write_text(content, encoding="utf-8")
        return self.json("programme", what, file)


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def desk(house: House, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Desk:
    made = Desk(capsys, tmp_path)
    assert made.bring("import", PILOT)["added"] == 1
    assert made.bring("apply", WISHES)["added"] == 3
    return made


def test_places_and_the_waiting_list(desk: Desk) -> None:
    early = desk.json("programme", "people", "pilot", "--at", "2026-10-10T00:00:00+09:00")["people"]
    assert [(one["user"], one["state"], one["number"]) for one in early] == [
        ("u-1", "placed", None),
        ("u-2", "placed", None),
        ("u-3", "waiting", 1),
    ]
    later = desk.json("programme", "people", "pilot", "--at", AT)["people"]
    assert [(one["user"], one["since"]) for one in later] == [
        ("u-2", "2026-09-20T00:00:01Z"),
        ("u-3", "2026-10-15T00:00:00Z"),
    ]


def test_who_has_left_the_house_and_keeps_a_place_is_seen(desk: Desk) -> None:
    asked = ("programme", "people", "pilot", "--at", AT)
    assert [one["in_roster"] for one in desk.json(*asked)["people"]] == [None, None], "there is no roster"
    file = desk._directory / "roster.csv"
    file.write_text("user,key,department,department_name,cost_centre,valid_from,valid_to,pledge_signed_on\n"
                    "u-2,,D001,,,2026-01-01T00:00:00+09:00,2026-10-01T00:00:00+09:00,\n"
                    "u-3,,D001,,,2026-01-01T00:00:00+09:00,,\n", encoding="utf-8")  # fmt: skip
    desk.json("roster", "import", file)
    assert {one["user"]: one["in_roster"] for one in desk.json(*asked)["people"]} == {"u-2": False, "u-3": True}


def test_use_counts_while_its_person_has_a_place(desk: Desk, house: House) -> None:
    house.prices("openai,gpt-x,input_tokens,,,,KRW,1,1,2026-01-01T00:00:00Z,,letter")
    for when, user, model, tokens in (
        ("2026-09-30T23:00:00+09:00", "u-1", "gpt-x", 1000),
        ("2026-10-14T10:00:00+09:00", "u-1", "gpt-x", 100),
        ("2026-10-15T10:00:00+09:00", "u-1", "gpt-x", 1000),
        ("2026-10-14T10:00:00+09:00", "u-3", "gpt-x", 1000),
        ("2026-10-16T10:00:00+09:00", "u-3", "gpt-x", 20),
        ("2026-10-16T10:00:00+09:00", "u-2", "claude-y", 1000),
        ("2026-10-16T10:00:00+09:00", "u-2", "gpt-unpriced", 7),
        ("2026-10-20T10:00:00+09:00", "u-2", "gpt-x", 1000),
    ):
        house.use(when, "D001", model, {"input_tokens": tokens}, user=user)
    told = desk.json("programme", "status", "pilot", "--at", AT)
    assert (told["used"], told["remaining"], told["unknown_quantity"]) == ("120", "880", "7")
    assert (told["taken"], told["free"], told["waiting"], told["days_left"]) == (2, 0, 0, 73)
    assert (told["state"], told["rules"]) == ("running", ["no sensitive data", "check and cite results"])
    code, out, _ = desk.run("programme", "status", "pilot", "--at", AT)
    assert (code, "remaining\t880" in out) == (0, True)


def test_a_later_row_takes_the_place_of_the_earlier(desk: Desk) -> None:
    again = desk.bring("import", PILOT)
    assert (again["added"], again["changed"], again["unchanged"]) == (0, 0, 1)
    assert desk.bring("import", PILOT.replace(",2,1000,", ",570,1000,"))["changed"] == 1
    assert desk.json("programme", "status", "pilot", "--at", AT)["free"] == 568
    left = WISHES.replace("09:00:01+09:00,", "09:00:01+09:00,2026-10-01T00:00:00Z")
    assert desk.bring("apply", left)["changed"] == 1


def test_what_is_not_there(desk: Desk) -> None:
    code, _, err = desk.run("programme", "status", "pilott")
    assert (code, "'pilott'" in err, "known are pilot" in err) == (4, True, True)
