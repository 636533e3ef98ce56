"""Flags: what a guardrail's record or a tag says, and what of the counts may be shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.flags.hiding import Count, Row, shown_rows
from producers.adapters import Options
from producers.adapters.litellm import adapt, adapt_payload
from producers.contract import EventRefused, decode_event
from producers.flags import FLAGS, flags_of_records, flags_of_tags, in_order, is_refused_before_call
from tests.faults.events import event, raw

FILTER = {"guardrail_provider": "litellm_content_filter", "guardrail_mode": "pre_call"}


@pytest.mark.parametrize(
    ("record", "blocked", "flags"),
    [
        ({"guardrail_status": "success"}, False, set()),
        ({"guardrail_status": "not_run"}, False, set()),
        ({"guardrail_status": "success", "masked_entity_count": {}}, False, set()),
        ({"guardrail_status": "success", "masked_entity_count": {"email": 0}}, False, set()),
        ({"guardrail_status": "success", "masked_entity_count": {"email": 1}}, False, {"sensitive_masked"}),
        ({"guardrail_status": "guardrail_intervened", "detection_method": "regex"}, True, {"sensitive_blocked"}),
        ({"guardrail_status": "guardrail_intervened", "detection_method": "keyword"}, True, {"policy_blocked"}),
        ({"guardrail_status": "blocked", "guardrail_provider": "presidio"}, True, {"sensitive_blocked"}),
        ({"guardrail_status": "guardrail_intervened", "guardrail_provider": "presidio"}, False, {"sensitive_masked"}),
        ({"guardrail_status": "guardrail_intervened"}, False, {"policy_masked"}),
        ({"guardrail_status": "guardrail_flagged", "violation_categories": ["PII_EMAIL"]}, False, {"sensitive_found"}),
        ({"guardrail_status": "guardrail_flagged", "violation_categories": ["Violence"]}, False, {"policy_found"}),
        ({"guardrail_status": "guardrail_failed_to_respond"}, False, {"guardrail_failed"}),
        ({"guardrail_status": "failure"}, True, {"guardrail_failed"}),
        ({"guardrail_status": ["odd"], "masked_entity_count": [1]}, False, set()),
        ("odd", False, set()),
    ],
)
def test_the_flags_of_a_record(record: Any, blocked: bool, flags: set[str]) -> None:
    assert flags_of_records([record], blocked=blocked) == flags
    assert flags_of_records(record, blocked=blocked) == flags


def test_tags_say_flags_that_are_known_and_nothing_else() -> None:
    tags = ["jangbu.flag:sensitive_masked", "jangbu.flag:made_up", "sensitive_blocked", 7, "flag:policy_found"]
    assert flags_of_tags(tags) == {"sensitive_masked"}
    assert in_order({"policy_found", "sensitive_blocked"}) == ["sensitive_blocked", "policy_found"]


def test_only_a_guardrail_before_the_call_refuses_before_the_call() -> None:
    blocked = {"guardrail_status": "guardrail_intervened"}
    assert is_refused_before_call([{**blocked, "guardrail_mode": "pre_call"}])
    assert not is_refused_before_call([{**blocked, "guardrail_mode": "during_call"}])
    assert not is_refused_before_call([{**FILTER, "guardrail_status": "success"}])
    assert not is_refused_before_call(None)


def payload(**changes: Any) -> dict[str, Any]:
    """A payload of LiteLLM 1.106 as far as it matters here."""
    return {"id": "p-1", "call_type": "acompletion", "status": "success", "model": "openai/gpt-5-mini",
            "custom_llm_provider": "openai", "startTime": 1_795_000_000.5, "prompt_tokens": 3, "completion_tokens": 4,
            "metadata": {"usage_object": {"prompt_tokens": 3, "completion_tokens": 4}}, **changes}  # fmt: skip


def test_a_blocked_request_is_an_event_of_no_request_with_its_flag() -> None:
    record = {**FILTER, "guardrail_status": "guardrail_intervened", "detection_method": "regex",
              "guardrail_response": [{"snippet": "CANARY 901010-1234567"}], "match_details": "CANARY"}  # fmt: skip
    given_payload = payload(status="failure", guardrail_information=[record], prompt_tokens=0, completion_tokens=0)
    found = adapt_payload(given_payload, Options("gateway-1"))
    assert (found.data.flags, found.data.units) == (["sensitive_blocked"], {"requests": 0})
    assert found.data.status == "failure"
    assert (found.data.usage_source, found.id) == ("provider", "p-1:1")
    assert "CANARY" not in repr(found)
    assert adapt(json.dumps(given_payload).encode(), Options("gateway-1")) == [found], "a backfill says the same"


def test_a_masked_request_is_charged_and_flagged() -> None:
    record = {**FILTER, "guardrail_status": "success", "masked_entity_count": {"email": 2}}
    found = adapt_payload(payload(guardrail_information=[record], request_tags=["jangbu.flag:policy_found", "a:b"]),
                          Options("gateway-1"))  # fmt: skip
    assert found.data.flags == ["sensitive_masked", "policy_found"]
    assert found.data.units["input_tokens"] == 3
    assert found.data.tags == {"a": "b"}
    assert adapt_payload(payload(), Options("gateway-1")).data.flags is None


def test_an_unknown_flag_is_refused_by_name() -> None:
    assert decode_event(raw(event("a", flags=["sensitive_found"]))).data.flags == ["sensitive_found"]
    with pytest.raises(EventRefused, match=r"data\.flags") as refused:
        decode_event(raw(event("a", flags=["my own words"])))
    assert refused.value.code == "invalid"


def group(*people: int) -> Count:
    return Count(len(people) * 2, frozenset(str(person) for person in people))


def shown(rows: list[Row]) -> list[tuple[str | None, int | None, str | None]]:
    return [("total" if row.is_total else row.department, row.people, row.hidden) for row in rows]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"A": 5, "B": 6}, [("A", 5, None), ("B", 6, None), ("total", 11, None)]),
        ({"A": 4, "B": 6, "C": 9}, [("A", None, "small"), ("B", None, "beside"), ("C", 9, None), ("total", 19, None)]),
        ({"A": 4, "B": 1, "C": 9}, [("A", None, "small"), ("B", None, "small"), ("C", 9, None), ("total", 14, None)]),
        ({"A": 2, "B": 2, "C": 9}, [("A", None, "small"), ("B", None, "small"), ("C", None, "beside"),
                                    ("total", 13, None)]),
        ({"A": 4}, [("A", None, "small"), ("total", None, "small")]),
        ({"A": 5}, [("A", 5, None), ("total", 5, None)]),
        ({"A": 2, "B": 2}, [("A", None, "small"), ("B", None, "small"), ("total", None, "small")]),
    ],
)  # fmt: skip
def test_small_groups_are_hidden_and_not_given_away(sizes: dict[str, int], expected: list[Any]) -> None:
    counts, begin = {}, 0
    for code, size in sizes.items():
        counts[code, "policy_found"] = group(*range(begin, begin + size))
        begin += size
    assert shown(shown_rows(counts, 5, FLAGS)) == expected


@settings(deadline=None)
@given(
    counts=st.dictionaries(
        st.tuples(st.sampled_from(["A", "B", "C", "D", None]), st.sampled_from(FLAGS[:2])),
        st.frozensets(st.integers(0, 12), min_size=1).map(lambda people: group(*people)),
    ),
    k=st.integers(2, 6),
)
def test_no_difference_points_at_fewer_than_k(counts: dict[tuple[str | None, str], Count], k: int) -> None:
    """Whatever is not shown, alone or as what is left of the total, is at least two departments and k people."""
    for flag in {flag for _, flag in counts}:
        rows = [row for row in shown_rows(counts, k, FLAGS) if row.flag == flag]
        total = next(row for row in rows if row.is_total)
        hidden = [row.department for row in rows if row.hidden and not row.is_total]
        assert all(row.people is None or row.people >= k for row in rows)
        if hidden and not total.hidden:
            people = frozenset().union(*(counts[code, flag].people for code in hidden))
            assert len(hidden) > 1
            assert len(people) >= k
        if not hidden:
            assert total.events == sum(count.events for (_, of), count in counts.items() if of == flag)
