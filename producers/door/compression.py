"""Compressed bodies -> bodies, never larger than the limit: a small bomb is refused before it has grown. Pure."""

from __future__ import annotations

import io
import zlib
from typing import Final

import zstandard

ENCODINGS: Final = ("identity", "gzip", "zstd")
ZSTD_WINDOW_BYTES_MAX: Final = 8 * 1024 * 1024
"""What a zstd frame may ask us to keep in memory; RFC 8878 recommends 8 MB."""
_GZIP_WINDOW: Final = 31
_GZIP_STEP_BYTES: Final = 4_096
"""How much is fed at once: what is left behind a member's end is copied, and a body may hold very many members."""
_SKIPPABLE: Final = 0x184D2A50
_RLE_BLOCK: Final = 1


class EncodingUnknown(ValueError):
    """A `content-encoding` that is not read here."""


class BodyTooLarge(ValueError):
    """The body expands to more than may come."""


class BodyBroken(ValueError):
    """The body is not what its `content-encoding` says."""


def expand(body: bytes, encoding: str, bytes_max: int) -> bytes:
    """The body as it was before compression. Holds at most `bytes_max` and one byte of it.

    Raises EncodingUnknown, BodyTooLarge or BodyBroken, each with a sentence.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name in ("gzip", "x-gzip"):
        expanded = _gunzip(body, bytes_max)
    elif name == "zstd":
        expanded = _unzstd(body, bytes_max)
    else:
        raise EncodingUnknown("content-encoding is read as gzip, zstd or identity: send one of these")
    if len(expanded) > bytes_max:
        raise BodyTooLarge(f"the body expands to more than {bytes_max} bytes: send fewer events at once")
    return expanded


def _gunzip(body: bytes, bytes_max: int) -> bytes:
    found: list[bytes] = []
    size_bytes = 0
    member = None
    for start in range(0, len(body), _GZIP_STEP_BYTES):
        rest = body[start : start + _GZIP_STEP_BYTES]
        while rest:
            member = member or zlib.decompressobj(_GZIP_WINDOW)
            try:
                part = member.decompress(rest, bytes_max + 1 - size_bytes)
            except zlib.error:
                raise BodyBroken("the body is not gzip: send what content-encoding says") from None
            found.append(part)
            size_bytes += len(part)
            if size_bytes > bytes_max:
                return b"".join(found)
            rest = member.unused_data
            if member.eof:
                member = None
    if member is not None:
        raise BodyBroken("the gzip body breaks off: send it whole")
    return b"".join(found)


def _unzstd(body: bytes, bytes_max: int) -> bytes:
    reader = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX).stream_reader(
        io.BytesIO(body), read_across_frames=True
    )
    try:
        with reader:
            expanded = reader.read(bytes_max + 1)
    except zstandard.ZstdError:
        raise BodyBroken("the body is not zstd with a window of at most 8 MiB: send it as it says") from None
    if len(expanded) <= bytes_max and not _is_whole_zstd(body):
        raise BodyBroken("the zstd body breaks off: send it whole")
    return expanded


def _is_whole_zstd(body: bytes) -> bool:
    """Whether the last frame ends where the body does: the library gives what came of a broken one without a word.

    Walks the blocks by their headers (RFC 8878, section 3.1); nothing is expanded.
    """
    place = 0
    while place < len(body):
        if int.from_bytes(body[place : place + 4], "little") & ~15 == _SKIPPABLE:
            place += 8 + int.from_bytes(body[place + 4 : place + 8], "little")
            continue
        try:
            after_header = place + zstandard.frame_header_size(body[place : place + 18])
        except zstandard.ZstdError:
            return False
        checksum_bytes = 4 if body[place + 4] & 4 else 0
        place = after_header
        is_last = False
        while not is_last:
            if place + 3 > len(body):
                return False
            block = int.from_bytes(body[place : place + 3], "little")
            place += 3 + (1 if block >> 1 & 3 == _RLE_BLOCK else block >> 3)
            is_last = bool(block & 1)
        place += checksum_bytes
    return place == len(body)
