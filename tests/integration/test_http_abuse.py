"""What abuse gets at the door: large, slow, compressed, forged and stolen. docs/http.md says the same in words."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import zstandard

from tests.integration.http_world import BATCH, ONE, TOKEN, OpenDoor, event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY_MAX = 1024 * 1024
FIRST, SECOND = "token-of-gateway-1", "token-of-gateway-2"
PLANTED = ("planted-prompt", "planted-answer", "planted@example.org", TOKEN, FIRST, SECOND)
"""What must stand in no answer, no log and no metric."""


@pytest.fixture(name="door", scope="module")
def fixture_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenDoor]:
    directory = tmp_path_factory.mktemp("door")
    tokens = directory / "tokens"
    tokens.write_text(f"# two gateways\ngateway-1 {FIRST}\ngateway-2 {SECOND}\n")
    tokens.chmod(0o600)
    with OpenDoor(
        directory, tokens_file=tokens, http_body_bytes_max=BODY_MAX, http_body_seconds_max=2, http_batch_events_max=500
    ) as door:
        yield door


def raw(door: OpenDoor, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Bytes as they are, and all that comes back until the door closes the connection."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=20) as connection:
        came = b""
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause_s)
            while chunk := connection.recv(65_536):
                came += chunk
        except (ConnectionResetError, BrokenPipeError):
            pass
        return came


def head(length: int | None, *more: str) -> bytes:
    lines = ["POST /v1/events HTTP/1.1", "host: x", f"authorization: Bearer {TOKEN}", f"content-type: {ONE}", *more]
    lines.append("transfer-encoding: chunked" if length is None else f"content-length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def memory_bytes(door: OpenDoor) -> int:
    assert door.process is not None
    return int(psutil.Process(door.process.pid).memory_info().rss)


def test_a_body_of_100_mb_is_refused_by_its_length_before_it_comes(door: OpenDoor) -> None:
    answer = raw(door, head(100_000_000))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


def test_a_body_of_100_mb_that_does_not_say_so_is_cut_off_and_kept_nowhere(door: OpenDoor) -> None:
    before = memory_bytes(door)
    chunk = b"%x\r\n%b\r\n" % (1_000_000, b" " * 1_000_000)
    answer = raw(door, head(None), *[chunk] * 100)
    assert answer[:13] in (b"HTTP/1.1 413 ", b"")  # the rest may meet a closed connection before the answer is read
    assert memory_bytes(door) - before < 50_000_000
    assert door.get("/healthz").status == 200


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_a_bomb_does_not_grow(door: OpenDoor, encoding: str, pack: Any) -> None:
    bomb = pack(b" " * 200_000_000)
    assert len(bomb) < BODY_MAX
    before = memory_bytes(door)
    answer = door.send(bomb, BATCH, headers={"content-encoding": encoding})
    assert answer.status == 413
    assert memory_bytes(door) - before < 50_000_000


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [(b"{}", "gzip", 400), (b"{}", "zstd", 400), (gzip.compress(b"[]" * 99)[:-9], "gzip", 400), (b"{}", "br", 415),
     (gzip.compress(gzip.compress(b"[]")), "gzip, gzip", 415)],
)  # fmt: skip
def test_broken_and_unknown_compression(door: OpenDoor, body: bytes, encoding: str, status: int) -> None:
    assert door.send(body, BATCH, headers={"content-encoding": encoding}).status == status


def test_a_slow_body_is_given_up(door: OpenDoor) -> None:
    answer = raw(door, head(1_000), *[b" "] * 4, pause_s=0.4)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert door.get("/healthz").status == 200


def test_slow_clients_do_not_keep_others_waiting(door: OpenDoor) -> None:
    with_nothing = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(50)]
    try:
        for connection in with_nothing:
            connection.sendall(head(1_000))
        assert door.post(event(1)).status == 202
    finally:
        for connection in with_nothing:
            connection.close()


def test_headers_without_end_are_given_up(door: OpenDoor) -> None:
    answer = raw(door, b"POST /v1/events HTTP/1.1\r\nx: ", *[b"x" * 60_000] * 5)
    assert answer[:13] in (b"HTTP/1.1 400 ", b"")
    assert door.get("/healthz").status == 200


def test_two_lengths_are_refused(door: OpenDoor) -> None:
    """Otherwise a proxy in front and we could disagree where a request ends."""
    both = head(5).replace(b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n")
    assert raw(door, both, b"0\r\n\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("name", ["x\r\nset-cookie: a=b", "x\n", "\x00", "a\u2028b"])
def test_names_cannot_break_out_of_a_line(door: OpenDoor, name: str) -> None:
    for answer in (door.post({**event(1), "source": name}), door.post({**event(1), "subject": name})):
        assert answer.status == 400
        assert "set-cookie" not in answer.headers
    whole = event(2)
    headers = {f"ce-{each}": whole[each] for each in ("specversion", "type", "id", "time")}
    headers["ce-source"] = "x%0D%0Aset-cookie:%20a=b"
    answer = door.send(json.dumps(whole["data"]).encode(), "application/json", headers=headers)
    assert answer.status == 400
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "=cmd|' /C calc'!A0", "'; drop table usage_event; --"])
def test_names_that_look_like_code_are_names(door: OpenDoor, name: str) -> None:
    """They are data: kept as they are, and made harmless where they are shown."""
    answer = door.post({**event(3), "subject": name, "id": name})
    assert (answer.status, answer.document) == (202, {"accepted": 1})
    assert door.held()[-1]["subject"] == name
    assert name not in door.get("/metrics").body.decode()
    refused = door.post({**event(3), "subject": name, "time": name})
    assert refused.headers["content-type"] == "application/json"
    assert refused.headers["x-content-type-options"] == "nosniff"


def test_a_token_speaks_for_its_source_only(door: OpenDoor) -> None:
    before = len(door.held())
    assert door.post(event(4, "gateway-1"), token=FIRST).status == 202
    answer = door.post(event(5, "gateway-1"), event(6, "gateway-2"), token=FIRST)
    assert answer.status == 403
    assert [(bad["index"], bad["field"], bad["value"]) for bad in answer.document["events"]] == [
        (1, "source", "'gateway-2'")
    ]
    assert len(door.held()) == before + 1
    assert door.post(event(7, "anybody")).status == 202, "the owner's token speaks for every source"


def test_who_a_body_says_it_is_does_not_count(door: OpenDoor) -> None:
    """No header and no field of a body makes its sender another."""
    forged = {"x-forwarded-user": "admin", "x-jangbu-source": "gateway-1", "ce-source": "gateway-1"}
    body = json.dumps({**event(8, "gateway-1"), "token": FIRST, "actor": "admin"}).encode()
    assert door.send(body, ONE, token=SECOND, headers=forged).status == 403
    assert door.send(body, ONE, token=None, headers=forged).status == 401
    assert door.send(body, ONE, token=FIRST).status == 202
    assert set(door.held()[-1]) == {"specversion", "type", "source", "id", "time", "data"}


def test_a_stolen_token_is_taken_out_while_the_door_is_open(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"gateway-1 {FIRST}\n")
    tokens.chmod(0o600)
    with OpenDoor(tmp_path, tokens_file=tokens) as door:
        assert door.post(event(1), token=FIRST).status == 202
        tokens.write_text(f"gateway-1 {SECOND}\n")
        deadline = time.monotonic() + 20
        while door.post(event(2), token=FIRST).status != 401:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert door.post(event(3), token=SECOND).status == 202


def test_too_much_is_told_when_to_come_again(tmp_path: Path) -> None:
    with OpenDoor(tmp_path, http_events_per_second=20) as door:
        assert door.post(*[event(number) for number in range(100)]).status == 202
        answer = door.post(event(1))
        assert answer.status == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 10


def test_a_full_disk_is_said_and_nothing_is_acknowledged(tmp_path: Path) -> None:
    with OpenDoor(tmp_path, file_bytes_max=200_000) as door:
        answered, refused = 0, None
        for number in range(200):
            answer = door.post(*[event(100 * number + each) for each in range(100)])
            if answer.status != 202:
                refused = answer
                break
            answered += 100
        assert refused is not None
        assert refused.status == 503
        assert refused.headers["retry-after"]
        assert "nothing was accepted" in refused.document["error"]
        assert b"outbox" in door.log.read_bytes()
        door.kill()
        assert len(door.held()) == answered > 0


def test_other_methods_and_paths(door: OpenDoor) -> None:
    assert door.send(b"", None, method="GET").status == 405
    for path in ("/v1/../token", "/%2e%2e/token"):
        assert door.send(b"", None, path=path, method="GET").status == 404
        assert door.send(b"", None, path=path).status in (403, 404), "the door's token changes nothing elsewhere"


def test_no_secret_and_no_content_in_answers_logs_and_metrics(door: OpenDoor) -> None:
    """Every way of refusing, with something planted wherever a sender can put it."""
    content = {"prompt": PLANTED[0], "messages": [{"content": PLANTED[1]}], "email": PLANTED[2]}
    bodies: list[Any] = [
        {**event(1), **content}, {**event(1), "data": {**event(1)["data"], **content}},
        {**event(1), "data": content}, {**event(1), "data": [PLANTED[0]]}, {**event(1), "subject": content},
        {**event(1), "time": content}, content, [content], {**event(1), "data": {**event(1)["data"], "units": content}},
        {**event(1), "data": {**event(1)["data"], "tags": content}},
    ]  # fmt: skip
    said = b""
    for path in ("/v1/events", "/api/v1/events", "/v1/traces"):
        for token in (TOKEN, FIRST, "a-stolen-planted-prompt"):
            for body in bodies:
                packed = json.dumps(body).encode()
                for sent, media in ((packed, ONE), (b"[" + packed + b"]", BATCH), (packed[:-3], ONE),
                                    (packed, "application/json"), (packed, "application/x-protobuf"),
                                    (packed, f"text/{PLANTED[0]}")):  # fmt: skip
                    answer = door.send(sent, media, path=path, token=token)
                    said += answer.body + repr(answer.headers).encode()
    raw(door, b"BROKEN planted-prompt\r\n\r\n")
    said += door.get("/metrics").body + door.get("/healthz").body + door.log.read_bytes()
    assert [text for text in PLANTED if text.encode() in said] == []
    held = b"".join(door.held_values())
    assert [text for text in PLANTED if text.encode() in held] == []


def test_a_reset_connection_says_nothing(door: OpenDoor) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", door.port)
    connection.connect()
    assert connection.sock is not None
    connection.sock.sendall(head(1_000) + b"{")
    connection.close()
    assert door.get("/healthz").status == 200
