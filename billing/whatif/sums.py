"""Kept sums of a month for what-if: grouped in SQL once for each distinct question to the price book.

Sums of parts are first added up by stretches of hours in which neither a price nor a rate of exchange changes, then by
stretches in which no price changes, each quantity also times the rate of its stretch: exactly, as numeric.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from billing.parts import Source, add_up_in_memory, read_source
from billing.whatif.compare import KeptSum, KeptUnit, Weight

if TYPE_CHECKING:
    from billing.charges import Department
    from billing.fx_policy import Conversion

Question = tuple[str, str, str, str | None, bool]
"""(provider, model, tier, region, from the gateway's cache)."""
Biller = tuple[str, str | None]
"""(provider, account): what decides whose rate of exchange holds."""

_PARTS = """
  from {source} p
  join unnest(cast(:route_ids as integer[]), cast(:questions as integer[]), cast(:billers as integer[]))
    as m (route_id, question, biller) on m.route_id = p.route_id
  join unnest(cast(:payer_ids as integer[]), cast(:departments as integer[]))
    as y (payer_id, department) on y.payer_id = p.payer_id"""
_RATES = """
  join unnest(cast(:rate_stretches as integer[]), cast(:rate_billers as integer[]),
              cast(:segments as integer[]){arrays})
    as x (stretch, biller, segment{names}) on x.stretch = s.stretch and x.biller = s.biller"""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Routes and payers as small numbers, so that SQL groups by integers."""

    questions: Sequence[Question]
    billers: Sequence[Biller]
    departments: Sequence[Department]
    values: Mapping[str, list[int]]


def read_numbers(connection: Connection) -> Numbers:
    """Every route and payer; the connection is a snapshot."""
    routes = connection.execute(
        text("select id, provider, model, service_tier, region, status = 'cached', account from route order by id")
    ).all()
    payers = connection.execute(text("select id, department from payer order by id")).all()
    questions = {question: place for place, question in enumerate(dict.fromkeys(tuple(row)[1:6] for row in routes))}
    billers = {biller: place for place, biller in enumerate(dict.fromkeys((row[1], row[6]) for row in routes))}
    departments = {code: place for place, code in enumerate(dict.fromkeys(row[1] for row in payers))}
    return Numbers(
        list(questions),
        list(billers),
        list(departments),
        {
            "route_ids": [row[0] for row in routes],
            "questions": [questions[tuple(row)[1:6]] for row in routes],
            "billers": [billers[row[1], row[6]] for row in routes],
            "payer_ids": [row[0] for row in payers],
            "departments": [departments[row[1]] for row in payers],
        },
    )


def read_kept_sums(
    connection: Connection, conversion: Conversion, numbers: Numbers, cuts: Iterable[int], currencies: Sequence[str]
) -> list[KeptSum]:
    """The sums of the conversion's month. `cuts`: UTC hours at which some price changes; `currencies`: of prices, other
    than the statements'."""
    month = conversion.month
    price_edges = [month.first_hour, *sorted(hour for hour in set(cuts) if month.first_hour < hour < month.end_hour)]
    edges = sorted({*price_edges, *month.day_hours, *conversion.cuts()})
    values = {
        **numbers.values,
        **_rates(conversion, numbers, edges, price_edges, currencies),
        "edges": edges,
    }
    source = read_source(connection, month.first_hour, month.end_hour, edges)
    values |= source.values
    add_up_in_memory(connection)
    found: dict[tuple[Any, ...], list[KeptUnit]] = {}
    present = source.units
    for row in connection.execute(text(_wide(source, len(currencies))), values) if present else ():
        key, cells = tuple(row[:4]), row[4:]
        units = found.setdefault(key, [])
        step = 1 + 2 * len(currencies)
        for place, unit in enumerate(present):
            taken = cells[place * step : (place + 1) * step]
            if taken[0]:
                units.append(_unit(unit, taken, currencies))
    for row in connection.execute(text(_other(source, len(currencies))), values) if source.has_others else ():
        if row[5]:
            found.setdefault(tuple(row[:4]), []).append(_unit(row[4], row[5:], currencies))
    made = []
    for (segment, band, question, department), units in found.items():
        provider, model, tier, region, cached = numbers.questions[question]
        hour = price_edges[segment]
        made.append(
            KeptSum(numbers.departments[department], hour, provider, model, tier, region, band, cached, tuple(units))
        )
    return made


def _unit(unit: str, cells: Sequence[Any], currencies: Sequence[str]) -> KeptUnit:
    weights = {
        currency: Weight(cells[1 + 2 * place] or Decimal(0), int(cells[2 + 2 * place] or 0))
        for place, currency in enumerate(currencies)
    }
    return KeptUnit(unit, int(cells[0]), weights)


def _rates(
    conversion: Conversion,
    numbers: Numbers,
    edges: Sequence[int],
    price_edges: Sequence[int],
    currencies: Sequence[str],
) -> dict[str, list[Any]]:
    """The rate of each stretch and biller, and the stretch of prices that it lies in, as arrays side by side."""
    stretches: list[int] = []
    billers: list[int] = []
    segments: list[int] = []
    rates: list[list[str | None]] = [[] for _ in currencies]
    segment = 0
    for place, hour in enumerate(edges, 1):
        while segment + 1 < len(price_edges) and price_edges[segment + 1] <= hour:
            segment += 1
        for number, (provider, account) in enumerate(numbers.billers):
            stretches.append(place)
            billers.append(number)
            segments.append(segment)
            for column, currency in zip(rates, currencies, strict=True):
                _, row = conversion.for_use(provider, account, hour, currency)
                column.append(None if row is None else format(row.rate, "f"))
    named = {f"rates_{place}": column for place, column in enumerate(rates)}
    return {"rate_stretches": stretches, "rate_billers": billers, "segments": segments, **named}


def _rates_join(currencies: int) -> str:
    arrays = "".join(f", cast(:rates_{place} as numeric[])" for place in range(currencies))
    names = "".join(f", rate_{place}" for place in range(currencies))
    return _RATES.format(arrays=arrays, names=names)


def _weighted(column: str, currencies: int) -> str:
    """The sum of a quantity, and for each currency the sum of its products and of what no rate converts."""
    parts = [f"sum({column})"]
    for place in range(currencies):
        parts += [f"sum({column} * x.rate_{place})", f"sum({column}) filter (where x.rate_{place} is null)"]
    return ", ".join(parts)


def _wide(source: Source, currencies: int) -> str:
    sums = ", ".join(f"sum(p.{unit})::bigint as {unit}" for unit in source.units)
    weighted = ", ".join(_weighted(f"s.{unit}", currencies) for unit in source.units)
    return f"""
      with s as materialized (
        select width_bucket(p.hour, cast(:edges as integer[])) as stretch, p.band, m.question, m.biller, y.department,
               {sums}
        {_PARTS.format(source=source.sql)}
        group by 1, 2, 3, 4, 5)
      select x.segment, s.band, s.question, s.department, {weighted}
      from s {_rates_join(currencies)} group by 1, 2, 3, 4"""


def _other(source: Source, currencies: int) -> str:
    return f"""
      with s as materialized (
        select width_bucket(p.hour, cast(:edges as integer[])) as stretch, p.band, m.question, m.biller, y.department,
               o.key as unit, sum(o.value::bigint)::bigint as quantity
        {_PARTS.format(source=source.sql)}
        cross join lateral jsonb_each_text(p.other_units) o
        group by 1, 2, 3, 4, 5, 6)
      select x.segment, s.band, s.question, s.department, s.unit, {_weighted("s.quantity", currencies)}
      from s {_rates_join(currencies)} group by 1, 2, 3, 4, 5"""
