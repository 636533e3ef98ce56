"""A decoded chunk as bytes for COPY: rows of events, and sums by hour, band, route and payer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from producers.contract import HOUR_US
from streams.attribution import Payer
from streams.chunk import Chunk
from streams.decode import Decoded, Entry, Facts, Rejected
from streams.dictionary import Dictionary
from streams.rows import COPY_HEADER, COPY_TRAILER, EVENT_KEY, KEY_ROW_HEAD, NO_TAIL, Shape, tail_fields

NEIGHBOUR_US = 15 * 60 * 1_000_000
"""A copy that comes with another time is met by the look-up where it lies in the same UTC hour, or where the new
one's time is within 15 minutes of the hour that holds the old one. The full-ledger check finds the others."""

_SumKey = tuple[int, int, int, int, Shape]


@dataclass(slots=True)
class Prepared:
    """What a transaction will write if every event of the chunk is new. `rows[i]` belongs to `entries[i]`."""

    chunk: Chunk
    facts: Facts
    entries: list[Entry]
    payers: list[Payer]
    route_ids: list[int]
    rows: list[bytes]
    keys_copy: bytes
    sums: dict[_SumKey, list[int]]
    sum_keys: list[_SumKey]
    duplicates: int
    rejected: list[Rejected]


def prepare(decoded: Decoded, dictionary: Dictionary, log_id: int) -> Prepared:
    """Number routes and payers, pack rows, add up sums."""
    dictionary.learn(decoded.routes, decoded.payers)
    route_ids = [dictionary.routes[route] for route in decoded.routes]
    payer_ids = [dictionary.payers[payer] for payer in decoded.payers]
    partition = decoded.chunk.partition
    rows: list[bytes] = []
    probes: list[bytes] = []
    sums: dict[_SumKey, list[int]] = {}
    sum_keys: list[_SumKey] = []
    for (
        digest, hour, time_us, offset, _, prompt_tokens, band, route, payer, shape, quantities, attempt,
        event_id, reported_cost, tags,
    ) in decoded.entries:  # fmt: skip
        route_id, payer_id = route_ids[route], payer_ids[payer]
        key = hour.to_bytes(4, "big") + digest
        fixed = shape.event_fixed[attempt is not None](
            key, time_us, offset, prompt_tokens, route_id, payer_id, partition, log_id, quantities, attempt, event_id
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
        sum_key = (hour, band, route_id, payer_id, shape)
        sum_keys.append(sum_key)
        held = sums.get(sum_key)
        if held is None:
            sums[sum_key] = [1, *quantities]
        else:
            held[0] += 1
            for place, quantity in enumerate(quantities, 1):
                held[place] += quantity
    probes.sort()
    keys_copy = COPY_HEADER + KEY_ROW_HEAD + KEY_ROW_HEAD.join(probes) + COPY_TRAILER if probes else b""
    return Prepared(
        decoded.chunk, decoded.facts, decoded.entries, decoded.payers, route_ids, rows, keys_copy, sums, sum_keys,
        decoded.duplicates, decoded.rejected,
    )  # fmt: skip


def events_copy(prepared: Prepared, left_out: Collection[int]) -> bytes:
    """COPY data of the events, in order of their keys, without those at the places in `left_out`."""
    rows = prepared.rows
    kept = [row for place, row in enumerate(rows) if place not in left_out] if left_out else rows
    kept = sorted(kept, key=_row_key)
    return b"".join((COPY_HEADER, *kept, COPY_TRAILER))


def parts_copy(prepared: Prepared, left_out: Collection[int], log_id: int) -> bytes:
    """COPY data of the sums of the events that are stored. `prepared` stays as it is: it may be stored again."""
    sums = dict(prepared.sums)
    for place in left_out:
        sum_key = prepared.sum_keys[place]
        if sums[sum_key] is prepared.sums[sum_key]:
            sums[sum_key] = list(prepared.sums[sum_key])
        held = sums[sum_key]
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
    return row[EVENT_KEY]
