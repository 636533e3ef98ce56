"""What the door tells gateways follows the clock and outlives a lost connection."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from billing.quotas.access import access_until
from jangbu.database import connect
from tests.integration.command_world import CommandShell, environment, house_on
from tests.integration.http_world import OpenDoor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

ROSTER = "user,key,department,department_name,cost_centre,valid_from,valid_to,pledge_signed_on\n"
LISTENING = "from pg_stat_activity where query like 'listen %' and datname = current_database()"


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def door(house: House, migrated_database: DatabaseUrls, tmp_path: Path) -> Iterator[OpenDoor]:
    settings = {name.removeprefix("JANGBU_").lower(): value for name, value in environment(migrated_database).items()}
    with OpenDoor(tmp_path, **settings) as opened:
        yield opened


def departments(door: OpenDoor) -> Any:
    return door.send(b"", None, path="/v1/enforcement?wait=0", method="GET").document["access"]["users"]


def until(holds: Callable[[], bool], timeout_s: float = 20) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while not holds() and time.monotonic() < deadline_s:
        time.sleep(0.1)
    return holds()


def test_who_moves_within_an_hour_counts_there_from_that_moment(
    door: OpenDoor, capsys: pytest.CaptureFixture[str], tmp_path: Path, migrated_database: DatabaseUrls
) -> None:
    moves = datetime.now(UTC) + timedelta(seconds=8)
    file = tmp_path / "roster.csv"
    file.write_text(f"{ROSTER}u-1,,D001,,,2026-01-01T00:00:00Z,{moves.isoformat()},\n"
                    f"u-1,,D002,,,{moves.isoformat()},,\n", encoding="utf-8")  # fmt: skip
    assert CommandShell(capsys).run("roster", "import", file, "--yes")[0] == 0
    assert until(lambda: departments(door) == {"u-1": "D001"}, 6)
    assert until(lambda: departments(door) == {"u-1": "D002"})
    engine = connect(migrated_database.reader)
    with engine.connect() as connection:
        assert access_until(connection, "Asia/Seoul", moves - timedelta(seconds=1)) == moves
        last = datetime(2126, 1, 1, 20, tzinfo=UTC)  # five in the morning of the second
        assert access_until(connection, "Asia/Seoul", last) == datetime(2126, 1, 2, 15, tzinfo=UTC)
    engine.dispose()


def test_changes_are_heard_again_after_the_connection_was_lost(door: OpenDoor, migrated_database: DatabaseUrls) -> None:
    departments(door)
    reader = connect(migrated_database.reader)

    def listening() -> set[int]:
        with reader.connect() as connection:
            return {row[0] for row in connection.execute(text(f"select pid {LISTENING}"))}

    assert until(lambda: len(listening()) == 1)
    before = listening()
    with reader.begin() as connection:
        connection.execute(text(f"select pg_terminate_backend(pid) {LISTENING}"))
    assert until(lambda: len(listening() - before) == 1)
    reader.dispose()
