"""Records to rows: reads, checks, identifies and attributes the events of a chunk. Pure but for what it remembers.

A record that is no event, or whose time lies outside the bounds, becomes a `Rejected` with a reason; nothing stops the
chunk. Names are checked when they are first met and remembered, so that the common event costs a few µs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from producers.contract import (
    HOUR_US,
    EventRefused,
    TimeBounds,
    UsageEvent,
    check_name,
    check_names,
    check_rest,
    check_time,
    check_units,
    format_time,
    identity_digest,
    payload_hash,
    read_event,
    time_us_of,
)
from streams.attribution import Payer, Roster
from streams.chunk import Chunk, Record
from streams.rows import Shape, shape_of

REMEMBERED_MAX = 200_000
"""Names remembered as checked before they are forgotten all at once: a bound on memory, not on names."""


class Route(NamedTuple):
    """Where usage went, as the table `route` holds it."""

    source: str
    provider: str
    model: str
    account: str | None
    service_tier: str
    region: str | None
    operation: str | None
    status: str
    usage_source: str
    reported_currency: str | None


class Entry(NamedTuple):
    """One event of a chunk, ready to be stored once its route and payer have numbers."""

    digest: bytes
    hour: int
    time_us: int
    payload_hash: int
    offset: int
    record_index: int
    prompt_tokens: int | None
    band: int
    route: Route
    payer: Payer
    shape: Shape
    quantities: tuple[int, ...]
    attempt: int | None
    event_id: str
    reported_cost: str | None
    tags: dict[str, str] | None

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
        band = 0
        if prompt_tokens is not None:
            for threshold in self.thresholds:
                if prompt_tokens <= threshold:
                    break
                band = threshold
        return band


@dataclass(slots=True)
class Decoded:
    """A chunk's records sorted into what to store, what is there twice within the chunk, and what to quarantine."""

    chunk: Chunk
    facts: Facts
    entries: list[Entry] = field(default_factory=list)
    duplicates: int = 0
    rejected: list[Rejected] = field(default_factory=list)


class Decoder:
    """Decodes chunks for one worker. Not for several threads at once."""

    def __init__(self, bounds: TimeBounds) -> None:
        self._bounds = bounds
        self._routes: dict[tuple[str | None, ...], Route] = {}
        self._payers: set[tuple[str | None, ...]] = set()
        self._shapes: dict[tuple[str, ...], Shape] = {}

    def decode(self, chunk: Chunk, facts: Facts) -> Decoded:
        """Read a chunk's records. Of two events with one identity the lower offset stands."""
        decoded = Decoded(chunk, facts)
        first_by_digest: dict[bytes, Entry] = {}
        for index, record in enumerate(chunk.records):
            try:
                entry = self._entry(index, record, facts)
            except EventRefused as refused:
                decoded.rejected.append(Rejected(record, refused.code, refused.field, refused.value, str(refused)))
                continue
            first = first_by_digest.setdefault(entry.digest, entry)
            if first is entry:
                decoded.entries.append(entry)
            elif first.payload_hash == entry.payload_hash:
                decoded.duplicates += 1
            else:
                decoded.rejected.append(conflict(record, entry.event_id, entry.key))
        if len(self._routes) + len(self._payers) + len(self._shapes) > REMEMBERED_MAX:
            self._forget()
        return decoded

    def _entry(self, index: int, record: Record, facts: Facts) -> Entry:
        event = read_event(record.value)
        data = event.data
        time_us = time_us_of(event)
        check_time(time_us, record.timestamp_ms * 1000, self._bounds)
        if time_us < 0:
            raise EventRefused("far_past", "time", format_time(time_us), "usage before 1970 is not believed")
        check_name("id", event.id)
        cost = data.reported_cost
        if cost is not None or data.tags is not None:
            check_rest(event)
        shape = self._shape(event)
        route = self._route(event)
        self._check_payer(event)
        prompt_tokens = shape.prompt_tokens(data.units)
        return Entry(
            identity_digest(event.source, event.id),
            time_us // HOUR_US,
            time_us,
            int.from_bytes(payload_hash(event, time_us), "big", signed=True),
            record.offset,
            index,
            prompt_tokens,
            facts.band(prompt_tokens),
            route,
            facts.roster.payer(data.department, event.subject, data.key, time_us),
            shape,
            shape.quantities(data.units),
            data.attempt,
            event.id,
            None if cost is None else format(cost.amount, "f"),
            data.tags,
        )

    def _shape(self, event: UsageEvent) -> Shape:
        """The units' shape, checked when first met; an answer from the cache is checked each time."""
        names = tuple(event.data.units)
        shape = self._shapes.get(names)
        if shape is None or event.data.status == "cached":
            check_units(event.data)
            shape = self._shapes[names] = shape_of(tuple(sorted(names)))
        return shape

    def _route(self, event: UsageEvent) -> Route:
        data = event.data
        cost = data.reported_cost
        asked = (
            event.source, data.provider, data.model, data.account, data.service_tier, data.region, data.operation,
            data.status, data.usage_source, None if cost is None else cost.currency,
        )  # fmt: skip
        route = self._routes.get(asked)
        if route is None:
            check_name("source", event.source)
            check_names(event)
            route = self._routes[asked] = Route(*asked)
        return route

    def _check_payer(self, event: UsageEvent) -> None:
        asked = (event.subject, event.data.key, event.data.department)
        if asked not in self._payers:
            check_names(event)
            self._payers.add(asked)

    def _forget(self) -> None:
        self._routes.clear()
        self._payers.clear()
        self._shapes.clear()


def conflict(record: Record, event_id: str, event_key: bytes) -> Rejected:
    """A second event with one identity and another content: a person decides, never the last writer."""
    return Rejected(
        record,
        "conflict",
        "id",
        event_id,
        f"id is '{event_id[:80]}': an event with this source and id and another content is in the ledger; "
        "find out which one is right, and send the other under an id of its own",
        event_key,
    )
