"""`jangbu quarantine dismiss` and `reopen`: a person's decision is kept with who, when and why, and only added to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.integration.command_world import CommandShell, use_database
from tests.integration.period_world import OCTOBER, PRICE, PeriodWorld, period_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls


@pytest.fixture
def world(
    migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[PeriodWorld]:
    """A priced month with one good event; entries 1 and 2 in quarantine are negative, 3 has a time far ahead."""
    use_database(migrated_database, monkeypatch, tmp_path)
    with period_world(migrated_database) as made:
        made.house.prices(PRICE.format(1, 1))
        made.use(made.one("good", OCTOBER, "D1", 100), made.one("n1", OCTOBER, "D1", -1))
        made.use(made.one("n2", OCTOBER, "D1", -2))
        made.use(made.one("ahead", "2026-10-09T10:00:00+09:00", "D1", 7), record_time=OCTOBER)
        yield made


@pytest.fixture
def shell(world: PeriodWorld, capsys: pytest.CaptureFixture[str]) -> CommandShell:
    return CommandShell(capsys)


def check_of(shell: CommandShell) -> tuple[str, str]:
    (found,) = [one for one in shell.json("period", "status", "2026-10")["checklist"] if one["name"] == "quarantine"]
    return found["state"], found["sentence"]


def states(world: PeriodWorld) -> list[str]:
    return [state for (state,) in world.ask("select state from quarantine order by id")]


def test_what_is_dismissed_is_kept_with_its_reason_and_stops_no_close(shell: CommandShell, world: PeriodWorld) -> None:
    assert check_of(shell) == ("block", "3 records are in quarantine (2 invalid, 1 far_future)")
    assert shell.json("quarantine", "dismiss", "1", "2", "--reason", " the test gateway's ")["dismissed"] == [1, 2]
    assert check_of(shell) == ("block", "1 record is in quarantine (1 far_future); 2 dismissed")
    assert shell.json("quarantine", "dismiss", "--code", "far_future", "--reason", "clock")["dismissed"] == [3]
    assert check_of(shell) == ("ok", "nothing is in quarantine; 3 dismissed")
    assert shell.json("quarantine", "list")["quarantine"] == []
    listed = shell.json("quarantine", "list", "--state", "dismissed", "--code", "invalid")["quarantine"]
    assert [(one["id"], one["decision_reason"]) for one in listed] == [
        (1, "the test gateway's"), (2, "the test gateway's")
    ]  # fmt: skip
    assert all(one["decided_by"].startswith("os:") and one["decided_at"] for one in listed)
    done = shell.json("period", "close", "2026-10", "--confirm", "2026-10")
    assert (done["closed"], done["accepted"]) == (True, [])
    assert shell.json("audit")["ok"] is True
    assert world.laws("1-accepted") == []


def test_a_decision_is_for_all_or_for_none(shell: CommandShell, world: PeriodWorld) -> None:
    shell.json("quarantine", "dismiss", "1", "--reason", "test")
    before = world.ask("select * from quarantine_decision")
    for words, code, said in (
        (("dismiss", "1", "2", "--reason", "x"), 5, "1 was dismissed by os:"),
        (("dismiss", "2", "99", "--reason", "x"), 4, "99"),
        (("dismiss", "--code", "conflict", "--reason", "x"), 4, "'conflict'"),
        (("dismiss", "--reason", "x"), 2, "by their numbers"),
        (("dismiss", "2", "--code", "invalid", "--reason", "x"), 2, "by their numbers"),
        (("dismiss", "2", "--reason", " \n"), 2, "say why"),
        (("dismiss", "2", "--reason", "x" * 2001), 2, "2000 characters"),
        (("dismiss", "2"), 2, "--reason"),
        (("dismiss", "0", "--reason", "x"), 2, "0"),
        (("dismiss", "9" * 30, "--reason", "x"), 2, "9" * 30),
        (("reopen", "2", "--reason", "x"), 5, "2 (invalid) is open; only what is dismissed"),
    ):
        ended, out, err = shell.run("quarantine", *words)
        assert (ended, out, said in err) == (code, "", True), (words, err)
    dry = shell.json("quarantine", "dismiss", "2", "--reason", "x", "--dry-run")
    assert dry == {"dry_run": True, "dismissed": [2], "reason": "x"}
    assert world.ask("select * from quarantine_decision") == before
    assert states(world) == ["dismissed", "open", "open"]


def test_what_is_dismissed_is_not_sent_again_until_somebody_takes_it_back(
    shell: CommandShell, world: PeriodWorld
) -> None:
    shell.json("quarantine", "dismiss", "2", "--reason", "not ours")
    assert shell.json("quarantine", "redrive", "--dry-run")["redriven"] == [1, 3]
    for words in (("--id", "2"), ("--id", "1", "--id", "2", "--dry-run")):
        ended, out, err = shell.run("quarantine", "redrive", *words)
        assert (ended, out) == (5, "")
        assert "2 was dismissed by os:" in err
        assert ": not ours; `jangbu quarantine reopen 2 --reason TEXT` comes first" in err
    assert shell.json("quarantine", "reopen", "2", "--reason", "ours after all")["reopened"] == [2]
    assert shell.json("quarantine", "redrive", "--id", "2", "--dry-run")["redriven"] == [2]
    assert check_of(shell)[0] == "block"
    assert world.ask("select quarantine_id, decision, reason from quarantine_decision order by id") == [
        (2, "dismissed", "not ours"), (2, "reopened", "ours after all")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "planted",
    [
        "update quarantine set state = 'dismissed' where id = 1",
        "update quarantine set state = 'open' where id = 2",
        "update quarantine set state = 'redriven' where id = 2",
        "update quarantine_decision set reason = 'another'",
        "delete from quarantine_decision",
        "truncate quarantine_decision",
        "insert into quarantine_decision (quarantine_id, decision, reason, actor) values (2, 'dismissed', 'x', 'me')",
        "insert into quarantine_decision (quarantine_id, decision, reason, actor) values (1, 'reopened', 'x', 'me')",
        "insert into quarantine_decision (quarantine_id, decision, reason, actor) values (1, 'dismissed', ' ', 'me')",
    ],
)
def test_the_database_refuses_a_decision_that_is_not_one(
    shell: CommandShell, world: PeriodWorld, planted: str
) -> None:
    """Even to the owner: no state without its row, no row changed, none that does not fit."""
    shell.json("quarantine", "dismiss", "2", "--reason", "test")
    with pytest.raises(psycopg.Error, match="quarantine"):
        world.bench.tell(planted)
    assert states(world) == ["open", "dismissed", "open"]


def test_law_1_finds_a_record_that_was_thrown_away_instead_of_dismissed(world: PeriodWorld) -> None:
    world.bench.tell("delete from quarantine where id = 1")
    assert any("the quarantine holds 2" in sentence for sentence in world.laws("1-accepted"))
