"""`GET /v1/quota` of a served application: what is left, from memory, and what it says where nothing can be read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests.integration.command_world import CommandShell, environment, house_on
from tests.integration.http_world import OpenDoor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

HEADER = "scope,subject,model,unit,limit,window,thresholds,notify,mode\n"
LIMITS = (
    "organisation,,,tokens,1000000,year,,,hard",
    "department,D001,,tokens,1000,year,,,soft",
    "user,*,gpt-*,tokens,100,year,50,,hard",
    "user,boss,gpt-*,tokens,100000,year,,,hard",
)


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def door(
    house: House, migrated_database: DatabaseUrls, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[OpenDoor]:
    file = tmp_path / "quotas.csv"
    file.write_text(HEADER + "\n".join(LIMITS) + "\n", encoding="utf-8")
    assert CommandShell(capsys).run("quota", "import", file)[0] == 0
    settings = {name.removeprefix("JANGBU_").lower(): value for name, value in environment(migrated_database).items()}
    with OpenDoor(tmp_path, **settings) as opened:
        yield opened


def ask(door: OpenDoor, **about: str) -> Any:
    answered = door.send(b"", None, path=f"/v1/quota?{urlencode(about)}", method="GET")
    assert answered.status == 200, answered.body
    return answered.document


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_is_left(door: OpenDoor, house: House) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    fresh = ask(door, user="u-1", department="D001", model="gpt-x")
    assert (fresh["state"], fresh["remaining"], fresh["unit"], fresh["allowed"]) == ("within", "100", "tokens", True)
    assert len(fresh["quotas"]) == 3
    assert fresh["resets_at"].endswith("Z")
    house.use(now, "D001", "gpt-x", {"input_tokens": 60, "output_tokens": 40}, user="u-1")
    until(lambda: ask(door, user="u-1", model="gpt-x")["state"] == "spent")
    spent = ask(door, user="u-1", department="D001", model="gpt-x")
    assert (spent["remaining"], spent["allowed"]) == ("0", False)
    assert [one["remaining"] for one in spent["quotas"]] == ["0", "900", "999900"]
    assert ask(door, user="u-2", model="gpt-x")["remaining"] == "100"
    assert ask(door, user="boss", model="GPT-X")["remaining"] == "100000"
    other = ask(door, user="u-1", department="D001", model="claude-y")
    assert (other["state"], other["allowed"], other["remaining"]) == ("within", True, "900")
    assert [one["scope"] for one in ask(door, user="u-1")["quotas"]] == ["organisation"]


def test_who_may_ask(door: OpenDoor) -> None:
    for token in (None, "wrong-token-wrong-token"):
        assert door.send(b"", None, path="/v1/quota?user=u-1", token=token, method="GET").status == 401
    long = door.send(b"", None, path=f"/v1/quota?user={'x' * 600}", method="GET")
    assert (long.status, "512" in long.document["error"]) == (400, True)


def test_without_a_database_it_says_so(tmp_path: Path) -> None:
    with OpenDoor(tmp_path, database_url="postgresql://jangbu@127.0.0.1:1/jangbu") as door:
        answered = door.send(b"", None, path="/v1/quota?user=u-1", method="GET")
        assert (answered.status, answered.document["code"]) == (503, "quotas_unread")
