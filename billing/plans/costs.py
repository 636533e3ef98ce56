"""Exact costs of a month by person, or by department and day, in the currency of the statements.

A statement is made of few groups, so Python prices it; ten thousand people times thirty days are many. So only what
one unit costs is worked out here, for each place (stretch of hours, prompt band, route): the price of the row in force
times the rate of exchange. PostgreSQL multiplies and adds, in `numeric`, which is exact.

These are costs at the price of each row, with the tax that is computed on them (`billing.tax`). What a contract takes
off the month as a whole (volume tiers) belongs to no person; it stays between the sum over people and the statement's
total, like shared costs and corrections.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text

from billing.money import exact
from billing.plans.seats import Payer
from billing.rating import UsageSum, rate
from billing.statements import read_conversion
from billing.store import read_book
from billing.sums import WIDE_UNITS, read_sums
from billing.tax import is_computed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from billing.charges import Department
    from billing.invoices.vendors import Vendor
    from billing.periods import Month
    from billing.policy import MoneyPolicy

RouteKey = tuple[str, str, str, str | None, bool, str | None]
"""What a price and a rate depend on: provider, model, service tier, region, answered from the cache, account."""
NOUGHT = Decimal(0)


class _Place(NamedTuple):
    """Where one price holds: a stretch of hours (counted from 1), a prompt band, the first route of its kind."""

    stretch: int
    band: int
    route_id: int


@dataclass(slots=True)
class _Factors:
    """What one unit costs at each place, by unit; which stretch begins at which hour; which routes cost the same."""

    edges: list[int]
    first_route: dict[int, int]
    by_place: dict[_Place, dict[str, Decimal]] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, object]:
        """What both queries take."""
        return {
            "edges": self.edges,
            "route_ids": list(self.first_route),
            "first_ids": list(self.first_route.values()),
        }


def read_payer_costs(connection: Connection, month: Month, policy: MoneyPolicy) -> dict[Payer, Decimal]:
    """What each person's use of a month cost, by the department it counted for; the connection is a snapshot.

    What has no price or no rate has no cost, and is left out: `MonthTotals.unknown_quantity` says how much it is.
    """
    costs: dict[Payer, Decimal] = {}
    with exact():
        for _, user, department, cost in _read_costs(connection, month, policy, user='y."user"', stretch="1"):
            payer = Payer(user, department)
            costs[payer] = costs.get(payer, NOUGHT) + cost
    return costs


def read_daily_costs(
    connection: Connection, month: Month, policy: MoneyPolicy
) -> dict[date, dict[Department, Decimal]]:
    """What each department's use of each local day cost; days and departments without use are left out."""
    day_of = _day_of_hour(month)
    costs: dict[date, dict[Department, Decimal]] = {}
    with exact():
        for hour, _, department, cost in _read_costs(connection, month, policy, user="null", stretch="f.stretch"):
            day = costs.setdefault(day_of[hour], {})
            day[department] = day.get(department, NOUGHT) + cost
    return costs


def _read_costs(
    connection: Connection, month: Month, policy: MoneyPolicy, *, user: str, stretch: str
) -> Iterator[tuple[int, str | None, Department, Decimal]]:
    """(first hour of the stretch, user, department, cost). `user` and `stretch` are the SQL that tells them, or a
    constant where nobody asks."""
    factors = _read_factors(connection, month, policy)
    span = {"first_hour": month.first_hour, "end_hour": month.end_hour}
    for statement, given in _queries(factors, user=user, stretch=stretch):
        for row in connection.execute(text(statement), {**factors.parameters, **span, **given}):
            if row.cost:
                yield factors.edges[row.stretch - 1], row.who, row.department, row.cost


def _read_factors(connection: Connection, month: Month, policy: MoneyPolicy) -> _Factors:
    book, conversion = read_book(connection), read_conversion(connection, month, policy)
    span = (month.first_hour, month.end_hour)
    cuts = book.cuts(*span) | set(month.day_hours) | conversion.cuts()
    edges = sorted({month.first_hour, *(cut for cut in cuts if month.first_hour < cut < month.end_hour)})
    routes: dict[RouteKey, list[int]] = {}
    rows = connection.execute(
        text("select id, provider, model, service_tier, region, status = 'cached', account from route order by id")
    )
    for route_id, *key in rows:
        routes.setdefault(tuple(key), []).append(route_id)
    factors = _Factors(edges, {route_id: ids[0] for ids in routes.values() for route_id in ids})
    stretch_of = {hour: place for place, hour in enumerate(edges, start=1)}
    sums = read_sums(connection, *span, edges, ("account",))
    with exact():
        for part in rate(sums, book):
            if part.price is None:
                continue
            usage, currency = part.usage, part.price.currency
            foreign = None if currency == policy.currency else currency
            vendor, row = conversion.for_use(usage.provider, _account(usage), usage.hour, foreign)
            if foreign is not None and row is None:
                continue
            factor = part.price.unit_price * (Decimal(1) if row is None else row.rate) * _with_tax(vendor)
            place = _Place(stretch_of[usage.hour], usage.band, routes[_route_key(usage)][0])
            factors.by_place.setdefault(place, {})[part.unit] = factor
    return factors


