"""Lines of the three formats: what each gives, and what each refuses with which field and value."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from producers.adapters import ADAPTERS, Options
from producers.contract import EventRefused, UsageEvent, encode_event

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "type": "ai.usage.v1",
    "source": "gateway-1",
    "id": "chatcmpl-1:1",
    "time": "2026-10-03T01:02:03.123Z",
    "subject": "u-1001",
    "data": {
        "department": "D012",
        "model": "gpt-5-mini-2025-08-07",
        "provider": "openai",
        "units": {"input_tokens": 10, "cache_read_tokens": 0, "output_tokens": 20, "requests": 1},
        "reported_cost": {"amount": "0.000225", "currency": "USD"},
    },
}
ANSWER: dict[str, Any] = {
    "id": "r-1",
    "source": "replay",
    "time": "2026-10-03T01:02:03Z",
    "user": "u-1",
    "department": "D012",
    "provider": "openai",
    "format": "openai.chat",
    "body": {
        "model": "gpt-5-mini",
        "choices": [{"message": {"content": "CANARY-ANSWER"}}],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 30,
            "total_tokens": 130,
            "prompt_tokens_details": {"cached_tokens": 40},
            "completion_tokens_details": {"reasoning_tokens": 10},
        },
    },
}


def adapt(format_name: str, line: dict[str, Any] | bytes, source: str | None = None) -> UsageEvent:
    raw = line if isinstance(line, bytes) else json.dumps(line).encode()
    (event,) = ADAPTERS[format_name].adapt(raw, Options(source))
    return event


def without(line: dict[str, Any], *path: str) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(line))
    holder = copy
    for name in path[:-1]:
        holder = holder[name]
    del holder[path[-1]]
    return copy


def changed(line: dict[str, Any], value: object, *path: str) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(line))
    holder = copy
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    return copy


def test_usage_takes_the_contract_verbatim() -> None:
    event = adapt("usage", EVENT)
    assert event.time == datetime(2026, 10, 3, 1, 2, 3, 123000, UTC)
    assert event.data.units == {"input_tokens": 10, "cache_read_tokens": 0, "output_tokens": 20, "requests": 1}
    assert event.data.reported_cost is not None
    assert event.data.reported_cost.amount == Decimal("0.000225")
    assert (event.data.service_tier, event.data.status, event.data.usage_source) == ("standard", "success", "provider")


def test_usage_drops_what_the_contract_does_not_know() -> None:
    event = adapt("usage", changed(EVENT, "CANARY", "data", "prompt"))
    assert b"CANARY" not in encode_event(event)


@pytest.mark.parametrize(
    "path",
    [("specversion",), ("type",), ("source",), ("id",), ("time",), ("data", "model"), ("data", "provider"),
     ("data", "units")],
)  # fmt: skip
def test_usage_refuses_what_lacks_a_required_field(path: tuple[str, ...]) -> None:
    with pytest.raises(EventRefused, match=path[-1]) as refusal:
        adapt("usage", without(EVENT, *path))
    assert refusal.value.code == "missing"


@pytest.mark.parametrize(
    ("value", "path", "named"),
    [
        (-1, ("data", "units", "input_tokens"), "input_tokens"),
        (1.5, ("data", "units", "input_tokens"), "input_tokens"),
        ("10", ("data", "units", "input_tokens"), "input_tokens"),
        (10**12, ("data", "units", "input_tokens"), "input_tokens"),
        ({}, ("data", "units"), "units"),
        ("2026-10-03T01:02:03", ("time",), "time"),
        ("soon", ("time",), "time"),
        ("ai.usage.v2", ("type",), "type"),
        ("gold", ("data", "service_tier"), "service_tier"),
        ("a\u0000b", ("source",), "source"),
        ("", ("id",), "id"),
        (7, ("subject",), "subject"),
        ({"input_tokens": 5, "requests": 1}, ("data", "units"), None),
    ],
)
def test_usage_refuses_by_field(value: object, path: tuple[str, ...], named: str | None) -> None:
    line = changed(EVENT, value, *path)
    if named is None:
        line["data"]["status"] = "cached"
        named = "input_tokens"
    with pytest.raises(EventRefused, match=named):
        adapt("usage", line)


def test_response_splits_by_the_wire_format() -> None:
    event = adapt("response", ANSWER)
    assert event.data.units == {
        "input_tokens": 60, "cache_read_tokens": 40, "output_tokens": 20, "reasoning_tokens": 10, "requests": 1,
    }  # fmt: skip
    assert (event.source, event.id, event.subject, event.data.department) == ("replay", "r-1", "u-1", "D012")
    assert (event.data.provider, event.data.model) == ("openai", "gpt-5-mini")


def test_response_holds_no_answer() -> None:
    assert b"CANARY" not in encode_event(adapt("response", ANSWER))
    kept = ADAPTERS["response"].redact(json.dumps(ANSWER).encode())
    assert kept is not None
    assert b"CANARY" not in kept
    assert b"prompt_tokens" in kept


def test_response_without_usage_is_missing_and_never_zero() -> None:
    event = adapt("response", without(ANSWER, "body", "usage"))
    assert event.data.units == {"requests": 1}
    assert event.data.usage_source == "missing"


def test_response_takes_the_model_beside_the_body() -> None:
    line = {**without(ANSWER, "body", "model"), "model": "anthropic.claude-x"}
    assert adapt("response", line).data.model == "anthropic.claude-x"
    with pytest.raises(EventRefused, match="model"):
        adapt("response", without(ANSWER, "body", "model"))


def test_response_takes_the_source_of_the_option_where_the_line_has_none() -> None:
    line = without(ANSWER, "source")
    assert adapt("response", line, source="replay-2").source == "replay-2"
    assert adapt("response", ANSWER, source="replay-2").source == "replay"
    with pytest.raises(EventRefused, match="source"):
        adapt("response", line)


def test_response_keeps_every_digit_of_a_reported_cost() -> None:
    raw = json.dumps(ANSWER).replace('"total_tokens": 130', '"total_tokens": 130, "cost": 0.12345678901234567890123')
    cost = adapt("response", raw.encode()).data.reported_cost
    assert cost is not None
    assert cost.amount == Decimal("0.12345678901234567890123")


@pytest.mark.parametrize(
    ("value", "path", "named"),
    [
        ("openai.chat2", ("format",), "format"),
        ([], ("body",), "body"),
        (-4, ("body", "usage", "prompt_tokens"), "prompt_tokens"),
        (41, ("body", "usage", "prompt_tokens"), "cached_tokens|prompt_tokens"),
        ("yesterday", ("time",), "time"),
        (None, ("id",), "id"),
        ("maybe", ("status",), "status"),
    ],
)
def test_response_refuses_by_field(value: object, path: tuple[str, ...], named: str) -> None:
    line = changed(ANSWER, value, *path)
    if value == 41:
        line["body"]["usage"]["prompt_tokens_details"]["cached_tokens"] = 42
    with pytest.raises(EventRefused, match=named):
        adapt("response", line)


@pytest.mark.parametrize("format_name", sorted(ADAPTERS))
@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"null", b"[]", b"3", b'"x"', b"{}", b"\x00", b"\xff\xfe{}", b'{"id":"\xff"}', b"[" * 100_000,
     b'{"a":' * 100_000, b'{"id": 1' + b"0" * 6000 + b"}", b'{"time": 1e999999999}', b'{"id":"\\ud800"}',
     b'{"id":"a","model":"m","custom_llm_provider":"openai","startTime":1e999999}',
     (b'{"id":"a","body":{"usage":{"prompt_tokens":1e99999}},"time":"2026-10-03T01:02:03Z","provider":"p",'
      b'"format":"openai.chat","source":"s"}'),
     (b'{"id":"a","body":{"model":"m"},"time":"0001-01-01T00:00:00+14:00","provider":"p","format":"openai.chat",'
      b'"source":"s\\u0000"}')],
)  # fmt: skip
def test_hostile_lines_are_refused_and_nothing_else(format_name: str, line: bytes) -> None:
    if (format_name, line) == ("otel", b"{}"):  # an export of nothing, as proto3's JSON writes it
        assert ADAPTERS["otel"].adapt(line, Options("gateway-1")) == []
        return
    with pytest.raises(EventRefused) as refusal:
        adapt(format_name, line, source="gateway-1")
    assert len(str(refusal.value)) < 1000
    assert str(refusal.value).isprintable()
    ADAPTERS[format_name].redact(line)
