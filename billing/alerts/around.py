"""Looking at everything but quotas: each kind now and then, none so often that it costs what it watches.

What is remembered between two looks only saves reading: it is never what decides. Whoever starts anew reads again and
finds the same due.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from billing.alerts import facts
from billing.alerts.money_rules import breaks_due, budgets_due, invoices_due, programme_budgets_due
from billing.alerts.people_rules import places_due, pledges_due
from billing.alerts.pipeline_rules import Away, Standing, late_due, silent_due
from billing.alerts.register import begin_watching, told_or_known
from billing.alerts.spike_rules import hours_before, spikes_due, uses_of
from billing.alerts.usage_rules import new_models_due, unpriced_due
from billing.alerts.watching import keep
from billing.breaks.worklist import Wanted, read_items
from billing.periods import hour_number, load_zone
from billing.pledges.pledge import state_of
from billing.pledges.register import members, signatures_by_user
from billing.policy import MoneyPolicy
from billing.programmes.register import held_applications, held_programmes
from billing.store import read_book

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from billing.alerts.alert import Due, Kind
    from billing.alerts.watching import Watch

AROUND_LOCK = 0x6A620010
"""Advisory lock: one at a time; apart from the quotas', which are looked at each second."""
HOURS_A_WEEK = 168
HEARD_WEEKS = 5
WITH_BASELINE: frozenset[Kind] = frozenset({"new_model", "unpriced", "invoice", "break", "place"})
"""Kinds of which what is there when they are looked at for the first time is known, and not told."""
EVERY_S: dict[Kind, int] = {
    "late": 10,
    "new_model": 5,
    "invoice": 5,
    "break": 5,
    "place": 10,
    "spike": 60,
    "silent": 60,
    "unpriced": 60,
    "budget": 60,
    "pledge": 600,
}
"""How many seconds lie between two looks at a kind, at least."""


@dataclass(slots=True)
class Memory:
    """What one process remembers: marks of what has not changed, and what changes by the hour. To be thrown away
    where a look was not committed."""

    breaks: tuple[int, ...] | None = None
    money: tuple[object, ...] | None = None
    first_hours: dict[str | None, int] = field(default_factory=dict)
    first_hours_of: int = -1
    usual: dict[int, dict[tuple[str | None, int], int]] = field(default_factory=dict)
    heard: dict[str, set[int]] = field(default_factory=dict)
    heard_from: int = -1
    standing: Sequence[Standing | Away] = ()

    def forget(self) -> None:
        """Read everything anew the next time."""
        self.breaks = self.money = None
        self.first_hours_of = self.heard_from = -1
        self.usual = {}
        self.heard = {}


@dataclass(frozen=True, slots=True)
class Sight:
    """One look: the snapshot, the instant, what is watched, what is remembered."""

    connection: Connection
    moment: datetime
    watch: Watch
    memory: Memory

    @property
    def hour(self) -> int:
        return hour_number(self.moment)

    @property
    def zone(self) -> str:
        return self.watch.plan.zone

    @property
    def policy(self) -> MoneyPolicy:
        return self.watch.policy or MoneyPolicy(zone=self.zone)


def look_around(
    connection: Connection, moment: datetime, watch: Watch, memory: Memory, kinds: Iterable[Kind] = tuple(EVERY_S)
) -> list[int] | None:
    """Keep what is due of some kinds; the ids of what is new, or None where another process is looking.

    The connection is billing's, in a repeatable-read transaction that the caller commits.
    """
    if not connection.execute(text("select pg_try_advisory_xact_lock(:key)"), {"key": AROUND_LOCK}).scalar_one():
        return None
    sight = Sight(connection, moment, watch, memory)
    due: list[Due] = []
    for kind in kinds:
        found = _RULES[kind](sight)
        if found is not None:
            due += _not_known(connection, kind, found)
    return keep(connection, due, moment, watch)


