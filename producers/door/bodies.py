"""A request's body -> events, all of them or none (contract.md, section 5). Pure.

Four shapes bring events: one CloudEvent in structured JSON, a JSON array, a line each (NDJSON), and binary mode,
where the attributes stand in `ce-*` headers and the body is the data. A body with one bad event is refused whole, and
every bad one is named by its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import msgspec

from producers.contract import EVENT_BYTES_MAX, EventRefused, check_time, encode_event, record_key, time_us_of
from producers.outbox import Accepted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from producers.contract import TimeBounds, UsageEvent

ONE: Final = frozenset({"application/cloudevents+json"})
BATCH: Final = frozenset({"application/cloudevents-batch+json"})
LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
PLAIN: Final = frozenset({"application/json", ""})
ATTRIBUTE_PREFIX: Final = "ce-"
SHOWN_FIELDS: Final = frozenset(
    {"specversion", "type", "source", "id", "time", "subject", "service.name", "traceId, spanId"}
    | {f"data.{name}" for name in ("model", "provider", "department", "key", "account", "operation", "service_tier",
                                   "region", "status", "usage_source", "units", "type",
                                   "reported_cost.currency")}
)  # fmt: skip
"""Fields whose text a refusal may repeat: names and words. A text elsewhere has strayed there and may be content."""
REASON_CHARACTERS_MAX: Final = 300
FIELD_CHARACTERS_MAX: Final = 80
ABSENT: Final = "'absent'"
_WRONG_WORD: Final = re.compile(r"Invalid enum value .*", re.DOTALL)
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(.)")
_WHITESPACE: Final = b" \t\r\n"
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""Before a body, as exports of spreadsheets have it: passed over, as RFC 8259, section 8.1 allows."""


@dataclass(frozen=True, slots=True)
class BadEvent:
    """One event that is not accepted: its place in the body (from 0), and why. `value` is shortened."""

    index: int
    code: str
    field: str
    value: str
    reason: str


class BodyRefused(ValueError):
    """Nothing of this body is accepted; `bad` names each bad event, and is empty where the body itself is none."""

    def __init__(self, sentence: str, bad: Sequence[BadEvent] = ()) -> None:
        self.bad = tuple(bad)
        super().__init__(sentence)


class MediaRefused(BodyRefused):
    """A content type that brings no events."""


class TooManyEvents(BodyRefused):
    """More events than one body may bring."""


class SourceForbidden(BodyRefused):
    """Events of a source that the sender's token does not stand for."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What applies to one request: how an event is read, whose it may be, and the moment at which it is judged.

    read: one event's JSON -> usage events; raises EventRefused.
    sources: what the token may say; None: any.
    now_ms: milliseconds since 1970; becomes the Kafka record's timestamp.
    """

    read: Callable[[bytes], list[UsageEvent]]
    bounds: TimeBounds
    now_ms: int
    sources: Collection[str] | None = None


def is_binary(media: str, headers: Mapping[str, str]) -> bool:
    """Whether a request is in binary mode: its attributes stand in headers, and it says no structured shape."""
    return "ce-specversion" in headers and media not in ONE and media not in BATCH


def parts_of(media: str, body: bytes, headers: Mapping[str, str], events_max: int) -> list[bytes]:
    """The body's events, each as JSON. Raises BodyRefused where it holds none or is none of the shapes.

    A byte order mark at the start is passed over, as at the start of a file."""
    body = body.removeprefix(BYTE_ORDER_MARK)
    if is_binary(media, headers):
        if media not in PLAIN and not media.endswith("+json"):
            raise MediaRefused("in binary mode the data are JSON: send content-type application/json")
        return [_from_headers(headers, body)]
    if media in LINES:
        parts = [line for line in body.split(b"\n") if line.strip(_WHITESPACE)]
    elif media in BATCH or (media in PLAIN and body.lstrip(_WHITESPACE)[:1] == b"["):
        parts = _array(body)
    elif media in ONE or media in PLAIN:
        parts = [body] if body.strip(_WHITESPACE) else []
    else:
        raise MediaRefused(
            "events come as application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson, "
            "application/json, or in binary mode: send one of these as content-type"
        )
    if not parts:
        raise BodyRefused("the body holds no event: send at least one")
    if len(parts) > events_max:
        raise TooManyEvents(f"the body holds {len(parts)} events: send at most {events_max} at once")
    return parts


