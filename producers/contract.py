"""Usage event, version 1: the one shape in which usage enters jangbu.

CloudEvents 1.0 in structured JSON, one event a Kafka record. This module says what an event is, which events are
refused and why, and how an event is named: its identity `(source, id)` and its record key.
Everything here is pure; the clock is a parameter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from producers.flags import FLAGS_MAX, Flag
from producers.units import is_unit_name

EVENT_TYPE: Final = "ai.usage.v1"
EVENT_BYTES_MAX = 1_000_000
"""A record's value, in bytes: below the topic's `max.message.bytes` of 1 MiB, with room for key and headers."""
QUANTITY_MAX = 1_000_000_000
"""One request's largest believable quantity of one unit. The longest prompts sold hold 10 million tokens."""
UNITS_MAX = 64
NAME_BYTES_MAX = 384
"""A name's UTF-8, in bytes (128 Korean characters): six of them and their kin must fit into one index row of SQL,
which holds 2,704 (a third of PostgreSQL's page), or one event could never be stored and would stop its partition."""
TAGS_MAX = 64
US = 1_000_000
HOUR_US = 3600 * US

ServiceTier = Literal["standard", "batch", "priority", "flex"]
Status = Literal["success", "failure", "cut", "cached"]
UsageSource = Literal["provider", "estimated", "missing"]
TimeSource = Literal["sender", "acceptance"]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Identifier = Annotated[str, Meta(min_length=1, max_length=512)]
Quantity = Annotated[int, Meta(ge=0, le=QUANTITY_MAX)]


