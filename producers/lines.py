"""Lines of a file as they are read: plain, gzip or zstd by their first bytes, bounded in memory, resumable by byte.

A line ends with a line feed; a carriage return before it, a byte order mark at the start of the file and blank lines
are passed over. Positions count bytes of the decompressed text, so that a position means the same whatever the
compression. Nothing of a compressed file that breaks off is invented: its last, unfinished line is not given out.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, Protocol

import zstandard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ_BYTES = 256 * 1024
ZSTD_FEED_BYTES = 1024
"""What is fed to the zstd decompressor at once. 4 bytes of zstd can stand for 128 KiB: at most 32 MiB come back."""
INFLATE_BYTES_MAX = 4 * 1024 * 1024
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_MARK = b"\xef\xbb\xbf"


class LinesBroken(OSError):
    """The file ends or decompresses wrongly; what was given out before stands."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where reading goes on: the byte after the last line given out, and the number of the next line (from 1)."""

    byte: int = 0
    line: int = 1


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not blank. `raw` is None where it is longer than the limit; `after` is the place behind it."""

    number: int
    raw: bytes | None
    bytes_long: int
    after: Place


def content_id(file: BinaryIO, *marks: str) -> str:
    """What a file holds, as a name: SHA-256 over all its bytes and over `marks`. Reads the file to its end."""
    digest = sha256("\x00".join(marks).encode())
    while chunk := file.read(1024 * 1024):
        digest.update(chunk)
    return digest.hexdigest()


def open_file(path: Path) -> BinaryIO:
    """A file for `read_lines`, unbuffered: chunks are read as they are asked for."""
    return path.open("rb", buffering=0)


def read_lines(file: BinaryIO, start: Place, line_bytes_max: int) -> Iterator[list[Line]]:
    """The lines from `start` on, in lists as they become available (a pipe that pauses gives what it has).

    Raises LinesBroken after the last whole line.
    """
    splitter = _Splitter(start, line_bytes_max)
    for chunk in _texts(file):
        if lines := splitter.feed(chunk):
            yield lines
    if lines := splitter.finish():
        yield lines


class _Splitter:
    """Cuts chunks into lines; holds at most one unfinished line of the allowed length."""

    def __init__(self, start: Place, line_bytes_max: int) -> None:
        self._skip = start.byte
        self._byte = 0
        self._number = start.line
        self._max = line_bytes_max
        self._rest = bytearray()
        self._dropped = 0

    def feed(self, chunk: bytes) -> list[Line]:
        if self._skip:
            passed = min(self._skip, len(chunk))
            self._skip -= passed
            self._byte += passed
            chunk = chunk[passed:]
        if self._byte == 0 and not self._rest and chunk:
            chunk = self._without_mark(chunk)
        lines: list[Line] = []
        begin = 0
        while (end := chunk.find(b"\n", begin)) >= 0:
            self._end_line(lines, chunk[begin:end], 1)
            begin = end + 1
        self._hold(chunk[begin:])
        return lines

    def finish(self) -> list[Line]:
        """The last line, where no line feed ends it."""
        lines: list[Line] = []
        if self._rest or self._dropped:
            self._end_line(lines, b"", 0)
        return lines

    def _without_mark(self, chunk: bytes) -> bytes:
        if chunk.startswith(_MARK):
            self._byte = len(_MARK)
            return chunk[len(_MARK) :]
        return chunk

    def _hold(self, piece: bytes) -> None:
        """Keep the begin of an unfinished line, as far as it may be long; of the rest only its length."""
        self._rest += piece
        if self._dropped or len(self._rest) > self._max + 1:  # a carriage return may still go
            self._dropped += len(self._rest)
            self._rest.clear()

    def _end_line(self, lines: list[Line], piece: bytes, feed_bytes: int) -> None:
        whole = bytes(self._rest) + piece if self._rest else piece
        self._rest.clear()
        long_bytes = self._dropped + len(whole)
        too_long = self._dropped > 0
        self._dropped = 0
        self._byte += long_bytes + feed_bytes
        number = self._number
        self._number += 1
        raw = whole.removesuffix(b"\r")
        after = Place(self._byte, self._number)
        if too_long or len(raw) > self._max:
            lines.append(Line(number, None, long_bytes, after))
        elif raw and not raw.isspace():
            lines.append(Line(number, raw, long_bytes, after))


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


def _texts(file: BinaryIO) -> Iterator[bytes]:
    """The decompressed text in chunks. A file may be several compressed ones, one behind the other."""
    first = _read_at_least(file, 4)
    if first.startswith(_GZIP):
        yield from _inflated(file, first)
    elif first.startswith(_ZSTD):
        yield from _zstandard(file, first)
    else:
        while first:
            yield first
            first = file.read(READ_BYTES)


def _read_at_least(file: BinaryIO, size: int) -> bytes:
    """The first bytes; a pipe may give them one by one."""
    first = b""
    while len(first) < size and (more := file.read(READ_BYTES)):
        first += more
    return first


def _inflated(file: BinaryIO, chunk: bytes) -> Iterator[bytes]:
    decompressor = zlib.decompressobj(wbits=31)
    while chunk:
        try:
            text = decompressor.decompress(chunk, INFLATE_BYTES_MAX)
        except zlib.error as error:
            raise LinesBroken(f"it does not decompress as gzip: {error}") from None
        if text:
            yield text
        if decompressor.eof:
            rest = _next_member(file, decompressor, _GZIP)
            if not rest:
                return
            decompressor = zlib.decompressobj(wbits=31)
            chunk = rest
        else:
            chunk = decompressor.unconsumed_tail or file.read(READ_BYTES)
    raise LinesBroken("its gzip data break off: the file is not whole")


def _zstandard(file: BinaryIO, chunk: bytes) -> Iterator[bytes]:
    whole = zstandard.ZstdDecompressor()
    decompressor = whole.decompressobj()
    while chunk:
        for begin in range(0, len(chunk), ZSTD_FEED_BYTES):
            try:
                text = decompressor.decompress(chunk[begin : begin + ZSTD_FEED_BYTES])
            except zstandard.ZstdError as error:
                raise LinesBroken(f"it does not decompress as zstd: {error}") from None
            if text:
                yield text
            if decompressor.eof:
                behind = chunk[begin + ZSTD_FEED_BYTES :]
                rest = _next_member(file, decompressor, _ZSTD, behind)
                if not rest:
                    return
                decompressor = whole.decompressobj()
                chunk = rest
                break
        else:
            chunk = file.read(READ_BYTES)
    raise LinesBroken("its zstd data break off: the file is not whole")


def _next_member(file: BinaryIO, done: _Decompressor, magic: bytes, behind: bytes = b"") -> bytes:
    """The begin of a further compressed part; empty at the end of the file. Zeros may fill it up, as on tapes."""
    rest = done.unused_data + behind
    while len(rest.lstrip(b"\0")) < len(magic) and (more := file.read(READ_BYTES)):
        rest = rest.lstrip(b"\0") + more
    rest = rest.lstrip(b"\0")
    if rest and not rest.startswith(magic):
        raise LinesBroken(f"{len(rest)} bytes or more behind its compressed end are none of it")
    return rest
