"""Quotas as they stood at a moment, ready to be asked from memory: what is left for one user, department and model."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from billing.money import exact
from billing.periods import hour_number
from billing.quotas.membership import NOBODY, Members
from billing.quotas.quota import SCOPES, Quota
from billing.quotas.states import STATES, QuotaState
from billing.quotas.windows import window_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from billing.quotas.table import QuotaTable


class Board:
    """Values in, values out.

    Args:
        table: all quota rows; those in force at the moment of asking count.
        states: what counted against them when they were last read, by quota and subject.
        zone: the organisation's, whose calendar cuts windows.
        as_of: when the states were read.
        members: who counts for which programme.
    """

    def __init__(
        self, table: QuotaTable, states: Mapping[tuple[int, str], QuotaState], zone: str, as_of: datetime,
        members: Members = NOBODY,
    ) -> None:  # fmt: skip
        self.as_of = as_of
        self._table = table
        self._zone = zone
        self._states = states
        self._members = members

    def about(
        self, moment: datetime, user: str | None, department: str | None, model: str | None
    ) -> list[QuotaState]:
        """The quotas that a request would count against at a moment, the most telling first.

        Without a model: those for all models. A window that has ended since the states were read is whole again.
        """
        programmes = self._members.of(user, hour_number(moment), model)
        found = [
            self._now(quota, subject, moment)
            for quota, subject in self._table.about(moment, user, department, programmes)
            if (quota.counts_model(model) if model is not None else not quota.key.model)
        ]
        return sorted(found, key=_most_telling)

    def states(self, moment: datetime) -> list[QuotaState]:
        """Every quota in force with what counts against it, by scope, subject and id; one of each (`*`) for those who
        used something."""
        held = {quota.id: quota for quota in self._table.in_force(moment)}
        found = [self._now(held[quota_id], subject, moment) for quota_id, subject in self._states if quota_id in held]
        return sorted(found, key=lambda state: (state.quota.key.scope, state.subject, state.quota.key, state.quota.id))

    def _now(self, quota: Quota, subject: str, moment: datetime) -> QuotaState:
        window = window_of(quota.key.window, moment, self._zone)
        known = self._states.get((quota.id, subject))
        if known is not None and known.window == window:
            return known
        return QuotaState(quota, subject, window, Decimal(0))


def _most_telling(state: QuotaState) -> tuple[int, int, Fraction, int]:
    """The worst state first; of equals the narrowest scope, then the smallest share that is left."""
    with exact():
        left = max(Decimal(0), state.limit - state.used)
    share = Fraction(left) / Fraction(state.limit)
    return -STATES.index(state.state), -SCOPES.index(state.quota.key.scope), share, state.quota.id
