"""What every adapter shares: its shape, reading a line, and checking what comes out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal, DecimalException
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from producers.contract import EVENT_BYTES_MAX, EventRefused, UsageEvent, decode_event, encode_event

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from producers.formats import UsageRefused

LONG_LINE_BYTES_MAX = 16 * 1024 * 1024
"""For formats whose lines hold prompts and answers, which the adapter drops: a prompt of a million tokens is 4 MB."""
DEPARTMENT_FROM = "user_api_key_team_id"

_Line = TypeVar("_Line")
_AT = re.compile(r" - at `\$\.?(.*)`$")
_MISSING = re.compile(r"missing required field `(.+?)`")


@dataclass(frozen=True, slots=True)
class Options:
    """What a line does not say: `source` names the gateway, `department_from` the LiteLLM field with the department,
    `providers` whose models stand behind a gateway's own references."""

    source: str | None = None
    department_from: str = DEPARTMENT_FROM
    providers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Adapter:
    """One format. `redact` gives what of a refused line may be kept (nothing private), None where nothing may."""

    adapt: Callable[[bytes, Options], list[UsageEvent]]
    redact: Callable[[bytes], bytes | None]
    line_bytes_max: int = EVENT_BYTES_MAX
    needs_source: bool = False


def read_line(line: bytes, decoder: msgspec.json.Decoder[_Line]) -> _Line:
    """A line's fields. Raises EventRefused naming the first that does not fit."""
    try:
        return decoder.decode(line)
    except msgspec.ValidationError as error:
        said = str(error)
        found = _AT.search(said)
        path = found[1] if found else ""
        sentence = said[: found.start()] if found else said
        missing = _MISSING.search(sentence)
        if missing:
            field = f"{path}.{missing[1]}" if path else missing[1]
            raise EventRefused("missing", field, "absent", "it is required (contract, section 3)") from None
        raise EventRefused("invalid", path or "line", _value_at(line, path), sentence) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, DecimalException) as error:
        # The line is not shown: it may hold a prompt.
        raise EventRefused("malformed", "line", f"{len(line)} bytes", f"it is not a JSON object: {error}") from None


def checked(event: UsageEvent) -> UsageEvent:
    """The event as a reader of the topic will see it. Raises EventRefused where the contract forbids it."""
    try:
        return decode_event(encode_event(event))
    except UnicodeEncodeError:
        raise EventRefused("control_character", "event", "a lone surrogate", "send names as whole Unicode") from None


def refused_usage(error: UsageRefused) -> EventRefused:
    """A body that cannot be counted, as the refusal of its line."""
    return EventRefused("usage", error.field, error.value, str(error).partition(": ")[2] or str(error))


def exact(number: object) -> Decimal | None:
    """A JSON number, or a number of Python's, without loss and without trailing zeros; None for anything else.

    A float becomes the shortest decimal that names it, which is also what Python writes into JSON: a payload in memory
    and the same payload in a file give the same number.
    """
    if isinstance(number, bool) or not isinstance(number, int | float | Decimal):
        return None
    value = number if isinstance(number, Decimal) else Decimal(repr(number))
    if not value.is_finite() or abs(value.adjusted()) > 60:
        return Decimal(0) if value.is_zero() else None
    return value.normalize()


def whole(value: object) -> int | None:
    """A JSON number that is a whole count from 0; None for anything else. However large: the contract bounds it."""
    number = exact(value)
    return None if number is None or number < 0 or number != number.to_integral_value() else int(number)


def keep_only(line: bytes, names: Collection[str], inner: dict[str, Collection[str]]) -> bytes | None:
    """A JSON object with these fields alone, and of each object in `inner` its named fields; None if it is none."""
    try:
        fields: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    kept = {name: fields[name] for name in names if not isinstance(fields.get(name), dict | list) and name in fields}
    for holder, inside in inner.items():
        if isinstance(fields.get(holder), dict):
            kept[holder] = {name: fields[holder][name] for name in inside if name in fields[holder]}
    return json.dumps(kept, ensure_ascii=False).encode("utf-8", "replace")


def _value_at(line: bytes, path: str) -> object:
    """What stands at a decoder's path, for the refusal to show; this may be slow."""
    try:
        value: Any = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return "unreadable"
    for part in filter(None, re.split(r"[.\[\]]+", path)):
        if isinstance(value, dict) and part in value:
            value = value[part]
    return value if not isinstance(value, dict | list) else f"an {'object' if isinstance(value, dict) else 'array'}"
