"""One look: what is due now is kept, with its deliveries, in one transaction.

Late events count in the window of their time, so the window before the current one is looked at too. Several processes
may look; one at a time records. A crash before the commit records nothing, and the next look finds the same again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.alerts.deliveries import Plan, make_deliveries
from billing.alerts.facts import events_by_hour
from billing.alerts.live import LiveStates
from billing.alerts.profile import DAYS_MIN, WEEKS, profile_of
from billing.alerts.quota_rules import projections_due, thresholds_due
from billing.alerts.register import record
from billing.alerts.routing import Registers
from billing.periods import hour_number
from billing.plans.departments import in_force, terms_of
from billing.plans.registers import held_departments
from billing.pledges.register import has_members, members
from billing.quotas.register import lock_look, note_look
from billing.sums import first_and_last_hour

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from billing.alerts.alert import Due
    from billing.alerts.profile import Profile
    from billing.pledges.pledge import PledgeRules
    from billing.policy import MoneyPolicy

HOURS_A_DAY = 24
PROJECTED_EVERY = timedelta(seconds=10)
"""A threshold is told at once. That a limit will be reached hours from now need not be known within the second."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is looked at and who hears of it. `organisation`: who hears of what concerns the house itself. `policy`
    None: the default one in the plan's zone. `pledge_rules` None: pledges are no matter. `late_s`: how long records may
    wait without any being read."""

    plan: Plan
    organisation: tuple[str, ...] = field(default=())
    mail_domain: str | None = None
    policy: MoneyPolicy | None = None
    budget_thresholds: tuple[Decimal, ...] = (Decimal(50), Decimal(80), Decimal(100))
    pledge_rules: PledgeRules | None = None
    late_s: int = 300


@dataclass(slots=True)
class QuotaMemory:
    """What one process remembers of quotas between two looks; to be thrown away where a look was not committed."""

    live: LiveStates
    told: set[str] = field(default_factory=set)
    profile: Profile | None = None
    profile_hour: int | None = None
    projected_at: datetime | None = None

    def forget(self) -> None:
        """Read everything anew the next time."""
        self.live.forget()
        self.told = set()
        self.projected_at = None


def look(connection: Connection, moment: datetime, watch: Watch, memory: QuotaMemory | None = None) -> list[int] | None:
    """Keep what is due of quotas at an instant; the ids of new alerts, or None where another process is looking.

    The connection is billing's, in a repeatable-read transaction that the caller commits.
    """
    if not lock_look(connection):
        return None
    kept = memory or QuotaMemory(LiveStates(watch.plan.zone))
    due = list(thresholds_due(kept.live.catch_up(connection, moment)))
    new: list[int] = []
    if kept.projected_at is None or abs(moment - kept.projected_at) >= PROJECTED_EVERY:
        kept.projected_at = moment
        states = kept.live.projectable()
        if states:
            _renew_profile(connection, moment, watch, kept)
            due += projections_due(states, kept.profile, moment)
    due = [one for one in due if one.uid not in kept.told]
    if due:
        new = keep(connection, due, moment, watch)
        kept.told |= {one.uid for one in due}
    note_look(connection, moment, watch.plan.zone)
    return new


def _renew_profile(connection: Connection, moment: datetime, watch: Watch, memory: QuotaMemory) -> None:
    """When the organisation works: read anew once a day."""
    hour = hour_number(moment)
    if memory.profile_hour is not None and 0 <= hour - memory.profile_hour < HOURS_A_DAY:
        return
    memory.profile, memory.profile_hour = read_profile(connection, moment, watch.plan.zone), hour


def read_profile(connection: Connection, moment: datetime, zone: str) -> Profile | None:
    """When the organisation usually works, of the weeks before an instant; None where they are too few."""
    known = first_and_last_hour(connection)
    hour = hour_number(moment)
    if known is None or hour - known[0] < DAYS_MIN * HOURS_A_DAY:
        return None
    events = events_by_hour(connection, hour - WEEKS * 7 * HOURS_A_DAY, hour)
    return profile_of(events, known[0], hour, zone)


def keep(connection: Connection, due: Sequence[Due], moment: datetime, watch: Watch) -> list[int]:
    """Keep what is due and new, with its deliveries; the ids of what is new."""
    new = record(connection, due, moment)
    if new:
        users = {alert.subject for alert in new if alert.scope == "user"}
        make_deliveries(connection, new, read_registers(connection, moment, watch, users), watch.plan, moment)
    return [alert.id for alert in new]


def read_registers(
    connection: Connection, moment: datetime, watch: Watch, users: Collection[str] = ()
) -> Registers:
    """Who may hear of something at an instant; of the roster those `users` and who stands for a department."""
    departments = in_force(terms_of(held_departments(connection)), moment)
    heads = {user for row in departments.values() for user in (row.head_user, row.deputy_user) if user is not None}
    known = members(connection, moment, heads | set(users))
    has_roster = bool(known) or has_members(connection, moment)
    return Registers(departments, frozenset(known) if has_roster else None, watch.organisation, watch.mail_domain)
