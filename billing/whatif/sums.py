"""Kept sums of a month for what-if: grouped in SQL once for each distinct question to the price book.

What prices are asked for (stretch of hours, prompt-length band, route) becomes a class: everything for which both books
answer alike, row by row. So a band that no price of a model knows, and an hour at which another model's price changes,
cut nothing. Quantities are added up by class and department, each also times the rate of exchange of its stretch:
exactly, as numeric.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
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

Alike = Callable[[Question, int, int, Sequence[str]], Hashable]
"""What both books answer for a question, a band and a UTC hour, unit by unit: equal where nothing differs in money."""

_DEPARTMENTS = """
  join unnest(cast(:payer_ids as integer[]), cast(:departments as integer[]))
    as y (payer_id, department) on y.payer_id = p.payer_id"""
_PLACES = """
  with x as materialized (
    select * from unnest(cast(:stretches as integer[]), cast(:bands as bigint[]), cast(:routes as integer[]),
                         cast(:classes as integer[]){arrays}) as x (stretch, band, route_id, class{names}))"""
_OF_PLACE = "x.stretch = p.stretch and x.band = p.band and x.route_id = p.route_id"


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
    connection: Connection,
    conversion: Conversion,
    numbers: Numbers,
    cuts: Iterable[int],
    rate_edges: Iterable[int],
    currencies: Sequence[str],
    alike: Alike,
) -> list[KeptSum]:
    """The sums of the conversion's month. `cuts`: UTC hours at which some price changes; `rate_edges`: at which some
    rate of exchange does; `currencies`: of prices, other than the statements'; `alike` says which sums are kept as one:
    that has the hour and the band of any of them."""
    month = conversion.month
    price_edges = [month.first_hour, *sorted(hour for hour in set(cuts) if month.first_hour < hour < month.end_hour)]
    edges = sorted({*price_edges, *rate_edges, *conversion.cuts()})
    source = read_source(connection, month.first_hour, month.end_hour, edges)
    add_up_in_memory(connection)
    places = _Places(numbers, alike, [*source.units, *_other_units(connection, source)])
    places.fill(conversion, edges, price_edges, currencies, _bands(connection, source))
    values = {**source.values, **places.values, "edges": edges, "payer_ids": numbers.values["payer_ids"],
              "departments": numbers.values["departments"]}  # fmt: skip
    found: dict[tuple[int, int], list[KeptUnit]] = {}
    step = 1 + 2 * len(currencies)
    for row in connection.execute(text(_wide(source, len(currencies))), values) if source.units else ():
        units = found.setdefault((row[0], row[1]), [])
        for place, unit in enumerate(source.units):
            first = 2 + place * step
            if row[first]:
                units.append(_unit(unit, row[first : first + step], currencies))
    for row in connection.execute(text(_other(source, len(currencies))), values) if source.has_others else ():
        if row[3]:
            found.setdefault((row[0], row[1]), []).append(_unit(row[2], row[3:], currencies))
    return [
        KeptSum(numbers.departments[department], *places.kept[of_class], tuple(units))
        for (of_class, department), units in found.items()
    ]


def _other_units(connection: Connection, source: Source) -> list[str]:
    if not source.has_others:
        return []
    units = "cross join lateral jsonb_object_keys(p.other_units) unit"
    query = f"select distinct unit from {source.sql} p {units} order by 1"
    return list(connection.execute(text(query), source.values).scalars())


def _bands(connection: Connection, source: Source) -> list[int]:
    return list(connection.execute(text(f"select distinct band from {source.sql} p"), source.values).scalars())


class _Places:
    """Every stretch, band and route with its class and the rates of exchange that hold there, as arrays side by side.

    `kept` has for each class what a KeptSum says of it, from hour to cached.
    """

    def __init__(self, numbers: Numbers, alike: Alike, units: Sequence[str]) -> None:
        self._numbers = numbers
        self._alike = alike
        self._units = units
        self._classes: dict[Hashable, int] = {}
        self._known: dict[tuple[int, int, int], int] = {}
        self.kept: list[tuple[int, str, str, str, str | None, int, bool]] = []
        self.values: dict[str, list[Any]] = {}

    def fill(
        self,
        conversion: Conversion,
        edges: Sequence[int],
        price_edges: Sequence[int],
        currencies: Sequence[str],
        bands: Sequence[int],
    ) -> None:
        """Make the arrays. `edges`: the hours at which stretches begin; `price_edges`: those of prices among them."""
        columns: list[list[Any]] = [[], [], [], []]
        rates: list[list[str | None]] = [[] for _ in currencies]
        named = self._numbers.values
        routes = list(zip(named["route_ids"], named["questions"], named["billers"], strict=True))
        segment = 0
        for stretch, hour in enumerate(edges, 1):
            while segment + 1 < len(price_edges) and price_edges[segment + 1] <= hour:
                segment += 1
            held = []
            for provider, account in self._numbers.billers:
                rows = [conversion.for_use(provider, account, hour, currency)[1] for currency in currencies]
                held.append([None if row is None else format(row.rate, "f") for row in rows])
            for route, question, biller in routes:
                for band in bands:
                    place = (stretch, band, route, self._class_of(question, band, price_edges[segment]))
                    for column, cell in zip(columns, place, strict=True):
                        column.append(cell)
                    for of_currency, rate in zip(rates, held[biller], strict=True):
                        of_currency.append(rate)
        self.values = dict(zip(("stretches", "bands", "routes", "classes"), columns, strict=True))
        self.values |= {f"rates_{place}": column for place, column in enumerate(rates)}

    def _class_of(self, question: int, band: int, hour: int) -> int:
        known = self._known.get((question, band, hour))
        if known is None:
            asked = self._numbers.questions[question]
            answer = self._alike(asked, band, hour, self._units)
            known = self._classes.get(answer)
            if known is None:
                known = self._classes[answer] = len(self.kept)
                provider, model, tier, region, cached = asked
                self.kept.append((hour, provider, model, tier, region, band, cached))
            self._known[question, band, hour] = known
        return known


def _unit(unit: str, cells: Sequence[Any], currencies: Sequence[str]) -> KeptUnit:
    weights = {
        currency: Weight(cells[1 + 2 * place] or Decimal(0), int(cells[2 + 2 * place] or 0))
        for place, currency in enumerate(currencies)
    }
    return KeptUnit(unit, int(cells[0]), weights)


def _with_places(currencies: int) -> str:
    arrays = "".join(f", cast(:rates_{place} as numeric[])" for place in range(currencies))
    names = "".join(f", rate_{place}" for place in range(currencies))
    return _PLACES.format(arrays=arrays, names=names)


def _weighted(column: str, currencies: int) -> str:
    """The sum of a quantity, and for each currency the sum of its products and of what no rate converts."""
    parts = [f"sum({column})"]
    for place in range(currencies):
        parts += [f"sum({column} * x.rate_{place})", f"sum({column}) filter (where x.rate_{place} is null)"]
    return ", ".join(parts)


def _wide(source: Source, currencies: int) -> str:
    """Rolled days are few and multiplied one by one; hourly parts are added up as whole numbers before."""
    stretch = "width_bucket(p.hour, cast(:edges as integer[]))"
    weighted = ", ".join(_weighted(f"p.{unit}", currencies) for unit in source.units)
    if source.is_rolled:
        return f"""{_with_places(currencies)}
          select x.class, y.department, {weighted}
          from {source.sql} p {_DEPARTMENTS}
          join x on {_OF_PLACE.replace("p.stretch", stretch)} group by 1, 2"""
    sums = ", ".join(f"sum(p.{unit})::bigint as {unit}" for unit in source.units)
    return f"""{_with_places(currencies)},
      s as materialized (
        select {stretch} as stretch, p.band, p.route_id, y.department, {sums} from {source.sql} p {_DEPARTMENTS}
        group by 1, 2, 3, 4)
      select x.class, p.department, {weighted} from s p join x on {_OF_PLACE} group by 1, 2"""


def _other(source: Source, currencies: int) -> str:
    return f"""{_with_places(currencies)},
      s as materialized (
        select width_bucket(p.hour, cast(:edges as integer[])) as stretch, p.band, p.route_id, y.department,
               o.key as unit, sum(o.value::bigint)::bigint as quantity
        from {source.sql} p {_DEPARTMENTS} cross join lateral jsonb_each_text(p.other_units) o
        group by 1, 2, 3, 4, 5)
      select x.class, p.department, p.unit, {_weighted("p.quantity", currencies)}
      from s p join x on {_OF_PLACE} group by 1, 2, 3"""
