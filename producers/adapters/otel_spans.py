"""OpenTelemetry's GenAI spans -> usage events, by the semantic conventions for generative AI (2026-11). Pure.

Decisions:
- A span counts where it is one call of a model: `gen_ai.operation.name` says an operation of a model, or says nothing
  and the span names a GenAI provider. Agents, tools and workflows repeat the usage of the calls inside them: ignored.
- The identity is the span's: `TRACE/SPAN` in hexadecimal. Its time is its start.
- `input_tokens` contains the cached, `output_tokens` the reasoned: made disjoint. Where a part exceeds its whole the
  span is refused, since nobody can tell which was meant.
- No usage: `usage_source` missing, never 0. A failed call with counts is `cut`.
- Read are the attributes below and no others: messages, prompts, tool arguments, addresses never pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, cast

from producers.adapters.base import checked
from producers.adapters.inclusive import Counts, count_in, disjoint
from producers.adapters.provider_names import provider_named, provider_of_model
from producers.contract import EVENT_TYPE, EventRefused, ServiceTier, Status, UsageData, UsageEvent, UsageSource
from producers.formats.beside import tier

if TYPE_CHECKING:
    from collections.abc import Mapping

PROVIDER: Final = ("gen_ai.provider.name", "gen_ai.system")
OPERATION: Final = "gen_ai.operation.name"
MODEL: Final = ("gen_ai.response.model", "gen_ai.request.model")
INPUT: Final = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
OUTPUT: Final = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
CACHE_READ: Final = ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens")
CACHE_WRITE: Final = ("gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens")
REASONING: Final = ("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens")
TIER: Final = (
    "openai.response.service_tier",
    "gen_ai.openai.response.service_tier",
    "openai.request.service_tier",
    "gen_ai.openai.request.service_tier",
)
USER: Final = ("user.id", "enduser.id", "langfuse.user.id")
DEPARTMENT: Final = ("jangbu.department",)
KEY: Final = ("jangbu.key",)
ACCOUNT: Final = ("jangbu.account",)
SERVICE: Final = "service.name"
READ: Final = frozenset(
    {OPERATION, SERVICE, *PROVIDER, *MODEL, *INPUT, *OUTPUT, *CACHE_READ, *CACHE_WRITE, *REASONING, *TIER, *USER}
    | {*DEPARTMENT, *KEY, *ACCOUNT}
)
"""Every attribute that is read; the others are dropped before anything looks at them."""

NO_CALLS: Final = frozenset(
    {"create_agent", "invoke_agent", "invoke_workflow", "execute_tool", "execute_task", "retrieval", "plan", "evaluate"}
)
"""Operations whose spans hold calls, or none, and are no charge of a vendor's themselves."""
ERROR: Final = 2
_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID: Final = re.compile(r"(?!0{16})[0-9a-f]{16}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NS_MAX: Final = 253_402_300_799 * 10**9


@dataclass(frozen=True, slots=True)
class Span:
    """One span as far as it is read. `start_ns` since 1970 UTC; attributes without those that are not in READ."""

    trace_id: str
    span_id: str
    start_ns: int
    status_code: int
    attributes: Mapping[str, object]
    resource: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The identity of its event."""
        return f"{self.trace_id}/{self.span_id}"


def is_call(span: Span) -> bool:
    """Whether the span is one call of a model, which a vendor charges for."""
    operation = span.attributes.get(OPERATION)
    if operation is not None:
        return operation not in NO_CALLS
    return any(span.attributes.get(name) is not None for name in PROVIDER)


def event_of(span: Span, source: str) -> UsageEvent:
    """The usage event of a call. Raises EventRefused."""
    if not (_TRACE_ID.fullmatch(span.trace_id) and _SPAN_ID.fullmatch(span.span_id)):
        raise EventRefused("invalid", "traceId, spanId", span.name[:60], "send 32 and 16 hexadecimal digits, not all 0")
    model = _text(span, MODEL)
    if model is None:
        raise EventRefused("missing", MODEL[-1], "absent", "it is required to price the call")
    counts = Counts(
        count_in(span.attributes, *INPUT),
        count_in(span.attributes, *OUTPUT),
        count_in(span.attributes, *CACHE_READ),
        count_in(span.attributes, *CACHE_WRITE),
        count_in(span.attributes, *REASONING),
    )
    usage_source: UsageSource = "missing" if counts.says_nothing() else "provider"
    units = {} if counts.says_nothing() else disjoint(counts)
    service_tier, tags = tier(*(_text(span, (name,)) for name in TIER))
    return checked(
        UsageEvent(
            specversion="1.0",
            type=EVENT_TYPE,
            source=source,
            id=span.name,
            time=_time(span),
            subject=_text(span, USER),
            data=UsageData(
                model=model,
                provider=provider_named(_text(span, PROVIDER)) or provider_of_model(model),
                units={**units, "requests": 1},
                department=_text(span, DEPARTMENT),
                key=_text(span, KEY),
                account=_text(span, ACCOUNT),
                operation=_text(span, (OPERATION,)),
                service_tier=cast("ServiceTier", service_tier or "standard"),
                status=_status(span, usage_source),
                usage_source=usage_source,
                tags=tags or None,
            ),
        )
    )


def source_of(span: Span, given: str | None) -> str:
    """Whose span it is: `given` where the receiver knows, else the resource's service. Raises EventRefused."""
    source = given or span.resource.get(SERVICE)
    if not isinstance(source, str) or not source:
        raise EventRefused("missing", SERVICE, "absent", "name the gateway in the resource, --source or JANGBU_SOURCE")
    return source


def _status(span: Span, usage_source: UsageSource) -> Status:
    if span.status_code != ERROR:
        return "success"
    return "failure" if usage_source == "missing" else "cut"


def _time(span: Span) -> datetime:
    if not 0 < span.start_ns <= _NS_MAX:
        raise EventRefused("invalid", "startTimeUnixNano", span.start_ns, "send nanoseconds since 1970 UTC")
    return _EPOCH + timedelta(microseconds=span.start_ns // 1000)


def _text(span: Span, names: tuple[str, ...]) -> str | None:
    """The first of these attributes that is told, of the span, then of its resource."""
    for attributes in (span.attributes, span.resource):
        for name in names:
            value = attributes.get(name)
            if value is None or value == "":
                continue
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise EventRefused("invalid", name, type(value).__name__, "send a text")
            return str(value)
    return None
