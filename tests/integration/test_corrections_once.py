"""A closed month that changed is computed again once for a state of the database, not for everybody who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from billing.ledger import corrections
from billing.ledger.corrections import find_corrections
from billing.store import snapshot
from tests.integration.command_world import CommandShell, use_database
from tests.integration.period_world import OCTOBER, PRICE, PeriodWorld, period_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

NOVEMBER = "2026-11-03T10:00:00+09:00"


@pytest.fixture
def world(migrated_database: DatabaseUrls) -> Iterator[PeriodWorld]:
    """October is closed with 100 won; then 7 came late."""
    with period_world(migrated_database) as made:
        made.house.prices(PRICE.format(1, 1))
        made.use(made.one("a", OCTOBER, "D1", 100))
        made.close("2026-10")
        made.use(made.one("late", OCTOBER, "D1", 7), made.one("now", NOVEMBER, "D1", 5))
        yield made


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The closed months that were computed again, in order."""
    seen: list[str] = []
    whole = corrections._correct

    def counted(connection, month, policy, last):  # type: ignore[no-untyped-def]
        seen.append(month.name)
        return whole(connection, month, policy, last)

    monkeypatch.setattr(corrections, "_correct", counted)
    return seen


def amounts(world: PeriodWorld) -> list[str]:
    return [one["amount_exact"] for one in world.documents("2026-11")["D1"]["adjustments"]]


def test_once_for_statement_and_checklist(
    world: PeriodWorld,
    computed: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    use_database(world.urls, monkeypatch, tmp_path)
    CommandShell(capsys).json("period", "status", "2026-11")
    assert computed == ["2026-10"]
    world.preview("2026-11")
    assert computed == ["2026-10"] * 2


def test_what_comes_later_is_seen_by_the_next_state(world: PeriodWorld, computed: list[str]) -> None:
    with snapshot(world.reader) as connection:
        first = find_corrections(connection, "2026-11")
        world.use(world.one("later", OCTOBER, "D1", 30))
        assert find_corrections(connection, "2026-11") is first
        assert find_corrections(connection, "2026-12") == ()
    assert amounts(world) == ["37"]
    assert computed == ["2026-10"] * 2
    world.close("2026-11")
    world.use(world.one("latest", OCTOBER, "D1", 1))
    assert [one["amount_exact"] for one in world.documents("2026-12")["D1"]["adjustments"]] == ["1"]


def test_a_connection_that_may_see_another_state_is_not_answered_from_before(
    world: PeriodWorld, computed: list[str]
) -> None:
    with world.billing.connect() as connection:
        assert [one.exact for found in find_corrections(connection, "2026-11") for one in found.charges] == [7]
        world.use(world.one("later", OCTOBER, "D1", 30))
        assert [one.exact for found in find_corrections(connection, "2026-11") for one in found.charges] == [37]
    assert computed == ["2026-10"] * 2


def test_rebuilt_sums_are_another_state(world: PeriodWorld) -> None:
    """A replay up to the close's own cut-offs finds nothing to correct; the same transaction found 7 before."""
    from billing.ledger.closes import read_closes
    from billing.ledger.from_events import rebuild_sums
    from billing.periods import month_in

    with world.billing.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        assert [one.exact for found in find_corrections(connection, "2026-11") for one in found.charges] == [7]
        until = read_closes(connection)[0].cut_offs
        rebuild_sums(connection, month_in("2026-11", "Asia/Seoul").end_hour, until)
        assert [one.charges for one in find_corrections(connection, "2026-11")] in ([], [()])
