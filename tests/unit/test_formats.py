"""What each wire format says, by hand-made bodies: one row a trap."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from producers.formats import FORMATS, Usage, UsageRefused, model_of, parse

CHAT, RESPONSES, MESSAGES = "openai.chat", "openai.responses", "anthropic.messages"
GEMINI, CONVERSE, COHERE = "google.generate_content", "bedrock.converse", "cohere.chat"


def tokens(modality: str, count: int | None) -> dict[str, Any]:
    return {"modality": modality} if count is None else {"modality": modality, "tokenCount": count}


def units_of(format_: str, body: dict[str, Any]) -> dict[str, int]:
    """The units without `requests`, which is always 1."""
    units = dict(parse(format_, body).units)
    assert units.pop("requests") == 1
    return units


OPENAI = [
    pytest.param(
        {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
        {"input_tokens": 100, "output_tokens": 50},
        id="nothing but wholes: what is not said is absent",
    ),
    pytest.param(
        {"prompt_tokens": 7, "total_tokens": 7}, {"input_tokens": 7}, id="embeddings have no output, which is not 0"
    ),
    pytest.param(
        {
            "prompt_tokens": 100,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30, "audio_tokens": 0},
            "completion_tokens": 50,
            "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 5, "image_tokens": 10},
        },
        {
            "input_tokens": 10,
            "cache_read_tokens": 60,
            "cache_write_tokens": 30,
            "audio_input_tokens": 0,
            "output_tokens": 15,
            "reasoning_tokens": 20,
            "audio_output_tokens": 5,
            "image_output_tokens": 10,
        },
        id="every part inside its whole",
    ),
    pytest.param(
        {"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 30}},
        {"input_tokens": 10, "cache_read_tokens": 60, "audio_input_tokens": 30},
        id="overlap of cache and audio not told: text first",
    ),
    pytest.param(
        {"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 80, "audio_tokens": 30, "image_tokens": 10}},
        {
            "input_tokens": 0,
            "cache_read_tokens": 60,
            "cache_read_audio_tokens": 20,
            "audio_input_tokens": 10,
            "image_input_tokens": 10,
        },
        id="more cached than there is text: audio next",
    ),
    pytest.param(
        {
            "prompt_tokens": 100,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 40, "image_tokens": 70},
        },
        {
            "input_tokens": 0,
            "cache_read_tokens": 30,
            "cache_read_image_tokens": 30,
            "cache_write_tokens": 0,
            "cache_write_image_tokens": 40,
            "image_input_tokens": 0,
        },
        id="read takes text before written does, and all of it stays in the total",
    ),
    pytest.param(
        {
            "input_tokens": 100,
            "input_token_details": {
                "text_tokens": 40,
                "audio_tokens": 60,
                "cached_tokens": 64,
                "cached_tokens_details": {"text_tokens": 32, "audio_tokens": 32},
            },
            "output_tokens": 90,
            "output_token_details": {"text_tokens": 20, "audio_tokens": 70},
        },
        {
            "input_tokens": 8,
            "cache_read_tokens": 32,
            "cache_read_audio_tokens": 32,
            "audio_input_tokens": 28,
            "output_tokens": 20,
            "audio_output_tokens": 70,
        },
        id="realtime tells the overlap",
    ),
    pytest.param(
        {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 40},
        {"input_tokens": 9, "output_tokens": 6},
        id="a total that is larger makes no tokens of a kind nobody told",
    ),
    pytest.param(
        {
            "prompt_tokens": 37,
            "completion_tokens": 530,
            "total_tokens": 800,
            "completion_tokens_details": {"reasoning_tokens": 233, "accepted_prediction_tokens": 4},
        },
        {"input_tokens": 37, "output_tokens": 530, "reasoning_tokens": 233},
        id="xAI: reasoning outside, as the total says",
    ),
    pytest.param(
        {
            "prompt_tokens": 33,
            "completion_tokens": 11395,
            "total_tokens": 11428,
            "citation_tokens": 52930,
            "num_search_queries": 28,
            "reasoning_tokens": 2000,
        },
        {
            "input_tokens": 33,
            "output_tokens": 11395,
            "reasoning_tokens": 2000,
            "web_searches": 28,
            "citation_tokens": 52930,
        },
        id="Perplexity: reasoning outside although the total leaves it out",
    ),
    pytest.param(
        {"prompt_tokens": 10, "completion_tokens": 30, "total_tokens": 40, "reasoning_tokens": 20},
        {"input_tokens": 10, "output_tokens": 10, "reasoning_tokens": 20},
        id="reasoning beside the whole, inside it by the total",
    ),
    pytest.param(
        {"prompt_tokens": 100, "cached_tokens": 60},
        {"input_tokens": 40, "cache_read_tokens": 60},
        id="Moonshot's cached tokens stand at the top",
    ),
    pytest.param(
        {"prompt_tokens": 100, "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36},
        {"input_tokens": 36, "cache_read_tokens": 64},
        id="DeepSeek's hits without details",
    ),
    pytest.param(
        {"prompt_tokens": 100, "cached_tokens": 60, "prompt_tokens_details": {"cached_tokens": 50}},
        {"input_tokens": 50, "cache_read_tokens": 50},
        id="details come before what stands at the top, and are not added to it",
    ),
    pytest.param(
        {"prompt_tokens": 100, "num_cached_tokens": 60, "completion_tokens": 1},
        {"input_tokens": 100, "output_tokens": 1},
        id="Mistral's reuse is charged as fresh",
    ),
    pytest.param(
        {
            "prompt_tokens": 5,
            "prompt_tokens_details": None,
            "completion_tokens": None,
            "completion_tokens_details": {"reasoning_tokens": None},
        },
        {"input_tokens": 5},
        id="null is not said",
    ),
    pytest.param({"prompt_tokens": 0}, {"input_tokens": 0}, id="an explicit 0 is 0"),
    pytest.param(
        {"prompt_tokens": 12.0, "completion_tokens": Decimal("7.00")},
        {"input_tokens": 12, "output_tokens": 7},
        id="whole numbers written with a point",
    ),
    pytest.param(
        {"prompt_tokens_details": {"cached_tokens": 60}},
        {"cache_read_tokens": 60},
        id="a part without its whole says nothing of fresh tokens",
    ),
    pytest.param(
        {"input_tokens": 10, "server_side_tool_usage_details": {"web_search_calls": 2, "x_search_calls": 3}},
        {"input_tokens": 10, "web_searches": 2, "social_searches": 3},
        id="xAI's searches",
    ),
]


@pytest.mark.parametrize("format_", [CHAT, RESPONSES])
@pytest.mark.parametrize(("usage", "expected"), OPENAI)
def test_openai(format_: str, usage: dict[str, Any], expected: dict[str, int]) -> None:
    assert units_of(format_, {"model": "m", "usage": usage}) == expected


def test_openai_searches_are_counted_from_the_answers_own_calls() -> None:
    def call(kind: str | None, status: str = "completed") -> dict[str, Any]:
        action = {} if kind is None else {"action": {"type": kind}}
        return {"type": "web_search_call", "status": status, **action}

    output = [call("search"), call(None), call("open_page"), call("search", "failed"), {"type": "message"}, "noise"]
    response = {"output": output, "usage": {"input_tokens": 1, "output_tokens": 2}}
    expected = {"input_tokens": 1, "output_tokens": 2, "web_searches": 2}
    assert units_of(RESPONSES, response) == expected
    assert units_of(RESPONSES, {"type": "response.completed", "response": response}) == expected


ANTHROPIC = [
    pytest.param(
        {
            "input_tokens": 3,
            "cache_creation_input_tokens": 100,
            "cache_creation": {"ephemeral_5m_input_tokens": 40, "ephemeral_1h_input_tokens": 60},
            "cache_read_input_tokens": 9000,
            "output_tokens": 50,
            "output_tokens_details": {"thinking_tokens": 20},
            "server_tool_use": {"web_search_requests": 4, "web_fetch_requests": 9},
        },
        {
            "input_tokens": 3,
            "cache_read_tokens": 9000,
            "cache_write_5m_tokens": 40,
            "cache_write_1h_tokens": 60,
            "output_tokens": 30,
            "reasoning_tokens": 20,
            "web_searches": 4,
        },
        id="both lifetimes; cache beside the input; a fetch is no search",
    ),
    pytest.param(
        {"input_tokens": 3, "cache_creation_input_tokens": 100, "cache_creation": None},
        {"input_tokens": 3, "cache_write_tokens": 100},
        id="lifetime not told",
    ),
    pytest.param(
        {"cache_creation_input_tokens": 100, "cache_creation": {"ephemeral_5m_input_tokens": 40}},
        {"cache_write_tokens": 60, "cache_write_5m_tokens": 40},
        id="lifetime told for a part",
    ),
    pytest.param(
        {"cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 7}},
        {"cache_write_5m_tokens": 0, "cache_write_1h_tokens": 7},
        id="lifetimes without their sum",
    ),
    pytest.param(
        {"cache_creation_input_tokens": 5, "cache_creation": {"ephemeral_30m_input_tokens": 5}},
        {"cache_write_30m_tokens": 5},
        id="a new lifetime names itself",
    ),
    pytest.param(
        {
            "input_tokens": 10,
            "output_tokens": 5,
            "iterations": [{"type": "advisor_message", "model": "other", "input_tokens": 999, "output_tokens": 99}],
        },
        {"input_tokens": 10, "output_tokens": 5},
        id="iterations are not added to what sums them up",
    ),
]


@pytest.mark.parametrize(("usage", "expected"), ANTHROPIC)
def test_anthropic(usage: dict[str, Any], expected: dict[str, int]) -> None:
    assert units_of(MESSAGES, {"model": "m", "usage": usage}) == expected


def test_anthropic_last_event_replaces_the_first_and_never_adds_to_it() -> None:
    start = {"input_tokens": 10, "cache_read_input_tokens": 70, "output_tokens": 1, "service_tier": "priority"}
    delta = {"output_tokens": 80, "input_tokens": None, "cache_read_input_tokens": 75}
    assert units_of(MESSAGES, {"type": "message_start", "message": {"usage": start}}) == {
        "input_tokens": 10,
        "cache_read_tokens": 70,
        "output_tokens": 1,
    }
    assert units_of(MESSAGES, {"type": "message_delta", "delta": {}, "usage": delta}) == {
        "cache_read_tokens": 75,
        "output_tokens": 80,
    }
    both = parse(MESSAGES, {"message": {"usage": start}, "usage": delta})
    assert both.units == {"input_tokens": 10, "cache_read_tokens": 75, "output_tokens": 80, "requests": 1}
    assert both.service_tier == "priority"


GOOGLE = [
    pytest.param(
        {
            "promptTokenCount": 300,
            "promptTokensDetails": [tokens("TEXT", 50), tokens("DOCUMENT", 100), tokens("IMAGE", 60)],
            "toolUsePromptTokenCount": 40,
            "toolUsePromptTokensDetails": [tokens("AUDIO", 15), tokens("TEXT", 25)],
            "candidatesTokenCount": 30,
            "thoughtsTokenCount": 70,
            "totalTokenCount": 440,
        },
        {
            "input_tokens": 165,
            "image_input_tokens": 160,
            "audio_input_tokens": 15,
            "output_tokens": 30,
            "reasoning_tokens": 70,
        },
        id="a document is charged as an image; what no modality claims is text; tools are input; thoughts beside",
    ),
    pytest.param(
        {
            "promptTokenCount": 300,
            "promptTokensDetails": [tokens("TEXT", 100), tokens("VIDEO", 200)],
            "cachedContentTokenCount": 150,
            "cacheTokensDetails": [tokens("VIDEO", 120), tokens("TEXT", 30)],
        },
        {
            "input_tokens": 70,
            "cache_read_tokens": 30,
            "cache_read_video_tokens": 120,
            "video_input_tokens": 80,
        },
        id="cached modalities told",
    ),
    pytest.param(
        {
            "promptTokenCount": 300,
            "promptTokensDetails": [tokens("TEXT", 100), tokens("VIDEO", 150), tokens("AUDIO", 50)],
            "cachedContentTokenCount": 160,
        },
        {
            "input_tokens": 0,
            "cache_read_tokens": 100,
            "cache_read_audio_tokens": 50,
            "cache_read_video_tokens": 10,
            "audio_input_tokens": 0,
            "video_input_tokens": 140,
        },
        id="cached modalities not told: text, audio, video",
    ),
    pytest.param(
        {
            "promptTokenCount": 300,
            "cachedContentTokenCount": 160,
            "cacheTokensDetails": [tokens("AUDIO", 60)],
        },
        {"input_tokens": 140, "cache_read_tokens": 100, "cache_read_audio_tokens": 60},
        id="a modality told of the cache alone: of fresh audio nothing is said",
    ),
    pytest.param(
        {"promptTokenCount": 268, "promptTokensDetails": [tokens("AUDIO", None), tokens("VIDEO", 258)]},
        {"input_tokens": 10, "video_input_tokens": 258},
        id="a listed modality without a count says nothing",
    ),
    pytest.param(
        {"candidatesTokenCount": 1304, "candidatesTokensDetails": [tokens("IMAGE", 1290), tokens("AUDIO", 4)]},
        {"output_tokens": 10, "image_output_tokens": 1290, "audio_output_tokens": 4},
        id="output modalities, with text that is not listed",
    ),
    pytest.param(
        {"promptTokenCount": 5, "thoughtsTokenCount": 71, "totalTokenCount": 76},
        {"input_tokens": 5, "reasoning_tokens": 71},
        id="thoughts without an answer",
    ),
    pytest.param(
        {"promptTokenCount": 5, "candidatesTokenCount": 100, "thoughtsTokenCount": 60, "totalTokenCount": 105},
        {"input_tokens": 5, "output_tokens": 40, "reasoning_tokens": 60},
        id="thoughts inside the candidates, as the total says",
    ),
    pytest.param(
        {"promptTokenCount": 5, "promptTokensDetails": [tokens("MODALITY_UNSPECIFIED", 2), tokens("SMELL", 3)]},
        {"input_tokens": 2, "smell_input_tokens": 3},
        id="a new modality names itself, an unspecified one is text",
    ),
    pytest.param(
        {"promptTokenCount": 20, "promptTokensDetails": [tokens("AUDIO", 5), tokens("AUDIO", 7)]},
        {"input_tokens": 8, "audio_input_tokens": 12},
        id="a modality listed twice",
    ),
    pytest.param(
        {"promptTokenCount": 9, "promptTokenDetails": [tokens("AUDIO", 4)]},
        {"input_tokens": 9},
        id="an older spelling of the list says nothing",
    ),
]


@pytest.mark.parametrize(("usage", "expected"), GOOGLE)
def test_google(usage: dict[str, Any], expected: dict[str, int]) -> None:
    assert units_of(GEMINI, {"modelVersion": "m", "usageMetadata": usage}) == expected


BEDROCK = [
    pytest.param(
        {
            "inputTokens": 14,
            "outputTokens": 5,
            "cacheReadInputTokens": 70,
            "cacheReadInputTokenCount": 70,
            "cacheWriteInputTokens": 1503,
            "cacheWriteInputTokenCount": 1503,
            "serverToolUsage": {},
            "totalTokens": 1592,
        },
        {"input_tokens": 14, "output_tokens": 5, "cache_read_tokens": 70, "cache_write_tokens": 1503},
        id="each cache count once, though it stands there twice",
    ),
    pytest.param(
        {"cacheReadInputTokenCount": 70, "cacheWriteInputTokenCount": 0},
        {"cache_read_tokens": 70, "cache_write_tokens": 0},
        id="the other names alone",
    ),
    pytest.param(
        {
            "cacheWriteInputTokens": 100,
            "cacheDetails": [
                {"ttl": "5m", "inputTokens": 10},
                {"ttl": "1h", "inputTokens": 60},
                {"ttl": "5m", "inputTokens": 20},
                {"ttl": "weird ttl", "inputTokens": 10},
            ],
        },
        {"cache_write_5m_tokens": 30, "cache_write_1h_tokens": 60, "cache_write_tokens": 10},
        id="lifetimes, one of them twice, one unreadable",
    ),
]


@pytest.mark.parametrize(("usage", "expected"), BEDROCK)
def test_bedrock(usage: dict[str, Any], expected: dict[str, int]) -> None:
    assert units_of(CONVERSE, {"usage": usage}) == expected
    assert units_of(CONVERSE, {"metadata": {"usage": usage, "metrics": {"latencyMs": 1}}}) == expected


COHERES = [
    pytest.param(
        {
            "billed_units": {"input_tokens": 33.0, "output_tokens": 22.0, "search_units": 1},
            "tokens": {"input_tokens": 1452, "output_tokens": 33},
            "cached_tokens": 144,
        },
        {"input_tokens": 33, "output_tokens": 22, "rerank_searches": 1},
        id="billed units are what is charged, and smaller than what was cached",
    ),
    pytest.param(
        {"billed_units": None, "tokens": {"input_tokens": 1452, "output_tokens": 33}, "cached_tokens": 144},
        {"input_tokens": 1308, "cache_read_tokens": 144, "output_tokens": 33},
        id="without billed units, what the model saw",
    ),
]


@pytest.mark.parametrize(("usage", "expected"), COHERES)
def test_cohere(usage: dict[str, Any], expected: dict[str, int]) -> None:
    for body in ({"usage": usage}, {"type": "message-end", "delta": {"usage": usage}}, {"meta": usage}):
        assert units_of(COHERE, body) == expected
    assert units_of(COHERE, {"event_type": "stream-end", "response": {"meta": usage}}) == expected


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


@pytest.mark.parametrize(("geo", "region"), [("us", "us"), ("global", "global"), ("not_available", None), (None, None)])
def test_anthropic_region(geo: str | None, region: str | None) -> None:
    assert parse(MESSAGES, {"usage": {"inference_geo": geo, "input_tokens": 1}}).region == region


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
