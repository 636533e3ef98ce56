"""Law 8 where SQL cannot say it: thresholds of quotas on money and of programmes that are due and were not kept; and of
all quotas in the windows before the current ones.

What counted is read from the sums as `quota status` reads it, not as the looks do, which keep what they have read. A
finding is certain, or it is none: what a look can not have missed is everything that stood `MARGIN` before it. Whatever
came later, or may have changed what counted, is left out or not judged, and that is said with its number.

- Use that came later is left out. What is left is less than what the look saw, and costs are never below 0.
- A price, a rate or a contract that came later may have made dearer what the look saw: no quota on money is judged. One
  that came before is no matter: a look prices everything anew by the book as it is then.
- The same for places in programmes, for departments where the roster changed, and for rows of quotas.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, text

from billing.alerts.alert import number
from billing.quotas.looking import read_prices
from billing.quotas.quota import EACH, in_force
from billing.quotas.register import held_quotas, known_since, read_members
from billing.quotas.states import add_use, groups_of, read_group, states_of
from billing.quotas.windows import WINDOW_KINDS, window_of
from billing.rating import UsageSum

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from billing.quotas.membership import Members
    from billing.quotas.quota import Quota, QuotaKey
    from billing.quotas.states import Group, Prices, QuotaState

ALERTS = "8-alerts"
MARGIN = timedelta(minutes=1)
"""Who began to write so long before a look has committed before it. The same in sql/checks/8-alerts.sql."""
_BOOK = frozenset({"book_import", "price", "price_rule", "fx_rate", "contract_import", "contract_term", "contract_tier",
                   "prompt_threshold"})  # fmt: skip
_ROSTER = frozenset({"roster", "reference_version"})
_PLACES = frozenset({"programme", "programme_application"})


class Judged(NamedTuple):
    """How many due thresholds were looked for, a sentence for each that is missing, and one for what is not judged."""

    checked: int
    violations: tuple[str, ...]
    not_judged: tuple[str, ...]


class Look(NamedTuple):
    """The last look at quotas: when it was, as of which instant, and in which zone windows were cut."""

    looked_at: datetime
    as_of: datetime
    zone: str

    @property
    def surely_seen(self) -> datetime:
        """What was begun before this was there when it looked."""
        return self.looked_at - MARGIN


@dataclass(slots=True)
class _Doubts:
    """What may have been otherwise at the look: names of registers that changed, and keys of quotas that did."""

    registers: frozenset[str]
    keys: frozenset[QuotaKey]
    said: Counter[str] = field(default_factory=Counter)

    def why(self, quota: Quota) -> str | None:
        """Why a quota is not judged; None where it is."""
        key = quota.key
        if key in self.keys:
            return "the quotas changed"
        if key.subject == EACH and any(one._replace(subject=EACH) == key for one in self.keys):
            return "the quotas changed"
        if quota.currency is not None and self.registers & _BOOK:
            return "prices, rates or contracts changed"
        if key.scope == "programme" and self.registers & _PLACES:
            return "programmes or who has a place in them changed"
        if key.scope == "department" and self.registers & _ROSTER:
            return "the roster changed"
        return None


def is_beyond_sql(quota: Quota) -> bool:
    """Whether a quota's missing alerts in the current window are looked for here, not by sql/checks/8-alerts.sql."""
    return quota.currency is not None or quota.key.scope == "programme"


def check_alerts(connection: Connection) -> Judged:
    """What is due of quotas on money and of programmes in the windows of the last look, and of all in those before.
    `not_judged` is of all quotas, here or in SQL. The connection is a snapshot."""
    rows = held_quotas(connection)
    look = _read_look(connection)
    if look is None:
        count = len(in_force(rows, connection.execute(text("select now()")).scalar_one()))
        return Judged(0, (), (f"{count} quotas: nobody has looked at them yet",) if count else ())
    since = known_since(connection)
    doubts = _Doubts(
        _changed_since(connection, look.surely_seen),
        frozenset(row.key for row in rows if since[row.id] >= look.surely_seen),
    )
    judged = _judge_each(in_force(rows, look.as_of), doubts)
    prices = read_prices(connection, look.zone)
    members = read_members(connection, rows, look.zone)
    due: list[tuple[QuotaState, Any]] = []
    for group in _groups(rows, since, look, {quota.id for quota in judged}, doubts):
        for state in _states(connection, group, prices, members, look):
            due += [(state, threshold) for threshold in state.crossed]
    kept = _kept(connection, {state.quota.id for state, _ in due})
    missing = sorted(
        _sentence(state, threshold)
        for state, threshold in due
        if (state.quota.id, state.subject, state.window.first_hour, threshold) not in kept
    )
    return Judged(len(due), tuple(missing), _not_judged(doubts, look))


