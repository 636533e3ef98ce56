"""`litellm`: a StandardLoggingPayload -> a usage event. A callback and the backfill of its logs call the same function.

Read: who (key, user, team), what (model, provider, tier, region), when, how it ended, the counts, LiteLLM's own cost.
Never read, so that it cannot pass: prompts, answers, e-mail, IP, user agent, end user, error texts, headers but one.

Decisions:
- `time` is `startTime`, by which LiteLLM books its own spend; `endTime` where there is none.
- id = payload `id`, `:`, attempt. LiteLLM tells the attempt in `x-litellm-attempted-retries` (0 is the first) or not
  at all: then it is 1. Where the vendor gave no id, LiteLLM's own stands in its place, and a failure before it has the
  same: the answer is then 0, whatever the header says, which LiteLLM may add after it has told of the answer.
- counts come from `metadata.usage_object`, then `hidden_params.usage_object`, then `response.usage`. Without any, the
  top-level `prompt_tokens` and `completion_tokens` are LiteLLM's own count: `usage_source` estimated; zeros: missing.
- a failed stream that has used tokens, or whose connection broke off, is `cut`; so is one that LiteLLM calls a success
  although its client left in the middle (`error_class` ClientDisconnected). LiteLLM counts what came by itself, so that
  the counts of a cut stream are `estimated`.
- the output of an image operation is `image_output_tokens`: LiteLLM drops the modality that the vendor told.
- a batch is counted when it is complete, once, at its completion; its models must be one.
- a guardrail's verdict becomes a flag (`producers.flags`); what it refused before a vendor was called is an event of 0
  requests, `failure`, so that the flag has an event and nothing is charged.
- `response_cost` 0 may mean unknown: only an amount above 0 is reported.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from producers import formats
from producers.adapters import litellm_names as names
from producers.adapters.base import (
    LONG_LINE_BYTES_MAX,
    Adapter,
    Options,
    checked,
    exact,
    keep_only,
    read_line,
    refused_usage,
    whole,
)
from producers.adapters.litellm_usage import read_usage
from producers.contract import (
    EVENT_TYPE,
    TAGS_MAX,
    EventRefused,
    ReportedCost,
    ServiceTier,
    Status,
    UsageData,
    UsageEvent,
    UsageSource,
)
from producers.flags import TAG, Flag, flags_of_records, flags_of_tags, in_order, is_refused_before_call
from producers.formats.beside import tier
from producers.formats.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_MAX = Decimal(253_402_300_799)  # 9999-12-31T23:59:59Z
_CACHED: tuple[Usage, UsageSource] = (Usage({"requests": 1}, "missing"), "provider")
_REFUSED: tuple[Usage, UsageSource] = (Usage({"requests": 0}, "missing"), "provider")
"""What a guardrail refused before a vendor was called: no request, nothing missing."""
UNKNOWN: Final = "unknown"
_COST_MIN_USD = Decimal("1e-20")
"""Below it a cost is the dust of binary fractions."""
_ATTEMPTS_HEADER = "x-litellm-attempted-retries"
IMAGE_OPERATIONS: Final = frozenset({"image_generation", "image_edit"})
_PROJECT_HEADER = "llm_provider-openai-project"


class Answer(msgspec.Struct, frozen=True):
    """Of the answer, only what is counted by."""

    model: Any = None
    usage: Any = None
    service_tier: Any = None
    completed_at: Any = None
    request_counts: Any = None


class Parameters(msgspec.Struct, frozen=True):
    """Of the request's parameters, only the tier that was asked for, and whether a stream was."""

    service_tier: Any = None
    stream: Any = None


class ErrorKind(msgspec.Struct, frozen=True):
    """Of an error, only its kind; its texts may hold what was asked."""

    error_class: Any = None


