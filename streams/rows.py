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
_LOG_FIELDS = Struct(">iiih").pack
_encode_json = msgspec.json.Encoder(order="sorted").encode


class Shape:
    """The units that one kind of event tells, and how its rows are packed. Few exist; see `shape_of`.

    `event_fixed[attempt is not None](key, time_us, offset, prompt_tokens, numbers, log_fields, quantities, attempt,
    id_bytes)` gives a row of `usage_event` up to the length of `event_id`, which the id's bytes and `tail_fields`
    follow. `part_fixed(hour, band, numbers, log_fields, events, quantities)` gives a row of `usage_part` but for
    `other_units`. `numbers` is an origin's, `log_fields` a chunk's (`log_fields_of`). Both are put together once a
    shape: a loop over 14 columns for each row would cost more than everything else, and so would an argument for each
    length and each NULL, so neighbouring constants are one.
    """

    __slots__ = ("_known", "event_fixed", "names", "others", "part_fixed", "prompt_tokens", "quantities")

    event_fixed: tuple[Callable[..., bytes], Callable[..., bytes]]
    part_fixed: Callable[..., bytes]
    quantities: Callable[[Mapping[str, int]], tuple[int, ...]]
    """The event's quantities: named units in column order, then the others by name."""
    prompt_tokens: Callable[[Sequence[int]], int | None]
    """All input units of the request together, of its quantities; None where it tells none."""

    def __init__(self, units: tuple[str, ...]) -> None:
        known = [unit for unit in COLUMN_UNITS if unit in units]
        self.others = tuple(sorted(unit for unit in units if unit not in COLUMN_UNITS))
        self._known = len(known)
        self.names = (*known, *self.others)
        self.quantities = _values_of(self.names)
        self.prompt_tokens = _sum_of([place for place, unit in enumerate(self.names) if is_input_unit(unit)])
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
        self, hour: int, band: int, numbers: bytes | None, log_fields: bytes, events: int, quantities: Sequence[int]
    ) -> bytes:
        """One row of `usage_part`."""
        return self.part_fixed(hour, band, numbers, log_fields, events, quantities) + self.other_field(quantities)


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


def log_fields_of(partition: int, log_id: int) -> bytes:
    """The fields `partition` and `log_id`, which a chunk's rows share."""
    return _LOG_FIELDS(4, partition, 2, log_id)


def _event_packer(known: Sequence[str], *, has_prompt: bool, has_attempt: bool) -> Callable[..., bytes]:
    fields: list[_Part] = [
        _constant("hi", len(EVENT_COLUMNS), 16), ("16s", "key"), _constant("i", 8), ("q", f"time_us - {PG_EPOCH_US}"),
        _constant("i", 8), ("q", "offset"), *([_constant("i", 8), ("q", "prompt")] if has_prompt else [NULL]),
        ("16s", "numbers"), ("14s", "log_fields"), *_unit_fields(known),
        *([_constant("i", 2), ("h", "attempt")] if has_attempt else [NULL]), ("i", "len(id_bytes)"),
    ]  # fmt: skip
    return _compiled("key, time_us, offset, prompt, numbers, log_fields, q, attempt, id_bytes", fields)


def _part_packer(known: Sequence[str]) -> Callable[..., bytes]:
    fields: list[_Part] = [
        _constant("hi", len(PART_COLUMNS), 4), ("i", "hour"), _constant("i", 8), ("q", "band"), ("16s", "numbers"),
        ("14s", "log_fields"), _constant("i", 8), ("q", "events"), *_unit_fields(known),
    ]  # fmt: skip
    return _compiled("hour, band, numbers, log_fields, events, q", fields)


_Part = bytes | tuple[str, str]
"""A part of a row: bytes that are always the same, or a format of `struct` and the expression of its value."""


def _unit_fields(known: Sequence[str]) -> list[_Part]:
    """The 14 unit columns: `q[0]` is the first known unit, a missing one is NULL."""
    parts: list[_Part] = []
    for unit in COLUMN_UNITS:
        parts += [_constant("i", 8), ("q", f"q[{known.index(unit)}]")] if unit in known else [NULL]
    return parts


def _constant(form: str, *values: int) -> bytes:
    return Struct(f">{form}").pack(*values)


def _compiled(parameters: str, parts: Sequence[_Part]) -> Callable[..., bytes]:
    """`lambda parameters: pack(values)`. Its text is made of this module's constants and numbers alone."""
    merged: list[_Part] = []
    for part in parts:
        if isinstance(part, bytes) and merged and isinstance(merged[-1], bytes):
            merged[-1] += part
        else:
            merged.append(part)
    formats = "".join(f"{len(part)}s" if isinstance(part, bytes) else part[0] for part in merged)
    values = ", ".join(f"c{place}" if isinstance(part, bytes) else part[1] for place, part in enumerate(merged))
    names = {f"c{place}": part for place, part in enumerate(merged) if isinstance(part, bytes)}
    packer: Callable[..., bytes] = eval(  # noqa: S307
        f"lambda {parameters}: pack({values})", {"pack": Struct(f">{formats}").pack, **names}
    )
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


def _sum_of(places: Sequence[int]) -> Callable[[Sequence[int]], int | None]:
    """A sum of the quantities at these places; None where there are none. Its text is made of numbers alone."""
    total: Callable[[Sequence[int]], int | None] = eval(  # noqa: S307
        f"lambda q: {' + '.join(f'q[{place}]' for place in places) or None}"
    )
    return total
