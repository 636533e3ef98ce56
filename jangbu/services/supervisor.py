"""Children of `up` and `demo`: start them, start a crashed one again, end all of them in order.

A child that this process can no longer stop, because it was itself killed with SIGKILL, is killed by the kernel at
once (see ``tether``): every child of ours survives a crash without loss, so that is as good as a stop. Call ``start``
and ``run`` from a thread that lives as long as the supervisor: the kernel watches the thread, not the process.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from jangbu.services import processes

if TYPE_CHECKING:
    import subprocess

STOP_TIMEOUT_S = 12.0
KILL_RESERVE_S = 1.0
LOOK_INTERVAL_S = 0.1
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 15.0
# A child that ran this long was well: its next crash is the first again.
WELL_AFTER_S = 30.0


@dataclass(frozen=True)
class Command:
    """A child to run: its name for people, its argument list, what its environment has beside ours."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Child:
    command: Command
    process: "subprocess.Popen[bytes] | None" = None
    crashes: int = 0
    started_at: float = 0.0
    start_again_at: float = 0.0


def jangbu_command(name: str, *arguments: str, instance: str | None = None) -> Command:
    """A subcommand of this very program, under the interpreter that we run in."""
    return Command(instance or name, [sys.executable, "-m", "jangbu", name, *arguments])


class Supervisor:
    """Runs ``commands``, in this order; stops them in the opposite one.

    Args:
        say: where sentences for people go; default standard error.
        log: where the children's output goes; None: ours.
        directory: their working directory; None: ours.
    """

    def __init__(
        self,
        commands: Sequence[Command],
        *,
        say: Callable[[str], None] | None = None,
        log: Path | None = None,
        directory: Path | None = None,
    ) -> None:
        self._children = [_Child(command) for command in commands]
        self._say = say or _say_on_stderr
        self._log = log
        self._directory = directory
        self._stop_asked = threading.Event()

    def start(self) -> None:
        """Start every child."""
        for child in self._children:
            self._start(child)

    def look(self) -> None:
        """One round: notice what crashed, start again what has waited long enough."""
        now = time.monotonic()
        for child in self._children:
            code = None if child.process is None else child.process.poll()
            if code is not None:
                self._note_crash(child, code, now)
            if child.process is None and now >= child.start_again_at:
                self._start(child)

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Start all and look after them until SIGINT, SIGTERM, ``ask_to_stop`` or ``until()``; then stop all."""
        with _stop_signals(self.ask_to_stop):
            try:
                self.start()
                while not self._stop_asked.wait(LOOK_INTERVAL_S) and not until():
                    self.look()
            finally:
                self.stop()

    def ask_to_stop(self) -> None:
        """Make ``run`` end; callable from a signal handler or another thread."""
        self._stop_asked.set()

    def stop(self) -> None:
        """SIGTERM in the opposite order of the start, each before the next; SIGKILL when the time is up."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for position, child in enumerate(reversed(self._children)):
            if child.process is None:
                continue
            # Who comes later must have its part of the time as well.
            others = len(self._children) - position - 1
            share_s = (deadline - time.monotonic()) / (others + 1)
            began = time.monotonic()
            processes.stop(child.process, ((signal.SIGTERM, max(share_s - KILL_RESERVE_S / (others + 1), 0.1)),))
            if child.process.returncode == -signal.SIGKILL:
                self._say(f"{child.command.name} did not end in {time.monotonic() - began:.0f} s and was killed")
            child.process = None

    def pids(self) -> dict[str, int]:
        """Process ids of the children that run, by name."""
        alive = {child.command.name: child.process for child in self._children if child.process is not None}
        return {name: process.pid for name, process in alive.items() if process.poll() is None}

    def _start(self, child: _Child) -> None:
        environment = {**os.environ, **child.command.environment}
        with _opened(self._log) as log:
            child.process = processes.spawn(
                child.command.argv,
                parent_death_signal=signal.SIGKILL,
                cwd=self._directory,
                environment=environment,
                log=log,
            )
        child.started_at = time.monotonic()

    def _note_crash(self, child: _Child, code: int, now: float) -> None:
        """Say it, and when it will be started again: doubling pauses, from the first again after a good while."""
        child.process = None
        child.crashes = 1 if now - child.started_at >= WELL_AFTER_S else child.crashes + 1
        pause_s = min(BACKOFF_FIRST_S * 2 ** (child.crashes - 1), BACKOFF_MAX_S)
        child.start_again_at = now + pause_s
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        self._say(f"{child.command.name} ended {how}; it is started again in {pause_s:g} s")


@contextlib.contextmanager
def _stop_signals(handler: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM call ``handler`` instead of interrupting; only the main thread can set that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda _number, _frame: handler())
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextlib.contextmanager
def _opened(path: Path | None) -> Iterator[IO[bytes] | None]:
    if path is None:
        yield None
        return
    with path.open("ab") as log:
        yield log


def _say_on_stderr(sentence: str) -> None:
    sys.stderr.write(f"jangbu: {sentence}\n")
    sys.stderr.flush()
