"""`openai.chat` and `openai.responses`: the wire formats of OpenAI, which many vendors speak.

Both say the same in other words (`prompt_tokens` and `input_tokens`, `completion_tokens` and `output_tokens`), so one
reader takes both. The input contains what the cache served and stored and every modality; the output contains reasoning
and modalities. Who departs from that, and how it is seen:

- Cache reads stand in the details, or for some vendors beside the whole: `cached_tokens` (Moonshot, Together),
  `prompt_cache_hit_tokens` (DeepSeek), `cached_prompt_text_tokens` (xAI), `cache_read_input_tokens` (Databricks,
  Perplexity). `num_cached_tokens` (Mistral, vLLM) says what a server reused and charged as fresh: it is not a price
  class and is not read.
- Reasoning stands outside the output where the total says so (xAI: total = prompt + completion + reasoning), and in
  Perplexity's research answers, whose total leaves it out and which are known by their counts of citations or searches.
- Rejected prediction tokens are charged as output and stay there.
- Several image, audio and realtime answers write `input_token_details` without the first plural.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from producers.formats.beside import reported_cost, tier
from producers.formats.reading import Fields, find
from producers.formats.split import Part, split_input, split_output
from producers.formats.usage import Usage
from producers.units import MODALITIES

PLACES: Final = (("usage",), ("response", "usage"), ("result", "usage"), ("x_groq", "usage"))
"""A whole answer or last chunk; `response.completed` and `response.done` events; Cloudflare; Groq's last chunk."""

_INPUT: Final = ("prompt_tokens", "input_tokens")
_OUTPUT: Final = ("completion_tokens", "output_tokens")
_INPUT_DETAILS: Final = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTPUT_DETAILS: Final = ("completion_tokens_details", "output_tokens_details", "output_token_details")
_CACHED_BESIDE: Final = (
    "cached_tokens",
    "prompt_cache_hit_tokens",
    "cached_prompt_text_tokens",
    "cache_read_input_tokens",
)


def read(body: Mapping[str, Any]) -> Usage:
    """One answer in OpenAI's format, whole or the last chunk of a stream."""
    holder, usage = find(body, PLACES)
    units = _input(usage) | _output(usage) | _calls(holder, usage)
    service_tier, tags = tier(usage.text("service_tier"), holder.text("service_tier"))
    return Usage(
        units=units,
        usage_source="provider" if units else "missing",
        service_tier=service_tier,
        reported_cost=reported_cost(usage),
        tags=tags,
    )


def _input(usage: Fields) -> dict[str, int]:
    details = usage.inside(*_INPUT_DETAILS)
    cached = details.inside("cached_tokens_details")
    read_where, read_total = _first(
        (details, ("cached_tokens", "cache_read_tokens", "cache_read_input_tokens")), (usage, _CACHED_BESIDE)
    )
    write_where, write_total = _first(
        (details, ("cache_write_tokens", "cache_creation_tokens")), (usage, ("cache_creation_input_tokens",))
    )
    prompt_where, prompt_total = _first((usage, _INPUT))
    return split_input(
        Part(prompt_where, prompt_total, _modalities(details)),
        Part(read_where, read_total, _modalities(cached)),
        Part(write_where, write_total),
    )


def _output(usage: Fields) -> dict[str, int]:
    details = usage.inside(*_OUTPUT_DETAILS)
    where, total = _first((usage, _OUTPUT))
    _, reasoning = _first((details, ("reasoning_tokens",)), (usage, ("reasoning_tokens",)))
    answer = Part(where, total, _modalities(details))
    if reasoning and total is not None and _outside(usage, total, reasoning):
        return split_output(answer, None) | {"reasoning_tokens": reasoning}
    return split_output(answer, reasoning)


def _outside(usage: Fields, answer_tokens: int, reasoning_tokens: int) -> bool:
    """Whether reasoning comes on top of the output instead of inside it."""
    if usage.count("citation_tokens", "num_search_queries") is not None and usage.count("reasoning_tokens") is not None:
        return True
    prompt_tokens, total_tokens = usage.count(*_INPUT), usage.count("total_tokens")
    return (prompt_tokens or 0) + answer_tokens + reasoning_tokens == total_tokens


def _calls(holder: Fields, usage: Fields) -> dict[str, int]:
    """What is charged by the call or beside the tokens, from the counts, else from the answer's own list of calls."""
    searches = usage.count("num_search_queries")  # Perplexity
    if searches is None:
        searches = usage.inside("server_side_tool_usage_details").count("web_search_calls")  # xAI
    if searches is None:
        searches = usage.inside("server_tool_use").count("web_search_requests")  # OpenRouter
    if searches is None:
        searches = usage.inside("tool_calls_details").inside("search_web").count("invocation")  # Perplexity's agents
    if searches is None:
        searches = _searches_made(holder) or None
    told = {
        "web_searches": searches,
        "social_searches": usage.inside("server_side_tool_usage_details").count("x_search_calls"),
        "citation_tokens": usage.count("citation_tokens"),
    }
    return {unit: count for unit, count in told.items() if count is not None}


def _searches_made(holder: Fields) -> int:
    """OpenAI's finished web searches in a Responses answer; opening a found page is another action and free."""
    output = holder.values.get("output")
    calls = [item for item in output if isinstance(item, Mapping)] if isinstance(output, list) else []
    return sum(1 for call in calls if call.get("type") == "web_search_call" and _is_search(call))


def _is_search(call: Mapping[str, Any]) -> bool:
    action = call.get("action")
    kind = action.get("type") if isinstance(action, Mapping) else "search"
    return kind == "search" and call.get("status") in (None, "completed")


def _modalities(details: Fields) -> dict[str, int]:
    told = {modality: details.count(f"{modality}_tokens") for modality in MODALITIES}
    return {modality: count for modality, count in told.items() if count is not None}


def _first(*choices: tuple[Fields, tuple[str, ...]]) -> tuple[str, int | None]:
    """(path, count) of the first field that tells a count; the first path and None where none does."""
    for fields, names in choices:
        for name in names:
            count = fields.count(name)
            if count is not None:
                return fields.where(name), count
    fields, names = choices[0]
    return fields.where(names[0]), None
