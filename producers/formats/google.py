"""`google.generate_content`: Gemini, from the Gemini API and from Vertex AI.

`promptTokenCount` contains what the cache served; `toolUsePromptTokenCount` (results of tools, read as a prompt) and
`thoughtsTokenCount` stand beside prompt and candidates and are charged as input and output. Lists of modalities split
each count; a DOCUMENT is charged as an image. A count of 0 is often left out, so a listed modality without a count says
nothing. Some older answers put the thoughts inside the candidates: there prompt + tools + candidates is the total.

Searches of the web are told by no count of this format.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from producers.formats.beside import reported_cost, tier
from producers.formats.reading import Fields, find
from producers.formats.split import TEXT, Part, add, split_input, split_output
from producers.formats.usage import Usage, UsageRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACES: Final = (("usageMetadata",), ("response", "usageMetadata"))

_CHARGED_AS: Final = {"document": "image", "modality_unspecified": TEXT}
_MODALITY: Final = re.compile(r"[a-z][a-z0-9_]{0,30}")


def read(body: Mapping[str, Any]) -> Usage:
    """One answer of generateContent, whole or the last chunk of a stream."""
    _, usage = find(body, PLACES)
    units = _input(usage) | _output(usage)
    service_tier, tags = tier(usage.text("serviceTier"), usage.text("trafficType"))
    return Usage(
        units=units,
        usage_source="provider" if units else "missing",
        service_tier=service_tier,
        reported_cost=reported_cost(usage),
        tags=tags,
    )


def _input(usage: Fields) -> dict[str, int]:
    prompt = _part(usage, "promptTokenCount", "promptTokensDetails")
    tools = _part(usage, "toolUsePromptTokenCount", "toolUsePromptTokensDetails")
    cached = _part(usage, "cachedContentTokenCount", "cacheTokensDetails")
    nothing = Part(usage.where("cacheWriteTokenCount"), None)  # the format has no such count
    return add(split_input(prompt, cached, nothing), split_input(tools, nothing, nothing))


def _output(usage: Fields) -> dict[str, int]:
    answer = _part(usage, "candidatesTokenCount", "candidatesTokensDetails")
    thoughts = usage.count("thoughtsTokenCount")
    if thoughts and _inside(usage, answer, thoughts):
        return split_output(answer, thoughts)
    return split_output(answer, None) | split_output(Part(answer.where, None), thoughts)


def _inside(usage: Fields, answer: Part, thoughts_tokens: int) -> bool:
    """Whether the candidates already contain the thoughts, as the total tells."""
    prompt_tokens = (usage.count("promptTokenCount") or 0) + (usage.count("toolUsePromptTokenCount") or 0)
    room = answer.tokens - sum(count for modality, count in answer.by_modality.items() if modality != TEXT)
    return thoughts_tokens <= room and prompt_tokens + answer.tokens == usage.count("totalTokenCount")


def _part(usage: Fields, total: str, details: str) -> Part:
    by_modality: dict[str, int] = {}
    for entry in usage.each(details):
        count = entry.count("tokenCount")
        if count is not None:
            name = _modality(entry)
            by_modality[name] = by_modality.get(name, 0) + count
    return Part(usage.where(total), usage.count(total), by_modality)


def _modality(entry: Fields) -> str:
    """The modality in lower case, as unit names write it; one that is new keeps its own name, and so stays unpriced."""
    word = (entry.text("modality") or TEXT).lower()
    if not _MODALITY.fullmatch(word):
        raise UsageRefused(entry.where("modality"), entry.values.get("modality"), "a modality must be one word")
    return _CHARGED_AS.get(word, word)
