"""What was used of the quotas of one window, added up as it comes. Pure and exact."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from billing.money import exact
from billing.quotas.membership import NOBODY, Members
from billing.quotas.quota import EACH
from billing.quotas.states import QuotaState
from billing.rating import rate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from billing.quotas.quota import Quota
    from billing.quotas.states import Prices
    from billing.quotas.windows import Window
    from billing.rating import UsageSum

Place = tuple[int, str]
"""A quota row's id, and for whom it counts."""


class Tallies:
    """The quotas of one window with what counts against each. Sums may be negative: what was taken back."""

    def __init__(
        self, window: Window, quotas: Iterable[Quota], prices: Prices, members: Members = NOBODY
    ) -> None:
        self.window = window
        self._members = members
        self._prices = prices
        self._own: dict[tuple[str, str], list[Quota]] = {}
        self._each: dict[str, list[Quota]] = {}
        self._keys = set()
        self._used: dict[Place, Decimal] = {}
        self._unknown: dict[Place, int] = {}
        self._quotas: dict[int, Quota] = {}
        self._changed: set[Place] = set()
        self._of: dict[tuple[str, str], list[Quota]] = {}
        for quota in quotas:
            key = quota.key
            self._keys.add(key)
            self._quotas[quota.id] = quota
            if key.subject == EACH:
                self._each.setdefault(key.scope, []).append(quota)
            else:
                self._own.setdefault((key.scope, key.subject), []).append(quota)
                self._changed.add((quota.id, key.subject))

    def add(self, usage: UsageSum, department: str | None, user: str | None) -> None:
        """Count a sum of parts, of whom it was."""
        costs: dict[str, tuple[Decimal, int]] = {}
        programmes = [("programme", code) for code in self._members.of(user, usage.hour, usage.model)]
        for scope, subject in (("organisation", ""), ("department", department), ("user", user), *programmes):
            if subject is not None:
                for quota in self._counting(scope, subject):
                    if quota.counts_model(usage.model):
                        self._count(quota, subject, usage, costs)

    def take_changed(self) -> list[QuotaState]:
        """The states that changed since they were taken the last time; at first all."""
        changed, self._changed = self._changed, set()
        return [self._state(place) for place in sorted(changed)]

    def _state(self, place: Place) -> QuotaState:
        used, unknown = self._used.get(place, Decimal(0)), self._unknown.get(place, 0)
        return QuotaState(self._quotas[place[0]], place[1], self.window, used, unknown)

    def _counting(self, scope: str, subject: str) -> list[Quota]:
        """The quotas that a subject's use counts against: its own, and those of each without one of its own."""
        found = self._of.get((scope, subject))
        if found is None:
            for_each = [one for one in self._each.get(scope, ()) if one.key._replace(subject=subject) not in self._keys]
            found = self._of[scope, subject] = [*self._own.get((scope, subject), ()), *for_each]
        return found

    def _count(self, quota: Quota, subject: str, usage: UsageSum, costs: dict[str, tuple[Decimal, int]]) -> None:
        place = (quota.id, subject)
        if quota.currency is None:
            more, unknown = Decimal(sum(number for unit, number in usage.quantities if quota.counts_unit(unit))), 0
        else:
            if quota.currency not in costs:
                costs[quota.currency] = self._cost(usage, quota.currency)
            more, unknown = costs[quota.currency]
        if more or unknown:
            with exact():
                self._used[place] = self._used.get(place, Decimal(0)) + more
            self._unknown[place] = self._unknown.get(place, 0) + unknown
            self._changed.add(place)

    def _cost(self, usage: UsageSum, currency: str) -> tuple[Decimal, int]:
        """What a sum costs in a currency, and the quantity of which it is not known."""
        amount, unknown = Decimal(0), 0
        for part in rate((usage,), self._prices.book):
            if part.status == "unpriced":
                unknown += part.quantity
            elif part.price is not None:
                cost = self._prices.amount(part.quantity, part.price, usage.hour, currency)
                if cost is None:
                    unknown += part.quantity
                else:
                    with exact():
                        amount += cost
        return amount, unknown
