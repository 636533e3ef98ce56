"""A bad record never stops a chunk: each is refused by name and value, and the good ones beside it are kept."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from producers.contract import TimeBounds
from streams.attribution import Roster
from streams.chunk import Chunk
from streams.decode import Decoded, Decoder, Facts
from tests.faults.events import NOW_MS, chunk, event, record
from tests.faults.poison import CORPUS, HARMLESS, Poison

FACTS = Facts(1, Roster(), ())


def decoded(values: list[bytes | None]) -> Decoded:
    return Decoder(TimeBounds()).decode(chunk(values), FACTS)


@pytest.mark.parametrize("poison", CORPUS, ids=[poison.name for poison in CORPUS])
def test_poison_is_refused_by_name_and_value(poison: Poison) -> None:
    found = decoded([poison.value])
    assert found.entries == []
    (rejected,) = found.rejected
    assert poison.code in ("", rejected.code)
    assert poison.field in ("", rejected.field)
    assert poison.shown in rejected.value
    assert rejected.record.value == poison.value
    assert len(rejected.value) < 1000, "quarantine shows a value, it does not repeat a megabyte of it"
    assert rejected.value[:20] in rejected.reason or rejected.value == "unreadable"


@pytest.mark.parametrize("value", HARMLESS, ids=range(len(HARMLESS)))
def test_what_is_odd_and_right_is_kept(value: bytes) -> None:
    found = decoded([value])
    assert [rejected.reason for rejected in found.rejected] == []
    assert len(found.entries) == 1


def test_good_records_among_poison_are_all_kept() -> None:
    values: list[bytes | None] = []
    for place, poison in enumerate(CORPUS):
        values += [HARMLESS[place % len(HARMLESS)], poison.value]
    found = decoded(values)
    assert len(found.rejected) == len(CORPUS)
    assert len(found.entries) == len(HARMLESS)
    assert found.duplicates == len(CORPUS) - len(HARMLESS)


def test_a_record_without_a_timestamp_is_refused() -> None:
    """Kafka gives -1 where a producer sent none; no event lies within bounds of that."""
    found = Decoder(TimeBounds()).decode(Chunk(0, 0, 1, [record(0, event("a"), timestamp_ms=-1)], 1), FACTS)
    assert [rejected.code for rejected in found.rejected] == ["far_future"]


@pytest.mark.parametrize(
    ("seconds_off", "code"),
    [(3600, None), (3601, "far_future"), (-400 * 86_400, None), (-400 * 86_400 - 1, "far_past")],
)
def test_time_bounds_are_taken_against_the_record(seconds_off: int, code: str | None) -> None:
    """A replay decides as the first reading did: by the record's time, never the clock."""
    old_ms = NOW_MS - 3 * 365 * 86_400_000
    moment = datetime.fromtimestamp(old_ms / 1000 + seconds_off, UTC)
    records = [record(0, event("a", time=moment), timestamp_ms=old_ms)]
    found = Decoder(TimeBounds()).decode(Chunk(0, 0, 1, records, 1), FACTS)
    assert [rejected.code for rejected in found.rejected] == ([] if code is None else [code])


def test_names_are_checked_again_after_they_were_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a decoder remembers as checked is bounded; forgetting changes no answer."""
    monkeypatch.setattr("streams.decode.REMEMBERED_MAX", 2)
    decoder = Decoder(TimeBounds())
    for round_ in range(3):
        good = decoder.decode(chunk([event(f"{round_}", user=f"u-{n}") for n in range(1)]), FACTS)
        bad = decoder.decode(chunk([event(f"{round_}", user="u\x07"), event("x", model="m\x07")]), FACTS)
        assert (len(good.entries), len(bad.rejected)) == (1, 2)


def test_a_known_shape_with_status_cached_is_checked_each_time() -> None:
    decoder = Decoder(TimeBounds())
    units = {"requests": 1, "input_tokens": 0}
    first = decoder.decode(chunk([event("a", status="cached", units=units)]), FACTS)
    spent = {"requests": 1, "input_tokens": 9}
    second = decoder.decode(chunk([event("b", status="cached", units=spent)]), FACTS)
    assert (len(first.entries), [rejected.code for rejected in second.rejected]) == (1, ["cached_units"])
