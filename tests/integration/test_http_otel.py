"""OpenTelemetry against us: the real exporter, partial success, sources."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.requests import Request

from jangbu.web.answers import Refused
from jangbu.web.otlp import traces_refusal
from tests.integration.http_world import TOKEN, OpenDoor
from tests.unit.test_adapters_otel import BASE, export, span

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = Path(__file__).resolve().parents[2] / ".clients/bin/python"
EXPORTER = """
import sys
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

endpoint, token, compression = sys.argv[1:]
exporter = OTLPSpanExporter(endpoint=endpoint, headers={"Authorization": "Bearer " + token},
                            compression=Compression(compression))
provider = TracerProvider(resource=Resource.create({"service.name": "portal"}))
provider.add_span_processor(BatchSpanProcessor(exporter))
tracer = provider.get_tracer("test")
with tracer.start_as_current_span("POST /ask"):
    for number in range(3):
        with tracer.start_as_current_span("chat gpt-4o", attributes={
            "gen_ai.provider.name": "openai", "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 100, "gen_ai.usage.cache_read.input_tokens": 40 + number,
            "gen_ai.usage.output_tokens": 7, "gen_ai.input.messages": "planted-content"}):
            pass
provider.shutdown()
print("sent")
"""
PROTOBUF = "application/x-protobuf"
GOOD = {**BASE, "gen_ai.usage.input_tokens": 3}
BAD = {**BASE, "gen_ai.usage.input_tokens": 3, "gen_ai.usage.cache_read.input_tokens": 4}


@pytest.fixture(name="door", scope="module")
def fixture_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenDoor]:
    directory = tmp_path_factory.mktemp("door")
    tokens = directory / "tokens"
    tokens.write_text("gateway-1 token-of-gateway-1\na token-of-a-and-b\nb token-of-a-and-b\n")
    tokens.chmod(0o600)
    with OpenDoor(directory, tokens_file=tokens, max_event_back_days=36_600) as door:
        yield door


@pytest.mark.skipif(not CLIENTS.exists(), reason="no .clients: run `make clients`")
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_the_real_exporter(door: OpenDoor, compression: str) -> None:
    before = len(door.held())
    endpoint = f"http://127.0.0.1:{door.port}/v1/traces"
    command = [str(CLIENTS), "-c", EXPORTER, endpoint, TOKEN, compression]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "sent\n", "")
    held = door.held()[before:]
    assert sorted(one["data"]["units"]["cache_read_tokens"] for one in held) == [40, 41, 42]
    assert {one["data"]["units"]["input_tokens"] for one in held} == {60, 59, 58}
    assert {one["source"] for one in held} == {"portal"}
    assert b"planted-content" not in b"".join(door.held_values())


def test_json_and_gzip(door: OpenDoor) -> None:
    body = gzip.compress(export(span(GOOD), span({"http.route": "/"})))
    answer = door.send(body, "application/json", path="/v1/traces", headers={"content-encoding": "gzip"})
    assert (answer.status, answer.document) == (200, {})
    assert "jangbu_http_spans_ignored_total 0" not in door.get("/metrics").body.decode()


def test_what_cannot_be_counted_is_named_and_the_rest_is_taken(door: OpenDoor) -> None:
    before = len(door.held())
    body = export(span(BAD), span(GOOD, spanId="aaaaaaaaaaaaaaaa"))
    answer = door.send(body, "application/json", path="/v1/traces")
    assert answer.status == 200
    assert answer.document["partialSuccess"]["rejectedSpans"] == "1"
    assert "span 0: input tokens is 3" in answer.document["partialSuccess"]["errorMessage"]
    assert [one["id"][-16:] for one in door.held()[before:]] == ["a" * 16]


def test_protobuf_is_answered_in_protobuf(door: OpenDoor) -> None:
    request = ExportTraceServiceRequest()
    entry = request.resource_spans.add()
    entry.resource.attributes.add(key="service.name").value.string_value = "portal"
    made = entry.scope_spans.add().spans.add(trace_id=b"\x01" * 16, span_id=b"\x02" * 8)
    made.attributes.add(key="gen_ai.operation.name").value.string_value = "chat"
    answer = door.send(request.SerializeToString(), PROTOBUF, path="/v1/traces")
    assert (answer.status, answer.headers["content-type"]) == (200, PROTOBUF)
    told = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert told.rejected_spans == 1
    assert "gen_ai.request.model is 'absent'" in told.error_message


def _status_message() -> Any:
    """`google.rpc.Status` as far as it is used, as protobuf's own library reads it."""
    file = descriptor_pb2.FileDescriptorProto(name="status.proto", package="told", syntax="proto3")
    message = file.message_type.add(name="Status")
    message.field.add(name="code", number=1, type=5, label=1)
    message.field.add(name="message", number=2, type=9, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("told.Status"))


@pytest.mark.parametrize("length", [0, 127, 128, 16_383, 16_384])
def test_a_refusal_of_any_length_is_a_whole_status(length: int) -> None:
    request = Request({"type": "http", "path": "/v1/traces", "headers": [(b"content-type", PROTOBUF.encode())]})
    answer = traces_refusal(request, Refused(429, "rate", "가" * (length // 3) + "x" * (length % 3)))
    told = _status_message().FromString(bytes(answer.body))
    assert (answer.status_code, told.code, len(told.message.encode())) == (429, 8, length)


@pytest.mark.parametrize(
    ("token", "service", "source"),
    [("token-of-gateway-1", "portal", "gateway-1"), ("token-of-a-and-b", "b", "b"), ("token-of-a-and-b", "c", None)],
)
def test_a_bound_token_decides_the_source(door: OpenDoor, token: str, service: str, source: str | None) -> None:
    before = len(door.held())
    body = export(span(GOOD), service=service)
    answer = door.send(body, "application/json", path="/v1/traces", token=token)
    assert answer.status == 200
    assert [one["source"] for one in door.held()[before:]] == ([source] if source else [])
    assert ("source_forbidden" in str(answer.document)) is False
    assert bool(answer.document) is (source is None)


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [(b"\xff\xff", PROTOBUF, 400), (b"{\"a\":1}", "application/json", 400), (b"{", "application/json", 400),
     (b"", "text/plain", 415)],
)  # fmt: skip
def test_what_is_no_export_is_refused(door: OpenDoor, body: bytes, media: str, status: int) -> None:
    answer = door.send(body, media, path="/v1/traces")
    assert answer.status == status
    if media == PROTOBUF:
        assert answer.headers["content-type"] == PROTOBUF
        told = _status_message().FromString(answer.body)
        assert (told.code, "send OTLP as protobuf" in told.message) == (3, True)
    assert door.send(body, media, path="/v1/traces", token=None).status == 401


@pytest.mark.parametrize(("body", "media"), [(b"{}", "application/json"), (b"", PROTOBUF)])
def test_an_export_of_nothing_is_success(door: OpenDoor, body: bytes, media: str) -> None:
    """OTLP: a server should answer a request without telemetry with success."""
    before = len(door.held())
    answer = door.send(body, media, path="/v1/traces")
    assert (answer.status, answer.body) == (200, body)
    assert len(door.held()) == before
