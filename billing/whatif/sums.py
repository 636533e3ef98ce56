"""Kept sums of a month for what-if: grouped in SQL once for each distinct question to the price book.

What prices are asked for (stretch of hours, prompt-length band, route) becomes a class: everything for which both books
answer alike, row by row. So a band that no price of a model knows, and an hour at which another model's price changes,
cut nothing. Quantities are added up by class and department, each also times the rate of exchange of its stretch, as a
whole number of its last digit. PostgreSQL multiplies in 64 bits, where it refuses what does not fit; then the query is
asked again in numeric, which holds everything and takes longer.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError

from billing.money import exact
from billing.parts import Source, add_up_in_memory, read_source
from billing.whatif.compare import Columns, Kept, Question

if TYPE_CHECKING:
    from decimal import Decimal

    from billing.charges import Department
    from billing.cuts import Model
    from billing.fx_policy import Conversion

Asking = tuple[str, str, str, str | None, bool]
"""(provider, model, tier, region, from the gateway's cache)."""
Biller = tuple[str, str | None]
"""(provider, account): what decides whose rate of exchange holds."""

Alike = Callable[[Asking, int, int, Sequence[str]], Hashable]
"""What both books answer for a question, a band and a UTC hour, unit by unit: equal where nothing differs in money."""
OUT_OF_RANGE = "22003"
"""SQLSTATE numeric_value_out_of_range."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Routes and payers as small numbers, so that SQL groups by integers."""

    questions: Sequence[Asking]
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


@dataclass(frozen=True, slots=True)
class Edges:
    """UTC hours within a month at which money changes: some price (with the models that it is of, where only they
    change), or some rate of exchange; and prompt lengths at which some price does. `currencies`: of prices, other than
    the statements'."""

    prices: Iterable[int]
    models_at: Mapping[int, frozenset[Model]]
    rates: Iterable[int]
    prompts: Iterable[int]
    currencies: tuple[str, ...]


def read_kept_sums(
    connection: Connection, conversion: Conversion, numbers: Numbers, edges: Edges, alike: Alike
) -> Iterator[Kept]:
    """The sums of the conversion's month, a table for the units with columns and one for each other unit; `alike` says
    which are kept as one: that has the hour and the band of any of them."""
    month = conversion.month
    price_hours = [month.first_hour, *sorted(hour for hour in set(edges.prices)
                                             if month.first_hour < hour < month.end_hour)]  # fmt: skip
    hours = sorted({*price_hours, *edges.rates, *conversion.cuts()})
    source = read_source(connection, month.first_hour, month.end_hour, hours, models_at=edges.models_at)
    add_up_in_memory(connection)
    others = _other_units(connection, source)
    rates = _Rates(conversion, numbers, hours, edges.currencies)
    classes = _Classes(numbers, alike, [*source.units, *others], price_hours, sorted({0, *edges.prompts}))
    values = {**source.values, **rates.values, **classes.values, "payer_ids": numbers.values["payer_ids"],
              "departments": numbers.values["departments"]}  # fmt: skip

    def table(units: tuple[str, ...], source_sql: str) -> Kept:
        columns = Columns(units, edges.currencies, rates.digits, rates.has_gaps)
        names = [f"p.{unit}" for unit in units] if units == source.units else ["p.quantity"]
        rows = _read_rows(connection, source_sql, names, columns, values)
        return Kept(classes.kept, numbers.departments, columns, rows)

    if source.units:
        yield table(source.units, source.sql)
    for unit in others:
        values["unit"] = unit
        yield table((unit,), f"""
          (select hour, band, route_id, payer_id, (other_units ->> :unit)::bigint as quantity from {source.sql} o
           where other_units ? :unit)""")  # fmt: skip


def _other_units(connection: Connection, source: Source) -> list[str]:
    if not source.has_others:
        return []
    units = "cross join lateral jsonb_object_keys(p.other_units) unit"
    query = f"select distinct unit from {source.sql} p {units} order by 1"
    return list(connection.execute(text(query), source.values).scalars())


class _Classes:
    """Every price's stretch of hours, prompt-length band and route with its class, as arrays side by side.

    `kept` has for each class the question that is asked for it.
    """

    def __init__(
        self, numbers: Numbers, alike: Alike, units: Sequence[str], hours: Sequence[int], prompts: Sequence[int]
    ) -> None:
        self.kept: list[Question] = []
        classes: dict[Hashable, int] = {}
        of_question: dict[tuple[int, int, int], int] = {}
        for segment, hour in enumerate(hours, 1):
            for bucket, band in enumerate(prompts, 1):
                for place, asking in enumerate(numbers.questions):
                    answer = alike(asking, band, hour, units)
                    if answer not in classes:
                        classes[answer] = len(self.kept)
                        provider, model, tier, region, cached = asking
                        self.kept.append(Question(hour, provider, model, tier, region, band, cached))
                    of_question[segment, bucket, place] = classes[answer]
        routes = list(zip(numbers.values["route_ids"], numbers.values["questions"], strict=True))
        rows = [(segment, bucket, route, of_question[segment, bucket, question])
                for segment in range(1, len(hours) + 1) for bucket in range(1, len(prompts) + 1)
                for route, question in routes]  # fmt: skip
        columns = zip(*rows, strict=True) if rows else [()] * 4
        self.values: dict[str, Any] = {"price_hours": list(hours), "prompts": list(prompts)}
        self.values |= dict(zip(("segments", "buckets", "routes", "classes"), map(list, columns), strict=True))


class _Rates:
    """Every stretch of hours in which no rate changes, and route, with the rates of exchange that hold there: whole
    numbers of 10**-digits, as arrays side by side. `has_gaps`: somewhere there is none."""

    def __init__(
        self, conversion: Conversion, numbers: Numbers, hours: Sequence[int], currencies: Sequence[str]
    ) -> None:
        held: dict[tuple[int, int], list[Decimal | None]] = {}
        for stretch, hour in enumerate(hours, 1):
            for place, (provider, account) in enumerate(numbers.billers):
                rows = [conversion.for_use(provider, account, hour, currency)[1] for currency in currencies]
                held[stretch, place] = [None if row is None else row.rate for row in rows]
        known = {rate for rates in held.values() for rate in rates if rate is not None}
        self.digits = max([0, *(-int(rate.as_tuple().exponent) for rate in known)])
        self.has_gaps = any(None in rates for rates in held.values())
        with exact():
            scaled = {rate: int(rate.scaleb(self.digits)) for rate in known}
        routes = list(zip(numbers.values["route_ids"], numbers.values["billers"], strict=True))
        places = [(stretch, route, biller) for stretch in range(1, len(hours) + 1) for route, biller in routes]
        self.values: dict[str, Any] = {
            "hours": list(hours),
            "stretches": [stretch for stretch, _, _ in places],
            "rated_routes": [route for _, route, _ in places],
        }
        for number in range(len(currencies)):
            column = (held[stretch, biller][number] for stretch, _, biller in places)
            self.values[f"rates_{number}"] = [None if rate is None else scaled[rate] for rate in column]


def _read_rows(
    connection: Connection, source_sql: str, names: Sequence[str], columns: Columns, values: Mapping[str, Any]
) -> Sequence[Sequence[Any]]:
    """Rows of class, department and the columns' numbers."""
    try:
        with connection.begin_nested():
            return connection.execute(text(_query(source_sql, names, columns, "bigint")), values).all()
    except DataError as error:
        if getattr(error.orig, "sqlstate", None) != OUT_OF_RANGE:
            raise
    rows = connection.execute(text(_query(source_sql, names, columns, "numeric")), values)
    return [[int(cell) for cell in row] for row in rows]


def _query(source_sql: str, names: Sequence[str], columns: Columns, number: str) -> str:
    currencies = range(len(columns.currencies))
    sums = [f"sum({name})" for name in names]
    sums += [f"sum({name}::{number} * r.rate_{place})" for place in currencies for name in names]
    if columns.has_gaps:
        sums += [f"sum({name}) filter (where r.rate_{place} is null)" for place in currencies for name in names]
    shown = ", ".join(f"coalesce({one}, 0)::{number}" for one in sums)
    arrays = "".join(f", cast(:rates_{place} as {number}[])" for place in currencies)
    rated = "".join(f", rate_{place}" for place in currencies)
    return f"""
      select x.class, y.department, {shown}
      from {source_sql} p
      join unnest(cast(:payer_ids as integer[]), cast(:departments as integer[]))
        as y (payer_id, department) on y.payer_id = p.payer_id
      join unnest(cast(:segments as integer[]), cast(:buckets as integer[]), cast(:routes as integer[]),
                  cast(:classes as integer[])) as x (segment, bucket, route_id, class)
        on x.segment = width_bucket(p.hour, cast(:price_hours as integer[]))
        and x.bucket = width_bucket(p.band, cast(:prompts as bigint[])) and x.route_id = p.route_id
      join unnest(cast(:stretches as integer[]), cast(:rated_routes as integer[]){arrays})
        as r (stretch, route_id{rated})
        on r.stretch = width_bucket(p.hour, cast(:hours as integer[])) and r.route_id = p.route_id
      group by 1, 2"""
