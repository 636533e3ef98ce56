"""`POST /v1/traces`: OTLP over HTTP, protobuf and JSON. Calls of models become usage events, other spans are counted.

OTLP knows partial success: spans that cannot be counted are named in a 200, the others are taken. 200 comes after the
events are durable; 503 and 429 make an exporter send again, with the same identities.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final, NamedTuple

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.responses import Response

from jangbu.web.answers import Refused, refusal
from jangbu.web.bodies import check_headers, expand_body, media_of, read_body
from jangbu.web.door import LARGE_BODY_BYTES
from producers.adapters.otel import spans_of
from producers.adapters.otel_spans import READ, Span, event_of, is_call, source_of
from producers.contract import EventRefused, check_time, time_us_of
from producers.door.bodies import BYTE_ORDER_MARK, accepted, bad_event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from starlette.requests import Request

    from jangbu.web.door import Door
    from producers.door.tokens import Bearer
    from producers.outbox import Accepted

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
NAMED_MAX: Final = 100
"""How many refused spans an answer names; all are counted."""


TRACES: Final = "/v1/traces"
CODES: Final = {400: 3, 401: 16, 403: 7, 413: 8, 415: 3, 429: 8, 503: 14}
"""gRPC's code for a status of HTTP (google.rpc.Code), as OTLP's answers carry it."""
UNKNOWN_CODE: Final = 2
TOO_SLOW: Final = 408


class Judged(NamedTuple):
    """An export's spans: rows to take, how many are no calls, and a sentence for each that is refused."""

    rows: list[Accepted]
    ignored: int
    refused: list[str]
    codes: list[str]


async def post_traces(request: Request) -> Response:
    """An export of spans."""
    door: Door = request.app.state.door
    check_headers(request)
    bearer = door.bearer(request.headers.get("authorization"))
    door.check_rate(bearer)
    media = media_of(request.headers.get("content-type"))
    if media not in (PROTOBUF, JSON):
        raise Refused(415, "media", f"traces come as {PROTOBUF} or {JSON}: send one of these as content-type")
    body = await read_body(request, door.limits)
    encoding = request.headers.get("content-encoding")

    def understood() -> Judged:
        expanded = expand_body(body, encoding, door.limits)
        return _judged(door, bearer, _read_json(expanded) if media == JSON else _read_protobuf(expanded))

    if len(body) > LARGE_BODY_BYTES or encoding is not None:
        judged = await asyncio.get_running_loop().run_in_executor(door.threads, understood)
    else:
        judged = understood()
    await door.take(judged.rows, bearer)
    door.counts.ignored_spans += judged.ignored
    for code in judged.codes:
        door.counts.refused[f"span_{code}"] += 1
    return _answer(judged, media)


def _judged(door: Door, bearer: Bearer, spans: list[Span]) -> Judged:
    """Each span by itself. Raises Refused where there are too many."""
    if len(spans) > door.limits.batch_events_max:
        sentence = f"the export holds {len(spans)} spans: send at most {door.limits.batch_events_max} at once"
        raise Refused(413, "too_many_events", sentence)
    judged = Judged([], 0, [], [])
    now_ms = door.now_ms()
    ignored = 0
    for index, span in enumerate(spans):
        if not is_call(span):
            ignored += 1
            continue
        try:
            event = event_of(span, _source(door, bearer, span))
            check_time(time_us_of(event), now_ms * 1000, door.bounds)
            judged.rows.append(accepted(event, now_ms))
        except EventRefused as error:
            bad = bad_event(index, error)
            judged.codes.append(bad.code)
            judged.refused.append(f"span {index}: {bad.field} is {bad.value}: {bad.reason}")
    return judged._replace(ignored=ignored)


def _source(door: Door, bearer: Bearer, span: Span) -> str:
    """The source that the token is bound to, where it is one; of several the service must be one of them."""
    if bearer.sources is None:
        return source_of(span, door.gateway)
    if len(bearer.sources) == 1:
        return next(iter(bearer.sources))
    source = source_of(span, None)
    if source not in bearer.sources:
        raise EventRefused("source_forbidden", "service.name", source, "the token is bound to other sources")
    return source


def _read_json(body: bytes) -> list[Span]:
    try:
        return spans_of(body.removeprefix(BYTE_ORDER_MARK))
    except EventRefused as error:
        bad = bad_event(0, error)
        raise Refused(400, "body", f"{bad.field} is {bad.value}: {bad.reason}") from None


def _read_protobuf(body: bytes) -> list[Span]:
    try:
        export = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise Refused(400, "body", "the body is no ExportTraceServiceRequest: send OTLP as protobuf") from None
    return [
        Span(
            span.trace_id.hex(),
            span.span_id.hex(),
            span.start_time_unix_nano,
            span.status.code,
            _attributes(span.attributes),
            resource,
        )
        for entry in export.resource_spans
        for resource in [_attributes(entry.resource.attributes)]
        for scope in entry.scope_spans
        for span in scope.spans
    ]


def _attributes(attributes: Iterable[KeyValue]) -> dict[str, object]:
    """Attributes that are read, as Python's values; arrays, maps and bytes are never read."""
    found: dict[str, object] = {}
    for each in attributes:
        if each.key in READ:
            kind = each.value.WhichOneof("value")
            if kind in ("string_value", "int_value", "double_value", "bool_value"):
                found[each.key] = getattr(each.value, kind)
    return found


def traces_refusal(request: Request, error: Refused) -> Response:
    """A refusal in the sender's encoding: to protobuf a `google.rpc.Status`, as OTLP wants it. A body that came too
    slowly is 503 and not 408, which exporters do not send again (OTLP's specification, Failures)."""
    error.status = 503 if error.status == TOO_SLOW else error.status
    if media_of(request.headers.get("content-type")) != PROTOBUF:
        return refusal(error)
    said = str(error).encode()
    status = b"\x08" + bytes([CODES.get(error.status, UNKNOWN_CODE)]) + b"\x12" + _varint(len(said)) + said
    return Response(status, error.status, headers=error.headers, media_type=PROTOBUF)


def _varint(number: int) -> bytes:
    """Protobuf's variable-length integer."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _answer(judged: Judged, media: str) -> Response:
    """OTLP's answer in the sender's encoding; empty where all is well."""
    said = "; ".join(judged.refused[:NAMED_MAX])
    if media == JSON:
        part = {"partialSuccess": {"rejectedSpans": str(len(judged.refused)), "errorMessage": said}}
        return Response(json.dumps(part if judged.refused else {}), media_type=JSON)
    answer = ExportTraceServiceResponse()
    if judged.refused:
        answer.partial_success.rejected_spans = len(judged.refused)
        answer.partial_success.error_message = said
    return Response(answer.SerializeToString(), media_type=PROTOBUF)
