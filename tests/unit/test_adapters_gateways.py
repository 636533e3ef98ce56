"""Exports and logs of other gateways -> usage events: a row of each as its system writes it, and what is refused."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from producers.adapters import ADAPTERS, Options
from producers.contract import EventRefused, UsageEvent

PORTKEY = {
    "created_at": "2026-10-03T01:02:03.000Z", "request": {"body": {"messages": "planted-content"}},
    "response": {"body": "planted-content"}, "is_success": True, "ai_org": "openai", "ai_model": "gpt-5-mini",
    "req_units": 45, "res_units": 511, "total_units": 556, "cost": 0.0858, "cost_currency": "USD",
    "request_url": "/v1/chat/completions", "request_method": "POST", "response_status_code": 200,
    "response_time": 900, "cache_status": "MISS", "cache_type": "", "stream_mode": 0, "retry_success_count": 0,
    "trace_id": "trace-1", "mode": "single", "virtual_key": "openai-prod", "config": "pc-1",
    "metadata.key": ["_user", "department"], "metadata.value": ["u-1001", "D012"],
}  # fmt: skip
ENVOY = {
    ":authority": "api.example.org", "bytes_received": 105, "bytes_sent": 432, "duration": 1526,
    "gen_ai.provider.name": "default/azure/route/aigw-run/rule/0/ref/0", "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.request.model_override": None, "gen_ai.usage.input_tokens": 15, "gen_ai.usage.output_tokens": 7,
    "gen_ai.usage.total_tokens": 22, "method": "POST", "response_code": 200,
    "route_name": "httproute/default/aigw-run/rule/0/match/0/*", "start_time": "2026-10-03T16:51:37.894Z",
    "x-envoy-origin-path": "/v1/chat/completions", "x-request-id": "83b63da3-45a9-4196-98b8-1a7f697d6d8d",
}  # fmt: skip
HELICONE = {
    "response_id": "b-1", "response_created_at": "2026-10-03 01:02:05.123", "latency": 1200, "status": 200,
    "completion_tokens": 20, "prompt_tokens": 100, "prompt_cache_write_tokens": 0, "prompt_cache_read_tokens": 64,
    "prompt_audio_tokens": 6, "completion_audio_tokens": 0, "model": "gpt-4o", "request_id": "r-1",
    "request_created_at": "2026-10-03 01:02:03.123", "user_id": "u-1001", "organization_id": "o-1",
    "proxy_key_id": "k-1", "time_to_first_token": 100, "provider": "OPENAI", "country_code": "KR",
    "target_url": "https://example.org", "properties": {"department": "D012"}, "scores": {},
    "request_body": "planted-content", "response_body": "planted-content", "cost": 225000,
    "cache_reference_id": "00000000-0000-0000-0000-000000000000", "cache_enabled": False,
}  # fmt: skip
BIFROST = {
    "id": "req-1", "parent_request_id": None, "timestamp": "2026-10-03T01:02:03.123456Z",
    "object_type": "chat.completion", "provider": "vertex", "model": "gemini-2.5-flash", "number_of_retries": 2,
    "fallback_index": 1, "selected_key_id": "key-1", "virtual_key_id": "vk-1", "latency": 800,
    "token_usage": json.dumps({"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130,
                               "prompt_tokens_details": {"cached_tokens": 60},
                               "completion_tokens_details": {"reasoning_tokens": 10}}),
    "cost": "0.00034", "status": "success", "stream": False, "input_history": "planted-content",
}  # fmt: skip
LANGFUSE = {
    "id": "obs-1", "traceId": "t-1", "type": "GENERATION", "startTime": "2026-10-03T01:02:03.123Z",
    "endTime": "2026-10-03T01:02:04Z", "model": "claude-sonnet-5", "input": "planted-content",
    "output": {"content": "planted-content"}, "level": "DEFAULT", "userId": "u-1001",
    "usageDetails": {"input": 10, "output": 20, "input_cached_tokens": 5, "total": 35},
    "costDetails": {"input": 0.001, "output": 0.002, "total": 0.003}, "metadata": {"department": "D012"},
}  # fmt: skip
ROWS: dict[str, dict[str, Any]] = {
    "portkey": PORTKEY, "envoy": ENVOY, "helicone": HELICONE, "bifrost": BIFROST, "langfuse": LANGFUSE,
}  # fmt: skip
OPTIONS = Options("gateway-1", providers={"default/azure": "azure"})


def events(name: str, options: Options = OPTIONS, **changes: Any) -> list[UsageEvent]:
    return ADAPTERS[name].adapt(json.dumps({**ROWS[name], **changes}).encode(), options)


def one(name: str, **changes: Any) -> UsageEvent:
    (found,) = events(name, **changes)
    return found


@pytest.mark.parametrize(
    ("name", "identity", "units", "who", "cost"),
    [
        ("portkey", "trace-1:2026-10-03T01:02:03+00:00", {"input_tokens": 45, "output_tokens": 511},
         ("u-1001", "D012", "gpt-5-mini", "openai"), "0.000858"),
        ("envoy", "83b63da3-45a9-4196-98b8-1a7f697d6d8d", {"input_tokens": 15, "output_tokens": 7},
         (None, None, "gpt-4o-mini", "azure"), None),
        ("helicone", "r-1", {"input_tokens": 30, "cache_read_tokens": 64, "audio_input_tokens": 6, "output_tokens": 20},
         ("u-1001", "D012", "gpt-4o", "openai"), "0.000225"),
        ("bifrost", "req-1:1:2",
         {"input_tokens": 40, "cache_read_tokens": 60, "output_tokens": 20, "reasoning_tokens": 10},
         (None, None, "gemini-2.5-flash", "google"), "0.00034"),
        ("langfuse", "obs-1", {"input_tokens": 10, "output_tokens": 20, "cache_read_tokens": 5},
         ("u-1001", "D012", "claude-sonnet-5", "anthropic"), "0.003"),
    ],
)  # fmt: skip
def test_a_row_as_its_system_writes_it(
    name: str, identity: str, units: dict[str, int], who: tuple[Any, ...], cost: str | None
) -> None:
    found = one(name)
    assert (found.source, found.id) == ("gateway-1", identity)
    assert found.data.units == {**units, "requests": 1}
    assert (found.subject, found.data.department, found.data.model, found.data.provider) == who
    told = found.data.reported_cost
    assert (told and (told.amount, told.currency)) == (cost and (Decimal(cost), "USD"))
    assert (found.data.status, found.data.usage_source) == ("success", "provider")
    assert found.time.isoformat().startswith("2026-10-03T")
    assert "planted-content" not in repr(found)


@pytest.mark.parametrize(
    ("name", "changes", "field"),
    [
        ("portkey", {"ai_model": None}, "ai_model"),
        ("portkey", {"ai_org": ""}, "ai_org"),
        ("portkey", {"trace_id": None}, "trace_id"),
        ("portkey", {"created_at": "yesterday"}, "created_at"),
        ("portkey", {"req_units": -1}, "req_units"),
        ("envoy", {"x-request-id": "-"}, "x-request-id"),
        ("envoy", {"start_time": None}, "start_time"),
        ("envoy", {"gen_ai.provider.name": None}, "gen_ai.provider.name"),
        ("envoy", {"gen_ai.provider.name": "default/other/route"}, "gen_ai.provider.name"),
        ("envoy", {"gen_ai.usage.cached_input_tokens": 16}, "input tokens"),
        ("helicone", {"request_id": None}, "request_id"),
        ("helicone", {"provider": None}, "provider"),
        ("helicone", {"prompt_audio_tokens": 37}, "audio_input_tokens"),
        ("bifrost", {"status": "processing"}, "status"),
        ("bifrost", {"timestamp": None}, "timestamp"),
        ("langfuse", {"model": None}, "model"),
        ("langfuse", {"usageDetails": {"input": 10, "output": 20, "total": 99}}, "usageDetails.total"),
        ("langfuse", {"usageDetails": {"input": 10, "output": 5, "input_cached_tokens": 11, "total": 15}},
         "usageDetails.cache_read_tokens"),
        ("langfuse", {"usageDetails": {"input": "x"}}, "input"),
        ("langfuse", {"usageDetails": {"Weird Type": 3}}, "data.units"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_refused_by_name(name: str, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(EventRefused) as refused:
        events(name, **changes)
    assert refused.value.field == field


@pytest.mark.parametrize("name", ROWS)
def test_every_one_of_them_needs_its_source(name: str) -> None:
    assert ADAPTERS[name].needs_source
    with pytest.raises(EventRefused, match="source"):
        events(name, Options(providers=OPTIONS.providers))


@pytest.mark.parametrize("name", ROWS)
def test_what_is_kept_of_a_refused_row_holds_no_content(name: str) -> None:
    kept = ADAPTERS[name].redact(json.dumps(ROWS[name]).encode())
    assert kept is not None
    assert b"planted" not in kept


def test_zeros_alone_are_missing_and_failures_are_failures() -> None:
    for name, zeros in (("portkey", {"req_units": 0, "res_units": 0}), ("bifrost", {"token_usage": None}),
                        ("langfuse", {"usageDetails": {}})):  # fmt: skip
        found = one(name, **zeros)
        assert (found.data.units, found.data.usage_source) == ({"requests": 1}, "missing")
    assert one("portkey", is_success=False, req_units=0, res_units=0).data.status == "failure"
    assert one("portkey", is_success=False).data.status == "cut"
    assert one("envoy", response_code=502).data.status == "cut"
    assert one("bifrost", status="error", token_usage=None).data.status == "failure"
    assert one("langfuse", level="ERROR").data.status == "cut"


def test_answers_from_a_gateways_cache_count_requests_only() -> None:
    for found in (one("portkey", cache_status="HIT"), one("helicone", cache_reference_id="r-0")):
        assert (found.data.units, found.data.status) == ({"requests": 1}, "cached")


def test_what_is_cached_stands_beside_the_input_for_anthropic() -> None:
    found = one("helicone", provider="ANTHROPIC", prompt_tokens=10, prompt_audio_tokens=0)
    assert found.data.units == {"input_tokens": 10, "cache_read_tokens": 64, "output_tokens": 20, "requests": 1}


def test_a_total_tells_what_langfuse_counts_inclusively() -> None:
    inclusive = {"input": 15, "output": 20, "input_cached_tokens": 5, "output_reasoning_tokens": 8, "total": 35}
    assert one("langfuse", usageDetails=inclusive).data.units == {
        "input_tokens": 10, "output_tokens": 12, "cache_read_tokens": 5, "reasoning_tokens": 8, "requests": 1,
    }  # fmt: skip


def test_lines_that_are_no_call_are_passed_over() -> None:
    plain = {name: value for name, value in ENVOY.items() if not name.startswith("gen_ai")}
    assert ADAPTERS["envoy"].adapt(json.dumps(plain).encode(), OPTIONS) == []
    assert events("langfuse", type="SPAN") == []


def test_a_vendors_own_currency_is_not_taken_for_cents() -> None:
    assert one("portkey", cost_currency="EUR").data.reported_cost is None
