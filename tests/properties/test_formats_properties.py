"""For any body: no unit is negative, wholes are kept, and nothing but UsageRefused comes out of nonsense."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from producers.formats import FORMATS, Usage, UsageRefused, parse
from producers.units import is_input_unit, is_unit_name

COUNT = st.integers(0, 10**9)
SMALL = st.integers(0, 40)
OTHERS = ("audio", "image", "video")


def input_side(units: dict[str, int]) -> int:
    return sum(count for unit, count in units.items() if is_input_unit(unit))


def output_side(units: dict[str, int]) -> int:
    return sum(count for unit, count in units.items() if unit.endswith("output_tokens") or unit == "reasoning_tokens")


def of_modality(units: dict[str, int], modality: str) -> int:
    """Input tokens of a modality, cached or not."""
    return sum(count for unit, count in units.items() if modality in unit and "output" not in unit)


def cached(units: dict[str, int], kind: str) -> int:
    return sum(count for unit, count in units.items() if unit.startswith(f"cache_{kind}"))


def check(usage: Usage) -> None:
    assert usage.units["requests"] == 1
    assert all(type(count) is int and count >= 0 and is_unit_name(unit) for unit, count in usage.units.items())
    assert (usage.usage_source == "missing") == (usage.units == {"requests": 1})


@given(
    *(st.dictionaries(st.sampled_from([f"{name}_tokens" for name in OTHERS]), COUNT) for _ in range(2)),
    *(COUNT for _ in range(5)),
    st.sampled_from(["openai.chat", "openai.responses"]),
)
def test_openai_keeps_wholes_and_parts_that_fit(
    heard: dict[str, int],
    said: dict[str, int],
    text: int,
    read: int,
    written: int,
    answer: int,
    thought: int,
    form: str,
) -> None:
    """Any overlap of cache and modality that fits in the prompt is accepted; each part keeps its size."""
    prompt = max(text + sum(heard.values()), read + written)
    output = answer + thought + sum(said.values())
    chat = form == "openai.chat"
    before, after = ("prompt_tokens", "completion_tokens") if chat else ("input_tokens", "output_tokens")
    body = {
        before: prompt,
        f"{before}_details": {**heard, "cached_tokens": read, "cache_write_tokens": written},
        after: output,
        f"{after}_details": {**said, "reasoning_tokens": thought},
        "total_tokens": prompt + output,
    }
    if thought == 0 or chat:
        body.pop("total_tokens")
    usage = parse(form, {"usage": body})
    check(usage)
    assert input_side(usage.units) == prompt
    assert output_side(usage.units) == output
    assert cached(usage.units, "read") == read
    assert cached(usage.units, "write") == written
    assert usage.units["reasoning_tokens"] == thought
    assert all(of_modality(usage.units, name) == heard.get(f"{name}_tokens", 0) for name in OTHERS)


@given(
    *(st.dictionaries(st.sampled_from(["TEXT", "AUDIO", "IMAGE", "DOCUMENT", "VIDEO"]), COUNT) for _ in range(4)),
    COUNT,
    COUNT,
)
def test_google_keeps_wholes_and_modalities(
    fresh: dict[str, int], hit: dict[str, int], tools: dict[str, int], said: dict[str, int], untold: int, thoughts: int
) -> None:
    """Cached modalities are told and fit; `untold` tokens have no modality."""

    def details(counts: dict[str, int]) -> list[dict[str, Any]]:
        return [{"modality": name, "tokenCount": count} for name, count in counts.items()]

    prompt = {name: fresh.get(name, 0) + hit.get(name, 0) for name in {*fresh, *hit}}
    metadata = {
        "promptTokenCount": sum(prompt.values()) + untold,
        "promptTokensDetails": details(prompt),
        "cachedContentTokenCount": sum(hit.values()),
        "cacheTokensDetails": details(hit),
        "toolUsePromptTokenCount": sum(tools.values()),
        "toolUsePromptTokensDetails": details(tools),
        "candidatesTokenCount": sum(said.values()) + untold,
        "candidatesTokensDetails": details(said),
        "thoughtsTokenCount": thoughts,
    }
    usage = parse("google.generate_content", {"usageMetadata": metadata})
    check(usage)
    assert input_side(usage.units) == metadata["promptTokenCount"] + metadata["toolUsePromptTokenCount"]
    assert output_side(usage.units) == metadata["candidatesTokenCount"] + thoughts
    assert cached(usage.units, "read") == sum(hit.values())
    assert of_modality(usage.units, "video") == prompt.get("VIDEO", 0) + tools.get("VIDEO", 0)
    assert usage.units.get("cache_read_audio_tokens", 0) == hit.get("AUDIO", 0)
    image = ("IMAGE", "DOCUMENT")
    assert of_modality(usage.units, "image") == sum(prompt.get(name, 0) + tools.get(name, 0) for name in image)
    assert usage.units["cache_read_tokens"] == hit.get("TEXT", 0)


@given(*(COUNT for _ in range(7)))
def test_anthropic_and_bedrock_count_every_token_once(
    fresh: int, read: int, short: int, long: int, untold: int, answer: int, thought: int
) -> None:
    messages = {
        "input_tokens": fresh,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": short + long + untold,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
        "output_tokens": answer + thought,
        "output_tokens_details": {"thinking_tokens": thought},
    }
    converse = {
        "inputTokens": fresh,
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": short + long + untold,
        "cacheDetails": [{"ttl": "5m", "inputTokens": short}, {"ttl": "1h", "inputTokens": long}],
        "outputTokens": answer + thought,
    }
    for form, body in (("anthropic.messages", messages), ("bedrock.converse", converse)):
        usage = parse(form, {"usage": body})
        check(usage)
        assert input_side(usage.units) == fresh + read + short + long + untold
        assert output_side(usage.units) == answer + thought
        assert usage.units["cache_write_5m_tokens"] == short
        assert usage.units["cache_write_1h_tokens"] == long
        assert usage.units.get("cache_write_tokens", 0) == untold


@given(COUNT, COUNT, COUNT, st.booleans())
def test_cohere_keeps_what_is_billed(fresh: int, read: int, answer: int, billed: bool) -> None:
    seen = {"tokens": {"input_tokens": fresh + read, "output_tokens": answer}, "cached_tokens": read}
    body = {"billed_units": {"input_tokens": fresh, "output_tokens": answer}, **seen} if billed else seen
    usage = parse("cohere.chat", {"usage": body})
    check(usage)
    assert input_side(usage.units) == fresh + (0 if billed else read)
    assert output_side(usage.units) == answer


NAMES = st.sampled_from(
    [
        *("usage", "usageMetadata", "message", "response", "result", "meta", "delta", "metadata", "output", "cost"),
        *("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "reasoning_tokens"),
        *("prompt_tokens_details", "completion_tokens_details", "input_tokens_details", "output_tokens_details"),
        *("cached_tokens", "cached_tokens_details", "cache_write_tokens", "audio_tokens", "image_tokens"),
        *("cache_creation", "ephemeral_5m_input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"),
        *("server_tool_use", "web_search_requests", "thinking_tokens", "service_tier", "serviceTier", "inference_geo"),
        *("promptTokenCount", "promptTokensDetails", "cachedContentTokenCount", "cacheTokensDetails"),
        *("toolUsePromptTokenCount", "toolUsePromptTokensDetails", "candidatesTokenCount", "candidatesTokensDetails"),
        *("thoughtsTokenCount", "modality", "tokenCount", "inputTokens", "outputTokens", "cacheWriteInputTokens"),
        *("cacheReadInputTokens", "cacheDetails", "ttl", "billed_units", "tokens", "citation_tokens", "total_cost"),
    ]
)
LEAVES = st.one_of(
    SMALL,
    st.none(),
    st.booleans(),
    st.sampled_from(["TEXT", "AUDIO", "5m", "1h", "default", "", "12", "\u0000"]),
    st.floats(),
    st.decimals(),
    st.integers(),
)
BODIES = st.dictionaries(
    NAMES,
    st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=8)),
    max_size=6,
)


@given(st.sampled_from(FORMATS), BODIES)
def test_nonsense_is_read_or_refused_and_never_crashes(form: str, body: dict[str, Any]) -> None:
    refused: UsageRefused | None = None
    try:
        check(parse(form, body))
    except UsageRefused as refusal:
        refused = refusal
    assert refused is None or (refused.field and len(str(refused)) < 1000)


PLAIN = st.dictionaries(NAMES, st.recursive(SMALL, lambda inner: st.dictionaries(NAMES, inner, max_size=6)), max_size=4)


@given(st.sampled_from(FORMATS), PLAIN)
def test_numbers_written_with_a_point_mean_the_same(form: str, body: dict[str, Any]) -> None:
    """12, 12.0 as a float and 12.0 as a decimal are one count, and null beside them says nothing."""

    def answer(other: dict[str, Any]) -> dict[str, int] | str:
        try:
            return parse(form, other).units
        except UsageRefused as refusal:
            return refusal.field

    def pointed(value: Any) -> Any:
        if isinstance(value, dict):
            return {"nothing": None} | {name: pointed(inner) for name, inner in value.items()}
        return float(value)

    text = json.dumps(pointed(body))
    assert answer(json.loads(text)) == answer(body)
    assert answer(json.loads(text, parse_float=Decimal)) == answer(body)
