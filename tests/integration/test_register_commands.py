"""`department` and `budget` as a person runs them: what is written, what is refused, what statements make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import exc, text

from tests.integration.command_world import CommandShell, house_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

DEPARTMENTS = (
    "department,name,parent,cost_centre,head_user,deputy_user,notify,programme,budget_item,valid_from,valid_to\n"
)
BUDGETS = "department,period,amount,currency\n"
OCTOBER_15 = "2026-10-14T15:00:00Z"
"""Midnight in Seoul."""


class Shell(CommandShell):
    """Runs commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
        super().__init__(capsys)
        self._directory = directory

    def file(self, name: str, content: str) -> Path:
        file = self._directory / name
        file.write_text(content, encoding="utf-8")
        return file


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def shell(house: House, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    return Shell(capsys, tmp_path)


def test_a_department_that_is_merged_on_the_15th(shell: Shell) -> None:
    first = shell.file(
        "d.csv",
        DEPARTMENTS
        + "B01,기획본부,,,,,,,,2026-01-01,\n"
        + "D012,예산과,B01,CC-012,u-1,u-2,budget@city.example,정보화,201-01,2026-01-01,\n"
        + "D013,회계과,B01,CC-013,,,,,,2026-01-01,\n",
    )
    assert shell.json("department", "import", first, "--dry-run")["added"] == 3
    assert shell.json("department", "list")["departments"] == []
    assert shell.json("department", "import", first)["added"] == 3
    assert shell.json("department", "import", first) == {
        "dry_run": False, "written": True, "source": "d.csv", "added": 0, "changed": 0, "unchanged": 3, "changes": [],
        "left_behind": [],
    }  # fmt: skip

    merged = shell.file(
        "merged.csv",
        DEPARTMENTS
        + "D013,회계과,B01,CC-013,,,,,,2026-01-01,2026-10-15\n"
        + "D012,예산회계과,B01,CC-012,u-1,u-2,,정보화,201-01,2026-10-15,\n",
    )
    told = shell.json("department", "import", merged)
    assert (told["added"], told["changed"]) == (1, 1)
    assert [(one["department"], one["from"], one["to"]) for one in told["changes"]] == [
        ("D013", {"valid_to": None}, {"valid_to": OCTOBER_15})
    ]
    terms = shell.json("department", "list")["departments"]
    assert [(term["department"], term["name"], term["valid_to"]) for term in terms] == [
        ("B01", "기획본부", None),
        ("D012", "예산과", OCTOBER_15),
        ("D012", "예산회계과", None),
        ("D013", "회계과", OCTOBER_15),
    ]
    for day, names in (("2026-10-14", ["기획본부", "예산과", "회계과"]), ("2026-10-15", ["기획본부", "예산회계과"])):
        at = shell.json("department", "list", "--at", day)["departments"]
        assert [term["name"] for term in at] == names
    code, out, _ = shell.run("department", "list", "--at", "2026-10-15", "--csv")
    assert (code, out.splitlines()[0]) == (0, DEPARTMENTS.strip())


def test_whom_a_department_that_ends_leaves_behind(shell: Shell) -> None:
    """u-1 moves by a new row, u-2's row ends, u-3 stays, u-4 comes after the end; a key stays too."""
    header = "user,key,department,department_name,cost_centre,valid_from,valid_to,pledge_signed_on\n"
    rows = "u-1,,D013,,,2026-01-01,,\nu-1,,D012,,,2026-10-15,,\nu-2,,D013,,,2026-01-01,2026-10-15,\n"
    rows += "u-3,,D013,,,2026-01-01,,\nu-4,,D013,,,2026-11-01,,\n,app,D013,,,2026-01-01,,\n"
    shell.json("roster", "import", shell.file("r.csv", header + rows))
    file = shell.file("d.csv", "department,name,valid_to\nD012,one,\nD013,two,2026-10-15\n")
    assert shell.json("department", "import", file)["left_behind"] == [{"department": "D013", "memberships": 3}]
    code, out, _ = shell.run("department", "import", file)
    assert (code, "3 memberships still lead to D013" in out) == (0, True)


BAD_DEPARTMENTS = [
    ("D1,,,,,,,,,,\n", "line 2, column name"),
    (",one,,,,,,,,,\n", "line 2, column department"),
    ("organisation,all,,,,,,,,,\n", "'organisation'"),
    ("D1,one,D1,,,,,,,,\n", "column parent"),
    ("D1,one,D9,,,,,,,,\n", "'D9': no such department"),
    ("D1,one,D2,,,,,,,,\nD2,two,D1,,,,,,,,\n", "circle"),
    ("D1,one,D2,,,,,,,2026-01-01,\nD2,two,,,,,,,,2026-02-01,\n", "no such department at 2025-12-31T15:00Z"),
    ("D1,one,D2,,,,,,,,\nD2,two,,,,,,,,,2026-02-01\n", "no such department at 2026-01-31T15:00Z"),
    ("D1,one,,,,,,,,,\nD1,two,,,,,,,,,\n", "line 2 says the same start"),
    ("D1,one,,,,,,,,2026-02-01,2026-02-01\n", "column valid_to"),
    ("D1,one,,,,,,,,2026-02-01T00:30:00Z,\n", "whole UTC hour"),
    ("D1,one,,,,,,,,1.2.2026,\n", "column valid_from"),
    ("D1,one\n", "2 cells"),
    ("D1,o\x1bne,,,,,,,,,\n", "printable"),
]


@pytest.mark.parametrize(("lines", "says"), BAD_DEPARTMENTS)
def test_a_bad_departments_file_is_refused_whole(shell: Shell, lines: str, says: str) -> None:
    file = shell.file("bad.csv", DEPARTMENTS + "D0,good,,,,,,,,,\n" + lines)
    code, out, err = shell.run("department", "import", file)
    assert (code, out) == (2, "")
    assert "bad.csv, line" in err
    assert says.replace("line 2", "line 3") in err
    assert shell.json("department", "list")["departments"] == []


def test_what_is_held_keeps_its_tree(shell: Shell) -> None:
    """A file that takes a parent away, or turns the tree into a circle, is refused although each row is sound."""
    shell.json("department", "import", shell.file("a.csv", DEPARTMENTS + "B1,b,,,,,,,,,\nD1,one,B1,,,,,,,,\n"))
    for lines, says in (
        ("B1,b,,,,,,,,,2026-10-15\n", "no such department at 2026-10-14T15:00Z, when D1 belongs to it"),
        ("B1,b,D1,,,,,,,,\n", "circle"),
        ("B1,b,D1,,,,,,,2026-10-15,\n", "circle"),
    ):
        code, _, err = shell.run("department", "import", shell.file("b.csv", DEPARTMENTS + lines))
        assert (code, "b.csv, line 2, column parent" in err, says in err) == (2, True, True), err
    moved = "D1,one,,,,,,,,2026-10-15,\nB1,b,,,,,,,,,2026-10-15\n"
    assert shell.json("department", "import", shell.file("c.csv", DEPARTMENTS + moved))["added"] == 1


def test_budgets_replace_and_stay(shell: Shell, house: House) -> None:
    first = "D012,2026-10,1000000,KRW\n,2026,200000000,KRW\norganisation,2026-10,20000000,KRW\n"
    told = shell.json("budget", "import", shell.file("b.csv", BUDGETS + first))
    assert (told["added"], told["unknown_departments"]) == (3, ["D012"])
    again = shell.json("budget", "import", shell.file("b2.csv", BUDGETS + "D012,2026-10,1200000,KRW\n"))
    assert again["changes"] == [{"department": "D012", "period": "2026-10", "from": "1000000", "to": "1200000"}]
    assert shell.json("budget", "list")["budgets"] == [
        {"department": None, "period": "2026", "amount": "200000000", "currency": "KRW"},
        {"department": None, "period": "2026-10", "amount": "20000000", "currency": "KRW"},
        {"department": "D012", "period": "2026-10", "amount": "1200000", "currency": "KRW"},
    ]
    assert len(shell.json("budget", "list", "--department", "organisation")["budgets"]) == 2
    assert len(shell.json("budget", "list", "--period", "2026")["budgets"]) == 1
    with house.as_role("reader") as connection:
        assert connection.execute(text("select count(*), max(id) from budget")).one() == (4, 4)


BAD_BUDGETS = [
    ("D1,2026-13,1,KRW\n", "column period"),
    ("D1,26,1,KRW\n", "column period"),
    ("D1,,1,KRW\n", "column period"),
    ("D1,2026-10,-1,KRW\n", "column amount"),
    ("D1,2026-10,1.5,KRW\n", "0 digits"),
    ("D1,2026-10,much,KRW\n", "column amount"),
    ("D1,2026-10,1,USD\n", "in KRW"),
    ("D1,2026-10,1,\n", "column currency"),
    (",2026-10,1,KRW\norganisation,2026-10,2,KRW\n", "line 3 gives organisation's budget"),
]


@pytest.mark.parametrize(("lines", "says"), BAD_BUDGETS)
def test_a_bad_budgets_file_is_refused_whole(shell: Shell, lines: str, says: str) -> None:
    code, out, err = shell.run("budget", "import", shell.file("bad.csv", BUDGETS + "D0,2026-10,1,KRW\n" + lines))
    assert (code, out) == (2, "")
    assert "bad.csv, line" in err
    assert says in err
    assert shell.json("budget", "list")["budgets"] == []


@pytest.mark.parametrize("kind", ["department", "budget"])
@pytest.mark.parametrize("content", ["", "colour,size\n1,2\n", "\udcff"])
def test_what_is_no_such_file(shell: Shell, tmp_path: Path, kind: str, content: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    code, out, err = shell.run(kind, "import", file)
    assert (code, out, "bad.csv, line 1" in err) == (2, "", True)


def test_a_day_that_is_none(shell: Shell) -> None:
    for day in ("yesterday", "2026-13-01", "2026-10-15T00:00:00Z"):
        code, _, err = shell.run("department", "list", "--at", day)
        assert (code, repr(day) in err) == (2, True)


@pytest.mark.parametrize("role", ["billing", "owner"])
@pytest.mark.parametrize("table", ["department", "budget", "register_import"])
@pytest.mark.parametrize("statement", ["update {} set id = id", "delete from {}", "truncate {} cascade"])
def test_rows_are_never_changed(shell: Shell, house: House, role: str, table: str, statement: str) -> None:
    shell.json("budget", "import", shell.file("b.csv", BUDGETS + "D012,2026-10,1000000,KRW\n"))
    shell.json("department", "import", shell.file("d.csv", DEPARTMENTS + "D1,one,,,,,,,,,\n"))
    with pytest.raises(exc.DBAPIError, match=r"never changed|permission denied"), house.as_role(role) as connection:
        connection.execute(text(statement.format(table)))
