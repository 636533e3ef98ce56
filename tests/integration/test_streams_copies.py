"""Copies, conflicts, thresholds and rosters: what moves the sums after an event is stored, to the token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from streams.sink import Stored
from tests.faults.events import chunk, event
from tests.faults.workbench import Workbench

if TYPE_CHECKING:
    from jangbu.services.postgres import DatabaseUrls

HALF_PAST = datetime(2026, 10, 15, 10, 30, tzinfo=UTC)


@pytest.fixture
def bench(migrated_database: DatabaseUrls) -> Iterator[Workbench]:
    with Workbench(migrated_database) as made:
        yield made


def as_billing(bench: Workbench, query: str) -> list[tuple[Any, ...]]:
    """What billing may do, by its own login."""
    with psycopg.connect(bench.urls.billing, autocommit=True, options="-c timezone=UTC") as connection:
        return connection.execute(query.encode()).fetchall()


def quarantined(bench: Workbench) -> list[tuple[Any, ...]]:
    return bench.ask("select code, field, value, partition, kafka_offset from quarantine order by id")


def by_band(bench: Workbench) -> dict[int, tuple[int, int]]:
    """Events and input tokens by band, what came to nothing left out."""
    rows = bench.ask(
        "select band, sum(events), coalesce(sum(input_tokens), 0) from usage_part group by band having sum(events) <> 0"
    )
    return {band: (int(events), int(tokens)) for band, events, tokens in rows}


def test_a_conflict_is_quarantined_and_the_first_stands(bench: Workbench) -> None:
    first = event("a", units={"input_tokens": 10})
    other = event("a", units={"input_tokens": 11})
    assert bench.store(chunk([first, other])) == Stored(2, 1, 0, 1)
    assert bench.store(chunk([first, other], first_offset=2)) == Stored(4, 0, 1, 1)
    assert bench.store(chunk([other], partition=1)) == Stored(1, 0, 0, 1)
    assert quarantined(bench) == [
        ("conflict", "id", "a", 0, 1), ("conflict", "id", "a", 0, 3), ("conflict", "id", "a", 1, 0)
    ]  # fmt: skip
    assert by_band(bench) == {0: (1, 10)}
    assert bench.laws() == []


@pytest.mark.parametrize(
    "change",
    [
        {"user": "u-2"}, {"department": "D9"}, {"key": "k"}, {"attempt": 2}, {"tags": {"a": "b"}},
        {"units": {"input_tokens": 10, "output_tokens": 5, "requests": 1, "web_searches": 0}},
        {"units": {"input_tokens": 10, "output_tokens": 5}}, {"units": {"dragons": 1}},
        {"reported_cost": {"amount": "0.1", "currency": "USD"}}, {"model": "gpt-5"}, {"status": "failure"},
        {"service_tier": "batch"}, {"usage_source": "estimated"}, {"operation": "chat"},
    ],
    ids=str,
)  # fmt: skip
def test_any_other_content_is_a_conflict_within_a_chunk_and_across(bench: Workbench, change: dict[str, Any]) -> None:
    first, other = event("a"), event("a", **change)
    assert bench.store(chunk([first, other, first])) == Stored(3, 1, 1, 1)
    assert bench.store(chunk([first, other], first_offset=3)) == Stored(5, 0, 1, 1)
    assert bench.laws() == []


def test_the_same_content_said_otherwise_is_a_duplicate(bench: Workbench) -> None:
    """Field order, defaults written out, other zones and unknown fields change nothing."""
    first = event("a", department=None, time="2026-10-15T10:30:00Z")
    again = dict(reversed(event("a", service_tier="standard", status="success").items()))
    again |= {"time": "2026-10-15T19:30:00+09:00", "note": "unknown"}
    assert bench.store(chunk([first, again])) == Stored(2, 1, 1, 0)
    assert bench.store(chunk([again, first], first_offset=2)) == Stored(4, 0, 2, 0)
    assert bench.laws() == []


def test_sources_do_not_share_ids(bench: Workbench) -> None:
    """Nor does a source that ends as an id begins: the digest is led by the source's length."""
    assert bench.store(chunk([event("c", source="ab"), event("bc", source="a"), event("c", source="b")])) == Stored(
        3, 3, 0, 0
    )
    assert bench.laws() == []


