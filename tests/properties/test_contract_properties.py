"""For any bytes: an event or a refusal. For any event: the same after a journey, the same name, the same hash."""

from __future__ import annotations

import json
from datetime import UTC, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from producers.adapters import ADAPTERS, Options
from producers.adapters.litellm import adapt_payload
from producers.contract import (
    EventRefused,
    ReportedCost,
    UsageData,
    UsageEvent,
    decode_event,
    encode_event,
    identity_digest,
    record_key,
    shown,
    time_us_of,
)

names = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=40)
unit_names = st.from_regex(r"[a-z][a-z0-9_]{0,30}", fullmatch=True)
quantities = st.integers(0, 1_000_000_000)
moments = st.datetimes(timezones=st.just(UTC)).filter(lambda moment: 1970 < moment.year < 2100)
costs = st.builds(
    ReportedCost,
    amount=st.decimals(0, 10**9, allow_nan=False, allow_infinity=False, places=9),
    currency=st.sampled_from(["USD", "KRW"]),
)
events = st.builds(
    UsageEvent,
    specversion=st.just("1.0"),
    type=st.just("ai.usage.v1"),
    source=names,
    id=names,
    time=moments,
    subject=st.none() | names,
    data=st.builds(
        UsageData,
        model=names,
        provider=names,
        units=st.dictionaries(unit_names, quantities, min_size=1, max_size=8),
        department=st.none() | names,
        attempt=st.none() | st.integers(0, 32_767),
        service_tier=st.sampled_from(["standard", "batch", "priority", "flex"]),
        status=st.sampled_from(["success", "failure", "cut"]),
        reported_cost=st.none() | costs,
        tags=st.none() | st.dictionaries(names, names, max_size=4),
    ),
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=15,
)
FIELDS = [
    "specversion", "type", "source", "id", "time", "subject", "data", "model", "provider", "units", "status", "body",
    "format", "usage", "startTime", "endTime", "metadata", "usage_object", "prompt_tokens", "custom_llm_provider",
    "hidden_params", "additional_headers", "response", "request_tags", "model_parameters", "cache_hit", "response_cost",
    "prompt_tokens_details", "cache_creation_token_details", "user_api_key_team_id", "model_map_information",
]  # fmt: skip
ours: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
    | st.sampled_from(["1.0", "ai.usage.v1", "2026-10-03T01:02:03Z", "openai.chat", "openai", "success", 1790000000.5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=12),
    max_leaves=40,
)  # fmt: skip


@given(st.binary(max_size=300))
@example(b"\xef\xbb\xbf{}")
@example(b'{"id":"' + b"\\" * 99)
def test_any_bytes_are_an_event_or_a_refusal(raw: bytes) -> None:
    refusal: EventRefused | None = None
    try:
        decode_event(raw)
    except EventRefused as error:
        refusal = error
    assert refusal is None or (refusal.code and len(str(refusal)) < 1000)


@settings(max_examples=400)
@given(st.sampled_from(sorted(ADAPTERS)), json_values | st.dictionaries(st.sampled_from(FIELDS), ours, max_size=25))
def test_any_json_is_events_or_a_refusal(format_name: str, value: Any) -> None:
    for allow_nan in (True, False):
        try:
            line = json.dumps(value, allow_nan=allow_nan).encode()
        except ValueError:
            continue
        ADAPTERS[format_name].redact(line)
        try:
            made = ADAPTERS[format_name].adapt(line, Options("gateway"))
        except EventRefused:
            continue
        for event in made:
            assert decode_event(encode_event(event)) == event


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(FIELDS), ours, max_size=25))
def test_any_payload_in_memory_is_an_event_or_a_refusal(payload: dict[str, Any]) -> None:
    try:
        adapt_payload(payload, Options("gateway"))
    except EventRefused:
        return


