"""A command as a receiver: a program that the settings name, the alert on its standard input. No shell, ever.

It gets a few variables of the environment and none of ours: settings hold secrets. What it prints is thrown away. After
its time is up, it and what it started are killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING

from jangbu.sending.not_taken import NotTaken

if TYPE_CHECKING:
    from collections.abc import Sequence

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT")


def run_program(argv: Sequence[str], body: bytes, seconds_max: int) -> None:
    """Run it once with `body` on standard input; it has taken the alert where it ends with 0. Raises NotTaken."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise NotTaken(f"the command cannot be run ({error.strerror or type(error).__name__})") from None
    try:
        process.communicate(body + b"\n", timeout=seconds_max)
    except subprocess.TimeoutExpired:
        _kill(process)
        raise NotTaken(f"the command did not end within {seconds_max} s and was killed") from None
    except BaseException:
        _kill(process)
        raise
    if process.returncode != 0:
        raise NotTaken(f"the command ended with {process.returncode}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The program and what it started, which stand in a group of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(BrokenPipeError):
        process.communicate()
