"""Reconciliation under random months: the proof always comes out at 0, a planted fault is found alone in its class.

The vendor's side is made here with integers (nanodollars), its own rounding and its own prices; nothing of our rating.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from billing.invoices.lines import LineKind, VendorLine
from billing.reconciliation.groups import BreakClass, EdgeUse, OurGroup, Policy, PriceUse, Reconciliation, UsageKey
from billing.reconciliation.reconcile import reconcile

FIRST = date(2026, 10, 1)
MODELS = ("gpt-5-mini-2025-08-07", "gpt-4o-2024-08-06", "gpt-5.6-luna")
UNITS = ("input_tokens", "cache_read_tokens", "output_tokens")
FOLDS = {"reasoning_tokens": "output_tokens"}
NANO = Decimal("1e-9")
PRICE_NANO = {
    (model, unit): 10 * (3 * place + 1) * (2 * step + 1)
    for place, model in enumerate(MODELS)
    for step, unit in enumerate(UNITS)
}
"""Nanodollars a token; the dearest 1050."""


class Sold(NamedTuple):
    """What was used of one kind on one day."""

    day: date
    model: str
    unit: str
    tokens: int


def price_use(model: str, unit: str) -> PriceUse:
    """Our price row for it."""
    return PriceUse(
        f"P-{MODELS.index(model)}{UNITS.index(unit)}", PRICE_NANO[model, unit] * NANO, "USD", date(2026, 1, 1)
    )


def listed(_day: date, model: str, _tier: str, unit: str) -> PriceUse | None:
    """Our book."""
    return price_use(model, unit) if (model, unit) in PRICE_NANO else None


POLICY = Policy("USD", price=listed, folds=FOLDS)


def our_side(sold: list[Sold]) -> list[OurGroup]:
    """Metered: output comes as output and reasoning."""
    groups = []
    for one in sold:
        parts = [(one.unit, one.tokens)]
        if one.unit == "output_tokens":
            parts = [("output_tokens", one.tokens - one.tokens // 3), ("reasoning_tokens", one.tokens // 3)]
        for unit, tokens in parts:
            if tokens:
                use = price_use(one.model, one.unit)
                groups.append(
                    OurGroup(
                        UsageKey(one.day, None, one.model, "standard", unit),
                        tokens,
                        tokens * PRICE_NANO[one.model, one.unit] * NANO,
                        "USD",
                        (use,),
                    )
                )
    return groups


def line_of(one: Sold, nanodollars: int, tokens: int | None) -> VendorLine:
    """A cost line."""
    return VendorLine(
        "test",
        one.day,
        LineKind.USAGE,
        f"{one.model}, {one.unit}",
        None,
        one.model,
        one.unit,
        None,
        None if tokens is None else Decimal(tokens),
        Decimal(1),
        nanodollars * NANO,
        "USD",
    )


def vendor_side(sold: list[Sold]) -> list[VendorLine]:
    """The vendor's bill for the same, at the same prices, to the nanodollar."""
    return [line_of(one, one.tokens * PRICE_NANO[one.model, one.unit], one.tokens) for one in sold]


def classes(found: Reconciliation) -> list[BreakClass]:
    """The classes that occur."""
    return sorted(one.cls for one in found.breaks)


def proved(ours: list[OurGroup], lines: list[VendorLine], policy: Policy = POLICY) -> Reconciliation:
    """Reconcile, with an invoice total in integers; the proof must come out."""
    nano = sum(int(line.amount / NANO) for line in lines if line.amount is not None)
    found = reconcile(ours, lines, policy, nano * NANO)
    assert found.proof.difference == 0
    ours_nano = sum(int(group.amount / NANO) for group in ours if group.amount is not None)
    assert found.ours_total == ours_nano * NANO
    assert found.proof.invoice == found.ours_total + sum((one.amount for one in found.breaks), Decimal(0))
    assert all(one.why for one in found.breaks)
    return found