def _judge_each(held: Sequence[Quota], doubts: _Doubts) -> list[Quota]:
    """The quotas that are judged here; of all others that are not judged anywhere `doubts` keeps the number."""
    judged = []
    for quota in held:
        why = doubts.why(quota)
        if why is not None:
            doubts.said[why] += 1
        elif is_beyond_sql(quota):
            judged.append(quota)
    return judged


def _not_judged(doubts: _Doubts, look: Look) -> tuple[str, ...]:
    at = f"less than {MARGIN.seconds} s before the last look at quotas ({look.looked_at.isoformat()}) or after it"
    return tuple(f"{count} quotas: {why} {at}" for why, count in sorted(doubts.said.items()))


def _groups(
    rows: Sequence[Quota], since: Mapping[int, datetime], look: Look, judged: set[int], doubts: _Doubts
) -> Iterator[Group]:
    """The quotas of the windows of the look, and those that were known when the windows before ended."""
    held = [quota for quota in in_force(rows, look.as_of) if quota.id in judged]
    yield from groups_of(held, look.as_of, look.zone).values()
    for kind in WINDOW_KINDS:
        window = window_of(kind, look.as_of, look.zone)
        last = window.start - timedelta(microseconds=1)
        known = (row for row in rows if row.key.window == kind and since[row.id] < window.start)
        before = [row for row in in_force(known, last) if doubts.why(row) is None]
        yield from groups_of(before, last, look.zone).values()


def _states(
    connection: Connection, group: Group, prices: Prices, members: Members, look: Look
) -> list[QuotaState]:
    """What surely counted at the look: everything but what came lately."""
    tallies = read_group(connection, group, prices, members)
    for department, user, usage in _read_late(connection, group, look):
        subjects: Mapping[str, Sequence[object]] = {
            "organisation": ("",), "department": (department,), "user": (user,),
            "programme": members.of(user, usage.hour, usage.model) if group.scope == "programme" else (),
        }  # fmt: skip
        for subject in subjects[group.scope]:
            add_use(tallies, group, subject, usage, prices)
    return states_of(group, tallies)


def _read_late(connection: Connection, group: Group, look: Look) -> Iterator[tuple[str | None, str | None, UsageSum]]:
    """(department, user, use with its sign changed) of chunks that a look may not have seen. One transaction writes a
    chunk's row and its parts, and `written` holds its number below an epoch."""
    found = connection.execute(
        text("""
        select p.hour, p.band, r.provider, r.model, r.service_tier, r.region, r.status = 'cached' as cached,
               y.department, y."user", u.key as unit, sum(u.value::numeric)::bigint as quantity
        from usage_part p
        join route r on r.id = p.route_id
        join payer y on y.id = p.payer_id
        cross join lateral jsonb_each_text(to_jsonb(p) || coalesce(p.other_units, '{}')) u
        where p.hour >= :first and p.hour < :end and u.value is not null
          and (p.written & 4294967295) in
              (select xmin::text::bigint from stream_chunk where committed_at > :surely_seen)
          and u.key not in ('hour', 'band', 'route_id', 'payer_id', 'partition', 'log_id', 'reason', 'events',
                            'written', 'other_units')
        group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"""),
        {"first": group.window.first_hour, "end": group.window.end_hour, "surely_seen": look.surely_seen},
    )
    for row in found:
        quantities = ((row.unit, -row.quantity),)
        yield row.department, row.user, UsageSum(
            (), row.hour, row.provider, row.model, row.service_tier, row.region, row.band, row.cached, quantities
        )


def _read_look(connection: Connection) -> Look | None:
    row = connection.execute(text("select looked_at, as_of, zone from quota_look")).one_or_none()
    return None if row is None else Look(*row)


def _changed_since(connection: Connection, moment: datetime) -> frozenset[str]:
    """Names of the tables and registers that somebody changed who began at an instant or later."""
    rows = connection.execute(
        text("""select table_name from input_change where began >= :moment
                union select register from register_import where imported_at >= :moment"""),
        {"moment": moment},
    )
    return frozenset(rows.scalars())


def _kept(connection: Connection, quotas: set[int]) -> set[tuple[int, str, int, Any]]:
    rows = connection.execute(
        text("select quota_id, subject, window_hour, threshold from quota_alert where quota_id = any(:quotas)"),
        {"quotas": sorted(quotas)},
    )
    return {tuple(row) for row in rows}


def _sentence(state: QuotaState, threshold: Any) -> str:
    limit = f"{number(state.limit)} {state.quota.key.unit}"
    return (
        f"quota {state.quota.id} for {state.subject!r}: {number(threshold)} percent of {limit} is reached with "
        f"{number(state.used)} in the window from {state.window.start.isoformat()}, and no alert is kept"
    )