class Payload(msgspec.Struct, frozen=True):
    """The fields of a StandardLoggingPayload that are read; the others are skipped unread."""

    id: str
    litellm_call_id: str | None = None
    model: str | None = None
    call_type: str | None = None
    stream: bool | None = None
    status: str | None = None
    custom_llm_provider: str | None = None
    model_group: str | None = None
    api_base: str | None = None
    cache_hit: bool | str | None = None
    startTime: Any = None  # noqa: N815 - LiteLLM's name
    endTime: Any = None  # noqa: N815
    prompt_tokens: Any = None
    completion_tokens: Any = None
    response_cost: Any = None
    request_tags: list[Any] | None = None
    metadata: dict[str, Any] | None = None
    hidden_params: dict[str, Any] | None = None
    model_map_information: dict[str, Any] | None = None
    response: Answer | str | list[Any] | None = None
    model_parameters: Parameters | str | None = None
    error_information: ErrorKind | str | None = None
    guardrail_information: list[Any] | dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(Payload, float_hook=Decimal)
_KEPT = ("id", "litellm_call_id", "model", "call_type", "stream", "status", "custom_llm_provider", "model_group",
         "cache_hit", "startTime", "endTime", "prompt_tokens", "completion_tokens", "total_tokens",
         "response_cost")  # fmt: skip
_KEPT_OF_METADATA = ("user_api_key_hash", "user_api_key_alias", "user_api_key_team_id", "user_api_key_user_id",
                     "usage_object")  # fmt: skip
BROKEN_OFF: Final = frozenset({"ReadError", "ReadTimeout", "RemoteProtocolError", "ClientPayloadError",
                               "IncompleteRead", "ChunkedEncodingError", "MidStreamFallbackError"})  # fmt: skip
"""Kinds of error that come after a stream has begun: an answer was coming and stopped."""


CLIENT_LEFT: Final = "ClientDisconnected"
"""LiteLLM's kind of error for a stream whose client left; the payload's status is then success."""


def adapt(line: bytes, options: Options) -> list[UsageEvent]:
    """The event of one payload in JSON. Raises EventRefused."""
    return [event_of(read_line(line, _decoder), options)]


def adapt_payload(payload: Mapping[str, Any], options: Options, attempt: int | None = None) -> UsageEvent:
    """The event of a payload in memory, as a callback gets it; its JSON gives the same. Raises EventRefused.

    attempt: where the caller knows it better than the payload does.
    """
    try:
        return event_of(msgspec.convert(dict(payload), Payload), options, attempt)
    except EventRefused:
        raise
    except (msgspec.ValidationError, RecursionError) as error:
        name = payload.get("id")
        told = name if isinstance(name, str) else f"of kind {type(name).__name__}"
        raise EventRefused("invalid", "payload", told, str(error)) from None
    except ValueError as error:  # a lone surrogate, a number of thousands of digits: what no JSON of ours can hold
        kind = type(error).__name__
        raise EventRefused("invalid", "payload", kind, "its texts must be whole Unicode, its numbers short") from None


def event_of(payload: Payload, options: Options, attempt: int | None = None) -> UsageEvent:
    """The rules, on a payload that has been read."""
    if not options.source:
        raise EventRefused("missing", "source", "absent", "name the gateway with --source or JANGBU_SOURCE")
    called, region = names.bare_model(payload.model or _batch_model(payload), payload.custom_llm_provider)
    provider = names.provider_of(payload.custom_llm_provider, payload.model or "")
    refused = payload.status == "failure" and is_refused_before_call(payload.guardrail_information)
    if refused and not provider:
        provider = UNKNOWN  # no vendor was called, and none is charged
    for field, value in (("id", payload.id), ("model", called), ("custom_llm_provider", provider)):
        if not value:
            raise EventRefused("missing", field, "absent", "it is required to count the request")
    cached = payload.cache_hit is True or payload.cache_hit in ("True", "true")
    try:
        usage, usage_source = _REFUSED if refused else _CACHED if cached else _counts(payload)
    except formats.UsageRefused as error:
        raise refused_usage(error) from None
    status = "cached" if cached else _status(payload, usage_source)
    if status == "cut" and usage_source == "provider":
        usage_source = "estimated"
    attempt = _attempt(payload) if attempt is None else attempt
    metadata = payload.metadata or {}
    event = UsageEvent(
        specversion="1.0",
        type=EVENT_TYPE,
        source=options.source,
        id=f"{payload.id}:{attempt}",
        time=_time(payload),
        subject=_text(metadata, "user_api_key_user_id"),
        data=UsageData(
            model=_model(payload, called),
            provider=provider or "",
            units=_as_operation(payload, usage.units),
            department=_text_at(metadata, options.department_from),
            key=_text(metadata, "user_api_key_alias") or _text(metadata, "user_api_key_hash"),
            account=_text(_headers(payload), _PROJECT_HEADER),
            operation=names.operation_of(payload.call_type),
            attempt=attempt,
            service_tier=_tier(payload, usage),
            region=region or names.region_of(payload.api_base) or usage.region,
            status=status,
            usage_source=usage_source,
            reported_cost=_cost(payload),
            tags={**usage.tags, **_tags(payload.request_tags or [])} or None,
            flags=_flags(payload) or None,
        ),
    )
    return checked(event)