@given(st.integers(0, 4_000_000_000) | st.floats(1e-9, 4e9), st.floats(0, 1e6))
def test_a_payload_gives_the_same_event_from_memory_and_from_a_file(start: float, cost: float) -> None:
    payload = {"id": "x", "model": "m", "custom_llm_provider": "openai", "startTime": start, "response_cost": cost}
    (from_file,) = ADAPTERS["litellm"].adapt(json.dumps(payload).encode(), Options("g"))
    in_memory = adapt_payload(payload, Options("g"))
    assert from_file == in_memory
    assert time_us_of(from_file) == time_us_of(in_memory)


@given(st.integers(0, 10**8), st.lists(st.integers(0, 10**8), min_size=5, max_size=5))
def test_litellm_units_add_up_to_its_wholes(fresh: int, parts: list[int]) -> None:
    cached, written, audio, reasoning, plain = parts
    usage = {
        "prompt_tokens": fresh + cached + written + audio,
        "completion_tokens": plain + reasoning,
        "total_tokens": fresh + cached + written + audio + plain + reasoning,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_creation_tokens": written, "audio_tokens": audio},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    payload = {"id": "x", "model": "m", "custom_llm_provider": "p", "startTime": 1, "metadata": {"usage_object": usage}}
    try:
        units = adapt_payload(payload, Options("g")).data.units
    except EventRefused:
        assert max(usage["prompt_tokens"], usage["completion_tokens"]) > 10**8  # type: ignore[operator]
        return
    read = sum(quantity for unit, quantity in units.items() if "cache" in unit or unit.endswith("input_tokens"))
    made = units.get("output_tokens", 0) + units.get("reasoning_tokens", 0)
    told = usage["total_tokens"] != 0
    assert (read, made) == ((usage["prompt_tokens"], usage["completion_tokens"]) if told else (0, 0))
    assert min(units.values()) >= 0


@given(events)
def test_an_event_survives_its_journey(event: UsageEvent) -> None:
    again = decode_event(encode_event(event))
    assert again == event
    assert time_us_of(again) == time_us_of(event)


@given(events, st.randoms(use_true_random=False), st.integers(-14 * 60, 14 * 60))
def test_content_does_not_know_key_order_or_zone(event: UsageEvent, random: Any, minutes: int) -> None:
    def shuffled(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        items = list(value.items())
        random.shuffle(items)
        return {key: shuffled(inner) for key, inner in items}

    fields = shuffled(json.loads(encode_event(event)))
    fields["time"] = event.time.astimezone(timezone(timedelta(minutes=minutes))).isoformat()
    again = decode_event(json.dumps(fields, ensure_ascii=random.random() < 0.5).encode())
    assert again == event
    assert time_us_of(again) == time_us_of(event)


@given(names, names, names, names)
@example("a/b", "c", "a", "b/c")
@example("1:a", "b", "1", ":ab")
def test_identities_differ_where_names_do(source: str, event_id: str, other_source: str, other_id: str) -> None:
    same = (source, event_id) == (other_source, other_id)
    assert (identity_digest(source, event_id) == identity_digest(other_source, other_id)) == same
    if same:
        assert record_key(source, event_id) == record_key(other_source, other_id)


@given(st.text() | st.integers() | st.decimals() | json_values)
def test_what_an_error_shows_is_short_and_harmless(value: Any) -> None:
    text = shown(value)
    assert text.isprintable()
    assert len(text) < 1000


written_numbers = st.from_regex(r"-?[0-9]{1,60}(\.[0-9]{1,60})?(e-?[0-9]{1,9})?", fullmatch=True)


@given(st.decimals(allow_nan=True, allow_infinity=True) | written_numbers)
def test_any_reported_cost_is_taken_or_refused(amount: Any) -> None:
    raw = json.dumps({
        "specversion": "1.0", "type": "ai.usage.v1", "source": "s", "id": "i", "time": "2026-10-03T01:02:03Z",
        "data": {"model": "m", "provider": "p", "units": {"requests": 1},
                 "reported_cost": {"amount": str(amount), "currency": "USD"}},
    }).encode()  # fmt: skip
    try:
        event = decode_event(raw)
    except EventRefused:
        return
    assert event.data.reported_cost is not None
    assert event.data.reported_cost.amount == Decimal(str(amount))
