"""The roster: files, what they change, and that sums follow (contract.md, sections 7 and 9)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from billing.errors import FileRefused
from billing.roster import Membership, changes, held_roster, read_roster, write_roster
from jangbu.database import connect
from tests.faults.events import NOW, chunk, event
from tests.faults.workbench import Workbench as Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing.roster import Moved
    from jangbu.services.postgres import DatabaseUrls

HEADER = "user,key,department,department_name,cost_centre,valid_from,valid_to,pledge_signed_on"
ZONE = "Asia/Seoul"


@pytest.fixture
def bench(migrated_database: DatabaseUrls) -> Iterator[Bench]:
    with Bench(migrated_database) as hands:
        yield hands


def imported(bench: Bench, *lines: str) -> list[Moved]:
    engine = connect(bench.urls.billing)
    try:
        with engine.begin() as connection:
            rows = read_roster("\n".join([HEADER, *lines]).encode(), "roster.csv", ZONE)
            return write_roster(connection, changes(held_roster(connection), rows))
    finally:
        engine.dispose()


def departments(bench: Bench) -> dict[str | None, int]:
    rows = bench.ask(
        "select y.department, sum(p.input_tokens)::bigint from usage_part p join payer y on y.id = p.payer_id"
        " group by 1 having sum(p.events) <> 0"
    )
    return dict(rows)


def test_use_is_attributed_when_it_comes_and_again_when_the_roster_changes(bench: Bench) -> None:
    imported(bench, "u-1,,D001,,,2026-01-01,,")
    bench.store(chunk([event("a"), event("b", user="u-2"), event("c", department="D009")]))
    assert departments(bench) == {"D001": 10, None: 10, "D009": 10}
    moved = imported(bench, "u-2,,D002,,,2026-10-15,,", "u-1,,D003,,,2026-10-15,,")
    assert {(row.old_department, row.new_department, row.events) for row in moved} == {
        ("D001", "D003", 1),
        (None, "D002", 1),
    }
    assert departments(bench) == {"D003": 10, "D002": 10, "D009": 10}
    assert bench.laws() == []
    bench.store(chunk([event("d"), event("e", time=NOW - timedelta(days=3))], first_offset=3))
    assert departments(bench) == {"D003": 20, "D002": 10, "D009": 10, "D001": 10}


def test_the_edge_of_a_move_is_midnight_in_the_organisations_zone(bench: Bench) -> None:
    imported(bench, "u-1,,D001,,,2026-01-01,,", "u-1,,D002,,,2026-10-14,,")
    edge = datetime(2026, 10, 13, 15, 0, tzinfo=UTC)
    bench.store(chunk([event("a", time=edge - timedelta(microseconds=1)), event("b", time=edge)]))
    assert bench.ask(
        "select e.event_id, y.department from usage_event e join payer y on y.id = e.payer_id order by 1"
    ) == [("a", "D001"), ("b", "D002")]


def test_a_key_goes_before_its_user_and_an_end_ends(bench: Bench) -> None:
    imported(bench, "u-1,,D001,,,2026-01-01,,", ",k-1,D002,,,2026-01-01,2026-10-15T11:40:00Z,")
    before, after = NOW - timedelta(minutes=21), NOW - timedelta(minutes=20)
    bench.store(
        chunk([event("a", key="k-1", time=before), event("b", key="k-1", time=after), event("c", user=None)])
    )
    assert bench.ask(
        "select e.event_id, y.department, y.attributed_by from usage_event e join payer y on y.id = e.payer_id"
        " order by 1"
    ) == [("a", "D002", "key"), ("b", "D001", "user"), ("c", None, "nobody")]


def test_the_same_file_again_changes_nothing(bench: Bench) -> None:
    lines = ["u-1,,D001,도시계획과,CC1,2026-01-01,,2026-02-03", ",k-1,D002,,,,,"]
    imported(bench, *lines)
    before = bench.ask("select * from roster order by id")
    assert imported(bench, *lines) == []
    assert bench.ask("select * from roster order by id") == before


def test_a_changed_row_replaces_the_one_with_its_start(bench: Bench) -> None:
    bench.store(chunk([event("a")]))
    imported(bench, "u-1,,D001,,,2026-01-01,,")
    imported(bench, "u-1,,D002,,,2026-01-01,,")
    assert departments(bench) == {"D002": 10}
    assert bench.ask("select department from roster") == [("D002",)]
    assert bench.laws() == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["u-1,,,,,,,"], "line 2, column department"),
        ([",,D001,,,,,"], "line 2, column user: '': name a user, a key or both"),
        (["u-1,,D001,,,2026-13-01,,"], "column valid_from: '2026-13-01'"),
        (["u-1,,D001,,,2026-10-01T00:00:00,,"], "say the offset"),
        (["u-1,,D001,,,2026-10-02,2026-10-01,"], "column valid_to: '2026-10-01'"),
        (["u-1,,D001,,,2026-10-01,,", "u-1,,D002,,,2026-10-01,,"], "line 3, column valid_from"),
        (["u-1,,D001,,,2026-10-01,,yesterday"], "column pledge_signed_on: 'yesterday'"),
        (["u-1,D001"], "2 cells"),
    ],
)
def test_a_wrong_file_is_refused_whole_by_name(lines: list[str], said: str) -> None:
    with pytest.raises(FileRefused, match="refused whole") as refused:
        read_roster("\n".join([HEADER, *lines]).encode(), "roster.csv", ZONE)
    assert said in str(refused.value)


def test_an_unknown_column_is_refused_by_name() -> None:
    with pytest.raises(FileRefused, match="no such column here") as refused:
        read_roster(b"user,departement\nu-1,D001", "roster.csv", ZONE)
    assert "departement" in str(refused.value)


def test_rows_read_as_they_stand() -> None:
    text = f"{HEADER}\nu-1,k,D001,총무과,CC,2026-10-01T09:00:00+09:00,2026-11-01,2026-09-30"
    (row,) = read_roster(text.encode("utf-8-sig"), "roster.csv", ZONE)
    assert row == Membership(
        "u-1", "k", "D001", "총무과", "CC", datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 31, 15, tzinfo=UTC),
        datetime(2026, 9, 30, tzinfo=UTC).date(),
    )  # fmt: skip