def _counts(payload: Payload) -> tuple[Usage, UsageSource]:
    """What the first usage object that says something says; else LiteLLM's own count; else one request, unmeasured."""
    answer = payload.response
    places = (
        (payload.metadata or {}).get("usage_object"),
        (payload.hidden_params or {}).get("usage_object"),
        answer.usage if isinstance(answer, Answer) else None,
    )
    for place in places:
        if isinstance(place, dict) and (usage := read_usage(place)) is not None:
            return usage, "provider"
    fields = (("input_tokens", payload.prompt_tokens), ("output_tokens", payload.completion_tokens))
    told = {unit: whole(count) for unit, count in fields}
    units = {unit: count for unit, count in told.items() if count is not None}
    if not any(units.values()):
        return Usage({"requests": 1}, "missing"), "missing"
    return Usage({**units, "requests": 1}, "missing"), "estimated"


def _status(payload: Payload, usage_source: UsageSource) -> Status:
    streamed = _is_streamed(payload)
    error = payload.error_information
    kind = error.error_class if isinstance(error, ErrorKind) else None
    if payload.status in (None, "", "success"):
        return "cut" if streamed and kind == CLIENT_LEFT else "success"
    if payload.status == "failure":
        return "cut" if streamed and (usage_source != "missing" or kind in BROKEN_OFF) else "failure"
    raise EventRefused("invalid", "status", payload.status, "LiteLLM says success or failure")


def _is_streamed(payload: Payload) -> bool:
    asked = payload.model_parameters
    return bool(payload.stream) or (isinstance(asked, Parameters) and asked.stream is True)


def _batch_model(payload: Payload) -> str:
    """The one model of a complete batch; nothing where there is none. Raises EventRefused for several."""
    found = (payload.hidden_params or {}).get("batch_models")
    models = {name for name in found if isinstance(name, str)} if isinstance(found, list) else set()
    if len(models) > 1:
        said = ", ".join(sorted(models))
        raise EventRefused("invalid", "hidden_params.batch_models", said, "LiteLLM gives one sum for several models")
    return next(iter(models), "")


def _as_operation(payload: Payload, units: Mapping[str, int]) -> dict[str, int]:
    """A batch is as many requests as it has answers; an image operation's output without a modality is an image."""
    if names.operation_of(payload.call_type) in IMAGE_OPERATIONS and not units.get("image_output_tokens"):
        output = units.get("output_tokens", 0)
        units = {unit: count for unit, count in units.items() if unit != "output_tokens"}
        units = {**units, "image_output_tokens": output} if output else units
    counts = payload.response.request_counts if isinstance(payload.response, Answer) else None
    done = counts.get("completed") if isinstance(counts, dict) else None
    if not _batch_model(payload) or isinstance(done, bool) or not isinstance(done, int) or done < 0:
        return dict(units)
    return {**units, "requests": done}


