"""Rows as PostgreSQL's binary COPY wants them: one `struct.pack` a row, about 1 µs.

Columns of a fixed width stand first, texts last. A unit that an event does not tell is NULL, never 0; units outside
the named columns travel as JSON in `other_units`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from struct import Struct
from typing import Any

import msgspec

from producers.units import is_input_unit

COLUMN_UNITS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "video_input_tokens",
    "web_searches",
    "requests",
)
"""The units with a column of their own (sql/migrations/0001.sql): those of contract.md, section 1."""

EVENT_COLUMNS = (
    "event_key",
    "payload_hash",
    "time",
    "kafka_offset",
    "prompt_tokens",
    "route_id",
    "payer_id",
    "partition",
    "log_id",
    *COLUMN_UNITS,
    "attempt",
    "event_id",
    "reported_cost",
    "tags",
    "other_units",
)
PART_COLUMNS = ("hour", "band", "route_id", "payer_id", "partition", "log_id", "events", *COLUMN_UNITS, "other_units")

COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
PG_EPOCH_US = 946_684_800_000_000
"""PostgreSQL counts timestamps from 2000-01-01; microseconds between that and 1970-01-01."""

KEY_ROW = Struct(">hi16s")
_LENGTH = Struct(">i").pack
_SMALL = Struct(">ih").pack
_NO_PROMPT = (-1,)
_encode_json = msgspec.json.Encoder(order="sorted").encode


class Shape:
    """The units that one kind of event tells, and how its rows are packed. Few exist; see `shape_of`."""

    __slots__ = ("_event_fixed", "_input", "_known", "_order", "_part_fixed", "others", "units")

    def __init__(self, units: tuple[str, ...]) -> None:
        self.units = units
        known = [unit for unit in COLUMN_UNITS if unit in units]
        self.others = tuple(sorted(unit for unit in units if unit not in COLUMN_UNITS))
        self._order = _values_of((*known, *self.others))
        self._input = [unit for unit in units if is_input_unit(unit)]
        self._known = len(known)
        unit_fields = "".join("iq" if unit in units else "i" for unit in COLUMN_UNITS)
        prompt_field = "iq" if self._input else "i"
        self._event_fixed = Struct(f">hi16siqiqiq{prompt_field}iiiiiiih{unit_fields}").pack
        self._part_fixed = Struct(f">hiiiqiiiiiiihiq{unit_fields}").pack

    def quantities(self, units: Mapping[str, int]) -> tuple[int, ...]:
        """The event's quantities: named units in column order, then the others by name."""
        ordered: tuple[int, ...] = self._order(units)
        return ordered

    def prompt_tokens(self, units: Mapping[str, int]) -> int | None:
        """All input units of the request together; None where it tells none."""
        return sum([units[unit] for unit in self._input]) if self._input else None

    def event_row(
        self,
        key: bytes,
        payload_hash: int,
        time_us: int,
        offset: int,
        prompt_tokens: int | None,
        route_id: int,
        payer_id: int,
        partition: int,
        log_id: int,
        quantities: tuple[int, ...],
        texts: bytes,
    ) -> bytes:
        """One row of `usage_event`. `texts` are its last five fields, encoded by `text_fields`."""
        fixed = self._event_fixed(
            28, 16, key, 8, payload_hash, 8, time_us - PG_EPOCH_US, 8, offset,
            *(_NO_PROMPT if prompt_tokens is None else (8, prompt_tokens)),
            4, route_id, 4, payer_id, 4, partition, 2, log_id, *self._unit_fields(quantities),
        )  # fmt: skip
        return fixed + texts

    def part_row(
        self, hour: int, band: int, route_id: int, payer_id: int, partition: int, log_id: int, sums: Sequence[int]
    ) -> bytes:
        """One row of `usage_part`; `sums` are the number of events, then the quantities."""
        fixed = self._part_fixed(
            22, 4, hour, 8, band, 4, route_id, 4, payer_id, 4, partition, 2, log_id, 8, sums[0],
            *self._unit_fields(sums[1:]),
        )  # fmt: skip
        return fixed + self.other_field(sums[1:])

    def other_field(self, quantities: Sequence[int]) -> bytes:
        """The field `other_units`: JSON of what has no column of its own, else NULL."""
        if not self.others:
            return NULL
        return _jsonb(dict(zip(self.others, quantities[self._known :], strict=True)))

    def _unit_fields(self, quantities: Sequence[int]) -> list[int]:
        fields: list[int] = []
        place = 0
        for unit in COLUMN_UNITS:
            if unit in self.units:
                fields += (8, quantities[place])
                place += 1
            else:
                fields.append(-1)
        return fields


@lru_cache(maxsize=4096)
def shape_of(units: tuple[str, ...]) -> Shape:
    """The shape of events that tell just these units."""
    return Shape(units)


def text_fields(
    attempt: int | None,
    event_id: str,
    reported_cost: str | None,
    tags: Mapping[str, str] | None,
    other_field: bytes,
) -> bytes:
    """The last five fields of an event's row."""
    return b"".join(
        (
            NULL if attempt is None else _SMALL(2, attempt),
            _text(event_id.encode()),
            NULL if reported_cost is None else _text(reported_cost.encode()),
            _jsonb(tags) if tags else NULL,
            other_field,
        )
    )


def _text(value: bytes) -> bytes:
    return _LENGTH(len(value)) + value


def _jsonb(value: Mapping[str, Any]) -> bytes:
    encoded = _encode_json(value)
    return _LENGTH(len(encoded) + 1) + b"\x01" + encoded


def _values_of(names: tuple[str, ...]) -> Any:
    """A getter of these keys' values, always as a tuple."""
    if len(names) == 1:
        only = names[0]
        return lambda units: (units[only],)
    return itemgetter(*names)
