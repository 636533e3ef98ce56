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
    rest = body
    while rest and size_bytes <= bytes_max:
        member = zlib.decompressobj(_GZIP_WINDOW)
        try:
            part = member.decompress(rest, bytes_max + 1 - size_bytes)
        except zlib.error:
            raise BodyBroken("the body is not gzip: send what content-encoding says") from None
        found.append(part)
        size_bytes += len(part)
        if size_bytes <= bytes_max and not member.eof:
            raise BodyBroken("the gzip body breaks off: send it whole")
        rest = member.unused_data
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
    if not expanded:
        raise BodyBroken("the zstd body holds nothing whole: send it whole")
    return expanded
