"""`make bench`: speed, growth, memory and freshness on Apache Kafka, PostgreSQL and workers, one machine, one run.

Standard output gets one table of ratios; what goes on is told on standard error. What is measured and how stands in
docs/benchmarks.md. Exit status: 0, also where an aim is not met; 1 where a benchmark could not be carried out, or a
variant stored something else than was sent; 3 where a service cannot be had; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

CHECKOUT = str(Path(__file__).resolve().parents[2])
if CHECKOUT not in sys.path:
    sys.path.insert(0, CHECKOUT)

from tests.bench.report import Figure, Findings, table  # noqa: E402
from tests.bench.scale import FULL, QUICK, Scale  # noqa: E402

if TYPE_CHECKING:
    from tests.bench.stage import Stage

PARTS = ("speed", "memory", "freshness", "growth")
"""In the order in which they run: the last one makes do with the time that is left."""
NAMED = ("alerts",)
"""What runs only where it is named, after those, and with Kafka."""
APART = ("http", "invoices", "pages", "monthend", "year")
"""What runs only where it is named, before the others: without Kafka."""
ENDING_S = 25.0
"""Kept for stopping and removing everything."""
DISK_BYTES_AN_EVENT = 1_200
"""What an event of the largest part takes on the disk: row, index, sums, and its record in Kafka; with room."""
YEAR_TIMES = 4
"""A month's events with the sums of a year, in PostgreSQL and in DuckDB, as a multiple of the month's events."""
DISK_BYTES_BASE = 10 * 1024**3
"""The write-ahead log between two checkpoints, and the rest."""


class TimeIsUp(BaseException):
    """The run's limit has passed. Not an Exception: nothing on the way may swallow it."""


def main(arguments: list[str]) -> int:
    """Run the parts that are asked for, print the table."""
    options = _options(arguments)
    scale = QUICK if options.quick else FULL
    if options.events is not None:
        scale = scale.of_events(options.events)
    parts: tuple[str, ...] = options.only or PARTS
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, _interrupt)
    found: list[Findings] = []
    failed: list[str] = []
    began_s = time.monotonic()
    limit_s = scale.limit_s + scale.month_s * len(set(parts) & set(APART))
    try:
        with _limited(limit_s):
            code = _run(scale, parts, found, failed, began_s + limit_s - ENDING_S)
    except KeyboardInterrupt:
        say("interrupted: everything that was started is stopped")
        code = 130
    except TimeIsUp:
        failed.append(f"not finished within {limit_s / 60:.0f} minutes: try --only, or a machine with less to do")
        code = 1
    _print(found, failed, scale, time.monotonic() - began_s)
    return code


def _run(scale: Scale, parts: tuple[str, ...], found: list[Findings], failed: list[str], end_s: float) -> int:
    """Each part on one stage, until `end_s` (time.monotonic); one that fails does not keep the others from running."""
    from jangbu.errors import SettingsError
    from tests.bench.house import House
    from tests.bench.stage import Disturbed, Stage
    from tests.bench.truth import WrongSums
    from tests.services.apache_kafka import KafkaUnavailableError

    try:
        _check_disk(scale, parts)
        needs_kafka = not set(parts) <= set(APART)
        say(f"starting {'Apache Kafka and ' if needs_kafka else ''}PostgreSQL")
        with Stage(House(), with_kafka=needs_kafka) as stage:
            for part in parts:
                try:
                    found.append(_part(part, stage, scale, end_s))
                except (Disturbed, WrongSums) as error:
                    failed.append(f"{part}: {error}")
                    say(failed[-1])
    except (SettingsError, KafkaUnavailableError, Disturbed) as error:
        failed.append(str(error))
        return 3
    return 1 if failed else 0


def _part(part: str, stage: Stage, scale: Scale, end_s: float) -> Findings:
    from tests.bench import alert_freshness, freshness, growth, http_door, invoices, memory, monthend, pages, speed

    measures: dict[str, Callable[[], Findings]] = {
        "speed": lambda: speed.measure(stage, scale, say),
        "growth": lambda: growth.measure(stage, scale.growth_events, end_s - time.monotonic(), say),
        "memory": lambda: memory.measure(stage, scale.memory_events, say),
        "freshness": lambda: freshness.measure(stage, scale.offered_s, say),
        "alerts": lambda: alert_freshness.measure(stage, scale.offered_s, say),
        "http": lambda: http_door.measure(stage.house, scale.offered_s, say),
        "invoices": lambda: invoices.measure(stage, invoices.lines_of(scale), say),
        "pages": lambda: pages.measure(stage, scale.month_events // 30, say),
        "monthend": lambda: monthend.measure(stage, scale.month_events, say),
        "year": lambda: monthend.measure_year(stage, scale.month_events, say),
    }
    return measures[part]()


def _print(found: list[Findings], failed: list[str], scale: Scale, took_s: float) -> None:
    figures: list[Figure] = [figure for findings in found for figure in findings.figures]
    if figures:
        print(table(figures), flush=True)
        print()
        for note in (note for findings in found for note in findings.notes):
            print(note)
        print(
            f"One run of {took_s / 60:.0f} minutes, {os.cpu_count()} cores, Python "
            f"{platform.python_version()}. Ratios are medians over rounds; speeds hold for this machine alone."
        )
    for sentence in failed:
        print(f"FAILED: {sentence}")
    sys.stdout.flush()


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small numbers, under 3 minutes; figures are rough")
    parser.add_argument("--only", type=_parts, metavar="NAME,...", help=f"of {', '.join(PARTS + NAMED + APART)}")
    parser.add_argument("--events", type=_events, metavar="N", help="size of the backlog; the other parts follow")
    return parser.parse_args(arguments)


def _parts(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in APART + PARTS + NAMED:
            known = ", ".join(PARTS + NAMED + APART)
            raise argparse.ArgumentTypeError(f"there is no part {name!r}: choose from {known}")
    return tuple(part for part in APART + PARTS + NAMED if part in names)


def _events(text: str) -> int:
    if not text.isdigit() or int(text) < 50_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 50000: fewer tell no speed")
    return int(text)


def _check_disk(scale: Scale, parts: tuple[str, ...]) -> None:
    """Raise Disturbed where the disk is too small: half-way would be worse."""
    from tests.bench.stage import Disturbed

    needs = {"speed": scale.events, "growth": scale.growth_events, "memory": 2 * scale.memory_events, "freshness": 0,
             "alerts": 0, "http": 0, "invoices": 0,
             "pages": scale.month_events // 30, "monthend": 2 * scale.month_events,
             "year": YEAR_TIMES * scale.month_events}  # fmt: skip
    wanted = DISK_BYTES_BASE + max(needs[part] for part in parts) * DISK_BYTES_AN_EVENT
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < wanted:
        raise Disturbed(
            f"{tempfile.gettempdir()} has {free / 1e9:.0f} GB free and {wanted / 1e9:.0f} are needed: "
            "set TMPDIR to a larger disk, or use --quick"
        )


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise TimeIsUp in this thread once so many seconds have passed."""

    def up(_number: int, _frame: FrameType | None) -> None:
        raise TimeIsUp

    signal.signal(signal.SIGALRM, up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def say(sentence: str) -> None:
    """Tell what goes on."""
    sys.stderr.write(f"bench: {sentence}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
