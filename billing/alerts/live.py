"""What counts against every quota, kept up with what was added to the sums since the last look.

Reading all sums anew each second costs what the window holds; this reads what is new. Sums are added up from parts,
and costs are a quantity times a price: what is kept plus what is new is exactly what reading everything gives, also for
parts that take something back. Which parts are new is decided by numbers of transactions and the snapshot that saw
them, so that it makes no difference who committed in which order (sql/migrations/0009.sql).

Nothing is kept beyond the process. Everything is read anew where anything else than sums changed: quotas, prices,
rates, contracts, providers in use; and a window when it begins, or when other quotas hold in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, text

from billing.alerts.tallies import Tallies
from billing.parts import WIDE_UNITS
from billing.periods import hour_number, hour_start
from billing.quotas.looking import read_prices
from billing.quotas.membership import NOBODY, Members
from billing.quotas.quota import in_force
from billing.quotas.register import held_quotas, known_since, read_members
from billing.quotas.windows import WINDOW_KINDS, window_of
from billing.rating import UsageSum

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from billing.quotas.quota import Quota
    from billing.quotas.states import Prices, QuotaState
    from billing.quotas.windows import Window

NEVER = datetime.max.replace(tzinfo=UTC)
_UNITS = ", ".join(f"sum(p.{unit})::bigint as {unit}" for unit in WIDE_UNITS)
_SINCE = """and p.written >= :lowest
            and not is_seen(p.written, cast(:next_number as bigint), cast(:running as bigint[]))"""


class Mark(NamedTuple):
    """What a snapshot saw: transactions below `next_number` that were not `running`."""

    lowest: int
    next_number: int
    running: tuple[int, ...]


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
    _holds_from: datetime = NEVER
    _holds_to: datetime = NEVER
    _routes: dict[int, Any] = field(default_factory=dict)
    _payers: dict[int, Any] = field(default_factory=dict)

    def forget(self) -> None:
        """Read everything anew the next time."""
        self._basis = None

    def catch_up(self, connection: Connection, moment: datetime) -> list[QuotaState]:
        """Every quota whose state has changed since the last time, or is looked at for the first time; the connection
        is a snapshot. The window before the current one is looked at by the quotas that were known when it ended."""
        basis = self._read_basis(connection)
        if basis != self._basis:
            self._begin(connection, basis)
        assert self._prices is not None
        if not self._holds_from <= moment < self._holds_to:
            self._want(moment)
        mark = _read_mark(connection)
        counting = [one for one in self._tallies.values() if one not in self._fresh]
        if counting and self._mark is not None:
            self._add(connection, counting, self._mark)
        if self._fresh:
            self._add(connection, self._fresh, None)
            self._fresh = []
        self._mark = mark
        return [state for one in self._tallies.values() for state in one.take_changed()]

    def _begin(self, connection: Connection, basis: tuple[object, ...]) -> None:
        self._quotas = tuple(held_quotas(connection))
        self._since = known_since(connection)
        self._prices = read_prices(connection, self.zone)
        self._members = read_members(connection, self._quotas, self.zone)
        self._tallies, self._mark, self._basis, self._fresh = {}, None, basis, []
        self._holds_from = self._holds_to = NEVER
        self._routes, self._payers = {}, {}

    def _want(self, moment: datetime) -> None:
        """Which windows to look at from an instant on, with the quotas that count in them, until the hour ends or a
        quota begins or ends to hold. Windows in which the same quotas count as before keep what was counted."""
        assert self._prices is not None
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
                    tallies[at] = self._tallies.get(at) or Tallies(each, quotas, self._prices, self._members)
        self._fresh = [one for at, one in tallies.items() if at not in self._tallies or one in self._fresh]
        self._tallies = tallies
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

    def _add(self, connection: Connection, tallies: Sequence[Tallies], mark: Mark | None) -> None:
        """Add the parts of some windows: all of them, or what is new since a mark."""
        assert self._prices is not None
        first = min(one.window.first_hour for one in tallies)
        end = max(one.window.end_hour for one in tallies)
        for usage, department, user in self._read(connection, first, end, mark):
            for one in tallies:
                if one.window.first_hour <= usage.hour < one.window.end_hour:
                    one.add(usage, department, user)

    def _read(
        self, connection: Connection, first_hour: int, end_hour: int, mark: Mark | None
    ) -> Iterable[tuple[UsageSum, str | None, str | None]]:
        """Sums of parts with who used them."""
        seen = "" if mark is None else _SINCE
        values: dict[str, Any] = {"first": first_hour, "end": end_hour}
        if mark is not None:
            values |= {**mark._asdict(), "running": list(mark.running)}
        where = f"where p.hour >= :first and p.hour < :end {seen}"
        connection.execute(text("select set_config('jit', 'off', true), set_config('work_mem', '128MB', true)"))
        rows = connection.execute(
            text(f"""select p.hour, p.band, p.route_id, p.payer_id, {_UNITS} from usage_part p {where}
                     group by 1, 2, 3, 4"""),
            values,
        ).all()
        others = connection.execute(
            text(f"""select p.hour, p.band, p.route_id, p.payer_id, o.key, sum(o.value::bigint)::bigint
                     from usage_part p cross join lateral jsonb_each_text(p.other_units) o {where}
                     group by 1, 2, 3, 4, 5"""),
            values,
        ).all()
        self._learn(connection, {row[2] for row in (*rows, *others)}, {row[3] for row in (*rows, *others)})
        for row in rows:
            quantities = [(unit, quantity) for unit, quantity in zip(WIDE_UNITS, row[4:], strict=True) if quantity]
            if quantities:
                yield self._usage(row, tuple(quantities))
        for row in others:
            if row[5]:
                yield self._usage(row, ((row[4], row[5]),))

    def _usage(self, row: Any, quantities: tuple[tuple[str, int], ...]) -> tuple[UsageSum, str | None, str | None]:
        route, payer = self._routes[row[2]], self._payers[row[3]]
        usage = UsageSum(
            (), row[0], route.provider, route.model, route.service_tier, route.region, row[1], route.cached, quantities
        )
        return usage, payer.department, payer.user

    def _learn(self, connection: Connection, routes: set[int], payers: set[int]) -> None:
        """The names of ids that are met for the first time; they never change."""
        missing = routes - self._routes.keys()
        if missing:
            query = """select id, provider, model, service_tier, region, status = 'cached' as cached from route
                       where id = any(:ids)"""
            self._routes |= {row.id: row for row in connection.execute(text(query), {"ids": sorted(missing)})}
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


