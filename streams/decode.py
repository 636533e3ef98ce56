"""Records to rows: reads, checks, identifies and attributes the events of a chunk. Pure but for what it remembers.

A record that is no event, or whose time lies outside the bounds, becomes a `Rejected` with a reason; nothing stops the
chunk. Names are checked when they are first met and remembered, so that the common event costs a few µs.
"""

from __future__ import annotations

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
from streams.attribution import EVER, Payer, Roster
from streams.chunk import Chunk, Record
from streams.rows import Shape, shape_of

REMEMBERED_MAX = 200_000
"""Names remembered as checked before they are forgotten all at once: a bound on memory, not on names."""


Asked = tuple[str | None, str | None, str | None]
"""What an event says of who pays: department, user, key."""


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
    """One event of a chunk, ready to be stored once its route and payer have numbers.

    `route` and `payer` are places in `Decoded.routes` and `Decoded.payers`.
    """

    digest: bytes
    hour: int
    time_us: int
    offset: int
    record_index: int
    prompt_tokens: int | None
    band: int
    route: int
    payer: int
    shape: Shape
    quantities: tuple[int, ...]
    attempt: int | None
    event_id: bytes
    reported_cost: str | None
    tags: dict[str, str] | None

    @property
    def content(self) -> tuple[object, ...]:
        """What the event says, as far as events of one chunk are compared."""
        return (
            self.time_us, self.route, self.payer, self.shape, self.quantities, self.attempt, self.reported_cost,
            self.tags or {},
        )  # fmt: skip

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
    routes: list[Route] = field(default_factory=list)
    payers: list[Payer] = field(default_factory=list)
    duplicates: int = 0
    rejected: list[Rejected] = field(default_factory=list)


class Decoder:
    """Decodes chunks for one worker. Not for several threads at once."""

    def __init__(self, bounds: TimeBounds) -> None:
        self._bounds = bounds
        self._ahead_us = bounds.ahead_seconds_max * US
        self._back_us = bounds.back_days_max * 86_400 * US
        self._checked: set[tuple[str | None, ...]] = set()
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self._prefixes: dict[str, bytes] = {}

    def decode(self, chunk: Chunk, facts: Facts) -> Decoded:
        """Read a chunk's records. Of two events with one identity the lower offset stands."""
        decoded = Decoded(chunk, facts)
        places = _Places(decoded)
        first_by_digest: dict[bytes, Entry] = {}
        for index, record in enumerate(chunk.records):
            try:
                entry = self._entry(index, record, facts, places)
            except EventRefused as refused:
                decoded.rejected.append(Rejected(record, refused.code, refused.field, refused.value, str(refused)))
                continue
            first = first_by_digest.setdefault(entry[0], entry)
            if first is entry:
                decoded.entries.append(entry)
            elif first.content == entry.content:
                decoded.duplicates += 1
            else:
                decoded.rejected.append(conflict(record, entry))
        if len(self._checked) + len(self._shapes) + len(self._prefixes) > REMEMBERED_MAX:
            self._checked.clear()
            self._shapes.clear()
            self._prefixes.clear()
        return decoded

    def _entry(self, index: int, record: Record, facts: Facts, places: _Places) -> Entry:
        """One event. Written for speed: what was checked before is looked up, and calls are few."""
        event = read_event(record.value)
        data = event.data
        time_us = round(event.time.timestamp() * 1_000_000)
        if not -self._back_us <= time_us - record.timestamp_ms * 1000 <= self._ahead_us or time_us < 0:
            self._refuse_time(time_us, record)
        source, units, cost, tags = event.source, data.units, data.reported_cost, data.tags
        if cost is not None or tags is not None:
            check_rest(event)
        names = tuple(units)
        shape = self._shapes.get(names)
        if shape is None or data.status == "cached":
            shape = self._new_shape(event, names)
        route = (
            source, data.provider, data.model, data.account, data.service_tier, data.region, data.operation,
            data.status, data.usage_source, None if cost is None else cost.currency,
        )  # fmt: skip
        payer = (data.department, event.subject, data.key)
        route_place = places.routes.get(route)
        if route_place is None:
            route_place = self._new_route(event, route, places)
        dated_place = places.payers.get(payer)
        if dated_place is not None and dated_place[0] <= time_us < dated_place[1]:
            payer_place = dated_place[2]
        else:
            payer_place = self._new_payer(event, payer, time_us, facts, places)
        event_id = event.id
        if not (event_id.isascii() and event_id.isprintable()):
            check_name("id", event_id)
        id_bytes = event_id.encode()
        prompt_tokens = shape.prompt_tokens(units)
        return _new_entry(
            Entry,
            (
                sha256(self._prefixes[source] + id_bytes).digest()[:12],
                time_us // HOUR_US,
                time_us,
                record.offset,
                index,
                prompt_tokens,
                facts.band(prompt_tokens) if facts.thresholds else 0,
                route_place,
                payer_place,
                shape,
                shape.quantities(units),
                data.attempt,
                id_bytes,
                None if cost is None else format(cost.amount, "f"),
                tags,
            ),
        )

    def _refuse_time(self, time_us: int, record: Record) -> None:
        check_time(time_us, record.timestamp_ms * 1000, self._bounds)
        raise EventRefused("far_past", "time", format_time(time_us), "usage before 1970 is not believed")

    def _new_shape(self, event: UsageEvent, names: tuple[str, ...]) -> Shape:
        """The units' shape, checked when first met; an answer from the cache is checked each time."""
        check_units(event.data)
        shape = self._shapes[names] = shape_of(tuple(sorted(names)))
        return shape

    def _new_route(self, event: UsageEvent, route: tuple[str | None, ...], places: _Places) -> int:
        """A place in this chunk for a route; its names are checked when first met."""
        if event.source not in self._prefixes:
            check_name("source", event.source)
            encoded = event.source.encode()
            self._prefixes[event.source] = b"%d:%b" % (len(encoded), encoded)
        if route not in self._checked:
            check_names(event)
            self._checked.add(route)
        return places.add_route(route)

    def _new_payer(
        self, event: UsageEvent, asked: Asked, time_us: int, facts: Facts, places: _Places
    ) -> int:
        """A place in this chunk for who pays, remembered for as long as the roster's answer is the same."""
        if asked not in self._checked:
            check_names(event)
            self._checked.add(asked)
        department, user, key = asked
        since_us, until_us = EVER if department is not None else facts.roster.unchanged_around(user, key, time_us)
        place = places.add_payer(facts.roster.payer(department, user, key, time_us))
        places.payers[asked] = (since_us, until_us, place)
        return place


class _Places:
    """Routes and payers of one chunk, each once, by what the events say."""

    __slots__ = ("_decoded", "_payer_places", "payers", "routes")

    def __init__(self, decoded: Decoded) -> None:
        self._decoded = decoded
        self.routes: dict[tuple[str | None, ...], int] = {}
        self.payers: dict[tuple[str | None, ...], tuple[int, int, int]] = {}
        """By what the event says: from when until when (µs, half-open) the place holds."""
        self._payer_places: dict[Payer, int] = {}

    def add_route(self, route: tuple[str | None, ...]) -> int:
        place = self.routes[route] = len(self._decoded.routes)
        self._decoded.routes.append(Route._make(route))
        return place

    def add_payer(self, payer: Payer) -> int:
        place = self._payer_places.get(payer)
        if place is None:
            place = self._payer_places[payer] = len(self._decoded.payers)
            self._decoded.payers.append(payer)
        return place


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
