"""A hard quota whose row is replaced within its window: what was leased and settled of the row before still counts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from billing.quotas.desk import Desk, WrongReport
from billing.quotas.leases import Account
from billing.quotas.windows import window_of
from billing.store import snapshot
from jangbu.database import connect
from tests.integration.command_world import CommandShell, house_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

ZONE = "Asia/Seoul"
HEAD = "scope,subject,model,unit,limit,window,thresholds,notify,mode\n"


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def engines(migrated_database: DatabaseUrls) -> Iterator[dict[str, Engine]]:
    made = {"reader": connect(migrated_database.reader), "billing": connect(migrated_database.billing)}
    yield made
    for engine in made.values():
        engine.dispose()


@pytest.mark.parametrize("replaced", ["user,u-1,,tokens,120,year,,,hard\n", "user,*,,tokens,120,year,,,hard\n"])
@pytest.mark.usefixtures("house")
def test_a_new_row_takes_on_what_was_leased_and_settled_of_the_one_before(
    engines: dict[str, Engine], tmp_path: Path, capsys: pytest.CaptureFixture[str], replaced: str
) -> None:
    """Of 100 there are 40 settled (their event is still under way) and 30 leased; a limit of 120 leaves 50."""
    shell, file, now = CommandShell(capsys), tmp_path / "quotas.csv", datetime.now(UTC)
    desk = Desk(ZONE)

    def imported(row: str) -> None:
        file.write_text(HEAD + row)
        code, _, said = shell.run("quota", "import", file)
        assert code == 0, said
        with snapshot(engines["reader"]) as connection:
            desk.look(connection, now)

    def granted(number: int, *accounts: list[Any], life: str = "one", **more: Any) -> Any:
        document = {"life": life, "slot": life, "source": "gateway-1", "number": number, "settled": [],
                    "accounts": list(accounts), **more}  # fmt: skip
        with engines["billing"].begin() as connection:
            return desk.take(connection, document, now)["granted"]

    def account() -> Account:
        quota = max(desk.running.table.in_force(now), key=lambda row: row.id)
        return Account(quota.id, "u-1", window_of(quota.key.window, now, ZONE).first_hour)

    imported(replaced.replace("120", "100"))
    before = account()
    assert granted(1, [*before, 0, 70, 70]) == [[*before, 70]]
    hour = int(now.timestamp()) // 3600
    assert granted(2, [*before, 0, 0, 0], settled=[[hour, "call:1", [[*before, 40]]]]) == [[*before, 70]]
    imported("user,u-1,,tokens,120,year,,,hard\n")
    after = account()
    assert after.quota != before.quota
    assert granted(1, [*after, 0, 51, 51], life="two") == [[*after, 0]]
    assert granted(3, [*after, 0, 50, 50]) == [[*after, 50]]
    assert granted(2, [*after, 0, 1, 1], life="two") == [[*after, 0]]


@pytest.mark.parametrize("odd", [[1, "u\x00", 0], [1, "u\ud800", 0], [2**40, "u", 0], [1, "u", 2**40], [1, "u", -1]])
@pytest.mark.usefixtures("house")
def test_a_report_that_no_database_takes_is_refused(engines: dict[str, Engine], odd: list[Any]) -> None:
    """It would end the keeping of all quotas otherwise, each time that it is told."""
    document = {"life": "one", "slot": "one", "source": "g", "number": 1, "settled": [], "accounts": [[*odd, 0, 1, 1]]}
    with engines["billing"].begin() as connection, pytest.raises(WrongReport, match="cannot be read"):
        Desk(ZONE).take(connection, document, datetime.now(UTC))
