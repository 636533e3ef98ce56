"""`otel`: OpenTelemetry's traces in OTLP JSON, an export a line, as the collector's file exporter writes.

A line is a whole export (`resourceSpans`), one `resourceSpans` entry, or one span. Spans that are no call of a model
are passed over. A line with a call that cannot be counted is refused whole, as every line is; over HTTP, where OTLP
knows partial success, that span alone is. `null` is an absent field, as in proto3's JSON.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from producers.adapters.base import LONG_LINE_BYTES_MAX, Adapter, Options, read_line
from producers.adapters.otel_spans import READ, Span, event_of, is_call, source_of
from producers.contract import EventRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from producers.contract import UsageEvent


class AnyValue(msgspec.Struct, frozen=True):
    """An attribute's value; arrays and maps are never read."""

    string_value: Any = msgspec.field(default=None, name="stringValue")
    int_value: Any = msgspec.field(default=None, name="intValue")
    double_value: Any = msgspec.field(default=None, name="doubleValue")
    bool_value: Any = msgspec.field(default=None, name="boolValue")

    def plain(self) -> object:
        """What it holds; OTLP JSON writes 64-bit integers as texts."""
        held = (self.string_value, self.int_value, self.double_value, self.bool_value)
        return next((value for value in held if value is not None), None)


class KeyValue(msgspec.Struct, frozen=True):
    """An attribute."""

    key: str | None = None
    value: AnyValue | None = None


class Status(msgspec.Struct, frozen=True):
    """How the span ended: 2 or its name is an error."""

    code: Any = 0


class JsonSpan(msgspec.Struct, frozen=True, rename="camel"):
    """A span; its events, links and name are not read."""

    trace_id: str | None = None
    span_id: str | None = None
    start_time_unix_nano: Any = 0
    attributes: list[KeyValue] | None = None
    status: Status | None = None


class ScopeSpans(msgspec.Struct, frozen=True):
    """Spans of one instrumentation."""

    spans: list[JsonSpan] | None = None


class Resource(msgspec.Struct, frozen=True):
    """Whose spans they are."""

    attributes: list[KeyValue] | None = None


class ResourceSpans(msgspec.Struct, frozen=True, rename="camel"):
    """Spans of one resource."""

    resource: Resource | None = None
    scope_spans: list[ScopeSpans] | None = None


class Export(JsonSpan, frozen=True, rename="camel"):
    """What a line may be: an export, one resource's spans, or a span."""

    resource_spans: list[ResourceSpans] | None = None
    resource: Resource | None = None
    scope_spans: list[ScopeSpans] | None = None


_decoder: Final = msgspec.json.Decoder(Export, float_hook=Decimal)
_DIGITS_MAX: Final = 20
_LONE: Final = re.compile(
    rb"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\[^u])|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
"""A surrogate without its other half, as cutting a prompt in JavaScript leaves; group 1 is what is whole. It becomes
NUL: what is not read is dropped with it, and a name that holds it is refused, with its span alone."""


_NO_SPANS = re.compile(rb'\{\s*(?:"resourceSpans"\s*:\s*null\s*)?\}')


def adapt(line: bytes, options: Options) -> list[UsageEvent]:
    """The events of the calls in one line. Raises EventRefused."""
    calls = [span for span in spans_of(line) if is_call(span)]
    return [event_of(span, source_of(span, options.source)) for span in calls]


def spans_of(raw: bytes) -> list[Span]:
    """Every span of an export. Raises EventRefused where it is none."""
    export = read_line(_LONE.sub(lambda found: found[1] or rb"\u0000", raw), _decoder)
    if export.resource_spans is not None:
        return list(_spans(export.resource_spans))
    if export.scope_spans is not None:
        return list(_spans([ResourceSpans(export.resource, export.scope_spans)]))
    if not export.span_id and _is_empty(raw):
        return []
    if not export.span_id:
        raise EventRefused("missing", "resourceSpans", "absent", "send traces as OTLP JSON")
    return list(_spans([ResourceSpans(export.resource, [ScopeSpans([export])])]))


def _is_empty(raw: bytes) -> bool:
    """An export of nothing, `{}` as proto3's JSON writes it; an object of other fields is something else."""
    return _NO_SPANS.fullmatch(raw.strip()) is not None


def _spans(resource_spans: Sequence[ResourceSpans]) -> Iterator[Span]:
    for entry in resource_spans:
        resource = _read(entry.resource.attributes) if entry.resource else {}
        for scope in entry.scope_spans or ():
            for span in scope.spans or ():
                yield Span(
                    (span.trace_id or "").lower(),
                    (span.span_id or "").lower(),
                    _number(span.start_time_unix_nano),
                    2 if span.status and span.status.code in (2, "2", "STATUS_CODE_ERROR") else 0,
                    _read(span.attributes),
                    resource,
                )


def _read(attributes: Sequence[KeyValue] | None) -> dict[str, object]:
    return {each.key: each.value.plain() for each in attributes or () if each.value and each.key in READ}


def _number(value: object) -> int:
    """A 64-bit integer, as a number or as a text; 0 for what is none, which is refused where it matters."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX:
        return int(value)
    return 0


def _redact(line: bytes) -> bytes | None:  # noqa: ARG001 - attributes hold prompts, and a line holds many spans
    return None


ADAPTER = Adapter(adapt, _redact, line_bytes_max=LONG_LINE_BYTES_MAX)
