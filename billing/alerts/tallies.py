"""What was used of the quotas of one window, added up as it comes. Pure and exact.

Millions of uses pass here and few of them reach anything, so a use costs an addition and a comparison with the next
mark of its quota: a threshold, or the share of the limit from which a projection is tried. A quota's state is made only
where somebody is to look at it.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from billing.alerts.quota_rules import USED_MIN
from billing.money import exact
from billing.quotas.membership import NOBODY, Members
from billing.quotas.quota import EACH
from billing.quotas.states import QuotaState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from billing.quotas.quota import Quota
    from billing.quotas.windows import Window

Place = tuple[int, str]
"""A quota row's id, and for whom it counts."""
_NEVER = Decimal("Infinity")


class Counter:
    """One quota for one subject in one window. `used`: a whole number of units, or an exact Decimal of money;
    `unknown`: the quantity without a price or a rate. Below 0 where something was taken back. `mark` is what `used` has
    to reach for somebody to look: to be moved on (`pass_marks`) by whoever has looked."""

    __slots__ = ("_marks", "mark", "quota", "subject", "unknown", "used", "window")

    def __init__(self, quota: Quota, subject: str, window: Window) -> None:
        self.quota, self.subject, self.window = quota, subject, window
        self.used: int | Decimal = 0 if quota.currency is None else Decimal(0)
        self.unknown = 0
        self._marks = _marks_of(quota)
        self.mark: int | Decimal = self._marks[0]

    @property
    def may_be_projected(self) -> bool:
        """Whether so much is used that a projection is tried, and the limit is not reached."""
        assert self.quota.limit is not None
        return self._marks[0] <= self.used < self.quota.limit

    def pass_marks(self) -> None:
        """Wait for the first mark that is not reached."""
        self.mark = next((mark for mark in self._marks if mark > self.used), _NEVER)

    def state(self) -> QuotaState:
        """As it stands now."""
        return QuotaState(self.quota, self.subject, self.window, Decimal(self.used), self.unknown)


class Tallies:
    """The quotas of one window with what counts against each."""

    def __init__(self, window: Window, quotas: Iterable[Quota], members: Members = NOBODY) -> None:
        self.window = window
        self._members = members
        self._own: dict[tuple[str, str], list[Quota]] = {}
        self._each: dict[str, list[Quota]] = {}
        self._keys = set()
        self._counters: dict[Place, Counter] = {}
        self._of: dict[tuple[str, str], list[Quota]] = {}
        for quota in quotas:
            key = quota.key
            self._keys.add(key)
            if key.subject == EACH:
                self._each.setdefault(key.scope, []).append(quota)
            else:
                self._own.setdefault((key.scope, key.subject), []).append(quota)

    def counters(self, hour: int, model: str, department: str | None, user: str | None) -> Iterator[Counter]:
        """Of every quota against which the use of a model in a UTC hour counts, whatever its unit."""
        programmes = [("programme", code) for code in self._members.of(user, hour, model)]
        for scope, subject in (("organisation", ""), ("department", department), ("user", user), *programmes):
            if subject is not None:
                for quota in self._counting(scope, subject):
                    if quota.counts_model(model):
                        yield self._counter(quota, subject)

    def used(self) -> Iterator[Counter]:
        """Every quota against which something counted."""
        return iter(self._counters.values())

    def _counter(self, quota: Quota, subject: str) -> Counter:
        place = quota.id, subject
        found = self._counters.get(place)
        if found is None:
            found = self._counters[place] = Counter(quota, subject, self.window)
        return found

    def _counting(self, scope: str, subject: str) -> list[Quota]:
        """The quotas that a subject's use counts against: its own, and those of each without one of its own."""
        found = self._of.get((scope, subject))
        if found is None:
            for_each = [one for one in self._each.get(scope, ()) if one.key._replace(subject=subject) not in self._keys]
            found = self._of[scope, subject] = [*self._own.get((scope, subject), ()), *for_each]
        return found


def _marks_of(quota: Quota) -> tuple[int | Decimal, ...]:
    """Where somebody has to look, rising: the thresholds, and the least that is projected from. Where units are counted
    the next whole number, which compares at once."""
    assert quota.limit is not None
    with exact():
        reached = [quota.limit * percent / 100 for percent in quota.thresholds]
        marks = sorted({*reached, quota.limit * USED_MIN.numerator / USED_MIN.denominator})
    if quota.currency is None:
        return tuple(int(mark.to_integral_value(ROUND_CEILING)) for mark in marks)
    return tuple(marks)
