"""Events over HTTP: how many a second the door takes in batches on one core, and how long an answer takes at half that.

The server is `jangbu serve` as it is, held to one processor; what sends is another process's, on the others. Bodies are
made before the clock runs. Each 202 stands for a commit of the outbox with `fsync`: afterwards the outbox must hold
exactly what was answered. Compared with 20,000 events/s and 50 ms (the aims), and with the outbox alone taking the same
batches one after the other, which is what a door without group commit could do at best.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from jangbu.services.ports import free_port, is_listening
from producers.outbox import Accepted, Outbox
from tests.bench.house import House
from tests.bench.report import Figure, Findings, thousand
from tests.bench.stage import Disturbed

BATCH_EVENTS = 100
CONNECTIONS = 16
AIM_EVENTS_PER_S = 20_000
AIM_P99_S = 0.050
TOKEN = "token-of-the-benchmark"
START_S = 60.0
CHECKOUT = str(Path(__file__).resolve().parents[2])
TURNED_UP = b"HTTP/1.1 202 "


class Load(NamedTuple):
    """What one run of requests did: how long it took, and how long each answer did (seconds, from when it was due)."""

    requests: int
    took_s: float
    answers_s: Sequence[float]

    @property
    def events_per_s(self) -> float:
        return self.requests * BATCH_EVENTS / self.took_s

    def quantile(self, share: float) -> float:
        ordered = sorted(self.answers_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure(house: House, seconds: float, say: Callable[[str], None]) -> Findings:
    """The part `http`."""
    bodies, rows = _bodies(house)
    with tempfile.TemporaryDirectory(prefix="jangbu-http-") as directory:
        alone = _outbox_alone(Path(directory) / "alone.sqlite", rows, seconds / 2)
        say(f"http: the outbox alone takes {thousand(alone)} in batches of {BATCH_EVENTS}")
        server = _Server(Path(directory))
        try:
            asyncio.run(_drive(server.port, bodies, requests=200, pace_s=None))
            cpu_s = server.cpu_s()
            full = asyncio.run(_drive(server.port, bodies, requests=_enough(seconds), pace_s=None))
            cpu_s = server.cpu_s() - cpu_s
            say(f"http: {thousand(full.events_per_s)}, an answer in {full.quantile(0.5) * 1000:.1f} ms (median)")
            pace_s = BATCH_EVENTS / (AIM_EVENTS_PER_S / 2)
            os.sync()  # what the burst has left is written back now: hundreds of MB in the way of every commit
            half = asyncio.run(_drive(server.port, bodies, requests=int(seconds / pace_s), pace_s=pace_s))
            say(f"http: at half the aim p99 is {half.quantile(0.99) * 1000:.1f} ms")
            commits, taken = server.counted("commits_total"), server.counted("events_accepted_total")
            requests = 200 + full.requests + half.requests
            held = _held(server.outbox)
            if not held == taken == requests * BATCH_EVENTS:
                raise Disturbed(f"the outbox holds {held} events and {requests * BATCH_EVENTS} were answered with 202")
            with server.settling():
                os.sync()
                shared = asyncio.run(_drive(server.port, bodies, requests=int(seconds / pace_s), pace_s=pace_s))
            say(f"http: beside a publisher p99 is {shared.quantile(0.99) * 1000:.1f} ms")
        finally:
            server.stop()
    return Findings(
        [
            Figure("HTTP in batches, one core / 20 k/s", full.events_per_s / AIM_EVENTS_PER_S, ("at least", 1),
                   thousand(full.events_per_s)),
            Figure("p99 of an answer at 10 k/s / 50 ms", half.quantile(0.99) / AIM_P99_S, ("at most", 1),
                   f"{half.quantile(0.99) * 1000:.1f} ms, median {half.quantile(0.5) * 1000:.1f} ms"),
            Figure("the same beside what takes rows out / 50 ms", shared.quantile(0.99) / AIM_P99_S, ("at most", 1),
                   f"{shared.quantile(0.99) * 1000:.1f} ms, median {shared.quantile(0.5) * 1000:.1f} ms"),
            Figure("HTTP in batches, per processor second / 20 k/s",
                   full.requests * BATCH_EVENTS / cpu_s / AIM_EVENTS_PER_S, None,
                   thousand(full.requests * BATCH_EVENTS / cpu_s)),
            Figure("HTTP in batches / the outbox alone", full.events_per_s / alone, None, thousand(alone)),
            Figure("requests / commits", requests / commits, None, f"{commits} commits"),
        ],
        [f"http: batches of {BATCH_EVENTS}, {CONNECTIONS} connections; every 202 was durable, {held} events in all."],
    )  # fmt: skip


def _enough(seconds: float) -> int:
    """Requests that keep a door at the aim busy for about so long."""
    return max(200, int(seconds * AIM_EVENTS_PER_S / BATCH_EVENTS))


def _bodies(house: House) -> tuple[list[bytes], list[list[Accepted]]]:
    """Requests with headers, and the same batches as rows."""
    day = house.day(0, 200 * BATCH_EVENTS)
    events = [Accepted(key, value, timestamp_ms) for key, value, timestamp_ms in house.events(day)]
    batches = [events[first : first + BATCH_EVENTS] for first in range(0, len(events), BATCH_EVENTS)]
    requests = []
    for batch in batches:
        body = b"[" + b",".join(row.value for row in batch) + b"]"
        head = (
            f"POST /v1/events HTTP/1.1\r\nhost: jangbu\r\nauthorization: Bearer {TOKEN}\r\n"
            f"content-type: application/cloudevents-batch+json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests, batches


def _outbox_alone(path: Path, batches: Sequence[Sequence[Accepted]], seconds: float) -> float:
    """Events a second of the outbox without a door: each batch its own commit."""
    taken = 0
    with Outbox(path) as outbox:
        began_s = time.perf_counter()
        while time.perf_counter() - began_s < seconds:
            outbox.append(batches[taken % len(batches)])
            taken += 1
        return taken * BATCH_EVENTS / (time.perf_counter() - began_s)


class _Server:
    """`jangbu serve` on the first of our processors."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.outbox = directory / "data/outbox/outbox.sqlite"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JANGBU_")}
        environment |= {"JANGBU_DATA_DIR": str(directory / "data"), "JANGBU_TOKEN": TOKEN,
                        "JANGBU_MAX_EVENT_BACK_DAYS": "36600", "JANGBU_HTTP_EVENTS_PER_SECOND": "10000000"}  # fmt: skip
        environment["PYTHONPATH"] = CHECKOUT
        self._log = directory / "serve.log"
        command = [sys.executable, "-m", "jangbu", "serve", "--port", str(self.port)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(self._process.pid, processors[:1])
        deadline_s = time.monotonic() + START_S
        while not is_listening(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                self.stop()
                raise Disturbed(f"`jangbu serve` does not serve: {self._log.read_text()}")
            time.sleep(0.1)

    def counted(self, name: str) -> int:
        """One of the door's counters."""
        return asyncio.run(_counted(self.port, f"jangbu_http_{name} ".encode()))

    def cpu_s(self) -> float:
        """Seconds of processor time so far."""
        times = psutil.Process(self._process.pid).cpu_times()
        return times.user + times.system

    @contextmanager
    def settling(self) -> Iterator[None]:
        """Something takes rows out of the outbox meanwhile, in a process of its own."""
        command = [sys.executable, "-m", "tests.bench.settling", str(self.outbox)]
        process = subprocess.Popen(command, cwd=CHECKOUT)
        try:
            deadline_s = time.monotonic() + START_S
            while _held(self.outbox):
                if process.poll() is not None or time.monotonic() > deadline_s:
                    raise Disturbed("the outbox is not emptied")
                time.sleep(0.1)
            yield
        finally:
            process.kill()
            process.wait()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


async def _drive(port: int, bodies: Sequence[bytes], *, requests: int, pace_s: float | None) -> Load:
    """Send so many requests over CONNECTIONS connections: one after the other on each, or one each `pace_s` in all.

    With a pace an answer's time counts from when its request was due, so that a server that falls behind shows it.
    """
    answers: list[float] = []
    due = iter(range(requests))
    began_s = time.perf_counter()

    async def send() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for number in due:
                due_s = time.perf_counter() if pace_s is None else began_s + number * pace_s
                await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
                writer.write(bodies[number % len(bodies)])
                await _answered(reader)
                answers.append(time.perf_counter() - due_s)
        finally:
            writer.close()
            await writer.wait_closed()

    await asyncio.gather(*(send() for _ in range(CONNECTIONS)))
    return Load(requests, time.perf_counter() - began_s, answers)


async def _answered(reader: asyncio.StreamReader) -> bytes:
    """One answer's body. Raises Disturbed where it is no 202."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    body = await reader.readexactly(length)
    if not head.startswith(TURNED_UP):
        raise Disturbed(f"the door answered {head[:30]!r} {body[:300]!r}")
    return body


async def _counted(port: int, name: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nhost: jangbu\r\nconnection: close\r\n\r\n")
    page = await reader.read()
    writer.close()
    await writer.wait_closed()
    return next(int(line.split()[1]) for line in page.splitlines() if line.startswith(name))


def _held(path: Path) -> int:
    sql = sqlite3.connect(path)
    try:
        return int(sql.execute("select count(*) from event").fetchone()[0])
    finally:
        sql.close()
