"""`jangbu serve` as programs meet it: every shape of a body, what is refused, and what is durable."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from tests.integration.http_world import BATCH, LINES, ONE, OpenDoor, event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(name="door", scope="module")
def fixture_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenDoor]:
    with OpenDoor(tmp_path_factory.mktemp("door")) as door:
        yield door


def ids(door: OpenDoor) -> list[str]:
    return [held["id"] for held in door.held()]


def test_one_event_in_structured_json(door: OpenDoor) -> None:
    answer = door.send(json.dumps(event(1)).encode(), ONE)
    assert (answer.status, answer.document) == (202, {"accepted": 1})
    assert door.held()[-1]["id"] == "id-1"


@pytest.mark.parametrize("media", [BATCH, "application/json", "application/json; charset=utf-8", None])
def test_a_batch(door: OpenDoor, media: str | None) -> None:
    answer = door.send(json.dumps([event(2), event(3)]).encode(), media)
    assert (answer.status, answer.document) == (202, {"accepted": 2})
    assert ids(door)[-2:] == ["id-2", "id-3"]


def test_lines(door: OpenDoor) -> None:
    body = b"\r\n".join(json.dumps(event(number)).encode() for number in (4, 5)) + b"\n\n"
    assert door.send(body, LINES).document == {"accepted": 2}


def test_binary_mode(door: OpenDoor) -> None:
    whole = event(6)
    headers = {f"ce-{name}": whole[name] for name in ("specversion", "type", "id", "time")}
    headers |= {"ce-source": "gateway%20%EA%B5%AC", "ce-subject": "%EA%B9%80"}
    answer = door.send(json.dumps(whole["data"]).encode(), "application/json", headers=headers)
    assert answer.status == 202, answer
    assert (door.held()[-1]["source"], door.held()[-1]["subject"]) == ("gateway 구", "김")


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_compressed_bodies(door: OpenDoor, encoding: str, pack: Any) -> None:
    answer = door.send(pack(json.dumps([event(7)]).encode()), BATCH, headers={"content-encoding": encoding})
    assert answer.document == {"accepted": 1}


def test_what_the_contract_does_not_know_is_not_kept(door: OpenDoor) -> None:
    planted = event(8, prompt="내 주민번호", messages=[{"content": "planted-content"}])
    assert door.post({**planted, "email": "a@example.org"}).status == 202
    kept = next(value for value in door.held_values() if b'"id-8"' in value)
    assert set(json.loads(kept)["data"]) == {"model", "provider", "units"}
    assert b"example.org" not in kept


def test_a_batch_with_bad_events_is_refused_whole_and_each_is_named(door: OpenDoor) -> None:
    before = ids(door)
    answer = door.post(event(9), event(10, units={"input_tokens": -3}), event(11), {**event(12), "time": "yesterday"})
    assert answer.status == 400
    named = {(bad["index"], bad["field"], bad["value"]) for bad in answer.document["events"]}
    assert named == {(1, "data.units.input_tokens", "-3"), (3, "time", "'yesterday'")}
    assert ids(door) == before


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"", ONE, 400),
        (b"[]", BATCH, 400),
        (b"{}", BATCH, 400),
        (b"[" * 100_000, BATCH, 400),
        (b'{"a":' * 100_000, ONE, 400),
        (b"\xff\xfe", ONE, 400),
        (b"{}", "text/plain", 415),
        (b"{}", "multipart/form-data; boundary=x", 415),
        (b"{}\n" * 10_001, LINES, 413),
    ],
)
def test_bodies_that_are_none(door: OpenDoor, body: bytes, media: str, status: int) -> None:
    answer = door.send(body, media)
    assert answer.status == status, answer
    assert answer.document["error"]


def test_who_has_no_token_or_another_is_refused(door: OpenDoor) -> None:
    for token in (None, "", "another-token-of-a-test", "ключ"):
        headers = {} if token is None else {"authorization": f"Bearer {token}".encode().decode("latin-1")}
        answer = door.send(json.dumps(event(13)).encode(), ONE, token=None, headers=headers)
        assert answer.status == 401, token
        assert answer.headers["www-authenticate"] == "Bearer"
    assert "id-13" not in ids(door)


def test_the_same_event_again_is_accepted_again(door: OpenDoor) -> None:
    body = json.dumps(event(14)).encode()
    assert [door.send(body, ONE).status for _ in range(2)] == [202, 202]


def test_health_and_figures(door: OpenDoor) -> None:
    assert door.get("/healthz").document == {"status": "ok"}
    text = door.get("/metrics").body.decode()
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert int(figures["jangbu_outbox_pending_events"]) == len(ids(door))
    assert int(figures["jangbu_http_events_accepted_total"]) == len(ids(door))
    assert 'jangbu_http_refused_total{reason="token"}' in figures


def test_a_taken_port_ends_with_3(door: OpenDoor) -> None:
    command = [sys.executable, "-m", "jangbu", "serve", "--port", str(door.port)]
    done = subprocess.run(command, env=door.environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1, done.stderr
    assert str(door.port) in done.stderr


def test_what_was_answered_outlives_a_kill(tmp_path: Path) -> None:
    with OpenDoor(tmp_path) as door:
        for number in range(20):
            assert door.post(event(number)).status == 202
        door.kill()
        assert len(ids(door)) == 20


def test_a_token_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    with OpenDoor(tmp_path, token="") as door:
        file = door.data_dir / "token"
        assert file.stat().st_mode & 0o777 == 0o600
        assert door.post(event(1), token=file.read_text().strip()).status == 202
        assert door.post(event(1)).status == 401