def admit(parts: Sequence[bytes], admission: Admission) -> list[Accepted]:
    """The events as the outbox takes them. Raises SourceForbidden or BodyRefused, each naming every one."""
    rows: list[Accepted] = []
    bad: list[BadEvent] = []
    forbidden: list[BadEvent] = []
    now_us = admission.now_ms * 1000
    for index, part in enumerate(parts):
        try:
            for event in admission.read(part):
                check_time(time_us_of(event), now_us, admission.bounds)
                if admission.sources is not None and event.source not in admission.sources:
                    forbidden.append(_forbidden(index, event.source))
                rows.append(accepted(event, admission.now_ms))
        except EventRefused as error:
            bad.append(bad_event(index, error))
    if forbidden:
        raise SourceForbidden("the token does not stand for the source of these events: nothing is accepted", forbidden)
    if bad:
        raise BodyRefused(f"{len(bad)} of {len(parts)} events are refused: nothing is accepted", bad)
    return rows


def accepted(event: UsageEvent, now_ms: int) -> Accepted:
    """An event as the outbox takes it, without what the contract does not know. Raises EventRefused."""
    value = encode_event(event)
    if len(value) > EVENT_BYTES_MAX:
        raise EventRefused("oversized", "event", f"{len(value)} bytes", f"send at most {EVENT_BYTES_MAX} bytes")
    return Accepted(record_key(event.source, event.id), value, now_ms)


def bad_event(index: int, error: EventRefused) -> BadEvent:
    """A refusal as an answer may show it. What is no event, no single value, or a text where none belongs is not
    repeated: it may hold a prompt."""
    remedy = str(error).removeprefix(f"{error.field} is {error.value}: ")
    value = error.value
    if error.code == "malformed":
        value, remedy = "unreadable", "it is not the JSON of an event"
    elif value[:1] in ("{", "["):
        value = "an object" if value[0] == "{" else "an array"
    elif value[:1] in ("'", '"') and value != ABSENT and error.field not in SHOWN_FIELDS:
        value = "a text"
    remedy = _WRONG_WORD.sub("it is none of the words that may stand here", remedy)[:REASON_CHARACTERS_MAX]
    return BadEvent(index, error.code, error.field[:FIELD_CHARACTERS_MAX], value, remedy)


def _forbidden(index: int, source: str) -> BadEvent:
    error = EventRefused("source_forbidden", "source", source, "the token is bound to another source")
    return bad_event(index, error)


def _array(body: bytes) -> list[bytes]:
    try:
        return [bytes(part) for part in _ARRAY.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise BodyRefused("the body is not a JSON array of events: send one, or a line each as NDJSON") from None


def _attribute(name: str, value: str) -> str:
    """An attribute's text: quotes around the whole are undone, then one round of percent-encoding."""
    if not value.isascii():
        raise BodyRefused(f"the header {_named(name)} holds bytes that are not ASCII: percent-encode its UTF-8")
    if quoted := _QUOTED.fullmatch(value):
        value = _ESCAPED.sub(r"\1", quoted[1])
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise BodyRefused(f"the header {_named(name)} is not percent-encoded UTF-8: encode it so") from None


def _named(name: str) -> str:
    return name[:FIELD_CHARACTERS_MAX]


def _from_headers(headers: Mapping[str, str], data: bytes) -> bytes:
    """Binary mode as structured JSON; values of headers are percent-encoded UTF-8 (CloudEvents' HTTP binding)."""
    fields: dict[str, Any] = {
        name.removeprefix(ATTRIBUTE_PREFIX): _attribute(name, value)
        for name, value in headers.items()
        if name.startswith(ATTRIBUTE_PREFIX)
    }
    try:
        fields["data"] = msgspec.json.decode(data, type=msgspec.Raw) if data.strip(_WHITESPACE) else None
        return msgspec.json.encode(fields)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        raise BodyRefused("the body is not the JSON of an event's data: in binary mode send the data alone") from None
