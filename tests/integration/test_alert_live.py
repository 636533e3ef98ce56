"""States kept up with what is added are those that reading everything gives, whoever commits in which order."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from billing.alerts.live import LiveStates
from billing.alerts.quota_rules import thresholds_due
from billing.quotas.looking import read_prices
from billing.quotas.register import held_quotas
from billing.quotas.states import states_at
from billing.store import snapshot
from jangbu.database import connect
from tests.integration.command_world import CommandShell, house_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal
    from pathlib import Path

    from sqlalchemy import Engine

    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

ZONE = "Asia/Seoul"
START = datetime.fromisoformat("2026-10-14T22:30:00+09:00")
QUOTAS = """scope,subject,model,unit,limit,window,thresholds,notify,valid_from,valid_to
organisation,,,tokens,1000,month,1;5;20;50;100,,,
department,*,,KRW,1000,day,1;5;20;50;100,,,
department,D001,gpt-*,output_tokens,50,hour,,,,
department,D001,,tokens,900,day,,,2026-10-15T00:00:00+09:00,2026-10-15T02:00:00+09:00
user,*,,requests,10,week,1;5;20;50;100,,,
user,u-1,,requests,20,week,,,,
user,*,,odd_tokens,10,day,1;5;20;50;100,,,
programme,pilot,,tokens,500,week,1;5;20;50;100,,,
"""
PROGRAMMES = "programme,name,starts_on,ends_on,places,models\npilot,Pilot,2026-10-01,2026-11-01,1,gpt*\n"
APPLICATIONS = """programme,user,department,applied_at,left_at
pilot,u-1,D001,2026-10-01T00:00:00Z,2026-10-14T14:10:00Z
pilot,u-2,D001,2026-10-02T00:00:00Z,
"""
PRICES = "openai,gpt-x,input_tokens,,,,USD,1,1000,2026-01-01T00:00:00Z,,letter"
Held = dict[tuple[int, str, int], tuple["Decimal", int]]


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def engine(migrated_database: DatabaseUrls) -> Iterator[Engine]:
    made = connect(migrated_database.billing)
    yield made
    made.dispose()


def everything(engine: Engine, moment: datetime) -> Held:
    """What counts now, read from all sums; what is 0 left out."""
    with snapshot(engine) as connection:
        states = states_at(connection, held_quotas(connection), read_prices(connection, ZONE), moment)
    return {
        (one.quota.id, one.subject, one.window.first_hour): (one.used, one.unknown_quantity)
        for one in states
        if one.used or one.unknown_quantity
    }


def reached(engine: Engine, moment: datetime) -> set[str]:
    """The keys of the thresholds that are reached now, by all sums."""
    with snapshot(engine) as connection:
        states = states_at(connection, held_quotas(connection), read_prices(connection, ZONE), moment)
    return {one.key for one in thresholds_due(states)}


class Follower:
    """What a process that looks again and again knows."""

    def __init__(self, engine: Engine) -> None:
        self.live, self.engine = LiveStates(ZONE), engine
        self.told: set[str] = set()

    def look(self, moment: datetime) -> Held:
        with snapshot(self.engine) as connection:
            reached = self.live.catch_up(connection, moment)
        self.told |= {one.key for one in thresholds_due(reached)}
        return {
            (one.quota.id, one.subject, one.window.first_hour): (one.used, one.unknown_quantity)
            for one in self.live.states()
            if one.used or one.unknown_quantity
        }


@pytest.mark.parametrize("seed", [1, 2])
def test_adding_what_is_new_is_reading_everything(
    house: House, engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    shell, choose, moment = CommandShell(capsys), Random(seed), START
    file = tmp_path / "quotas.csv"
    file.write_text(QUOTAS, encoding="utf-8")
    for words, content in ((("import",), PROGRAMMES), (("apply",), APPLICATIONS)):
        register = tmp_path / f"{words[0]}.csv"
        register.write_text(content, encoding="utf-8")
        shell.json("programme", *words, register)
    shell.json("quota", "import", file)
    house.prices(PRICES)
    house.fx("2026-10-14,USD,KRW,1000,bank")
    follower, known = Follower(engine), set[str]()
    for step in range(14):
        for _ in range(choose.randint(0, 4)):
            when = moment - timedelta(minutes=choose.randint(0, 2000))
            units = {"input_tokens": choose.randint(-30, 90), "output_tokens": 7, "requests": 1, "odd_tokens": 2}
            kept = {unit: quantity for unit, quantity in units.items() if choose.random() < 0.7}
            department = choose.choice(["D001", "D002", None])
            user = choose.choice(["u-1", "u-2", None])
            model = choose.choice(["gpt-x", "gpt-y"])
            house.use(when.isoformat(), department, model, kept or {"requests": 1}, user=user)
        if step == 6:
            house.fx("2026-10-15,USD,KRW,1100,bank")
        if step == 9:
            house.prices("openai,gpt-y,input_tokens,,,,USD,3,1000,2026-01-01T00:00:00Z,,letter")
        expected = everything(engine, moment)
        found = follower.look(moment)
        assert {at: used for at, used in found.items() if at in expected} == expected, f"step {step}"
        due = reached(engine, moment)
        assert due <= follower.told, f"step {step}"
        known |= due
        moment += timedelta(minutes=choose.choice([0, 5, 40]))
    assert known


def test_what_commits_late_is_found(
    house: House, engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str], migrated_database: DatabaseUrls
) -> None:
    """A transaction that began first and ends last: its number is lower than what was seen already."""
    file = tmp_path / "quotas.csv"
    file.write_text("scope,subject,model,unit,limit,window,thresholds,notify\norganisation,,,tokens,10,day,,\n")
    CommandShell(capsys).json("quota", "import", file)
    follower = Follower(engine)
    house.use(START.isoformat(), "D001", "gpt-x", {"input_tokens": 1})
    follower.look(START)
    owner = connect(migrated_database.owner)
    with owner.connect() as slow, slow.begin():
        slow.execute(text("insert into usage_part (hour, route_id, payer_id, partition, log_id, events, input_tokens) "
                          "select hour, route_id, payer_id, 1, 1, 1, 100 from usage_part"))  # fmt: skip
        house.use(START.isoformat(), "D001", "gpt-x", {"input_tokens": 10})
        assert [int(used) for used, _ in follower.look(START).values()] == [11]
    assert [int(used) for used, _ in follower.look(START).values()] == [111]
    assert [int(used) for used, _ in follower.look(START).values()] == [111], "and once"
    owner.dispose()
