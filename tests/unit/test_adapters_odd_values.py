"""Values that no gateway should write, in every field of the adapters' lines: a refusal, never another error."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from producers.adapters import bifrost, envoy, helicone, langfuse, litellm, openmeter, portkey
from producers.adapters.base import Options
from producers.contract import EventRefused

TIME = "2026-11-20T01:02:03Z"
OPTIONS = Options(source="gateway-1")
LITELLM: dict[str, Any] = {
    "id": "a", "model": "gpt-5", "custom_llm_provider": "openai", "call_type": "acompletion", "status": "success",
    "startTime": 1763600000.5, "prompt_tokens": 10, "completion_tokens": 5, "response_cost": 0.1,
    "metadata": {"user_api_key_user_id": "u", "user_api_key_team_id": "t"}, "request_tags": ["a:b"],
}  # fmt: skip
ROWS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "portkey": (portkey, {"id": "a", "created_at": TIME, "ai_org": "openai", "ai_model": "gpt-5", "req_units": 10,
                          "res_units": 5, "cost": 0.1, "metadata": {"_user": "u"}}, "created_at"),
    "envoy": (envoy, {"x-request-id": "a", "start_time": TIME, "gen_ai.provider.name": "openai", "response_code": 200,
                      "gen_ai.request.model": "gpt-5", "gen_ai.usage.input_tokens": 10}, "start_time"),
    "helicone": (helicone, {"request_id": "a", "request_created_at": TIME, "provider": "OPENAI", "model": "gpt-5",
                            "prompt_tokens": 10, "completion_tokens": 5, "status": 200, "cost": 100},
                 "request_created_at"),
    "bifrost": (bifrost, {"id": "a", "timestamp": TIME, "provider": "openai", "model": "gpt-5", "status": "success",
                          "token_usage": {"prompt_tokens": 10, "completion_tokens": 5}, "cost": 0.1}, "timestamp"),
    "langfuse": (langfuse, {"id": "a", "type": "GENERATION", "startTime": TIME, "model": "gpt-5",
                            "usageDetails": {"input": 10, "output": 5}, "metadata": {}}, "startTime"),
    "litellm": (litellm, LITELLM, ""),
    "openmeter": (openmeter, {"id": "a", "source": "s", "type": "prompt", "time": TIME,
                              "data": {"model": "gpt-5", "tokens": 1, "type": "input"}}, ""),
}  # fmt: skip
ODD = ("null", "true", "-1", "1.5", "1e28", "1e40", "1e400", "1e999999999999999999999", "1" * 40, "1" * 5000,
       f'"{"9" * 20}"', f'"{"9" * 40}"', '"NaN"', '"sNaN"', '"\\ud800"', '"a\\u0000b"', "[]", "{}", "[" * 100_000,
       r'"{\"_user\":\"\\ud800\",\"department\":\"\\ud800\",\"input\":1}"')  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_odd_values_are_refused_or_taken(name: str) -> None:
    adapter, row, _ = ROWS[name]
    assert adapter.ADAPTER.adapt(json.dumps(row).encode(), OPTIONS)
    for field in row:
        for held in [None, *(row[field] if isinstance(row[field], dict) else ())]:
            for value in ODD:
                marked = {**row, field: "@" if held is None else {**row[field], held: "@"}}
                line = json.dumps(marked).replace('"@"', value).encode()
                with suppress(EventRefused):
                    adapter.ADAPTER.adapt(line, OPTIONS)
                adapter.ADAPTER.redact(line)


@pytest.mark.parametrize("name", [name for name, (_, _, time) in ROWS.items() if time])
@pytest.mark.parametrize("told", [1763121500123, "1763121500123", "20261120"])
def test_a_number_is_no_written_moment(name: str, told: object) -> None:
    """Read as one, the milliseconds of 2025 would lie in 1763."""
    adapter, row, time = ROWS[name]
    with pytest.raises(EventRefused, match="send RFC 3339") as refused:
        adapter.ADAPTER.adapt(json.dumps({**row, time: told}).encode(), OPTIONS)
    assert refused.value.field == time


@pytest.mark.parametrize(
    "value",
    ["\ud800", 10**5000, float("nan"), float("inf"), 10**40, object(), b"x"],
    ids=lambda value: type(value).__name__,
)
def test_what_only_memory_can_hold_is_refused_too(value: object) -> None:
    for field in LITELLM:
        for payload in ({**LITELLM, field: value}, {**LITELLM, "metadata": {"user_api_key_user_id": value}}):
            with suppress(EventRefused):
                litellm.adapt_payload(payload, OPTIONS)
