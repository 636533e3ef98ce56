"""What the two wire formats of OpenAI say, by hand-made bodies: one row a trap."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.format_bodies import CHAT, RESPONSES, units_of

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
