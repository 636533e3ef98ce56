"""Looking at an outbox without standing in its writer's way: a reading connection of its own.

In WAL a reader waits for no writer, so that a question about health is answered while a long write runs; the outbox's
own connection is locked meanwhile.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_WAITING: Final = "incarnation is null and refusal is null"
_OLDEST: Final = f"select accepted_ms from event where {_WAITING} order by seq limit 1"
_COUNT: Final = f"select count(*) from event where {_WAITING}"
_REFUSED: Final = "select count(*) from event where refusal is not null"


class Waiting(NamedTuple):
    """Rows that no broker has, and when the oldest of them was accepted (ms since 1970; None: none waits)."""

    rows: int
    oldest_ms: int | None


class OutboxView:
    """Reads one outbox file. Usable from several threads; what cannot be read is told as None, never raised."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._sql: sqlite3.Connection | None = None

    def is_readable(self) -> bool:
        """Whether the outbox is there and can be read; at a cost that does not grow with it."""
        return self._ask("select count(*) from incarnation") is not None

    def waiting(self) -> Waiting | None:
        """How much waits; counting takes longer the more there is."""
        oldest = self._ask(f"select ({_OLDEST})")
        if oldest is None:
            return None
        refused, rows = self._ask(_REFUSED), self._ask(_COUNT) if oldest[0] is not None else (0,)
        return None if rows is None or refused is None else Waiting(rows[0] + refused[0], oldest[0])

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._sql is not None:
                self._sql.close()
                self._sql = None

    def _ask(self, statement: str) -> tuple[int, ...] | None:
        with self._lock:
            try:
                if self._sql is None:
                    where = f"{self._path.absolute().as_uri()}?mode=ro"
                    self._sql = sqlite3.connect(where, uri=True, check_same_thread=False, isolation_level=None)
                found: tuple[int, ...] = self._sql.execute(statement).fetchone()
            except sqlite3.Error:
                if self._sql is not None:
                    self._sql.close()
                    self._sql = None
                return None
            else:
                return found
