"""What the gateways hand over: the calls as files, with what goes wrong on the way.

Copies of events that were sent again, events that come days late, events that contradict one another, lines that are no
events. Each is counted here, so that the screen can say what was put in beside what was found.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, NamedTuple

import msgspec
import zstandard

from jangbu.demo.answers import SOURCES, line_of
from jangbu.demo.city import HOUR_MS, time_text

if TYPE_CHECKING:
    from pathlib import Path

    from jangbu.demo.city import Call, Wire

DAY_MS = 24 * HOUR_MS
LATE_DAYS_MAX = 5
LATE_SHARE = 0.01
COPY_SHARE = 0.004
COPY_AFTER_LINES_MAX = 4_000
CONTRADICTIONS = 3
RESTAMPED = 2
"""Events sent a second time with another time, hours later: a gateway that stamps when it sends."""
RESTAMPED_BY_MS = 3 * HOUR_MS
ZSTD_LEVEL = 3

_encode = msgspec.json.Encoder().encode


class Handover(NamedTuple):
    """A file that a gateway hands over, and the format that `jangbu ingest` reads it in."""

    name: str
    format: Wire
    source: str | None


HANDOVERS = (
    Handover("gateway-1.ndjson.zst", "usage", None),
    Handover("gateway-2.litellm.ndjson.gz", "litellm", SOURCES["litellm"]),
    Handover("archive.response.ndjson.zst", "response", None),
    Handover("gateway-1-late.ndjson", "usage", None),
)
"""In the order in which they are brought."""


@dataclass
class Delivered:
    """What was put into the files."""

    calls: int = 0
    lines: int = 0
    copies: int = 0
    late: int = 0
    contradictions: int = 0
    restamped: int = 0
    malformed: int = 0

    def as_document(self) -> dict[str, int]:
        """By name."""
        return asdict(self)


def hand_over(calls: Iterable[Call], directory: Path, seed: int) -> Delivered:
    """Write the files of the calls that passed a gateway; the calls come in the order in which they were made."""
    rng = random.Random(f"jangbu gateway {seed}")  # noqa: S311 - seeded mishaps, no secret
    delivered = Delivered()
    with ExitStack() as stack:
        files = {wire: stack.enter_context(_opened(directory / name)) for name, wire, _ in HANDOVERS[:-1]}
        late = _put(calls, files, rng, delivered)
        for line in malformed_lines():
            files["usage"].write(line + b"\n")
            delivered.malformed += 1
            delivered.lines += 1
    with _opened(directory / HANDOVERS[-1].name) as file:
        for _, line in sorted(late):
            file.write(line + b"\n")
            delivered.lines += 1
    return delivered


def _put(calls: Iterable[Call], files: dict[Wire, IO[bytes]], rng: random.Random,
         delivered: Delivered) -> list[tuple[int, bytes]]:
    """Write what comes in time. Returns what comes late, as (when it arrives in ms since 1970, line)."""
    late: list[tuple[int, bytes]] = []
    copies: list[tuple[int, bytes]] = []  # (after which line of the first file, line)
    for call in calls:
        delivered.calls += 1
        line = line_of(call)
        if call.wire == "usage" and rng.random() < LATE_SHARE:
            late.append((call.time_ms + rng.randrange(DAY_MS, LATE_DAYS_MAX * DAY_MS), line))
            delivered.late += 1
            continue
        files[call.wire].write(line + b"\n")
        delivered.lines += 1
        if call.wire == "usage":
            late += _mishaps(call, rng, delivered)
            if rng.random() < COPY_SHARE:
                copies.append((delivered.lines + rng.randrange(1, COPY_AFTER_LINES_MAX), line))
        if copies and copies[0][0] <= delivered.lines:
            files["usage"].write(copies.pop(0)[1] + b"\n")
            delivered.lines += 1
            delivered.copies += 1
    delivered.copies += len(copies)
    late += [(1 << 60, line) for _, line in copies]
    return late


def _mishaps(call: Call, rng: random.Random, delivered: Delivered) -> Iterator[tuple[int, bytes]]:
    """Now and then the same id comes again with another content, or with another time."""
    if call.status != "success" or rng.random() > 0.002:
        return
    if delivered.contradictions < CONTRADICTIONS:
        delivered.contradictions += 1
        units = {**call.units, "output_tokens": call.units["output_tokens"] + 1000}
        yield call.time_ms + DAY_MS, line_of(call._replace(units=units))
    elif delivered.restamped < RESTAMPED and 4 * HOUR_MS < call.time_ms % DAY_MS < 12 * HOUR_MS:
        delivered.restamped += 1
        yield call.time_ms + DAY_MS, line_of(call._replace(time_ms=call.time_ms + RESTAMPED_BY_MS))


def malformed_lines() -> list[bytes]:
    """Lines that no gateway should send and some do: `jangbu ingest` refuses each with a reason."""
    good = {
        "specversion": "1.0", "type": "ai.usage.v1", "source": SOURCES["usage"], "id": "malformed",
        "time": "2026-01-01T00:00:00Z", "subject": "u-00001",
        "data": {"model": "HCX-007", "provider": "naver", "units": {"input_tokens": 10, "requests": 1}},
    }  # fmt: skip
    data = good["data"]
    assert isinstance(data, dict)
    wrong: list[dict[str, object]] = [
        {**good, "data": {**data, "units": {"input_tokens": -5}}},
        {**good, "data": {**data, "units": {"input_tokens": 10_000_000_000}}},
        {**good, "data": {**data, "units": {"input_tokens": 10.5}}},
        {**good, "data": {"model": "HCX-007", "units": {"input_tokens": 10}}},
        {**good, "data": {**data, "units": {}}},
        {**good, "time": "2026-01-01 09:00"},
        {**good, "time": "2099-01-01T00:00:00Z"},
        {**good, "time": "2001-01-01T00:00:00Z"},
        {**good, "specversion": "0.3"},
        {**good, "subject": "u-00001\u0007"},
        {name: value for name, value in good.items() if name != "id"},
    ]
    return [_encode(event) for event in wrong] + [_encode(good)[:97]]


def foreign_records(calls_at_ms: int) -> list[tuple[bytes, bytes]]:
    """(key, value) of records that somebody writes into Kafka past our doors; `calls_at_ms` lies within the month.

    The worker puts each into quarantine and goes on.
    """
    event = {
        "specversion": "1.0", "type": "ai.usage.v1", "source": "foreign", "time": time_text(calls_at_ms),
        "data": {"model": "HCX-007", "provider": "naver", "units": {"input_tokens": 1}},
    }  # fmt: skip
    far = {**event, "time": "2099-12-31T00:00:00Z"}
    minus = {**event, "data": {"model": "HCX-007", "provider": "naver", "units": {"input_tokens": -1}}}
    bodies = [b"not json", _encode(["a", "list"]), _encode({**far, "id": "f-3"}), _encode({**minus, "id": "f-4"})]
    return [(f"foreign/f-{number}".encode(), body) for number, body in enumerate(bodies, 1)]


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A file to write lines to, compressed as its name says; the same lines give the same bytes."""
    with path.open("wb") as raw:
        if path.suffix == ".zst":
            with zstandard.ZstdCompressor(level=ZSTD_LEVEL).stream_writer(raw, closefd=False) as file:
                yield file
        elif path.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=4, mtime=0) as file:
                yield file  # type: ignore[misc]
        else:
            yield raw
