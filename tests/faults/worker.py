"""A stream worker of its own process that does what the harness orders at named points.

Points: `before_sql`, `in_transaction`, `after_commit` (streams/sink.py), `rebalance` (partitions were assigned, and SQL
is asked where to read on). An order says at which passing of which point to act, and how: SIGKILL or SIGSTOP of the
whole process, by the process itself, so that the moment is exact.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from producers.broker_access import BrokerAccess
from producers.topic import TopicLog
from streams import worker as streams_worker
from streams.offsets import SqlOffsets
from tests.faults import testimony

if TYPE_CHECKING:
    from collections.abc import Callable

POINTS = ("before_sql", "in_transaction", "after_commit", "rebalance")
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
JOINED_EVERY_S = 0.02
_forks = multiprocessing.get_context("forkserver")
_children = threading.Lock()
"""An exit code can be read once from the fork server, and a start reads those of all: one thread at a time."""


@dataclass(frozen=True)
class Order:
    """Do `action` at the `passing`-th passing of `point`, counted from when the order is first seen."""

    number: int
    point: str
    action: str
    passing: int = 1


@dataclass(frozen=True)
class Plan:
    """What a worker process is started with; plain values, so that they travel to it."""

    bootstrap: str
    database_url: str
    log: TopicLog
    directory: str
    name: str
    group: str = "jangbu-worker"
    session_s: float = 2.0
    sink: str = "streams.sink:Sink"
    identity_check_s: float = 2.0
    loglevel: str = "WARNING"
    planted: str = ""
    """MODULE:FUNCTION that plants a fault in the process before the worker is made (tests/faults/planted.py)."""


class WorkerProcess:
    """One worker: started, ordered about, ended. Forked from a process that has imported everything already."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.directory = Path(plan.directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._orders = 0
        self._process: Any = None
        self._is_to_die = self._is_stopped = False

    def start(self) -> None:
        """Start it; it joins the group by itself."""
        _forks.set_forkserver_preload([__name__, "faust.transport.drivers.aiokafka"])
        with _children:
            self._process = _forks.Process(target=run, args=(self.plan,), daemon=True)
            self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        pid: int = self._process.pid
        return pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: ended by that signal."""
        with _children:
            code: int | None = self._process.exitcode if self._process is not None else 0
        return code

    @property
    def ended_as_told(self) -> bool:
        """By an order to kill itself, or by `stop`, which answers with the exit code."""
        return self._is_stopped or (self._is_to_die and self.exit_code == -signal.SIGKILL)

    def order(self, point: str, action: str, passing: int = 1) -> Order:
        """Give an order; it replaces the one before."""
        self._orders += 1
        self._is_to_die = action == "kill"
        order = Order(self._orders, point, action, passing)
        _write_whole(self.directory / "order", json.dumps(asdict(order)))
        return order

    def has_done(self, order: Order) -> bool:
        """Whether the order was carried out (the process wrote so just before it acted)."""
        try:
            return (self.directory / "done").read_text(encoding="ascii") == str(order.number)
        except FileNotFoundError:
            return False

    def withdraw(self) -> None:
        """No order stands."""
        (self.directory / "order").unlink(missing_ok=True)

    def signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            if self.exit_code is None:
                os.kill(self.pid, number)

    def join(self, timeout_s: float | None = None) -> int | None:
        """Wait for its end; its exit code, None if it still runs."""
        give_up_s = time.monotonic() + (float("inf") if timeout_s is None else timeout_s)
        while self.exit_code is None and time.monotonic() < give_up_s:
            time.sleep(JOINED_EVERY_S)
        return self.exit_code

    def stop(self, timeout_s: float = 20.0) -> int:
        """SIGTERM, then SIGKILL; its exit code."""
        if self._process is None:
            return 0
        self._is_stopped = True
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if self.join(timeout_s) is None:
            self.signal(signal.SIGKILL)
            self.join()
        code = self.exit_code
        assert code is not None
        return code

    def said(self) -> str:
        """Its log."""
        path = self.directory / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def run(plan: Plan) -> None:
    """The process itself: output goes to its log, orders are looked for at each point."""
    directory = Path(plan.directory)
    log = os.open(directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    testimony.listen(directory)
    observe = _Observer(directory)
    if plan.planted:
        _named(plan.planted)()
    settings = streams_worker.WorkerSettings(
        broker=BrokerAccess(plan.bootstrap),
        database_url=plan.database_url,
        log=plan.log,
        data_dir=plan.directory,
        group=plan.group,
        session_seconds=plan.session_s,
        identity_check_seconds=plan.identity_check_s,
        name=plan.name,
        observe=observe,
        sink_type=_named(plan.sink),
    )
    _observe_rebalances(observe)
    try:
        code = streams_worker.run_worker(settings, plan.loglevel)
    except BaseException:  # noqa: BLE001 - a process of its own: it is said in its log
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _named(what: str) -> Any:
    """What MODULE:NAME names."""
    module, _, name = what.partition(":")
    return getattr(importlib.import_module(module), name)


class _Observer:
    """Looks for an order at each point, from whatever thread passes it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._number = 0
        self._passed = 0

    def __call__(self, point: str) -> None:
        with self._lock:
            order = self._standing()
            if order is None or order.point != point:
                return
            if order.number != self._number:
                self._number, self._passed = order.number, 0
            self._passed += 1
            if self._passed < order.passing:
                return
            (self._directory / "order").unlink(missing_ok=True)
            _write_whole(self._directory / "done", str(order.number))
        # To this very thread: it does not return from here, while a signal to the process would let it run on a bit.
        signal.pthread_kill(threading.get_ident(), SIGNALS[order.action])

    def _standing(self) -> Order | None:
        try:
            return Order(**json.loads((self._directory / "order").read_text(encoding="ascii")))
        except FileNotFoundError:
            return None


def _observe_rebalances(observe: Callable[[str], None]) -> None:
    """Pass the point `rebalance` each time SQL is asked where to read on."""
    reading = SqlOffsets.read_from

    def read_from(self: SqlOffsets, partitions: set[int]) -> dict[int, int]:
        observe("rebalance")
        return reading(self, partitions)

    SqlOffsets.read_from = read_from  # type: ignore[method-assign]


def _write_whole(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(text, encoding="ascii")
    beside.replace(path)
