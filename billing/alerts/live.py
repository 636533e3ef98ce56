"""What counts against every quota, kept up with what was added to the sums since the last look.

Reading all sums anew each second costs what the window holds; this reads what is new. Sums are added up from parts,
and costs are a quantity times a price: what is kept plus what is new is exactly what reading everything gives, also for
parts that take something back. Which parts are new is decided by numbers of transactions and the snapshot that saw
them, so that it makes no difference who committed in which order (sql/migrations/0009.sql).

Nothing is kept beyond the process. Everything is read anew where anything else than sums changed: quotas, prices,
rates, contracts, providers in use; and a window when it begins, or when other quotas hold in it.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, text

from billing.alerts.tallies import Counter, Tallies
from billing.money import exact
from billing.parts import WIDE_UNITS
from billing.periods import hour_number, hour_start, load_zone
from billing.quotas.looking import read_prices
from billing.quotas.membership import NOBODY, Members
from billing.quotas.quota import TOKENS, in_force
from billing.quotas.register import held_quotas, known_since, read_members
from billing.quotas.windows import WINDOW_KINDS, window_of
from billing.rating import UsageSum, rate
from billing.unchanged import only_by_index

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from billing.quotas.quota import Quota
    from billing.quotas.states import Prices, QuotaState
    from billing.quotas.windows import Window

FOREVER = 2**31
"""A UTC hour after all others."""
NEVER = datetime.max.replace(tzinfo=UTC)
_TOKENS_SUM = " + ".join(f"coalesce(sum(p.{unit}), 0)" for unit in WIDE_UNITS if unit.endswith("_tokens"))
_SUMS = {TOKENS: _TOKENS_SUM, **{unit: f"coalesce(sum(p.{unit}), 0)" for unit in WIDE_UNITS}}
"""What quotas count, by what is asked for: all tokens, or a unit with a column of its own."""
_SINCE = """and p.written >= :lowest
            and not is_seen(p.written, cast(:next_number as bigint), cast(:running as bigint[]))"""


class Mark(NamedTuple):
    """What a snapshot saw: transactions below `next_number` that were not `running`."""

    lowest: int
    next_number: int
    running: tuple[int, ...]


Key = tuple[int, int, int, int]
"""The UTC hour of a sum, its price band, its route and its payer."""


class Plan(NamedTuple):
    """Where somebody's use counts: its column by counter, and the counters that count what all columns cost."""

    quantities: tuple[tuple[int, Counter], ...]
    money: tuple[tuple[str, Counter], ...]


class AlikeHours(NamedTuple):
    """What is known of hours in which use counts alike. `plans`: by payer and by what of a route matters to who counts
    (`_matter_of`); `costs`: by band, route and currency what one in each column costs (None: not known)."""

    plans: dict[tuple[Hashable, int], Plan]
    costs: dict[tuple[int, int, str], tuple[tuple[int, Decimal | None], ...]]


Plans = dict["Hashable", AlikeHours]
"""By what makes hours alike (`_likeness`)."""
UnitCosts = dict[str, Decimal | None]
PLANS_MAX = 200_000


