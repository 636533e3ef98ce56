"""The events below a line, found by ranges of their keys, which are led by the UTC hour (design.md, decision 4).

Only the hours that hold sums of the line are read, each run of neighbouring hours as one range of the primary key; so a
line of ten hours costs ten hours of events, however large the ledger is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, text

from billing.parts import WIDE_UNITS, add_up_in_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Place = tuple[int, int, int]
"""(UTC hour, route, prompt-length band)."""
CutOffs = tuple[tuple[int, int, int], ...]
"""(log, partition, next offset)."""

_FOUND = """
  from unnest(cast(:first_keys as uuid[]), cast(:end_keys as uuid[])) as stretch (first_key, end_key)
  cross join lateral (
    select e.*, {quantity} as quantity, hour_of(e.time) as hour,
           coalesce((cast(:thresholds as bigint[]))[
             width_bucket(e.prompt_tokens - 1, cast(:thresholds as bigint[]))], 0) as band
    from usage_event e
    where e.event_key >= stretch.first_key and e.event_key < stretch.end_key
      and e.route_id = any(:routes) and e.payer_id = any(:payers) and {quantity} <> 0 {bounds}
    offset 0) e"""
_BOUND = """and e.kafka_offset {relation} coalesce((
        select c.next_offset
        from unnest(cast(:{name}_logs as integer[]), cast(:{name}_partitions as integer[]),
                    cast(:{name}_offsets as bigint[])) as c (log_id, partition, next_offset)
        where c.log_id = e.log_id and c.partition = e.partition), 0)"""
_BOUNDS = {"read_from": ">=", "read_up_to": "<"}


class EventSum(NamedTuple):
    """What the events of a place come to: how many there are and their quantity. `late` is the part of the quantity
    that was read from the log behind the cut-off of a close; 0 for an open month."""

    events: int
    quantity: int
    late: int


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the ledger, and where its record lies in the log."""

    time: datetime
    source: str
    event_id: str
    user: str | None
    quantity: int
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Sought:
    """Which events: of whom, of which unit, in which places; `cut_offs` are (log, partition, next offset) of the close,
    None for an open month. `read_from` and `read_up_to`: only those whose records lie between these cut-offs,
    half-open; a partition that is not named had not been read. None: no bound."""

    payers: Sequence[int]
    unit: str
    places: frozenset[Place]
    cut_offs: CutOffs | None = None
    read_from: CutOffs | None = None
    read_up_to: CutOffs | None = None


def sum_events(connection: Connection, sought: Sought) -> dict[Place, EventSum]:
    """The events of each place, added up; places without events are left out."""
    if not sought.places:
        return {}
    _by_pages(connection)
    rows = connection.execute(
        text(f"""
        select e.hour, e.route_id, e.band, count(*) as events, sum(e.quantity)::bigint as quantity,
               coalesce(sum(e.quantity) filter (where :closed and e.kafka_offset >= coalesce(c.next_offset, 0)), 0)
                 ::bigint as late
        {_found(sought)}
        left join unnest(cast(:logs as integer[]), cast(:partitions as integer[]), cast(:offsets as bigint[]))
          as c (log_id, partition, next_offset) on c.log_id = e.log_id and c.partition = e.partition
        group by 1, 2, 3"""),
        {**_values(connection, sought, sought.places), **_cut_offs(sought)},
    )
    found = {(row.hour, row.route_id, row.band): EventSum(row.events, row.quantity, row.late) for row in rows}
    return {place: one for place, one in found.items() if place in sought.places}


def read_events(
    connection: Connection, sought: Sought, counts: Mapping[Place, EventSum], limit: int | None, offset: int
) -> Iterator[Event]:
    """A page of the events in order of time; `counts` as `sum_events` says, so that whole hours are skipped unread."""
    by_hour: dict[int, int] = {}
    for (hour, _, _), found in counts.items():
        by_hour[hour] = by_hour.get(hour, 0) + found.events
    left = sum(by_hour.values()) if limit is None else limit
    for hour in sorted(by_hour):
        if left <= 0:
            return
        if offset >= by_hour[hour]:
            offset -= by_hour[hour]
            continue
        page = _page(connection, sought, hour, left, offset)
        yield from page
        left -= len(page)
        offset = 0


