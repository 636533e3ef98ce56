"""Processes of our decisions racing at one limit: nothing beyond a hard one, whoever is killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.gateway import quota_race
from tests.integration.command_world import CommandShell, environment, house_on
from tests.integration.http_world import OpenDoor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

HEADER = "scope,subject,model,unit,limit,window,thresholds,notify,mode\n"


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def door(
    house: House, migrated_database: DatabaseUrls, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[OpenDoor]:
    (tmp_path / "quotas.csv").write_text(HEADER + "department,D001,,output_tokens,3000,year,,,hard\n")
    assert CommandShell(capsys).run("quota", "import", tmp_path / "quotas.csv")[0] == 0
    settings = {name.removeprefix("JANGBU_").lower(): value for name, value in environment(migrated_database).items()}
    with OpenDoor(tmp_path, **settings) as opened:
        yield opened


def test_a_hard_limit_holds_whoever_is_killed(
    door: OpenDoor, migrated_database: DatabaseUrls, tmp_path: Path
) -> None:
    """Every call that was made counts, also of killed processes, and all together stay within the limit."""
    raced = quota_race.race(
        door, migrated_database.owner, tmp_path / "race", processes=3, rate=30, seconds=6, kills=3
    )
    assert raced.killed > 0
    assert raced.calls > 20
    assert 0 < raced.used <= 3000
    assert raced.stored == raced.used
    assert sum(one["refused"] for one in raced.status) > 0, "the limit was never met: the race proves nothing"
