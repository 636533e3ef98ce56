"""What the wire formats of Bedrock and Cohere say, by hand-made bodies: one row a trap."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.format_bodies import COHERE, CONVERSE, units_of

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