@pytest.mark.parametrize(
    ("minute", "other", "met"),
    [
        (30, timedelta(minutes=20), True),  # the same hour
        (50, timedelta(minutes=15), True),  # 50 past and 5 past: the copy is near the hour before
        (50, timedelta(minutes=24, seconds=59), True),  # 14:59 past
        (50, timedelta(minutes=25), False),  # 15 past: too far to be looked for
        (5, timedelta(minutes=-6), True),  # 59 past the hour before
        (5, timedelta(minutes=-20), True),  # 45 past
        (5, timedelta(minutes=-20, microseconds=-1), False),
        (30, timedelta(hours=-2), False),
        (30, timedelta(days=-3), False),
    ],
    ids=str,
)
def test_a_copy_with_another_time(bench: Workbench, minute: int, other: timedelta, met: bool) -> None:
    """Near ones are met as they come; the others are taken out again before anything is booked."""
    moment = HALF_PAST.replace(minute=minute)
    bench.store(chunk([event("a", time=moment), event("b", time=moment)]))
    outcome = bench.store(chunk([event("a", time=moment + other)], first_offset=2))
    assert outcome == (Stored(3, 0, 0, 1) if met else Stored(3, 1, 0, 0))
    assert as_billing(bench, "select take_out_copies()") == [(0 if met else 1,)]
    assert quarantined(bench) == [("conflict" if met else "duplicate_other_time", "id", "a", 0, 2)]
    assert bench.ask("select event_id, kafka_offset from usage_event order by 1") == [("a", 0), ("b", 1)]
    assert by_band(bench) == {0: (2, 20)}
    assert bench.laws() == []
    assert as_billing(bench, "select take_out_copies()") == [(0,)]


def test_of_many_copies_the_lowest_offset_stands(bench: Workbench) -> None:
    times = [HALF_PAST + timedelta(hours=hours) for hours in (-5, 0, -9, -14)]
    units = {"input_tokens": 7, "dragons": 3}
    bench.store(chunk([event("z"), event("a", time=times[0], units=units)], partition=1))
    bench.store(chunk([event("a", time=times[1], units=units)], partition=0))
    bench.store(chunk([event("a", time=moment, units=units) for moment in times[2:3]], partition=2))
    bench.store(chunk([event("x"), event("y"), event("a", time=times[3], units=units)], partition=3))
    assert as_billing(bench, "select take_out_copies()") == [(3,)]
    assert bench.ask("select partition, kafka_offset from usage_event where event_id = 'a'") == [(0, 0)]
    assert sorted(row[-2:] for row in quarantined(bench)) == [(1, 1), (2, 0), (3, 2)]
    total = bench.ask("select unit, sum(quantity)::int from usage_unit where unit in ('dragons') group by 1")
    assert total == [("dragons", 3)]
    assert bench.laws() == []


def test_a_copy_that_was_taken_out_and_comes_again_is_not_counted_twice(bench: Workbench) -> None:
    first, late = event("a", time=HALF_PAST), event("a", time=HALF_PAST - timedelta(hours=3))
    bench.store(chunk([first]))
    bench.store(chunk([late], first_offset=1))
    assert as_billing(bench, "select take_out_copies()") == [(1,)]
    bench.store(chunk([first], first_offset=2))
    bench.store(chunk([late], first_offset=3))
    as_billing(bench, "select take_out_copies()")
    assert by_band(bench) == {0: (1, 10)}
    assert bench.laws() == []


def test_a_threshold_that_comes_later_moves_longer_prompts(bench: Workbench) -> None:
    """Above means above: a prompt of exactly the threshold stays. All input units of the request count together."""
    bench.store(
        chunk(
            [
                event("at", units={"input_tokens": 200_000}),
                event("above", units={"input_tokens": 200_001}),
                event("together", units={"input_tokens": 1, "cache_read_tokens": 200_000, "output_tokens": 9}),
                event("output", units={"input_tokens": 5, "output_tokens": 900_000}),
                event("untold", units={"requests": 1}),
                event("far", units={"input_tokens": 400_000, "dragons": 2}),
            ]
        )
    )
    assert as_billing(bench, "select add_prompt_threshold(200000)") == [(3,)]
    assert by_band(bench) == {0: (3, 200_005), 200_000: (3, 600_002)}
    assert bench.laws() == []
    assert as_billing(bench, "select add_prompt_threshold(300000)") == [(1,)]
    assert as_billing(bench, "select add_prompt_threshold(100000)") == [(1,)]
    assert as_billing(bench, "select add_prompt_threshold(100000)") == [(0,)]
    assert by_band(bench) == {
        0: (2, 5), 100_000: (1, 200_000), 200_000: (2, 200_002), 300_000: (1, 400_000)
    }  # fmt: skip
    assert bench.laws() == []
    bench.store(chunk([event("new", units={"input_tokens": 250_000})], first_offset=6))
    assert by_band(bench)[200_000] == (3, 450_002)
    assert bench.laws() == []


