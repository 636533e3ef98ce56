"""Shared costs, tax and rounding as properties: whatever the weights, parts add up, and nobody is a step away."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.allocation.rules import Rule, conflicts, counting, in_force
from billing.allocation.sharing import Measures, SharedPool, charges_of, share, weights_of
from billing.fx import FxRow, FxTable
from billing.fx_policy import fixed_day
from billing.invoices.vendors import Vendor
from billing.laws import rounding_of
from billing.periods import month_in
from billing.policy import MoneyPolicy
from billing.rounding import apportion, round_total
from billing.statements import AddedLines, make_statements
from billing.tax import VendorUse, tax_charges

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.charges import Charge

MONTH = month_in("2026-10", "Asia/Seoul")
NO_LINES = AddedLines({}, {}, ())
departments = st.integers(1, 120).map(lambda number: f"D{number:03d}")
fractions = st.one_of(
    st.fractions(min_value=-(10**9), max_value=10**9, max_denominator=10**6), st.integers(-100, 100).map(Fraction)
)
weights = st.dictionaries(departments, st.fractions(min_value=0, max_value=10**6, max_denominator=10**4), max_size=120)


def pool_of(exact: Fraction, name: str = "fixed") -> SharedPool:
    return SharedPool(name, None, exact)


def positive(found: Mapping[str, Fraction]) -> dict[str, Fraction]:
    return {department: weight for department, weight in sorted(found.items()) if weight > 0}


@given(exact=fractions, found=weights)
def test_parts_add_up_to_the_pool_exactly(exact: Fraction, found: dict[str, Fraction]) -> None:
    allocation = share(pool_of(exact), positive(found))
    total = sum(allocation.parts.values(), Fraction(0))
    assert total == (exact if positive(found) else 0)
    for department, part in allocation.parts.items():
        assert part * sum(found.values()) == exact * found[department]
    charged = sum((charge.exact for charge in charges_of(allocation)), Fraction(0))
    assert charged == exact  # a pool without weights stays with the unattributed account, whole


@given(exact=fractions, found=weights)
def test_sharing_the_unattributed_account_moves_and_makes_nothing(exact: Fraction, found: dict[str, Fraction]) -> None:
    charges = charges_of(share(pool_of(exact, "unattributed"), positive(found)))
    assert sum((charge.exact for charge in charges), Fraction(0)) == 0
    own = [charge.exact for charge in charges if charge.department is None]
    assert own in ([], [-exact] if positive(found) else [Fraction(0)])


@settings(max_examples=60, deadline=None)
@given(
    pools=st.lists(st.tuples(fractions, weights), min_size=1, max_size=4),
    step_digits=st.sampled_from([0, 1]),
    rest_to=st.one_of(st.none(), departments, st.just("unattributed")),
)
def test_statements_of_shared_costs_add_up_to_the_step(
    pools: list[tuple[Fraction, dict[str, Fraction]]], step_digits: int, rest_to: str | None
) -> None:
    """Any pools over up to 120 departments, 1 or 10 won, whoever takes the rest: law 3 holds on every figure."""
    charges: list[Charge] = []
    for number, (exact, found) in enumerate(pools):
        charges += charges_of(share(SharedPool(f"pool {number}", None, exact), positive(found)))
    policy = MoneyPolicy(step_digits=step_digits, rest_to=rest_to)
    month = make_statements(NO_LINES, MONTH, policy, {}, charges)
    assert rounding_of(month).violations == ()
    exact_total = sum((exact for exact, _ in pools), Fraction(0))
    assert month.exact_total == exact_total
    assert month.total == round_total(exact_total, step_digits)
    step = 10**step_digits
    for statement in month.statements:
        for booked in statement.charges:
            assert booked.amount in {step * f(booked.charge.exact / step) for f in (math.floor, math.ceil)}
        assert statement.total == sum(booked.amount for booked in statement.charges)


@given(
    parts=st.dictionaries(st.sampled_from("ABCDEF"), fractions, min_size=1),
    exponent=st.sampled_from([-2, 0, 1]),
    named=st.sampled_from("ABCDEF"),
)
def test_who_takes_the_rest(parts: dict[str, Fraction], exponent: int, named: str) -> None:
    """The named one is rounded up whenever anything is left to give and it has a remainder; nothing else is lost."""
    whole = round_total(sum(parts.values(), Fraction(0)), exponent)
    plain, taking = apportion(parts, whole, exponent), apportion(parts, whole, exponent, lambda key: key == named)
    assert sum(plain.values()) == sum(taking.values()) == whole
    step = Fraction(10) ** exponent
    floors = {key: Fraction(math.floor(part / step)) * step for key, part in parts.items()}
    assert all(Fraction(amount) - floors[key] in {Fraction(0), step} for key, amount in taking.items())
    left = (Fraction(whole) - sum(floors.values())) / step
    if named in parts and parts[named] != floors[named] and left > 0:
        assert Fraction(taking[named]) == floors[named] + step
    moved = {key for key in parts if plain[key] != taking[key]}
    assert not moved or (len(moved) == 2 and named in moved)


uses = st.dictionaries(
    st.one_of(st.none(), departments),
    st.lists(
        st.builds(VendorUse, st.fractions(min_value=0, max_value=10**9, max_denominator=1000), st.integers(0, 10**9)),
        min_size=3,
        max_size=3,
    ),
    max_size=20,
)
ROWS: tuple[Vendor | None, ...] = (
    Vendor("openai", "OpenAI", ("openai",), tax_mode="reverse_charge", tax_rate=Decimal("0.1")),
    Vendor("clova", "Naver", ("clova",), tax_mode="domestic_invoice", tax_rate=Decimal("0.1"), tax_in_price="included"),
    None,
)


@given(found=uses)
def test_tax_is_the_rate_of_own_lines_and_never_of_included_prices(found: dict[str | None, list[VendorUse]]) -> None:
    use = {department: dict(zip(ROWS, row, strict=True)) for department, row in found.items()}
    charges = tax_charges(use)
    assert len({(charge.department, charge.key) for charge in charges}) == len(charges)
    for charge in charges:
        base = use[charge.department][next(row for row in ROWS if row and row.vendor == charge.key[0])].cost
        assert charge.exact == (base / 10 if charge.key[0] == "openai" else 0)
    taxed = sum((row[0].cost for row in found.values()), Fraction(0))
    assert sum((charge.exact for charge in charges), Fraction(0)) == taxed / 10


@given(found=uses, basis=st.sampled_from(["cost", "tokens"]), of=st.sampled_from([None, "openai", "clova"]))
def test_the_unattributed_account_never_has_a_weight(
    found: dict[str | None, list[VendorUse]], basis: Any, of: str | None
) -> None:
    use = {department: dict(zip(ROWS, row, strict=True)) for department, row in found.items()}
    rule = Rule(1, "r", "fixed", None, Decimal(1), "KRW", basis, of, (), (), "2026-01", None, "s")
    measured = weights_of(rule, Measures(use, {}, {}))
    assert None not in measured
    assert all(weight > 0 for weight in measured.values())
    place = {None: (0, 1, 2), "openai": (0,), "clova": (1,)}[of]
    for department, row in found.items():
        expected = sum(Fraction(row[n].cost if basis == "cost" else row[n].tokens) for n in place)
        if department is not None:
            assert measured.get(department, 0) == expected


months = st.integers(1, 9).map(lambda number: f"2026-0{number}")
rules = st.lists(
    st.builds(
        lambda rule, pool, start, end: (rule, pool, start, end),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["none", "unattributed", "fixed"]),
        months,
        st.one_of(st.none(), st.just("2026-10")),
    ),
    max_size=8,
)


@given(found=rules, month=months)
def test_one_row_of_a_rule_holds_in_a_month(found: list[tuple[str, Any, str, str | None]], month: str) -> None:
    rows = [
        Rule(number, rule, pool, None, None, None, "cost", None, (), (), start, end, "s")
        for number, (rule, pool, start, end) in enumerate(found, 1)
    ]
    held = in_force(rows, month)
    assert len({row.rule for row in held}) == len(held)
    for row in held:
        assert row.pool != "none"
        assert row.valid_from <= month
        begun = [other.key for other in rows if other.rule == row.rule and other.valid_from <= month]
        assert row.key == max(begun)
        assert counting(rows)[row.key] is row
    clashing = [row.rule for row in held if row.pool == "unattributed"]
    if len(clashing) > 1:
        assert conflicts(rows)


@given(days=st.sets(st.integers(0, 60), min_size=1), asked=st.integers(-5, 65))
def test_the_rate_of_a_day_is_the_last_one_published(days: set[int], asked: int) -> None:
    from datetime import date, timedelta

    first = date(2026, 9, 1)
    rows = [FxRow(n + 1, first + timedelta(days=n), "USD", "KRW", Decimal(1000 + n), "t") for n in sorted(days)]
    table = FxTable(rows)
    before = [n for n in days if n <= asked]
    found = table.on(first + timedelta(days=asked), "USD", "KRW")
    assert (found and found.rate) == (Decimal(1000 + max(before)) if before else None)
    assert table.on(first + timedelta(days=asked), "KRW", "USD") is None
    within = table.within(first + timedelta(days=3), first + timedelta(days=asked), "USD", "KRW")
    assert [row.rate for row in within] == [Decimal(1000 + n) for n in sorted(days) if 3 <= n <= asked]


@given(day=st.integers(1, 31), month=st.sampled_from(["2026-02", "2028-02", "2026-04", "2026-10"]))
def test_a_fixed_day_lies_within_its_month(day: int, month: str) -> None:
    last = month_in(month, "UTC").days[-1]
    found = fixed_day(str(day), last)
    assert (found.year, found.month) == (last.year, last.month)
    assert found.day == min(day, last.day)
