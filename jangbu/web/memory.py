"""What pages need again and again and what takes long to compute, kept in this process, in two ways.

`Memory` keeps values of reports: a forecast, what changed in a week, findings about the book. They are computed anew
when an input changed (prices, rates, rosters, registers), after every change made from a page here, and, where use has
come, after KEPT_S: then beside, while the last ones are shown with their time. Only use that came meanwhile may be
missing from them.

`Unchanged` keeps values as long as nothing that they are computed from has changed (`billing.unchanged`): statements,
usage, proofs. They are never stale, but for those whose reader takes them with their time: where they take longer than
SLOW_S, use that came within KEPT_S may be missing from them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from billing.unchanged import is_unchanged

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from billing.unchanged import Seen

KEPT_S: Final = 60.0
UNUSED_S: Final = 600.0
"""How long a value is fresh while no use came."""
STALE_S: Final = 600.0
"""How old a value may be that is shown while it is computed anew."""
REST: Final = 20
"""What took long to compute is computed anew beside after so many times that long: one part in so many of a processor
goes to each report, however fast use comes in."""
KEPT_MAX: Final = 512
UNCHANGED_MAX: Final = 256
ROWS_MAX: Final = 50_000
"""How many rows unchanged values may hold together; one that holds a quarter of them is not kept."""
SLOW_S: Final = 0.3
"""What takes longer is not computed anew for each event that comes."""
Value = TypeVar("Value")
_log = logging.getLogger("jangbu.web")


class Kept(NamedTuple):
    """A value with when it was computed (of the clock, and as an instant), under which marks, and how long it took."""

    at_s: float
    at: datetime
    mark: Hashable
    usage: Hashable
    value: Any
    took_s: float


class Memory:
    """Values by key. Of several who ask at once one computes, and the others wait for it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[Hashable, Kept] = {}
        self._computing: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        self._changes = 0
        self._refreshing: set[Hashable] = set()
        self._background = ThreadPoolExecutor(1, thread_name_prefix="refreshing")

    @property
    def changes(self) -> int:
        """How many changes were made from pages of this process."""
        return self._changes

    def forget(self) -> None:
        """Something was changed from a page."""
        with self._lock:
            self._changes += 1
            self._kept.clear()

    def drop(self, key: Hashable) -> None:
        """One value is wanted anew."""
        with self._lock:
            self._kept.pop(key, None)

    def close(self) -> None:
        """Nothing is computed beside any more."""
        self._background.shutdown(cancel_futures=True)

    def get(
        self, key: Hashable, mark: Hashable, compute: Callable[[], Value], *, usage: Hashable = None,
        refresh: Callable[[], Value] | None = None,
    ) -> tuple[Value, datetime | None]:  # fmt: skip
        """The value of a key, and of when it is where newer use may be missing from it.

        It is the kept one where that was computed under the same mark and within KEPT_S, or under the same `usage` mark
        too and within UNUSED_S. With `refresh` an older one (up to STALE_S) is given all the same, and computed anew
        beside; else whoever asks computes, or waits for who does."""
        with self._lock:
            found = self._kept.get(key)
            age_s = 0.0 if found is None else self._clock() - found.at_s
            if found is not None and found.mark == mark:
                if age_s < KEPT_S or (usage is not None and found.usage == usage and age_s < UNUSED_S):
                    return found.value, None
                if refresh is not None and age_s < STALE_S:
                    if age_s >= REST * found.took_s:
                        self._refresh(key, mark, usage, refresh)
                    return found.value, found.at
            computing = self._computing.setdefault(key, threading.Lock())
            begun_s = self._clock()
        with computing:
            with self._lock:
                found = self._kept.get(key)
            if found is not None and found.mark == mark and (found.at_s >= begun_s or self._is_fresh(found)):
                return found.value, None
            return self._keep(key, mark, usage, compute), None

    def _is_fresh(self, found: Kept) -> bool:
        return self._clock() - found.at_s < KEPT_S

    def _keep(self, key: Hashable, mark: Hashable, usage: Hashable, compute: Callable[[], Value]) -> Value:
        """Compute and keep; what was begun before a change from a page is given and not kept."""
        changes, at_s, at = self._changes, self._clock(), datetime.now(UTC)
        value = compute()
        with self._lock:
            if changes == self._changes:
                if len(self._kept) >= KEPT_MAX:
                    self._kept.clear()
                self._kept[key] = Kept(at_s, at, mark, usage, value, self._clock() - at_s)
            self._computing.pop(key, None)
        return value

    def _refresh(self, key: Hashable, mark: Hashable, usage: Hashable, refresh: Callable[[], Value]) -> None:
        """Compute beside; the lock is held."""
        if key in self._refreshing:
            return
        self._refreshing.add(key)

        def compute() -> None:
            try:
                self._keep(key, mark, usage, refresh)
            except Exception as error:  # noqa: BLE001 - the next who asks tries again, and is told in the end
                _log.warning("%s cannot be computed anew: %s", key, type(error).__name__)
            finally:
                with self._lock:
                    self._refreshing.discard(key)

        try:
            self._background.submit(compute)
        except RuntimeError:  # the server is ending
            self._refreshing.discard(key)


