"""Rolled sums: whatever was written when, in whichever transaction, reading them gives what the hourly parts hold."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from billing.parts import count_parts, first_and_last_hour, read_source, roll_up
from billing.store import snapshot
from billing.sums import EVERYTHING, Filters, read_sums
from jangbu.database import connect
from producers.broker_access import BrokerAccess
from streams.worker import UsageWorker, WorkerSettings
from tests.faults.events import chunk, event
from tests.faults.workbench import LOG, Workbench

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from jangbu.services.postgres import DatabaseUrls

FIRST = 495_000
"""An hour of June 2026."""
HOURS = 24 * 12
ZONES = ("Asia/Seoul", "UTC", "America/New_York", "America/Havana")
Part = tuple[int, int, int, int, str, int]


@pytest.fixture
def engine(migrated_database: DatabaseUrls) -> Iterator[Engine]:
    made = connect(migrated_database.owner)
    yield made
    made.dispose()


@pytest.fixture
def bench(migrated_database: DatabaseUrls) -> Iterator[Workbench]:
    with Workbench(migrated_database) as made:
        made.store(chunk([event("a"), event("b", units={"input_tokens": 7, "dragons": 3}), event("c", user="u-2")]))
        yield made


def told(sums: Any) -> Counter[tuple[Any, ...]]:
    """Sums as a multiset of quantities, each by all that tells it apart."""
    found: Counter[tuple[Any, ...]] = Counter()
    for one in sums:
        for unit, quantity in one.quantities:
            found[*one[:8], unit] += quantity
    return found


def binding(
    sums: Counter[tuple[Any, ...]], first: int, cuts: Sequence[int], only: dict[int, list[tuple[str, str]]]
) -> Counter[tuple[Any, ...]]:
    """Sums by the stretches that their model may not leave."""
    found: Counter[tuple[Any, ...]] = Counter()
    for (dimensions, hour, *rest), quantity in sums.items():
        edges = [cut for cut in cuts if cut not in only or (rest[0], rest[1]) in only[cut]]
        found[dimensions, max([first, *(edge for edge in edges if edge <= hour)]), *rest] += quantity
    return Counter({key: quantity for key, quantity in found.items() if quantity})


def read_both(
    connection: Connection, span: tuple[int, int], cuts: Sequence[int], dimensions: tuple[str, ...],
    filters: Filters = EVERYTHING,
) -> None:  # fmt: skip
    """Read as it is, and with nothing but parts; also where a cut is of some models only."""
    rolled = told(read_sums(connection, *span, cuts, dimensions, filters))
    only = {cut: [("openai", f"m-{1 + cut % 3}"), ("openai", "m-1")] for cut in cuts[:2]}
    loose = told(read_sums(connection, *span, cuts, dimensions, filters, models_at=only))
    assert binding(loose, span[0], cuts, only) == binding(rolled, span[0], cuts, only)
    hours, count = first_and_last_hour(connection), count_parts(connection, *span)
    connection.exec_driver_sql("create temporary table usage_part on commit drop as select * from public.usage_part")
    assert rolled == told(read_sums(connection, *span, cuts, dimensions, filters))
    assert hours == first_and_last_hour(connection)
    assert count == count_parts(connection, *span)
    stored = "select count(*) from pg_temp.usage_part where hour >= %s and hour < %s"
    assert count == connection.exec_driver_sql(stored, span).scalar_one()
    connection.exec_driver_sql("drop table pg_temp.usage_part")


hours = st.integers(FIRST, FIRST + HOURS - 1)
parts = st.lists(
    st.tuples(hours, st.sampled_from([0, 200_000]), st.integers(1, 3), st.integers(1, 4),
              st.sampled_from(["input_tokens", "output_tokens", "web_searches", "dragons", "wizards"]),
              st.integers(-3, 9)),
    max_size=12,
)  # fmt: skip
steps = st.lists(st.tuples(st.sampled_from(["write", "late", "roll", "commit"]), parts, st.sampled_from(ZONES)),
                 min_size=3, max_size=9)  # fmt: skip


def insert(connection: Connection, rows: Sequence[Part]) -> None:
    for hour, band, route, payer, unit, quantity in rows:
        other = unit in ("dragons", "wizards")
        connection.exec_driver_sql(
            f"insert into usage_part (hour, band, route_id, payer_id, partition, log_id, events, "
            f"{'other_units' if other else unit}) values (%s, %s, %s, %s, 0, 1, 1, "
            f"{'jsonb_build_object(%s::text, %s::bigint)' if other else '%s'})",
            (hour, band, route, payer, *((unit, quantity) if other else (quantity,))),
        )


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(  # the stretch begins within a day, at an hour that is of some models only
    steps=[("write", [(FIRST + 112, 0, 2, 4, "input_tokens", 8)], "Asia/Seoul"), ("roll", [], "Asia/Seoul")],
    edges=[FIRST, FIRST + 114, FIRST + 172], span=(FIRST + 114, FIRST + 235), zone="Asia/Seoul",
)  # fmt: skip
@given(
    steps=steps, edges=st.lists(hours, min_size=1, max_size=3), span=st.tuples(hours, hours),
    zone=st.sampled_from(ZONES),
)  # fmt: skip
def test_reading_rolled_sums_gives_what_the_parts_hold(
    engine: Engine, steps: list[Any], edges: list[int], span: tuple[int, int], zone: str
) -> None:
    """Transactions that stay open over a roll-up, other zones, cuts within a day, months that begin within one."""
    with engine.begin() as connection:
        rolled_up = "usage_roll, usage_roll_person, usage_roll_day, usage_roll_mark"
        connection.exec_driver_sql(f"truncate usage_part, {rolled_up}")
        connection.exec_driver_sql(
            """insert into route (source, provider, model, service_tier, status, usage_source)
               select 's', 'openai', 'm-' || n, 'standard', case n when 3 then 'cached' else 'success' end, 'provider'
               from generate_series(1, 3) n on conflict do nothing"""
        )
        connection.exec_driver_sql(
            """insert into payer (department, attributed_by, "user")
               select case when n < 4 then 'D' || n / 2 end, case when n < 4 then 'event' else 'nobody' end, 'u-' || n
               from generate_series(1, 4) n on conflict do nothing"""
        )
    begin, end = min(span), max(span) + 1
    late = engine.connect()
    waiting = late.begin()
    try:
        for step, rows, of_zone in steps:
            if step == "write":
                with engine.begin() as connection:
                    insert(connection, rows)
            elif step == "late":
                insert(late, rows)
            elif step == "commit":
                waiting.commit()
                waiting = late.begin()
            else:
                roll_up(engine, of_zone)
            with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
                cuts = sorted(edges)
                read_both(connection, (begin, end), cuts, ("department",))
                read_both(connection, (begin, end), [], ("account", "source", "status"))
                read_both(connection, (begin, end), cuts, ("user", "department"))
                read_both(connection, (begin, end), cuts, ("user",), {"department": ("D1", None)})
        waiting.commit()
        roll_up(engine, zone)
    finally:
        late.close()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from usage_part").scalar_one() == (
            connection.exec_driver_sql("select coalesce(sum(parts), 0) from usage_roll_day").scalar_one()
        )


def test_a_worker_rolls_up_when_it_stores_nothing(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backlog goes first; and a database that is away is no reason to end."""
    worker = UsageWorker(WorkerSettings(BrokerAccess("localhost:1"), bench.urls.worker, LOG, str(tmp_path)))

    def refused() -> psycopg.Connection:
        raise psycopg.OperationalError("the database is away")

    async def tick(*, is_storing: bool) -> list[tuple[Any, ...]]:
        storing = asyncio.create_task(asyncio.sleep(60 if is_storing else 0))
        await asyncio.sleep(0.01)
        worker._storing = storing
        await worker.roll_up_if_idle()
        storing.cancel()
        return rolled(bench)

    try:
        assert asyncio.run(tick(is_storing=True)) == [(None, None)]
        assert asyncio.run(tick(is_storing=False)) == [(3, 27)]
        with monkeypatch.context() as patch:
            patch.setattr(worker.pipeline, "connect", refused)
            asyncio.run(worker.roll_up_if_idle())
    finally:
        worker.pipeline.close()


