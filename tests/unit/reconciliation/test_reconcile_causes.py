"""Causes that span groups, at their limits: levels, edges, splits, scales, copies, rates; name rules and hints."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.errors import FileRefused
from billing.fx import FxRow, FxTable
from billing.invoices.errors import VendorsRefused
from billing.invoices.lines import LineKind, VendorLine
from billing.invoices.vendors import Vendor
from billing.reconciliation.conversion import convert
from billing.reconciliation.groups import EdgeUse, OurGroup, Policy, PriceUse, Reconciliation, UsageKey
from billing.reconciliation.name_rules import NameRule, read_rules_file, renamed, with_new
from billing.reconciliation.reconcile import is_open, reconcile

FIRST, SECOND, LAST = date(2026, 10, 1), date(2026, 10, 2), date(2026, 10, 31)
MODEL = "maker-1"
ONE = PriceUse("P-000001", Decimal("0.000001"), "USD", date(2026, 1, 1))


def book(_day: date, model: str, _tier: str, _unit: str) -> PriceUse | None:
    """A book that knows every model but the mystery."""
    return None if model == "mystery" else ONE


POLICY = Policy("USD", price=book, rounding_unit=Decimal("1e-10"))


def ours(quantity: int, day: date = FIRST, *, unit: str = "input_tokens", account: str | None = None,
         tier: str = "standard", model: str = MODEL) -> OurGroup:  # fmt: skip
    """Use of ours, a millionth of a dollar a token."""
    return OurGroup(UsageKey(day, account, model, tier, unit), quantity, quantity * ONE.unit_price, "USD", (ONE,))


def bills(quantity: int | None, day: date = FIRST, *, price: str = "0.000001", amount: str | None = None,
          **more: Any) -> VendorLine:  # fmt: skip
    """A line of the vendor's."""
    money = Decimal(amount) if amount is not None else Decimal(quantity or 0) * Decimal(price)
    told = None if quantity is None else Decimal(quantity)
    fields = {"text": "a line", "model": MODEL, "unit": "input_tokens", "currency": "USD", **more}
    return VendorLine("line 2", day, LineKind.USAGE, quantity=told, amount=money, **fields)


def run(mine: list[OurGroup], theirs: list[VendorLine], policy: Policy = POLICY) -> Reconciliation:
    """Reconcile; the proof is 0 and the breaks add up."""
    found = reconcile(mine, theirs, policy)
    assert found.proof.difference == 0
    return found


def named(found: Reconciliation) -> list[tuple[str, str]]:
    """Class and amount of each break, sorted."""
    return sorted((str(one.cls), format(one.amount.normalize(), "f")) for one in found.breaks)


def test_use_on_the_neighbouring_day_is_period_edge_and_not_bypass() -> None:
    found = run([ours(900), ours(100, SECOND)], [bills(400), bills(600, SECOND)])
    assert named(found) == [("PERIOD_EDGE", "-0.0005"), ("PERIOD_EDGE", "0.0005")]
    whole = run([ours(900)], [bills(900, SECOND)])
    assert named(whole) == [("PERIOD_EDGE", "-0.0009"), ("PERIOD_EDGE", "0.0009")]


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ([ours(900), ours(100, SECOND)], [bills(400), bills(601, SECOND)]),
        ([ours(900), ours(100, SECOND)], [bills(1050), bills(0, SECOND, amount="0")]),
    ],
)
def test_days_that_do_not_come_to_the_same_are_no_edge(mine: list[OurGroup], theirs: list[VendorLine]) -> None:
    assert "PERIOD_EDGE" not in {cls for cls, _ in named(run(mine, theirs))}


def test_an_edge_and_another_price_in_one_group_come_apart() -> None:
    found = run([ours(900), ours(100, SECOND)], [bills(400), bills(600, SECOND, price="0.000003")])
    assert named(found) == [("PERIOD_EDGE", "-0.0005"), ("PERIOD_EDGE", "0.0005"), ("PRICE", "0.0012")]


