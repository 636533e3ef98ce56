"""Months that are not closed, as pages show them: kept in the database once computed, so that the next one reads them.

While use comes in, what was computed a moment ago is no longer what the month comes to. Where computing is quick, every
reader gets the newest figures. Where it takes longer than SLOW_MS, the last documents are shown with their time, and
computed anew beside: nobody waits, and only use that came since may be missing. Whatever else changes a statement is
seen at once (`billing.open_months`).

A proof must see the state that its statement was computed from. So that snapshot is held open for HELD (`Held`), and
whoever asks for a proof meanwhile reads in it.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast

from sqlalchemy.exc import DBAPIError

from billing.open_months import keep, not_kept, read_mark, read_outrun
from billing.periods import month_in
from billing.statement_document import read_month
from billing.store import snapshot
from jangbu.database import connect
from jangbu.errors import JangbuError
from jangbu.web.memory import REST

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from billing.charges import Department
    from billing.open_months import Keeper, Mark, OpenMonth
    from billing.policy import MoneyPolicy
    from jangbu.web.books import Books
    from jangbu.web.views import Ask

SLOW_MS: Final = 500
FRESH: Final = timedelta(seconds=60)
"""Younger documents are not computed anew for the use that came since."""
STALE: Final = timedelta(minutes=10)
"""Older ones are shown to nobody: who asks waits for new ones."""
HELD: Final = timedelta(minutes=2)
"""So long a snapshot is held, and PostgreSQL keeps what was deleted since."""
USED: Final = timedelta(seconds=100)
"""So long somebody may begin to read in it."""
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


class Texts(NamedTuple):
    """A month's documents as JSON: the organisation's, and the departments' by code."""

    whole: str
    departments: dict[Department, str]


def compute_texts(reader_url: str, billing_url: str | None, month: str, policy: MoneyPolicy, exported: str) -> Texts:
    """Compute a month in a snapshot that another process holds, and keep it; what a process of its own is asked for, so
    that nobody's page waits for the interpreter."""
    with ExitStack() as stack:
        reader = connect(reader_url)
        keeper: Keeper = not_kept
        stack.callback(reader.dispose)
        if billing_url is not None:
            billing = connect(billing_url)
            stack.callback(billing.dispose)
            keeper = partial(keep, billing)
        connection = stack.enter_context(snapshot(reader, exported))
        whole, documents = read_month(connection, month, policy, keeper)
    return Texts(json.dumps(whole), {one["department"]: json.dumps(one) for one in documents})


def _live_with_parent() -> None:
    """Of a process that computes: Ctrl-C is its parent's matter, and it ends with its parent, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def follow() -> None:
        parent.join()
        os._exit(0)

    threading.Thread(target=follow, daemon=True).start()


class Held:
    """A month's documents with the snapshot that they were computed in, held open until HELD has passed."""

    def __init__(self, books: Books, month: str, computed: Callable[..., Texts]) -> None:
        """Compute the month in a new snapshot, and keep it. `computed` is `compute_texts`, wherever it runs."""
        with ExitStack() as stack:
            connection = stack.enter_context(books.snapshot_apart())
            self.as_of = datetime.now(UTC)
            self.mark = read_mark(connection, month_in(month, books.policy.zone), books.policy)
            self.snapshot = str(connection.exec_driver_sql("select pg_export_snapshot()").scalar_one())
            self.texts = computed(books.url("reader"), books.url("billing"), month, books.policy, self.snapshot)
            self._stack = stack.pop_all()
        self._timer = threading.Timer(HELD.total_seconds(), self.close)
        self._timer.daemon = True
        self._timer.start()

    @property
    def age(self) -> timedelta:
        """How old the state is."""
        return datetime.now(UTC) - self.as_of

    def is_of(self, mark: Mark | None) -> bool:
        """Whether nothing but use may have come since; and whether somebody may still begin to read."""
        if self.mark is None or mark is None:
            return False
        return self.mark.depends_on == mark.depends_on and self.age < USED

    def close(self) -> None:
        """Let go of the snapshot; whoever reads in it by now reads on."""
        self._timer.cancel()
        self._stack.close()


class OpenMonths:
    """The months of one installation that are computed anew beside, and what pages made of their last documents."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._computing: set[str] = set()
        self._held: dict[str, Held] = {}
        self._all_held: list[Held] = []
        self._holding: dict[str, threading.Lock] = {}
        self._made: dict[Hashable, tuple[datetime, Any]] = {}
        self._background = ThreadPoolExecutor(1, thread_name_prefix="months")
        self._process: ProcessPoolExecutor | None = None

    def close(self) -> None:
        """Nothing is computed beside any more, and no snapshot is held."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.shutdown(wait=False, cancel_futures=True)
        self._background.shutdown(cancel_futures=True)
        for one in self._all_held:
            one.close()

    def held(self, ask: Ask, month: str) -> Held | None:
        """The month as it was a moment ago, with its snapshot; None where who asks reads it in the own one."""
        when = month_in(month, ask.books.policy.zone)
        found = read_outrun(ask.connection, when, ask.books.policy)
        if found is None or found.took_ms < SLOW_MS:
            return None
        mark = read_mark(ask.connection, when, ask.books.policy)
        kept = self._held.get(month)
        if kept is not None and kept.is_of(mark):
            if kept.age > FRESH:
                self._compute_beside(ask.books, month)
            return kept
        with self._lock:
            alone = self._holding.setdefault(month, threading.Lock())
        with alone:  # of several who ask at once one computes, and the others take what it computed
            kept = self._held.get(month)
            return kept if kept is not None and kept.is_of(mark) else self._hold(ask.books, month)

    def _hold(self, books: Books, month: str) -> Held:
        """Compute a month and hold its snapshot. The one before is held on, for who is about to read in it."""
        made = Held(books, month, self._computed)
        with self._lock:
            self._held[month] = made
            self._all_held = [*(one for one in self._all_held if one.age < HELD), made]
        return made

    def _computed(self, *asked: Any) -> Texts:
        """In a process of its own; in this one where there can be none (a container without shared memory)."""
        try:
            with self._lock:
                if self._process is None:
                    spawn = multiprocessing.get_context("spawn")
                    self._process = ProcessPoolExecutor(1, mp_context=spawn, initializer=_live_with_parent)
                process = self._process
            return process.submit(compute_texts, *asked).result()
        except (OSError, BrokenProcessPool) as error:
            _log.warning("no process of its own computes months: %s", type(error).__name__)
            with self._lock:
                self._process = None
            return compute_texts(*asked)

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
        if age > max(FRESH, REST * timedelta(milliseconds=found.took_ms)) or month not in self._held:
            self._compute_beside(ask.books, month)
        raise _Outrun(found.as_of)

    def _compute_beside(self, books: Books, month: str) -> None:
        with self._lock:
            if month in self._computing:
                return
            self._computing.add(month)

        def compute() -> None:
            try:
                self._hold(books, month)
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
