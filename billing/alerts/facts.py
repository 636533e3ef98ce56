"""What the rules look at, read from PostgreSQL. Nothing here decides anything. The connection is a snapshot."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from billing.alerts.money_rules import Arrival
from billing.alerts.usage_rules import Unpriced
from billing.ledger.closes import last_closed
from billing.ledger.marks import read_inputs
from billing.money import exact, minor_digits
from billing.parts import WIDE_UNITS
from billing.periods import load_zone, month_in, month_of_hour
from billing.plans.budgets import Budgets, BudgetState
from billing.plans.month_totals import read_month_totals
from billing.plans.registers import held_budgets
from billing.programmes.places import places_of
from billing.programmes.register import held_applications, held_programmes
from billing.programmes.use import read_use
from billing.quotas.looking import read_prices
from billing.rating import rate
from billing.sums import first_and_last_hour, read_sums

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from billing.plans.month_totals import MonthTotals
    from billing.policy import MoneyPolicy
    from billing.prices import PriceBook

FOREVER = 2**31 - 1
"""Later than any UTC hour that PostgreSQL's integer holds."""
LATE_DAYS = 31
"""So long after a programme's end late use may still reach its budget."""
_TOKENS = " + ".join(f"coalesce(p.{unit}, 0)" for unit in WIDE_UNITS if unit.endswith("_tokens"))
_OTHER_TOKENS = r"""coalesce((select sum(o.value::bigint) from jsonb_each_text(p.other_units) o
                              where o.key like '%\_tokens'), 0)"""


def models_in_use(connection: Connection) -> list[tuple[str, str]]:
    """(provider, model) of which something was not a failure."""
    query = "select distinct provider, model from route where status <> 'failure' order by 1, 2"
    rows = connection.execute(text(query))
    return [(row.provider, row.model) for row in rows]


def unpriced_use(connection: Connection, book: PriceBook, hour: int, zone: str) -> list[Unpriced]:
    """Use of the month of an hour that has no price."""
    month = month_in(month_of_hour(hour, zone), zone)
    cuts = sorted(book.cuts(month.first_hour, month.end_hour))
    sums = read_sums(connection, month.first_hour, month.end_hour, cuts, ())
    found: dict[tuple[str, str], dict[str, int]] = {}
    for part in rate(sums, book):
        if part.status == "unpriced" and part.quantity > 0:
            units = found.setdefault((part.usage.provider, part.usage.model), {})
            units[part.unit] = units.get(part.unit, 0) + part.quantity
    return [Unpriced(*at, tuple(sorted(units)), sum(units.values())) for at, units in sorted(found.items())]


def book_number(connection: Connection) -> int:
    """The last import of prices."""
    query = "select coalesce(max(id), 0) from book_import where book = 'price'"
    return int(connection.execute(text(query)).scalar_one())


def tokens_by_hour(connection: Connection, hours: Sequence[int]) -> dict[tuple[str | None, int], int]:
    """Tokens of some UTC hours by department; all together, with those of nobody known, under None."""
    rows = connection.execute(
        text(f"""
        select y.department, p.hour, sum({_TOKENS} + {_OTHER_TOKENS})::bigint as tokens
        from usage_part p join payer y on y.id = p.payer_id
        where p.hour = any(cast(:hours as integer[])) group by 1, 2"""),
        {"hours": sorted(set(hours))},
    )
    found: dict[tuple[str | None, int], int] = {}
    for row in rows:
        found[None, row.hour] = found.get((None, row.hour), 0) + row.tokens
        if row.department is not None:
            found[row.department, row.hour] = row.tokens
    return found


def first_hours(connection: Connection) -> dict[str | None, int]:
    """The first hour with use of each department; of the organisation under None."""
    rows = connection.execute(
        text("""select y.department, min(p.hour) as hour from usage_part p join payer y on y.id = p.payer_id
                group by 1""")
    ).all()
    found: dict[str | None, int] = {row.department: row.hour for row in rows if row.department is not None}
    if rows:
        found[None] = min(row.hour for row in rows)
    return found


def events_by_hour(connection: Connection, first_hour: int, end_hour: int) -> dict[int, int]:
    """Events by UTC hour."""
    rows = connection.execute(
        text("select hour, sum(events) as events from usage_part where hour >= :first and hour < :end group by 1"),
        {"first": first_hour, "end": end_hour},
    )
    return {row.hour: int(row.events) for row in rows}


