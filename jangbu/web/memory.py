"""What pages need again and again and what takes long to compute, kept in this process, in two ways.

`Memory` keeps values of reports for a minute: a forecast, what changed in a week, findings about the book. They are
computed anew after KEPT_S, when an input of statements changed (prices, rates, rosters, registers: `input_change`), and
after every change made from a page here; only use that came within the minute may be missing from them.

`Unchanged` keeps values as long as nothing that they are computed from has changed (`billing.unchanged`): statements,
usage, proofs. They are never stale.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, TypeVar

from billing.unchanged import is_unchanged

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from sqlalchemy import Connection

    from billing.unchanged import Seen

KEPT_S: Final = 60.0
KEPT_MAX: Final = 512
UNCHANGED_MAX: Final = 256
ROWS_MAX: Final = 50_000
"""How many rows unchanged values may hold together; one that holds a quarter of them is not kept."""
Value = TypeVar("Value")


class Memory:
    """Values by key. Of several who ask at once one computes, and the others wait for it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[Hashable, tuple[float, Hashable, Any]] = {}
        self._computing: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        self._changes = 0

    @property
    def changes(self) -> int:
        """How many changes were made from pages of this process."""
        return self._changes

    def forget(self) -> None:
        """Something was changed from a page."""
        with self._lock:
            self._changes += 1
            self._kept.clear()

    def get(self, key: Hashable, mark: Hashable, compute: Callable[[], Value]) -> Value:
        """The value of a key, where it was computed within KEPT_S and under the same mark; else computed now."""
        with self._lock:
            found = self._fresh(key, mark)
            if found is not None:
                return found[0]  # type: ignore[no-any-return]
            computing = self._computing.setdefault(key, threading.Lock())
        with computing:
            with self._lock:
                found = self._fresh(key, mark)
            if found is not None:
                return found[0]  # type: ignore[no-any-return]
            value = compute()
            with self._lock:
                if len(self._kept) >= KEPT_MAX:
                    self._kept.clear()
                self._kept[key] = self._clock(), mark, value
                self._computing.pop(key, None)
            return value

    def _fresh(self, key: Hashable, mark: Hashable) -> tuple[Any] | None:
        kept = self._kept.get(key)
        if kept is None or kept[1] != mark or self._clock() - kept[0] >= KEPT_S:
            return None
        return (kept[2],)


class Unchanged:
    """Values by key, each with what the snapshot saw in which it was computed; the least used go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[Seen, Any, int]] = OrderedDict()
        self._computing: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        self._rows = 0

    def get(
        self, connection: Connection, seen: Seen | None, end_hour: int, key: Hashable, compute: Callable[[], Value],
        rows_of: Callable[[Value], int],
    ) -> Value:  # fmt: skip
        """The value of a key, computed from inputs and from usage before `end_hour`: an earlier one where it still
        holds in the connection's snapshot (`seen`), else computed now. Whoever takes it changes nothing in it.
        `rows_of`: how many rows it holds."""
        if seen is None:
            return compute()
        found = self._holding(connection, seen, end_hour, key)
        if found is not None:
            return found[0]  # type: ignore[no-any-return]
        with self._lock:
            computing = self._computing.setdefault(key, threading.Lock())
        with computing:
            found = self._holding(connection, seen, end_hour, key)
            if found is not None:
                return found[0]  # type: ignore[no-any-return]
            value = compute()
            with self._lock:
                self._keep(key, seen, value, rows_of(value))
            return value

    def _holding(self, connection: Connection, seen: Seen, end_hour: int, key: Hashable) -> tuple[Any] | None:
        with self._lock:
            kept = self._kept.get(key)
        if kept is None or not is_unchanged(connection, kept[0], seen, end_hour):
            return None
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
        return (kept[1],)

    def _keep(self, key: Hashable, seen: Seen, value: Any, rows: int) -> None:
        """Of two that come at once the one with the later snapshot stays."""
        self._computing.pop(key, None)
        kept = self._kept.get(key)
        if kept is not None and kept[0].cluster == seen.cluster and kept[0].next_number > seen.next_number:
            return
        self._rows -= 0 if kept is None else self._kept.pop(key)[2]
        if rows > ROWS_MAX // 4:
            return
        self._kept[key] = seen, value, rows
        self._rows += rows
        while len(self._kept) > UNCHANGED_MAX or self._rows > ROWS_MAX:
            self._rows -= self._kept.popitem(last=False)[1][2]
