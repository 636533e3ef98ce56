"""Rows as PostgreSQL's binary COPY wants them: one `struct.pack` a row, below 1 µs.

Columns of a fixed width stand first, texts last. A unit that an event does not tell is NULL, never 0; units outside
the named columns travel as JSON in `other_units`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
NO_TAIL = NULL * 3
"""`tail_fields` of an event that tells neither cost nor tags nor other units: nearly all."""
PG_EPOCH_US = 946_684_800_000_000
"""PostgreSQL counts timestamps from 2000-01-01; microseconds between that and 1970-01-01."""

KEY_ROW_HEAD = b"\x00\x01\x00\x00\x00\x10"
"""What stands before a 16-byte identity in a row of one column: 1 field, 16 bytes."""
EVENT_KEY = slice(6, 22)
"""Where a row of `usage_event` holds its identity."""

_LENGTH = Struct(">i").pack
_encode_json = msgspec.json.Encoder(order="sorted").encode


class Shape:
    """The units that one kind of event tells, and how its rows are packed. Few exist; see `shape_of`.

    `event_fixed[attempt is not None](key, time_us, offset, prompt_tokens, route_id, payer_id, partition, log_id,
    quantities, attempt, id_bytes)` gives a row of `usage_event` up to the length of `event_id`, which the id's bytes
    and `tail_fields` follow. `part_fixed(hour, band, route_id, payer_id, partition, log_id, sums)` gives a row of
    `usage_part` but for `other_units`, where sums are the number of events, then the quantities. Both are put together
    once a shape: a loop over 14 columns for each row would cost more than everything else.
    """

    __slots__ = ("_known", "event_fixed", "names", "others", "part_fixed", "prompt_tokens", "quantities")

    event_fixed: tuple[Callable[..., bytes], Callable[..., bytes]]
    part_fixed: Callable[..., bytes]
    quantities: Callable[[Mapping[str, int]], tuple[int, ...]]
    """The event's quantities: named units in column order, then the others by name."""
    prompt_tokens: Callable[[Mapping[str, int]], int | None]
    """All input units of the request together; None where it tells none."""

    def __init__(self, units: tuple[str, ...]) -> None:
        known = [unit for unit in COLUMN_UNITS if unit in units]
        self.others = tuple(sorted(unit for unit in units if unit not in COLUMN_UNITS))
        self._known = len(known)
        self.names = (*known, *self.others)
        self.quantities = _values_of(self.names)
        self.prompt_tokens = _sum_of(tuple(unit for unit in units if is_input_unit(unit)))
        has_prompt = any(is_input_unit(unit) for unit in units)
        self.event_fixed = (
            _event_packer(known, has_prompt=has_prompt, has_attempt=False),
            _event_packer(known, has_prompt=has_prompt, has_attempt=True),
        )
        self.part_fixed = _part_packer(known)

    def other_field(self, quantities: Sequence[int]) -> bytes:
        """The field `other_units`: JSON of what has no column of its own, else NULL."""
        if not self.others:
            return NULL
        return _jsonb(dict(zip(self.others, quantities[self._known :], strict=True)))

    def part_row(
        self, hour: int, band: int, route_id: int, payer_id: int, partition: int, log_id: int, sums: Sequence[int]
    ) -> bytes:
        """One row of `usage_part`."""
        return self.part_fixed(hour, band, route_id, payer_id, partition, log_id, sums) + self.other_field(sums[1:])


@lru_cache(maxsize=4096)
def shape_of(units: tuple[str, ...]) -> Shape:
    """The shape of events that tell just these units."""
    return Shape(units)


def tail_fields(reported_cost: str | None, tags: Mapping[str, str] | None, other_field: bytes) -> bytes:
    """The last three fields of an event's row, after `event_id`."""
    return b"".join(
        (
            NULL if reported_cost is None else _text(reported_cost.encode()),
            _jsonb(tags) if tags else NULL,
            other_field,
        )
    )


def _event_packer(known: Sequence[str], *, has_prompt: bool, has_attempt: bool) -> Callable[..., bytes]:
    prompt_format, prompt_value = ("iq", "8, prompt") if has_prompt else ("i", "-1")
    attempt_format, attempt_value = ("ih", "2, attempt") if has_attempt else ("i", "-1")
    formats, values = _unit_fields(known, first=0)
    pack = Struct(f">hi16siqiq{prompt_format}iiiiiiih{formats}{attempt_format}i").pack
    return _compiled(
        "key, time_us, offset, prompt, route_id, payer_id, partition, log_id, q, attempt, id_bytes",
        f"{len(EVENT_COLUMNS)}, 16, key, 8, time_us - {PG_EPOCH_US}, 8, offset, {prompt_value},"
        f" 4, route_id, 4, payer_id, 4, partition, 2, log_id, {values}, {attempt_value}, len(id_bytes)",
        pack,
    )


def _part_packer(known: Sequence[str]) -> Callable[..., bytes]:
    formats, values = _unit_fields(known, first=1)
    return _compiled(
        "hour, band, route_id, payer_id, partition, log_id, q",
        f"{len(PART_COLUMNS)}, 4, hour, 8, band, 4, route_id, 4, payer_id, 4, partition, 2, log_id, 8, q[0], {values}",
        Struct(f">hiiiqiiiiiiihiq{formats}").pack,
    )


def _unit_fields(known: Sequence[str], first: int) -> tuple[str, str]:
    """Formats and values of the 14 unit columns: `q[first]` is the first known unit, a missing one is NULL."""
    formats = "".join("iq" if unit in known else "i" for unit in COLUMN_UNITS)
    values = [f"8, q[{first + known.index(unit)}]" if unit in known else "-1" for unit in COLUMN_UNITS]
    return formats, ", ".join(values)


def _compiled(parameters: str, values: str, pack: Callable[..., bytes]) -> Callable[..., bytes]:
    """`lambda parameters: pack(values)`. Its text is made of this module's constants and numbers alone."""
    packer: Callable[..., bytes] = eval(f"lambda {parameters}: pack({values})", {"pack": pack})  # noqa: S307
    return packer


def _text(value: bytes) -> bytes:
    return _LENGTH(len(value)) + value


def _jsonb(value: Mapping[str, Any]) -> bytes:
    encoded = _encode_json(value)
    return _LENGTH(len(encoded) + 1) + b"\x01" + encoded


def _values_of(names: tuple[str, ...]) -> Callable[[Mapping[str, int]], tuple[int, ...]]:
    """A getter of these keys' values, always as a tuple."""
    if len(names) == 1:
        only = names[0]
        return lambda units: (units[only],)
    return itemgetter(*names)


def _sum_of(names: tuple[str, ...]) -> Callable[[Mapping[str, int]], int | None]:
    """A sum of these keys' values; None where there are none."""
    if not names:
        return lambda units: None  # noqa: ARG005 - the same signature as the others
    if len(names) == 1:
        only = names[0]
        return lambda units: units[only]
    values = itemgetter(*names)
    return lambda units: sum(values(units))
