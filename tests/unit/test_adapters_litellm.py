"""LiteLLM's payloads: who, what, when, the counts, and what must never pass."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from producers.adapters import ADAPTERS, Options
from producers.adapters.litellm import adapt_payload
from producers.adapters.litellm_names import bare_model, operation_of, provider_of, region_of, snapshot_of
from producers.contract import EventRefused, UsageEvent, encode_event

OPTIONS = Options("gateway-1")
USAGE: dict[str, Any] = {
    "prompt_tokens": 98805,
    "completion_tokens": 5120,
    "total_tokens": 103925,
    "prompt_tokens_details": {"cached_tokens": 66360, "cache_creation_tokens": 32435, "audio_tokens": None},
    "completion_tokens_details": {"reasoning_tokens": 1710},
}
PAYLOAD: dict[str, Any] = {
    "id": "chatcmpl-242f",
    "trace_id": "CANARY-trace",
    "call_type": "acompletion",
    "stream": True,
    "response_cost": 1.25e-05,
    "status": "success",
    "custom_llm_provider": "bedrock",
    "total_tokens": 103925,
    "prompt_tokens": 98805,
    "completion_tokens": 5120,
    "startTime": 1790989323.123456,
    "endTime": 1790989324.5,
    "completionStartTime": 1790989323.9,
    "model": "bedrock/eu.anthropic.claude-opus-4-5-20251101-v1:0",
    "model_group": "claude-opus",
    "api_base": "https://bedrock-runtime.eu-west-1.amazonaws.com/model/x/converse",
    "cache_hit": False,
    "request_tags": ["purpose:doc", "plain", "User-Agent: CANARY", "User-Agent: CANARY/1.0"],
    "end_user": "CANARY-end-user",
    "requester_ip_address": "CANARY-ip",
    "user_agent": "CANARY-agent",
    "messages": [{"role": "user", "content": "CANARY-prompt"}],
    "response": {"model": "claude-opus", "choices": [{"message": {"content": "CANARY-answer"}}], "usage": USAGE},
    "error_str": "CANARY-error",
    "error_information": {"traceback": "CANARY-trace", "error_message": "CANARY"},
    "model_parameters": {"user": "CANARY", "temperature": 0.1},
    "metadata": {
        "user_api_key_hash": "hash-1",
        "user_api_key_alias": "alias-1",
        "user_api_key_team_id": "D012",
        "user_api_key_org_id": "O1",
        "user_api_key_user_id": "u-1001",
        "user_api_key_user_email": "CANARY@example.org",
        "user_api_key_end_user_id": "CANARY-end",
        "requester_ip_address": "CANARY-ip",
        "user_agent": "CANARY-agent",
        "requester_metadata": {"unit": "D099", "note": "CANARY"},
        "usage_object": USAGE,
    },
    "hidden_params": {"additional_headers": {"x-secret": "CANARY"}, "usage_object": None},
}


def adapt(options: Options = OPTIONS, /, **changes: object) -> UsageEvent:
    line = json.dumps({**PAYLOAD, **changes}).encode()
    (event,) = ADAPTERS["litellm"].adapt(line, options)
    return event


def with_usage(usage: object, **changes: object) -> UsageEvent:
    return adapt(metadata={**PAYLOAD["metadata"], "usage_object": usage}, response="redacted", **changes)


def test_who_what_when() -> None:
    event = adapt()
    assert (event.source, event.id, event.subject) == ("gateway-1", "chatcmpl-242f:1", "u-1001")
    assert event.time == datetime(2026, 10, 3, 1, 2, 3, 123456, UTC)
    data = event.data
    assert (data.department, data.key, data.attempt, data.operation) == ("D012", "alias-1", 1, "chat")
    assert (data.provider, data.region) == ("aws", "eu-west-1")
    assert data.model == "eu.anthropic.claude-opus-4-5-20251101-v1:0"
    assert (data.status, data.usage_source, data.service_tier) == ("success", "provider", "standard")
    assert data.reported_cost is not None
    assert (data.reported_cost.amount, data.reported_cost.currency) == (Decimal("0.0000125"), "USD")
    assert data.tags == {"purpose": "doc", "plain": ""}


def test_counts_are_made_disjoint() -> None:
    assert adapt().data.units == {
        "input_tokens": 10, "cache_read_tokens": 66360, "cache_write_tokens": 32435, "output_tokens": 3410,
        "reasoning_tokens": 1710, "requests": 1,
    }  # fmt: skip


def test_nothing_private_passes() -> None:
    assert b"CANARY" not in encode_event(adapt())
    kept = ADAPTERS["litellm"].redact(json.dumps(PAYLOAD).encode())
    assert kept is not None
    assert b"CANARY" not in kept
    assert b"chatcmpl-242f" in kept
    assert ADAPTERS["litellm"].redact(b"not json, perhaps a prompt") is None


def test_a_refusal_shows_nothing_of_a_broken_line() -> None:
    with pytest.raises(EventRefused) as refusal:
        ADAPTERS["litellm"].adapt(b'{"messages":"CANARY', OPTIONS)
    assert "CANARY" not in str(refusal.value)


def test_memory_and_file_give_the_same_event() -> None:
    assert adapt_payload(PAYLOAD, OPTIONS) == adapt()
    for start in (1790989323.1, 1790989323.000001, 1790989323, 0.1 + 0.2):
        assert adapt_payload({**PAYLOAD, "startTime": start}, OPTIONS) == adapt(startTime=start)


def test_cache_writes_by_lifetime() -> None:
    details = {
        "cached_tokens": 5,
        "cache_creation_tokens": 30,
        "cache_creation_token_details": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "web_search_requests": 2,
    }
    units = with_usage({"prompt_tokens": 40, "completion_tokens": 7, "prompt_tokens_details": details}).data.units
    assert units == {
        "input_tokens": 5, "cache_read_tokens": 5, "cache_write_5m_tokens": 10, "cache_write_1h_tokens": 20,
        "output_tokens": 7, "web_searches": 2, "requests": 1,
    }  # fmt: skip


def test_cache_counts_beside_the_details_as_anthropic_through_litellm() -> None:
    units = with_usage(
        {
            "prompt_tokens": 100,
            "completion_tokens": 7,
            "cache_creation_input_tokens": 30,
            "cache_read_input_tokens": 50,
            "prompt_tokens_details": {"cached_tokens": 50},
        }
    ).data.units
    assert units == {
        "input_tokens": 20, "cache_read_tokens": 50, "cache_write_tokens": 30, "output_tokens": 7, "requests": 1,
    }  # fmt: skip


def test_audio_is_taken_out_of_text() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {"audio_tokens": 80, "cached_tokens": 0},
        "completion_tokens_details": {"audio_tokens": 30, "reasoning_tokens": 0},
    }
    units = with_usage(usage).data.units
    assert (units["input_tokens"], units["audio_input_tokens"]) == (20, 80)
    assert (units["output_tokens"], units["audio_output_tokens"]) == (20, 30)


def test_a_pass_through_keeps_the_vendors_own_disjoint_shape() -> None:
    units = with_usage({"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 90}).data.units
    assert (units["input_tokens"], units["cache_read_tokens"], units["output_tokens"]) == (10, 90, 5)


@pytest.mark.parametrize("where", ["hidden_params", "response"])
def test_usage_is_found_where_the_metadata_have_none(where: str) -> None:
    changes: dict[str, object] = {"metadata": {**PAYLOAD["metadata"], "usage_object": None}, "response": "redacted"}
    changes[where] = {"usage_object": USAGE} if where == "hidden_params" else {"usage": USAGE}
    assert adapt(**changes).data.units["cache_read_tokens"] == 66360


def test_without_a_usage_object_the_top_level_is_an_estimate() -> None:
    event = with_usage(None)
    assert event.data.usage_source == "estimated"
    assert event.data.units == {"input_tokens": 98805, "output_tokens": 5120, "requests": 1}


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}])
def test_no_counts_are_missing_and_never_zero(usage: object) -> None:
    event = with_usage(usage, prompt_tokens=0, completion_tokens=0)
    assert event.data.usage_source == "missing"
    assert event.data.units == {"requests": 1}


def test_an_answer_from_the_cache_counts_the_request_alone() -> None:
    event = adapt(cache_hit=True)
    assert (event.data.status, event.data.units) == ("cached", {"requests": 1})


def test_failures() -> None:
    failed = with_usage(None, status="failure", prompt_tokens=0, completion_tokens=0, response_cost=0)
    assert (failed.data.status, failed.data.units, failed.data.reported_cost) == ("failure", {"requests": 1}, None)
    assert adapt(status="failure", stream=True).data.status == "cut"
    assert adapt(status="failure", stream=None).data.status == "failure"


def test_a_stream_that_breaks_off_is_cut_and_its_counts_are_an_estimate() -> None:
    asked = {"model_parameters": {"stream": True}, "status": "failure", "stream": None}
    left = adapt(**asked)
    assert (left.data.status, left.data.usage_source) == ("cut", "estimated")
    broke = {"error_class": "ReadError"}
    broken = with_usage(None, prompt_tokens=0, completion_tokens=0, error_information=broke, **asked)
    assert (broken.data.status, broken.data.usage_source, broken.data.units) == ("cut", "missing", {"requests": 1})
    limited = {"error_class": "RateLimitError", "error_message": "CANARY"}
    failed = with_usage(None, prompt_tokens=0, completion_tokens=0, error_information=limited, **asked)
    assert failed.data.status == "failure"


def test_a_stream_whose_client_left_is_cut_although_litellm_calls_it_a_success() -> None:
    left = {"error_class": "ClientDisconnected", "error_code": "499"}
    cut = adapt(status="success", stream=True, error_information=left)
    assert (cut.data.status, cut.data.usage_source) == ("cut", "estimated")
    assert cut.data.units == adapt(status="success", stream=True).data.units
    asked = adapt(status="success", stream=None, model_parameters={"stream": True}, error_information=left)
    assert asked.data.status == "cut"
    whole = adapt(status="success", stream=False, model_parameters={"stream": False}, error_information=left)
    assert (whole.data.status, whole.data.usage_source) == ("success", "provider")


def test_an_answer_with_litellms_own_id_is_never_the_failure_before_it() -> None:
    """A failed attempt and a later answer without a vendor's id share LiteLLM's id."""
    own: dict[str, Any] = {"litellm_call_id": PAYLOAD["id"]}
    headers = "x-litellm-attempted-retries"
    assert adapt(**own, status="failure").id == "chatcmpl-242f:1"
    assert adapt(**own).id == "chatcmpl-242f:0"
    for retries in (0, 1):  # LiteLLM may add it after it has told of the answer
        assert adapt(**own, hidden_params={"additional_headers": {headers: retries}}).id == "chatcmpl-242f:0"
    assert adapt(litellm_call_id="another").id == "chatcmpl-242f:1"


def test_a_batch_is_counted_at_its_completion_with_its_answers() -> None:
    batch: dict[str, Any] = {
        "id": "batch_1", "model": "", "custom_llm_provider": "openai", "call_type": "aretrieve_batch",
        "hidden_params": {"batch_models": ["gpt-5-mini"] * 3},
        "response": {"id": "batch_1", "completed_at": 1790000100, "request_counts": {"total": 4, "completed": 3}},
    }  # fmt: skip
    first, again = adapt(**batch), adapt(**batch, startTime=1790999999.0)
    assert first == again
    assert (first.data.model, first.data.service_tier, first.data.units["requests"]) == ("gpt-5-mini", "batch", 3)
    assert first.time == datetime(2026, 9, 21, 14, 15, tzinfo=UTC)
    with pytest.raises(EventRefused, match="several models"):
        adapt(**{**batch, "hidden_params": {"batch_models": ["a", "b"]}})


def test_what_an_image_operation_puts_out_is_an_image() -> None:
    usage = {"prompt_tokens": 11, "completion_tokens": 7}
    units = with_usage(usage, call_type="aimage_generation").data.units
    assert units == {"input_tokens": 11, "image_output_tokens": 7, "requests": 1}


def test_a_cost_of_zero_is_unknown() -> None:
    assert adapt(response_cost=0.0).data.reported_cost is None
    assert adapt(response_cost=None).data.reported_cost is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"response": {"service_tier": "flex"}}, "flex"),
        ({"response": {"service_tier": "default"}, "model_parameters": {"service_tier": "priority"}}, "standard"),
        ({"response": "redacted", "model_parameters": {"service_tier": "priority"}}, "priority"),
        ({"model_parameters": {"service_tier": "auto"}}, "standard"),
        ({"call_type": "aretrieve_batch"}, "batch"),
        ({"hidden_params": {"batch_models": ["gpt-5-mini"]}}, "batch"),
    ],
)
def test_service_tier(changes: dict[str, object], expected: str) -> None:
    assert adapt(**changes).data.service_tier == expected


def test_the_attempt_is_in_the_id() -> None:
    event = adapt(hidden_params={"additional_headers": {"x-litellm-attempted-retries": 2}})
    assert (event.id, event.data.attempt) == ("chatcmpl-242f:3", 3)


def test_the_department_can_come_from_another_field() -> None:
    assert adapt(Options("g", "user_api_key_org_id")).data.department == "O1"
    assert adapt(Options("g", "requester_metadata.unit")).data.department == "D099"
    assert adapt(Options("g", "metadata.nothing.there")).data.department is None
    assert adapt(metadata={**PAYLOAD["metadata"], "user_api_key_team_id": ""}).data.department is None


def test_the_key_falls_back_to_its_hash() -> None:
    assert adapt(metadata={**PAYLOAD["metadata"], "user_api_key_alias": None}).data.key == "hash-1"


@pytest.mark.parametrize(
    ("model", "answered", "group", "expected"),
    [
        ("gpt-5-mini", "gpt-5-mini-2025-08-07", "fast", "gpt-5-mini-2025-08-07"),
        ("gpt-5-mini", "gpt-5-mini-2025-08-07", "gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("gpt-5", "gpt-5.1", "fast", "gpt-5.1"),
        ("gpt-5", "fast", "fast", "gpt-5"),
        ("gpt-5", "something-else", "fast", "gpt-5"),
        ("gpt-4", "gpt-4o", "fast", "gpt-4"),
    ],
)
def test_the_snapshot_is_taken_from_the_answer(model: str, answered: str, group: str, expected: str) -> None:
    event = adapt(model=model, custom_llm_provider="openai", model_group=group, response={"model": answered})
    assert event.data.model == expected


def test_an_azure_deployment_is_known_by_its_mapped_model() -> None:
    event = adapt(
        model="azure/our-deployment",
        custom_llm_provider="azure",
        model_map_information={"model_map_key": "azure/gpt-4o"},
        response={"model": "gpt-4o-2024-08-06"},
    )
    assert (event.data.provider, event.data.model) == ("azure", "gpt-4o-2024-08-06")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"custom_llm_provider": None, "model": "gpt-5"}, "custom_llm_provider"),
        ({"startTime": None, "endTime": None}, "startTime"),
        ({"startTime": "then"}, "startTime"),
        ({"startTime": -1}, "startTime"),
        ({"startTime": True}, "startTime"),
        ({"startTime": 1e300}, "startTime"),
        ({"status": "perhaps"}, "status"),
        ({"metadata": {"usage_object": {"prompt_tokens": -1}}}, "prompt_tokens"),
        ({"metadata": {"usage_object": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}}}, "cached"),
        ({"metadata": {"user_api_key_user_id": ["x"], "usage_object": USAGE}}, "user_api_key_user_id"),
        ({"metadata": []}, "metadata"),
    ],
)
def test_refusals_name_the_field(changes: dict[str, object], named: str) -> None:
    with pytest.raises(EventRefused, match=named):
        adapt(**changes)


def test_the_source_is_required() -> None:
    with pytest.raises(EventRefused, match="--source"):
        adapt(Options(None))


def test_times_written_out_are_taken_with_a_zone_only() -> None:
    assert adapt(startTime="2026-10-03T10:02:03+09:00").time == datetime(2026, 10, 3, 1, 2, 3, tzinfo=UTC)
    with pytest.raises(EventRefused, match="startTime"):
        adapt(startTime="2026-10-03T10:02:03")
    assert adapt(startTime=None).time == datetime(2026, 10, 3, 1, 2, 4, 500000, UTC)


@pytest.mark.parametrize(
    ("litellm", "ours"),
    [("openai", "openai"), ("azure", "azure"), ("azure_ai", "azure"), ("bedrock", "aws"), ("vertex_ai", "google"),
     ("gemini", "google"), ("anthropic", "anthropic"), ("xai", "x-ai"), ("together_ai", "together"),
     ("fireworks_ai", "fireworks"), ("moonshot", "moonshotai"), ("perplexity", "perplexity"), ("new_one", "new_one")],
)  # fmt: skip
def test_providers(litellm: str, ours: str) -> None:
    assert provider_of(litellm, "m") == ours


def test_every_mapped_provider_is_one_that_genai_prices_knows() -> None:
    from genai_prices.data import providers

    from producers.adapters.litellm_names import PROVIDERS

    assert set(PROVIDERS.values()) <= {provider.id for provider in providers}


def test_names() -> None:
    assert bare_model("bedrock/us-east-1/anthropic.claude-v2", "bedrock") == ("anthropic.claude-v2", "us-east-1")
    assert bare_model("bedrock/converse/us.amazon.nova", "bedrock") == ("us.amazon.nova", None)
    assert bare_model("meta-llama/Llama-4", "together_ai") == ("meta-llama/Llama-4", None)
    assert bare_model("openrouter/anthropic/claude", "openrouter") == ("anthropic/claude", None)
    assert bare_model("gpt-5", "openai") == ("gpt-5", None)
    assert provider_of(None, "vertex_ai/gemini") == "google"
    assert provider_of(None, "gpt-5") is None
    assert [operation_of(name) for name in ("aembedding", "anthropic_messages", "arerank", "odd", None)] == [
        "embeddings", "chat", "rerank", "odd", None,
    ]  # fmt: skip
    assert region_of("https://us-central1-aiplatform.googleapis.com/v1") == "us-central1"
    assert region_of("https://api.openai.com/v1") is None
    assert snapshot_of("gpt-5", None) == "gpt-5"
