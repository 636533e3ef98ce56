"""Properties of chunks, of what is packed of them, and of who pays."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from struct import Struct
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from producers.contract import TimeBounds
from streams.attribution import Roster, RosterRow
from streams.chunk import Chunk, Record
from streams.decode import Decoder, Facts
from streams.prepare import Prepared, parts_copy, prepare
from streams.rows import COLUMN_UNITS
from tests.faults.events import chunk, event, raw

FACTS = Facts(1, Roster(), (1_000, 100_000))
patient = settings(deadline=None, max_examples=100)
UNITS = (*COLUMN_UNITS, "dragons", "unicorns")


class Numbers:
    """A dictionary of routes and payers without a database."""

    def __init__(self) -> None:
        self.routes: dict[Any, int] = {}
        self.payers: dict[Any, int] = {}

    def number(self, origins: Any) -> None:
        for origin in origins:
            route_id = self.routes.setdefault(origin.route, len(self.routes) + 1)
            origin.give_numbers(route_id, self.payers.setdefault(origin.payer, len(self.payers) + 1))


@st.composite
def chunks(draw: st.DrawFn) -> Chunk:
    """A chunk whose offsets have holes, as where transactions left marks."""
    first = draw(st.integers(0, 100))
    gaps = draw(st.lists(st.integers(1, 4), max_size=12))
    offsets = [first + sum(gaps[:place]) for place in range(1, len(gaps) + 1)]
    end = (offsets[-1] if offsets else first) + draw(st.integers(1, 5))
    return Chunk(0, first, end, [Record(offset, 0, None, b"") for offset in offsets], 1)


@patient
@given(chunks(), st.integers(-5, 200))
def test_from_an_offset_on_nothing_is_lost_and_nothing_comes_back(whole: Chunk, offset: int) -> None:
    rest = whole.from_offset(offset)
    wanted = [record for record in whole.records if record.offset >= offset]
    if rest is None:
        assert offset >= whole.next_offset
        assert wanted == []
        return
    assert rest.records == wanted
    assert rest.first_offset == max(whole.first_offset, offset)
    assert rest.next_offset == whole.next_offset > rest.first_offset
    assert all(rest.first_offset <= record.offset < rest.next_offset for record in rest.records)
    assert len(rest.records) <= rest.next_offset - rest.first_offset
    assert (rest.partition, rest.generation) == (whole.partition, whole.generation)


@patient
@given(chunks(), st.integers(0, 200), st.integers(0, 200))
def test_taking_the_rest_twice_is_taking_it_once(whole: Chunk, one: int, other: int) -> None:
    once = whole.from_offset(max(one, other))
    first = whole.from_offset(min(one, other))
    assert (None if first is None else first.from_offset(max(one, other))) == once


quantities = st.dictionaries(st.sampled_from(UNITS), st.integers(0, 10**9), min_size=1, max_size=6)
events = st.builds(
    lambda number, user, model, units: event(f"e-{number}", user=user, model=model, units=units),
    st.integers(0, 30),
    st.sampled_from(["u-1", "u-2", None]),
    st.sampled_from(["gpt-5", "gpt-5-mini"]),
    quantities,
)


def prepared_of(documents: list[dict[str, Any]]) -> Prepared:
    return prepare(Decoder(TimeBounds()).decode(chunk(documents), FACTS), Numbers(), 3)  # type: ignore[arg-type]


@patient
@given(st.lists(events, max_size=25), st.data())
def test_parts_are_the_sums_of_what_is_not_left_out_however_often_they_are_made(
    documents: list[dict[str, Any]], data: st.DataObject
) -> None:
    prepared = prepared_of(documents)
    places = range(len(prepared.entries))
    for left_out in (data.draw(st.sets(st.sampled_from(places)) if places else st.just(set())) for _ in range(3)):
        wanted: Counter[tuple[str, ...]] = Counter()
        for place in places:
            if place not in left_out:
                document = documents[prepared.entries[place].record_index]
                wanted["events",] += 1
                for unit, quantity in document["data"]["units"].items():
                    wanted[unit,] += quantity
        assert totals(read_parts(parts_copy(prepared, left_out, 3))) == +wanted


@patient
@given(st.lists(events, max_size=25))
def test_of_one_chunk_each_record_is_an_entry_a_duplicate_or_rejected(documents: list[dict[str, Any]]) -> None:
    decoded = Decoder(TimeBounds()).decode(chunk(documents), FACTS)
    assert len(decoded.entries) + decoded.duplicates + len(decoded.rejected) == len(documents)
    first_by_id: dict[str, int] = {}
    for place, document in enumerate(documents):
        first_by_id.setdefault(document["id"], place)
    assert [entry.record_index for entry in decoded.entries] == sorted(first_by_id.values())
    same = sum(documents[first_by_id[document["id"]]] == document for document in documents) - len(first_by_id)
    assert decoded.duplicates == same


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
paths = st.sampled_from(
    [("id",), ("source",), ("time",), ("subject",), ("type",), ("data",), ("data", "units"), ("data", "model"),
     ("data", "tags"), ("data", "attempt"), ("data", "reported_cost"), ("data", "status"), ("data", "key"),
     ("data", "units", "input_tokens"), ("data", "tags", "x"), ("data", "reported_cost", "amount")]
)  # fmt: skip


@st.composite
def spoilt_events(draw: st.DrawFn) -> bytes:
    """A good event with anything at all in one of its places."""
    document = event("a", tags={"x": "y"}, reported_cost={"amount": "0.1", "currency": "USD"})
    *into, last = draw(paths)
    inner: dict[str, Any] = document
    for name in into:
        inner = inner[name]
    inner[last] = draw(json_values)
    return raw(document)


@patient
@given(st.lists(st.none() | st.binary(max_size=200) | json_values.map(lambda v: raw({"v": v})) | spoilt_events()))
def test_no_record_stops_a_chunk(values: list[bytes | None]) -> None:
    decoded = Decoder(TimeBounds()).decode(chunk(values), FACTS)
    prepare(decoded, Numbers(), 1)  # type: ignore[arg-type]
    assert len(decoded.entries) + decoded.duplicates + len(decoded.rejected) == len(values)
    for rejected in decoded.rejected:
        assert rejected.code
        assert rejected.field
        assert rejected.reason


@patient
@given(st.integers(0, 10**7), st.sets(st.integers(1, 10**7), max_size=6))
def test_a_prompt_lies_in_the_band_of_the_largest_threshold_that_it_exceeds(tokens: int, thresholds: set[int]) -> None:
    facts = replace(FACTS, thresholds=tuple(sorted(thresholds)))
    assert facts.band(tokens) == max((threshold for threshold in thresholds if threshold < tokens), default=0)
    assert facts.band(None) == 0


names = st.sampled_from(["a", "b", None])
rows = st.builds(
    RosterRow,
    id=st.integers(1, 9),
    user=names,
    key=names,
    department=st.sampled_from(["D1", "D2", "D3"]),
    valid_from_us=st.integers(0, 20),
    valid_to_us=st.none() | st.integers(21, 40),
).filter(lambda row: row.user is not None or row.key is not None)


@patient
@given(st.lists(rows, max_size=8, unique_by=lambda row: row.id), names, names, st.integers(0, 45))
def test_who_pays_is_by_event_then_key_then_user(
    roster: list[RosterRow], user: str | None, key: str | None, time_us: int
) -> None:
    """The rule written once more, by looking at each row: of those valid the one that began last, then the last id."""
    payer = Roster(roster).payer(None, user, key, time_us)
    valid = [r for r in roster if r.valid_from_us <= time_us and (r.valid_to_us is None or time_us < r.valid_to_us)]
    for told, found in (
        ("key", [r for r in valid if key is not None and r.key == key]),
        ("user", [r for r in valid if user is not None and r.user == user and r.key is None]),
        ("user", [r for r in valid if user is not None and r.user == user and r.key is not None]),
    ):
        if found:
            last = max(found, key=lambda r: (r.valid_from_us, r.id))
            assert payer == (last.department, told, user, key)
            break
    else:
        assert payer == (None, "nobody", user, key)
    assert Roster(roster).payer("D9", user, key, time_us) == ("D9", "event", user, key)


def read_parts(copied: bytes) -> list[dict[str, int]]:
    """Rows of `usage_part` out of binary COPY data, read by PostgreSQL's description of it and nothing of ours."""
    assert copied[:11] == b"PGCOPY\n\xff\r\n\x00"
    place, found = 19, []
    columns = ("hour", "band", "route_id", "payer_id", "partition", "log_id", "events", *COLUMN_UNITS, "other")
    while True:
        (fields,) = Struct(">h").unpack_from(copied, place)
        place += 2
        if fields == -1:
            assert place == len(copied)
            return found
        assert fields == len(columns)
        row: dict[str, int] = {}
        for column in columns:
            (length,) = Struct(">i").unpack_from(copied, place)
            place += 4
            if length >= 0:
                value = copied[place : place + length]
                place += length
                row |= (
                    json.loads(value[1:]) if column == "other" else {column: int.from_bytes(value, "big", signed=True)}
                )
        found.append(row)


def totals(parts: list[dict[str, int]]) -> Counter[tuple[str, ...]]:
    """Events and quantities over all parts."""
    found: Counter[tuple[str, ...]] = Counter()
    for part in parts:
        for column in ("events", *UNITS):
            found[column,] += part.get(column, 0)
    return +found