def violations(bench: Workbench) -> list[str]:
    return [sentence for sentence in bench.laws() if "roll" in sentence]


def rolled(bench: Workbench) -> list[tuple[Any, ...]]:
    return bench.ask("select sum(events)::int, sum(input_tokens)::int from usage_roll")


def test_a_transaction_that_commits_after_the_mark_is_read_at_once_and_rolled_once(bench: Workbench) -> None:
    more = "insert into usage_part (hour, route_id, payer_id, partition, log_id, events, input_tokens) "
    more += "select hour, route_id, payer_id, partition, log_id, 0, 1000 from usage_part limit 1"
    engine = connect(bench.urls.billing)
    with psycopg.connect(bench.urls.owner) as late:
        late.execute(more.encode())
        assert roll_up(engine, "Asia/Seoul") == 3
        assert rolled(bench) == [(3, 27)]
        late.commit()
    with snapshot(engine) as connection:
        sums = told(read_sums(connection, 0, 600_000, [], ()))
        assert sum(quantity for key, quantity in sums.items() if key[-1] == "input_tokens") == 1027
    assert violations(bench) == []
    assert roll_up(engine, "Asia/Seoul") == 1
    assert roll_up(engine, "Asia/Seoul") == 0
    assert rolled(bench) == [(3, 1027)]
    assert violations(bench) == []
    engine.dispose()


