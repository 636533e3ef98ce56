"""`anthropic.messages`: Anthropic's Messages API, also as Bedrock, Vertex and others serve it.

`input_tokens` is fresh input only; cache reads and writes stand beside it, not in it. `cache_creation` splits the
writes by lifetime. `output_tokens` contains thinking. A stream tells usage twice: `message_start` with the input, and
`message_delta` with cumulative counts, which replace, never add to, what came before.

`iterations` lists the parts that the top level sums up, and what it leaves out on purpose: `advisor_message` runs on
another model and is billed there. It is not this model's use, so it is not read here.
`web_fetch_requests` are free of charge beyond their tokens, so they are no unit.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from producers.formats.beside import reported_cost, tier
from producers.formats.reading import Fields, find
from producers.formats.split import Part, split_output, split_written
from producers.formats.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIFETIME: Final = re.compile(r"ephemeral_([0-9]+[smhd])_input_tokens")


def read(body: Mapping[str, Any]) -> Usage:
    """One answer of the Messages API, whole, or a stream's first and last events, alone or laid together."""
    _, start = find(body, (("message", "usage"),))
    _, last = find(body, (("usage",),))
    told = {name: value for name, value in last.values.items() if value is not None}
    usage = Fields(last.path if told else start.path, {**start.values, **told})
    units = _units(usage)
    service_tier, tags = tier(usage.text("service_tier"))
    speed = usage.text("speed")
    if speed not in (None, "standard"):
        tags["vendor_speed"] = str(speed)[:64]
    geo = usage.text("inference_geo")
    return Usage(
        units=units,
        usage_source="provider" if units else "missing",
        service_tier=service_tier,
        reported_cost=reported_cost(usage),
        region=None if geo == "not_available" else geo,
        tags=tags,
    )


def _units(usage: Fields) -> dict[str, int]:
    told = {
        "input_tokens": usage.count("input_tokens"),
        "cache_read_tokens": usage.count("cache_read_input_tokens"),
        "web_searches": usage.inside("server_tool_use").count("web_search_requests"),
    }
    written = Part(usage.where("cache_creation_input_tokens"), usage.count("cache_creation_input_tokens"))
    thinking = usage.inside("output_tokens_details").count("thinking_tokens")
    return (
        {unit: count for unit, count in told.items() if count is not None}
        | split_written(written, _lifetimes(usage.inside("cache_creation")))
        | split_output(Part(usage.where("output_tokens"), usage.count("output_tokens")), thinking)
    )


def _lifetimes(creation: Fields) -> dict[str, int]:
    found = {match.group(1): creation.count(name) for name in creation.values if (match := _LIFETIME.fullmatch(name))}
    return {lifetime: count for lifetime, count in found.items() if count is not None}