def test_the_months_edge_is_told_by_our_hours() -> None:
    before = [EdgeUse(UsageKey(FIRST, None, MODEL, "standard", "input_tokens"), False, hour, 70) for hour in range(3)]
    policy = replace(POLICY, edge_uses=before)
    assert named(run([ours(900)], [bills(1040)], policy)) == [("PERIOD_EDGE", "0.00014")]
    assert named(run([ours(900)], [bills(1041)], policy)) == [("QUANTITY", "0.000141")]
    inside = [EdgeUse(UsageKey(LAST, None, MODEL, "standard", "input_tokens"), True, 0, 900)]
    found = run([ours(900, LAST), ours(5)], [bills(5)], replace(POLICY, edge_uses=inside))
    assert named(found) == [("PERIOD_EDGE", "-0.0009")]


def test_a_first_day_of_which_nothing_is_billed_is_not_billed() -> None:
    """All hours of a day make up the day: that is no evidence for its edge."""
    inside = [EdgeUse(UsageKey(FIRST, None, MODEL, "standard", "input_tokens"), True, hour, 100) for hour in range(9)]
    found = run([ours(900), ours(5, SECOND)], [bills(5, SECOND)], replace(POLICY, edge_uses=inside))
    assert named(found) == [("NOT_BILLED", "-0.0009")]


def test_a_vendor_whose_days_begin_elsewhere_is_told_by_the_sum_of_its_gaps() -> None:
    """Each hour of ours is 10 tokens, 11 in the last two of the month; the vendor's days begin two hours earlier."""
    days = [FIRST, SECOND, date(2026, 10, 3)]

    def uses(day: date, *, inside: bool, each: int) -> list[EdgeUse]:
        key = UsageKey(day, None, MODEL, "standard", "input_tokens")
        return [EdgeUse(key, inside, hour, each) for hour in range(24)]

    edges = [*uses(FIRST, inside=False, each=7), *uses(FIRST, inside=True, each=10),
             *uses(days[-1], inside=True, each=11), *uses(days[-1], inside=False, each=50)]  # fmt: skip
    mine = [ours(240), ours(263, SECOND), ours(264, days[-1])]
    theirs = [bills(240 - 20 + 14), bills(263 - 21 + 20, SECOND), bills(264 - 22 + 21, days[-1])]
    policy = replace(POLICY, edge_uses=edges)
    assert {cls for cls, _ in named(run(mine, theirs, policy))} == {"PERIOD_EDGE"}
    assert {cls for cls, _ in named(run(mine, theirs))} == {"QUANTITY"}
    theirs[1] = bills(300, SECOND)
    assert "QUANTITY" in {cls for cls, _ in named(run(mine, theirs, policy))}


def test_days_up_to_an_edge_that_begin_later_are_told_by_the_hours_there() -> None:
    """Summer time ends on the 30th: two days of use begin an hour earlier; the last hour of the month goes out."""
    before = date(2026, 10, 30)
    inside = [EdgeUse(UsageKey(LAST, None, MODEL, "standard", "input_tokens"), True, hour, 41) for hour in range(3)]
    mine, theirs = [ours(900, before), ours(700, LAST)], [bills(863, before), bills(700 + 37 - 41, LAST)]
    policy = replace(POLICY, edge_uses=inside)
    assert named(run(mine, theirs, policy)) == [("PERIOD_EDGE", "-0.000004"), ("PERIOD_EDGE", "-0.000037")]
    assert {cls for cls, _ in named(run(mine, [theirs[0], bills(697, LAST)], policy))} == {"QUANTITY"}


def test_money_for_a_quantity_of_nothing_beside_use_is_unexplained() -> None:
    found = run([ours(500_000)], [bills(500_000), bills(0, amount="3.21")])
    assert named(found) == [("UNEXPLAINED", "3.21")]
    assert "for a quantity of 0" in found.breaks[0].why
    coarse = bills(0, amount="0.0004", quantity_step=Decimal(1000))
    assert named(run([ours(500_400)], [bills(500_000, quantity_step=Decimal(1000)), coarse])) == [], (
        "400 tokens that a unit of thousands rounds to 0"
    )


def test_a_page_that_came_twice_takes_the_groups_that_agree_with_their_copy() -> None:
    """Two groups show the copy; the third bills half the price, so that its two rows come to what we have."""
    half = bills(9_001, unit="cache_read_tokens", price="0.0000005")
    rows = [bills(50_001), bills(7_001, unit="output_tokens"), half]
    mine = [ours(50_001), ours(7_001, unit="output_tokens"), ours(9_001, unit="cache_read_tokens")]
    classes = [cls for cls, _ in named(run(mine, rows * 2))]
    assert classes == ["DUPLICATE", "DUPLICATE", "DUPLICATE", "PRICE"]


