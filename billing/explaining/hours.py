"""The hourly sums of one department, as they are stored: by UTC hour, route, prompt-length band and reason.

Reads only parts of the month's hours and of the department's payers. Sums are not merged over reasons, so that a sum
that a change of roster, a threshold or a copy moved shows why it is what it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text

from billing.rating import UsageSum
from billing.sums import WIDE_UNITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from billing.charges import Department


@dataclass(frozen=True, slots=True)
class Route:
    """Where use went, as far as prices and people ask."""

    id: int
    source: str
    provider: str
    model: str
    account: str | None
    service_tier: str
    region: str | None
    status: str

    @property
    def is_cached(self) -> bool:
        """Whether the gateway's cache answered."""
        return self.status == "cached"


class HourSum(NamedTuple):
    """The parts of one hour (UTC, since 1970), route, band and reason for one unit, added up; `parts` counts them.
    Where several hours are added up `hour` is one of them, and `hours` holds all."""

    hour: int
    route_id: int
    band: int
    reason: str
    unit: str
    parts: int
    quantity: int
    hours: tuple[int, ...] = ()


_OF_PAYERS = "join (select distinct unnest(cast(:payers as integer[])) as id) y on y.id = p.payer_id"
"""A join, which hashes a hundred people, where `= any` goes through them for every part."""


def read_routes(connection: Connection, provider: str | None = None, model: str | None = None) -> dict[int, Route]:
    """Routes by id: all, or those of one model of one provider, by their exact names."""
    where = "" if provider is None else "where provider = :provider and model = :model"
    rows = connection.execute(
        text(f"select id, source, provider, model, account, service_tier, region, status from route {where}"),
        {} if provider is None else {"provider": provider, "model": model},
    )
    return {row.id: Route(*row) for row in rows}


def read_payers(connection: Connection, department: Department) -> list[int]:
    """The ids of everybody who pays into a department."""
    return list(
        connection.execute(
            text("select id from payer where department is not distinct from cast(:department as text) order by id"),
            {"department": department},
        ).scalars()
    )


def read_unit_hours(
    connection: Connection, span: tuple[int, int], payers: Sequence[int], routes: Iterable[int], unit: str
) -> list[HourSum]:
    """The sums of one unit in the half-open UTC hours of `span`, by hour; those that came to 0 included."""
    column = f"p.{unit}" if unit in WIDE_UNITS else "(p.other_units ->> :unit)::bigint"
    rows = connection.execute(
        text(f"""
        select p.hour, p.route_id, p.band, p.reason, count(*) as parts, sum({column})::bigint as quantity
        from usage_part p {_OF_PAYERS}
        where p.hour >= :first_hour and p.hour < :end_hour and p.route_id = any(:routes)
          and {column} is not null
        group by 1, 2, 3, 4 order by 1, 2, 3, 4"""),
        {
            "first_hour": span[0],
            "end_hour": span[1],
            "payers": list(payers),
            "routes": list(routes),
            **({} if unit in WIDE_UNITS else {"unit": unit}),
        },
    )
    return [HourSum(row.hour, row.route_id, row.band, row.reason, unit, row.parts, row.quantity) for row in rows]


def read_all_hours(
    connection: Connection, span: tuple[int, int], payers: Sequence[int], cuts: Iterable[int]
) -> list[HourSum]:
    """The sums of every unit of a department in the half-open UTC hours of `span`, added up over the hours between two
    `cuts`, at which a price may change: a month has tens of thousands of hours by route, and tens of these."""
    edges = sorted({span[0], *cuts})
    source = f"usage_part p {_OF_PAYERS}"
    where = "p.hour >= :first_hour and p.hour < :end_hour"
    values = {"first_hour": span[0], "end_hour": span[1], "payers": list(payers), "edges": edges}
    counted = ", ".join(f"count(p.{unit}) as {unit}_parts, sum(p.{unit})::bigint as {unit}" for unit in WIDE_UNITS)
    columns = ", ".join(
        f"sum({unit}_parts)::bigint, sum({unit})::bigint, array_agg(hour) filter (where {unit}_parts > 0)"
        for unit in WIDE_UNITS
    )
    wide = connection.execute(
        text(f"""
        select route_id, band, reason, sum(others), {columns}
        from (select p.hour, p.route_id, p.band, p.reason, count(p.other_units) as others, {counted}
              from {source} where {where} group by 1, 2, 3, 4) by_hour
        group by width_bucket(hour, cast(:edges as integer[])), 1, 2, 3"""),
        values,
    )
    found, has_others = [], False
    for route_id, band, reason, others, *cells in wide:
        has_others = has_others or others > 0
        for unit, parts, quantity, hours in zip(WIDE_UNITS, cells[::3], cells[1::3], cells[2::3], strict=True):
            if parts:
                found.append(HourSum(min(hours), route_id, band, reason, unit, parts, int(quantity), tuple(hours)))
    if not has_others:
        return sorted(found)
    other = connection.execute(
        text(f"""
        select p.hour, p.route_id, p.band, p.reason, o.key, count(*), sum(o.value::bigint)::bigint
        from {source} cross join lateral jsonb_each_text(p.other_units) o
        where {where} and p.other_units is not null group by 1, 2, 3, 4, 5"""),
        values,
    )
    return sorted(found) + sorted(HourSum(*row) for row in other)


def usage_sums(hours: Iterable[HourSum], routes: dict[int, Route]) -> list[UsageSum]:
    """Each hour's sum as rating takes it, with the HourSum as its only dimension."""
    made = []
    for one in hours:
        route = routes[one.route_id]
        made.append(
            UsageSum(
                (one,), one.hour, route.provider, route.model, route.service_tier, route.region, one.band,
                route.is_cached, ((one.unit, one.quantity),),
            )
        )  # fmt: skip
    return made
