"""A UTF-8 byte order mark before a body is passed over; anywhere else it is no JSON."""

from __future__ import annotations

import pytest

from producers.door.bodies import parts_of

MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("media", "body", "parts"),
    [
        ("application/x-ndjson", b"{}\n{}\n", [b"{}", b"{}"]),
        ("application/json", b"[{},{}]", [b"{}", b"{}"]),
        ("application/json", b"{}", [b"{}"]),
        ("application/cloudevents+json", b"{}", [b"{}"]),
        ("application/cloudevents-batch+json", b"[{}]", [b"{}"]),
    ],
)
def test_a_mark_before_a_body_is_passed_over(media: str, body: bytes, parts: list[bytes]) -> None:
    assert parts_of(media, MARK + body, {}, 10) == parts


def test_a_mark_inside_a_body_stays() -> None:
    assert parts_of("application/x-ndjson", b"{}\n" + MARK + b"{}", {}, 10) == [b"{}", MARK + b"{}"]
