"""Every recorded body of the data file gives its expected counts, key by key.

The file's counts contain each other (`inclusive_usage`); ours are disjoint. How ours fold to theirs is written here
from the meaning of the names, and knows nothing of the parser.
"""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from producers.formats import FORMATS, parse

ROWS = [
    json.loads(line, parse_float=Decimal)
    for line in (Path(__file__).parents[1] / "data" / "usage_bodies.jsonl").read_text(encoding="utf-8").splitlines()
]
OTHERS = ("audio", "image", "video")
TEXT_IN, TEXT_OUT = "input_text_tokens", "output_text_tokens"
TOOL_KEYS = ("input_tool_tokens", *(f"input_{modality}_tool_tokens" for modality in ("text", *OTHERS)))


def fold(units: dict[str, int]) -> dict[str, int]:
    """Disjoint units -> the counts of the data file that contain each other, without those that are 0."""

    def total(*prefixes: str, suffix: str = "") -> int:
        return sum(count for unit, count in units.items() if unit.startswith(prefixes) and unit.endswith(suffix))

    folded = {
        "input_tokens": units.get("input_tokens", 0) + total("cache_") + total(*OTHERS, suffix="_input_tokens"),
        "output_tokens": units.get("output_tokens", 0)
        + units.get("reasoning_tokens", 0)
        + total(*OTHERS, suffix="_output_tokens"),
        "output_reasoning_tokens": units.get("reasoning_tokens", 0),
        "cache_read_tokens": total("cache_read_"),
        "cache_write_tokens": total("cache_write_"),
        "cache_write_5m_tokens": total("cache_write_5m_"),
        "cache_write_1h_tokens": total("cache_write_1h_"),
        "cache_text_read_tokens": units.get("cache_read_tokens", 0),
        TEXT_OUT: units.get("output_tokens", 0),
        "web_searches": units.get("web_searches", 0),
    }
    for modality in OTHERS:
        cached = total("cache_", suffix=f"_{modality}_tokens")
        folded[f"cache_{modality}_read_tokens"] = total(f"cache_read_{modality}")
        folded[f"input_{modality}_tokens"] = units.get(f"{modality}_input_tokens", 0) + cached
        folded[f"output_{modality}_tokens"] = units.get(f"{modality}_output_tokens", 0)
    folded[TEXT_IN] = folded["input_tokens"] - sum(folded[f"input_{modality}_tokens"] for modality in OTHERS)
    return {key: count for key, count in folded.items() if count}


def said_by_the_body_alone(row: dict[str, Any]) -> dict[str, int]:
    """What two kinds of bodies say and the data file leaves out: lifetimes of Bedrock's writes, OpenRouter's video."""
    usage = row["body"].get("usage", {})
    said = {f"cache_write_{entry['ttl']}_tokens": entry["inputTokens"] for entry in usage.get("cacheDetails", [])}
    if row["format"] == "openai.chat":
        said["input_video_tokens"] = (usage.get("prompt_tokens_details") or {}).get("video_tokens", 0)
    return {key: count for key, count in said.items() if count}


def with_text_as_the_rest(expected: dict[str, int]) -> dict[str, int]:
    """Text counts as ours are: what no other modality claims, where the file has what was told (66 tokens may lack)."""
    texts = {
        TEXT_IN: expected.get("input_tokens", 0) - sum(expected.get(f"input_{name}_tokens", 0) for name in OTHERS),
        TEXT_OUT: expected.get("output_tokens", 0)
        - expected.get("output_reasoning_tokens", 0)
        - sum(expected.get(f"output_{name}_tokens", 0) for name in OTHERS),
        "cache_text_read_tokens": expected.get("cache_read_tokens", 0)
        - sum(expected.get(f"cache_{name}_read_tokens", 0) for name in OTHERS),
    }
    for key, count in texts.items():  # the rest is never less than what was told, and equal where all was told
        assert count >= expected.get(key, 0)
    return {key: count for key, count in {**expected, **texts}.items() if count}


@pytest.mark.parametrize("index", range(len(ROWS)))
def test_recorded_body_gives_exactly_the_expected_counts(index: int) -> None:
    row = ROWS[index]
    usage = parse(row["format"], row["body"])
    expected = {key: count for key, count in row["inclusive_usage"].items() if key not in TOOL_KEYS}
    expected |= said_by_the_body_alone(row)
    assert fold(usage.units) == with_text_as_the_rest(expected)
    assert usage.units["requests"] == 1
    assert usage.usage_source == "provider"
    assert all(type(count) is int and count >= 0 for count in usage.units.values())


@pytest.mark.parametrize(
    "index", [index for index, row in enumerate(ROWS) if set(row["inclusive_usage"]) & set(TOOL_KEYS)]
)
def test_recorded_tool_prompt_adds_exactly_its_tokens(index: int) -> None:
    """Tool prompts are input like any other; what they add is seen by taking them away."""
    row = ROWS[index]
    without = copy.deepcopy(row["body"])
    for name in ("toolUsePromptTokenCount", "toolUsePromptTokensDetails"):
        without["usageMetadata"].pop(name, None)
    whole, rest = (fold(parse(row["format"], body).units) for body in (row["body"], without))
    added = {key: whole[key] - rest.get(key, 0) for key in whole if whole[key] != rest.get(key, 0)}
    tool_tokens = row["inclusive_usage"]["input_tool_tokens"]
    assert added == {"input_tokens": tool_tokens, TEXT_IN: tool_tokens}
    assert row["inclusive_usage"].get("input_text_tool_tokens", tool_tokens) == tool_tokens


def test_the_file_is_whole_and_every_format_is_in_it() -> None:
    assert len(ROWS) == 679
    assert {row["format"] for row in ROWS} == set(FORMATS)
    known = {*fold(dict.fromkeys(ALL_UNITS, 1)), *TOOL_KEYS}
    assert {key for row in ROWS for key in row["inclusive_usage"]} <= known


ALL_UNITS = (
    *("input_tokens", "output_tokens", "reasoning_tokens", "web_searches"),
    *("cache_read_tokens", "cache_write_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"),
    *(f"{modality}_{direction}_tokens" for modality in OTHERS for direction in ("input", "output")),
    *(f"cache_read_{modality}_tokens" for modality in OTHERS),
)


def test_reported_costs_are_read_to_the_last_digit() -> None:
    told = [
        (row["body"]["usage"]["cost"], parse(row["format"], row["body"]))
        for row in ROWS
        if "cost" in row["body"].get("usage", {})
    ]
    assert len(told) == 23
    assert all(usage.reported_cost == (Decimal(cost), "USD") for cost, usage in told)
    gateway = [row for row in ROWS if "pydantic_ai_gateway" in row["body"].get("usageMetadata", {})]
    assert [parse(row["format"], row["body"]).reported_cost for row in gateway] == [None]
