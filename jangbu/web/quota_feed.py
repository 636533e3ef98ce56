"""What gateways are told: the quotas, what counts against them, whose pledge holds, programmes; whole or what is new.

Each look gives a new version where anything changed; a gateway names the version that it has and gets what came since.
Versions are of one life of one door (`epoch`); who comes from another gets everything.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from typing import TYPE_CHECKING, Any

from billing.money import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from billing.quotas.quota import Quota
    from billing.quotas.states import QuotaState


class QuotaFeed:
    """Written by one thread, asked by the event loop."""

    def __init__(self, zone: str) -> None:
        self.epoch = uuid.uuid4().hex
        self.version = 0
        self._zone = zone
        self._lock = threading.Lock()
        self._rules: tuple[int, list[list[Any]]] = (0, [])
        self._rows: tuple[Quota, ...] = ()
        self._access: tuple[int, dict[str, Any]] = (0, {})
        self._used: dict[tuple[int, str], tuple[int, int, str]] = {}
        self._next_access: dict[str, Any] | None = None
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def take_access(self, access: dict[str, Any]) -> None:
        """Pledges and programmes, told with the next states."""
        if access != self._access[1]:
            self._next_access = access

    def take_states(
        self,
        rows: Iterable[Quota],
        states: Mapping[tuple[int, str], QuotaState],
        changed: AbstractSet[tuple[int, str]] | None,
    ) -> None:
        """The states of a look, and which of them may have changed (None: any)."""
        rows = tuple(rows)
        with self._lock:
            version = self.version + 1
            news = False
            if rows != self._rows or not self.version:
                self._rows, self._rules, news = rows, (version, [_rule(row) for row in rows]), True
            if self._next_access is not None:
                self._access, self._next_access, news = (version, self._next_access), None, True
            for key in states.keys() if changed is None else changed:
                state = states[key]
                hour, used = state.window.first_hour, plain(state.used)
                known = self._used.get(key)
                if known is None or known[1:] != (hour, used):
                    self._used[key] = (version, hour, used)
                    news = True
            if changed is None:
                for key in self._used.keys() - states.keys():
                    del self._used[key]
            if news:
                self.version = version
                waiting, self._waiting = self._waiting, set()
                for loop, event in waiting:
                    loop.call_soon_threadsafe(event.set)

    def since(self, epoch: str | None, version: int) -> dict[str, Any]:
        """What came after a version; all of it for another epoch's."""
        with self._lock:
            known = version if epoch == self.epoch else -1
            return {
                "epoch": self.epoch,
                "version": self.version,
                "zone": self._zone,
                "whole": known < 0,
                "quotas": self._rules[1] if self._rules[0] > known else None,
                "access": self._access[1] if self._access[0] > known else None,
                "used": [[*key, hour, used] for key, (at, hour, used) in self._used.items() if at > known],
            }

    async def newer(self, epoch: str | None, version: int, wait_s: float) -> dict[str, Any]:
        """The same, as soon as there is anything, or after a while all the same."""
        with self._lock:
            event = asyncio.Event()
            waits = bool(self.version) and epoch == self.epoch and version >= self.version
            entry = (asyncio.get_running_loop(), event)
            if waits or not self.version:
                self._waiting.add(entry)
        if entry in self._waiting:
            try:
                await asyncio.wait_for(event.wait(), wait_s)
            except TimeoutError:
                with self._lock:
                    self._waiting.discard(entry)
        return self.since(epoch, version)


def _rule(row: Quota) -> list[Any]:
    key = row.key
    return [row.id, key.scope, key.subject, key.model, key.unit, key.window,
            None if row.limit is None else plain(row.limit), row.mode,
            None if row.valid_from is None else row.valid_from.isoformat(),
            None if row.valid_to is None else row.valid_to.isoformat()]  # fmt: skip