def test_use_that_the_bill_dates_outside_its_period_is_period_edge() -> None:
    late = VendorLine("line 9", FIRST, LineKind.FEE, "use of 2026-09-30, billed later: x", amount=Decimal(3),
                      currency="USD")  # fmt: skip
    assert named(run([], [late])) == [("PERIOD_EDGE", "3")]


def test_another_split_of_the_same_tokens_is_unit_class() -> None:
    mine = [ours(900), ours(100, unit="cache_read_tokens"), ours(50, unit="output_tokens")]
    theirs = [bills(1000), bills(50, unit="output_tokens")]
    assert named(run(mine, theirs)) == [("UNIT_CLASS", "-0.0001"), ("UNIT_CLASS", "0.0001")]
    mixed = [bills(890), bills(100, unit="cache_read_tokens"), bills(60, unit="output_tokens")]
    assert {cls for cls, _ in named(run(mine, mixed))} == {"QUANTITY"}, "tokens in are none that go out"


@pytest.mark.parametrize(
    ("quantity", "price", "expected"),
    [
        (2000, "0.0001", [("UNIT_SCALE", "0.198")]),
        (2000, "0.001", [("UNIT_SCALE", "1.998")]),
        (2_000_000, "0.000000001", [("UNIT_SCALE", "0")]),
        (2_000_000, "0.000001", [("UNIT_SCALE", "1.998")]),
        (2000, "0.00001", [("PRICE", "0.018")]),
        (1500, "0.0001", [("QUANTITY", "-0.0005"), ("UNIT_SCALE", "0.1485")]),
        (2000, "0.00012", [("PRICE", "0.0004"), ("UNIT_SCALE", "0.2376")]),
        (5, "0.000001", [("QUANTITY", "-0.001995")]),
    ],
)
def test_units_of_a_hundred_and_more(quantity: int, price: str, expected: list[tuple[str, str]]) -> None:
    assert named(run([ours(2000)], [bills(quantity, price=price)])) == expected


def test_copies_count_where_the_group_agrees_without_them_only() -> None:
    row = bills(500)
    assert named(run([ours(500)], [row, row])) == [("DUPLICATE", "0.0005")]
    assert run([ours(1000)], [row, row]).breaks == (), "equal rows are summed"
    assert named(run([ours(700)], [row, row])) == [("QUANTITY", "0.0003")]
    assert named(run([ours(500)], [row, replace(row, text="another")])) == [("QUANTITY", "0.0005")]
    dear = bills(500, price="0.000003")
    assert named(run([ours(500)], [dear, dear])) == [("DUPLICATE", "0.0015"), ("PRICE", "0.001")]


@pytest.mark.parametrize(
    ("tokens", "price", "mine", "expected"),
    [
        (550_123, "0.000001", 500_000, [("DUPLICATE", "0.550123"), ("QUANTITY", "0.050123")]),
        (450_123, "0.000001", 500_000, [("DUPLICATE", "0.450123"), ("QUANTITY", "-0.049877")]),
        (550_123, "0.000003", 500_000,
         [("DUPLICATE", "1.650369"), ("PRICE", "1.100246"), ("QUANTITY", "0.050123")]),
        (550_123, "0.000001", 0, [("BYPASS", "0.550123"), ("DUPLICATE", "0.550123")]),
        (160_123, "0.000001", 300_000, [("QUANTITY", "0.020246")]),
    ],
)  # fmt: skip
def test_copies_beside_other_causes_come_apart(
    tokens: int, price: str, mine: int, expected: list[tuple[str, str]]
) -> None:
    row = bills(tokens, price=price)
    assert named(run([ours(mine)] if mine else [], [row, row])) == expected


def test_equal_rows_that_are_usual_in_a_file_are_no_copies() -> None:
    """A group that agrees with two equal rows in it: this vendor writes equal rows, so they prove nothing elsewhere."""
    row, other = bills(550_123), bills(80_000, SECOND)
    found = run([ours(500_000), ours(160_000, SECOND)], [row, row, other, other])
    assert named(found) == [("QUANTITY", "0.600246")]


