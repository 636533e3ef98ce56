"""Files to lines to the outbox: compression, odd bytes, broken ends, resuming, refusing."""

from __future__ import annotations

import gzip
import io
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import zstandard

from producers.adapters import ADAPTERS, Options
from producers.contract import TimeBounds
from producers.feeding import Feeder
from producers.file_progress import FileProgress, ReadTwice
from producers.lines import LinesBroken, Place, content_id, read_lines
from producers.outbox import Outbox, OutboxError

NOW_MS = 1_791_000_000_000  # 2026-10-03T03:20:00Z
TEXT = b"".join(b'{"line":%d}\n' % number for number in range(1, 1001))


def gzipped(text: bytes) -> bytes:
    return gzip.compress(text)


def zstandardised(text: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(text)


def lines_of(data: bytes, start: Place | None = None, limit: int = 1000) -> list[tuple[int, bytes | None]]:
    chunks = read_lines(io.BytesIO(data), start or Place(), limit)
    return [(line.number, line.raw) for chunk in chunks for line in chunk]


EXPECTED = [(number, b'{"line":%d}' % number) for number in range(1, 1001)]


@pytest.mark.parametrize(
    "data",
    [
        TEXT,
        TEXT[:-1],
        gzipped(TEXT),
        zstandardised(TEXT),
        gzipped(TEXT[:5000]) + gzipped(TEXT[5000:]),
        zstandardised(TEXT[:5000]) + zstandardised(TEXT[5000:]),
        gzipped(TEXT) + b"\0" * 1000,
        b"\xef\xbb\xbf" + TEXT,
        gzipped(b"\xef\xbb\xbf" + TEXT),
        TEXT.replace(b"\n", b"\r\n"),
    ],
    ids=["plain", "no-last-feed", "gz", "zst", "gz-members", "zst-frames", "gz-padding", "bom", "gz-bom", "crlf"],
)
def test_the_same_lines_whatever_the_wrapping(data: bytes) -> None:
    assert lines_of(data) == EXPECTED


class OneByte(io.RawIOBase):
    """A pipe that gives a byte at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        byte = self._data.read(1)
        buffer[: len(byte)] = byte
        return len(byte)


@pytest.mark.parametrize("wrap", [bytes, gzipped, zstandardised])
def test_a_pipe_may_give_bytes_one_by_one(wrap: Any) -> None:
    chunks = read_lines(OneByte(wrap(TEXT[:500])), Place(), 1000)  # type: ignore[arg-type]
    assert [line.raw for chunk in chunks for line in chunk] == TEXT[:500].split(b"\n")


def test_blank_lines_are_passed_over_and_counted() -> None:
    assert lines_of(b"\n\r\n  \t\na\n\n b \n") == [(4, b"a"), (6, b" b ")]
    assert lines_of(b"") == []
    assert lines_of(b"\n\n") == []


def test_long_lines_are_named_and_not_held() -> None:
    data = b"a" * 10 + b"\n" + b"b" * 11 + b"\n" + b"c" * 3_000_000 + b"\n" + b"d\n" + b"e" * 20
    assert lines_of(data, limit=10) == [(1, b"a" * 10), (2, None), (3, None), (4, b"d"), (5, None)]
    assert lines_of(b"a" * 10 + b"\r\n", limit=10) == [(1, b"a" * 10)]


@pytest.mark.parametrize("wrap", [bytes, gzipped, zstandardised])
def test_every_place_resumes_with_the_next_line(wrap: Any) -> None:
    text = b"\xef\xbb\xbfone\r\n\ntwo\n" + b"x" * 50 + b"\nthree\n\nfour"
    data = wrap(text)
    every = [line for chunk in read_lines(io.BytesIO(data), Place(), 20) for line in chunk]
    assert [line.number for line in every] == [1, 3, 4, 5, 7]
    for index, line in enumerate(every):
        assert lines_of(data, line.after, 20) == [(later.number, later.raw) for later in every[index + 1 :]]


@pytest.mark.parametrize("wrap", [gzipped, zstandardised])
@pytest.mark.parametrize("cut", [1, 9, 50, 300])
def test_a_compressed_file_that_breaks_off_gives_what_was_whole(wrap: Any, cut: int) -> None:
    text = os.urandom(200_000).hex().encode().replace(b"a", b"\n")
    data = wrap(text)
    given: list[bytes | None] = []
    chunks = read_lines(io.BytesIO(data[:-cut]), Place(), 10_000)
    with pytest.raises(LinesBroken, match=r"break off|not whole|decompress"):
        given.extend(line.raw for chunk in chunks for line in chunk)
    assert given
    assert given == [line for line in text.split(b"\n") if line][: len(given)]


@pytest.mark.parametrize("wrap", [gzipped, zstandardised])
def test_damage_and_rubbish_behind_the_end_are_said(wrap: Any) -> None:
    data = bytearray(wrap(os.urandom(5000).hex().encode()))
    data[100:140] = b"\xff" * 40
    with pytest.raises(LinesBroken, match=r"decompress|break off"):
        lines_of(bytes(data), limit=20_000)
    with pytest.raises(LinesBroken, match="none of it"):
        lines_of(wrap(b"a\n") + b"rubbish")


@pytest.mark.parametrize("wrap", [gzipped, zstandardised])
def test_a_bomb_stays_small_in_memory(wrap: Any) -> None:
    data = wrap(b"a" * 200_000_000 + b"\nb\n")
    assert len(data) < 300_000
    tracemalloc.start()
    try:
        assert lines_of(data, limit=100) == [(1, None), (2, b"b")]
        assert tracemalloc.get_traced_memory()[1] < 70_000_000
    finally:
        tracemalloc.stop()


def test_content_is_named_by_all_its_bytes_and_by_how_it_is_read() -> None:
    def name(data: bytes, *marks: str) -> str:
        return content_id(io.BytesIO(data), *marks)

    assert name(TEXT, "usage", "") == name(TEXT, "usage", "")
    others = [name(TEXT + b"\n", "usage", ""), name(TEXT, "litellm", ""), name(TEXT, "usage", "x")]
    assert len({name(TEXT, "usage", ""), *others}) == 4


def event(number: int, **changes: object) -> bytes:
    line = {
        "specversion": "1.0", "type": "ai.usage.v1", "source": "s", "id": f"id-{number}",
        "time": "2026-10-03T01:02:03Z", "data": {"model": "m", "provider": "p", "units": {"requests": 1}}, **changes,
    }  # fmt: skip
    return json.dumps(line).encode() + b"\n"


def feeder(now_ms: int = NOW_MS) -> Feeder:
    return Feeder(ADAPTERS["usage"], Options(), TimeBounds(), lambda: now_ms)


@pytest.fixture
def outbox(tmp_path: Path) -> Any:
    with Outbox(tmp_path / "outbox.sqlite") as opened:
        yield opened


def feed(outbox: Outbox, data: bytes, now_ms: int = NOW_MS) -> FileProgress:
    progress = FileProgress(outbox, content_id(io.BytesIO(data)), "file")
    lines = read_lines(io.BytesIO(data), progress.begin().place, 1_000_000)
    for _ in feeder(now_ms).feed(lines, progress, progress.begin(), eager=False):
        pass
    return progress


def test_good_lines_are_taken_and_bad_ones_named(outbox: Outbox) -> None:
    data = event(1) + b"{broken\n" + event(2, time="2027-12-01T00:00:00Z") + b"\x00\xff\n" + event(3)
    progress = feed(outbox, data)
    assert [row.key for row in outbox.read_pending()] == [b"s/id-1", b"s/id-3"]
    assert {row.accepted_ms for row in outbox.read_pending()} == {NOW_MS}
    refused = list(progress.rejections())
    assert [(rejection.line, rejection.code) for rejection in refused] == [
        (2, "malformed"), (3, "far_future"), (4, "malformed"),
    ]  # fmt: skip
    assert refused[0].raw == "{broken"
    assert refused[2].raw == "\x00\\xff"
    assert (progress.begin().accepted, progress.begin().rejected) == (2, 3)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(3600, None), (3600.001, "far_future"), (-400 * 86400, None), (-400 * 86400 - 0.001, "far_past")],
)
def test_time_bounds_on_both_sides(outbox: Outbox, seconds: float, code: str | None) -> None:
    from datetime import UTC, datetime, timedelta

    moment = datetime.fromtimestamp(NOW_MS / 1000, UTC) + timedelta(seconds=seconds)
    progress = feed(outbox, event(1, time=moment.isoformat()))
    assert [rejection.code for rejection in progress.rejections()] == ([] if code is None else [code])
    assert outbox.held_count() == (1 if code is None else 0)


def test_a_kill_between_batches_neither_loses_nor_doubles(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.feeding.BATCH_EVENTS", 7)
    data = b"".join(event(n) if n % 5 else b"bad\n" for n in range(1, 101))
    progress = FileProgress(outbox, "content", "file")
    for run in range(40):  # each run is ended after its first batch
        done = progress.begin()
        steps = feeder(NOW_MS + run).feed(read_lines(io.BytesIO(data), done.place, 1000), progress, done, eager=False)
        if next(steps, None) is None:
            break
    assert [row.key for row in outbox.read_pending()] == [b"s/id-%d" % n for n in range(1, 101) if n % 5]
    assert [rejection.line for rejection in progress.rejections()] == list(range(5, 101, 5))


def test_a_crash_within_the_transaction_moves_nothing(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    data = event(1) + b"bad\n"
    progress = FileProgress(outbox, "content", "file")
    begin = progress.begin()

    def crash(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Outbox, "append_in", staticmethod(crash))
    with pytest.raises(ZeroDivisionError):
        list(feeder().feed(read_lines(io.BytesIO(data), begin.place, 1000), progress, begin, eager=False))
    assert progress.begin() == begin
    assert list(progress.rejections()) == []


def test_a_finished_file_is_read_again_in_full(outbox: Outbox) -> None:
    progress = feed(outbox, event(1) + event(2))
    assert feed(outbox, event(1) + event(2)).begin().accepted == 2
    assert outbox.held_count() == 2, "a file that was killed after its last line goes on at its end"
    progress.finish()
    feed(outbox, event(1) + event(2))
    assert outbox.held_count() == 4, "finished before: the copies are counted as duplicates downstream"


def test_two_readers_of_one_file_do_not_both_take_it(outbox: Outbox) -> None:
    data = event(1) + event(2)
    progress = FileProgress(outbox, "content", "file")
    begin = progress.begin()
    first = feeder().feed(read_lines(io.BytesIO(data), begin.place, 1000), progress, begin, eager=False)
    second = feeder().feed(read_lines(io.BytesIO(data), begin.place, 1000), progress, begin, eager=False)
    assert next(first).accepted == 2
    with pytest.raises(ReadTwice, match="another"):
        next(second)
    assert outbox.held_count() == 2


def test_an_eager_reader_takes_what_a_pipe_has(outbox: Outbox) -> None:
    progress = FileProgress(outbox, "stdin", "-")
    pieces = iter([event(1), event(2)[:20], event(2)[20:] + event(3)])

    class Pipe(io.RawIOBase):
        def read(self, _size: int = -1) -> bytes:  # type: ignore[override]
            return next(pieces, b"")

    steps = feeder().feed(read_lines(Pipe(), Place(), 1000), progress, progress.begin(), eager=True)  # type: ignore[arg-type]
    assert next(steps).accepted == 1
    assert outbox.held_count() == 1
    assert next(steps).accepted == 3


def test_lines_before_a_broken_end_are_taken(outbox: Outbox) -> None:
    data = gzipped(b"".join(event(n, subject=os.urandom(100).hex()) for n in range(200)))
    progress = FileProgress(outbox, "content", "file")
    begin = progress.begin()
    with pytest.raises(LinesBroken):
        list(feeder().feed(read_lines(io.BytesIO(data[:-500]), begin.place, 1000), progress, begin, eager=False))
    taken = progress.begin()
    assert 0 < taken.accepted < 200
    assert outbox.held_count() == taken.accepted


def test_a_full_disk_stops_reading_and_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    data = b"".join(event(n, subject="u" * 200) for n in range(3000))
    with Outbox(tmp_path / "small.sqlite", bytes_max=300 * 1024) as outbox:
        progress = FileProgress(outbox, "content", "file")
        with pytest.raises(OutboxError, match="is full"):
            list(feeder().feed(read_lines(io.BytesIO(data), Place(), 1000), progress, progress.begin(), eager=False))
        assert progress.begin().accepted == outbox.held_count()
