"""Vendors' answers -> disjoint units: one module a wire format, one rule for all of them (`split`).

Pure: a decoded body in, `Usage` out. Decode bodies with `json.loads(text, parse_float=Decimal)`, so that a cost that
the vendor reports keeps every digit it was written with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from producers.formats import anthropic, bedrock, cohere, google, openai
from producers.formats.usage import Usage, UsageRefused
from producers.units import in_order

__all__ = ["FORMATS", "Usage", "UsageRefused", "model_of", "parse"]

_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Usage]]] = {
    "openai.chat": openai.read,
    "openai.responses": openai.read,
    "anthropic.messages": anthropic.read,
    "google.generate_content": google.read,
    "bedrock.converse": bedrock.read,
    "cohere.chat": cohere.read,
}

FORMATS: Final = tuple(_READERS)
"""The names of the wire formats, as the contract writes them (section 3, `response`)."""


def parse(format: str, body: Mapping[str, Any]) -> Usage:  # noqa: A002 - the contract's name for it
    """The disjoint units of one recorded vendor answer, and what it says beside them.

    A body without usage (also null, also a chunk before the last) gives `usage_source` "missing" and one request.
    Raises UsageRefused, naming field and value, for an unknown format and for what cannot be counted.
    """
    reader = _READERS.get(format) if isinstance(format, str) else None
    if reader is None:
        raise UsageRefused("format", format, f"it must be one of {', '.join(FORMATS)}")
    if not isinstance(body, Mapping):
        raise UsageRefused("body", body, "it must be an object, the vendor's answer")
    usage = reader(body)
    return replace(usage, units=in_order({**usage.units, "requests": 1}))


def model_of(body: Mapping[str, Any], beside: str | None) -> str | None:
    """The model that answered: `body.model`, `body.modelVersion`, else the one beside the body (contract, section 3).

    Where none of them says it, the model inside a stream's event (`message.model`, `response.model`, …); else None.
    """
    for holder in (body, {"model": beside}, *(body.get(name) for name in ("message", "response", "result"))):
        if isinstance(holder, Mapping):
            for name in ("model", "modelVersion"):
                model = holder.get(name)
                if model is not None and not isinstance(model, str):
                    raise UsageRefused(f"body.{name}", model, "a model must be a text")
                if model:
                    return model
    return None