days = st.integers(0, 4).map(lambda n: FIRST + timedelta(days=n))
sold_months = st.lists(
    st.builds(Sold, days, st.sampled_from(MODELS), st.sampled_from(UNITS), st.integers(1_000, 10_000_000)),
    min_size=2,
    max_size=12,
    unique_by=lambda one: one[:3],
)
anything_ours = st.lists(st.builds(
    OurGroup,
    st.builds(UsageKey, days, st.sampled_from([None, "proj_a", "proj_b"]),
              st.sampled_from([*MODELS, "gpt-5-mini", "unknown-model"]), st.sampled_from(["standard", "batch"]),
              st.sampled_from([*UNITS, "reasoning_tokens", "web_searches", "requests"])),
    st.integers(0, 10**7),
    st.none() | st.integers(0, 10**12).map(lambda nano: nano * NANO),
    st.just("USD"),
), max_size=15).map(lambda groups: [
    replace(group, amount=None) if group.quantity == 0 and group.amount else group for group in groups
])  # fmt: skip
anything_billed = st.lists(st.builds(
    lambda kind, day, account, model, unit, tier, quantity, nano: VendorLine(
        "test", day, kind, "text", account, None if kind is LineKind.TOTAL else model,
        None if kind is LineKind.TOTAL else unit, tier,
        Decimal(quantity or 0) if kind is LineKind.QUANTITY or quantity is not None else None, Decimal(1),
        None if kind is LineKind.QUANTITY else nano * NANO, None if kind is LineKind.QUANTITY else "USD"),
    st.sampled_from(list(LineKind)), days, st.sampled_from([None, "proj_a", "proj_c"]),
    st.sampled_from([*MODELS, "gpt-5-mini", "mystery"]), st.sampled_from([*UNITS, "web_searches"]),
    st.sampled_from([None, "standard", "batch"]), st.none() | st.integers(0, 10**7), st.integers(-10**10, 10**12),
), max_size=15)  # fmt: skip


@given(anything_ours, anything_billed)
def test_the_proof_is_zero_whatever_stands_on_either_side(ours: list[OurGroup], lines: list[VendorLine]) -> None:
    proved(ours, lines)


anything_at_edges = st.lists(st.builds(
    EdgeUse,
    st.builds(UsageKey, st.sampled_from([FIRST, FIRST + timedelta(days=4)]), st.sampled_from([None, "proj_a"]),
              st.sampled_from(MODELS), st.just("standard"), st.sampled_from([*UNITS, "reasoning_tokens"])),
    st.booleans(), st.integers(0, 23), st.integers(0, 1000),
), max_size=8)  # fmt: skip
anything_of_rates = st.fixed_dictionaries(
    {FIRST + timedelta(days=n): st.sampled_from([Decimal(1400), Decimal("1386.5"), Decimal(1)]) for n in range(5)}
)


@given(anything_ours, anything_billed, anything_at_edges, anything_of_rates)
def test_the_proof_is_zero_with_rates_and_hours_at_the_edges(
    ours: list[OurGroup], lines: list[VendorLine], edges: list[EdgeUse], rates: dict[date, Decimal]
) -> None:
    """Whatever causes take from one another, the breaks add up and none is without a reason."""
    proved(ours, lines, replace(POLICY, edge_uses=edges, rates=rates, tolerance_share=Decimal("0.1")))


@given(sold_months, st.data())
def test_rows_that_stand_twice_are_told_where_one_of_them_agrees(sold: list[Sold], data: st.DataObject) -> None:
    twice = data.draw(st.sampled_from(sold))
    lines = vendor_side(sold)
    copied = next(line for line in lines if (line.day, line.model, line.unit) == twice[:3])
    found = proved(our_side(sold), [*lines, copied])
    assert classes(found) == [BreakClass.DUPLICATE]
    assert found.breaks[0].amount == copied.amount


@given(sold_months, st.data())
def test_use_that_moves_to_the_next_day_is_period_edge(sold: list[Sold], data: st.DataObject) -> None:
    odd = data.draw(st.sampled_from(sold))
    after = odd.day + timedelta(days=1)
    assume(not any(one[:3] == (after, *odd[1:3]) for one in sold))
    moved = data.draw(st.integers(1, odd.tokens))
    billed = [one._replace(tokens=one.tokens - moved) if one == odd else one for one in sold]
    lines = vendor_side([one for one in [*billed, odd._replace(day=after, tokens=moved)] if one.tokens])
    found = proved(our_side(sold), lines)
    assert classes(found) == [BreakClass.PERIOD_EDGE] * 2
    assert sum(one.amount for one in found.breaks) == 0


