"""Saying how far the demo is: a live line on a terminal, plain lines elsewhere; all on standard error."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress


class Step(Protocol):
    """A step that is being done."""

    def at(self, done: int, total: int) -> None:
        """How much of it is done."""


class _Quiet:
    def at(self, done: int, total: int) -> None:
        """Plain lines tell a step's end only."""


class _Bar:
    def __init__(self, bars: Progress, task: object) -> None:
        self._bars = bars
        self._task = task

    def at(self, done: int, total: int) -> None:
        """Move the bar."""
        self._bars.update(self._task, completed=min(done, total), total=total)  # type: ignore[arg-type]


class Talk:
    """Tells the steps; `seconds` holds how long each took."""

    def __init__(self) -> None:
        self.seconds: list[tuple[str, float]] = []

    @contextmanager
    def step(self, sentence: str) -> Iterator[Step]:
        """Tell a step, with its time when it is done."""
        began_s = time.monotonic()
        if sys.stderr.isatty():
            with self._live(sentence) as step:
                yield step
        else:
            yield _Quiet()
        took_s = time.monotonic() - began_s
        self.seconds.append((sentence, took_s))
        mark = "\x1b[32m✔\x1b[0m" if sys.stderr.isatty() else "demo:"
        sys.stderr.write(f"{mark} {sentence} ({took_s:.1f} s)\n")
        sys.stderr.flush()

    @contextmanager
    def _live(self, sentence: str) -> Iterator[Step]:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=30), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            yield _Bar(bars, bars.add_task(sentence, total=None))