def test_copies_of_a_name_that_nobody_knows_and_of_money_without_tokens() -> None:
    stranger = bills(4_000, model="mystery")
    assert named(run([], [stranger, stranger])) == [("DUPLICATE", "0.004"), ("UNKNOWN_MODEL", "0.004")]
    untold = bills(None, amount="0.5501234")
    assert named(run([ours(500_123)], [untold, untold])) == [("DUPLICATE", "0.5501234"), ("QUANTITY", "0.0500004")]
    short = bills(None, amount="0.55")
    assert named(run([ours(500_123)], [short, short])) == [("QUANTITY", "0.599877")], "55 cents twice are nothing rare"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (bills(1, amount="0", model="mystery", unit="requests"), []),
        (bills(None, amount="0", model="mystery"), []),
        (bills(700, amount="0", model="mystery"), ["UNKNOWN_MODEL"]),
        (bills(700, amount="0"), ["BYPASS"]),
        (VendorLine("line 3", FIRST, LineKind.TAX, "VAT", amount=Decimal(0), currency="USD"), []),
    ],
)
def test_a_break_of_nothing_is_listed_only_where_tokens_differ(line: VendorLine, said: list[str]) -> None:
    assert [str(one.cls) for one in run([], [line]).breaks] == said


def test_levels_are_recorded() -> None:
    exact = run([ours(5, account="a")], [bills(5, account="a")])
    assert {level: groups for level, (groups, _) in exact.levels.items()} == {1: 1}
    keyless = run([ours(5, account="a")], [bills(5)])
    assert {level: groups for level, (groups, _) in keyless.levels.items()} == {2: 1}
    other_key = run([ours(5, account="a"), ours(7, account="b")], [bills(7, account="a"), bills(5, account="b")])
    assert {level: groups for level, (groups, _) in other_key.levels.items()} == {2: 1}
    tier = run([ours(5), ours(7, tier="batch")], [bills(7), bills(5, service_tier="batch")])
    assert {level: groups for level, (groups, _) in tier.levels.items()} == {3: 1}
    later = run([ours(5)], [bills(5, date(2026, 10, 20))])
    assert {level: groups for level, (groups, _) in later.levels.items()} == {4: 1}
    family = run([ours(5, model="m-2026-01-01"), ours(9, SECOND)], [bills(5, model="m-2026-02-02"), bills(9, SECOND)])
    assert (family.breaks, family.levels[4][0]) == ((), 1)


RATES = {FIRST: Decimal(1400), SECOND: Decimal(1300)}


def converted(theirs: Decimal, **more: Any) -> Reconciliation:
    """Two days of use, billed in won at a rate of the vendor's."""
    table = FxTable([FxRow(place, day, "USD", "KRW", rate, "bank") for place, (day, rate) in enumerate(RATES.items())])
    lines = [bills(10_000_000, day, amount=str(10 * theirs), currency="KRW", **more) for day in RATES]
    mine = [ours(10_000_000, day) for day in RATES]
    found = convert(mine, lines, list(RATES), Vendor("r", "R", ("maker",), currency="KRW"), table)
    assert [group.amount for group in found.ours] == [14_000, 13_000]
    policy = Policy("KRW", found.lookup(book), rounding_unit=Decimal(1), rates=found.rates)
    return run(found.ours, lines, policy)


def test_a_bill_in_another_currency_differs_by_the_rate() -> None:
    assert named(converted(Decimal(1450))) == [("FX", "1500"), ("FX", "500")]
    (first, _) = converted(Decimal(1450)).breaks
    assert "converts at 1450" in first.why


@pytest.mark.parametrize(("amount", "expected"), [("14500", "FX"), ("14503.33", "PRICE"), ("20000", "PRICE")])
def test_one_group_alone_speaks_for_a_rate_as_banks_write_it(amount: str, expected: str) -> None:
    mine = OurGroup(UsageKey(FIRST, None, MODEL, "standard", "input_tokens"), 10_000_000, Decimal(14_000), "KRW",
                    (replace(ONE, unit_price=Decimal("0.0014"), currency="KRW"),))  # fmt: skip
    policy = Policy("KRW", book, rounding_unit=Decimal("0.001"), rates={FIRST: Decimal(1400)})
    found = run([mine], [bills(10_000_000, amount=amount, currency="KRW")], policy)
    assert [cls for cls, _ in named(found)] == [expected]


def test_without_a_rate_nothing_is_converted() -> None:
    lines = [bills(1, currency="KRW")]
    found = convert([ours(1)], lines, [FIRST], Vendor("r", "R", ("maker",)), FxTable([]))
    assert (found.rates, found.ours) == ({}, [ours(1)])


