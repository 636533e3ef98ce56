"""What the wire format of Anthropic says, by hand-made bodies: one row a trap."""

from __future__ import annotations

from typing import Any

import pytest

from producers.formats import parse
from tests.unit.format_bodies import MESSAGES, units_of

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


@pytest.mark.parametrize(("geo", "region"), [("us", "us"), ("global", "global"), ("not_available", None), (None, None)])
def test_anthropic_region(geo: str | None, region: str | None) -> None:
    assert parse(MESSAGES, {"usage": {"inference_geo": geo, "input_tokens": 1}}).region == region
