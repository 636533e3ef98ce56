"""Odd HTTP/1.1, byte by byte, at the door: each gets a refusal or an end, and what is accepted is accepted once."""

from __future__ import annotations

import json
import socket
import time
from itertools import count
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.integration.http_world import ONE, TOKEN, OpenDoor, event

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOSE = "connection: close"
CHUNKED = "transfer-encoding: chunked"
OWNER = f"authorization: Bearer {TOKEN}"
NUMBERS = count(1)


@pytest.fixture(name="door", scope="module")
def fixture_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenDoor]:
    with OpenDoor(tmp_path_factory.mktemp("raw"), http_body_bytes_max=1024 * 1024, http_body_seconds_max=2) as door:
        yield door
        assert "unexpected" not in door.log.read_text(), "a defect was met"
        ids = [one["id"] for one in door.held()]
        assert len(ids) == len(set(ids)), "an event was taken twice"


def raw(door: OpenDoor, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Bytes as they are, and all that comes back until the door ends the connection."""
    came = b""
    with socket.create_connection(("127.0.0.1", door.port), timeout=20) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause_s)
            while some := connection.recv(65_536):
                came += some
        except (ConnectionResetError, BrokenPipeError):
            pass
    return came


def head(*lines: str, first: str = "POST /v1/events HTTP/1.1", owner: bool = True) -> bytes:
    whole = [first, "host: x", f"content-type: {ONE}", *([OWNER] if owner else []), *lines]
    return ("\r\n".join(whole) + "\r\n\r\n").encode()


def fresh() -> bytes:
    return json.dumps(event(next(NUMBERS))).encode()


def whole(*lines: str, first: str = "POST /v1/events HTTP/1.1", owner: bool = True) -> bytes:
    body = fresh()
    return head(f"content-length: {len(body)}", *lines, first=first, owner=owner) + body


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_body_in_chunks_is_taken_once(door: OpenDoor) -> None:
    body, before = fresh(), len(door.held())
    assert status_of(raw(door, head(CHUNKED, CLOSE), chunk(body[:20]), chunk(body[20:]), b"0\r\n\r\n")) == 202
    assert len(door.held()) == before + 1


@pytest.mark.parametrize("size", ["zz", "-5", "0x5", "f" * 20, "5 5", "", "+5", "5"])
def test_chunks_of_a_bad_size_are_refused(door: OpenDoor, size: str) -> None:
    before = len(door.held())
    assert status_of(raw(door, head(CHUNKED, CLOSE), size.encode() + b"\r\n" + fresh() + b"\r\n0\r\n\r\n")) == 400
    assert len(door.held()) == before


@pytest.mark.parametrize(("missing", "status"), [(chunk(b"{}"), 408), (b"5;aaaa", 408), (b"5;" + b"a" * 65_600, 400)])
def test_chunks_without_an_end_are_given_up(door: OpenDoor, missing: bytes, status: int) -> None:
    """The bound is on what comes behind the headers, so they come by themselves; and no more than it takes, since who
    still sends when the connection ends may not get to read why."""
    assert status_of(raw(door, head(CHUNKED), missing, pause_s=0.3)) == status


def test_a_body_shorter_than_its_length_is_given_up(door: OpenDoor) -> None:
    body, before = fresh(), len(door.held())
    assert status_of(raw(door, head(f"content-length: {len(body) + 9}"), body)) == 408
    assert len(door.held()) == before


def test_spans_that_come_too_slowly_may_come_again(door: OpenDoor) -> None:
    """An exporter of OpenTelemetry sends again after 503, and drops what was answered 408."""
    first = "POST /v1/traces HTTP/1.1"
    lines = [first, "host: x", "content-type: application/json", OWNER, "content-length: 9"]
    assert status_of(raw(door, ("\r\n".join(lines) + "\r\n\r\n{}").encode())) == 503


def test_a_body_longer_than_its_length_is_no_second_event(door: OpenDoor) -> None:
    before = len(door.held())
    raw(door, whole() + b"more of it\r\n\r\n")
    assert len(door.held()) <= before + 1
    assert door.get("/healthz").status == 200


@pytest.mark.parametrize(
    "lines",
    [
        ["content-length: 5", CHUNKED], [CHUNKED, "content-length: 5"], ["content-length: 5", "content-length: 6"],
        ["content-length: 5", "content-length: 5"], ["content-length: 5, 5"], ["content-length: +5"],
        ["content-length: -5"], ["transfer-encoding: chunked, identity"], ["transfer-encoding: xchunked"],
        [CHUNKED, CHUNKED], ["transfer-encoding : chunked"],
    ],
)  # fmt: skip
def test_where_a_request_ends_cannot_be_disputed(door: OpenDoor, lines: list[str]) -> None:
    before = len(door.held())
    smuggled = whole(CLOSE)
    answer = raw(door, head(*lines) + b"0\r\n\r\n" + smuggled)
    assert status_of(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert len(door.held()) == before


@pytest.mark.parametrize("value", ["a\0b", "a\rb", "a\nb: c", "a\r\n b"])
def test_breaks_in_a_header_are_refused(door: OpenDoor, value: str) -> None:
    assert status_of(raw(door, whole(f"x: {value}", CLOSE))) == 400


@pytest.mark.parametrize("name", ["authorization", "content-type", "content-encoding"])
@pytest.mark.parametrize("path", ["/v1/events", "/api/v1/events", "/v1/traces"])
def test_a_header_that_decides_may_stand_once(door: OpenDoor, name: str, path: str) -> None:
    twice = [f"{name}: identity"] * (2 if name == "content-encoding" else 1)
    answer = raw(door, whole(*twice, CLOSE, first=f"POST {path} HTTP/1.1"))
    assert status_of(answer) == 400
    assert b'"repeated_header"' in answer
    assert name.encode() in answer.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("lines", [["x: " + "a" * 100_000], [f"x-{number}: {'a' * 80}" for number in range(1_000)]])
def test_headers_of_more_than_64_kib_are_refused_however_they_come(door: OpenDoor, lines: list[str]) -> None:
    assert raw(door, whole(*lines, CLOSE))[:13] in (b"HTTP/1.1 400 ", b"")


def test_a_thousand_short_headers_are_read(door: OpenDoor) -> None:
    assert status_of(raw(door, whole(*[f"x-{number}: a" for number in range(1_000)], CLOSE))) == 202


def test_headers_behind_a_body_are_bounded_too(door: OpenDoor) -> None:
    before = len(door.held())
    raw(door, head(CHUNKED, CLOSE), chunk(fresh()), b"0\r\nx: " + b"a" * 100_000 + b"\r\n\r\n")
    assert len(door.held()) == before


@pytest.mark.parametrize("owner", [True, False])
def test_a_header_without_end_behind_a_body_is_not_held(door: OpenDoor, *, owner: bool) -> None:
    assert door.process is not None
    process = psutil.Process(door.process.pid)
    before, begun_s, most = process.memory_info().rss, time.monotonic(), 0
    is_ended = False
    with socket.create_connection(("127.0.0.1", door.port), timeout=20) as connection:
        try:
            connection.sendall(head(CHUNKED, owner=owner) + chunk(b" ") + b"0\r\nx: ")
            for _ in range(100):
                connection.sendall(b"a" * 1_000_000)
                most = max(most, process.memory_info().rss)
        except (ConnectionResetError, BrokenPipeError):
            is_ended = True
    assert is_ended
    assert most - before < 20_000_000
    assert time.monotonic() - begun_s < 5
    assert door.get("/healthz").status == 200


def test_another_protocol_is_refused_by_name(door: OpenDoor) -> None:
    before = len(door.held())
    answer = raw(door, whole("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABk"))
    assert status_of(answer) == 400
    assert b'"upgrade"' in answer
    assert len(door.held()) == before


def test_who_asks_whether_to_go_on_is_told_before_the_body(door: OpenDoor) -> None:
    body = fresh()
    ask = ["expect: 100-continue", f"content-length: {len(body)}", CLOSE]
    answer = raw(door, head(*ask), body, pause_s=0.3)
    assert answer.startswith(b"HTTP/1.1 100 ")
    assert b"HTTP/1.1 202 " in answer
    refused = raw(door, head(*ask, owner=False))
    assert status_of(refused) == 401
    assert b"HTTP/1.1 100 " not in refused
    assert status_of(raw(door, head("expect: 100-continue", "content-length: 90000000"))) == 413


def test_without_a_token_a_body_may_not_come_for_ever(door: OpenDoor) -> None:
    begun_s = time.monotonic()
    answer = raw(door, head(CHUNKED, owner=False), *[chunk(b" ")] * 12, pause_s=1)
    assert answer[:13] in (b"HTTP/1.1 401 ", b"")
    assert time.monotonic() - begun_s < 10


def test_a_connection_goes_on_after_a_refusal_whose_body_came(door: OpenDoor) -> None:
    answer = raw(door, whole(owner=False), whole(CLOSE), pause_s=0.3)
    assert (answer.count(b"HTTP/1.1 401 "), answer.count(b"HTTP/1.1 202 ")) == (1, 1)


@pytest.mark.parametrize("more", [[], [CHUNKED]])
def test_http_1_0_is_read(door: OpenDoor, more: list[str]) -> None:
    first = "POST /v1/events HTTP/1.0"
    sent = head(*more, first=first) + chunk(fresh()) + b"0\r\n\r\n" if more else whole(first=first)
    assert status_of(raw(door, sent)) == 202


@pytest.mark.parametrize("sent", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01"])
def test_what_is_no_http_1_is_refused(door: OpenDoor, sent: bytes) -> None:
    assert status_of(raw(door, sent)) == 400


def test_requests_one_behind_the_other_are_each_answered_once(door: OpenDoor) -> None:
    before = len(door.held())
    answer = raw(door, b"".join(whole() for _ in range(200)) + whole(CLOSE))
    assert answer.count(b"HTTP/1.1 202 ") == 201
    assert len(door.held()) == before + 201


@pytest.mark.parametrize("owner", [True, False])
def test_100_mb_in_chunks_are_kept_nowhere_and_others_are_served(door: OpenDoor, *, owner: bool) -> None:
    assert door.process is not None
    process = psutil.Process(door.process.pid)
    before = process.memory_info().rss
    raw(door, head(CHUNKED, owner=owner), *[chunk(b" " * 1_000_000)] * 100)
    assert process.memory_info().rss - before < 50_000_000
    assert door.post(event(next(NUMBERS))).status == 202
