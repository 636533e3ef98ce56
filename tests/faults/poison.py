"""Records that are no event, or none that is believed, each with the refusal that it must get."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from tests.faults.events import NOW, event, raw


class Poison(NamedTuple):
    """A record's value, and what quarantine must say of it: code, field, a part of the value."""

    name: str
    value: bytes | None
    code: str
    field: str
    shown: str


def spoilt(change: Callable[[dict[str, Any]], object]) -> bytes:
    """A good event after a change."""
    document = event("spoilt")
    change(document)
    return raw(document)


def with_data(**fields: Any) -> bytes:
    """A good event with other data."""
    return raw(event("spoilt", **fields))


def _text(old: str, new: str) -> bytes:
    """A good event with a piece of its text exchanged."""
    text = json.dumps(event("spoilt"))
    assert old in text
    return text.replace(old, new, 1).encode()


CJK_130 = "동" * 130

CORPUS = [
    Poison("null value", None, "empty", "event", "absent"),
    Poison("empty value", b"", "malformed", "event", ""),
    Poison("blank", b"   ", "malformed", "event", ""),
    Poison("no JSON", b"{not json", "malformed", "event", "{not json"),
    Poison("NUL bytes", b"\x00" * 64, "malformed", "event", "\\x00"),
    Poison("invalid UTF-8", b'{"id": "\xff\xfe\xfd"}', "malformed", "event", ""),
    Poison("invalid UTF-8 within an event", _text("spoilt", "X").replace(b"X", b"\xc3\x28"), "malformed", "event", ""),
    Poison("deep nesting", b"[" * 200_000, "malformed", "event", "["),
    Poison(
        "deep nesting in an event", _text('"requests"', '"a": ' + "[" * 50_000 + ', "requests"'), "malformed", "", ""
    ),
    Poison("1 MB", b'{"a":"' + b"x" * 1_000_001 + b'"}', "oversized", "event", "bytes"),
    Poison("a list", b"[1, 2]", "malformed", "event", "[1, 2]"),
    Poison("a number", b"7", "malformed", "event", "7"),
    Poison("null", b"null", "malformed", "event", "null"),
    Poison("two events", raw(event("a")) + raw(event("b")), "malformed", "event", ""),
    Poison("no id", spoilt(lambda e: e.pop("id")), "missing", "id", "absent"),
    Poison("no units", spoilt(lambda e: e["data"].pop("units")), "missing", "data.units", "absent"),
    Poison("no data", spoilt(lambda e: e.pop("data")), "missing", "data", "absent"),
    Poison("empty id", spoilt(lambda e: e.update(id="")), "invalid", "id", "''"),
    Poison("long id", spoilt(lambda e: e.update(id="x" * 513)), "invalid", "id", "xxx"),
    Poison("NUL in the id", spoilt(lambda e: e.update(id="a\x00b")), "control_character", "id", "\\x00"),
    Poison("newline in the source", spoilt(lambda e: e.update(source="a\nb")), "control_character", "source", "\\n"),
    Poison("other type", spoilt(lambda e: e.update(type="order.v1")), "invalid", "type", "order.v1"),
    Poison("other version", spoilt(lambda e: e.update(specversion="0.3")), "invalid", "specversion", "0.3"),
    Poison("no units at all", with_data(units={}), "invalid", "data.units", "{}"),
    Poison("65 units", with_data(units={f"u{n}": 1 for n in range(65)}), "invalid", "data.units", "u0"),
    Poison("negative", with_data(units={"input_tokens": -1}), "invalid", "data.units.input_tokens", "-1"),
    Poison("huge", with_data(units={"input_tokens": 10**9 + 1}), "invalid", "data.units.input_tokens", "1000000001"),
    Poison("beyond 64 bits", with_data(units={"input_tokens": 2**64}), "invalid", "data.units.input_tokens", "1844674"),
    Poison(
        "beyond any float", with_data(units={"input_tokens": 10**400}), "invalid", "data.units.input_tokens", "1000"
    ),
    Poison("a fraction", with_data(units={"input_tokens": 1.5}), "invalid", "data.units.input_tokens", "1.5"),
    Poison("a text", with_data(units={"input_tokens": "7"}), "invalid", "data.units.input_tokens", "7"),
    Poison("a truth", with_data(units={"input_tokens": True}), "invalid", "data.units.input_tokens", "True"),
    Poison("no number", _text('"input_tokens": 10', '"input_tokens": NaN'), "malformed", "", ""),
    Poison("unit's name", with_data(units={"Input Tokens": 1}), "unit_name", "data.units", "Input Tokens"),
    Poison(
        "unit's name is code", with_data(units={"a'; drop table usage_event; --": 1}), "unit_name", "data.units", "a'"
    ),
    Poison("far future", raw(event("f", time=NOW + timedelta(hours=1, seconds=1))), "far_future", "time", "2026-10-15"),
    Poison("far past", raw(event("p", time=NOW - timedelta(days=400, seconds=1))), "far_past", "time", "2025"),
    Poison("year 1", raw(event("p", time="0001-01-01T00:00:00Z")), "far_past", "time", ""),
    Poison("year 9999", raw(event("f", time="9999-12-31T23:59:59Z")), "far_future", "time", "9999"),
    Poison("beyond year 9999", raw(event("f", time="9999-12-31T23:59:59-23:59")), "far_future", "time", ""),
    Poison("time without a zone", raw(event("z", time="2026-10-15T11:00:00")), "invalid", "time", "2026-10-15"),
    Poison("no time", raw(event("z", time="yesterday")), "invalid", "time", "yesterday"),
    Poison("lone surrogate", _text("u-1", "\\ud800"), "", "", ""),
    Poison("cached with tokens", with_data(status="cached"), "cached_units", "data.units.input_tokens", "10"),
    Poison("other status", with_data(status="perhaps"), "invalid", "data.status", "perhaps"),
    Poison(
        "cost", with_data(reported_cost={"amount": "NaN", "currency": "USD"}), "", "data.reported_cost.amount", "NaN"
    ),
    Poison(
        "cost 1e999",
        with_data(reported_cost={"amount": "1e999", "currency": "USD"}),
        "",
        "data.reported_cost.amount",
        "",
    ),
    Poison(
        "currency",
        with_data(reported_cost={"amount": "1", "currency": "usd"}),
        "invalid",
        "data.reported_cost.currency",
        "usd",
    ),
    Poison("tag with NUL", with_data(tags={"a": "\x00"}), "control_character", "data.tags.a", "\\x00"),
    Poison("tag of a number", with_data(tags={"a": 1}), "invalid", "data.tags.a", "1"),
    Poison("long name", with_data(model="m" * 257), "invalid", "data.model", "mmm"),
    Poison("name of many bytes", with_data(model=CJK_130), "too_long", "data.model", "동동"),
    Poison("attempt", with_data(attempt=40_000), "invalid", "data.attempt", "40000"),
    Poison("terminal control", with_data(model="\x1b[31mred"), "control_character", "data.model", "\\x1b"),
]
"""An empty string in `code`, `field` or `shown` leaves that open; everything else is exact (`shown`: contained)."""

HARMLESS = [
    raw(event("unknown-fields") | {"unknown": {"deep": [1, None, {"x": "y"}]}, "datacontenttype": "application/json"}),
    raw(event("unknown-units", units={"dragons": 3, "requests": 1})),
    raw(event("unknown-model", model="no-such-model-2031")),
    raw(event("zero", units={"input_tokens": 0})),
    raw(event("at-most", units={"input_tokens": 10**9})),
    raw(event("한글-아이디", user="홍길동", department="세무과")),
    raw(event("as-late-as-can-be", time=NOW + timedelta(hours=1))),
    raw(event("as-early-as-can-be", time=NOW - timedelta(days=400))),
    raw(event("names-of-384-bytes", department="부" * 128, model="모" * 128, account="계" * 128)),
    raw(event("quote's", user="o'brien; drop table usage_event; --", tags={"q": "'\"\\"})),
    raw(event("null-fields", department=None, key=None, region=None, tags=None, reported_cost=None)),
]
"""Odd, and right all the same: these must be stored."""
