"""Many requests, one `fsync`: a single writer takes what has come since its last commit and commits it together.

What is promised to each: `done(None)` is called after the commit that holds all its rows; `done(error)` when nothing of
it was taken. A group stands or falls as a whole, because its transaction does.

What fails how: the outbox raises (full disk, damaged file) -> every request of the group is told so, and the next group
is tried afresh. More bytes wait than `waiting_bytes_max` -> `offer` raises Overloaded at once and nothing is taken.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from producers.outbox import Accepted

GROUP_ROWS_MAX = 20_000
WAITING_BYTES_MAX = 128 * 1024 * 1024


class Overloaded(RuntimeError):
    """More waits to be written than may; nothing was taken."""


class WriterEnded(RuntimeError):
    """The writer was closed before these rows were written; nothing was taken."""


class _Offer(NamedTuple):
    rows: Sequence[Accepted]
    size_bytes: int
    done: Callable[[BaseException | None], None]


class GroupWriter:
    """Writes offers in their order; `append` is durable when it returns, or raises and has taken nothing."""

    def __init__(
        self, append: Callable[[Sequence[Accepted]], object], *, waiting_bytes_max: int = WAITING_BYTES_MAX
    ) -> None:
        self._append = append
        self._bytes_max = waiting_bytes_max
        self._offers: deque[_Offer] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._ended = False
        self.commits = 0
        self._thread = threading.Thread(target=self._run, name="outbox-writer", daemon=True)
        self._thread.start()

    def offer(self, rows: Sequence[Accepted], done: Callable[[BaseException | None], None]) -> None:
        """Have rows written; `done` is called from the writer's thread, once. Raises Overloaded or WriterEnded."""
        size_bytes = sum(len(row.value) for row in rows)
        with self._changed:
            if self._ended:
                raise WriterEnded
            if self._offers and self._waiting_bytes + size_bytes > self._bytes_max:
                raise Overloaded
            self._offers.append(_Offer(rows, size_bytes, done))
            self._waiting_bytes += size_bytes
            self._changed.notify()

    def close(self) -> None:
        """Write what was offered, then end."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while group := self._next_group():
            error: BaseException | None = None
            try:
                self._append([row for offer in group for row in offer.rows])
                self.commits += 1
            except Exception as raised:  # noqa: BLE001 - whatever it is, those who wait are told, and writing goes on
                error = raised
            for offer in group:
                offer.done(error)

    def _next_group(self) -> list[_Offer]:
        """What waits, up to GROUP_ROWS_MAX rows or one offer; nothing once the writer is closed and all is written."""
        group: list[_Offer] = []
        rows = 0
        with self._changed:
            while not self._offers and not self._ended:
                self._changed.wait()
            while self._offers and (not group or rows + len(self._offers[0].rows) <= GROUP_ROWS_MAX):
                offer = self._offers.popleft()
                group.append(offer)
                rows += len(offer.rows)
                self._waiting_bytes -= offer.size_bytes
        return group
