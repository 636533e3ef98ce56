"""Records to rows: reads, checks, identifies and attributes the events of a chunk. Pure but for what it remembers.

A record that is no event, or whose time lies outside the bounds, becomes a `Rejected` with a reason; nothing stops the
chunk. Names are checked when they are first met and remembered, so that the common event costs a few µs.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from producers.contract import (
    HOUR_US,
    US,
    EventRefused,
    TimeBounds,
    UsageEvent,
    check_name,
    check_names,
    check_rest,
    check_time,
    check_units,
    format_time,
    read_event,
    shown,
)
from producers.flags import Flag, in_order
from streams.attribution import EVER, Roster
from streams.chunk import Chunk, Record
from streams.origin import Origin, Route
from streams.rows import Shape, shape_of

REMEMBERED_MAX = 100_000
"""Origins remembered before they are forgotten all at once: a bound on memory, not on names."""


class Entry(NamedTuple):
    """One event of a chunk, ready to be stored once its origin has numbers."""

    digest: bytes
    hour: int
    time_us: int
    offset: int
    record_index: int
    prompt_tokens: int | None
    band: int
    origin: Origin
    shape: Shape
    quantities: tuple[int, ...]
    event_id: bytes
    reported_cost: str | None
    tags: dict[str, str] | None
    flags: tuple[Flag, ...]
    has_own_time: bool

    @property
    def content(self) -> tuple[object, ...]:
        """What the event says, as far as events of one chunk are compared."""
        origin = self.origin
        return (
            self.time_us, origin.route, origin.payer, origin.attempt, self.shape, self.quantities, self.reported_cost,
            self.tags or {}, self.flags,
        )  # fmt: skip

    def is_copy_of(self, content: tuple[object, ...]) -> bool:
        """Whether `content`, which begins with a time, is what this event says; a time that its sender did not tell
        says nothing."""
        mine = self.content
        return content == mine if self.has_own_time else content[1:] == mine[1:]

    @property
    def key(self) -> bytes:
        """The stored identity: 4 bytes of UTC hour, then 12 of `(source, id)`."""
        return self.hour.to_bytes(4, "big") + self.digest


class Rejected(NamedTuple):
    """A record that goes to quarantine. `event_key` where an event could be read and contradicts another."""

    record: Record
    code: str
    field: str
    value: str
    reason: str
    event_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What slowly changes: the roster and the prompt-length thresholds, as of a version of `reference_version`."""

    version: int
    roster: Roster
    thresholds: tuple[int, ...]

    def band(self, prompt_tokens: int | None) -> int:
        """The largest threshold that the prompt exceeds; 0 where none, or where its length is not told."""
        if prompt_tokens is None:
            return 0
        exceeded = bisect_left(self.thresholds, prompt_tokens)
        return self.thresholds[exceeded - 1] if exceeded else 0


@dataclass(slots=True)
class Decoded:
    """A chunk's records sorted into what to store, what is there twice within the chunk, and what to quarantine.

    `origins` are those that still want numbers.
    """

    chunk: Chunk
    facts: Facts
    entries: list[Entry] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    duplicates: int = 0
    rejected: list[Rejected] = field(default_factory=list)


