"""What runs as processes that are killed: writers that store as a stream worker does, and the alert process itself."""

from __future__ import annotations

import logging
import pickle
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from billing.alerts.deliveries import Plan
from billing.alerts.watching import Watch
from jangbu import alerting
from jangbu.database import connect
from jangbu.sending import MailServer, Senders
from streams.sink import Behind, Stored
from tests.alert_faults import planted
from tests.alert_faults.month import ZONE
from tests.faults.workbench import Workbench

if TYPE_CHECKING:
    from jangbu.services.postgres import DatabaseUrls
    from streams.chunk import Chunk

PACE_S = 0.02


class Orders(NamedTuple):
    """What a process is started with. `clock`: a file that says what time it is; `today`: one that says up to which day
    events may be stored."""

    urls: DatabaseUrls
    clock: Path
    today: Path
    smtp_url: str
    planted: str = ""


def keep_partition(directory: Path, partition: int, chunks: list[tuple[int, Chunk]]) -> Path:
    """A partition's chunks in a file, with an index beside it: whoever begins in the middle reads on from there."""
    file, index = directory / f"partition-{partition}", []
    with file.open("wb") as opened:
        for day, chunk in chunks:
            index.append((chunk.first_offset, opened.tell()))
            pickle.dump((day, chunk), opened)
    file.with_suffix(".index").write_bytes(pickle.dumps(index))
    return file


def write_partition(orders: Orders, file: Path, partition: int) -> None:
    """Store a partition's chunks from where SQL stands, as far as the day allows, for ever."""
    index: list[tuple[int, int]] = pickle.loads(file.with_suffix(".index").read_bytes())  # noqa: S301 - ours
    while True:
        with suppress(psycopg.OperationalError), Workbench(orders.urls, worker=f"writer-{partition}") as bench:
            stored = {row[0]: row[1] for row in bench.ask("select partition, next_offset from stream_offset")}
            at = int(stored.get(partition, 0))
            with file.open("rb") as opened:
                opened.seek(next((place for first, place in index if first >= at), file.stat().st_size))
                while opened.tell() < file.stat().st_size:
                    day, chunk = pickle.load(opened)  # noqa: S301 - ours
                    while day > int(_read(orders.today) or -1):
                        threading.Event().wait(PACE_S)
                    outcome = bench.store(chunk)
                    assert isinstance(outcome, Stored | Behind), outcome
            threading.Event().wait(3600)


def tell(orders: Orders) -> None:
    """The alert process, by a clock of ours and at a hurried pace."""
    logging.disable(logging.CRITICAL)
    planted.plant(orders.planted)
    alerting.EVERY_S, alerting.BACKOFF_MAX_S = 0.1, 0.2
    senders = Senders(ZONE, "ko", MailServer.of_url(orders.smtp_url), "jangbu@city.example")

    def clock() -> datetime:
        return datetime.fromisoformat(_read(orders.clock)).astimezone(UTC)

    engine = connect(orders.urls.billing)
    alerting.run(engine, ZONE, senders, threading.Event(), Watch(Plan(ZONE)), clock=clock)


def _read(file: Path) -> str:
    return file.read_text(encoding="ascii")


def write_file(file: Path, said: Any) -> None:
    """In one step: a reader sees the old or the new."""
    beside = file.with_suffix(".new")
    beside.write_text(str(said), encoding="ascii")
    beside.replace(file)
