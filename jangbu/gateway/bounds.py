"""The most that one call can use, from its request: what is held of hard quotas before it is made. Pure.

A token is at least one byte of what it stands for, so that a text has at most as many tokens as bytes in UTF-8 (true of
byte-pair and sentence-piece vocabularies with byte fallback, which all current vendors use); frames of messages and
tools are added. What the vendor adds by itself (a stored conversation, results of its own tools) has no bound that a
request tells: such calls are unbounded, and under a hard quota refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from producers.units import is_input_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FRAME_TOKENS: Final = 16
"""Around each message, part or tool; chat templates use 3 to 8."""
TOOLS_TOKENS: Final = 1_000
"""A vendor's own words around tools; Anthropic tells 313 to 804 for its models."""
IMAGE_TOKENS_MAX: Final = 50_000
"""One image; the dearest known is OpenAI's gpt-4o-mini with 2,833 and 5,667 for each of up to 8 tiles: 48,169."""
FREE_CALLS: Final = ("aget", "alist", "aretrieve", "adelete", "acancel", "afile", "acreate_file", "aupdate", "acount",
                     "allm_passthrough")  # fmt: skip
"""Beginnings of LiteLLM's call types that no model answers."""
_EMBEDDINGS: Final = frozenset({"aembedding", "embeddings", "embedding"})
_OUTPUTS: Final = frozenset({"max_completion_tokens", "max_tokens", "max_output_tokens", "maxoutputtokens", "maxtokens",
                             "max_new_tokens", "max_gen_len", "max_tokens_to_sample", "maxtokencount",
                             "num_predict", "max_length"})  # fmt: skip
"""Lower case: how vendors call the maximum of output, wherever it stands in a request."""
_CHAT_OUTPUTS: Final = ("max_completion_tokens", "max_tokens")
_CONFIG_OUTPUTS: Final = ("maxOutputTokens", "max_output_tokens")
_CONFIGS: Final = ("config", "generationConfig")
_NO_SETTINGS: Final = frozenset({"messages", "prompt", "input", "contents", "tools", "functions", "metadata",
                                 "litellm_metadata", "proxy_server_request", "litellm_logging_obj"})  # fmt: skip
_SETTINGS_DEPTH: Final = 3
_PROMPTS: Final = ("messages", "prompt", "input", "instructions", "system", "contents", "systemInstruction", "tools",
                   "system_instruction", "functions", "response_format", "text", "config", "generationConfig",
                   "suffix")  # fmt: skip
_STORED: Final = ("previous_response_id", "conversation", "cachedContent", "cached_content")
_IMAGES: Final = frozenset({"image_url", "input_image", "image"})
_OTHERS: Final = frozenset({"input_audio", "file", "input_file", "document", "video_url", "audio_url", "video"})
_OWN_TOOLS: Final = frozenset({"function", "custom"})
_WHICH: Final = {"aresponses": "max_output_tokens", "responses": "max_output_tokens"}
_UNBOUNDED_CALLS: Final = ("image", "audio", "speech", "transcription", "realtime", "batch", "video", "ocr", "rerank",
                           "aspeech", "avideo", "aimage", "atranscription", "acreate_batch", "arealtime",
                           "create_batch", "aocr", "arerank", "afine", "acreate_fine")  # fmt: skip


class Bound(NamedTuple):
    """None: no bound is known. Tokens; `calls` of a vendor's model in one request."""

    prompt: int | None
    output: int | None
    calls: int | None = 1
    searches: int | None = 0


def is_free(call_type: str) -> bool:
    """Whether nothing is used by such a call."""
    return call_type.startswith(FREE_CALLS)


def bound_of(data: Mapping[str, Any], call_type: str, output_default: int | None) -> Bound:
    """The bound of a request. `output_default`: what is set where it names no maximum of its own.

    What goes to a vendor in place of the request's own fields (`extra_body`, a fallback with fields of its own) counts
    where it is more.
    """
    found = _bound_of(data, call_type, output_default)
    for other in _instead(data):
        found = _greater(found, _bound_of({**data, **other}, call_type, output_default))
    return found


def stated_output(data: Mapping[str, Any], call_type: str) -> int | None:
    """The maximum that a request names itself where one of its kind has to: the greatest under any name, since a vendor
    may go by another one. None where it names none, or one that is no whole number above 0."""
    if call_type.startswith(("agenerate_content", "generate_content")):
        configs = [data[name] for name in _CONFIGS if isinstance(data.get(name), dict)]
        named = [config[name] for config in configs for name in _CONFIG_OUTPUTS if config.get(name) is not None]
    else:
        own = _WHICH.get(call_type)
        named = [data[name] for name in ((own,) if own else _CHAT_OUTPUTS) if data.get(name) is not None]
    if not named or not all(_is_count(one) for one in named):
        return None
    return max(one for one in (*named, *_outputs_anywhere(data, _SETTINGS_DEPTH)) if isinstance(one, int))


