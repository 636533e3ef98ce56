"""What pages need again and again and what takes long to compute, kept for a minute in this process.

Kept values are those of reports: a forecast, what changed in a week, findings about the book. They are computed anew
after KEPT_S, when an input of statements changed (prices, rates, rosters, registers: `input_change`), and after every
change made from a page here; only use that came within the minute may be missing from them. Figures that people act on
by the second (quotas, statements, usage) are never taken from here.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

KEPT_S: Final = 60.0
KEPT_MAX: Final = 512
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
