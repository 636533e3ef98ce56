"""Usage events and chunks for tests of the stream worker: plain dictionaries, JSON bytes, records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from streams.chunk import Chunk, Record

NOW = datetime(2026, 10, 15, 12, 0, 0, tzinfo=UTC)
"""When the records of these tests are written; their events lie a little before."""
NOW_MS = int(NOW.timestamp()) * 1000
HOUR = int(NOW.timestamp()) // 3600


def event(
    event_id: str,
    *,
    source: str = "gateway-1",
    time: datetime | str = NOW - timedelta(minutes=30),
    user: str | None = "u-1",
    units: Mapping[str, Any] | None = None,
    **data: Any,
) -> dict[str, Any]:
    """An event of contract.md, section 1, as a dictionary that a test may spoil. `data` goes into its data."""
    moment = time if isinstance(time, str) else time.isoformat().replace("+00:00", "Z")
    return {
        "specversion": "1.0",
        "type": "ai.usage.v1",
        "source": source,
        "id": event_id,
        "time": moment,
        "subject": user,
        "data": {
            "model": "gpt-5-mini",
            "provider": "openai",
            "units": dict(units) if units is not None else {"input_tokens": 10, "output_tokens": 5, "requests": 1},
            **data,
        },
    }


def raw(document: Mapping[str, Any]) -> bytes:
    """The event as the value of a Kafka record."""
    return json.dumps(document).encode()


def record(offset: int, value: bytes | Mapping[str, Any] | None, timestamp_ms: int = NOW_MS) -> Record:
    """A Kafka record as read."""
    return Record(offset, timestamp_ms, None, raw(value) if isinstance(value, Mapping) else value)


def chunk(
    values: Iterable[bytes | Mapping[str, Any] | None],
    *,
    partition: int = 0,
    first_offset: int = 0,
    next_offset: int | None = None,
    generation: int = 1,
) -> Chunk:
    """A chunk of records at consecutive offsets from `first_offset`."""
    records = [record(first_offset + place, value) for place, value in enumerate(values)]
    end = first_offset + len(records) if next_offset is None else next_offset
    return Chunk(partition, first_offset, end, records, generation)
