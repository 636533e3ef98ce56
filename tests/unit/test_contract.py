"""The usage event's rules at their edges, and its names: identity, key, hash."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest
from kafka.partitioner import murmur2

from producers.contract import (
    EVENT_BYTES_MAX,
    QUANTITY_MAX,
    EventRefused,
    TimeBounds,
    check_time,
    decode_event,
    encode_event,
    identity_digest,
    record_key,
    time_us_of,
)

DATA: dict[str, Any] = {"model": "m", "provider": "p", "units": {"requests": 1}}
EVENT: dict[str, Any] = {
    "specversion": "1.0", "type": "ai.usage.v1", "source": "s", "id": "i", "time": "2026-10-03T01:02:03Z", "data": DATA,
}  # fmt: skip


def event_of(**changes: Any) -> bytes:
    return json.dumps({**EVENT, **changes}).encode()


def with_data(**changes: Any) -> bytes:
    return event_of(data={**DATA, **changes})


@pytest.mark.parametrize(
    ("good", "bad", "field"),
    [
        (event_of(source="s" * 256), event_of(source="s" * 257), "source"),
        (event_of(id="i" * 512), event_of(id="i" * 513), "id"),
        (event_of(id="가/나"), event_of(id="\u2028"), "id"),
        (event_of(subject="u"), event_of(subject=""), "subject"),
        (with_data(units={"a" * 63: 1}), with_data(units={"a" * 64: 1}), "units"),
        (with_data(units={"input_tokens": QUANTITY_MAX}), with_data(units={"input_tokens": QUANTITY_MAX + 1}),
         "input_tokens"),
        (with_data(units={"input_tokens": 0}), with_data(units={"input_tokens": -1}), "input_tokens"),
        (with_data(units={f"u{n}": 1 for n in range(64)}), with_data(units={f"u{n}": 1 for n in range(65)}), "units"),
        (with_data(attempt=32_767), with_data(attempt=32_768), "attempt"),
        (with_data(service_tier="flex"), with_data(service_tier="Flex"), "service_tier"),
        (with_data(status="cut"), with_data(status="broken"), "status"),
        (with_data(usage_source="estimated"), with_data(usage_source="guess"), "usage_source"),
        (with_data(tags={"a": "b"}), with_data(tags={"a": 1}), "tags"),
        (with_data(reported_cost={"amount": "1e-20", "currency": "USD"}),
         with_data(reported_cost={"amount": "1e20", "currency": "USD"}), "reported_cost"),
        (with_data(reported_cost={"amount": "1", "currency": "KRW"}),
         with_data(reported_cost={"amount": "1", "currency": "krw"}), "currency"),
        (with_data(status="cached", units={"requests": 1, "input_tokens": 0}),
         with_data(status="cached", units={"requests": 1, "input_tokens": 1}), "input_tokens"),
    ],
)  # fmt: skip
def test_each_limit_on_both_sides(good: bytes, bad: bytes, field: str) -> None:
    assert decode_event(encode_event(decode_event(good))) == decode_event(good)
    with pytest.raises(EventRefused, match=field):
        decode_event(bad)


def test_the_largest_event() -> None:
    room = EVENT_BYTES_MAX - len(with_data(tags={"t": ""}))
    assert room > 0
    with pytest.raises(EventRefused, match="1000001 bytes") as refusal:
        decode_event(with_data(tags={"t": "x" * (room + 1)}))
    assert refusal.value.code == "oversized"


@pytest.mark.parametrize(
    ("unit", "value"), [("input_tokens", "5"), ("output_tokens", 2.5), ("requests", True), ("web_searches", None)]
)
def test_a_refusal_names_unit_and_value(unit: str, value: object) -> None:
    with pytest.raises(EventRefused) as refusal:
        decode_event(with_data(units={"cache_read_tokens": 1, unit: value}))
    assert refusal.value.field == f"data.units.{unit}"
    assert refusal.value.value in (f"'{value}'", str(value))


NOW_US = 1_791_000_000_000_000


@pytest.mark.parametrize(
    ("offset_us", "code"),
    [(3_600_000_000, None), (3_600_000_001, "far_future"), (-34_560_000_000_000, None),
     (-34_560_000_000_001, "far_past")],
)
def test_time_bounds(offset_us: int, code: str | None) -> None:
    if code is None:
        check_time(NOW_US + offset_us, NOW_US, TimeBounds())
        return
    with pytest.raises(EventRefused) as refusal:
        check_time(NOW_US + offset_us, NOW_US, TimeBounds())
    assert refusal.value.code == code


def test_identity_is_not_the_key_alone() -> None:
    assert record_key("a/b", "c") == record_key("a", "b/c")
    assert identity_digest("a/b", "c") != identity_digest("a", "b/c")
    assert identity_digest("ab", "c") != identity_digest("a", "bc")
    assert identity_digest("s", "i") == sha256(b"1:si").digest()[:12]
    assert identity_digest("가", "i") == sha256("3:가i".encode()).digest()[:12]


def test_events_are_equal_by_content_and_not_by_spelling() -> None:
    plain = decode_event(event_of())
    seoul = decode_event(event_of(time="2026-10-03T10:02:03.000+09:00"))
    spelled = decode_event(with_data(status="success", service_tier="standard", region=None, units={"requests": 1}))
    assert plain == seoul == spelled
    assert len({time_us_of(event) for event in (plain, seoul, spelled)}) == 1
    other = decode_event(with_data(units={"requests": 2}))
    later = decode_event(event_of(time="2026-10-03T01:02:03.000001Z"))
    assert plain != other
    assert plain != later
    assert time_us_of(plain) != time_us_of(later)


def test_time_is_exact_to_the_microsecond() -> None:
    for microsecond in (0, 1, 123_456, 499_999, 999_999):
        moment = datetime(2026, 10, 3, 10, 2, 3, microsecond, timezone(timedelta(hours=9)))
        event = decode_event(event_of(time=moment.isoformat()))
        expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        assert time_us_of(event) == expected


def test_kafka_pythons_partitioner_hashes_as_the_java_clients_do() -> None:
    """The values are those of org.apache.kafka.common.utils.Utils.murmur2 (its own test, UtilsTest.testMurmur2)."""
    java = {
        b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536,
        b"a-little-bit-longer-string": -1486304829, b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
        b"abc": 479470107,
    }  # fmt: skip
    assert {key: murmur2(key) & 0xFFFFFFFF for key in java} == {key: value & 0xFFFFFFFF for key, value in java.items()}
