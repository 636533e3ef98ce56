"""The events behind a cell of usage: which they are, where each lies in the log, what each used. Never a payload.

Only hours that hold sums of the slice are read, each run of neighbouring hours as one range of the primary key, whole
hours before a page unread (`billing.explaining.events` walks a statement's line the same way).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, text

from billing.explaining.events import first_key
from billing.parts import WIDE_UNITS, add_up_in_memory
from billing.sums import PAYER_DIMENSIONS, ROUTE_DIMENSIONS, filter_condition, filter_values

if TYPE_CHECKING:
    from billing.usage_slice import Slice

_PAYERS: Final = "select id from payer where {condition}"
_ROUTES: Final = "select id from route where {condition}"
_UNITS_OF_EVENT: Final = ", ".join(f"e.{unit}" for unit in WIDE_UNITS)


def count_by_hour(connection: Connection, wanted: Slice) -> dict[int, int]:
    """How many events of the slice each UTC hour holds, by what is stored as sums; with a filter of units those events
    are counted one by one, in the hours that have sums of them."""
    ids = _ids(connection, wanted)
    add_up_in_memory(connection)
    values = {**ids, "first_hour": wanted.first_hour, "end_hour": wanted.end_hour}
    units = wanted.filters.get("unit")
    having = "sum(p.events) <> 0" if units is None else _has_unit("p", "sum")
    rows = connection.execute(
        text(f"""
        select p.hour, sum(p.events)::bigint as events from usage_part p
        where p.hour >= :first_hour and p.hour < :end_hour and {_is_wanted("p", ids)}
        group by 1 having {having}"""),
        {**values, **_unit_values(wanted)},
    )
    found = {int(row.hour): int(row.events) for row in rows}
    if units is None or not found:
        return found
    counted = connection.execute(
        text(f"""
        select hour_of(e.time) as hour, count(*) as events
        from unnest(cast(:first_keys as uuid[]), cast(:end_keys as uuid[])) as stretch (first_key, end_key)
        join usage_event e on e.event_key >= stretch.first_key and e.event_key < stretch.end_key
        where {_is_wanted("e", ids)} and {_has_unit("e", "")}
        group by 1"""),
        {**ids, **_unit_values(wanted), "first_keys": [first_key(hour) for hour in found],
         "end_keys": [first_key(hour + 1) for hour in found]},
    )  # fmt: skip
    return {int(row.hour): int(row.events) for row in counted}


def read_events(
    connection: Connection, wanted: Slice, counts: dict[int, int], limit: int, skip: int
) -> list[dict[str, Any]]:
    """A page of events in order of time. `counts` is what `count_by_hour` says."""
    hours: list[int] = []
    held = 0
    for hour in sorted(counts):
        if not hours and skip >= counts[hour]:
            skip -= counts[hour]
        elif held < skip + limit:
            hours.append(hour)
            held += counts[hour]
    return _events_of_hours(connection, wanted, hours, limit, skip) if hours else []


def _events_of_hours(
    connection: Connection, wanted: Slice, hours: list[int], limit: int, skip: int
) -> list[dict[str, Any]]:
    ids = _ids(connection, wanted)
    condition = "true" if "unit" not in wanted.filters else _has_unit("e", "")
    rows = connection.execute(
        text(f"""
        select e.time, r.source, e.event_id, y.department, y."user", y.key, r.provider, r.model, r.account,
               r.service_tier, r.status, r.usage_source, l.topic, e.partition, e.kafka_offset as "offset",
               {_UNITS_OF_EVENT}, e.other_units
        from (select e.*
              from unnest(cast(:first_keys as uuid[]), cast(:end_keys as uuid[])) as stretch (first_key, end_key)
              cross join lateral (
                select * from usage_event e
                where e.event_key >= stretch.first_key and e.event_key < stretch.end_key
                  and {_is_wanted("e", ids)} and {condition}
                order by e.time, e.event_key limit :of_hour) e
              order by e.time, e.event_key limit :limit offset :skip) e
        join route r on r.id = e.route_id
        join payer y on y.id = e.payer_id
        join topic_log l on l.id = e.log_id
        order by e.time, e.event_key"""),
        {**ids, **_unit_values(wanted), "first_keys": [first_key(hour) for hour in hours],
         "end_keys": [first_key(hour + 1) for hour in hours], "limit": limit, "skip": skip,
         "of_hour": limit + skip},
    ).mappings()  # fmt: skip
    return [_document(dict(row)) for row in rows]


def _document(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its units as one object of quantities other than 0."""
    units = {unit: str(quantity) for unit in WIDE_UNITS if (quantity := row.pop(unit))}
    units |= {unit: str(quantity) for unit, quantity in sorted((row.pop("other_units") or {}).items())}
    return {**row, "units": units}


def _ids(connection: Connection, wanted: Slice) -> dict[str, Any]:
    """The payers and routes of the slice; none of a kind that no filter speaks of, since all of it is wanted."""
    values = filter_values(wanted.filters)
    found: dict[str, Any] = {}
    for name, query, columns in (("payer", _PAYERS, PAYER_DIMENSIONS), ("route", _ROUTES, ROUTE_DIMENSIONS)):
        if columns.keys() & wanted.filters.keys():
            statement = text(query.format(condition=filter_condition(columns, wanted.filters)))
            numbers = connection.execute(statement, values).scalars()
            found[name] = "{" + ",".join(map(str, numbers)) + "}"  # as text: a driver writes thousands one by one
    return found


def _is_wanted(table: str, ids: dict[str, Any]) -> str:
    """SQL that a row is of the slice's payers and routes."""
    return " and ".join(f"{table}.{name}_id = any(cast(:{name} as integer[]))" for name in ids) or "true"


def _has_unit(table: str, function: str) -> str:
    """SQL that a row holds any of the wanted units."""
    wide = [f"(:unit_{unit} and coalesce({function}({table}.{unit}), 0) <> 0)" for unit in WIDE_UNITS]
    others = f"{table}.other_units ?| cast(:other_units as text[])"
    others = f"bool_or({others})" if function else others
    return f"({' or '.join([*wide, f'coalesce({others}, false)'])})"


def _unit_values(wanted: Slice) -> dict[str, Any]:
    units = wanted.filters.get("unit")
    if units is None:
        return {}
    others = [unit for unit in units if unit is not None and unit not in WIDE_UNITS]
    return {**{f"unit_{unit}": unit in units for unit in WIDE_UNITS}, "other_units": others}
