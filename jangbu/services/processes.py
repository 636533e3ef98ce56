"""Processes: who is alive, how one is started so that it ends with us, how one is ended for sure."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

TETHER = Path(__file__).with_name("tether.py")
BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
# Fields of /proc/PID/stat after the command name in parentheses (proc_pid_stat(5)): 0 is the state, 19 the start time.
STAT_STATE = 0
STAT_START_TIME = 19
DEAD_STATES = frozenset("ZXx")
POLL_S = 0.05

LogTarget = IO[bytes] | int | None


def identity(pid: int) -> str | None:
    """What tells this process from another that gets the same number later; None when it does not run.

    A zombie does not run. The value holds for this boot only and is compared, never read.
    """
    if not Path("/proc/self/stat").exists():
        return _identity_elsewhere(pid)
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = BOOT_ID_FILE.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    fields = text.rpartition(")")[2].split()
    if fields[STAT_STATE] in DEAD_STATES:
        return None
    return f"{boot}/{fields[STAT_START_TIME]}"


def is_alive(pid: int, known_identity: str | None) -> bool:
    """Whether the process that had ``known_identity`` still runs under ``pid``."""
    return known_identity is not None and identity(pid) == known_identity


def spawn(
    argv: Sequence[str],
    *,
    parent_death_signal: int = signal.SIGKILL,
    user: str | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    log: LogTarget = None,
) -> subprocess.Popen[bytes]:
    """Start ``argv`` as a child that the kernel signals when this process (its calling thread) dies.

    Args:
        user: become this user first; we must be root.
        log: where its standard output and error go; None: ours.
    """
    # -I and -S keep the interpreter from reading anything but the standard library: 15 ms.
    start = [sys.executable, "-I", "-S", str(TETHER), "--parent", str(os.getpid())]
    start += ["--signal", str(int(parent_death_signal))]
    if user is not None:
        start += ["--user", user]
    return subprocess.Popen(
        [*start, "--", *argv],
        cwd=cwd,
        env=None if environment is None else dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        # A Ctrl-C of the terminal goes to us alone, and we stop our children in order.
        process_group=0,
    )


def spawn_detached(argv: Sequence[str], *, log: IO[bytes], environment: Mapping[str, str] | None = None) -> int:
    """Start ``argv`` in a session of its own so that it outlives us; returns its process id."""
    started = subprocess.run(
        [sys.executable, "-I", "-S", str(TETHER), "--detach", "--", *argv],
        env=None if environment is None else dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        check=True,
    )
    return int(started.stdout)


def stop(process: subprocess.Popen[bytes], escalation: Sequence[tuple[int, float]]) -> int:
    """Send each signal in turn and wait that many seconds for the end; SIGKILL at last. Returns its exit code."""
    for number, wait_s in escalation:
        if process.poll() is not None:
            return process.returncode
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(wait_s)
    process.kill()
    return process.wait()


def stop_pid(pid: int, known_identity: str | None, escalation: Sequence[tuple[int, float]]) -> None:
    """The same for a process that is not our child."""
    for number, wait_s in (*escalation, (signal.SIGKILL, 5.0)):
        if not is_alive(pid, known_identity):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        wait_until(lambda: not is_alive(pid, known_identity), wait_s)


def wait_until(condition: Callable[[], bool], timeout_s: float, poll_s: float = POLL_S) -> bool:
    """Look until ``condition`` holds; False when ``timeout_s`` have passed first."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(poll_s)
    return True


def _identity_elsewhere(pid: int) -> str | None:
    """The same on systems without /proc."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{psutil.boot_time():.0f}/{process.create_time():.2f}"
    except psutil.Error:
        return None
