"""A decoded chunk as bytes for COPY: rows of events, and sums by hour, band, route and payer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from producers.contract import HOUR_US
from streams.chunk import Chunk
from streams.decode import Decoded, Entry, Facts, Rejected
from streams.dictionary import Dictionary
from streams.origin import Origin
from streams.rows import (
    COPY_HEADER,
    COPY_TRAILER,
    EVENT_KEY,
    KEY_ROW_HEAD,
    NO_TAIL,
    Shape,
    log_fields_of,
    tail_fields,
)

NEIGHBOUR_US = 15 * 60 * 1_000_000
"""A copy that comes with another time is met by the look-up where it lies in the same UTC hour, or where the new
one's time is within 15 minutes of the hour that holds the old one. The full-ledger check finds the others."""

_SumKey = tuple[int, int, Origin, Shape]


@dataclass(slots=True)
class Prepared:
    """What a transaction will write if every event of the chunk is new. `rows[i]` belongs to `entries[i]`.

    `sums` holds the quantities of each event of a sum: they are added up when the sums are written.
    """

    chunk: Chunk
    facts: Facts
    entries: list[Entry]
    rows: list[bytes]
    keys_copy: bytes
    sums: dict[_SumKey, list[tuple[int, ...]]]
    duplicates: int
    rejected: list[Rejected]


def prepare(decoded: Decoded, dictionary: Dictionary, log_id: int) -> Prepared:
    """Number routes and payers, pack rows, group what is to be summed."""
    dictionary.number(decoded.origins)
    log_fields = log_fields_of(decoded.chunk.partition, log_id)
    hours: dict[int, bytes] = {}
    rows: list[bytes] = []
    probes: list[bytes] = []
    sums: dict[_SumKey, list[tuple[int, ...]]] = {}
    for (
        digest, hour, time_us, offset, _, prompt_tokens, band, origin, shape, quantities, event_id, reported_cost, tags,
        _flags, _has_own_time,
    ) in decoded.entries:  # fmt: skip
        hour_bytes = hours.get(hour)
        if hour_bytes is None:
            hour_bytes = hours[hour] = hour.to_bytes(4, "big")
        key = hour_bytes + digest
        attempt = origin.attempt
        fixed = shape.event_fixed[attempt is not None](
            key, time_us, offset, prompt_tokens, origin.numbers, log_fields, quantities, attempt, event_id
        )
        if reported_cost is None and not tags and not shape.others:
            rows.append(fixed + event_id + NO_TAIL)
        else:
            rows.append(fixed + event_id + tail_fields(reported_cost, tags, shape.other_field(quantities)))
        probes.append(key)
        into_hour_us = time_us - hour * HOUR_US
        if into_hour_us < NEIGHBOUR_US:
            if hour:
                probes.append((hour - 1).to_bytes(4, "big") + digest)
        elif into_hour_us >= HOUR_US - NEIGHBOUR_US:
            probes.append((hour + 1).to_bytes(4, "big") + digest)
        sum_key = (hour, band, origin, shape)
        held = sums.get(sum_key)
        if held is None:
            sums[sum_key] = [quantities]
        else:
            held.append(quantities)
    probes.sort()
    keys_copy = COPY_HEADER + KEY_ROW_HEAD + KEY_ROW_HEAD.join(probes) + COPY_TRAILER if probes else b""
    return Prepared(
        decoded.chunk, decoded.facts, decoded.entries, rows, keys_copy, sums, decoded.duplicates, decoded.rejected
    )


def events_copy(prepared: Prepared, left_out: Collection[int]) -> bytes:
    """COPY data of the events, in order of their keys, without those at the places in `left_out`."""
    rows = prepared.rows
    kept = [row for place, row in enumerate(rows) if place not in left_out] if left_out else rows
    kept = sorted(kept, key=_row_key)
    return b"".join((COPY_HEADER, *kept, COPY_TRAILER))


def parts_copy(prepared: Prepared, left_out: Collection[int], log_id: int) -> bytes:
    """COPY data of the sums of the events that are stored. `prepared` stays as it is: it may be stored again."""
    log_fields = log_fields_of(prepared.chunk.partition, log_id)
    sums = _sums_without(prepared, left_out) if left_out else prepared.sums
    rows = [COPY_HEADER]
    for (hour, band, origin, shape), held in sums.items():
        events = len(held)
        quantities = held[0] if events == 1 else tuple(map(sum, zip(*held, strict=True)))
        rows.append(shape.part_row(hour, band, origin.numbers, log_fields, events, quantities))
    rows.append(COPY_TRAILER)
    return b"".join(rows)


def _sums_without(prepared: Prepared, left_out: Collection[int]) -> dict[_SumKey, list[tuple[int, ...]]]:
    """The sums of the entries that are not left out."""
    sums: dict[_SumKey, list[tuple[int, ...]]] = {}
    for place, entry in enumerate(prepared.entries):
        if place not in left_out:
            key = (entry.hour, entry.band, entry.origin, entry.shape)
            sums.setdefault(key, []).append(entry.quantities)
    return sums


def _row_key(row: bytes) -> bytes:
    return row[EVENT_KEY]