def set_output(data: dict[str, Any], call_type: str, maximum: int) -> None:
    """Set the maximum in a request that names none; what it names that is no number of tokens goes."""
    if call_type.startswith("agenerate_content"):
        given = data.get("config") if isinstance(data.get("config"), dict) else {}
        config = {name: value for name, value in (given or {}).items() if name not in _CONFIG_OUTPUTS}
        data["config"] = {**config, "maxOutputTokens": maximum}
        return
    own = _WHICH.get(call_type)
    for name in (own,) if own else _CHAT_OUTPUTS:
        data.pop(name, None)
    data[own or "max_tokens"] = maximum


def most_of(unit: str, bound: Bound) -> int | None:
    """The most of a quota's unit that a call can use; None: unbounded."""
    if unit == "requests":
        return bound.calls
    if unit == "tokens":
        return None if bound.prompt is None or bound.output is None else bound.prompt + bound.output
    if unit.endswith("_tokens"):
        return bound.prompt if is_input_unit(unit) else bound.output
    return bound.searches


def _bound_of(data: Mapping[str, Any], call_type: str, output_default: int | None) -> Bound:
    if call_type.startswith(_UNBOUNDED_CALLS):
        batch = "batch" in call_type
        return Bound(None, None, None if batch else _choices(data), None if batch else 0)
    own_tools = _has_own_tools(data)
    prompt = None if own_tools or any(data.get(name) for name in _STORED) else _prompt(data)
    if call_type in _EMBEDDINGS:
        return Bound(prompt, 0)
    output = stated_output(data, call_type)
    if output is None and output_default is not None:
        output = max([output_default, *_outputs_anywhere(data, _SETTINGS_DEPTH)])
    if output is not None:
        output *= _choices(data)
    if data.get("prediction"):
        output = None  # rejected words of a prediction are charged beyond the maximum
    return Bound(prompt, output, 1, None if own_tools else 0)


def _instead(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Fields that a vendor may get instead of the request's."""
    extra = data.get("extra_body")
    if isinstance(extra, dict):
        yield extra
    fallbacks = data.get("fallbacks")
    if isinstance(fallbacks, list):
        yield from (one for one in fallbacks if isinstance(one, dict) and "model" in one)


def _greater(one: Bound, other: Bound) -> Bound:
    return Bound(*(None if a is None or b is None else max(a, b) for a, b in zip(one, other, strict=True)))


def _outputs_anywhere(place: Mapping[str, Any], depth: int) -> list[int]:
    """Every maximum of output in a request's settings, under whatever name."""
    found = [value for name, value in place.items() if str(name).lower() in _OUTPUTS and _is_count(value)]
    if depth > 1:
        inner = (value for name, value in place.items() if name not in _NO_SETTINGS and isinstance(value, dict))
        found += [one for value in inner for one in _outputs_anywhere(value, depth - 1)]
    return found


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _prompt(data: Mapping[str, Any]) -> int | None:
    """Tokens of everything that a request says, from above; None where a part has no such bound."""
    tokens = FRAME_TOKENS + (TOOLS_TOKENS if data.get("tools") or data.get("functions") else 0)
    waiting: list[Any] = [data[name] for name in _PROMPTS if name in data]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            tokens += len(one) if one.isascii() else len(one.encode("utf-8", "surrogatepass"))
        elif isinstance(one, dict):
            kind = one.get("type") if isinstance(one.get("type"), str) else None  # a schema's may be a list
            if kind in _OTHERS or "inlineData" in one or "fileData" in one or "inline_data" in one:
                return None
            if kind in _IMAGES:
                tokens += IMAGE_TOKENS_MAX
                continue
            tokens += FRAME_TOKENS + sum(len(name) for name in one if isinstance(name, str))
            waiting.extend(one.values())
        elif isinstance(one, (list, tuple)):
            tokens += len(one)
            waiting.extend(one)
        elif one is not None:
            tokens += FRAME_TOKENS
    return tokens


def _choices(data: Mapping[str, Any]) -> int:
    config = data.get("config") or data.get("generationConfig") or {}
    numbers = [data.get("n"), data.get("best_of"), config.get("candidateCount") if isinstance(config, dict) else None]
    return max((one for one in numbers if isinstance(one, int) and one > 0), default=1)


def _has_own_tools(data: Mapping[str, Any]) -> bool:
    """Whether the vendor may run tools of its own, whose results it charges as input."""
    if data.get("web_search_options"):
        return True
    tools = data.get("tools")
    if not isinstance(tools, list):
        return False
    return any(not _is_clients(tool) for tool in tools)


def _is_clients(tool: Any) -> bool:
    """Whether the client runs a tool: OpenAI's functions, Anthropic's without a type, Google's declarations."""
    if not isinstance(tool, dict):
        return False
    if "type" not in tool:
        return "name" in tool or "functionDeclarations" in tool
    return isinstance(tool["type"], str) and tool["type"] in _OWN_TOOLS
