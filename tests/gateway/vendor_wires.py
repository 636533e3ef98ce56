"""What the stand-in vendor answers, in the shapes of OpenAI, Anthropic and Google. Pure: an order in, bodies out.

Written from the vendors' public descriptions. Each vendor counts by its own rule, which is the point: OpenAI's and
Google's prompts contain what the cache served, Anthropic's do not; OpenAI's output contains the reasoning, Google's
does not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

WORD = "word "


@dataclass(frozen=True)
class Order:
    """What a request asks the stand-in to do, read from `[[name=value;...]]` in its text; tokens are counted apart."""

    tag: str = "untagged"
    fail: tuple[int, ...] = ()
    cut: int | None = None
    delay_ms: int = 0
    pace_ms: int = 0
    fresh: int = 11
    cached: int = 0
    written: int = 0
    out: int = 7
    reasoning: int = 0
    chunks: int = 4

    @staticmethod
    def read(text: str) -> Order:
        """The first order in a request's body; defaults where it has none."""
        found: dict[str, Any] = {}
        start = text.find("[[")
        for part in text[start + 2 : text.find("]]", start)].split(";") if start >= 0 else ():
            name, _, value = part.partition("=")
            if name == "tag":
                found[name] = value
            elif name == "fail":
                found[name] = tuple(int(status) for status in value.split(","))
            else:
                found[name] = int(value)
        return Order(**found)


@dataclass(frozen=True)
class Answer:
    """One answer: a body, or the pieces of a stream. `units` is what the vendor bills for it, counted disjointly."""

    units: dict[str, int]
    answer_id: str | None = None
    body: bytes = b""
    media: str = "application/json"
    pieces: list[bytes] = field(default_factory=list)
    headers: tuple[tuple[bytes, bytes], ...] = ()


def units_of(order: Order, *, cached: str = "cache_read_tokens") -> dict[str, int]:
    """The order's tokens as the vendor bills them; what is zero is left out."""
    units = {
        "input_tokens": order.fresh,
        cached: order.cached,
        "cache_write_5m_tokens": order.written,
        "output_tokens": order.out,
        "reasoning_tokens": order.reasoning,
    }
    return {unit: count for unit, count in units.items() if count}


