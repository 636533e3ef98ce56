"""Reading sums, grouped in SQL as wide as they are stored and turned into units afterwards.

The stretches of hours that a group may not cross (days of the zone, hours at which a price changes) go into the query
as an array; so a month of some million parts comes back as the groups that can differ in money.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, text

from billing.parts import (
    NO_MODELS,
    WIDE_UNITS,
    Mark,
    Model,
    Source,
    add_up_in_memory,
    first_and_last_hour,
    read_new,
    read_own,
    read_source,
)
from billing.rating import UsageSum

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["WIDE_UNITS", "UsageSum", "first_and_last_hour", "read_sums"]

PAYER_DIMENSIONS = {"department": "department", "user": '"user"', "key": "key"}
ROUTE_DIMENSIONS = {
    "source": "source",
    "account": "account",
    "status": "status",
    "usage_source": "usage_source",
    "operation": "operation",
    "provider": "provider",
    "model": "model",
    "service_tier": "service_tier",
}
ROWS_AT_ONCE = 10_000
DEPARTMENTS_BY_PERSON = 3
"""Up to so many, the rolled sums of a department's people, found by their keys, are fewer than everybody's by day."""
Filters = Mapping[str, Sequence[str | None]]
"""Which values of payer and route dimensions, and of `unit`, are wanted; None is nobody, or nothing told."""
EVERYTHING: Final[Filters] = {}
_PRICED_BY = ("provider", "model", "service_tier", "region", "status = 'cached'")


def read_sums(
    connection: Connection, first_hour: int, end_hour: int, cuts: Sequence[int], dimensions: Sequence[str],
    filters: Filters = EVERYTHING, *, models_at: Mapping[int, Collection[Model]] = NO_MODELS,
) -> Iterator[UsageSum]:  # fmt: skip
    """The sums of [first_hour, end_hour) by the named payer and route dimensions and by what prices depend on.

    No sum crosses one of `cuts` (UTC hours); `models_at`: cuts that only sums of these models may not cross. Both
    queries must see one state: call it in a snapshot. Sums that cancel out (use that was attributed again) are left
    out. `filters`: only payers, routes and units of these values.
    """
    edges = sorted({first_hour, *(cut for cut in cuts if first_hour < cut < end_hour)})
    few = 0 < len(filters.get("department", ())) <= DEPARTMENTS_BY_PERSON
    by_person = few or any(name in ("user", "key") for name in (*dimensions, *filters))
    payers = filter_condition(PAYER_DIMENSIONS, filters) if filters.keys() & PAYER_DIMENSIONS.keys() else ""
    source = read_source(
        connection, first_hour, end_hour, edges, by_person=by_person, payers=payers, models_at=models_at
    )
    add_up_in_memory(connection)
    wanted = filters.get("unit")
    if wanted is None:
        yield from _sums_of(connection, source, edges, dimensions, filters)
        return
    others = source.has_others and any(unit not in WIDE_UNITS for unit in wanted)
    source = replace(source, units=tuple(unit for unit in source.units if unit in wanted), has_others=others)
    for one in _sums_of(connection, source, edges, dimensions, filters):
        kept = tuple(pair for pair in one.quantities if pair[0] in wanted)
        if kept:
            yield one._replace(quantities=kept)


def read_own_sums(
    connection: Connection, first_hour: int, end_hour: int, cuts: Sequence[int], user: str
) -> Iterator[UsageSum]:
    """One user's sums of [first_hour, end_hour), of whatever department paid. Call it in a snapshot."""
    edges = sorted({first_hour, *(cut for cut in cuts if first_hour < cut < end_hour)})
    source = read_own(connection, first_hour, end_hour, user)
    add_up_in_memory(connection)
    yield from _sums_of(connection, source, edges, ())


def read_new_sums(
    connection: Connection, first_hour: int, since: Mark, dimensions: Sequence[str]
) -> Iterator[UsageSum]:
    """What has been added to the sums of [first_hour, …) since an earlier snapshot, hour by hour; also what was taken
    away again. With the sums of that snapshot it gives those of this one."""
    source = read_new(connection, first_hour, since)
    hours = connection.execute(text(f"select distinct hour from {source.sql} p order by 1"), source.values).scalars()
    yield from _sums_of(connection, source, list(hours), dimensions)


