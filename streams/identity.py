"""Which events of a chunk are in the ledger already, and whether they are the same.

An event met again with the same content is a duplicate: counted, not stored. With another content it is a conflict: a
person decides. The whole stored content is compared, not a hash of it: nothing can collide, and a row is 8 bytes less.
"""

from __future__ import annotations

from typing import Any

import psycopg

from streams.decode import Entry, Rejected, conflict
from streams.prepare import Prepared
from streams.rows import COLUMN_UNITS

_KNOWN = "select uuid_send(e.event_key) from chunk_key c join usage_event e using (event_key)"
_CONTENT = f"""
  select uuid_send(e.event_key), (extract(epoch from e.time) * 1000000)::bigint, e.route_id,
         case when y.attributed_by = 'event' then y.department end, y."user", y.key, e.attempt, e.reported_cost,
         coalesce(e.tags, '{{}}'::jsonb),
         array(select unnest(f.flags) from usage_flag f
               where f.log_id = e.log_id and f.partition = e.partition and f.kafka_offset = e.kafka_offset),
         coalesce(e.other_units, '{{}}'::jsonb),
         {", ".join(f"e.{unit}" for unit in COLUMN_UNITS)}
  from usage_event e join payer y on y.id = e.payer_id
  where e.event_key = any(%s::uuid[])
"""

Content = tuple[Any, ...]
"""Time (µs), route, stated department, user, key, attempt, reported cost, tags, flags, quantities by unit."""


def known_events(connection: psycopg.Connection, prepared: Prepared) -> tuple[set[int], list[Rejected], int]:
    """Places in `prepared.entries` of events that are in the ledger, the conflicts among them, and how many are
    duplicates. Runs within the chunk's transaction, where `chunk_key` holds the keys to look for."""
    with connection.cursor(binary=True) as cursor:
        with cursor.copy("copy chunk_key from stdin (format binary)") as copy:
            copy.write(prepared.keys_copy)
        keys = [bytes(row[0]) for row in cursor.execute(_KNOWN)]
    if not keys:
        return set(), [], 0
    stored = _stored_contents(connection, keys)
    left_out: set[int] = set()
    conflicts: list[Rejected] = []
    for place, entry in enumerate(prepared.entries):
        content = stored.get(entry.digest)
        if content is None:
            continue
        left_out.add(place)
        said = content_of(entry)
        is_copy = content == said if entry.has_own_time else content[1:] == said[1:]
        if not is_copy:
            conflicts.append(conflict(prepared.chunk.records[entry.record_index], entry))
    return left_out, conflicts, len(left_out) - len(conflicts)


def content_of(entry: Entry) -> Content:
    """What an event says, in the form in which the ledger's is read."""
    origin = entry.origin
    payer = origin.payer
    return (
        entry.time_us,
        origin.route_id,
        payer.department if payer.attributed_by == "event" else None,
        payer.user,
        payer.key,
        origin.attempt,
        entry.reported_cost,
        entry.tags or {},
        entry.flags,
        dict(zip(entry.shape.names, entry.quantities, strict=True)),
    )


def _stored_contents(connection: psycopg.Connection, keys: list[bytes]) -> dict[bytes, Content]:
    """What the ledger says of these keys, by the digest of their identity."""
    contents: dict[bytes, Content] = {}
    for row in connection.execute(_CONTENT, ([key.hex() for key in keys],)):
        key, *said = row[:11]
        named = {unit: quantity for unit, quantity in zip(COLUMN_UNITS, row[11:], strict=True) if quantity is not None}
        contents[bytes(key)[4:]] = (*said[:8], tuple(said[8]), {**said[9], **named})
    return contents
