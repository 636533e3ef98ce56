"""The calls as lines that a gateway would hand over: usage events, LiteLLM payloads, recorded vendor answers.

Each format says the same counts in its own words: OpenAI, LiteLLM and Google count the cached part inside the prompt,
Anthropic beside it. This is written from the vendors' formats, apart from the adapters that read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from jangbu.demo.city import time_text

if TYPE_CHECKING:
    from jangbu.demo.city import Call

SOURCES = {"usage": "gateway-1", "litellm": "gateway-2", "response": "archive"}
_encode = msgspec.json.Encoder().encode


def line_of(call: Call) -> bytes:
    """The call in the format in which it reaches us, without a line feed."""
    return _encode(_BY_WIRE[call.wire](call))


def usage_event(call: Call) -> dict[str, Any]:
    """A usage event, version 1 (contract.md, section 1)."""
    data: dict[str, Any] = {
        "department": call.department, "model": call.model.name, "provider": call.model.provider, "operation": "chat",
        "attempt": call.attempt, "service_tier": call.service_tier, "status": call.status,
        "usage_source": call.usage_source, "units": call.units,
    }  # fmt: skip
    data |= _told(call)
    return {
        "specversion": "1.0", "type": "ai.usage.v1", "source": SOURCES["usage"], "id": call.id,
        "time": time_text(call.time_ms), "subject": call.user, "data": data,
    }  # fmt: skip


def litellm_payload(call: Call) -> dict[str, Any]:
    """A StandardLoggingPayload as LiteLLM logs it, as far as anybody should read it."""
    units = call.units
    prompt = sum(count for unit, count in units.items() if unit == "input_tokens" or unit.startswith("cache_"))
    answer = units["output_tokens"] + units.get("reasoning_tokens", 0)
    details: dict[str, Any] = {"cached_tokens": units.get("cache_read_tokens", 0)}
    usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer,
                             "prompt_tokens_details": details}
    written = {life: units.get(f"cache_write_{life}_tokens", 0) for life in ("5m", "1h")}
    if any(written.values()):
        details["cache_creation_tokens"] = sum(written.values())
        details["cache_creation_token_details"] = {
            f"ephemeral_{life}_input_tokens": count for life, count in written.items()
        }
    if "reasoning_tokens" in units:
        usage["completion_tokens_details"] = {"reasoning_tokens": units["reasoning_tokens"]}
    headers: dict[str, Any] = {} if call.account is None else {"llm_provider-openai-project": call.account}
    if call.attempt > 1:
        headers["x-litellm-attempted-retries"] = call.attempt - 1
    return {
        "id": call.id.rpartition(":")[0], "call_type": "acompletion", "stream": True, "status": "success",
        "custom_llm_provider": call.model.gateway_provider, "model": f"{call.model.gateway_provider}/{call.model.name}",
        "startTime": call.time_ms / 1000, "endTime": call.time_ms / 1000 + 4.5,
        "prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer,
        "metadata": {"user_api_key_alias": call.key, "user_api_key_user_id": call.user,
                     "user_api_key_team_id": call.department, "usage_object": usage},
        "hidden_params": {"additional_headers": headers},
        "request_tags": [] if call.purpose is None else [f"purpose:{call.purpose}"],
    }  # fmt: skip


def recorded_answer(call: Call) -> dict[str, Any]:
    """A recorded vendor answer with its usage (contract.md, section 3, `response`)."""
    wire = call.model.wire
    assert wire is not None
    answer: dict[str, Any] = {
        "id": call.id, "source": SOURCES["response"], "time": time_text(call.time_ms), "user": call.user,
        "department": call.department, "provider": call.model.provider, "format": wire,
        "body": _BODIES[wire](call.model.name, call.units), "operation": "chat", "attempt": call.attempt,
    }  # fmt: skip
    return answer | _told(call)


def _told(call: Call) -> dict[str, Any]:
    """What not every call has."""
    tags = None if call.purpose is None else {"purpose": call.purpose}
    fields = {"key": call.key, "account": call.account, "tags": tags}
    return {name: value for name, value in fields.items() if value is not None}


def _openai_body(model: str, units: dict[str, int]) -> dict[str, Any]:
    cached, reasoning = units.get("cache_read_tokens", 0), units.get("reasoning_tokens", 0)
    prompt, answer = units["input_tokens"] + cached, units["output_tokens"] + reasoning
    return {"model": model, "object": "chat.completion", "usage": {
        "prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0},
    }}  # fmt: skip


def _anthropic_body(model: str, units: dict[str, int]) -> dict[str, Any]:
    written = {life: units.get(f"cache_write_{life}_tokens", 0) for life in ("5m", "1h")}
    reasoning = units.get("reasoning_tokens", 0)
    return {"model": model, "type": "message", "usage": {
        "input_tokens": units["input_tokens"], "cache_read_input_tokens": units.get("cache_read_tokens", 0),
        "cache_creation_input_tokens": sum(written.values()),
        "cache_creation": {f"ephemeral_{life}_input_tokens": count for life, count in written.items()},
        "output_tokens": units["output_tokens"] + reasoning, "output_tokens_details": {"thinking_tokens": reasoning},
    }}  # fmt: skip


def _google_body(model: str, units: dict[str, int]) -> dict[str, Any]:
    cached, images = units.get("cache_read_tokens", 0), units.get("image_input_tokens", 0)
    text = units["input_tokens"] + cached
    usage: dict[str, Any] = {
        "promptTokenCount": text + images, "candidatesTokenCount": units["output_tokens"],
        "totalTokenCount": text + images + units["output_tokens"] + units.get("reasoning_tokens", 0),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": text}],
    }  # fmt: skip
    if images:
        usage["promptTokensDetails"].append({"modality": "IMAGE", "tokenCount": images})
    if cached:
        usage["cachedContentTokenCount"] = cached
        usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": cached}]
    if "reasoning_tokens" in units:
        usage["thoughtsTokenCount"] = units["reasoning_tokens"]
    return {"modelVersion": model, "usageMetadata": usage}


def _cohere_body(model: str, units: dict[str, int]) -> dict[str, Any]:
    billed = {"input_tokens": units["input_tokens"], "output_tokens": units["output_tokens"]}
    seen = {"input_tokens": units["input_tokens"] + 490, "output_tokens": units["output_tokens"]}
    return {"model": model, "usage": {"billed_units": billed, "tokens": seen}}


_BY_WIRE = {"usage": usage_event, "litellm": litellm_payload, "response": recorded_answer}
_BODIES = {
    "openai.chat": _openai_body,
    "anthropic.messages": _anthropic_body,
    "google.generate_content": _google_body,
    "cohere.chat": _cohere_body,
}