def _time(payload: Payload) -> datetime:
    """The request's start as a moment in UTC, to the microsecond; halves go to the even one. A batch's completion: it
    is the same however often the batch is looked at."""
    completed = exact(payload.response.completed_at) if isinstance(payload.response, Answer) else None
    if completed is not None and _batch_model(payload) and 0 <= completed <= _SECONDS_MAX:
        return _EPOCH + timedelta(microseconds=int((completed * 1_000_000).to_integral_value()))
    for field in ("startTime", "endTime"):
        value = getattr(payload, field)
        if value is None:
            continue
        seconds = exact(value)
        if seconds is not None and 0 <= seconds <= _SECONDS_MAX:
            return _EPOCH + timedelta(microseconds=int((seconds * 1_000_000).to_integral_value()))
        moment = _written_time(value)
        if moment is None:
            raise EventRefused("invalid", field, value, "send seconds since 1970 UTC")
        return moment
    raise EventRefused("missing", "startTime", "absent", "it is required to book the request")


def _written_time(value: object) -> datetime | None:
    """A moment that is written out with its zone, as some logs do."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _model(payload: Payload, called: str) -> str:
    answered = payload.response.model if isinstance(payload.response, Answer) else None
    if not isinstance(answered, str) or answered == payload.model_group:
        return called
    mapped = (payload.model_map_information or {}).get("model_map_key")
    bare, _ = names.bare_model(answered, payload.custom_llm_provider)
    for name in (called, names.bare_model(mapped, payload.custom_llm_provider)[0] if isinstance(mapped, str) else ""):
        if name and (found := names.snapshot_of(name, bare)) == bare:
            return found
    return called


def _tier(payload: Payload, usage: Usage) -> ServiceTier:
    """What the vendor says it was; else what was asked for; a batch by LiteLLM's own mark."""
    if (payload.hidden_params or {}).get("batch_models") or "batch" in (payload.call_type or ""):
        return "batch"
    words = [usage.service_tier]
    for holder in (payload.response, payload.model_parameters):
        word = holder.service_tier if isinstance(holder, Answer | Parameters) else None
        words.append(tier(word)[0] if isinstance(word, str) else None)
    return cast("ServiceTier", next((word for word in words if word), "standard"))  # `tier` knows no other words


def _cost(payload: Payload) -> ReportedCost | None:
    amount = exact(payload.response_cost)
    if amount is None or amount < _COST_MIN_USD:
        return None
    return ReportedCost(amount=amount, currency="USD")


def _attempt(payload: Payload) -> int:
    if payload.id == payload.litellm_call_id and payload.status != "failure":
        return 0
    retries = _told(payload, _ATTEMPTS_HEADER)
    return 1 if retries is None else retries + 1


def _told(payload: Payload, header: str) -> int | None:
    """A small whole number in a header."""
    value = _headers(payload).get(header)
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else None


def _headers(payload: Payload) -> Mapping[str, Any]:
    headers = (payload.hidden_params or {}).get("additional_headers")
    return headers if isinstance(headers, dict) else {}


def _tags(request_tags: list[Any]) -> dict[str, str]:
    """`name:value` and bare tags; those that LiteLLM makes of the client's user agent are dropped."""
    tags: dict[str, str] = {}
    for tag in request_tags[:TAGS_MAX]:
        name, _, value = tag.partition(":") if isinstance(tag, str) else ("", "", "")
        if name.strip() and name.strip().lower() not in ("user-agent", TAG):
            tags[name.strip()[:256]] = value.strip()[:1024]
    return tags


def _flags(payload: Payload) -> list[Flag]:
    """What guardrails decided; a tag may say it where they leave no record."""
    records = flags_of_records(payload.guardrail_information, blocked=payload.status == "failure")
    return in_order(records | flags_of_tags(payload.request_tags or ()))


def _text_at(fields: Mapping[str, Any], path: str) -> str | None:
    """A text inside the metadata, by dotted path."""
    *holders, last = path.removeprefix("metadata.").split(".")
    for name in holders:
        inner = fields.get(name)
        fields = inner if isinstance(inner, dict) else {}
    return _text(fields, last)


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise EventRefused("invalid", name, value, "send a text")
    return str(value)


def _redact(line: bytes) -> bytes | None:
    return keep_only(line, _KEPT, {"metadata": _KEPT_OF_METADATA})


ADAPTER = Adapter(adapt, _redact, line_bytes_max=LONG_LINE_BYTES_MAX, needs_source=True)
