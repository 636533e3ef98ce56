"""What holds for every wire format: refusals by name, service tiers, costs, models."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from producers.formats import FORMATS, Usage, UsageRefused, model_of, parse
from tests.unit.format_bodies import CHAT, COHERE, CONVERSE, GEMINI, MESSAGES, RESPONSES, tokens, units_of

LAST_CHUNKS = [
    (CHAT, {"object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 4}}),
    (CHAT, {"choices": [{}], "usage": None, "x_groq": {"id": "r", "usage": {"prompt_tokens": 4}}}),
    (CHAT, {"success": True, "result": {"response": "", "usage": {"prompt_tokens": 4}}}),
    (RESPONSES, {"type": "response.completed", "response": {"usage": {"input_tokens": 4}}}),
    (GEMINI, {"response": {"usageMetadata": {"promptTokenCount": 4}}}),
]


@pytest.mark.parametrize(("format_", "body"), LAST_CHUNKS)
def test_last_chunks_and_wrapped_answers(format_: str, body: dict[str, Any]) -> None:
    assert units_of(format_, body) == {"input_tokens": 4}


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("usage", [None, {}, [], {"total_time": 0.25, "note": "nothing counted"}, {"total_tokens": 9}])
def test_a_body_that_tells_no_count_is_missing_and_never_zero(format_: str, usage: object) -> None:
    for name in ("usage", "usageMetadata", "meta"):
        assert parse(format_, {"model": "m", name: usage}) == Usage({"requests": 1}, "missing")
    assert parse(format_, {}) == Usage({"requests": 1}, "missing")


BAD_COUNTS = [
    *(True, False, -1, -1.0, 1.5, Decimal("0.1"), Decimal(-3), "12", "", [1], {"n": 1}),
    *(float("nan"), float("inf"), Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity")),
    *(2**63, 10**6000, Decimal("1E+999999999"), 1e300),
]


@pytest.mark.parametrize("value", BAD_COUNTS, ids=lambda value: str(type(value).__name__))
@pytest.mark.parametrize(
    ("format_", "path"),
    [
        (CHAT, "usage.prompt_tokens"),
        (CHAT, "usage.completion_tokens_details.reasoning_tokens"),
        (RESPONSES, "usage.input_tokens_details.cached_tokens"),
        (MESSAGES, "usage.cache_creation.ephemeral_1h_input_tokens"),
        (MESSAGES, "usage.server_tool_use.web_search_requests"),
        (GEMINI, "usageMetadata.thoughtsTokenCount"),
        (CONVERSE, "usage.cacheWriteInputTokens"),
        (COHERE, "usage.billed_units.output_tokens"),
    ],
)
def test_what_is_no_count_is_refused_by_name(format_: str, path: str, value: object) -> None:
    *parents, name = path.split(".")
    body: dict[str, Any] = {}
    holder = body
    for parent in parents:
        holder = holder.setdefault(parent, {})
    holder[name] = value
    with pytest.raises(UsageRefused) as refusal:
        parse(format_, body)
    assert refusal.value.field == path
    assert refusal.value.value is value
    sentence = str(refusal.value)
    assert sentence.startswith(f"{path} is ")
    assert "correct the recorded answer" in sentence
    assert len(sentence) < 400


CONTRADICTIONS = [
    (CHAT, {"usage": {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 11}}}),
    (CHAT, {"usage": {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 5}}}),
    (CHAT, {"usage": {"prompt_tokens": 10, "prompt_tokens_details": {"audio_tokens": 6, "image_tokens": 5}}}),
    (CHAT, {"usage": {"completion_tokens": 10, "completion_tokens_details": {"reasoning_tokens": 11}}}),
    (
        CHAT,
        {"usage": {"completion_tokens": 10, "completion_tokens_details": {"reasoning_tokens": 6, "audio_tokens": 5}}},
    ),
    (RESPONSES, {"usage": {"output_tokens": 0, "output_tokens_details": {"reasoning_tokens": 1}}}),
    (MESSAGES, {"usage": {"output_tokens": 10, "output_tokens_details": {"thinking_tokens": 11}}}),
    (
        MESSAGES,
        {"usage": {"cache_creation_input_tokens": 9, "cache_creation": {"ephemeral_5m_input_tokens": 10}}},
    ),
    (GEMINI, {"usageMetadata": {"promptTokenCount": 10, "cachedContentTokenCount": 11}}),
    (GEMINI, {"usageMetadata": {"promptTokenCount": 10, "promptTokensDetails": [tokens("TEXT", 11)]}}),
    (GEMINI, {"usageMetadata": {"candidatesTokenCount": 10, "candidatesTokensDetails": [tokens("IMAGE", 11)]}}),
    (
        GEMINI,
        {
            "usageMetadata": {
                "promptTokenCount": 100,
                "promptTokensDetails": [tokens("AUDIO", 10)],
                "cachedContentTokenCount": 20,
                "cacheTokensDetails": [tokens("AUDIO", 20)],
            }
        },
    ),
    (
        GEMINI,
        {
            "usageMetadata": {
                "promptTokenCount": 100,
                "cachedContentTokenCount": 20,
                "cacheTokensDetails": [tokens("AUDIO", 30)],
            }
        },
    ),
    (CONVERSE, {"usage": {"cacheWriteInputTokens": 9, "cacheDetails": [{"ttl": "1h", "inputTokens": 10}]}}),
    (COHERE, {"usage": {"tokens": {"input_tokens": 10}, "cached_tokens": 11}}),
]


@pytest.mark.parametrize(("format_", "body"), CONTRADICTIONS)
def test_a_part_larger_than_its_whole_is_refused(format_: str, body: dict[str, Any]) -> None:
    with pytest.raises(UsageRefused, match="correct the recorded answer"):
        parse(format_, body)


def test_a_contradiction_names_field_value_whole_and_what_is_left() -> None:
    usage = {
        "promptTokenCount": 100,
        "promptTokensDetails": [tokens("AUDIO", 10)],
        "cachedContentTokenCount": 20,
        "cacheTokensDetails": [tokens("AUDIO", 20)],
    }
    with pytest.raises(UsageRefused) as refusal:
        parse(GEMINI, {"usageMetadata": usage})
    assert str(refusal.value) == (
        "usageMetadata.cachedContentTokenCount is 20: its 20 audio tokens are more than the 10 that "
        "usageMetadata.promptTokenCount (100) has left. Nothing of this answer was counted; "
        "correct the recorded answer and bring it again."
    )


@pytest.mark.parametrize(
    ("format_", "body", "field"),
    [
        ("openai.image", {}, "format"),
        (None, {}, "format"),
        (CHAT, [], "body"),
        (CHAT, {"usage": "12 tokens"}, "usage"),
        (CHAT, {"usage": {"prompt_tokens_details": "none"}}, "usage.prompt_tokens_details"),
        (GEMINI, {"usageMetadata": {"promptTokensDetails": {"modality": "TEXT"}}}, "usageMetadata.promptTokensDetails"),
        (GEMINI, {"usageMetadata": {"promptTokensDetails": [7]}}, "usageMetadata.promptTokensDetails[0]"),
        (
            GEMINI,
            {"usageMetadata": {"promptTokenCount": 3, "promptTokensDetails": [tokens("TO PAY", 1)]}},
            "usageMetadata.promptTokensDetails[0].modality",
        ),
    ],
)
def test_wrong_shapes_are_refused_by_name(format_: Any, body: Any, field: str) -> None:
    with pytest.raises(UsageRefused) as refusal:
        parse(format_, body)
    assert refusal.value.field == field


TIERS = [
    (CHAT, {"service_tier": "default"}, "standard", {}),
    (CHAT, {"service_tier": "flex"}, "flex", {}),
    (CHAT, {"service_tier": "priority"}, "priority", {}),
    (CHAT, {"service_tier": "on_demand"}, "standard", {}),
    (CHAT, {"service_tier": "auto"}, None, {"vendor_service_tier": "auto"}),
    (CHAT, {"service_tier": None}, None, {}),
    (RESPONSES, {"service_tier": "scale"}, None, {"vendor_service_tier": "scale"}),
    (CONVERSE, {"serviceTier": {"type": "priority"}}, "priority", {}),
    (CONVERSE, {"serviceTier": {"type": "reserved"}}, None, {"vendor_service_tier": "reserved"}),
    (MESSAGES, {"usage": {"service_tier": "batch"}}, "batch", {}),
    (MESSAGES, {"usage": {"service_tier": "standard", "speed": "fast"}}, "standard", {"vendor_speed": "fast"}),
    (MESSAGES, {"usage": {"speed": "standard"}}, None, {}),
    (GEMINI, {"usageMetadata": {"trafficType": "ON_DEMAND"}}, "standard", {}),
    (GEMINI, {"usageMetadata": {"trafficType": "ON_DEMAND_FLEX"}}, "flex", {}),
    (GEMINI, {"usageMetadata": {"trafficType": "TRAFFIC_TYPE_UNSPECIFIED"}}, None, {}),
    (
        GEMINI,
        {"usageMetadata": {"trafficType": "PROVISIONED_THROUGHPUT"}},
        None,
        {"vendor_service_tier": "PROVISIONED_THROUGHPUT"},
    ),
    (GEMINI, {"usageMetadata": {"serviceTier": "priority", "trafficType": "ON_DEMAND"}}, "priority", {}),
]


@pytest.mark.parametrize(("format_", "body", "tier", "tags"), TIERS)
def test_service_tiers(format_: str, body: dict[str, Any], tier: str | None, tags: dict[str, str]) -> None:
    usage = parse(format_, body)
    assert (usage.service_tier, usage.tags) == (tier, tags)


def test_a_tier_inside_a_wrapped_answer_is_found() -> None:
    assert parse(RESPONSES, {"response": {"service_tier": "flex", "usage": {"input_tokens": 1}}}).service_tier == "flex"


COSTS = [
    ("0.01058775", ("0.01058775", "USD")),
    ("3.0000000000000000000000003e-05", ("0.000030000000000000000000000003", "USD")),
    ("0", ("0", "USD")),
    ("null", None),
    ('{"input_tokens_cost": 0.1, "request_cost": 0.005, "total_cost": 0.105}', ("0.105", "USD")),
    ('{"total_cost": 0.105, "currency": "eur"}', ("0.105", "EUR")),
    ('{"total_cost": null}', None),
]


@pytest.mark.parametrize(("cost", "expected"), COSTS)
def test_reported_cost_keeps_every_digit(cost: str, expected: tuple[str, str] | None) -> None:
    body = json.loads('{"usage": {"prompt_tokens": 1, "cost": ' + cost + "}}", parse_float=Decimal)
    assert parse(CHAT, body).reported_cost == (None if expected is None else (Decimal(expected[0]), expected[1]))


def test_reported_cost_in_ticks_is_exact() -> None:
    assert parse(CHAT, {"usage": {"prompt_tokens": 1, "cost_in_usd_ticks": 37756001}}).reported_cost == (
        Decimal("0.0037756001"),
        "USD",
    )


def test_a_cost_that_was_already_a_binary_fraction_is_taken_as_its_shortest_text() -> None:
    assert parse(CHAT, {"usage": {"prompt_tokens": 1, "cost": 0.1}}).reported_cost == (Decimal("0.1"), "USD")


@pytest.mark.parametrize(
    "cost", [-1, "free", True, Decimal("NaN"), {"total_cost": [1]}, {"total_cost": 1, "currency": "credits"}]
)
def test_a_cost_that_is_no_amount_is_refused(cost: object) -> None:
    with pytest.raises(UsageRefused) as refusal:
        parse(CHAT, {"usage": {"prompt_tokens": 1, "cost": cost}})
    assert refusal.value.field.startswith("usage.cost")


MODELS = [
    ({"model": "a", "modelVersion": "b"}, "c", "a"),
    ({"modelVersion": "b"}, "c", "b"),
    ({"model": None}, "c", "c"),
    ({"model": ""}, "c", "c"),
    ({"message": {"model": "d"}}, "c", "c"),
    ({"message": {"model": "d"}}, None, "d"),
    ({"response": {"modelVersion": "e"}}, None, "e"),
    ({"message": "overloaded"}, None, None),
]


@pytest.mark.parametrize(("body", "beside", "expected"), MODELS)
def test_model_of(body: dict[str, Any], beside: str | None, expected: str | None) -> None:
    assert model_of(body, beside) == expected


def test_a_model_that_is_no_text_is_refused() -> None:
    with pytest.raises(UsageRefused, match=r"^body\.model is 7"):
        model_of({"model": 7}, "c")


def test_the_body_is_left_as_it_was_and_units_come_in_order() -> None:
    body = {"usage": {"output_tokens": 1, "input_tokens": 2, "cache_read_input_tokens": 3}}
    before = json.dumps(body)
    assert list(parse(MESSAGES, body).units) == ["input_tokens", "cache_read_tokens", "output_tokens", "requests"]
    assert json.dumps(body) == before
