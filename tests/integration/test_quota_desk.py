"""The desk on a real database: states kept up by what is new, and slices that neither lose nor double a call."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from billing.quotas.board import Board
from billing.quotas.desk import Desk, WrongReport
from billing.quotas.leases import Account
from billing.quotas.looking import read_prices
from billing.quotas.register import held_quotas
from billing.quotas.running import RunningStates
from billing.quotas.states import states_at
from billing.store import snapshot
from jangbu.database import connect
from producers.contract import identity_digest
from tests.integration.command_world import CommandShell, house_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

ZONE = "Asia/Seoul"
QUOTAS = """scope,subject,model,unit,limit,window,thresholds,notify,mode
organisation,,,tokens,100000,year,,,soft
organisation,,gpt-*,KRW,100000,day,,,soft
department,*,,requests,1000,month,,,soft
user,*,,tokens,500,hour,,,soft
user,u-1,,output_tokens,100,year,,,hard
programme,pilot,,tokens,1000,day,,,hard
programme,*,gpt-*,KRW,1000,day,,,soft
"""
PROGRAMMES = "programme,name,starts_on,ends_on,places,models\npilot,Pilot,2026-10-03,2026-11-01,1,gpt*\n"
APPLICATIONS = """programme,user,department,applied_at,left_at
pilot,u-1,D001,2026-10-01T00:00:00Z,2026-10-03T15:30:00Z
pilot,u-2,D001,2026-10-02T00:00:00Z,
"""


@pytest.fixture
def house(
    migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[House]:
    for opened in house_on(migrated_database, monkeypatch, tmp_path):
        (tmp_path / "quotas.csv").write_text(QUOTAS)
        (tmp_path / "programmes.csv").write_text(PROGRAMMES)
        (tmp_path / "applications.csv").write_text(APPLICATIONS)
        shell = CommandShell(capsys)
        assert shell.run("programme", "import", tmp_path / "programmes.csv")[0] == 0
        assert shell.run("programme", "apply", tmp_path / "applications.csv")[0] == 0
        assert shell.run("quota", "import", tmp_path / "quotas.csv")[0] == 0
        yield opened


@pytest.fixture
def engines(migrated_database: DatabaseUrls) -> Iterator[dict[str, Engine]]:
    made = {"reader": connect(migrated_database.reader), "billing": connect(migrated_database.billing)}
    yield made
    for engine in made.values():
        engine.dispose()


def test_what_is_kept_up_is_what_is_read_whole(house: House, engines: dict[str, Engine]) -> None:
    """Random use of any hour, taken away again in part, prices in between: at each look the same states."""
    chance = random.Random(6)
    start = datetime(2026, 10, 3, 14, tzinfo=UTC)
    running = RunningStates(ZONE)
    house.prices("openai,gpt-x,input_tokens,,,,KRW,3,1,2026-01-01T00:00:00Z,,list")
    for turn in range(12):
        moment = start + timedelta(minutes=20 * turn)
        for _ in range(chance.randrange(4)):
            when = (moment - timedelta(hours=chance.choice((0, 0, 1, 30)))).isoformat()
            units = {"input_tokens": chance.randrange(-20, 90), "output_tokens": chance.randrange(9), "requests": 1}
            user, department = chance.choice((("u-1", "D001"), ("u-2", "D001"), ("u-3", None)))
            house.use(when, department, chance.choice(("gpt-x", "other")), units, user=user)
        if turn == 6:
            house.prices("openai,gpt-x,output_tokens,,,,KRW,7,1,2026-01-01T00:00:00Z,,list")
        with snapshot(engines["reader"]) as connection:
            running.advance(connection, moment)
            whole = states_at(connection, held_quotas(connection), read_prices(connection, ZONE), moment)
        used = {(state.quota.id, state.subject): state for state in whole}
        assert {key: state for key, state in running.states.items() if state.used} == (
            {key: state for key, state in used.items() if state.used}
        )


def test_a_programmes_quota_counts_its_people_while_they_have_a_place(house: House, engines: dict[str, Engine]) -> None:
    """One place: u-1 leaves it at half past, u-2 is next. Both have it in that hour; other models never count."""
    running = RunningStates(ZONE)
    for hour, user, model, tokens in (
        (14, "u-1", "gpt-x", 1), (14, "u-2", "gpt-x", 10), (15, "u-1", "gpt-x", 100), (15, "u-2", "gpt-x", 1_000),
        (16, "u-1", "gpt-x", 10_000), (16, "u-2", "gpt-x", 100_000), (16, "u-2", "other", 1_000_000),
    ):  # fmt: skip
        house.use(f"2026-10-03T{hour}:10:00+00:00", "D001", model, {"input_tokens": tokens}, user=user)
    moment = datetime(2026, 10, 3, 16, 30, tzinfo=UTC)  # the local day began at 15:00
    with snapshot(engines["reader"]) as connection:
        running.advance(connection, moment)
    used = {state.subject: state.used for state in running.states.values() if state.quota.key.scope == "programme"
            and state.quota.key.unit == "tokens"}  # fmt: skip
    assert used == {"pilot": 101_100}
    board = Board(running.table, running.states, ZONE, moment, running.members)
    asked = {user: [one.state for one in board.about(moment, user, "D001", "gpt-x")
                    if one.quota.key.scope == "programme" and one.quota.key.unit == "tokens"]
             for user in ("u-1", "u-2", "u-3")}  # fmt: skip
    assert asked == {"u-1": [], "u-2": ["spent"], "u-3": []}


def report(number: int, life: str = "life-1", slot: str = "slot", **more: Any) -> dict[str, Any]:
    return {"life": life, "slot": slot, "source": "gateway-1", "number": number, "settled": [], "accounts": [], **more}


class Door:
    """A desk with its two logins."""

    def __init__(self, engines: dict[str, Engine]) -> None:
        self.engines = engines
        self.desk = Desk(ZONE)
        self.now = datetime.now(UTC)
        self.look()

    def look(self) -> None:
        with snapshot(self.engines["reader"]) as connection:
            self.desk.look(connection, self.now)

    def take(self, document: dict[str, Any]) -> Any:
        with self.engines["billing"].begin() as connection:
            return self.desk.take(connection, document, self.now)


def test_a_call_counts_once_at_every_step(house: House, engines: dict[str, Engine]) -> None:
    door = Door(engines)
    account = next(
        Account(quota.id, "u-1", door.desk.running.states[quota.id, "u-1"].window.first_hour)
        for quota in door.desk.running.table.rows
        if quota.mode == "hard"
    )

    def spent(of: Door) -> int:
        of.look()
        return int(of.desk.running.states[account.quota, "u-1"].used) + of.desk.reserved.get(account, 0)

    answer = door.take(report(1, accounts=[[*account, 0, 60, 60]]))
    assert answer["granted"] == [[*account, 60]]
    assert spent(door) == 60
    other = Door(engines)  # a second door knows the same
    assert other.take(report(1, "life-2", "other", accounts=[[*account, 0, 50, 50]]))["granted"] == [[*account, 0]]
    assert other.take(report(2, "life-2", "other", accounts=[[*account, 0, 30, 30]]))["granted"] == [[*account, 30]]
    hour = int(door.now.timestamp()) // 3600
    settled = report(2, settled=[[hour, "call:1", [[*account, 40]]]], accounts=[[*account, 20, 0, 0]])
    for told in (settled, settled):  # told twice, settled once
        assert door.take(told)["granted"] == [[*account, 60]]
    assert spent(door) == spent(other) == 40 + 30
    with house.as_role("owner") as connection:
        house_use(connection, hour, "call:1")
    house.use(door.now.isoformat(), "D001", "gpt-x", {"output_tokens": 40}, user="u-1")
    assert spent(door) == spent(other) == spent(Door(engines)) == 40 + 30
    assert door.desk.running.states[account.quota, "u-1"].used == 40
    with pytest.raises(WrongReport, match="not known"):
        door.take(report(3, accounts=[[999, "u-1", 0, 0, 1, 1]]))
    with pytest.raises(WrongReport, match="cannot be read"):
        door.take(report(3, accounts=[[*account, -1, 1, 1]]))
    assert door.take(report(9))["lost"] is True


def house_use(connection: Any, hour: int, event_id: str) -> None:
    """An event's row, as a worker stores it."""
    key = (hour.to_bytes(4, "big") + identity_digest("gateway-1", event_id)).hex()
    connection.execute(
        text("""insert into usage_event (event_key, time, kafka_offset, route_id, payer_id, partition, log_id, event_id)
                values (cast(:key as uuid), now(), 0, 1, 1, 0, 1, :name)"""),
        {"key": key, "name": event_id},
    )


def test_slices_of_a_killed_process_come_back_when_its_use_is_known(engines: dict[str, Engine], house: House) -> None:
    door = Door(engines)
    account = next(Account(row.id, "u-1", door.desk.running.states[row.id, "u-1"].window.first_hour)
                   for row in door.desk.running.table.rows if row.mode == "hard")  # fmt: skip
    door.take(report(1, accounts=[[*account, 0, 80, 80]]))
    assert door.take(report(1, "next", accounts=[[*account, 0, 50, 50]], drained=True))["granted"] == [[*account, 0]]
    with house.as_role("owner") as connection:
        connection.execute(text("""update quota_process set heard_at = now() - interval '2 minutes',
            ended_at = now() - interval '2 minutes', drained_at = now() - interval '90 s' where life = 'life-1'"""))
    with engines["billing"].begin() as connection:
        assert door.desk.tidy(connection, door.now) == 1
    assert door.take(report(2, "next", accounts=[[*account, 0, 50, 50]]))["granted"] == [[*account, 50]]
    assert door.take(report(2))["lost"] is True
