"""Compressed bodies that break off or hold very many members, and binary mode's odd headers."""

from __future__ import annotations

import gzip
import json
import time

import pytest
import zstandard

from producers.door.bodies import BodyRefused, parts_of
from producers.door.compression import BodyBroken, BodyTooLarge, expand

LINE = b'{"id": "a line of an event"}\n'
MOST = 1_000_000


def test_a_zstd_body_that_breaks_off_between_two_blocks_is_refused() -> None:
    """What has come is whole lines: taken, the rest would be lost behind a 202."""
    writer = zstandard.ZstdCompressor().compressobj()
    came = writer.compress(LINE * 10) + writer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    whole = came + writer.compress(LINE) + writer.flush()
    assert expand(whole, "zstd", MOST) == LINE * 11
    for cut in range(len(came), len(whole)):
        with pytest.raises(BodyBroken):
            expand(whole[:cut], "zstd", MOST)


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("size", [True, False])
def test_whole_zstd_bodies_of_every_shape_are_read(*, checksum: bool, size: bool) -> None:
    pack = zstandard.ZstdCompressor(write_checksum=checksum, write_content_size=size).compress
    skippable = (0x184D2A53).to_bytes(4, "little") + (3).to_bytes(4, "little") + b"any"
    for text in (b"", LINE, LINE * 20_000, b" " * 900_000):
        assert expand(pack(text), "zstd", MOST) == text
        assert expand(pack(text) + skippable + pack(LINE), "zstd", MOST) == text + LINE
    with pytest.raises(BodyBroken):
        expand(pack(LINE) + skippable[:-1], "zstd", MOST)


def test_hundreds_of_thousands_of_empty_gzip_members_take_no_minutes() -> None:
    begun_s = time.process_time()
    assert expand(gzip.compress(b"") * 200_000, "gzip", MOST) == b""
    assert time.process_time() - begun_s < 15, "the work grows with the square of the members"


@pytest.mark.parametrize("length", [0, 1, 4_095, 4_096, 4_097, 300_000])
def test_gzip_members_may_end_anywhere(length: int) -> None:
    text = bytes(each * 7_919 % 251 for each in range(length))
    body = gzip.compress(text, 0) + gzip.compress(LINE)
    assert expand(body, "gzip", MOST) == text + LINE
    for broken in (body[:-1], body[:-20], gzip.compress(text, 0)[:-1], body + b"\x1f"):
        with pytest.raises(BodyBroken):
            expand(broken, "gzip", MOST)
    assert expand(body, "gzip", length + len(LINE)) == text + LINE
    with pytest.raises(BodyTooLarge):
        expand(body, "gzip", length + len(LINE) - 1)


@pytest.mark.parametrize(
    ("value", "said"),
    [("%ff", "ce-subject is not percent-encoded UTF-8"), ("%ED%A0%80", "ce-subject is not percent-encoded UTF-8"),
     ("í\x99\x8d", "ce-subject holds bytes that are not ASCII")],
)  # fmt: skip
def test_a_header_that_is_no_text_is_refused_by_its_name(value: str, said: str) -> None:
    with pytest.raises(BodyRefused, match=said):
        parts_of("application/json", b"{}", {"ce-specversion": "1.0", "ce-subject": value}, 10)


@pytest.mark.parametrize(
    ("value", "text"),
    [("%ED%99%8D", "홍"), ('"a b"', "a b"), (r'"a\"b"', 'a"b'), ('"', '"'), ('a"b"', 'a"b"'), ("%2525", "%25")],
)  # fmt: skip
def test_quotes_and_percents_of_headers_are_undone_once(value: str, text: str) -> None:
    parts = parts_of("application/json", b"{}", {"ce-specversion": "1.0", "ce-subject": value}, 10)
    assert [json.loads(part)["subject"] for part in parts] == [text]