class Computed(NamedTuple):
    """A value with what its snapshot saw, how many rows it holds, of when it is (of the clock, and as an instant), and
    how long it took."""

    seen: Seen
    value: Any
    rows: int
    at_s: float
    at: datetime
    took_s: float


class Unchanged:
    """Values by key, each with what the snapshot saw in which it was computed; the least used go first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[Hashable, Computed] = OrderedDict()
        self._computing: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        self._rows = 0

    def get(
        self, connection: Connection, seen: Seen | None, end_hour: int, key: Hashable, compute: Callable[[], Value],
        rows_of: Callable[[Value], int], lately: Callable[[datetime], None] | None = None,
    ) -> Value:  # fmt: skip
        """The value of a key, computed from inputs and from usage before `end_hour`: an earlier one where it still
        holds in the connection's snapshot (`seen`), else computed now. Whoever takes it changes nothing in it.
        `rows_of`: how many rows it holds. `lately`: is told the time of a slow one that is given although use has come
        since."""
        if seen is None:
            return compute()
        found = self._holding(connection, seen, end_hour, key)
        if found is not None:
            return found[0]  # type: ignore[no-any-return]
        kept = self._kept.get(key)
        if lately is not None and kept is not None and self._is_lately(kept, seen):
            lately(kept.at)
            return kept.value  # type: ignore[no-any-return]
        with self._lock:
            computing = self._computing.setdefault(key, threading.Lock())
        with computing:
            found = self._holding(connection, seen, end_hour, key)
            if found is not None:
                return found[0]  # type: ignore[no-any-return]
            at_s, at = self._clock(), datetime.now(UTC)
            value = compute()
            with self._lock:
                self._keep(key, Computed(seen, value, rows_of(value), at_s, at, self._clock() - at_s))
            return value

    def _is_lately(self, kept: Computed, seen: Seen) -> bool:
        """Whether only use came since a value was computed, which took long and is not old."""
        same_inputs = (kept.seen.changes, kept.seen.cluster) == (seen.changes, seen.cluster)
        return same_inputs and kept.took_s >= SLOW_S and self._clock() - kept.at_s < KEPT_S

    def _holding(self, connection: Connection, seen: Seen, end_hour: int, key: Hashable) -> tuple[Any] | None:
        with self._lock:
            kept = self._kept.get(key)
        if kept is None or not is_unchanged(connection, kept.seen, seen, end_hour):
            return None
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
        return (kept.value,)

    def _keep(self, key: Hashable, computed: Computed) -> None:
        """Of two that come at once the one with the later snapshot stays."""
        self._computing.pop(key, None)
        kept, seen = self._kept.get(key), computed.seen
        if kept is not None and kept.seen.cluster == seen.cluster and kept.seen.next_number > seen.next_number:
            return
        self._rows -= 0 if kept is None else self._kept.pop(key).rows
        if computed.rows > ROWS_MAX // 4:
            return
        self._kept[key] = computed
        self._rows += computed.rows
        while len(self._kept) > UNCHANGED_MAX or self._rows > ROWS_MAX:
            self._rows -= self._kept.popitem(last=False)[1].rows
