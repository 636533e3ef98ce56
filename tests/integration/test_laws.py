"""Laws 1 and 2 as `jangbu audit` checks them: they hold on honest books, and each finds a planted violation."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jangbu.auditing import audit, take_out_copies
from jangbu.database import connect
from jangbu.settings import load
from tests.faults.events import NOW, chunk, event
from tests.faults.workbench import Workbench as Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls

LAWS = ("1-accepted", "2-sums", "3-rounding", "4-balanced", "5-statements", "6-invoice", "7-hashes",
        "8-alerts")  # fmt: skip
LONG = {"input_tokens": 150_000, "cache_read_tokens": 60_000, "output_tokens": 5, "requests": 1, "rare_pages": 2}


@pytest.fixture
def bench(migrated_database: DatabaseUrls) -> Iterator[Bench]:
    with Bench(migrated_database) as hands:
        hands.store(chunk([event("a"), event("b", units=LONG), event("a"), b"{", event("c", user="u-2")]))
        yield hands


def laws(bench: Bench) -> dict[str, list[str]]:
    settings = load({}, {}, Path("/"))
    engine = connect(bench.urls.reader)
    try:
        return {result.law: result.violations for result in audit(settings, engine)}
    finally:
        engine.dispose()


def test_every_law_holds_on_honest_books(bench: Bench) -> None:
    assert laws(bench) == {law: [] for law in LAWS}


@pytest.mark.parametrize(
    ("planted", "law", "said"),
    [
        ("update stream_chunk set stored = 4, records = 6, next_offset = 6", "1-accepted", "stored 4"),
        ("update stream_offset set next_offset = 9", "1-accepted", "the stored offset is 9"),
        ("update stream_chunk set first_offset = 1, records = 4, stored = 2", "1-accepted", "should begin at 0"),
        ("delete from quarantine", "1-accepted", "the quarantine holds 0"),
        ("delete from usage_event where event_id = 'c'", "1-accepted", "the ledger holds 2"),
        ("update usage_part set input_tokens = input_tokens + 1", "2-sums", "input_tokens -1"),
        ("update usage_part set events = events + 1", "2-sums", "events -1"),
        ("update usage_part set other_units = '{\"rare_pages\": 3}' where other_units is not null", "2-sums", "rare_"),
        ("update usage_part set hour = hour + 1", "2-sums", "events minus sums"),
        ("delete from usage_part", "2-sums", "events minus sums"),
        ("update usage_event set event_id = 'x' where event_id = 'c'", "2-sums", "its key is"),
        ("update usage_event set payer_id = 999", "2-sums", "its route or payer is unknown"),
    ],
)
def test_a_planted_violation_is_found(bench: Bench, planted: str, law: str, said: str) -> None:
    bench.tell(planted)
    assert any(said in sentence for sentence in laws(bench)[law]), laws(bench)[law]


def test_copies_with_another_time_are_found_and_taken_out(bench: Bench) -> None:
    """The lower offset stands; the other leaves sums and ledger by a negative part, and is quarantined."""
    bench.store(chunk([event("b", units=LONG, time=NOW - timedelta(hours=30))], first_offset=5))
    assert any("2 copies" in sentence for sentence in laws(bench)["2-sums"])
    engine = connect(bench.urls.billing)
    try:
        assert take_out_copies(engine) == 1
        assert take_out_copies(engine) == 0
    finally:
        engine.dispose()
    assert laws(bench) == {law: [] for law in LAWS}
    assert bench.ask("select kafka_offset from usage_event where event_id = 'b'") == [(1,)]
    assert bench.ask("select code, value, kafka_offset from quarantine where code = 'duplicate_other_time'") == [
        ("duplicate_other_time", "b", 5)
    ]
    assert bench.ask("select sum(input_tokens), sum((other_units ->> 'rare_pages')::int) from usage_part") == [
        (150_020, 2)
    ]


def test_a_threshold_that_comes_later_moves_the_sums(bench: Bench) -> None:
    """Contract, section 9: the prompt is 210,000 input units long; the bands follow the thresholds in any order."""
    bands = "select band, sum(input_tokens) from usage_part group by band having sum(events) <> 0 order by band"
    assert bench.ask(bands) == [(0, 150_020)]
    assert bench.ask("select add_prompt_threshold(200000)") == [(1,)]
    assert bench.ask(bands) == [(0, 20), (200_000, 150_000)]
    assert bench.ask("select add_prompt_threshold(128000)") == [(0,)]
    assert bench.ask("select add_prompt_threshold(200000)") == [(0,)]
    assert bench.ask("select add_prompt_threshold(210000)") == [(0,)]
    assert bench.ask("select add_prompt_threshold(209999)") == [(1,)]
    assert bench.ask(bands) == [(0, 20), (209_999, 150_000)]
    assert not any(laws(bench).values())
    bench.store(chunk([event("d", units=LONG)], first_offset=5))
    assert bench.ask(bands) == [(0, 20), (209_999, 300_000)]


def test_the_roles_have_no_more_rights_than_they_need(bench: Bench) -> None:
    """What each login may do to the tables of usage, as the database itself says."""
    may = {
        (role, table, right)
        for role, table, right in bench.ask(
            "select r, t, p from unnest(array['jangbu_worker', 'jangbu_billing', 'jangbu_reader']) r,"
            " unnest(array['usage_event', 'usage_part', 'stream_offset', 'stream_chunk', 'roster', 'payer']) t,"
            " unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) p where has_table_privilege(r, t, p)"
        )
    }
    assert may == {
        *(("jangbu_worker", table, "INSERT") for table in ("usage_event", "usage_part", "stream_offset",
                                                           "stream_chunk", "payer")),
        *(("jangbu_billing", table, "INSERT") for table in ("usage_part", "roster", "payer")),
        ("jangbu_billing", "roster", "UPDATE"),
        ("jangbu_billing", "roster", "DELETE"),
        ("jangbu_billing", "usage_event", "DELETE"),
    }  # fmt: skip


def test_settings_of_the_audit_are_the_organisations(bench: Bench) -> None:
    """A zone of another day does not change what the laws say."""
    settings = load({"timezone": "America/New_York"}, {}, Path("/"))
    engine = connect(bench.urls.reader)
    try:
        assert not any(result.violations for result in audit(dataclasses.replace(settings), engine))
    finally:
        engine.dispose()