def _with_tax(vendor: Vendor | None) -> Decimal:
    """What one of a vendor's price comes to with the tax that statements add to it."""
    if vendor is None or not is_computed(vendor) or vendor.tax_in_price == "included":
        return Decimal(1)
    return 1 + vendor.tax_rate


def _queries(factors: _Factors, *, user: str, stretch: str) -> Iterator[tuple[str, dict[str, object]]]:
    """The statement for units with a column of their own, and the one for the others; none where none is priced."""
    known = {unit for place in factors.by_place.values() for unit in place}
    wide = [unit for unit in WIDE_UNITS if unit in known]
    other = sorted(known - set(WIDE_UNITS))
    places = list(factors.by_place)
    keys: dict[str, object] = {
        "stretches": [place.stretch for place in places],
        "bands": [place.band for place in places],
        "places": [place.route_id for place in places],
    }
    if wide:
        given = "".join(f", cast(:{unit} as numeric[])" for unit in wide)
        cost = " + ".join(f"coalesce(p.{unit} * f.{unit}, 0)" for unit in wide)
        yield (
            _query(f"cast(:places as integer[]){given}", f"route_id, {', '.join(wide)}", "", cost, stretch, user),
            {**keys, **{unit: [factors.by_place[place].get(unit) for place in places] for unit in wide}},
        )
    if other:
        pairs = [(place, unit, factors.by_place[place][unit]) for place in places for unit in other
                 if unit in factors.by_place[place]]  # fmt: skip
        yield (
            _query(
                "cast(:places as integer[]), cast(:units as text[]), cast(:costs as numeric[])",
                "route_id, unit, cost",
                " join lateral jsonb_each_text(p.other_units) o on o.key = f.unit",
                "o.value::bigint * f.cost",
                stretch,
                user,
            ),
            {
                "stretches": [place.stretch for place, _, _ in pairs],
                "bands": [place.band for place, _, _ in pairs],
                "places": [place.route_id for place, _, _ in pairs],
                "units": [unit for _, unit, _ in pairs],
                "costs": [cost for _, _, cost in pairs],
            },
        )


def _query(given: str, names: str, joined: str, cost: str, stretch: str, user: str) -> str:
    """Costs by payer first, whose ids are small, then by user and department."""
    return f"""
      with factor (stretch, band, {names}) as materialized (
             select * from unnest(cast(:stretches as integer[]), cast(:bands as bigint[]), {given})),
           route_of (route_id, first_id) as materialized (
             select * from unnest(cast(:route_ids as integer[]), cast(:first_ids as integer[]))),
           paid as (
             select {stretch} as stretch, p.payer_id, sum({cost}) as cost
             from usage_part p
             join route_of r on r.route_id = p.route_id
             join factor f on f.stretch = width_bucket(p.hour, cast(:edges as integer[])) and f.band = p.band
                          and f.route_id = r.first_id{joined}
             where p.hour >= :first_hour and p.hour < :end_hour
             group by 1, 2)
      select s.stretch, {user} as who, y.department, sum(s.cost) as cost
      from paid s
      join payer y on y.id = s.payer_id
      group by 1, 2, 3"""


def _route_key(usage: UsageSum) -> RouteKey:
    return usage.provider, usage.model, usage.service_tier, usage.region, usage.cached, _account(usage)


def _account(usage: UsageSum) -> str | None:
    account = usage.dimensions[0]
    assert account is None or isinstance(account, str)
    return account


def _day_of_hour(month: Month) -> dict[int, date]:
    """The local day of every UTC hour of the month."""
    found: dict[int, date] = {}
    for day, first, end in zip(month.days, month.day_hours, [*month.day_hours[1:], month.end_hour], strict=True):
        found.update(dict.fromkeys(range(first, end), day))
    return found
