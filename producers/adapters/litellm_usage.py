"""Usage objects of LiteLLM -> disjoint units.

LiteLLM writes every vendor's usage in OpenAI's shape, where the prompt contains what the cache served and stored
(Anthropic's too, whose own counts are disjoint), and adds `cache_creation_token_details` and `web_search_requests`.
Pass-through routes keep the vendor's own shape, which is told by its field names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from producers import formats
from producers.formats.reading import Fields
from producers.formats.split import Part, split_written
from producers.formats.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIFETIMES = {"5m": "ephemeral_5m_input_tokens", "1h": "ephemeral_1h_input_tokens"}
_ANTHROPIC_ONLY = ("cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation")


def read_usage(usage: Mapping[str, Any]) -> Usage | None:
    """What a usage object says; None where it says nothing, or zeros alone, which is what LiteLLM fills in for nothing.

    Raises formats.UsageRefused.
    """
    wire, body = _as_answer(usage)
    said = formats.parse(wire, body)
    units = dict(said.units)
    if wire == "openai.chat":
        _add_lifetimes(units, usage)
        _add_searches(units, usage)
    if not any(quantity for unit, quantity in units.items() if unit != "requests"):
        return None
    return Usage(units, "provider", said.service_tier, said.reported_cost, said.region, said.tags)


def _as_answer(usage: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """(wire format, a body with this usage), by the names of the fields."""
    if "promptTokenCount" in usage or "candidatesTokenCount" in usage:
        return "google.generate_content", {"usageMetadata": usage}
    if "inputTokens" in usage:
        return "bedrock.converse", {"usage": usage}
    if "prompt_tokens" not in usage and "input_tokens" in usage:
        anthropic = any(name in usage for name in _ANTHROPIC_ONLY)
        return ("anthropic.messages" if anthropic else "openai.responses"), {"usage": usage}
    return "openai.chat", {"usage": usage}


def _add_lifetimes(units: dict[str, int], usage: Mapping[str, Any]) -> None:
    """Cache writes by lifetime, where they are told."""
    fields = Fields("usage", usage)
    details = fields.inside("prompt_tokens_details").inside("cache_creation_token_details")
    holder = details or fields.inside("cache_creation")
    told = {lifetime: holder.count(name) for lifetime, name in _LIFETIMES.items()}
    by_lifetime = {lifetime: count for lifetime, count in told.items() if count}
    if not by_lifetime:
        return
    written = Part("usage.cache_creation_tokens", units.pop("cache_write_tokens", 0))
    units.update(split_written(written, by_lifetime))


def _add_searches(units: dict[str, int], usage: Mapping[str, Any]) -> None:
    """Web searches, where only the prompt's details tell them."""
    searches = Fields("usage", usage).inside("prompt_tokens_details").count("web_search_requests")
    if searches is not None and "web_searches" not in units:
        units["web_searches"] = searches
