"""`openmeter`: CloudEvents as OpenMeter's clients send them -> usage events.

OpenMeter's own shape has one event a token class, `data: {tokens, model, type}`, `tokens` a number or a text, and ids
that differ for each class. LiteLLM's OpenMeter callback has one event a request, with `prompt_tokens` and
`completion_tokens` in `data`. An event of our own type is taken as it is.

Decisions:
- No `requests` is counted from an event of one token class: a request has several of them, and none says it is the one.
- The provider is `data.provider`, else whose model it is by its name, else `unknown`: stored, unpriced, shown.
- An event without `time` takes the moment of acceptance over HTTP, as OpenMeter does, and is refused in a file, whose
  moment of reading says nothing. It says so (`time_source`), so that the same event sent again is a copy of it and no
  other event: the moment of acceptance is not part of what it says.
- Of `data` only named fields are read: what else stands there does not pass.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec

from producers.adapters.base import Adapter, Options, checked, exact, keep_only, read_line, whole
from producers.adapters.provider_names import provider_named, provider_of_model
from producers.contract import EVENT_TYPE, EventRefused, ReportedCost, UsageData, UsageEvent, decode_event
from producers.units import UNITS

CLASSES: Final = {
    "input": "input_tokens",
    "prompt": "input_tokens",
    "system": "input_tokens",
    "output": "output_tokens",
    "completion": "output_tokens",
    "cached": "cache_read_tokens",
    "cached_input": "cache_read_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_creation": "cache_write_tokens",
    "reasoning": "reasoning_tokens",
    "audio_input": "audio_input_tokens",
    "audio_output": "audio_output_tokens",
    "image_input": "image_input_tokens",
    "image_output": "image_output_tokens",
    **{unit: unit for unit in UNITS},
}
"""`data.type` -> unit. What is not here is refused: a class that nobody priced must not be counted as another."""

_WHOLE_REQUEST: Final = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}
_CHARACTERS_MAX: Final = 40


class OpenMeterData(msgspec.Struct, frozen=True):
    """Of the data, what is read."""

    model: str | None = None
    tokens: Any = None
    type: str | None = None
    provider: str | None = None
    department: str | None = None
    key: str | None = None
    operation: str | None = None
    region: str | None = None
    prompt_tokens: Any = None
    completion_tokens: Any = None
    cost: Any = None


class OpenMeterEvent(msgspec.Struct, frozen=True):
    """A CloudEvent; what is optional may be null."""

    id: str
    source: str
    type: str
    data: OpenMeterData | None = None
    subject: str | None = None
    time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


_decoder = msgspec.json.Decoder(OpenMeterEvent, float_hook=Decimal)
_KEPT = ("specversion", "id", "source", "type", "subject", "time")
_KEPT_OF_DATA = OpenMeterData.__struct_fields__


def adapt(line: bytes, options: Options) -> list[UsageEvent]:  # noqa: ARG001 - every event names its own source
    """The event of one line. Raises EventRefused."""
    return [event_of(line, None)]


def event_of(raw: bytes, accepted_at: datetime | None) -> UsageEvent:
    """The usage event of one CloudEvent. `accepted_at` is its time where it tells none. Raises EventRefused."""
    event = read_line(raw, _decoder)
    if event.type == EVENT_TYPE:
        return decode_event(raw)
    time = event.time or accepted_at
    if time is None:
        raise EventRefused("missing", "time", "absent", "without it the use has no month: send RFC 3339 with a zone")
    data = event.data or OpenMeterData()
    if not data.model:
        raise EventRefused("missing", "data.model", "absent", "it is required to price the tokens")
    return checked(
        UsageEvent(
            specversion="1.0",
            type=EVENT_TYPE,
            source=event.source,
            id=event.id,
            time=time,
            subject=event.subject or None,
            data=UsageData(
                model=data.model,
                provider=provider_named(data.provider) or provider_of_model(data.model),
                units=_units(data),
                department=data.department or None,
                key=data.key or None,
                operation=data.operation or None,
                region=data.region or None,
                reported_cost=_cost(data),
                time_source="sender" if event.time else "acceptance",
            ),
        )
    )


def _units(data: OpenMeterData) -> dict[str, int]:
    if data.tokens is None:
        told = {unit: getattr(data, name) for name, unit in _WHOLE_REQUEST.items() if getattr(data, name) is not None}
        if not told:
            raise EventRefused("missing", "data.tokens", "absent", "it is required: how many tokens of this type")
        return {**{unit: _count(unit, value) for unit, value in told.items()}, "requests": 1}
    if not data.type:
        raise EventRefused("missing", "data.type", "absent", "it is required: input, output, cache_read, reasoning, …")
    unit = CLASSES.get(data.type.lower())
    if unit is None:
        raise EventRefused("invalid", "data.type", data.type, f"send one of {', '.join(sorted(CLASSES))}")
    return {unit: _count("data.tokens", data.tokens)}


def _count(field: str, value: object) -> int:
    """A whole count, told as a number or as a text."""
    count = whole(value)
    if isinstance(value, str) and len(value) <= _CHARACTERS_MAX and value.strip().isdecimal():
        count = int(value.strip())
    if count is None:
        kind = value if isinstance(value, str | int | Decimal) else f"of kind {type(value).__name__}"
        raise EventRefused("invalid", field, kind, "send a whole number from 0")
    return count


def _cost(data: OpenMeterData) -> ReportedCost | None:
    """LiteLLM's own figure in USD; 0 may mean that it does not know."""
    amount = exact(data.cost)
    return ReportedCost(amount=amount, currency="USD") if amount is not None and amount > 0 else None


def _redact(line: bytes) -> bytes | None:
    return keep_only(line, _KEPT, {"data": _KEPT_OF_DATA})


ADAPTER = Adapter(adapt, _redact)