def test_attributing_again_moves_sums_and_leaves_what_events_say(bench: Workbench) -> None:
    bench.store(
        chunk(
            [
                event("own", department="D1"),
                event("by-user", user="u-1"),
                event("by-key", user="u-1", key="k-1"),
                event("unknown", user="u-9", units={"dragons": 2}),
            ]
        )
    )
    with psycopg.connect(bench.urls.billing) as connection:
        connection.execute(
            """insert into roster ("user", key, department, valid_from) values ('u-1', null, 'D2', '2026-01-01'),
               (null, 'k-1', 'D3', '2026-01-01'), ('u-9', null, 'D4', '2027-01-01')"""
        )
        moved = connection.execute("select * from reattribute('2026-10-01', '2026-11-01')").fetchall()
    assert sorted(moved, key=str) == [(None, "D2", 1), (None, "D3", 1)]
    rows = bench.ask("select event_id, department, attributed_by from usage_event_named order by 1")
    assert rows == [
        ("by-key", "D3", "key"), ("by-user", "D2", "user"), ("own", "D1", "event"), ("unknown", None, "nobody")
    ]  # fmt: skip
    assert bench.laws() == []
    assert bench.store(chunk([event("by-user", user="u-1")], first_offset=4)) == Stored(5, 0, 1, 0)
    assert bench.laws() == []


@pytest.mark.parametrize(
    "other", ["select add_prompt_threshold(100000)", "select * from reattribute('2026-01-01', '2027-01-01')"]
)
def test_taking_copies_out_does_not_meet_another_change_half_way(bench: Workbench, other: str) -> None:
    """Each of them reads the events and moves their sums: one after the other, in whichever order."""
    long_prompt = {"input_tokens": 150_000}
    bench.store(chunk([event("a", time=HALF_PAST, units=long_prompt)]))
    bench.store(chunk([event("a", time=HALF_PAST - timedelta(hours=5), units=long_prompt)], first_offset=1))
    bench.tell("""insert into roster ("user", department, valid_from) values ('u-1', 'D2', '2026-01-01')""")
    with psycopg.connect(bench.urls.billing) as first:
        first.execute(other.encode())
        taking = threading.Thread(target=lambda: as_billing(bench, "select take_out_copies()"))
        taking.start()
        taking.join(0.5)
        assert taking.is_alive()
        first.commit()
        taking.join(60)
    assert bench.laws() == []
    with psycopg.connect(bench.urls.billing) as first:
        bench.store(chunk([event("a", time=HALF_PAST - timedelta(hours=9), units=long_prompt)], first_offset=2))
        first.execute("select take_out_copies()")
        changing = threading.Thread(target=lambda: as_billing(bench, other.replace("100000", "140000")))
        changing.start()
        changing.join(0.5)
        assert changing.is_alive()
        first.commit()
        changing.join(60)
    assert bench.laws() == []


def test_copies_are_looked_for_where_something_came(bench: Workbench) -> None:
    """Whichever of the two is the new one; and a mark that claims to have seen more is found by law 2."""
    bench.store(chunk([event("a", time=HALF_PAST), event("b", time=HALF_PAST - timedelta(hours=40))]))
    assert as_billing(bench, "select take_out_copies()") == [(0,)]
    bench.store(chunk([event("b", time=HALF_PAST), event("c", time=HALF_PAST)], first_offset=2))
    bench.store(chunk([event("a", time=HALF_PAST - timedelta(hours=70))], first_offset=4))
    assert len(as_billing(bench, "select copied_events()")) == 4
    assert as_billing(bench, "select take_out_copies()") == [(2,)]
    assert as_billing(bench, "select count(*) from copied_events()") == [(0,)]
    assert bench.laws() == []
    bench.tell("update copies_mark set next_number = 1::bigint << 60")
    bench.store(chunk([event("c", time=HALF_PAST - timedelta(hours=3))], first_offset=5))
    assert as_billing(bench, "select take_out_copies()") == [(0,)]
    assert any("2 copies of one source" in sentence for sentence in bench.laws())
    bench.tell("update copies_mark set cluster = 1, next_number = 1::bigint << 60")
    assert as_billing(bench, "select take_out_copies()") == [(1,)]
    assert bench.laws() == []


def test_a_worker_that_commits_later_is_looked_at_later(bench: Workbench) -> None:
    """Its part counts as new although its transaction began before copies were looked for."""
    bench.store(chunk([event("a", time=HALF_PAST)]))
    with psycopg.connect(bench.urls.worker) as late:
        late.execute("select pg_current_xact_id()")
        assert as_billing(bench, "select take_out_copies()") == [(0,)]
        late.execute(
            """insert into usage_event (event_key, time, kafka_offset, route_id, payer_id, partition, log_id, event_id)
               select (lpad(to_hex(hour_of_key(event_key) - 3), 8, '0')
                       || substr(replace(event_key::text, '-', ''), 9))::uuid, time - interval '3 hours', 9, route_id,
                      payer_id, partition, log_id, event_id
               from usage_event"""
        )
        late.execute(
            """insert into usage_part (hour, route_id, payer_id, partition, log_id, events)
               select hour_of(time), route_id, payer_id, partition, log_id, 1 from usage_event where kafka_offset = 9"""
        )
        late.commit()
    assert as_billing(bench, "select take_out_copies()") == [(1,)]
