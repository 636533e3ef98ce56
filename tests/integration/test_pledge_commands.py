"""`pledge` as a person runs it: signatures from a file and from the roster, who has to sign, pseudonyms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.command_world import CommandShell, use_database

if TYPE_CHECKING:
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

ROSTER = """user,key,department,department_name,cost_centre,valid_from,valid_to,pledge_signed_on
u-1,,D001,,,2026-01-01,,2026-01-05
u-2,,D001,,,2026-01-01,,
u-3,,D002,,,2026-01-01,,
u-4,,D002,,,2026-01-01,2026-06-30,2026-01-05
,app,D002,,,2026-01-01,,
"""
SIGNED = """user,version,signed_on,expires_on
u-2,2026-1,2026-09-01,
u-3,2026-1,2026-09-01,2026-10-01
u-9,2026-1,2026-09-01,
"""


@pytest.fixture
def shell(
    migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> CommandShell:
    use_database(migrated_database, monkeypatch, tmp_path)
    made = CommandShell(capsys)
    for name, content in (("roster", ROSTER), ("pledge", SIGNED)):
        file = tmp_path / f"{name}.csv"
        file.write_text(content, encoding="utf-8")
        assert made.run(name, "import", file)[0] == 0
    return made


def listed(shell: CommandShell, *more: str) -> list[tuple[str, str, str | None]]:
    told: Any = shell.json("pledge", "list", "--at", "2026-10-15", *more)
    return [(one["user"], one["state"], one["signed_on"]) for one in told["people"]]


def test_who_has_signed(shell: CommandShell, tmp_path: Path) -> None:
    assert listed(shell) == [
        ("u-1", "signed", "2026-01-05"),
        ("u-2", "signed", "2026-09-01"),
        ("u-3", "expired", "2026-09-01"),
    ]
    assert listed(shell, "--state", "expired,unsigned", "--department", "D002") == [("u-3", "expired", "2026-09-01")]
    again = shell.json("pledge", "import", tmp_path / "pledge.csv")
    assert (again["added"], again["unchanged"]) == (0, 3)
    counts = shell.json("pledge", "list", "--at", "2026-10-15")["counts"]
    assert counts == {"signed": 2, "expiring": 0, "expired": 1, "outdated": 0, "unsigned": 0}


def test_a_new_version_asks_everybody_again(shell: CommandShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANGBU_PLEDGE_VERSION", "2026-1")
    assert [state for _, state, _ in listed(shell)] == ["outdated", "signed", "expired"]
    monkeypatch.setenv("JANGBU_PLEDGE_VALID_DAYS", "60")
    assert [state for _, state, _ in listed(shell)] == ["outdated", "expiring", "expired"]


def test_people_may_be_shown_by_pseudonym(shell: CommandShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANGBU_PEOPLE", "pseudonyms")
    shown = [user for user, _, _ in listed(shell)]
    assert all(user.startswith("p-") for user in shown)
    assert len(set(shown)) == 3


def test_wrong_words(shell: CommandShell) -> None:
    for words, says in (
        (("--state", "lost"), "'lost' is no state"),
        (("--at", "15.10.2026"), "YYYY-MM-DD"),
    ):
        code, _, err = shell.run("pledge", "list", *words)
        assert (code, says in err) == (2, True)
