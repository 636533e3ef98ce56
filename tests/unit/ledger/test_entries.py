"""Entries of any statements balance, add up to the statements, and are named by what they say."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.charges import BookedCharge, Charge
from billing.errors import BillingError
from billing.ledger.checklist import Check, blockers, unattributed
from billing.ledger.close import MonthBlocked, parse_accepted
from billing.ledger.closes import as_cut_offs, month_after, month_before, months_between, policy_from
from billing.ledger.entries import COST, Entry, entry_id, make_entries
from billing.ledger.positions import Position, correction_key
from billing.periods import month_in
from billing.policy import MoneyPolicy
from billing.rounding import apportion, round_total
from billing.statements import LineKey, MonthStatements, Statement, StatementLine

EXACT = st.decimals(min_value=-10**6, max_value=10**6, places=4)
DEPARTMENTS = st.lists(st.tuples(st.sampled_from(["D1", "D2", "D3", None]), st.lists(EXACT, max_size=3),
                                 st.lists(st.fractions(max_denominator=97, min_value=-999, max_value=999), max_size=3)),
                       unique_by=lambda one: one[0], max_size=4)  # fmt: skip


def made_month(
    drafts: list[tuple[str | None, list[Decimal], list[Fraction]]], policy: MoneyPolicy | None = None
) -> MonthStatements:
    """Statements with lines of the given exact amounts, and a tax, a share and a correction in turn."""
    policy = policy or MoneyPolicy()
    totals = {code: sum((Fraction(line) for line in lines), Fraction(0)) + sum(charges, Fraction(0))
              for code, lines, charges in drafts}  # fmt: skip
    total = round_total(sum(totals.values(), Fraction(0)), policy.step_exponent)
    booked = apportion(totals, total, policy.step_exponent)
    statements = []
    for code, lines, charges in drafts:
        values: list[Decimal | Fraction] = [*lines, *charges]
        items = {place: Fraction(value) for place, value in enumerate(values)}
        amounts = apportion(items, booked[code], policy.step_exponent)
        made = tuple(
            StatementLine(LineKey("openai" if place % 2 else "google", "m", f"unit_{place}", 7, "priced"), 10 + place,
                          None, (), value, amounts[place])
            for place, value in enumerate(lines)
        )  # fmt: skip
        kept = tuple(BookedCharge(charge(place, value), amounts[len(lines) + place])
                     for place, value in enumerate(charges))  # fmt: skip
        statements.append(Statement(code, None, made, kept, totals[code], booked[code]))
    exact_total = sum(totals.values(), Fraction(0))
    return MonthStatements(month_in("2026-11", policy.zone), policy, tuple(statements), exact_total, total)


def charge(place: int, exact: Fraction) -> Charge:
    """A tax, a share, or the correction of a line of October."""
    if place == 0:
        return Charge("tax", None, ("openai",), exact)
    if place == 1:
        return Charge("allocated", None, ("support", "x"), exact)
    document = {"reason": "LATE_USAGE", "origin_period": "2026-10", "quantity": "-3"}
    key = correction_key("2026-10", Position.of_use("openai", "m", "u", 1))
    return Charge("adjustments", None, key, exact, document)


@given(DEPARTMENTS, st.sampled_from([0, 1]))
def test_entries_balance_and_add_up_to_the_statements(
    drafts: list[tuple[str | None, list[Decimal], list[Fraction]]], step_digits: int
) -> None:
    month = made_month(drafts, MoneyPolicy(step_digits=step_digits))
    entries = make_entries(month)
    accounts: dict[tuple[str, str | None], Decimal] = {}
    exact: dict[str | None, Fraction] = {}
    for entry in entries:
        assert sum(line.amount for line in entry.lines) == 0
        assert entry.id == entry_id(entry.content)
        for line in entry.lines:
            where = (line.account, line.department)
            accounts[where] = accounts.get(where, Decimal(0)) + line.amount
            if line.account == COST:
                assert line.exact_amount is not None
                exact[line.department] = exact.get(line.department, Fraction(0)) + line.exact_amount
    for statement in month.statements:
        assert accounts.get((COST, statement.department), 0) == statement.total
        assert exact.get(statement.department, 0) == statement.exact_total
    assert not any(amount for (account, _), amount in accounts.items() if account.startswith("clearing:"))
    for provider in ("openai", "google"):
        owed = sum((line.exact_amount or Fraction(0) for entry in entries for line in entry.lines
                    if line.position is not None and line.position.kind == "lines"
                    and line.position.use[0] == provider), Fraction(0))  # fmt: skip
        assert -accounts.get((f"payable:{provider}", None), Decimal(0)) == round_total(owed, 0)


def test_one_entry_a_department_and_reason() -> None:
    month = made_month([("D1", [Decimal("1.6")], [Fraction(1, 3), Fraction(1), Fraction(-2)])])
    found = {entry.reason: entry for entry in make_entries(month, frozenset({"google"}))}
    assert set(found) == {"USAGE", "TAX", "ALLOCATION", "LATE_USAGE", "ACCRUAL", "PAYABLE"}
    assert found["LATE_USAGE"].origin_month == "2026-10"
    assert found["LATE_USAGE"].description == "D1: correction of 2026-10"
    assert [line.account for line in found["TAX"].lines] == ["cost", "tax:openai"]
    assert [line.account for line in found["ALLOCATION"].lines] == ["cost", "pool:support"]
    late = json.loads(found["LATE_USAGE"].content)["lines"][0]
    assert (late["section"], late["unit"], late["quantity"], late["price_id"]) == ("adjustments", "u", "-3", 1)
    assert json.loads(found["TAX"].content)["lines"][0]["amount_exact"] == "1/3"


def test_what_an_entry_says_is_its_name() -> None:
    (entry, *_) = make_entries(made_month([("D1", [Decimal(5)], [])]))
    others: list[Entry] = [replace(entry, month="2026-12"), replace(entry, description="x"), replace(entry, lines=())]
    assert len({one.id for one in (entry, *others)}) == 4


def test_lines_without_an_amount_are_not_booked() -> None:
    month = made_month([("D1", [Decimal(5)], [])])
    (statement,) = month.statements
    unknown = StatementLine(LineKey("openai", "new", "u", 0, "unpriced"), 9, None, (), None, None)
    free = StatementLine(LineKey("openai", "m", "requests", 0, "not_billable"), 9, None, (), Decimal(0), Decimal(0))
    more = replace(month, statements=(replace(statement, lines=(*statement.lines, unknown, free)),))
    assert make_entries(more) == make_entries(month)


# What a close goes past


def test_accepted_names() -> None:
    assert parse_accepted(["unpriced,quarantine", "unpriced"]) == ("quarantine", "unpriced")
    for word in ("laws", "ended", "nothing"):
        with pytest.raises(BillingError, match=word):
            parse_accepted([word])


def test_only_what_may_be_accepted_is_passed() -> None:
    checks = [Check("unpriced", "block", "a"), Check("laws", "block", "b"), Check("invoices", "warn", "c")]
    assert [one.name for one in blockers(checks, ("unpriced", "laws"))] == ["laws"]
    assert "--accept unpriced" in str(MonthBlocked("2026-10", checks[:1]))
    assert "--accept" not in str(MonthBlocked("2026-10", checks[:2]))  # naming it would not be enough


@pytest.mark.parametrize(("cost", "state"), [("0", "ok"), ("1", "warn"), ("1.02", "block")])
def test_the_limit_of_unattributed_use(cost: str, state: str) -> None:
    """1 % by default: 1 of 100 is within it."""
    month = made_month([("D1", [Decimal(99)], []), (None, [Decimal(cost)], [])])
    assert unattributed(month).state == state


def test_months() -> None:
    assert (month_after("2026-12"), month_before("2027-01")) == ("2027-01", "2026-12")
    assert months_between("2026-11", "2027-02") == ["2026-11", "2026-12", "2027-01", "2027-02"]
    assert months_between("2026-12", "2026-11") == []


def test_a_policy_of_an_earlier_version_has_the_rules_of_then() -> None:
    kept = MoneyPolicy(zone="UTC", currency="USD", step_digits=0).document()
    del kept["fx_policy"]
    assert policy_from(kept) == MoneyPolicy(zone="UTC", currency="USD")


def test_cut_offs_are_read_as_they_are_printed() -> None:
    (found,) = as_cut_offs([{"log": 1, "partition": 2, "next_offset": 3}])
    assert found._asdict() == {"log": 1, "partition": 2, "next_offset": 3}