def openai_chat(order: Order, asked: dict[str, Any], number: int) -> Answer:
    """`/v1/chat/completions`; usage in a stream only where the caller asks for it, as the vendor does."""
    answer_id = f"chatcmpl-standin-{number}"
    prompt, output = order.fresh + order.cached, order.out + order.reasoning
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": order.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": order.reasoning, "audio_tokens": 0},
    }
    head = {
        "id": answer_id,
        "created": 1_790_000_000,
        "model": f"{asked['model']}-2025-08-07",
        "service_tier": "default",
    }
    if not asked.get("stream"):
        message = {"role": "assistant", "content": WORD * order.chunks, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return _json(
            units_of(order), {**head, "object": "chat.completion", "choices": [choice], "usage": usage}, answer_id
        )
    with_usage = bool((asked.get("stream_options") or {}).get("include_usage"))
    extra: dict[str, Any] = {"usage": None} if with_usage else {}
    chunk = {**head, "object": "chat.completion.chunk", **extra}
    first = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    word = {"index": 0, "delta": {"content": WORD}, "finish_reason": None}
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    said = [{**chunk, "choices": [choice]} for choice in (first, *[word] * order.chunks, last)]
    if with_usage:
        said.append({**chunk, "choices": [], "usage": usage})
    return _stream(units_of(order), [_data(piece) for piece in said] + [b"data: [DONE]\n\n"], answer_id)


def openai_responses(order: Order, asked: dict[str, Any], number: int) -> Answer:
    """`/v1/responses`, whole or as typed events."""
    answer_id = f"resp_standin{number}"
    prompt, output = order.fresh + order.cached, order.out + order.reasoning
    part = {"type": "output_text", "text": WORD * order.chunks, "annotations": []}
    item = {"type": "message", "id": f"msg_{number}", "status": "completed", "role": "assistant", "content": [part]}
    body = {
        "id": answer_id, "object": "response", "created_at": 1_790_000_000, "status": "completed", "error": None,
        "incomplete_details": None, "instructions": None, "metadata": {}, "model": f"{asked['model']}-2025-08-07",
        "output": [item], "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "service_tier": "default", "text": {"format": {"type": "text"}}, "truncation": "disabled",
        "usage": {
            "input_tokens": prompt, "input_tokens_details": {"cached_tokens": order.cached}, "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": order.reasoning}, "total_tokens": prompt + output,
        },
    }  # fmt: skip
    if not asked.get("stream"):
        return _json(units_of(order), body, answer_id)
    open_body = {**body, "status": "in_progress", "output": [], "usage": None}
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    said: list[dict[str, Any]] = [{"type": "response.created", "response": open_body}]
    said.append({"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}})
    said += [{"type": "response.output_text.delta", **place, "delta": WORD}] * order.chunks
    said.append({"type": "response.output_text.done", **place, "text": part["text"]})
    said.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    said.append({"type": "response.completed", "response": body})
    pieces = [_event(str(event["type"]), {**event, "sequence_number": at}) for at, event in enumerate(said)]
    return _stream(units_of(order), pieces, answer_id)


def anthropic_messages(order: Order, asked: dict[str, Any], number: int) -> Answer:
    """`/v1/messages`; a stream's counts are cumulative, the last one stands."""
    answer_id = f"msg_standin{number}"
    units = units_of(order)
    units["output_tokens"] = units.pop("output_tokens", 0) + units.pop("reasoning_tokens", 0)  # one count for both
    usage = {
        "input_tokens": order.fresh, "cache_read_input_tokens": order.cached,
        "cache_creation_input_tokens": order.written,
        "cache_creation": {"ephemeral_5m_input_tokens": order.written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": order.out + order.reasoning, "service_tier": "standard",
    }  # fmt: skip
    body = {
        "id": answer_id, "type": "message", "role": "assistant", "model": asked["model"],
        "content": [{"type": "text", "text": WORD * order.chunks}], "stop_reason": "end_turn", "stop_sequence": None,
        "usage": usage,
    }  # fmt: skip
    if not asked.get("stream"):
        return _json(units, body, answer_id)
    start = {**body, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    said: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    said.append({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    said += [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": WORD}}] * order.chunks
    said.append({"type": "content_block_stop", "index": 0})
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    said.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage["output_tokens"]}})
    said.append({"type": "message_stop"})
    return _stream(units, [_event(str(event["type"]), event) for event in said], answer_id)


def google_generate(order: Order, model: str, number: int, *, stream: bool) -> Answer:
    """`:generateContent` and `:streamGenerateContent?alt=sse`; thoughts are counted beside the candidates."""
    answer_id = f"gemini-standin-{number}"
    usage = {
        "promptTokenCount": order.fresh + order.cached, "candidatesTokenCount": order.out,
        "totalTokenCount": order.fresh + order.cached + order.out + order.reasoning,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": order.fresh + order.cached}],
    }  # fmt: skip
    if order.cached:
        usage |= {
            "cachedContentTokenCount": order.cached,
            "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": order.cached}],
        }
    if order.reasoning:
        usage["thoughtsTokenCount"] = order.reasoning
    head = {"modelVersion": model, "responseId": answer_id}

    def piece(text: str, **more: Any) -> dict[str, Any]:
        candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **more}
        return {"candidates": [candidate], "usageMetadata": usage, **head}

    if not stream:
        return _json(units_of(order), piece(WORD * order.chunks, finishReason="STOP"), answer_id)
    said = [piece(WORD) for _ in range(order.chunks)] + [piece("", finishReason="STOP")]
    return _stream(units_of(order), [_data(one) for one in said], answer_id)


def openai_embeddings(order: Order, asked: dict[str, Any], _number: int) -> Answer:
    """`/v1/embeddings`: no id, no output."""
    vector = {"object": "embedding", "index": 0, "embedding": [0.0, 1.0]}
    usage = {"prompt_tokens": order.fresh, "total_tokens": order.fresh}
    body = {"object": "list", "data": [vector], "model": asked["model"], "usage": usage}
    return _json({"input_tokens": order.fresh}, body, None)


def openai_image(order: Order, _asked: dict[str, Any], _number: int) -> Answer:
    """`/v1/images/generations` of a model that bills by token."""
    usage = {
        "input_tokens": order.fresh, "output_tokens": order.out, "total_tokens": order.fresh + order.out,
        "input_tokens_details": {"text_tokens": order.fresh, "image_tokens": 0},
    }  # fmt: skip
    body = {"created": 1_790_000_000, "data": [{"b64_json": "AAAA"}], "usage": usage}
    return _json({"input_tokens": order.fresh, "image_output_tokens": order.out}, body, None)


def openai_transcription(order: Order, _asked: dict[str, Any], _number: int) -> Answer:
    """`/v1/audio/transcriptions` of a model that bills by token."""
    usage = {
        "type": "tokens", "input_tokens": order.fresh, "output_tokens": order.out,
        "total_tokens": order.fresh + order.out,
        "input_token_details": {"text_tokens": 0, "audio_tokens": order.fresh},
    }  # fmt: skip
    units = {"audio_input_tokens": order.fresh, "output_tokens": order.out}
    return _json(units, {"text": WORD, "usage": usage}, None)


def openai_speech(_order: Order, _asked: dict[str, Any], _number: int) -> Answer:
    """`/v1/audio/speech`: sound alone; the vendor tells no counts."""
    return Answer({}, None, b"sound", "audio/mpeg")


def error_body(status: int) -> bytes:
    """A refusal that each client reads as one."""
    said = {"type": "rate_limit_error" if status == 429 else "api_error", "message": f"the stand-in answers {status}"}
    return json.dumps({"type": "error", "error": {**said, "code": status, "status": "UNAVAILABLE"}}).encode()


def _json(units: dict[str, int], body: dict[str, Any], answer_id: str | None) -> Answer:
    return Answer(units, answer_id, json.dumps(body).encode())


def _stream(units: dict[str, int], pieces: list[bytes], answer_id: str) -> Answer:
    return Answer(units, answer_id, b"", "text/event-stream", pieces)


def _data(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()


def _event(name: str, body: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(body)}\n\n".encode()