def runs(hours: Iterable[int]) -> list[tuple[int, int]]:
    """Neighbouring hours as half-open stretches, in order."""
    found: list[tuple[int, int]] = []
    for hour in sorted(set(hours)):
        if found and found[-1][1] == hour:
            found[-1] = (found[-1][0], hour + 1)
        else:
            found.append((hour, hour + 1))
    return found


def first_key(hour: int) -> str:
    """The least event key of a UTC hour: 4 bytes of hour, then zeros."""
    return f"{hour:08x}-0000-0000-0000-000000000000"


def _page(connection: Connection, sought: Sought, hour: int, limit: int, offset: int) -> list[Event]:
    places = [place for place in sought.places if place[0] == hour]
    _by_pages(connection)
    rows = connection.execute(
        text(f"""
        select e.time, r.source, e.event_id, y."user", e.quantity, l.topic, e.partition, e.kafka_offset
        {_found(sought)}
        join unnest(cast(:place_routes as integer[]), cast(:place_bands as bigint[])) as place (route_id, band)
          on place.route_id = e.route_id and place.band = e.band
        join route r on r.id = e.route_id
        join payer y on y.id = e.payer_id
        join topic_log l on l.id = e.log_id
        order by e.time, e.event_key limit :limit offset :offset"""),
        {
            **_values(connection, sought, places),
            "place_routes": [route for _, route, _ in places],
            "place_bands": [band for _, _, band in places],
            "limit": limit,
            "offset": offset,
        },
    )
    return [Event(*row) for row in rows]


def _by_pages(connection: Connection) -> None:
    """Until the transaction ends: ranges are read page by page. Events of an hour lie on neighbouring pages, in any
    order; one by one along the index they took five times as long (10 million events, 661 hours)."""
    add_up_in_memory(connection)
    connection.execute(text("set local enable_indexscan = off"))


def _found(sought: Sought) -> str:
    unit = sought.unit
    quantity = f"e.{unit}" if unit in WIDE_UNITS else "(e.other_units ->> :unit)::bigint"
    bounds = [
        _BOUND.format(relation=relation, name=name)
        for name, relation in _BOUNDS.items()
        if getattr(sought, name) is not None
    ]
    return _FOUND.format(quantity=quantity, bounds=" ".join(bounds))


def _values(connection: Connection, sought: Sought, places: Iterable[Place]) -> dict[str, Any]:
    places = list(places)
    stretches = runs(hour for hour, _, _ in places)
    thresholds = connection.execute(text("select tokens_above from prompt_threshold order by 1")).scalars()
    return {
        "first_keys": [first_key(first) for first, _ in stretches],
        "end_keys": [first_key(end) for _, end in stretches],
        "thresholds": list(thresholds),
        "routes": sorted({route for _, route, _ in places}),
        "payers": list(sought.payers),
        **({} if sought.unit in WIDE_UNITS else {"unit": sought.unit}),
        **_columns(sought.read_from, "read_from_"),
        **_columns(sought.read_up_to, "read_up_to_"),
    }


def _cut_offs(sought: Sought) -> dict[str, Any]:
    return {"closed": sought.cut_offs is not None, **_columns(sought.cut_offs or (), "")}


def _columns(cut_offs: CutOffs | None, prefix: str) -> dict[str, list[int]]:
    """Cut-offs as the arrays of a query; nothing where there is no bound."""
    if cut_offs is None:
        return {}
    names = ("logs", "partitions", "offsets")
    return {f"{prefix}{name}": [one[place] for one in cut_offs] for place, name in enumerate(names)}
