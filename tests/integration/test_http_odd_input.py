"""Odd but plausible input at the open door: refused by name or taken once, and never a defect."""

from __future__ import annotations

import gzip
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from tests.integration.http_world import LINES, OpenDoor, event

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = "application/json"


@pytest.fixture(name="door", scope="module")
def fixture_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenDoor]:
    with OpenDoor(tmp_path_factory.mktemp("odd")) as door:
        yield door
        assert "unexpected" not in door.log.read_text(), "a defect was met"


@pytest.mark.parametrize("source", ["%ff", "%ED%A0%80", "í"])
def test_a_header_that_is_no_utf_8_is_refused_by_its_name(door: OpenDoor, source: str) -> None:
    whole = event(1)
    headers = {f"ce-{name}": whole[name] for name in ("specversion", "type", "id", "time")} | {"ce-source": source}
    answer = door.send(json.dumps(whole["data"]).encode(), JSON, headers=headers)
    assert answer.status == 400
    assert "ce-source" in answer.document["error"]


def test_a_compressed_body_that_breaks_off_after_whole_lines_is_not_taken_in_part(door: OpenDoor) -> None:
    before = len(door.held())
    writer = zstandard.ZstdCompressor().compressobj()
    lines = b"".join(json.dumps(event(100 + number)).encode() + b"\n" for number in range(10))
    came = writer.compress(lines) + writer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    answer = door.send(came, LINES, headers={"content-encoding": "zstd"})
    assert (answer.status, answer.document["code"]) == (400, "broken_body")
    assert len(door.held()) == before
    assert door.send(came + writer.flush(), LINES, headers={"content-encoding": "zstd"}).document == {"accepted": 10}


def test_very_many_gzip_members_keep_nobody_waiting(door: OpenDoor) -> None:
    begun_s = time.monotonic()
    answer = door.send(gzip.compress(b"") * 100_000, LINES, headers={"content-encoding": "gzip"})
    assert (answer.status, answer.document["code"]) == (400, "body")
    assert time.monotonic() - begun_s < 10


@pytest.mark.parametrize("tokens", ["1e40", "1" * 40, f'"{"9" * 40}"', "1e400", "99999999999999999999999999999999.5"])
def test_a_number_beyond_all_counts_is_refused_by_the_twin(door: OpenDoor, tokens: str) -> None:
    sent = {**event(2), "type": "prompt", "data": {"model": "m", "type": "input", "tokens": 0}}
    answer = door.send(json.dumps(sent).replace('"tokens": 0', f'"tokens": {tokens}').encode(), path="/api/v1/events")
    assert answer.status == 400
    assert answer.document["events"][0]["field"].startswith("data.")


def call(number: int, tokens: Any = "10", **more: Any) -> dict[str, Any]:
    """A span that is one call of a model."""
    attributes = {
        "gen_ai.operation.name": {"stringValue": "chat"}, "gen_ai.provider.name": {"stringValue": "openai"},
        "gen_ai.request.model": {"stringValue": "gpt-5"}, "gen_ai.usage.input_tokens": {"intValue": tokens},
    }  # fmt: skip
    return {
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": f"{number:016x}",
        "startTimeUnixNano": str(time.time_ns()),
        "attributes": [{"key": key, "value": value} for key, value in attributes.items()] + more.pop("extra", []),
        **more,
    }  # fmt: skip


def traces(door: OpenDoor, *spans: dict[str, Any]) -> Any:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "gateway-1"}}]}
    export = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}
    answer = door.send(json.dumps(export).encode(), JSON, path="/v1/traces")
    assert answer.status == 200, answer.body
    return answer.document


@pytest.mark.parametrize("tokens", [10**40, 1e40, 10.5, -1, "9" * 19, "9" * 25, True])
def test_a_span_with_an_impossible_count_is_refused_alone(door: OpenDoor, tokens: Any) -> None:
    before = len(door.held())
    told = traces(door, call(1), call(2, tokens), call(3))["partialSuccess"]
    assert told["rejectedSpans"] == "1"
    assert told["errorMessage"].startswith("span 1: ")
    assert "input_tokens" in told["errorMessage"]
    assert len(door.held()) == before + 2


@pytest.mark.parametrize(
    "extra",
    [{"key": "gen_ai.prompt", "value": {"stringValue": "cut in a smile \ud83d"}}, {"key": "x", "value": None},
     {"key": "x", "value": {"intValue": 1.5}}, {"key": "x", "value": {"stringValue": 5}}, {"value": {"intValue": 1}},
     {"key": "\udc00", "value": {"stringValue": "\\ud800 \\"}}],
)  # fmt: skip
def test_an_odd_attribute_that_is_not_read_loses_no_call(door: OpenDoor, extra: dict[str, Any]) -> None:
    before = len(door.held())
    assert traces(door, call(4, extra=[extra]), call(5, status=None), {"attributes": None, "traceId": None}) == {}
    assert [each["data"]["units"] for each in door.held()[before:]] == [{"input_tokens": 10, "requests": 1}] * 2


def test_a_name_with_half_a_character_refuses_its_span_alone(door: OpenDoor) -> None:
    before = len(door.held())
    half = {"key": "user.id", "value": {"stringValue": "kim\ud83d"}}
    whole = {"key": "user.id", "value": {"stringValue": "kim\U0001f600 \\ud83d"}}
    told = traces(door, call(6, extra=[half]), call(7, extra=[whole]))["partialSuccess"]
    assert told["rejectedSpans"] == "1"
    assert "span 0: subject" in told["errorMessage"]
    assert [each["subject"] for each in door.held()[before:]] == ["kim\U0001f600 \\ud83d"]
