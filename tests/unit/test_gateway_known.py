"""What memory says of a call, and the most that a call can use: tables with both sides of each edge."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from jangbu.gateway.attempts import GRACE_S, Attempts, Call
from jangbu.gateway.bounds import Bound, bound_of, is_free, most_of, set_output, stated_output
from jangbu.gateway.known import Asked, Caller, Known, may_count, most
from jangbu.gateway.refusals import over_quota, unsigned

NOW = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
MESSAGES = [{"role": "user", "content": "안녕"}]
GPT = Asked("gpt", (("openai", "gpt-5-mini"),))
ACCESS = {
    "users": {"u-1": "D001"}, "keys": {"k-1": "D002"}, "pledges": {"holding": ["u-1"], "sign_at": "https://sign.example"},
    "programmes": [{"programme": "p", "models": ["gpt-5-nano", "claude*"], "users": ["u-2"]}],
}  # fmt: skip


def rule(
    number: int, scope: str, subject: str, unit: str = "tokens", limit: str | None = "100", **other: Any
) -> list[Any]:
    return [number, scope, subject, other.get("model", ""), unit, "day", limit, other.get("mode", "soft"), None, None]


def known(*rules: list[Any], used: tuple[list[Any], ...] = (), access: dict[str, Any] = ACCESS) -> Known:
    return Known().and_then(
        {"epoch": "e", "version": 1, "zone": "Asia/Seoul", "whole": True, "quotas": list(rules), "access": access,
         "used": list(used)}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"max_tokens": 10}, 10),
        ({"max_completion_tokens": 10, "max_tokens": 5, "n": 3}, 30),
        ({}, None),
        ({"max_tokens": 0}, None),
        ({"max_tokens": True}, None),
        ({"max_tokens": 10, "max_completion_tokens": 1e6}, None),
        ({"max_output_tokens": 10}, None),
        ({"max_tokens": 10, "maxTokens": 30}, 30),
        ({"max_tokens": 10, "extra_body": {"max_tokens": 400}}, 400),
        ({"max_tokens": 10, "extra_body": {"n": 4}}, 40),
        ({"max_tokens": 10, "extra_body": {"inferenceConfig": {"maxTokens": 70}}}, 70),
        ({"max_tokens": 10, "extra_body": {"prediction": "x"}}, None),
        ({"max_tokens": 10, "fallbacks": ["a", {"model": "b", "max_tokens": 90}]}, 90),
        ({"max_tokens": 10, "tools": [{"max_tokens": 500}], "metadata": {"max_tokens": 500}}, 10),
        ({"max_tokens": 10, "prediction": {"type": "content", "content": "x"}}, None),
    ],
)
def test_the_most_output(more: dict[str, Any], expected: int | None) -> None:
    assert bound_of({"messages": MESSAGES, **more}, "acompletion", None).output == expected


@pytest.mark.parametrize(
    ("call_type", "more", "expected"),
    [
        ("agenerate_content", {"config": {"maxOutputTokens": 7, "candidateCount": 2}}, 14),
        ("agenerate_content", {"max_tokens": 7}, None),
        ("aresponses", {"max_output_tokens": 7}, 7),
        ("aresponses", {"max_tokens": 7}, None),
        ("anthropic_messages", {"max_tokens": 7}, 7),
    ],
)
def test_the_most_output_by_the_name_of_its_kind(call_type: str, more: dict[str, Any], expected: int | None) -> None:
    assert bound_of({"input": "x", **more}, call_type, None).output == expected
    if expected is None:  # a default is no less than what the request names otherwise
        assert bound_of({"input": "x", **more}, call_type, 5).output == 7


@pytest.mark.parametrize("kind", [["string", "null"], {"type": "string"}, None, 5])
def test_a_schemas_types_are_no_kinds_of_parts(kind: Any) -> None:
    """A call whose bound cannot be worked out would pass undecided."""
    schema = {"type": "object", "properties": {"type": {"type": kind}}}
    asked = {"messages": MESSAGES, "max_tokens": 1,
             "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}  # fmt: skip
    assert (bound_of(asked, "acompletion", None).prompt or 0) > 1_000
    odd = bound_of({**asked, "tools": [{"type": kind}]}, "acompletion", None)
    assert odd.prompt is None


def test_a_prompt_beside_the_request_counts() -> None:
    short: dict[str, Any] = {"messages": MESSAGES, "max_tokens": 1}
    more = {**short, "extra_body": {"messages": [{"role": "user", "content": "x" * 5_000}]}}
    assert (bound_of(more, "acompletion", None).prompt or 0) > 5_000
    assert bound_of({**short, "extra_body": {"previous_response_id": "r"}}, "acompletion", None).prompt is None


def test_what_is_no_number_of_tokens_goes_where_a_default_is_set() -> None:
    data: dict[str, Any] = {"max_completion_tokens": 1e6, "config": {"max_output_tokens": "many", "seed": 1}}
    set_output(data, "acompletion", 9)
    set_output(data, "agenerate_content", 9)
    assert data == {"max_tokens": 9, "config": {"maxOutputTokens": 9, "seed": 1}}


def test_the_most_prompt() -> None:
    short = bound_of({"messages": MESSAGES, "max_tokens": 1}, "acompletion", None).prompt
    longer = bound_of({"messages": [{"role": "user", "content": "안녕" + "하" * 100}]}, "acompletion", None).prompt
    assert short is not None
    assert longer == short + 300  # three bytes a letter
    with_image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example"}}]}
    assert (bound_of({"messages": [with_image]}, "acompletion", None).prompt or 0) > 50_000
    with_file = {"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}
    assert bound_of({"messages": [with_file]}, "acompletion", None).prompt is None
    assert bound_of({"input": "x", "previous_response_id": "r"}, "aresponses", None).prompt is None
    own = [{"type": "web_search"}]
    assert bound_of({"input": "x", "tools": own}, "aresponses", 5)[0::3] == (None, None)
    assert bound_of({"input": "x", "tools": [{"type": "function", "name": "f"}]}, "aresponses", 5).prompt is not None


def test_units_of_a_bound() -> None:
    bound = Bound(10, 5)
    units = ("requests", "tokens", "input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")
    assert [most_of(unit, bound) for unit in units] == [1, 15, 10, 10, 5, 5]
    assert most_of("web_searches", bound) == 0
    assert most_of("tokens", Bound(10, None)) is most_of("requests", Bound(None, None, None)) is None
    assert bound_of({"input": "x"}, "aembedding", None).output == 0
    assert bound_of({"prompt": "a cat", "n": 2}, "aimage_generation", None) == Bound(None, None, 2)
    assert is_free("alist_batches")
    assert not is_free("acompletion")


@pytest.mark.parametrize(
    ("call_type", "where"),
    [("acompletion", ("max_tokens",)), ("aresponses", ("max_output_tokens",)),
     ("agenerate_content", ("config", "maxOutputTokens"))],
)  # fmt: skip
def test_a_default_maximum_is_written_into_the_request(call_type: str, where: tuple[str, ...]) -> None:
    data: dict[str, Any] = {}
    set_output(data, call_type, 9)
    found: Any = data
    for name in where:
        found = found[name]
    assert found == stated_output(data, call_type) == 9


def test_whose_quotas_count() -> None:
    all_of_them = known(
        rule(1, "organisation", ""), rule(2, "department", "*"), rule(3, "user", "*"),
        rule(4, "user", "u-2"), rule(5, "user", "u-1", model="claude*"),
        rule(6, "user", "u-1", limit=None, unit="requests"),
    )  # fmt: skip

    def counted(*caller: str | None, asked: Asked = GPT) -> list[int]:
        return sorted(left.quota.id for left in all_of_them.left(Caller(*caller), asked, NOW))

    assert counted("u-1", None, None) == [1, 2, 3]  # the roster's department
    assert counted("u-2", None, None) == [1, 4]
    assert counted(None, None, "k-1") == [1, 2]
    assert counted("u-1", "D009", None, asked=Asked("claude-x", ())) == [1, 2, 3, 5]
    assert all_of_them.department_of(Caller("u-1", None, "k-1")) == "D002"


def test_a_window_that_has_ended_is_whole_again() -> None:
    hour = int(datetime(2026, 11, 22, 15, tzinfo=UTC).timestamp()) // 3600  # midnight in Seoul
    day = rule(1, "organisation", "")
    (left,) = known(day, used=([1, "", hour, "40"],)).left(Caller(None, None, None), GPT, NOW)
    assert (left.remaining, left.window.end) == (60, datetime(2026, 11, 23, 15, tzinfo=UTC))
    (left,) = known(day, used=([1, "", hour - 24, "40"],)).left(Caller(None, None, None), GPT, NOW)
    assert left.remaining == 100


def test_money_is_held_at_the_dearest_price() -> None:
    (left,) = known(rule(1, "organisation", "", "KRW", "10", mode="hard")).left(Caller(None, None, None), GPT, NOW)
    rates = {("KRW", "openai", "gpt-5-mini"): {"input_tokens": 2, "cache_read_tokens": 3, "output_tokens": 5}}
    assert left.limit == 10 * 10**9
    assert most(left, GPT, Bound(10, 4), rates) == 10 * 3 + 4 * 5
    assert most(left, GPT, Bound(10, 4), {}) is None
    assert most(left, GPT, Bound(10, None), rates) is None
    two = Asked("gpt", (*GPT.models, ("openai", "gpt-5-unpriced")))
    assert most(left, two, Bound(10, 4), rates) is None


def test_pledges_and_programmes() -> None:
    told = known()
    assert [told.has_signed(user) for user in ("u-1", "u-2", None)] == [True, False, True]
    nobody = known(access={**ACCESS, "pledges": None})
    assert nobody.has_signed("u-2")
    assert not told.allows_model("u-2", GPT)
    assert told.allows_model("u-2", Asked("any", (("openai", "gpt-5-nano"),)))
    assert told.allows_model("u-2", Asked("claude-opus", ()))
    assert told.allows_model("u-1", GPT)
    nano, others = Asked("nano", (("openai", "gpt-5-nano"),)), Asked("claude-opus", ())
    assert told.allows_model("u-2", Asked("nano", nano.models, (nano, others)))
    assert not told.allows_model("u-2", Asked("nano", (*nano.models, *GPT.models), (nano, GPT)))
    assert Asked("nano", nano.models, (nano, others)).names == ("nano", "nano", "claude-opus", "gpt-5-nano")
    assert unsigned("https://sign.example").message.count("https://sign.example") == 2


@pytest.mark.parametrize(
    ("pattern", "names", "expected"),
    [("", ["x"], True), ("gpt*", ["alias", "gpt-5"], True), ("gpt-5-mini-2025-08-07", ["gpt-5-mini"], True),
     ("gpt-5-mini", ["gpt-5"], True), ("gpt-5", ["gpt-5-mini"], False), ("claude*", ["gpt-5"], False)],
)  # fmt: skip
def test_models_that_may_count(pattern: str, names: list[str], expected: bool) -> None:
    assert may_count(pattern, names) is expected


def test_a_refusal_says_what_which_and_when() -> None:
    (left,) = known(rule(1, "department", "D001")).left(Caller("u-1", None, None), GPT, NOW)
    refusal = over_quota(left, NOW)
    assert refusal.status == 429
    assert "2026-11-23T15:00:00Z" in refusal.message
    assert refusal.headers["retry-after"] == str(int(13.5 * 3600))
    assert (refusal.facts["limit"], refusal.facts["subject"], refusal.facts["unit"]) == ("100", "D001", "tokens")


def test_what_is_logged_late_is_no_second_event() -> None:
    attempts = Attempts()
    attempts.called("r", Call({}, streamed=True), 0.0)
    attempts.ended("r", 1.0)
    assert len(attempts.take_owed(1.0 + GRACE_S)) == 1
    assert attempts.number_of_failure("r", "told", 10.0) is None
    assert not attempts.answered("r", 11.0)
    assert attempts.was_owed("r")
    attempts.called("r", Call({}, streamed=False), 12.0)  # a client gives the same id again
    assert attempts.answered("r", 13.0)


@pytest.mark.parametrize(
    ("user", "asked", "subjects"),
    [
        ("u-2", Asked("nano", (("openai", "gpt-5-nano"),)), ["p"]),
        ("u-2", Asked("claude-x", ()), ["p"]),
        ("u-2", Asked("mini", (("openai", "gpt-5-mini"),)), []),  # not one of the programme's models
        ("u-1", Asked("nano", (("openai", "gpt-5-nano"),)), []),  # has no place
        (None, Asked("nano", (("openai", "gpt-5-nano"),)), []),
    ],
)
def test_a_programmes_quota_is_asked_of_its_people_and_models(
    user: str | None, asked: Asked, subjects: list[str]
) -> None:
    of = known(rule(1, "programme", "*"), rule(2, "programme", "another"))
    assert [left.subject for left in of.left(Caller(user, None, None), asked, NOW)] == subjects


def test_a_programmes_refusal_says_so_in_both_languages() -> None:
    of = known(rule(1, "programme", "p"), used=([1, "p", 494727, "100"],))
    (left,) = of.left(Caller("u-2", None, None), Asked("gpt-5-nano", ()), NOW)
    refusal = over_quota(left, NOW)
    assert refusal.status == 429
    assert "사업 하루 한도 100" in refusal.message
    assert "The programme's day limit of 100" in refusal.message
