"""Months that are not closed, as pages show them: kept in the database once computed, so that the next one reads them.

While use comes in, what was computed a moment ago is no longer what the month comes to. Where computing is quick, every
reader gets the newest figures. Where it takes longer than SLOW_MS, the last documents are shown with their time, and
computed anew beside: nobody waits, and only use that came since may be missing. Whatever else changes a statement is
seen at once (`billing.open_months`).
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from sqlalchemy.exc import DBAPIError

from billing.open_months import keep, read_outrun
from billing.periods import month_in
from billing.statement_document import read_month
from jangbu.errors import JangbuError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from billing.open_months import Keeper, OpenMonth
    from jangbu.web.books import Books
    from jangbu.web.views import Ask

SLOW_MS: Final = 500
FRESH: Final = timedelta(seconds=60)
"""Younger documents are not computed anew for the use that came since."""
STALE: Final = timedelta(minutes=10)
"""Older ones are shown to nobody: who asks waits for new ones."""
MADE_MAX: Final = 256
"""How many values of last documents are held."""
Value = TypeVar("Value")
_log = logging.getLogger("jangbu.web")


def keeper_of(books: Books) -> Keeper:
    """Keeps what a page has computed of an open month, so that the next one reads it."""

    def keep_month(computed: OpenMonth) -> None:
        try:
            keep(books.engine("billing"), computed)
        except (DBAPIError, JangbuError):
            return  # It was computed all the same; who has no billing login keeps nothing.

    return keep_month


class _Outrun(Exception):
    """The month's documents of `as_of` are to be shown."""

    def __init__(self, as_of: datetime) -> None:
        self.as_of = as_of


class OpenMonths:
    """The months of one installation that are computed anew beside, and what pages made of their last documents."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._computing: set[str] = set()
        self._made: dict[Hashable, tuple[datetime, Any]] = {}
        self._background = ThreadPoolExecutor(1, thread_name_prefix="months")

    def close(self) -> None:
        """Nothing is computed beside any more."""
        self._background.shutdown(cancel_futures=True)

    def shown(
        self, ask: Ask, month: str, newest: Callable[[Callable[[], None]], Value], last: Callable[[], Value],
        key: Hashable,
    ) -> Value:  # fmt: skip
        """What a page shows of a month. `newest` takes what is to be called before a month would be computed; `last`
        makes the value of the documents that are kept, which `ask.as_of` is then the time of."""
        try:
            return newest(lambda: self._look(ask, month))
        except _Outrun as outrun:
            ask.is_of(outrun.as_of)
            with self._lock:
                found = self._made.get(key)
            if found is None or found[0] != outrun.as_of:
                found = (outrun.as_of, last())
                with self._lock:
                    if len(self._made) >= MADE_MAX:
                        self._made.clear()
                    self._made[key] = found
            return cast("Value", found[1])

    def _look(self, ask: Ask, month: str) -> None:
        """Raises _Outrun where the last documents are to be shown."""
        found = read_outrun(ask.connection, month_in(month, ask.books.policy.zone), ask.books.policy)
        age = None if found is None else datetime.now(UTC) - found.as_of
        if found is None or age is None or found.took_ms < SLOW_MS or age > STALE:
            return
        if age > FRESH:
            self._compute_beside(ask.books, month)
        raise _Outrun(found.as_of)

    def _compute_beside(self, books: Books, month: str) -> None:
        with self._lock:
            if month in self._computing:
                return
            self._computing.add(month)

        def compute() -> None:
            try:
                with books.snapshot() as connection:
                    read_month(connection, month, books.policy, keeper_of(books))
            except Exception as error:  # noqa: BLE001 - the next who asks tries again, and is told in the end
                _log.warning("%s cannot be computed anew: %s", month, type(error).__name__)
            finally:
                with self._lock:
                    self._computing.discard(month)

        try:
            self._background.submit(compute)
        except RuntimeError:  # the server is ending
            with self._lock:
                self._computing.discard(month)
