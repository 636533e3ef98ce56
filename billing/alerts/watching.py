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
from billing.alerts.quota_rules import thresholds_due
from billing.alerts.register import record
from billing.alerts.routing import Registers
from billing.plans.departments import in_force, terms_of
from billing.plans.registers import held_departments
from billing.pledges.register import members
from billing.quotas.looking import read_prices
from billing.quotas.register import held_quotas, known_since, lock_look, note_look
from billing.quotas.states import Prices, QuotaState, states_at
from billing.quotas.windows import WINDOW_KINDS, window_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from billing.alerts.alert import Due
    from billing.pledges.pledge import PledgeRules
    from billing.policy import MoneyPolicy
    from billing.quotas.quota import Quota


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


def look(connection: Connection, moment: datetime, watch: Watch) -> list[int] | None:
    """Keep the thresholds that are reached at an instant; the ids of new alerts, or None where another is looking.

    The connection is billing's, in a repeatable-read transaction that the caller commits.
    """
    if not lock_look(connection):
        return None
    quotas = held_quotas(connection)
    new: list[int] = []
    if quotas:
        prices = read_prices(connection, watch.plan.zone)
        states = states_at(connection, quotas, prices, moment)
        states += earlier_states(connection, quotas, prices, moment)
        new = keep(connection, list(thresholds_due(states)), moment, watch)
    note_look(connection, moment, watch.plan.zone)
    return new


def keep(connection: Connection, due: Sequence[Due], moment: datetime, watch: Watch) -> list[int]:
    """Keep what is due and new, with its deliveries; the ids of what is new."""
    new = record(connection, due, moment)
    if new:
        make_deliveries(connection, new, read_registers(connection, moment, watch), watch.plan, moment)
    return [alert.id for alert in new]


def read_registers(connection: Connection, moment: datetime, watch: Watch) -> Registers:
    """Who may hear of something at an instant."""
    known = members(connection, moment)
    departments = in_force(terms_of(held_departments(connection)), moment)
    return Registers(departments, frozenset(known) if known else None, watch.organisation, watch.mail_domain)


def earlier_states(
    connection: Connection, quotas: Sequence[Quota], prices: Prices, moment: datetime
) -> list[QuotaState]:
    """The windows before the current ones, by the quotas that were known and held when those ended."""
    since = known_since(connection)
    found: list[QuotaState] = []
    for kind in WINDOW_KINDS:
        ended = window_of(kind, moment, prices.zone).start
        rows = [quota for quota in quotas if quota.key.window == kind and since[quota.id] < ended]
        if rows:
            found += states_at(connection, rows, prices, ended - timedelta(microseconds=1))
    return found
