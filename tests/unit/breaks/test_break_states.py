"""What fits what, who is a second person, and when two breaks are one: pure rules, each with its other side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.breaks.identity import about, fingerprint, name_of, parse_name
from billing.breaks.states import BECOMES, STATES, is_second, person_of, refusal
from billing.errors import BillingError

KEY = {"day": "2026-10-03", "model": "gpt-5-mini", "unit": "input_tokens", "account": "a"}
DECIDING = ("accept", "dispute", "resolve", "writeoff")
texts = st.one_of(st.none(), st.text(max_size=8))


@pytest.mark.parametrize("action", DECIDING)
def test_what_is_open_can_be_decided_in_any_way(action: str) -> None:
    assert refusal(action, "open", is_changed=False, is_pending=False) is None  # type: ignore[arg-type]
    assert refusal(action, "open", is_changed=False, is_pending=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", [state for state in STATES if state != "open"])
@pytest.mark.parametrize("action", DECIDING)
def test_what_is_decided_stays_unless_it_is_disputed_or_changed(action: str, state: str) -> None:
    refused = refusal(action, state, is_changed=False, is_pending=False)  # type: ignore[arg-type]
    goes = state == "disputed" and BECOMES[action] != "disputed"  # type: ignore[index]
    assert (refused is None) == goes
    assert refusal(action, state, is_changed=True, is_pending=False) is None  # type: ignore[arg-type]
    assert refusal("reopen", state, is_changed=False, is_pending=False) is None  # type: ignore[arg-type]


def test_reopen_and_confirm_need_something_to_undo_or_to_confirm() -> None:
    assert refusal("reopen", "open", is_changed=False, is_pending=False) == "it is open"
    assert refusal("reopen", "open", is_changed=False, is_pending=True) is None
    assert refusal("confirm", "disputed", is_changed=False, is_pending=True) is None
    assert refusal("confirm", "disputed", is_changed=False, is_pending=False)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("token:kim", "token:lee", True),
        ("web:kim", "token:lee", True),
        ("token:kim", "token:kim", False),
        ("web:kim", "token:kim", False),  # one person, by two doors
        ("os:kim", "token:lee", False),  # an operating-system user may be anybody
        ("token:kim", "os:lee", False),
        ("token:", "token:lee", False),
    ],
)
def test_a_second_person(first: str, second: str, expected: bool) -> None:
    assert is_second(first, second) is expected
    assert person_of("token:kim") == "kim"


def test_the_day_is_no_part_of_a_break_and_everything_else_is() -> None:
    one = fingerprint("openai", "USD", "PRICE", KEY)
    assert fingerprint("openai", "USD", "PRICE", {**KEY, "day": "2026-11-30"}) == one
    assert fingerprint("openai", "USD", "PRICE", {**KEY, "item": None}) == one
    others = {
        fingerprint("azure", "USD", "PRICE", KEY),
        fingerprint("openai", "KRW", "PRICE", KEY),
        fingerprint("openai", "USD", "QUANTITY", KEY),
        *(fingerprint("openai", "USD", "PRICE", {**KEY, name: "other"}) for name in KEY if name != "day"),
        fingerprint("openai", "USD", "PRICE", {**KEY, "service_tier": "batch"}),
        fingerprint("openai", "USD", "PRICE", {**KEY, "item": "x"}),
    }
    assert one not in others
    assert len(others) == 8


@given(st.dictionaries(st.sampled_from(["model", "unit", "account", "service_tier", "item"]), texts), st.dates())
def test_a_fingerprint_is_of_what_is_told_in_any_order(key: dict[str, str | None], day: object) -> None:
    told = dict(reversed([*about(key).items()]))
    assert fingerprint("v", "USD", "FX", {**key, "day": str(day)}) == fingerprint("v", "USD", "FX", told)


def test_names_are_read_as_they_are_shown() -> None:
    assert parse_name(f" {name_of('2026-10', 'ab' * 32)} ") == ("2026-10", "ab" * 5)
    assert parse_name("2026-10-abcd").digits == "abcd"
    for text in ("abcd", "2026-10-", "2026-10-abc", "2026-10-xyzw", "2026-1-abcd"):
        with pytest.raises(BillingError, match="jangbu break list"):
            parse_name(text)
