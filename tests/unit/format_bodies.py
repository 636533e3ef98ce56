"""What the tests of wire formats share: names of formats, and the units that a body tells."""

from __future__ import annotations

from typing import Any

from producers.formats import parse

CHAT, RESPONSES, MESSAGES = "openai.chat", "openai.responses", "anthropic.messages"
GEMINI, CONVERSE, COHERE = "google.generate_content", "bedrock.converse", "cohere.chat"


def tokens(modality: str, count: int | None) -> dict[str, Any]:
    return {"modality": modality} if count is None else {"modality": modality, "tokenCount": count}


def units_of(format_: str, body: dict[str, Any]) -> dict[str, int]:
    """The units without `requests`, which is always 1."""
    units = dict(parse(format_, body).units)
    assert units.pop("requests") == 1
    return units