@dataclass(slots=True)
class LiveStates:
    """The states of all quotas, now and in the window before. Not for several threads. To be thrown away where the
    transaction of a look was not committed: `forget`."""

    zone: str
    _basis: tuple[object, ...] | None = None
    _prices: Prices | None = None
    _members: Members = NOBODY
    _quotas: tuple[Quota, ...] = ()
    _since: dict[int, datetime] = field(default_factory=dict)
    _mark: Mark | None = None
    _tallies: dict[tuple[Window, tuple[int, ...]], Tallies] = field(default_factory=dict)
    _fresh: list[Tallies] = field(default_factory=list)
    _plans: Plans = field(default_factory=dict)
    _costs: dict[tuple[int, int, int, str], UnitCosts] = field(default_factory=dict)
    _projectable: set[Counter] = field(default_factory=set)
    _columns: dict[str, int] = field(default_factory=dict)
    _has_money: bool = False
    _edges: list[int] = field(default_factory=list)
    _holds_from: datetime = NEVER
    _holds_to: datetime = NEVER
    _routes: dict[int, Any] = field(default_factory=dict)
    _matters: dict[int, Hashable] = field(default_factory=dict)
    _of_models: tuple[Quota, ...] = ()
    _payers: dict[int, Any] = field(default_factory=dict)

    def forget(self) -> None:
        """Read everything anew the next time."""
        self._basis = None

    def catch_up(self, connection: Connection, moment: datetime) -> list[QuotaState]:
        """Every quota that reached a threshold since the last time, or that is looked at for the first time and has;
        the connection is a snapshot. The window before the current one is looked at by the quotas that were known when
        it ended."""
        basis = self._read_basis(connection)
        if basis != self._basis:
            self._begin(connection, basis)
        if not self._holds_from <= moment < self._holds_to:
            self._want(moment)
        mark = _read_mark(connection)
        reached: set[Counter] = set()
        counting = [one for one in self._tallies.values() if one not in self._fresh]
        if counting and self._mark is not None:
            reached |= self._add(connection, counting, self._mark, self._plans)
        if self._fresh:
            reached |= self._add(connection, self._fresh, None, {})
            self._fresh, self._plans = [], {}  # plans were made without the windows that are counted from now on
        self._mark = mark
        for counter in reached:
            counter.pass_marks()
        self._projectable |= reached
        return [one.state() for one in _in_order(reached)]

    def projectable(self) -> list[QuotaState]:
        """Every quota of which so much is used that a projection is tried, as it stands now."""
        return [one.state() for one in _in_order(self._projectable) if one.may_be_projected]

    def states(self) -> list[QuotaState]:
        """Every quota against which something counted, as it stood at the last time."""
        return [counter.state() for one in self._tallies.values() for counter in one.used()]

    def _begin(self, connection: Connection, basis: tuple[object, ...]) -> None:
        self._quotas = tuple(held_quotas(connection))
        self._since = known_since(connection)
        self._prices = read_prices(connection, self.zone)
        self._members = read_members(connection, self._quotas, self.zone)
        self._tallies, self._mark, self._basis, self._fresh = {}, None, basis, []
        self._projectable, self._costs = set(), {}
        asked = {one.key.unit for one in self._quotas}
        self._has_money = any(one.currency is not None for one in self._quotas)
        self._edges = sorted(self._members.edges(0, FOREVER))
        if self._has_money:
            asked.update(WIDE_UNITS)
            self._edges = sorted({*self._edges, *self._prices.book.cuts(0, FOREVER)})
        self._columns = {unit: place for place, unit in enumerate((unit for unit in _SUMS if unit in asked), 4)}
        self._holds_from = self._holds_to = NEVER
        self._routes, self._payers, self._matters = {}, {}, {}
        self._of_models = tuple({one.key.model: one for one in self._quotas}.values())

    def _want(self, moment: datetime) -> None:
        """Which windows to look at from an instant on, with the quotas that count in them, until the hour ends or a
        quota begins or ends to hold. Windows in which the same quotas count as before keep what was counted."""
        tallies: dict[tuple[Window, tuple[int, ...]], Tallies] = {}
        now = in_force(self._quotas, moment)
        for kind in WINDOW_KINDS:
            window = window_of(kind, moment, self.zone)
            last = window.start - timedelta(microseconds=1)
            known = [one for one in self._quotas if one.key.window == kind and self._since[one.id] < window.start]
            for each, quotas in (
                (window, [one for one in now if one.key.window == kind]),
                (window_of(kind, last, self.zone), in_force(known, last)),
            ):
                at = each, tuple(one.id for one in quotas)
                if quotas:
                    tallies[at] = self._tallies.get(at) or Tallies(each, quotas, self._members)
        self._fresh = [one for at, one in tallies.items() if at not in self._tallies or one in self._fresh]
        self._tallies, self._plans = tallies, {}
        self._projectable &= {counter for one in tallies.values() for counter in one.used()}
        edges = (edge for one in self._quotas for edge in (one.valid_from, one.valid_to) if edge is not None)
        hour = hour_start(hour_number(moment))
        self._holds_from = max([hour, *(edge for edge in edges if edge <= moment)])
        edges = (edge for one in self._quotas for edge in (one.valid_from, one.valid_to) if edge is not None)
        self._holds_to = min([hour + timedelta(hours=1), *(edge for edge in edges if edge > moment)])

    @staticmethod
    def _read_basis(connection: Connection) -> tuple[object, ...]:
        """What everything that is kept was worked out from. `route` because prices are read of providers in use."""
        row = connection.execute(
            text("""select (select count(*) from quota), (select count(*) from programme),
                           (select count(*) from programme_application), (select coalesce(max(id), 0) from book_import),
                           (select coalesce(max(id), 0) from contract_import),
                           (select count(distinct provider) from route),
                           (select system_identifier from pg_control_system())""")
        ).one()
        return tuple(row)

    def _add(self, connection: Connection, tallies: Sequence[Tallies], mark: Mark | None, plans: Plans) -> set[Counter]:
        """Add the parts of some windows: all of them, or what is new since a mark. Returns what reached a mark."""
        first = min(one.window.first_hour for one in tallies)
        end = max(one.window.end_hour for one in tallies)
        wide, others = self._read(connection, first, end, mark)
        with exact():
            reached = self._count_wide(tallies, wide, plans)
            for *key, unit, quantity in others:
                for counter in self._counters(tallies, tuple(key)):
                    self._count_other(counter, tuple(key), unit, quantity)
                    if counter.used >= counter.mark:
                        reached.add(counter)
        return reached

    def _count_wide(self, tallies: Sequence[Tallies], rows: Sequence[Any], plans: Plans) -> set[Counter]:
        """Count the units that have columns; what reached a mark."""
        reached: set[Counter] = set()
        if sum(len(one.plans) for one in plans.values()) > PLANS_MAX:
            plans.clear()
        alike_at: dict[int, AlikeHours] = {}
        matters = self._matters
        for row in rows:
            hour = row[0]
            known = alike_at.get(hour)
            if known is None:
                known = alike_at[hour] = plans.setdefault(self._likeness(tallies, hour), AlikeHours({}, {}))
            who = matters[row[2]], row[3]
            plan = known.plans.get(who)
            if plan is None:
                plan = known.plans[who] = self._plan(tallies, row[:4])
            for place, counter in plan.quantities:
                counter.used += row[place]
                if counter.used >= counter.mark:
                    reached.add(counter)
            for currency, counter in plan.money:
                costs = known.costs.get((row[1], row[2], currency))
                for place, cost in self._costs_of(known, row, currency) if costs is None else costs:
                    _count_money(counter, row[place], cost)
                if counter.used >= counter.mark:
                    reached.add(counter)
        return reached

    def _likeness(self, tallies: Sequence[Tallies], hour: int) -> Hashable:
        """What use of two hours has to have in common for it to count alike: the windows; where something is charged in
        money the prices and the day of the rate; where there are programmes who has a place."""
        covering = tuple(one for one in tallies if one.window.first_hour <= hour < one.window.end_hour)
        day = hour_start(hour).astimezone(load_zone(self.zone)).date() if self._has_money else None
        return covering, day, bisect_right(self._edges, hour)

    def _plan(self, tallies: Sequence[Tallies], key: Key) -> Plan:
        """Where the columns of a row count."""
        quantities, money = [], []
        for counter in self._counters(tallies, key):
            quota = counter.quota
            if quota.currency is not None:
                money.append((quota.currency, counter))
            elif quota.key.unit in self._columns:
                quantities.append((self._columns[quota.key.unit], counter))
        return Plan(tuple(quantities), tuple(money))

    def _costs_of(self, alike: AlikeHours, row: Any, currency: str) -> tuple[tuple[int, Decimal | None], ...]:
        """What one in each column of a row costs, where it costs anything."""
        known = self._unit_costs(tuple(row[:4]), currency, WIDE_UNITS)
        costs = tuple((self._columns[unit], known[unit]) for unit in WIDE_UNITS if known[unit] != 0)
        alike.costs[row[1], row[2], currency] = costs
        return costs

    def _matter_of(self, model: str) -> Hashable:
        """What of a model matters to who counts: which quotas' models it is one of; with programmes, which allow models
        of their own, the model itself."""
        return (model if self._members else None, *(quota.counts_model(model) for quota in self._of_models))

    def _counters(self, tallies: Sequence[Tallies], key: Key) -> Iterator[Counter]:
        hour, _, route_id, payer_id = key
        route, payer = self._routes[route_id], self._payers[payer_id]
        for one in tallies:
            if one.window.first_hour <= hour < one.window.end_hour:
                yield from one.counters(hour, route.model, payer.department, payer.user)

    def _count_other(self, counter: Counter, key: Key, unit: str, quantity: int) -> None:
        """Count a unit that has no column of its own."""
        quota = counter.quota
        if quota.currency is None:
            if quota.counts_unit(unit):
                counter.used += quantity
        else:
            _count_money(counter, quantity, self._unit_costs(key, quota.currency, (unit,))[unit])

    def _unit_costs(self, key: Key, currency: str, units: Sequence[str]) -> UnitCosts:
        """What one of each unit costs in a currency, None where it has no price or no rate. A cost is a quantity
        times this: exactly, since prices are for 2^a 5^b units."""
        assert self._prices is not None
        hour, band, route_id, _ = key
        known = self._costs.setdefault((hour, band, route_id, currency), {})
        missing = tuple((unit, 1) for unit in units if unit not in known)
        if missing:
            route = self._routes[route_id]
            asked = route.provider, route.model, route.service_tier, route.region
            usage = UsageSum((), hour, *asked, band, route.cached, missing)
            for part in rate((usage,), self._prices.book):
                if part.price is not None:
                    known[part.unit] = self._prices.amount(1, part.price, hour, currency)
                else:
                    known[part.unit] = None if part.status == "unpriced" else Decimal(0)
        return known

    def _read(
        self, connection: Connection, first_hour: int, end_hour: int, mark: Mark | None
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """Sums of parts: hour, band, route, payer and what `_columns` names; and hour, band, route, payer, unit and
        quantity of units without a column."""
        sums = "".join(f", ({_SUMS[unit]})::bigint" for unit in self._columns)
        seen = "" if mark is None else _SINCE
        values: dict[str, Any] = {"first": first_hour, "end": end_hour}
        if mark is not None:
            values |= {**mark._asdict(), "running": list(mark.running)}
        where = f"where p.hour >= :first and p.hour < :end {seen}"
        # What is new is found by its index and is little: several processes would take longer to begin than one to end.
        by_index = "" if mark is None else ", set_config('max_parallel_workers_per_gather', '0', true)"
        set_up = f"select set_config('jit', 'off', true), set_config('work_mem', '128MB', true){by_index}"
        connection.execute(text(set_up))
        with contextlib.nullcontext() if mark is None else only_by_index(connection):
            found = connection.execute(
                text(f"""select p.hour, p.band, p.route_id, p.payer_id {sums}, count(p.other_units) from usage_part p
                         {where} group by 1, 2, 3, 4"""),
                values,
            ).all()
            others = self._read_others(connection, where, values) if any(row[-1] for row in found) else []
        self._learn(connection, {row[2] for row in found}, {row[3] for row in found})
        return found, others

    @staticmethod
    def _read_others(connection: Connection, where: str, values: dict[str, Any]) -> Sequence[Any]:
        return connection.execute(
            text(f"""select p.hour, p.band, p.route_id, p.payer_id, o.key, sum(o.value::bigint)::bigint
                     from usage_part p cross join lateral jsonb_each_text(p.other_units) o {where}
                     group by 1, 2, 3, 4, 5"""),
            values,
        ).all()

    def _learn(self, connection: Connection, routes: set[int], payers: set[int]) -> None:
        """The names of ids that are met for the first time; they never change."""
        missing = routes - self._routes.keys()
        if missing:
            query = """select id, provider, model, service_tier, region, status = 'cached' as cached from route
                       where id = any(:ids)"""
            self._routes |= {row.id: row for row in connection.execute(text(query), {"ids": sorted(missing)})}
            self._matters |= {one: self._matter_of(self._routes[one].model) for one in missing}
        missing = payers - self._payers.keys()
        if missing:
            query = 'select id, department, "user" from payer where id = any(:ids)'
            self._payers |= {row.id: row for row in connection.execute(text(query), {"ids": sorted(missing)})}


def _read_mark(connection: Connection) -> Mark:
    """What this snapshot sees."""
    row = connection.execute(
        text("""select pg_snapshot_xmin(s)::text::bigint as lowest, pg_snapshot_xmax(s)::text::bigint as next_number,
                       array(select x::text::bigint from pg_snapshot_xip(s) x) as running
                from pg_current_snapshot() s""")
    ).one()
    return Mark(row.lowest, row.next_number, tuple(row.running))




def _count_money(counter: Counter, quantity: int, cost: Decimal | None) -> None:
    """Within `exact()`."""
    if cost is None:
        counter.unknown += quantity
    elif quantity:
        counter.used += cost * quantity


def _in_order(counters: Iterable[Counter]) -> list[Counter]:
    return sorted(counters, key=lambda one: (one.window.first_hour, one.quota.id, one.subject))
