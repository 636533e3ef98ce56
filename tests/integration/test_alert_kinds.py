"""`alert check` finds what is due of each kind in a real database: once, and not what was there before it looked."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from billing.alerts.around import Memory
from billing.alerts.deliveries import Plan
from billing.alerts.pipeline_rules import Standing
from billing.alerts.watching import Watch
from jangbu.alerting import look_around_once
from jangbu.auditing import run_check
from jangbu.database import connect
from tests.integration.command_world import CommandShell, house_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from billing.alerts.alert import Kind
    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

ZONE = "Asia/Seoul"
NOW = datetime.fromisoformat("2026-10-15T12:30:00+09:00")
DAY = timedelta(days=1)
LATE: tuple[Kind, ...] = ("late",)


class Desk(CommandShell):
    """The commands, with files."""

    def __init__(self, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
        super().__init__(capsys)
        self._directory = directory

    def bring(self, command: str, text: str) -> Any:
        file = self._directory / f"{command.replace(' ', '-')}.csv"
        file.write_text(text, encoding="utf-8")
        return self.json(*command.split(), "import", file)

    def check(self, moment: datetime = NOW) -> Counter[str]:
        """What one look finds, by kind."""
        new = self.json("alert", "check", "--at", moment.isoformat())["new"]
        return Counter(one["kind"] for one in self.json("alert", "list")["alerts"] if one["alert"] in new)

    def told(self, kind: str) -> list[dict[str, Any]]:
        found = self.json("alert", "list", "--kind", kind)["alerts"]
        assert all(one["kind"] == kind for one in found)
        return list(found)


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def desk(house: House, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Desk:
    return Desk(capsys, tmp_path)


@pytest.fixture
def engine(migrated_database: DatabaseUrls) -> Iterator[Engine]:
    made = connect(migrated_database.billing)
    yield made
    made.dispose()


def weeks_of_use(house: House, until: datetime = NOW, tokens: int = 100_000) -> None:
    """The same use at each working hour (9 to 17) of nine weeks, up to an instant, by one statement."""
    house.use((NOW - 63 * DAY).isoformat(), "D001", "gpt-x", {"input_tokens": tokens}, user="u-1")
    with house.as_role("owner") as connection:
        connection.execute(
            text("""insert into usage_part (hour, route_id, payer_id, partition, log_id, events, input_tokens)
                    select at, p.route_id, p.payer_id, 0, 1, 1, :tokens
                    from (select * from usage_part limit 1) p, generate_series(1, 63) day, generate_series(-3, 5) place
                    cross join lateral (select p.hour + 24 * day + place as at) t
                    where hour_start(at) <= :until"""),
            {"tokens": tokens, "until": until},
        )


def test_models_and_prices(desk: Desk, house: House) -> None:
    house.prices("openai,gpt-x,input_tokens,,,,USD,1,1000,2026-01-01T00:00:00Z,,letter")
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 5})
    house.use(NOW.isoformat(), "D001", "old-one", {"input_tokens": 5})
    assert desk.check() == {}, "what was there is known"
    house.use(NOW.isoformat(), "D001", "<script>", {"input_tokens": 7, "output_tokens": 3})
    house.use(NOW.isoformat(), "D001", "failed", {"requests": 1}, status="failure")
    assert desk.check() == {"new_model": 1, "unpriced": 1}
    assert desk.check() == {}
    (unpriced,) = desk.told("unpriced")
    assert (unpriced["content"]["quantity"], unpriced["content"]["units"]) == ("10", ["input_tokens", "output_tokens"])
    house.prices("openai,old-one,input_tokens,,,,USD,1,1000,2026-01-01T00:00:00Z,,letter")
    assert desk.check() == {"unpriced": 1}, "prices were brought, and this one's was not"


def test_a_spike_and_a_projection(desk: Desk, house: House) -> None:
    header = "scope,subject,model,unit,limit,window,thresholds,notify\n"
    desk.bring("quota", header + "department,*,,tokens,1100000,day,90,\n")
    weeks_of_use(house)
    assert desk.check() == {}, "400,000 in three and a half of nine hours: 1,028,571 at the end"
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 150_000}, user="u-1")
    assert desk.check() == {"spike": 2, "projected": 1}
    assert desk.check() == {}
    assert {(one["scope"], one["content"]["usual"], one["content"]["seen"]) for one in desk.told("spike")} == {
        ("department", "100000", "250000"), ("organisation", "100000", "250000"),
    }  # fmt: skip
    (projected,) = desk.told("projected")
    assert (projected["used"], projected["content"]["projected"]) == ("550000", "1414286")


def test_a_budget_by_amount(desk: Desk, house: House) -> None:
    house.prices("openai,gpt-x,input_tokens,,,,KRW,1,1,2026-01-01T00:00:00Z,,letter")
    header = "department,period,amount,currency\n"
    desk.bring("budget", header + "D001,2026-10,1000,KRW\n,2026,10000,KRW\nD002,2026-10,5,KRW\n")
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 799})
    house.use((NOW - 40 * DAY).isoformat(), "D003", "gpt-x", {"input_tokens": 4200})
    assert desk.check() == {"budget": 1}
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 1})
    assert desk.check() == {"budget": 2}
    told = {(one["subject"], one["content"]["period"], one["threshold"]) for one in desk.told("budget")}
    assert told == {("D001", "2026-10", "50"), ("D001", "2026-10", "80"), (None, "2026", "50")}
    assert desk.check() == {}
    desk.bring("budget", header + "D001,2026-10,1500,KRW\n")
    assert desk.check() == {"budget": 1}, "half of another amount"


def test_a_programmes_budget(desk: Desk, house: House) -> None:
    """What its people used of its models while they had a place; late use, a larger budget, and its end."""
    house.prices("openai,gpt-x,input_tokens,,,,KRW,1,1,2026-01-01T00:00:00Z,,letter")
    header = "programme,name,starts_on,ends_on,places,budget,currency\n"
    desk.bring("programme", header + "P,pilot,2026-10-01,2026-11-01,1,1000,KRW\nQ,free,2026-10-01,2026-11-01,1,,\n")
    file = desk._directory / "applications.csv"
    file.write_text("programme,user,department,applied_at,left_at\nP,u-1,D001,2026-10-01T00:00:00Z,\n")
    desk.json("programme", "apply", file)
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 799}, user="u-1")
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 5000}, user="u-2")
    assert desk.check() == {"budget": 1}
    house.use(NOW.isoformat(), "D001", "gpt-x", {"input_tokens": 1}, user="u-1")
    assert desk.check(NOW + 20 * DAY)["budget"] == 1, "late use counts for a month"
    assert {(one["scope"], one["subject"], one["threshold"]) for one in desk.told("budget")} == {
        ("programme", "P", "50"), ("programme", "P", "80"),
    }  # fmt: skip
    desk.bring("programme", header + "P,pilot,2026-10-01,2026-11-01,1,1600,KRW\n")
    assert desk.check() == {"budget": 1}, "half of another amount"


def test_a_source_that_says_nothing(desk: Desk, house: House) -> None:
    weeks_of_use(house, NOW + timedelta(hours=5))
    assert desk.check(NOW + timedelta(hours=4)) == {}, "it was heard until 17"
    assert desk.check(NOW + DAY) == {"silent": 1}
    assert desk.check(NOW + DAY + timedelta(hours=2)) == {}
    (told,) = desk.told("silent")
    assert (told["severity"], told["content"]["source"]) == ("critical", "gateway-1")


def test_records_that_wait(engine: Engine, house: House) -> None:
    memory = Memory(standing=[Standing(1, 0, 10, 12, NOW - timedelta(seconds=299))])
    watch = Watch(Plan(ZONE), ("ops@city.example",))
    assert look_around_once(engine, watch, NOW, memory, LATE) == []
    for moment, count in ((NOW + timedelta(seconds=1), 1), (NOW + DAY, 0)):
        assert len(look_around_once(engine, watch, moment, memory, LATE) or []) == count
    memory.standing = [Standing(1, 0, 11, 12, NOW)]
    assert len(look_around_once(engine, watch, NOW + DAY, memory, LATE) or []) == 1
    with house.as_role("owner") as connection:
        recipients = connection.execute(text("select recipient, channel from alert_delivery")).all()
    assert [tuple(row) for row in recipients] == [("ops@city.example", "mail")] * 2


def test_pledges_and_places(desk: Desk, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANGBU_ALERT_MAIL_DOMAIN", "city.example")
    monkeypatch.setenv("JANGBU_ALERT_NOTIFY", "ops@city.example")
    desk.bring("roster", "user,key,department,department_name,cost_centre,valid_from,valid_to,pledge_signed_on\n"
               "kim,,D001,,,2026-01-01T00:00:00+09:00,,\nlee,,D002,,,2026-01-01T00:00:00+09:00,,\n")  # fmt: skip
    header = "user,version,signed_on,expires_on\n"
    desk.bring("pledge", header + "kim,1,2026-01-01,2026-11-01\nlee,1,2026-01-01,2027-01-01\n")
    desk.bring("programme", "programme,name,starts_on,ends_on,places\nP,pilot,2026-10-01,2026-12-01,1\n")
    header = "programme,user,department,applied_at,left_at\n"
    first = "P,kim,D001,2026-10-01T00:00:00Z,\nP,lee,D002,2026-10-02T00:00:00Z,\n"
    file = desk._directory / "applications.csv"
    file.write_text(header + first, encoding="utf-8")
    desk.json("programme", "apply", file)
    assert desk.check() == {"pledge": 1}
    file.write_text(header + "P,kim,D001,2026-10-01T00:00:00Z,2026-10-10T00:00:00Z\n", encoding="utf-8")
    desk.json("programme", "apply", file)
    assert desk.check() == {"place": 1}
    assert desk.check() == {}
    assert {one["recipient"] for one in desk.json("alert", "deliveries")["deliveries"]} == {
        "kim@city.example", "lee@city.example",
    }  # fmt: skip


def test_invoices_and_law_8(desk: Desk, house: House, migrated_database: DatabaseUrls) -> None:
    assert desk.check() == {}
    with house.as_role("owner") as connection:
        connection.execute(text(ARRIVED), {"id": 1})
    owner = connect(migrated_database.owner)
    with owner.begin() as connection:
        # as if that had been an hour ago, and the last look after it
        connection.execute(text("update alert_watch set looked_at = now() + interval '2 hours'"))
        (said,) = run_check(connection, "8-alerts").violations
    assert "invoice" in said
    assert "openai/1" in said
    assert desk.check() == {"invoice": 1}
    with owner.connect() as connection:
        assert run_check(connection, "8-alerts").violations == []
    owner.dispose()


ARRIVED = """
with content as (
  insert into invoice_content (sha256, bytes, zstd) values (repeat('a', 64), 1, 'x') returning sha256)
insert into invoice_import (id, delivery, vendor, format, kind, sha256, file_name, recognised_by, zone, lines, actor)
select :id, :id, 'openai', 'x', 'cost', sha256, 'f', 'x', 'UTC', 0, 'os:test' from content"""
