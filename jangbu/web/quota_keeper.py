"""The thread that knows what is left: it looks at the sums, answers gateways' reports, and publishes what changed.

It looks when PostgreSQL tells of a change (LISTEN), a fifth of a second apart at least and never for more than a fifth
of the time, and each second in any case. Whoever asks waits neither for the database nor for another one's answer.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import exc, text

from billing.quotas.access import access_until, read_access
from billing.quotas.board import Board
from billing.quotas.desk import Desk, WrongReport
from billing.store import snapshot
from jangbu.errors import JangbuError
from jangbu.web.quota_feed import QuotaFeed

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sqlalchemy import Engine

    from billing.pledges.pledge import PledgeRules
    from billing.quotas.leases import Account

LOOK_EVERY_S: Final = 1.0
LOOKS_APART_S: Final = 0.2
TIDY_EVERY_S: Final = 5.0
STALE_S: Final = 60.0
FIRST_WAIT_S: Final = 3.0
HEARING_S: Final = 0.5
"""How long listening lasts before it looks whether it is over."""
HEARING_ENDS_S: Final = 5.0
"""How long is waited for the listening thread: one whose server does not answer is left behind."""
LISTEN_AGAIN_S: Final = 5.0
REPORTS_WAITING_MAX: Final = 1_000
_AWAY: Final = (JangbuError, exc.OperationalError, exc.InterfaceError)
_log = logging.getLogger("jangbu.web")


@dataclass(frozen=True)
class KeptBoard:
    """A board, and what slices and settled calls take of hard quotas beside it, in ticks."""

    board: Board
    reserved: dict[Account, int]


class QuotaKeeper:
    """Keeps what is at most some seconds old, from the first question on.

    Args:
        connect: gives an engine of a role's login; may raise JangbuError while the database is away.
        zone: the organisation's.
        pledge_rules, sign_at: what pledges are asked for, and where one signs.
    """

    def __init__(
        self,
        connect: Callable[[Any], AbstractContextManager[Engine]],
        zone: str,
        pledge_rules: PledgeRules,
        sign_at: str | None = None,
    ) -> None:
        self.feed = QuotaFeed(zone)
        self._connect = connect
        self._zone = zone
        self._pledge_rules = pledge_rules
        self._sign_at = sign_at
        self._kept: KeptBoard | None = None
        self._reports: queue.Queue[tuple[dict[str, Any], Future[dict[str, Any]]]] = queue.Queue(REPORTS_WAITING_MAX)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._changed = threading.Event()
        self._first = threading.Event()
        self._access_read_for: object = None
        self._access_until = datetime.max.replace(tzinfo=UTC)

    def start(self) -> bool:
        """Begin; whether this call began it."""
        with self._starting:
            if self._thread is not None:
                return False
            self._thread = threading.Thread(target=self._run, name="quotas", daemon=True)
            self._thread.start()
            return True

    def kept(self) -> KeptBoard | None:
        """The newest board; None before the first one, or where it is stale. Waits a little for the very first."""
        begun = self.start()
        if self._kept is None:
            self._first.wait(FIRST_WAIT_S if begun else 0.0)
        kept = self._kept
        if kept is None or datetime.now(UTC) - kept.board.as_of > timedelta(seconds=STALE_S):
            return None
        return kept

    def board(self) -> Board | None:
        """The newest board alone; None where there is none yet."""
        kept = self.kept()
        return None if kept is None else kept.board

    @property
    def is_ready(self) -> bool:
        """Whether asking takes no time."""
        return self._kept is not None

    async def report(self, document: dict[str, Any]) -> dict[str, Any]:
        """A gateway's report, answered. Raises WrongReport, and OSError where the database is away."""
        self.start()
        answer: Future[dict[str, Any]] = Future()
        try:
            self._reports.put_nowait((document, answer))
        except queue.Full:
            raise ConnectionError("too many reports wait") from None
        self._wake.set()
        return await asyncio.wrap_future(answer)

    def close(self) -> None:
        """Stop, and wait for both threads."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._refuse_waiting(ConnectionError("the server is ending"))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._connect("reader") as reading, self._connect("billing") as writing:
                    over = threading.Event()
                    hearing = threading.Thread(
                        target=self._hear, args=(reading, over), name="quotas-hearing", daemon=True
                    )
                    hearing.start()
                    try:
                        self._keep(reading, writing)
                    finally:
                        over.set()
                        hearing.join(HEARING_ENDS_S)
            except _AWAY as error:
                _log.warning("quotas cannot be read: %s", str(error).splitlines()[0])
                self._refuse_waiting(ConnectionError("the database is away"))
                self._stop.wait(LOOK_EVERY_S)
            except Exception:  # noqa: BLE001 - quotas are kept as long as the server runs
                _log.exception("quotas cannot be kept; beginning anew")
                self._refuse_waiting(ConnectionError("quotas cannot be kept now"))
                self._stop.wait(LOOK_EVERY_S)

    def _keep(self, reading: Engine, writing: Engine) -> None:
        desk = Desk(self._zone)
        looked_s = tidied_s = float("-inf")
        pause_s = LOOKS_APART_S
        while not self._stop.is_set():
            now_s = time.monotonic()
            if now_s >= looked_s + (pause_s if self._changed.is_set() else LOOK_EVERY_S):
                self._changed.clear()
                begun_s = time.thread_time()
                self._look(desk, reading)
                pause_s = max(LOOKS_APART_S, 4 * (time.thread_time() - begun_s))
                looked_s = now_s
            self._answer(desk, writing)
            if now_s >= tidied_s + TIDY_EVERY_S:
                with writing.begin() as connection:
                    desk.tidy(connection, datetime.now(UTC))
                tidied_s = now_s
            due_s = looked_s + (pause_s if self._changed.is_set() else LOOK_EVERY_S)
            self._wake.wait(max(0.0, due_s - time.monotonic()))
            self._wake.clear()

    def _look(self, desk: Desk, reading: Engine) -> None:
        with snapshot(reading) as connection:
            now = datetime.now(UTC)
            changed = desk.look(connection, now)
            running = desk.running
            if self._access_read_for != running.registers or now >= self._access_until:
                self.feed.take_access(read_access(connection, self._pledge_rules, self._zone, now, self._sign_at))
                self._access_until = access_until(connection, self._zone, now)
                self._access_read_for = running.registers
        self.feed.take_states(running.table.rows, running.states, changed)
        board = Board(running.table, dict(running.states), self._zone, now, running.members)
        self._kept = KeptBoard(board, desk.reserved)
        self._first.set()

    def _answer(self, desk: Desk, writing: Engine) -> None:
        while True:
            try:
                document, answer = self._reports.get_nowait()
            except queue.Empty:
                return
            try:
                with writing.begin() as connection:
                    found = desk.take(connection, document, datetime.now(UTC))
            except WrongReport as error:
                answer.set_exception(error)
            except Exception as error:
                answer.set_exception(ConnectionError("the report could not be kept"))
                raise error from None
            else:
                answer.set_result(found)

    def _hear(self, reading: Engine, over: threading.Event) -> None:
        """Wake the keeper whenever PostgreSQL tells of a change, again after a connection was lost; without this it
        looks each second all the same."""
        while not over.is_set():
            try:
                with reading.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.execute(text("listen jangbu_sums"))
                    driver: Any = connection.connection.driver_connection
                    while not over.is_set():
                        for _ in driver.notifies(timeout=HEARING_S, stop_after=1):
                            self._changed.set()
                            self._wake.set()
            except Exception as error:  # noqa: BLE001 - a pooler that cannot listen, a connection lost: tried again
                _log.info("changes are not told (%s): quotas are looked at each second", type(error).__name__)
                over.wait(LISTEN_AGAIN_S)

    def _refuse_waiting(self, error: Exception) -> None:
        while True:
            try:
                _, answer = self._reports.get_nowait()
            except queue.Empty:
                return
            answer.set_exception(error)
