"""OpenTelemetry's GenAI spans -> usage events: what is counted, what is not, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from producers.adapters import ADAPTERS, Options
from producers.contract import EventRefused, UsageEvent

TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
START_NS = 1_790_000_000_123_456_789
BASE = {"gen_ai.provider.name": "openai", "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}


def value(plain: object) -> dict[str, Any]:
    if isinstance(plain, bool):
        return {"boolValue": plain}
    if isinstance(plain, int):
        return {"intValue": str(plain)}
    if isinstance(plain, float):
        return {"doubleValue": plain}
    return {"arrayValue": {"values": []}} if isinstance(plain, list) else {"stringValue": plain}


def attributes(fields: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(plain)} for key, plain in fields.items()]


def span(fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    named = {"traceId": TRACE, "spanId": SPAN, "name": "chat gpt-4o", "kind": 3, "startTimeUnixNano": str(START_NS)}
    return {**named, "attributes": attributes(fields), "events": [{"name": "x"}], **more}


def export(*spans: dict[str, Any], service: str | None = "portal") -> bytes:
    resource = {"attributes": attributes({} if service is None else {"service.name": service})}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}).encode()


def events(line: bytes, source: str | None = None) -> list[UsageEvent]:
    return ADAPTERS["otel"].adapt(line, Options(source))


def one(fields: dict[str, Any], **more: Any) -> UsageEvent:
    (found,) = events(export(span({**BASE, **fields}, **more)))
    return found


def test_a_call_with_every_class() -> None:
    found = one(
        {
            "gen_ai.response.model": "gpt-4o-2024-08-06", "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 180, "gen_ai.usage.cache_read.input_tokens": 50,
            "gen_ai.usage.cache_creation.input_tokens": 25, "gen_ai.usage.reasoning.output_tokens": 80,
            "user.id": "u-1", "jangbu.department": "D012", "gen_ai.input.messages": "planted-content",
            "openai.response.service_tier": "default",
        }
    )  # fmt: skip
    assert found.data.units == {
        "input_tokens": 25, "cache_read_tokens": 50, "cache_write_tokens": 25, "output_tokens": 100,
        "reasoning_tokens": 80, "requests": 1,
    }  # fmt: skip
    assert (found.source, found.id, found.subject) == ("portal", f"{TRACE}/{SPAN}", "u-1")
    assert (found.data.model, found.data.provider, found.data.operation) == ("gpt-4o-2024-08-06", "openai", "chat")
    assert (found.data.department, found.data.service_tier, found.data.usage_source) == ("D012", "standard", "provider")
    assert found.time.isoformat() == "2026-09-21T14:13:20.123456+00:00"
    assert "planted-content" not in repr(found)


@pytest.mark.parametrize(
    ("fields", "units"),
    [
        ({"gen_ai.usage.input_tokens": 15, "gen_ai.usage.output_tokens": 7}, {"input_tokens": 15, "output_tokens": 7}),
        ({"gen_ai.usage.prompt_tokens": 15, "gen_ai.usage.completion_tokens": 7},
         {"input_tokens": 15, "output_tokens": 7}),
        ({"gen_ai.usage.input_tokens": 50, "gen_ai.usage.cache_read.input_tokens": 50},
         {"input_tokens": 0, "cache_read_tokens": 50}),
        ({"gen_ai.usage.input_tokens": 15.0}, {"input_tokens": 15}),
        ({"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}, {"input_tokens": 0, "output_tokens": 0}),
    ],
)  # fmt: skip
def test_inclusive_counts_become_disjoint(fields: dict[str, Any], units: dict[str, int]) -> None:
    found = one(fields)
    assert found.data.units == {**units, "requests": 1}
    assert found.data.usage_source == "provider"


def test_no_usage_is_missing_and_no_zero() -> None:
    found = one({})
    assert (found.data.units, found.data.usage_source) == ({"requests": 1}, "missing")


@pytest.mark.parametrize(
    ("name", "provider"),
    [("aws.bedrock", "aws"), ("azure.ai.openai", "azure"), ("gcp.vertex_ai", "google"), ("gcp.gemini", "google"),
     ("mistral_ai", "mistral"), ("x_ai", "x-ai"), ("anthropic", "anthropic"), ("ours", "ours")],
)  # fmt: skip
def test_names_of_providers(name: str, provider: str) -> None:
    assert one({"gen_ai.provider.name": name}).data.provider == provider


@pytest.mark.parametrize(
    "fields",
    [
        {"http.request.method": "GET"},
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 9, "gen_ai.provider.name": "openai"},
        {"gen_ai.operation.name": "execute_tool"},
        {},
    ],
)
def test_spans_that_are_no_call_are_passed_over(fields: dict[str, Any]) -> None:
    assert events(export(span(fields))) == []


def test_failures() -> None:
    assert one({}, status={"code": 2}).data.status == "failure"
    assert one({"gen_ai.usage.input_tokens": 1}, status={"code": "STATUS_CODE_ERROR"}).data.status == "cut"
    assert one({"gen_ai.usage.input_tokens": 1}, status={}).data.status == "success"


@pytest.mark.parametrize(
    ("fields", "more", "field"),
    [
        ({"gen_ai.usage.input_tokens": 10, "gen_ai.usage.cache_read.input_tokens": 11}, {}, "input tokens"),
        ({"gen_ai.usage.output_tokens": 10, "gen_ai.usage.reasoning.output_tokens": 11}, {}, "output tokens"),
        ({"gen_ai.usage.input_tokens": -1}, {}, "gen_ai.usage.input_tokens"),
        ({"gen_ai.usage.input_tokens": "many"}, {}, "gen_ai.usage.input_tokens"),
        ({"gen_ai.usage.input_tokens": 1.5}, {}, "gen_ai.usage.input_tokens"),
        ({"gen_ai.request.model": ""}, {}, "gen_ai.request.model"),
        ({}, {"traceId": "0" * 32}, "traceId, spanId"),
        ({}, {"spanId": "x"}, "traceId, spanId"),
        ({}, {"startTimeUnixNano": "0"}, "startTimeUnixNano"),
    ],
)
def test_what_cannot_be_counted_is_refused_by_name(fields: dict[str, Any], more: dict[str, Any], field: str) -> None:
    with pytest.raises(EventRefused) as refused:
        one(fields, **more)
    assert refused.value.field == field


def test_the_source_is_given_or_the_service() -> None:
    line = export(span(BASE))
    assert [found.source for found in events(line) + events(line, "gateway-1")] == ["portal", "gateway-1"]
    with pytest.raises(EventRefused, match=r"service\.name"):
        events(export(span(BASE), service=None))


def test_a_line_may_be_an_export_a_resource_or_a_span() -> None:
    whole = json.loads(export(span(BASE)))
    lines = [whole, whole["resourceSpans"][0], span(BASE)]
    found = [events(json.dumps(line).encode(), "g") for line in lines]
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 1


@pytest.mark.parametrize("line", [b"[]", b"x", b'{"resourceSpans":5}'])
def test_what_is_no_export_is_refused(line: bytes) -> None:
    with pytest.raises(EventRefused):
        events(line)
