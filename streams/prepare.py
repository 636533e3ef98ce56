"""A decoded chunk as bytes for COPY: rows of events, and sums by hour, band, route and payer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from streams.chunk import Chunk
from streams.decode import Decoded, Entry, Facts, Rejected
from streams.dictionary import Dictionary
from streams.rows import COPY_HEADER, COPY_TRAILER, KEY_ROW, Shape, text_fields

NEIGHBOUR_US = 15 * 60 * 1_000_000
"""A copy that comes with another time is met by the look-up where it lies in the same UTC hour, or where the new
one's time is within 15 minutes of the hour that holds the old one. The full-ledger check finds the others."""
_HOUR_US = 3600 * 1_000_000

_SumKey = tuple[int, int, int, int, Shape]


@dataclass(slots=True)
class Prepared:
    """What a transaction will write if every event of the chunk is new. `rows[i]` belongs to `entries[i]`."""

    chunk: Chunk
    facts: Facts
    entries: list[Entry]
    rows: list[bytes]
    keys_copy: bytes
    sums: dict[_SumKey, list[int]]
    sum_keys: list[_SumKey]
    duplicates: int
    rejected: list[Rejected]


def prepare(decoded: Decoded, dictionary: Dictionary, log_id: int) -> Prepared:
    """Number routes and payers, pack rows, add up sums."""
    entries = decoded.entries
    dictionary.learn({entry.route for entry in entries}, {entry.payer for entry in entries})
    partition = decoded.chunk.partition
    route_ids, payer_ids = dictionary.routes, dictionary.payers
    rows: list[bytes] = []
    probes: list[bytes] = []
    sums: dict[_SumKey, list[int]] = {}
    sum_keys: list[_SumKey] = []
    for entry in entries:
        route_id, payer_id = route_ids[entry.route], payer_ids[entry.payer]
        shape, quantities = entry.shape, entry.quantities
        key = entry.key
        rows.append(
            shape.event_row(
                key, entry.payload_hash, entry.time_us, entry.offset, entry.prompt_tokens, route_id, payer_id,
                partition, log_id, quantities,
                text_fields(
                    entry.attempt, entry.event_id, entry.reported_cost, entry.tags, shape.other_field(quantities)
                ),
            )
        )  # fmt: skip
        probes += _probes(entry, key)
        sum_key = (entry.hour, entry.band, route_id, payer_id, shape)
        sum_keys.append(sum_key)
        held = sums.get(sum_key)
        if held is None:
            sums[sum_key] = [1, *quantities]
        else:
            held[0] += 1
            for place, quantity in enumerate(quantities, 1):
                held[place] += quantity
    probes.sort()
    return Prepared(
        decoded.chunk,
        decoded.facts,
        entries,
        rows,
        b"".join((COPY_HEADER, *(KEY_ROW.pack(1, 16, probe) for probe in probes), COPY_TRAILER)),
        sums,
        sum_keys,
        decoded.duplicates,
        decoded.rejected,
    )


def events_copy(prepared: Prepared, left_out: Collection[int]) -> bytes:
    """COPY data of the events, in order of their keys, without those at the places in `left_out`."""
    if left_out:
        kept = [row for place, row in enumerate(prepared.rows) if place not in left_out]
    else:
        kept = prepared.rows
    kept = sorted(kept, key=_row_key)
    return b"".join((COPY_HEADER, *kept, COPY_TRAILER))


def parts_copy(prepared: Prepared, left_out: Collection[int], log_id: int) -> bytes:
    """COPY data of the sums of the events that are stored."""
    sums = prepared.sums
    for place in left_out:
        held = sums[prepared.sum_keys[place]]
        held[0] -= 1
        for unit, quantity in enumerate(prepared.entries[place].quantities, 1):
            held[unit] -= quantity
    partition = prepared.chunk.partition
    return b"".join(
        (
            COPY_HEADER,
            *(
                shape.part_row(hour, band, route_id, payer_id, partition, log_id, held)
                for (hour, band, route_id, payer_id, shape), held in sums.items()
                if held[0]
            ),
            COPY_TRAILER,
        )
    )


def _row_key(row: bytes) -> bytes:
    return row[6:22]


def _probes(entry: Entry, key: bytes) -> list[bytes]:
    """The keys under which a copy of this event may stand: its own hour, and a near neighbour."""
    into_hour_us = entry.time_us - entry.hour * _HOUR_US
    if into_hour_us < NEIGHBOUR_US and entry.hour > 0:
        return [key, (entry.hour - 1).to_bytes(4, "big") + entry.digest]
    if into_hour_us >= _HOUR_US - NEIGHBOUR_US:
        return [key, (entry.hour + 1).to_bytes(4, "big") + entry.digest]
    return [key]
