"""Each proxy process has an outbox of its own: the first in the data directory that nobody else publishes.

What a killed process left in its outbox is published by whoever takes that outbox next: the process that starts in its
place, or, where fewer start, another one that finds it unowned (`unowned`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from producers.publishing_lock import PublishingLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLOTS_MAX: Final = 1_000
_PATTERN: Final = "outbox-*.sqlite"


class Slot(NamedTuple):
    """An outbox's file and the right to publish it, which lasts until the lock is released or the process ends."""

    path: Path
    lock: PublishingLock


def take_slot(directory: Path) -> Slot:
    """The first outbox that nobody has. Raises OSError where the directory cannot be used."""
    for number in range(SLOTS_MAX):
        path = directory / f"outbox-{number}.sqlite"
        lock = PublishingLock(path)
        if lock.acquire(runs_on=True):
            return Slot(path, lock)
    raise OSError(f"{SLOTS_MAX} processes have an outbox in {directory}: give each proxy a data directory of its own")


def unowned(directory: Path) -> Iterator[Slot]:
    """The outboxes that nobody has now, each held while it is looked at."""
    for path in sorted(directory.glob(_PATTERN)):
        lock = PublishingLock(path)
        if lock.acquire(runs_on=False):
            with lock:
                yield Slot(path, lock)