def _sums_of(
    connection: Connection, source: Source, edges: Sequence[int], dimensions: Sequence[str],
    filters: Filters = EVERYTHING,
) -> Iterator[UsageSum]:  # fmt: skip
    width = len(dimensions)
    values = {**source.values, "edges": list(edges), **filter_values(filters)}
    if source.units:
        for row in _rows(connection, _wide(source, dimensions, filters), values):
            segment, band, provider, model, tier, region, cached, *rest = row
            quantities = tuple([pair for pair in zip(source.units, rest[width:], strict=True) if pair[1]])
            if quantities:
                named = tuple(rest[:width])
                yield UsageSum(named, edges[segment - 1], provider, model, tier, region, band, cached, quantities)
    if source.has_others:
        for row in _rows(connection, _other(source, dimensions, filters), values):
            segment, band, provider, model, tier, region, cached, *rest = row
            if rest[-1]:
                named, quantities = tuple(rest[:width]), ((rest[-2], rest[-1]),)
                yield UsageSum(named, edges[segment - 1], provider, model, tier, region, band, cached, quantities)


def _rows(connection: Connection, statement: str, values: dict[str, Any]) -> Iterator[Any]:
    """Rows by the thousand: asking for them one by one takes as long as making them."""
    for many in connection.execute(text(statement), values).partitions(ROWS_AT_ONCE):
        yield from many


def _grouping(dimensions: Sequence[str]) -> tuple[str, str, str]:
    """SQL for the first payer and the first route that are the same for our purpose, and for the columns shown."""
    payer_columns = [PAYER_DIMENSIONS[name] for name in dimensions if name in PAYER_DIMENSIONS]
    route_columns = [*_PRICED_BY, *(ROUTE_DIMENSIONS[name] for name in dimensions if name in ROUTE_DIMENSIONS)]
    payers = f"min(id) over (partition by {', '.join(payer_columns)})" if payer_columns else "0"
    routes = f"min(id) over (partition by {', '.join(route_columns)})"
    shown = [f"y.{PAYER_DIMENSIONS[n]}" if n in PAYER_DIMENSIONS else f"r.{ROUTE_DIMENSIONS[n]}" for n in dimensions]
    return payers, routes, "".join(f", {column}" for column in shown)


def filter_condition(columns: Mapping[str, str], filters: Filters) -> str:
    """SQL that a row of payer or route is of the wanted values; its values come from `filter_values`."""
    conditions = [
        f"({column} = any(cast(:only_{name} as text[])) or (:nothing_{name} and {column} is null))"
        for name, column in columns.items()
        if name in filters
    ]
    return " and ".join(conditions) or "true"


def filter_values(filters: Filters) -> dict[str, Any]:
    """The values of `filter_condition`."""
    found: dict[str, Any] = {}
    for name, wanted in filters.items():
        if name != "unit":
            found[f"only_{name}"] = [one for one in wanted if one is not None]
            found[f"nothing_{name}"] = None in wanted
    return found


def _query(
    source: str, dimensions: Sequence[str], filters: Filters, columns: str, extra_group: str, sums: str
) -> str:
    payers, routes, shown = _grouping(dimensions)
    return f"""
      with payers as (select id, {payers} as first_id from payer where {filter_condition(PAYER_DIMENSIONS, filters)}),
           routes as (select id, {routes} as first_id from route where {filter_condition(ROUTE_DIMENSIONS, filters)}),
           sums as (
             select width_bucket(p.hour, cast(:edges as integer[])) as segment, p.band, r.first_id as route_id,
                    y.first_id as payer_id, {columns}
             from {source}
             join routes r on r.id = p.route_id
             join payers y on y.id = p.payer_id
             group by 1, 2, 3, 4{extra_group})
      select s.segment, s.band, r.provider, r.model, r.service_tier, r.region, r.status = 'cached'{shown}, {sums}
      from sums s
      join route r on r.id = s.route_id
      left join payer y on y.id = s.payer_id"""


def _wide(source: Source, dimensions: Sequence[str], filters: Filters) -> str:
    columns = ", ".join(f"sum(p.{unit})::bigint as {unit}" for unit in source.units)
    sums = ", ".join(f"s.{unit}" for unit in source.units)
    return _query(f"{source.sql} p", dimensions, filters, columns, "", sums)


def _other(source: Source, dimensions: Sequence[str], filters: Filters) -> str:
    return _query(
        f"{source.sql} p cross join lateral jsonb_each_text(p.other_units) o",
        dimensions,
        filters,
        "o.key as unit, sum(o.value::bigint)::bigint as quantity",
        ", 5",
        "s.unit, s.quantity",
    )