@given(anything_ours, anything_billed, st.randoms(use_true_random=False))
def test_the_order_of_lines_decides_nothing(ours: list[OurGroup], lines: list[VendorLine], random: object) -> None:
    first = proved(ours, lines)
    random.shuffle(ours)  # type: ignore[attr-defined]
    random.shuffle(lines)  # type: ignore[attr-defined]
    again = proved(ours, lines)
    assert [(one.cls, one.amount, one.key) for one in first.breaks] == [
        (one.cls, one.amount, one.key) for one in again.breaks
    ]


@given(sold_months)
def test_a_clean_month_has_no_break(sold: list[Sold]) -> None:
    found = proved(our_side(sold), vendor_side(sold))
    assert found.breaks == ()
    assert found.matched_groups == len(sold)
    assert found.matched_amount == found.invoice_total


@given(sold_months, st.integers(2, 8))
def test_a_rounded_month_has_rounding_within_its_bound_only(sold: list[Sold], digits: int) -> None:
    step = 10 ** (9 - digits)
    lines = [
        line_of(one, (one.tokens * PRICE_NANO[one.model, one.unit] + step // 2) // step * step, one.tokens)
        for one in sold
    ]
    found = proved(our_side(sold), lines)
    assert set(classes(found)) <= {BreakClass.ROUNDING}
    assert all(abs(one.amount) <= Decimal("0.005") for one in found.breaks)
    assert found.matched_groups == len(sold)


@given(sold_months, st.data())
def test_a_missing_line_of_the_vendors_is_not_billed(sold: list[Sold], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sold))
    found = proved(our_side(sold), vendor_side([one for one in sold if one != gone]))
    assert classes(found) == [BreakClass.NOT_BILLED]
    assert found.breaks[0].amount == -gone.tokens * PRICE_NANO[gone.model, gone.unit] * NANO


@given(sold_months, st.data())
def test_use_that_we_did_not_see_is_bypass(sold: list[Sold], data: st.DataObject) -> None:
    unseen = data.draw(st.sampled_from(sold))
    found = proved(our_side([one for one in sold if one != unseen]), vendor_side(sold))
    assert classes(found) == [BreakClass.BYPASS]
    assert found.breaks[0].amount == unseen.tokens * PRICE_NANO[unseen.model, unseen.unit] * NANO


@given(sold_months, st.data(), st.integers(-999, 10_000).filter(bool))
def test_other_tokens_at_the_same_price_are_quantity(sold: list[Sold], data: st.DataObject, more: int) -> None:
    odd = data.draw(st.sampled_from(sold))
    billed = [one._replace(tokens=one.tokens + more) if one == odd else one for one in sold]
    found = proved(our_side(sold), vendor_side(billed))
    assert classes(found) == [BreakClass.QUANTITY]
    assert found.breaks[0].amount == more * PRICE_NANO[odd.model, odd.unit] * NANO


@given(sold_months, st.data(), st.integers(-9, 50).filter(bool))
def test_the_same_tokens_at_another_price_are_price(sold: list[Sold], data: st.DataObject, dearer: int) -> None:
    odd = data.draw(st.sampled_from(sold))
    lines = [
        line_of(one, one.tokens * (PRICE_NANO[one.model, one.unit] + (dearer if one == odd else 0)), one.tokens)
        for one in sold
    ]
    found = proved(our_side(sold), lines)
    assert classes(found) == [BreakClass.PRICE]
    assert found.breaks[0].amount == dearer * odd.tokens * NANO


@given(sold_months, st.data(), st.integers(-999, 10_000).filter(bool), st.integers(1, 50))
def test_price_and_quantity_in_one_group_separate_exactly(
    sold: list[Sold], data: st.DataObject, more: int, dearer: int
) -> None:
    odd = data.draw(st.sampled_from(sold))
    price = PRICE_NANO[odd.model, odd.unit]
    billed = odd.tokens + more
    assume(billed > 0)
    lines = [line_of(odd, billed * (price + dearer), billed), *vendor_side([one for one in sold if one != odd])]
    found = {one.cls: one.amount for one in proved(our_side(sold), lines).breaks}
    assert found == {BreakClass.QUANTITY: more * price * NANO, BreakClass.PRICE: dearer * billed * NANO}


@given(sold_months, st.data(), st.integers(1, 1000))
def test_another_amount_without_a_quantity_is_use_or_rate(sold: list[Sold], data: st.DataObject, more: int) -> None:
    odd = data.draw(st.sampled_from(sold))
    lines = [
        line_of(one, one.tokens * PRICE_NANO[one.model, one.unit] + (more * 1000 if one == odd else 0), None)
        for one in sold
    ]
    found = proved(our_side(sold), lines)
    assert set(classes(found)) <= {BreakClass.QUANTITY, BreakClass.PRICE, BreakClass.UNIT_SCALE, BreakClass.ROUNDING}
    assert sum(one.amount for one in found.breaks) == more * 1000 * NANO
    assert BreakClass.UNIT_SCALE in classes(found) or all(one.may_be for one in found.breaks)


@given(sold_months, st.data(), st.integers(-999, 10_000).filter(bool), st.integers(0, 50))
def test_day_totals_with_a_usage_export_separate_quantity_and_price(
    sold: list[Sold], data: st.DataObject, more: int, dearer: int
) -> None:
    odd = data.draw(st.sampled_from(sold))
    billed = [one._replace(tokens=one.tokens + more) if one == odd else one for one in sold]
    nano_by_day: dict[date, int] = {}
    for one in billed:
        extra = dearer if one[:3] == odd[:3] else 0
        nano_by_day[one.day] = nano_by_day.get(one.day, 0) + one.tokens * (PRICE_NANO[one.model, one.unit] + extra)
    lines = [
        VendorLine("test", day, LineKind.TOTAL, None, amount=nano * NANO, currency="USD")
        for day, nano in nano_by_day.items()
    ]
    lines += [
        VendorLine(
            "test", one.day, LineKind.QUANTITY, None, None, one.model, one.unit, None, Decimal(one.tokens), Decimal(1)
        )
        for one in billed
    ]
    policy = replace(POLICY, rounding_unit=NANO)  # two totals may both end in zeros and look coarser than they are
    found = {one.cls: one.amount for one in proved(our_side(sold), lines, policy).breaks}
    expected = {BreakClass.QUANTITY: more * PRICE_NANO[odd.model, odd.unit] * NANO}
    if dearer:
        expected[BreakClass.PRICE] = dearer * (odd.tokens + more) * NANO
    assert found == expected


@given(
    sold_months,
    st.lists(
        st.tuples(
            st.sampled_from([LineKind.TAX, LineKind.CREDIT, LineKind.FEE]), st.integers(-(10**9), 10**9).filter(bool)
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_lines_that_are_no_use_are_classed_by_kind(sold: list[Sold], extra: list[tuple[LineKind, int]]) -> None:
    names = {LineKind.TAX: BreakClass.TAX, LineKind.CREDIT: BreakClass.CREDIT_OR_DISCOUNT, LineKind.FEE: BreakClass.FEE}
    lines = vendor_side(sold) + [
        VendorLine("test", FIRST, kind, f"line {place}", amount=nano * NANO, currency="USD")
        for place, (kind, nano) in enumerate(extra)
    ]
    found = proved(our_side(sold), lines)
    assert classes(found) == sorted(names[kind] for kind, _ in extra)


def test_a_planted_defect_in_valuation_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """QUANTITY valued at the vendor's price instead of ours: the sum still proves, the class amounts do not."""
    from billing.reconciliation import fine

    monkeypatch.setattr(fine, "worth_of", lambda more, cell: more * cell.money.amount / cell.vendor_quantity)
    with pytest.raises(AssertionError):
        test_price_and_quantity_in_one_group_separate_exactly()