def hours_heard(connection: Connection, first_hour: int, end_hour: int = FOREVER) -> dict[str, set[int]]:
    """The UTC hours of [first_hour, end_hour) in which each source was heard."""
    rows = connection.execute(
        text("""select r.source, array_agg(p.hour) as hours
                from (select hour, route_id from usage_part where hour >= :first and hour < :end group by 1, 2) p
                join route r on r.id = p.route_id group by 1"""),
        {"first": first_hour, "end": end_hour},
    )
    return {row.source: set(row.hours) for row in rows}


def arrivals(connection: Connection) -> list[Arrival]:
    """Every delivery of invoice files."""
    rows = connection.execute(
        text("""
        select i.vendor, i.delivery, count(*)::integer as files, sum(i.lines)::integer as lines,
               min(d.first_day) as first_day, max(d.last_day) as last_day
        from invoice_import i
        left join lateral (select min(day) as first_day, max(day) as last_day from invoice_day where import_id = i.id) d
          on true
        group by 1, 2 order by 2, 1""")
    )
    return [Arrival(*row) for row in rows]


def breaks_mark(connection: Connection) -> tuple[int, ...]:
    """What changes where breaks may have opened: the last reconciliation, the last decision, the last close."""
    row = connection.execute(
        text("""select (select coalesce(max(id), 0) from reconciliation),
                       (select coalesce(max(id), 0) from break_decision), (select count(*) from period_close)""")
    ).one()
    return tuple(int(value) for value in row)


def money_mark(connection: Connection) -> tuple[object, ...]:
    """What changes where a month may cost something else: records read, and every recorded input."""
    row = connection.execute(
        text("""select (select coalesce(sum(next_offset), 0) from stream_offset), (select count(*) from budget),
                       (select count(*) from period_close), (select count(*) from programme),
                       (select count(*) from programme_application)""")
    ).one()
    return (*row, *sorted(read_inputs(connection).items()))


def budget_states(
    connection: Connection, hour: int, policy: MoneyPolicy
) -> list[tuple[str | None, BudgetState]]:
    """The budgets of the month of an hour, of the month before and of their years, with what was spent of them so far:
    what statements say, stored where a month is closed, computed otherwise."""
    budgets = Budgets(held_budgets(connection), policy.currency)
    this = month_of_hour(hour, policy.zone)
    before = month_of_hour(month_in(this, policy.zone).first_hour - 1, policy.zone)
    months, years = {this, before}, {this[:4], before[:4]}
    wanted = [row for row in budgets.counting.values() if row.period in months | years]
    totals: dict[str, MonthTotals] = {}
    found = []
    for row in wanted:
        names = [row.period] if row.period in months else _months_of(connection, row.period, this, policy)
        spent = Decimal(0)
        for name in names:
            if name not in totals:
                totals[name] = read_month_totals(connection, name, policy)
            with exact():
                spent += totals[name].booked if row.department is None else totals[name].booked_of(row.department)
        found.append((row.department, BudgetState(row.period, row.amount, row.currency, spent)))
    return found


def programme_budgets(connection: Connection, moment: datetime, zone: str) -> list[tuple[str, BudgetState]]:
    """The budgets of programmes that have begun, with what their people used of their models so far, as `programme
    status` says it; cut off after the currency's digits. Of one that has ended for `LATE_DAYS` more."""
    today = moment.astimezone(load_zone(zone)).date()
    programmes = [
        one
        for one in held_programmes(connection).values()
        if one.budget is not None and one.starts_on <= today < one.ends_on + timedelta(days=LATE_DAYS)
    ]
    if not programmes:
        return []
    applications, prices = held_applications(connection), read_prices(connection, zone)
    found = []
    for one in programmes:
        used = read_use(connection, one, places_of(one, applications), prices, moment).used
        spent = used.quantize(Decimal(1).scaleb(-minor_digits(one.currency)), rounding=ROUND_FLOOR)
        period = f"{one.starts_on}/{one.ends_on - timedelta(days=1)}"
        assert one.budget is not None
        found.append((one.programme, BudgetState(period, one.budget, one.currency, spent)))
    return found


def _months_of(connection: Connection, year: str, last: str, policy: MoneyPolicy) -> list[str]:
    """The months of a year up to one that may have cost something: closed, or with use."""
    hours = first_and_last_hour(connection)
    closed = last_closed(connection)
    names = [name for name in (f"{year}-{number:02}" for number in range(1, 13)) if name <= last]
    return [
        name
        for name in names
        if (closed is not None and name <= closed)
        or (hours is not None and hours[0] < month_in(name, policy.zone).end_hour)
    ]