def test_an_old_snapshot_cannot_roll_up_what_is_rolled_up(bench: Workbench) -> None:
    engine = connect(bench.urls.billing)
    roll_up(engine, "Asia/Seoul")
    with psycopg.connect(bench.urls.billing) as old:
        old.execute("set transaction isolation level repeatable read")
        old.execute("select count(*) from usage_part")
        bench.store(chunk([event("d")], first_offset=3))
        roll_up(engine, "Asia/Seoul")
        with pytest.raises(psycopg.errors.SerializationFailure):
            old.execute("select roll_up_usage()")
    assert rolled(bench) == [(4, 37)]
    engine.dispose()


def test_of_two_at_once_one_does_nothing(bench: Workbench) -> None:
    with psycopg.connect(bench.urls.worker) as first:
        assert first.execute("select roll_up_usage()").fetchone() == (3,)
        assert bench.ask("select roll_up_usage()") == [(0,)]
    assert rolled(bench) == [(3, 27)]


def test_a_day_that_is_over_is_put_in_order_by_department_and_nothing_else_changes(bench: Workbench) -> None:
    people = [event(f"p{number}", user=f"person-{number % 7}", department=f"D{number % 3}") for number in range(40)]
    bench.store(chunk(people, first_offset=3))
    bench.tell("select roll_up_usage()")
    rows = "select first_hour, payer_id, route_id, band, events, input_tokens, other_units from usage_roll_person"
    before = sorted(bench.ask(rows), key=str)
    places = "select y.department from usage_roll_person r join payer y on y.id = r.payer_id order by r.ctid"
    assert bench.ask(places) != sorted(bench.ask(places), key=lambda row: (row[0] is None, row))
    with psycopg.connect(bench.urls.worker) as first:
        first.execute("select roll_up_usage()")
        assert bench.ask("select order_rolled_days()") == [(0,)], "never beside a roll-up"
    days = bench.ask("select count(*)::int from usage_roll_day")
    assert bench.ask("select order_rolled_days()") == days
    assert bench.ask(places) == sorted(bench.ask(places), key=lambda row: (row[0] is None, row))
    assert sorted(bench.ask(rows), key=str) == before
    assert bench.ask("select order_rolled_days()") == [(0,)]
    assert violations(bench) == []


def test_a_day_that_runs_is_not_put_in_order(bench: Workbench) -> None:
    bench.tell("select roll_up_usage()")
    bench.tell("delete from usage_roll_person")
    bench.tell("delete from usage_roll_day")
    bench.tell(
        "insert into usage_roll_day select hour, hour + 24, 0, hour, hour, '{}', false "
        "from (select floor(extract(epoch from now()) / 3600)::integer - 30 as hour) now_hour"
    )
    assert bench.ask("select order_rolled_days()") == [(0,)]


def test_another_cluster_s_numbers_mean_nothing(bench: Workbench) -> None:
    """A dump restored elsewhere: transactions count from the beginning there, and would look seen."""
    engine = connect(bench.urls.billing)
    roll_up(engine, "Asia/Seoul")
    bench.tell("update usage_roll_mark set cluster = 1, next_number = 1::bigint << 60")
    bench.store(chunk([event("d")], first_offset=3))
    with snapshot(engine) as connection:
        assert "usage_roll" not in read_source(connection, 0, 600_000, []).sql
    assert violations(bench) == []
    assert roll_up(engine, "Asia/Seoul") == 4
    assert rolled(bench) == [(4, 37)]
    assert violations(bench) == []
    engine.dispose()


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ("update usage_roll set output_tokens = output_tokens - 1", "output_tokens 1"),
        ("update usage_roll set other_units = null", "dragons 3"),
        ("delete from usage_roll", "parts minus rolled is events 3"),
        ("update usage_roll set band = 5", "band 5"),
        ("update usage_roll_person set output_tokens = output_tokens - 1", "output_tokens 1"),
        ("update usage_roll_person set other_units = null", "dragons 3"),
        ("delete from usage_roll_person", "parts minus rolled is events"),
        ("update usage_roll_day set parts = parts + 1", "says 4 parts"),
        ("update usage_roll_day set units = '{input_tokens}'", "names too few"),
        ("update usage_roll_day set has_others = false", "names too few"),
        ("delete from usage_roll_day", "rolled"),
        # A mark that claims to have seen what was written later: the defect that would lose sums in silence.
        ("update usage_roll_mark set next_number = 1::bigint << 60, running = '{}'", "events 1"),
        ("update usage_roll_mark set next_number = 1", "events -2"),
    ],
)
def test_a_planted_violation_is_found(bench: Workbench, planted: str, said: str) -> None:
    bench.tell("select roll_up_usage()")
    bench.store(chunk([event("d")], first_offset=3))
    assert violations(bench) == []
    bench.tell(planted)
    assert any(said in sentence for sentence in violations(bench)), violations(bench)


def test_days_that_overlap_are_refused(bench: Workbench) -> None:
    bench.tell("select roll_up_usage()")
    with pytest.raises(psycopg.errors.ExclusionViolation):
        bench.tell(
            "insert into usage_roll_day select first_hour + 1, end_hour + 1, 1, first_hour + 1, first_hour + 1, '{}', "
            "false from usage_roll_day limit 1"
        )