class ReportedCost(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the provider itself says the request cost; kept and compared, never trusted over the price book."""

    amount: Decimal
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]


class UsageData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What was used, by whom, of which model. Units are disjoint non-negative integers (`producers.units`)."""

    model: Name
    provider: Name
    units: Annotated[dict[str, Quantity], Meta(min_length=1, max_length=UNITS_MAX)]
    department: Name | None = None
    key: Name | None = None
    account: Name | None = None
    operation: Name | None = None
    attempt: Annotated[int, Meta(ge=0, le=32_767)] | None = None
    service_tier: ServiceTier = "standard"
    region: Name | None = None
    status: Status = "success"
    usage_source: UsageSource = "provider"
    reported_cost: ReportedCost | None = None
    tags: Annotated[dict[Name, Annotated[str, Meta(max_length=1024)]], Meta(max_length=TAGS_MAX)] | None = None
    flags: Annotated[list[Flag], Meta(max_length=FLAGS_MAX)] | None = None
    time_source: TimeSource = "sender"
    """`acceptance`: the sender told no time. Sent again it has another one, and is the same event all the same."""


class UsageEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One vendor charge: a request, or one attempt of it. `time` is aware; `subject` is the user."""

    specversion: Literal["1.0"]
    type: Literal["ai.usage.v1"]
    source: Name
    id: Identifier
    time: Annotated[datetime, Meta(tz=True)]
    subject: Name | None = None
    data: UsageData


@dataclass(frozen=True, slots=True)
class TimeBounds:
    """How far an event's time may lie from its record's timestamp (contract.md, section 1)."""

    ahead_seconds_max: int = 3600
    back_days_max: int = 400


class EventRefused(ValueError):
    """An event that is not accepted. `code` is for machines; the sentence names field, value and remedy."""

    def __init__(self, code: str, field: str, value: object, remedy: str) -> None:
        self.code = code
        self.field = field
        self.value = shown(value)
        super().__init__(f"{field} is {self.value}: {remedy}")


_decoder = msgspec.json.Decoder(UsageEvent)
_encoder = msgspec.json.Encoder()
_UNSAFE = re.compile("[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")


def decode_event(raw: bytes) -> UsageEvent:
    """Read and check one event. Raises EventRefused naming what is wrong; never anything else for bad data."""
    event = read_event(raw)
    check_event(event)
    return event


def read_event(raw: bytes | None) -> UsageEvent:
    """Read one event from its JSON as far as types go; `check_event` sees to the rest. Raises EventRefused."""
    if raw is None:
        raise EventRefused("empty", "event", "absent", "a record without a value is no event")
    if len(raw) > EVENT_BYTES_MAX:
        raise EventRefused("oversized", "event", f"{len(raw)} bytes", f"send at most {EVENT_BYTES_MAX} bytes")
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError, ValueError) as error:
        raise _explain(raw, error) from None


def encode_event(event: UsageEvent) -> bytes:
    """The event as the JSON that goes into its record's value."""
    return _encoder.encode(event)


def check_event(event: UsageEvent) -> None:
    """Refuse what the types cannot say. Hot readers call the parts below instead and remember what passed."""
    check_name("source", event.source)
    check_name("id", event.id)
    check_names(event)
    check_units(event.data)
    check_rest(event)


def check_names(event: UsageEvent) -> None:
    """Names hold no control characters (they reach terminals, files and SQL), and all of them fit into an index."""
    check_index_name("source", event.source)
    check_index_name("subject", event.subject)
    for field in ("model", "provider", "department", "key", "account", "operation", "region"):
        check_index_name(f"data.{field}", getattr(event.data, field))


def check_index_name(field: str, value: str | None) -> None:
    """A name that is part of a key in SQL."""
    check_name(field, value)
    if value is not None and 4 * len(value) > NAME_BYTES_MAX < len(value.encode()):
        raise EventRefused("too_long", field, value, f"send at most {NAME_BYTES_MAX} bytes of UTF-8")


def check_units(data: UsageData) -> None:
    """Units are named by one rule, and an answer from the gateway's cache used none but `requests`."""
    for name in data.units:
        if not is_unit_name(name):
            raise EventRefused("unit_name", "data.units", name, "name units in lower case, as in input_tokens")
    if data.status == "cached":
        for name, quantity in data.units.items():
            if name != "requests" and quantity:
                raise EventRefused(
                    "cached_units", f"data.units.{name}", quantity, "an answer from the cache counts requests only"
                )


def check_rest(event: UsageEvent) -> None:
    """Reported cost and tags, which most events do not have."""
    cost = event.data.reported_cost
    if cost is not None and not (cost.amount.is_finite() and -30 < cost.amount.adjusted() < 15):
        raise EventRefused("reported_cost", "data.reported_cost.amount", cost.amount, "send a finite decimal")
    if cost is not None and len(cost.amount.as_tuple().digits) > 40:
        raise EventRefused("reported_cost", "data.reported_cost.amount", cost.amount, "send at most 40 digits")
    for tag, value in (event.data.tags or {}).items():
        check_name("data.tags", tag)
        check_name(f"data.tags.{tag}", value)


def check_name(field: str, value: str | None) -> None:
    """A name without control characters, line separators or lone surrogates."""
    if value is not None and not (value.isascii() and value.isprintable()) and _UNSAFE.search(value):
        raise EventRefused("control_character", field, value, "send names without control characters")


def check_time(time_us: int, record_us: int, bounds: TimeBounds) -> None:
    """An event lies near its record's timestamp, so that a replay decides alike. Both in microseconds UTC."""
    if time_us > record_us + bounds.ahead_seconds_max * US:
        raise EventRefused(
            "far_future",
            "time",
            format_time(time_us),
            f"it lies more than {bounds.ahead_seconds_max} s after its record ({format_time(record_us)}); "
            "set the sender's clock, then re-drive",
        )
    if time_us < record_us - bounds.back_days_max * 86_400 * US:
        raise EventRefused(
            "far_past",
            "time",
            format_time(time_us),
            f"it lies more than {bounds.back_days_max} days before its record ({format_time(record_us)}); "
            "raise JANGBU_MAX_EVENT_BACK_DAYS if it is right, then re-drive",
        )


def time_us_of(event: UsageEvent) -> int:
    """The event's time in whole microseconds since 1970 UTC."""
    return round(event.time.timestamp() * US)


def record_key(source: str, event_id: str) -> bytes:
    """The Kafka key `SOURCE/ID`: all copies of one event meet the same partition and worker."""
    return f"{source}/{event_id}".encode()


def identity_digest(source: str, event_id: str) -> bytes:
    """12 bytes that stand for `(source, id)`: SHA-256 over both, the source led by its length, cut.

    SQL makes the same: `substr(sha256(convert_to(octet_length(source) || ':' || source || id, 'UTF8')), 1, 12)`.
    """
    encoded = source.encode()
    return sha256(b"%d:%b%b" % (len(encoded), encoded, event_id.encode())).digest()[:12]


def shown(value: object) -> str:
    """A value as an error may show it: quoted, without control characters, cut at 80 characters."""
    text = value if isinstance(value, str) else str(value)
    cut = text if len(text) <= 80 else f"{text[:77]}..."
    return ascii(cut) if not cut.isprintable() else (f"'{cut}'" if isinstance(value, str) else cut)


def format_time(time_us: int) -> str:
    """Microseconds since 1970 as RFC 3339 UTC; years that a calendar cannot hold as the bare number."""
    try:
        return datetime.fromtimestamp(time_us / US, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"{time_us} us"


_AT = re.compile(r" - at `\$\.?(.*)`$")


def _explain(raw: bytes, error: Exception) -> EventRefused:
    """The refusal behind a decoder's error, with the offending value looked up again (this path may be slow)."""
    said = str(error)
    found = _AT.search(said)
    if found is None:
        missing = re.search(r"missing required field `(.+?)`", said)
        if missing:
            return EventRefused("missing", missing[1], "absent", "it is required (contract, section 1)")
        return EventRefused("malformed", "event", raw[:80].decode("utf-8", "replace"), f"not an event: {said}")
    path = found[1]
    sentence = said[: found.start()]
    missing = re.search(r"missing required field `(.+?)`", sentence)
    if missing:
        return EventRefused("missing", f"{path}.{missing[1]}", "absent", "it is required (contract, section 1)")
    try:
        value: object = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return EventRefused("malformed", path or "event", "unreadable", sentence)
    for part in path.replace("[...]", "[*]").split("."):
        value, path = _step(value, part, path)
    return EventRefused("invalid", path or "event", value, sentence)


def _step(value: object, part: str, path: str) -> tuple[object, str]:
    """One step down a decoder's path; `units[...]` is searched for the unit that does not fit."""
    name = part.removesuffix("[*]")
    inner = value.get(name) if isinstance(value, dict) else value
    if part.endswith("[*]") and isinstance(inner, dict):
        for key, quantity in inner.items():
            fits = isinstance(quantity, int) and not isinstance(quantity, bool) and 0 <= quantity <= QUANTITY_MAX
            if (name == "units" and not fits) or (name == "tags" and not isinstance(quantity, str)):
                return quantity, path.replace("[...]", f".{key}")
    return inner, path
