"""Who publishes an outbox: one process at a time, by a lock that the kernel drops when its holder ends."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

RUNS_ON = "until stopped"
ENDS_SOON = "until empty"


class PublishingLock:
    """The right to publish one outbox. Usable as a context manager once acquired."""

    def __init__(self, outbox_path: Path) -> None:
        self.path = outbox_path.with_name(f"{outbox_path.name}.publishing")
        self._descriptor: int | None = None

    def acquire(self, *, runs_on: bool) -> bool:
        """Take it if nobody has it. `runs_on`: we go on for ever, so that others may leave us their rows."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {RUNS_ON if runs_on else ENDS_SOON}\n".encode(), 0)
        self._descriptor = descriptor
        return True

    def holder_runs_on(self) -> bool:
        """Whether somebody else holds it who goes on for ever. A holder that ends soon may miss what comes now."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return RUNS_ON in os.pread(descriptor, 200, 0).decode("ascii", "replace")
        finally:
            os.close(descriptor)
        return False

    def release(self) -> None:
        """Give it back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()
