"""Properties that PostgreSQL must share: rows come back as they were said, departments are the same by both rules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producers.contract import identity_digest
from streams.attribution import Roster, RosterRow
from streams.facts import load_facts
from streams.rows import COLUMN_UNITS
from streams.sink import Stored
from tests.faults.events import NOW, chunk, event
from tests.faults.workbench import Workbench

if TYPE_CHECKING:
    from jangbu.services.postgres import DatabaseUrls

one_database = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
"""All examples of a test use one database: they take other ids, and go on in the partition."""
_numbers = count()


@pytest.fixture
def bench(migrated_database: DatabaseUrls) -> Iterator[Workbench]:
    with Workbench(migrated_database) as made:
        yield made


def printable(max_size: int) -> st.SearchStrategy[str]:
    """Names as the contract lets them be."""
    return st.text(
        st.characters(codec="utf-8", exclude_characters="\x7f\u2028\u2029", exclude_categories=("Cc", "Cs")),
        min_size=1, max_size=max_size,
    )  # fmt: skip


names = st.none() | printable(40)
moments = st.integers(-400 * 86_400_000_000, 3_600_000_000).map(lambda us: NOW + timedelta(microseconds=us))
units = st.dictionaries(
    st.sampled_from([*COLUMN_UNITS, "dragons", "flying_dragons"]), st.integers(0, 10**9), min_size=1, max_size=8
)
costs = st.none() | st.decimals(Decimal("-1e10"), Decimal("1e10"), places=9).map(
    lambda amount: {"amount": format(amount, "f"), "currency": "USD"}
)


@st.composite
def anything(draw: st.DrawFn) -> dict[str, Any]:
    """An event with whatever the contract lets it say."""
    return event(
        f"{draw(printable(60))}-{next(_numbers)}",
        source=draw(printable(60)),
        time=draw(moments),
        user=draw(names),
        units=draw(units),
        model=draw(printable(60)),
        provider=draw(printable(20)),
        department=draw(names),
        key=draw(names),
        account=draw(names),
        region=draw(names),
        operation=draw(names),
        attempt=draw(st.none() | st.integers(0, 32_767)),
        service_tier=draw(st.sampled_from(["standard", "batch", "priority", "flex"])),
        status=draw(st.sampled_from(["success", "failure", "cut"])),
        usage_source=draw(st.sampled_from(["provider", "estimated", "missing"])),
        reported_cost=draw(costs),
        tags=draw(st.none() | st.dictionaries(printable(20), printable(20), max_size=3)),
    )


@one_database
@given(documents=st.lists(anything(), min_size=1, max_size=6))
def test_what_an_event_says_comes_back_from_its_row(bench: Workbench, documents: list[dict[str, Any]]) -> None:
    first = bench.ask("select coalesce(max(next_offset), 0) from stream_offset where partition = 0")[0][0]
    outcome = bench.store(chunk(documents, first_offset=first))
    assert outcome == Stored(first + len(documents), len(documents), 0, 0)
    rows = bench.ask(
        f"""select source, event_id, time, "user", department, key, account, region, operation, model, provider,
                   attempt, service_tier, status, usage_source, reported_cost, reported_currency, tags, other_units,
                   kafka_offset, prompt_tokens, {", ".join(COLUMN_UNITS)}
            from usage_event_named where kafka_offset >= %s order by kafka_offset""",
        first,
    )
    assert len(rows) == len(documents)
    for place, (document, row) in enumerate(zip(documents, rows, strict=True)):
        data, told = document["data"], document["data"]["units"]
        cost = data["reported_cost"] or {"amount": None, "currency": None}
        assert row[:6] == (
            document["source"], document["id"], datetime.fromisoformat(document["time"]).astimezone(UTC),
            document["subject"], data["department"], data["key"],
        )  # fmt: skip
        fields = ("account", "region", "operation", "model", "provider", "attempt", "service_tier", "status")
        assert row[6:14] == tuple(data[field] for field in fields)
        assert row[14:17] == (data["usage_source"], cost["amount"], cost["currency"])
        assert (row[17] or {}) == (data["tags"] or {})
        assert (row[18] or {}) == {unit: quantity for unit, quantity in told.items() if unit not in COLUMN_UNITS}
        assert row[19] == first + place
        prompt = [told[unit] for unit in told if "input" in unit or unit.startswith("cache_")]
        assert row[20] == (sum(prompt) if prompt else None)
        assert row[21:] == tuple(told.get(unit) for unit in COLUMN_UNITS)


DAY = datetime(2026, 10, 1, tzinfo=UTC)
who = st.sampled_from(["a", "b", None])
roster_rows = st.lists(
    st.tuples(who, who, st.sampled_from(["D1", "D2", "D3"]), st.integers(0, 3), st.none() | st.integers(1, 5)).filter(
        lambda row: row[0] is not None or row[1] is not None
    ),
    max_size=8,
)


@one_database
@given(rows=roster_rows, asked=st.lists(st.tuples(who, who, st.integers(-1, 9)), min_size=1, max_size=12))
def test_sql_and_python_name_the_same_department(
    bench: Workbench, rows: list[tuple[Any, ...]], asked: list[tuple[Any, ...]]
) -> None:
    with psycopg.connect(bench.urls.owner, options="-c timezone=UTC") as connection:
        for user, key, department, start, length in rows:
            end = None if length is None else DAY + timedelta(days=start + length)
            connection.execute(
                'insert into roster ("user", key, department, valid_from, valid_to) values (%s, %s, %s, %s, %s)',
                (user, key, department, DAY + timedelta(days=start), end),
            )
        roster = as_loaded(connection)
        for user, key, day in asked:
            moment = DAY + timedelta(days=day)
            by_sql = connection.execute("select * from department_at(%s, %s, %s)", (user, key, moment)).fetchone()
            payer = roster.payer(None, user, key, round(moment.timestamp() * 1_000_000))
            assert by_sql == (payer.department, payer.attributed_by)
        connection.rollback()


def as_loaded(connection: psycopg.Connection) -> Roster:
    """The roster as `load_facts` reads it, which wants a transaction of its own."""
    rows = connection.execute(
        'select id, "user", key, department, (extract(epoch from valid_from) * 1000000)::bigint,'
        " (extract(epoch from valid_to) * 1000000)::bigint from roster"
    ).fetchall()
    return Roster(RosterRow(*row) for row in rows)


def test_facts_are_loaded_as_they_stand(bench: Workbench) -> None:
    bench.tell("""insert into roster ("user", key, department, valid_from, valid_to) values
                  ('u', null, 'D1', '2026-10-01T00:00:00.000001Z', '2026-10-02'),
                  (null, 'k', 'D2', '1969-12-31', null)""")
    bench.tell("insert into prompt_threshold (tokens_above) values (200000), (32768)")
    facts = load_facts(bench.reference)
    begin_us = round(datetime(2026, 10, 1, tzinfo=UTC).timestamp() * 1_000_000)
    assert facts.thresholds == (32_768, 200_000)
    assert facts.roster.payer(None, "u", None, begin_us).attributed_by == "nobody"
    assert facts.roster.payer(None, "u", None, begin_us + 1).department == "D1"
    assert facts.roster.payer(None, "u", None, begin_us + 86_400_000_000).attributed_by == "nobody"
    assert facts.roster.payer(None, "u", "k", begin_us + 1).department == "D2"
    assert facts.version == bench.ask("select version from reference_version")[0][0]


@one_database
@given(source=printable(60), event_id=printable(60))
def test_sql_makes_the_same_identity(bench: Workbench, source: str, event_id: str) -> None:
    row = bench.ask(
        "select substr(sha256(convert_to(octet_length(%s::text) || ':' || %s || %s, 'UTF8')), 1, 12)",
        source, source, event_id,
    )  # fmt: skip
    assert bytes(row[0][0]) == identity_digest(source, event_id)
