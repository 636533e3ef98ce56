"""States of all quotas, kept up by what is new: each look reads the parts written since the one before.

Sums only ever grow by parts (a part that takes away is negative), so the states of a snapshot are those of an earlier
one and what it did not see. All of a window's sums are read once: at the start, when a register or a price changed, and
when a window begins. The result is `states_at` of the snapshot, to the last digit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from billing.parts import read_mark
from billing.periods import hour_number, hour_start
from billing.quotas.membership import NOBODY
from billing.quotas.register import held_quotas, read_members
from billing.quotas.states import Prices, QuotaState, Tallies, add_use, groups_of, read_group, states_of
from billing.quotas.table import QuotaTable
from billing.store import read_book, read_fx
from billing.sums import read_new_sums

if TYPE_CHECKING:
    from datetime import datetime

    from billing.parts import Mark
    from billing.quotas.states import Group
    from billing.quotas.windows import WindowKind

_REGISTERS = """
  select (select coalesce(max(id), 0) from quota), (select coalesce(max(id), 0) from price),
         (select coalesce(max(id), 0) from fx_rate), (select coalesce(max(id), 0) from book_import),
         (select coalesce(max(id), 0) from register_import), (select version from reference_version)"""


class RunningStates:
    """One reader's states. `advance` in a snapshot; in between they stand still. Not for several threads at once."""

    def __init__(self, zone: str) -> None:
        self.zone = zone
        self.table = QuotaTable(())
        self.states: dict[tuple[int, str], QuotaState] = {}
        self.prices: Prices | None = None
        self.members = NOBODY
        self.registers: tuple[Any, ...] = ()
        self._groups: dict[tuple[WindowKind, str], Group] = {}
        self._tallies: dict[tuple[WindowKind, str], Tallies] = {}
        self._mark: Mark | None = None
        self._groups_until: datetime | None = None

    def advance(self, connection: Connection, moment: datetime) -> set[tuple[int, str]] | None:
        """Read up to this snapshot. The states (quota, subject) that changed; None: all of them may have."""
        registers = tuple(connection.execute(text(_REGISTERS)).one())
        is_first = self._mark is None or registers != self.registers or self.prices is None
        mark = read_mark(connection)
        if is_first:
            self.table = QuotaTable(held_quotas(connection))
            self.members = read_members(connection, self.table.rows, self.zone)
            # The whole book: a provider that nobody has used yet may be the next call's, and its price holds at once.
            self.prices = Prices(read_book(connection, everything=True), read_fx(connection), self.zone)
            self._groups, self._tallies, self._groups_until = {}, {}, None
        is_same = self._groups_until is not None and moment < self._groups_until
        fresh = set() if is_same else self._begin_groups(connection, moment)
        touched = set() if self._mark is None else self._add_new(connection, self._mark, fresh)
        self._mark, self.registers = mark, registers
        if fresh or is_first or not is_same:
            self.states = {
                (state.quota.id, state.subject): state
                for place, group in self._groups.items()
                for state in states_of(group, self._tallies[place])
            }
            return None
        return touched

    def _begin_groups(self, connection: Connection, moment: datetime) -> set[tuple[WindowKind, str]]:
        """The groups of an instant; those whose window or quotas are others than before are read whole."""
        groups = groups_of(self.table.in_force(moment), moment, self.zone)
        fresh = {place for place, group in groups.items() if self._groups.get(place) != group}
        assert self.prices is not None
        for place in fresh:
            self._tallies[place] = read_group(connection, groups[place], self.prices, self.members)
        for place in self._tallies.keys() - groups.keys():
            del self._tallies[place]
        self._groups = groups
        next_hour = hour_start(hour_number(moment) + 1)
        self._groups_until = min(self.table.same_until(moment), next_hour)
        return fresh

    def _add_new(
        self, connection: Connection, since: Mark, fresh: set[tuple[WindowKind, str]]
    ) -> set[tuple[int, str]]:
        """Count what came since in the groups that were not just read whole; which states changed."""
        old = [(place, group) for place, group in self._groups.items() if place not in fresh]
        if not old:
            return set()
        assert self.prices is not None
        first_hour = min(group.window.first_hour for _, group in old)
        touched: set[tuple[int, str]] = set()
        for usage in read_new_sums(connection, first_hour, since, ("department", "user")):
            department, user = usage.dimensions
            subjects = {"organisation": ("",), "department": (department,), "user": (user,),
                        "programme": self.members.of(user, usage.hour, usage.model)}  # fmt: skip
            for place, group in old:
                if group.window.first_hour <= usage.hour < group.window.end_hour:
                    counted = {
                        key
                        for subject in subjects[group.scope]
                        for key in add_use(self._tallies[place], group, subject, usage, self.prices)
                    }
                    for key in counted:
                        self.states[key] = _state(group, key, self._tallies[place])
                    touched |= counted
        return touched


def _state(group: Group, key: tuple[int, str], tallies: Tallies) -> QuotaState:
    return QuotaState(group.by_id[key[0]], key[1], group.window, tallies[key].used, tallies[key].unknown)