def _not_known(connection: Connection, kind: Kind, found: Sequence[Due]) -> list[Due]:
    """Without what was there before anybody looked."""
    present = [one.key for one in found] if kind in WITH_BASELINE else []
    if begin_watching(connection, kind, present) and kind in WITH_BASELINE:
        return []
    known = told_or_known(connection, kind, [one.key for one in found])
    return [one for one in found if one.key not in known]


def _new_models(sight: Sight) -> list[Due]:
    return list(new_models_due(facts.models_in_use(sight.connection)))


def _unpriced(sight: Sight) -> list[Due]:
    book = read_book(sight.connection)
    uses = facts.unpriced_use(sight.connection, book, sight.hour, sight.zone)
    return list(unpriced_due(uses, facts.book_number(sight.connection)))


def _invoices(sight: Sight) -> list[Due]:
    return list(invoices_due(facts.arrivals(sight.connection)))


def _breaks(sight: Sight) -> list[Due] | None:
    mark = facts.breaks_mark(sight.connection)
    if mark == sight.memory.breaks:
        return None
    sight.memory.breaks = mark
    return list(breaks_due(read_items(sight.connection, Wanted())))


def _budgets(sight: Sight) -> list[Due] | None:
    mark = (*facts.money_mark(sight.connection), sight.hour)
    if mark == sight.memory.money:
        return None
    sight.memory.money = mark
    states = facts.budget_states(sight.connection, sight.hour, sight.policy)
    of_programmes = facts.programme_budgets(sight.connection, sight.moment, sight.zone)
    thresholds = sight.watch.budget_thresholds
    return [*budgets_due(states, thresholds), *programme_budgets_due(of_programmes, thresholds)]


def _spikes(sight: Sight) -> list[Due]:
    """The hour that runs and the one before it: late use counts in the hour of its time."""
    memory = sight.memory
    found: list[Due] = []
    if memory.first_hours_of < sight.hour - HOURS_A_WEEK // 7:
        memory.first_hours, memory.first_hours_of = facts.first_hours(sight.connection), sight.hour
    memory.usual = {hour: usual for hour, usual in memory.usual.items() if hour >= sight.hour - 1}
    for hour in (sight.hour - 1, sight.hour):
        if hour not in memory.usual:
            memory.usual[hour] = facts.tokens_by_hour(sight.connection, hours_before(hour, sight.zone))
        now = facts.tokens_by_hour(sight.connection, [hour])
        found += spikes_due(uses_of(memory.usual[hour] | now, [hour], memory.first_hours, sight.zone), sight.zone)
    return found


def _silent(sight: Sight) -> list[Due]:
    memory = sight.memory
    oldest = sight.hour - HEARD_WEEKS * HOURS_A_WEEK
    since = oldest if memory.heard_from < 0 else memory.heard_from - 1
    for source, hours in facts.hours_heard(sight.connection, since).items():
        memory.heard.setdefault(source, set()).update(hours)
    memory.heard_from = sight.hour
    return list(silent_due(memory.heard, sight.hour, sight.zone))


def _late(sight: Sight) -> list[Due]:
    return list(late_due(sight.memory.standing, sight.moment, sight.watch.late_s))


def _pledges(sight: Sight) -> list[Due]:
    if sight.watch.pledge_rules is None:
        return []
    signatures = signatures_by_user(sight.connection)
    if not signatures:
        return []
    people = members(sight.connection, sight.moment)
    day = sight.moment.astimezone(load_zone(sight.zone)).date()
    states = [state_of(user, signatures.get(user, ()), sight.watch.pledge_rules, day) for user in people]
    return list(pledges_due(states, people, sight.watch.pledge_rules, day))


def _places(sight: Sight) -> list[Due]:
    programmes = held_programmes(sight.connection)
    if not programmes:
        return []
    return list(places_due(programmes.values(), held_applications(sight.connection), sight.moment, sight.zone))


_RULES: dict[Kind, Callable[[Sight], Sequence[Due] | None]] = {
    "late": _late,
    "new_model": _new_models,
    "invoice": _invoices,
    "break": _breaks,
    "place": _places,
    "spike": _spikes,
    "silent": _silent,
    "unpriced": _unpriced,
    "budget": _budgets,
    "pledge": _pledges,
}
