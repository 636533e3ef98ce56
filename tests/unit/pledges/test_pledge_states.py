"""What signatures say about a person on a day: both sides of each edge."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import FileRefused
from billing.pledges.pledge import PledgeRules, Signature, counting, new_rows, read_signatures, state_of

DAY = date(2026, 10, 15)


def signed(on: str, version: str = "2026-1", until: str | None = None) -> Signature:
    return Signature("u-1", version, date.fromisoformat(on), None if until is None else date.fromisoformat(until))


@pytest.mark.parametrize(
    ("signatures", "rules", "state"),
    [
        ([], PledgeRules(), "unsigned"),
        ([signed("2026-10-16")], PledgeRules(), "unsigned"),
        ([signed("2026-10-15")], PledgeRules(), "signed"),
        ([signed("2026-01-01", until="2026-10-15")], PledgeRules(), "expired"),
        ([signed("2026-01-01", until="2026-10-16")], PledgeRules(), "expiring"),
        ([signed("2026-01-01", until="2026-11-14")], PledgeRules(), "expiring"),
        ([signed("2026-01-01", until="2026-11-15")], PledgeRules(), "signed"),
        ([signed("2025-10-15")], PledgeRules(valid_days=365), "expired"),
        ([signed("2025-10-16")], PledgeRules(valid_days=365), "expiring"),
        ([signed("2026-01-01", "2025-1")], PledgeRules("2026-1"), "outdated"),
        ([signed("2026-01-01", "")], PledgeRules("2026-1"), "outdated"),
        ([signed("2026-01-01", "")], PledgeRules(), "signed"),
        ([signed("2026-01-01", "2025-1"), signed("2026-09-01")], PledgeRules("2026-1"), "signed"),
        ([signed("2026-09-01", until="2026-09-01"), signed("2026-01-01", until="2027-01-01")], PledgeRules(), "signed"),
    ],
)
def test_states(signatures: list[Signature], rules: PledgeRules, state: str) -> None:
    found = state_of("u-1", signatures, rules, DAY)
    assert found.state == state
    assert found.may_use == (state in ("signed", "expiring"))


@given(st.lists(st.integers(0, 400), max_size=6), st.integers(1, 400))
def test_one_more_signature_never_takes_a_right_away(ages: list[int], valid_days: int) -> None:
    signatures = [Signature("u", "1", DAY - timedelta(days=age), None) for age in ages]
    rules = PledgeRules(valid_days=valid_days)
    before = state_of("u", signatures, rules, DAY).may_use
    assert before == any(age < valid_days for age in ages)
    assert state_of("u", [*signatures, Signature("u", "1", DAY, None)], rules, DAY).may_use


def test_a_later_row_takes_a_signature_back() -> None:
    held = [signed("2026-10-01"), signed("2026-10-01", until="2026-10-01")]
    assert state_of("u-1", counting(held), PledgeRules(), DAY).state == "expired"
    assert new_rows(held, [signed("2026-10-01")]) == ([signed("2026-10-01")], 0)
    assert new_rows(held, held[1:]) == ([], 1)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (",2026-1,2026-10-01,", ["user", "name the user"]),
        ("u,,2026-10-01,", ["version"]),
        ("u,1,2026-10-16,", ["signed_on", "'2026-10-16'", "today is 2026-10-15"]),
        ("u,1,2026-10-01,2026-09-30", ["expires_on", "'2026-09-30'"]),
        ("u,1,1.10.2026,", ["signed_on", "'1.10.2026'", "YYYY-MM-DD"]),
        ("u,1,2026-10-01,\nu,1,2026-10-01,2027-01-01", ["line 3", "line 2 is that signature already"]),
    ],
)
def test_wrong_files_are_refused(line: str, says: list[str]) -> None:
    with pytest.raises(FileRefused) as refused:
        read_signatures(f"user,version,signed_on,expires_on\n{line}\n".encode(), "p.csv", DAY)
    for part in says:
        assert part in str(refused.value)