class Decoder:
    """Decodes chunks for one worker. Not for several threads at once."""

    def __init__(self, bounds: TimeBounds) -> None:
        self._bounds = bounds
        self._ahead_us = bounds.ahead_seconds_max * US
        self._back_us = bounds.back_days_max * 86_400 * US
        self._routes: dict[Route, Route] = {}
        self._origins: dict[_Names, Origin] = {}
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self._facts: Facts | None = None

    def decode(self, chunk: Chunk, facts: Facts) -> Decoded:
        """Read a chunk's records. Of two events with one identity the lower offset stands."""
        if facts is not self._facts or len(self._origins) + len(self._shapes) > REMEMBERED_MAX:
            self._facts = facts
            self._routes.clear()
            self._origins.clear()
            self._shapes.clear()
        decoded = Decoded(chunk, facts)
        entries, first_by_digest = decoded.entries, dict[bytes, Entry]()
        for index, record in enumerate(chunk.records):
            try:
                entry = self._entry(index, record, facts)
            except EventRefused as refused:
                decoded.rejected.append(Rejected(record, refused.code, refused.field, refused.value, str(refused)))
                continue
            first = first_by_digest.setdefault(entry[0], entry)
            if first is entry:
                entries.append(entry)
            elif entry.is_copy_of(first.content):
                decoded.duplicates += 1
            else:
                decoded.rejected.append(conflict(record, entry))
        decoded.origins = list({entry[7] for entry in entries if entry[7].numbers is None})
        return decoded

    def _entry(self, index: int, record: Record, facts: Facts) -> Entry:
        """One event. Written for speed: what was seen before is looked up, and calls are few."""
        offset, timestamp_ms, _, value = record
        event = read_event(value)
        data = event.data
        time_us = round(event.time.timestamp() * 1_000_000)
        cost, tags, units = data.reported_cost, data.tags, data.units
        if cost is not None or tags is not None:
            check_rest(event)
        names = (
            event.source, data.provider, data.model, data.account, data.service_tier, data.region, data.operation,
            data.status, data.usage_source, None if cost is None else cost.currency, data.department, event.subject,
            data.key, data.attempt,
        )  # fmt: skip
        origin = self._origins.get(names)
        if origin is None or not origin.since_us <= time_us < origin.until_us:
            origin = self._new_origin(event, names, time_us, facts)
        event_id = event.id
        if not (event_id.isascii() and event_id.isprintable()):
            check_name("id", event_id)
        id_bytes = event_id.encode()
        if not -self._back_us <= time_us - timestamp_ms * 1000 <= self._ahead_us or time_us < 0:
            self._refuse_time(time_us, record)
        shape = self._shapes.get(tuple(units))
        if shape is None or data.status == "cached":
            shape = self._new_shape(event)
        quantities = shape.quantities(units)
        prompt_tokens = shape.prompt_tokens(quantities)
        return _new_entry(
            Entry,
            (
                sha256(origin.identity_prefix + id_bytes).digest()[:12],
                time_us // HOUR_US,
                time_us,
                offset,
                index,
                prompt_tokens,
                facts.band(prompt_tokens) if facts.thresholds else 0,
                origin,
                shape,
                quantities,
                id_bytes,
                None if cost is None else format(cost.amount, "f"),
                tags,
                tuple(in_order(data.flags)) if data.flags else (),
                data.time_source == "sender",
            ),
        )

    def _refuse_time(self, time_us: int, record: Record) -> None:
        check_time(time_us, record.timestamp_ms * 1000, self._bounds)
        raise EventRefused("far_past", "time", format_time(time_us), "usage before 1970 is not believed")

    def _new_shape(self, event: UsageEvent) -> Shape:
        """The units' shape, checked when first met; an answer from the cache is checked each time."""
        check_units(event.data)
        names = tuple(event.data.units)
        shape = self._shapes[names] = shape_of(tuple(sorted(names)))
        return shape

    def _new_origin(self, event: UsageEvent, names: _Names, time_us: int, facts: Facts) -> Origin:
        """What the names mean, checked, and remembered for as long as the roster's answer is the same."""
        check_name("source", event.source)
        check_names(event)
        *of_route, department, user, key, attempt = names
        route = Route._make(of_route)
        route = self._routes.setdefault(route, route)
        since_us, until_us = EVER if department is not None else facts.roster.unchanged_around(user, key, time_us)
        payer = facts.roster.payer(department, user, key, time_us)
        origin = self._origins[names] = Origin(route, payer, attempt, since_us, until_us)
        return origin


_Names = tuple[
    str, str, str, str | None, str, str | None, str | None, str, str, str | None, str | None, str | None, str | None,
    int | None,
]  # fmt: skip
"""What an event says of its route, in the order of `Route`, then of department, user, key and attempt."""
_new_entry = tuple.__new__
"""Makes an Entry of its fields at once: a third of the time of calling the class."""


def conflict(record: Record, entry: Entry) -> Rejected:
    """A second event with one identity and another content: a person decides, never the last writer."""
    event_id = entry.event_id.decode()
    return Rejected(
        record,
        "conflict",
        "id",
        event_id,
        f"id is {shown(event_id)}: an event with this source and id and another content is in the ledger; "
        "find out which one is right, and send the other under an id of its own",
        entry.key,
    )
