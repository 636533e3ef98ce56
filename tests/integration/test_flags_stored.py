"""Flags and times stored with their events: exactly once, copies compared, counted by the command."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from streams.chunk import Chunk
from streams.sink import Stored
from tests.faults.events import NOW, chunk, event
from tests.faults.workbench import Workbench
from tests.integration.command_world import CommandShell, use_database

if TYPE_CHECKING:
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls


@pytest.fixture
def bench(migrated_database: DatabaseUrls) -> Iterator[Workbench]:
    with Workbench(migrated_database) as made:
        yield made


def test_flags_are_stored_once_with_their_event(
    bench: Workbench, migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    masked, both = ["sensitive_masked"], ["policy_found", "sensitive_masked"]
    people = [event(f"p{n}", user=f"u-{n}", department="D1", flags=masked) for n in range(6)]
    one = event("one", user="u-alone", department="D2", flags=both)
    plain = event("plain")
    assert bench.store(chunk([*people, one, plain, one])) == Stored(9, 8, 1, 0)
    again = {**one, "data": {**one["data"], "flags": both[::-1]}}
    other = {**people[0], "data": {**people[0]["data"], "flags": ["sensitive_blocked"]}}
    without = {**people[1], "data": {key: value for key, value in people[1]["data"].items() if key != "flags"}}
    assert bench.store(chunk([again, other, without, plain], first_offset=9)) == Stored(13, 0, 2, 2)
    found = bench.ask("select kafka_offset, flags from usage_flag order by 1")
    assert found == [(n, masked) for n in range(6)] + [(6, ["sensitive_masked", "policy_found"])]
    assert bench.ask("select flagged from stream_chunk order by first_offset") == [(7,), (0,)]
    assert bench.laws() == []

    use_database(migrated_database, monkeypatch, tmp_path)
    shell = CommandShell(capsys)
    told = shell.json("flags", "--month", "2026-10")
    masked_rows = [(row["department"], row["events"], row["people"], row["hidden"])
                   for row in told["rows"] if row["flag"] == "sensitive_masked"]  # fmt: skip
    assert masked_rows == [("D1", None, None, "beside"), ("D2", None, "<5", "small")]
    assert [(row["flag"], row["events"], row["people"]) for row in told["totals"]] == [
        ("sensitive_masked", "7", "7"), ("policy_found", None, "<5"),
    ]  # fmt: skip
    assert shell.json("flags", "--month", "2026-09")["rows"] == []
    _, text, _ = shell.run("flags", "--month", "2026-10", "--csv")
    assert "u-" not in text
    assert "D2,sensitive_masked,,<5,small" in text

    bench.tell("delete from usage_flag where kafka_offset = 6")
    assert any("events with flags" in sentence for sentence in bench.laws()), "the law sees a flag that is lost"


def test_an_event_that_told_no_time_is_a_copy_when_it_comes_again(bench: Workbench) -> None:
    """OpenMeter's events without `time` take that of their acceptance, which is another one each time."""
    first = event("a", time_source="acceptance")
    later = event("a", time=NOW - timedelta(minutes=29), time_source="acceptance")
    assert bench.store(chunk([first, later])) == Stored(2, 1, 1, 0)
    assert bench.store(chunk([later], first_offset=2)) == Stored(3, 0, 1, 0)
    other = event("a", time=NOW - timedelta(minutes=28), time_source="acceptance", units={"requests": 7})
    told = event("a", time=NOW - timedelta(minutes=27))
    assert bench.store(chunk([other, told], first_offset=3)) == Stored(5, 0, 0, 2), "another use; a time that is told"
    assert bench.laws() == []


def test_a_copy_that_is_taken_out_takes_its_flags_out_of_the_counts(bench: Workbench) -> None:
    late = event("a", time=NOW - timedelta(hours=5), flags=["policy_blocked"])
    assert bench.store(chunk([late])) == Stored(1, 1, 0, 0)
    assert bench.store(Chunk(0, 1, 2, chunk([event("a", flags=["policy_blocked"])], first_offset=1).records, 1)) == (
        Stored(2, 1, 0, 0)
    )
    bench.tell("select take_out_copies()")
    assert bench.ask("select count(*) from usage_flag") == [(2,)]
    assert bench.ask("select count(*) from usage_flag_named") == [(1,)]
    assert bench.laws() == []
