"""Reading hourly sums, grouped in SQL as wide as they are stored and turned into units afterwards.

The stretches of hours that a group may not cross (days of the zone, hours at which a price changes) go into the query
as an array; so a month of some hundred thousand parts comes back as the few thousand groups that can differ in money.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from billing.rating import UsageSum

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDE_UNITS = (
    "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_tokens",
    "output_tokens", "reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "image_input_tokens",
    "image_output_tokens", "video_input_tokens", "web_searches", "requests",
)  # fmt: skip
"""The units with a column of their own in usage_part; the others stand in `other_units`."""

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
_PRICED_BY = ("provider", "model", "service_tier", "region", "status = 'cached'")


def read_sums(
    connection: Connection, first_hour: int, end_hour: int, cuts: Sequence[int], dimensions: Sequence[str]
) -> Iterator[UsageSum]:
    """The sums of [first_hour, end_hour) by the named payer and route dimensions and by what prices depend on.

    No sum crosses one of `cuts` (UTC hours). Both queries must see one state: call it in a snapshot. Sums that cancel
    out (use that was attributed again) are left out.
    """
    edges = sorted({first_hour, *(cut for cut in cuts if first_hour < cut < end_hour)})
    # Compiling the query costs more than it saves, and groups that do not fit into memory are sorted on disk.
    connection.execute(text("select set_config('jit', 'off', true), set_config('work_mem', '128MB', true)"))
    for statement, is_wide in ((_wide(dimensions), True), (_other(dimensions), False)):
        rows = connection.execute(text(statement), {"edges": edges, "first_hour": first_hour, "end_hour": end_hour})
        for row in rows:
            segment, band, provider, model, tier, region, cached, *rest = row
            values = rest[len(dimensions) :]
            units = zip(WIDE_UNITS, values, strict=True) if is_wide else ((values[0], values[1]),)
            quantities = tuple((unit, int(quantity)) for unit, quantity in units if quantity)
            if quantities:
                yield UsageSum(
                    tuple(rest[: len(dimensions)]),
                    edges[segment - 1],
                    provider,
                    model,
                    tier,
                    region,
                    band,
                    cached,
                    quantities,
                )


def first_and_last_hour(connection: Connection) -> tuple[int, int] | None:
    """The first and the last UTC hour that hold usage, or None."""
    row = connection.execute(text("select min(hour), max(hour) from usage_part")).one()
    return None if row[0] is None else (int(row[0]), int(row[1]))


def _grouping(dimensions: Sequence[str]) -> tuple[str, str, str]:
    """SQL for the first payer and the first route that are the same for our purpose, and for the columns shown."""
    payer_columns = [PAYER_DIMENSIONS[name] for name in dimensions if name in PAYER_DIMENSIONS]
    route_columns = [*_PRICED_BY, *(ROUTE_DIMENSIONS[name] for name in dimensions if name in ROUTE_DIMENSIONS)]
    payers = f"min(id) over (partition by {', '.join(payer_columns)})" if payer_columns else "0"
    routes = f"min(id) over (partition by {', '.join(route_columns)})"
    shown = [f"y.{PAYER_DIMENSIONS[n]}" if n in PAYER_DIMENSIONS else f"r.{ROUTE_DIMENSIONS[n]}" for n in dimensions]
    return payers, routes, "".join(f", {column}" for column in shown)


def _query(dimensions: Sequence[str], columns: str, source: str, extra_group: str, sums: str) -> str:
    payers, routes, shown = _grouping(dimensions)
    return f"""
      with payers as (select id, {payers} as first_id from payer),
           routes as (select id, {routes} as first_id from route),
           sums as (
             select width_bucket(p.hour, cast(:edges as integer[])) as segment, p.band, r.first_id as route_id,
                    y.first_id as payer_id, {columns}
             from {source}
             join routes r on r.id = p.route_id
             join payers y on y.id = p.payer_id
             where p.hour >= :first_hour and p.hour < :end_hour
             group by 1, 2, 3, 4{extra_group})
      select s.segment, s.band, r.provider, r.model, r.service_tier, r.region, r.status = 'cached'{shown}, {sums}
      from sums s
      join route r on r.id = s.route_id
      left join payer y on y.id = s.payer_id"""


def _wide(dimensions: Sequence[str]) -> str:
    columns = ", ".join(f"sum(p.{unit})::bigint as {unit}" for unit in WIDE_UNITS)
    return _query(dimensions, columns, "usage_part p", "", ", ".join(f"s.{unit}" for unit in WIDE_UNITS))


def _other(dimensions: Sequence[str]) -> str:
    return _query(
        dimensions,
        "o.key as unit, sum(o.value::bigint)::bigint as quantity",
        "(select * from usage_part where other_units is not null) p cross join lateral jsonb_each_text(other_units) o",
        ", 5",
        "s.unit, s.quantity",
    )