def test_tolerances_flag_and_change_nothing_else() -> None:
    policy = replace(POLICY, tolerance_amount=Decimal("0.001"), tolerance_share=Decimal("0.01"))
    (near,) = run([ours(10_000)], [bills(10_050)], policy).breaks
    assert (near.tolerated, is_open(near), near.amount) == (True, False, Decimal("0.00005"))
    (far,) = run([ours(10_000)], [bills(10_101)], policy).breaks
    assert (far.tolerated, is_open(far)) == (False, True)
    (nothing,) = run([], [bills(900)], policy).breaks
    assert nothing.tolerated, "against nothing the amount alone counts"
    assert not any(one.tolerated for one in run([ours(10_000)], [bills(10_050)]).breaks)


def test_hints_say_since_when_how_long_and_which() -> None:
    policy = replace(POLICY, today=date(2026, 12, 20), provider="maker", day_starts={FIRST: "2026-09-30T15:00:00Z"},
                     cut_calls={(FIRST, None, MODEL): 3})  # fmt: skip
    dear = [bills(1000, day, price="0.000003") for day in (FIRST, SECOND)]
    prices = run([ours(1000), ours(1000, SECOND)], dear, policy).breaks
    assert all("2 lines at this rate since 2026-10-01" in one.why for one in prices)
    assert prices[0].proposal == "maker,maker-1,input_tokens,standard,,,USD,3,1000000,2026-09-30T15:00:00Z,,invoice"
    (cut,) = run([ours(1000)], [bills(1100)], policy).breaks
    assert "3 calls of this group broke off (status cut)" in cut.why
    (late,) = run([ours(1000)], [], policy).breaks
    assert "80 days ago" in late.why
    assert "ago" not in run([ours(1000)], [], replace(policy, today=date(2026, 11, 14))).breaks[0].why
    (hint,) = run([ours(5, account="k1")], [bills(5, account="k1"), bills(9, SECOND, account="k2")], policy).hints
    assert (hint.cls, hint.accounts, hint.models, hint.days) == ("BYPASS", ("k2",), (MODEL,), (SECOND,))


def test_an_unknown_name_for_as_many_tokens_as_are_not_billed_is_said() -> None:
    found = run([ours(777)], [bills(777, model="mystery", price="0.000002")])
    assert named(found) == [("NOT_BILLED", "-0.000777"), ("UNKNOWN_MODEL", "0.001554")]
    assert any("exactly as many of maker-1" in one.why for one in found.breaks)
    assert not any("exactly as many" in one.why for one in run([ours(7)], [bills(777, model="mystery")]).breaks)


def test_name_rules_are_dated_and_the_longest_counts() -> None:
    rules = [
        NameRule("aws", "nova*", "amazon.nova", None),
        NameRule("aws", "novapro", "amazon.nova-pro", None, None, SECOND),
        NameRule("aws", "odd meter", None, "cache_read_tokens"),
    ]
    lines = [bills(1, model="NovaPro"), bills(1, SECOND, model="NovaPro"), bills(1, text="Odd Meter"), bills(1)]
    assert [(line.model, line.unit) for line in renamed(lines, rules)] == [
        ("amazon.nova-pro", "input_tokens"), ("amazon.nova", "input_tokens"), (MODEL, "cache_read_tokens"),
        (MODEL, "input_tokens"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("aws,*,m,,,", "a star alone"),
        ("aws,a*b,m,,,", "at the end only"),
        ("aws,a,,,,", "which model of ours"),
        ("aws,a,m,Tokens,,", "a unit of the contract"),
        ("aws,a,m,,2026-10-02,2026-10-01", "later than valid_from"),
        ("aws,a,m,,01.10.2026,", "write a day"),
        (",a,m,,,", "name the vendor"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(row: str, words: str) -> None:
    with pytest.raises(FileRefused, match=words):
        read_rules_file(f"vendor,text,model,unit,valid_from,valid_to\n{row}\n".encode(), "map.csv")


def test_two_meanings_at_one_time_are_refused_and_a_later_row_replaces() -> None:
    old = NameRule("aws", "a", "m", None)
    assert with_new([old], [old]) == []
    assert with_new([old], [replace(old, model="n")]) == [replace(old, model="n")]
    with pytest.raises(VendorsRefused, match="two meanings"):
        with_new([old], [NameRule("aws", "a", "n", None, SECOND)])
