"""Edges of the matching: grain, names, tiers, mixed prices, coarse units, provisional days, other currencies."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.invoices.lines import LineKind, VendorLine
from billing.reconciliation.bridge import bridge, largest
from billing.reconciliation.groups import Break, BreakClass, OurGroup, Policy, PriceUse, Reconciliation, UsageKey
from billing.reconciliation.names import joined_names
from billing.reconciliation.reconcile import is_open, reconcile

DAY = date(2026, 10, 3)
SNAPSHOT = "gpt-5-mini-2025-08-07"
CHEAP = PriceUse("P-000001", Decimal("0.000001"), "USD", date(2026, 1, 1))
FIVE = PriceUse("P-000005", Decimal("0.000005"), "USD", date(2026, 1, 1))
DEAR = PriceUse("P-000002", Decimal("0.000003"), "USD", date(2026, 10, 3))


def listed(_day: date, model: str, _tier: str, _unit: str) -> PriceUse | None:
    """A book that knows everything but the mystery."""
    return None if model == "mystery" else CHEAP


POLICY = Policy("USD", price=listed, folds={"reasoning_tokens": "output_tokens"})


def ours(
    quantity: int,
    *,
    unit: str = "input_tokens",
    model: str = SNAPSHOT,
    account: str | None = None,
    tier: str = "standard",
    price: PriceUse | None = CHEAP,
    day: date = DAY,
) -> OurGroup:
    """A group of ours."""
    key = UsageKey(day, account, model, tier, unit)
    if price is None:
        return OurGroup(key, quantity, None)
    return OurGroup(key, quantity, quantity * price.unit_price, price.currency, (price,))


def billed(
    amount: str,
    quantity: int | None = None,
    *,
    unit: str | None = "input_tokens",
    model: str | None = SNAPSHOT,
    kind: LineKind = LineKind.USAGE,
    **more: Any,
) -> VendorLine:
    """A line of the vendor's."""
    return VendorLine("line 2", more.pop("day", DAY), kind, more.pop("text", None), model=model, unit=unit,
                      quantity=None if quantity is None else Decimal(quantity), amount=Decimal(amount),
                      currency="USD", **more)  # fmt: skip


def told(quantity: int, *, unit: str = "input_tokens", model: str = SNAPSHOT, **more: Any) -> VendorLine:
    """A line of a usage export."""
    return VendorLine(
        "line 2", DAY, LineKind.QUANTITY, None, model=model, unit=unit, quantity=Decimal(quantity), **more
    )


def run(mine: list[OurGroup], theirs: list[VendorLine], policy: Policy = POLICY) -> Reconciliation:
    """Reconcile; the proof is 0."""
    found = reconcile(mine, theirs, policy)
    assert found.proof.difference == 0
    return found


def named(found: Reconciliation) -> dict[str, str]:
    """Class to amount; classes occur once."""
    names = [str(one.cls) for one in found.breaks]
    assert len(names) == len(set(names)), names
    return {str(one.cls): format(one.amount.normalize(), "f") for one in found.breaks}


def test_reasoning_is_inside_the_vendors_output() -> None:
    mine = [ours(700, unit="output_tokens"), ours(300, unit="reasoning_tokens")]
    assert run(mine, [billed("0.001", 1000, unit="output_tokens")]).breaks == ()


def test_a_mean_price_splits_quantity_and_price_to_the_last_digit() -> None:
    """Two of our prices on one day: QUANTITY at their mean, both parts still add up exactly."""
    found = run([ours(100), ours(233, price=DEAR)], [billed("0.002001", 1000)])
    assert [one.cls for one in found.breaks] == [BreakClass.QUANTITY, BreakClass.PRICE]
    assert sum(one.amount for one in found.breaks) == Decimal("0.002001") - Decimal("0.000799")
    assert "P-000001" in found.breaks[0].why
    assert "P-000002" in found.breaks[0].why


@pytest.mark.parametrize(
    ("amount", "quantity", "expected"),
    [
        ("0.01", 1001, {"ROUNDING": "0.004995"}),
        ("0.00", 999, {"ROUNDING": "-0.004995"}),
        ("0.00", 1001, {"PRICE": "-0.005005"}),
        ("0.02", 1001, {"PRICE": "0.014995"}),
        ("0.01", 1003, {"QUANTITY": "0.00001", "ROUNDING": "0.004985"}),
        ("0.01", None, {"ROUNDING": "0.004995"}),
        ("0.02", None, {"QUANTITY": "0.014995"}),
        ("0.01", 0, {"QUANTITY": "-0.005005", "UNEXPLAINED": "0.01"}),
        ("0", 0, {"QUANTITY": "-0.005005"}),
    ],
)
def test_one_cell_around_the_bound_of_a_vendor_who_writes_cents(
    amount: str, quantity: int | None, expected: dict[str, str]
) -> None:
    """Ours is 1001 (999 where the vendor says 999) at 0.000005; half a cent is the bound of one row."""
    mine = ours(999 if quantity == 999 else 1001, price=FIVE)
    assert named(run([mine], [billed(amount, quantity)])) == expected


def test_rows_that_are_rounded_each_widen_the_bound() -> None:
    rows = [billed("0.01", 1001)] * 3
    assert named(run([ours(3003, price=FIVE)], rows)) == {"ROUNDING": "0.014985"}


def test_noise_of_binary_doubles_is_rounding() -> None:
    assert named(run([ours(300_000)], [billed("0.30000000000000004", 300_000)])) == {"ROUNDING": "0.00000000000000004"}


def test_a_quantity_in_whole_thousands_hides_less_than_half_a_thousand() -> None:
    line = billed("0.059", 59_000, quantity_step=Decimal(1000))
    assert named(run([ours(59_200)], [line])) == {"ROUNDING": "-0.0002"}
    assert "QUANTITY" in named(run([ours(59_700)], [line]))
    fine = billed("0.0000001", 100, unit="output_tokens", quantity_step=Decimal(100))
    assert "QUANTITY" not in named(run([ours(59_200)], [line, replace(fine, day=date(2026, 10, 4))]))


def test_unknown_model_goes_before_bypass_and_takes_unpriced_use() -> None:
    assert named(run([], [billed("1", 10, model="mystery")])) == {"UNKNOWN_MODEL": "1"}
    found = run([ours(10, price=None)], [billed("1", 10)])
    assert named(found) == {"UNKNOWN_MODEL": "1"}
    assert found.breaks[0].ours is not None
    assert found.breaks[0].ours.amount is None
    assert named(run([], [billed("1", 10)])) == {"BYPASS": "1"}


def test_unpriced_use_that_nobody_billed_shows_and_is_no_break() -> None:
    apart = run([ours(10, price=None, unit="cache_write_tokens"), ours(5)], [billed("0.000005", 5)])
    assert (apart.breaks, apart.unpriced_not_billed) == ((), 1)


def test_uncounted_requests_are_no_use() -> None:
    assert run([ours(3, unit="requests", price=None), ours(5)], [billed("0.000005", 5)]).unpriced_not_billed == 0


def test_accounts_are_folded_where_one_side_does_not_tell_them() -> None:
    mine = [ours(1, account="proj_a"), ours(2, account="proj_b")]
    assert run(mine, [billed("0.000003", 3)]).breaks == ()
    assert run(mine, [billed("0.000003", 3, account="default")]).breaks == ()
    apart = run(mine, [billed("0.000002", 2, account="proj_a"), billed("0.000001", 1, account="proj_b")])
    assert (apart.breaks, apart.matched_groups) == ((), 1), "together they agree: matched without the account"
    more = run(mine, [billed("0.000002", 2, account="proj_a"), billed("0.000002", 2, account="proj_b")])
    assert [(one.cls, one.key.account) for one in more.breaks] == [(BreakClass.QUANTITY, "proj_a")]


def test_tiers_are_kept_apart_where_the_vendor_bills_them_apart() -> None:
    mine = [ours(10), ours(20, tier="batch")]
    assert run(mine, [billed("0.00003", 30)]).breaks == ()
    found = run(mine, [billed("0.00003", 30), billed("0.00002", 20, service_tier="batch")])
    assert [(one.cls, one.key.service_tier) for one in found.breaks] == [(BreakClass.QUANTITY, "standard")]


def test_a_unit_billed_without_a_model_is_folded_over_models() -> None:
    mine = [ours(3, unit="web_searches", model="a"), ours(4, unit="web_searches", model="b")]
    assert run(mine, [billed("0.000007", 7, unit="web_searches", model=None)]).breaks == ()


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        ({"gpt-4o-2024-08-06"}, {"GPT-4o"}, ({"gpt-4o-2024-08-06": "gpt-4o"}, {"GPT-4o": "gpt-4o"})),
        ({"gpt-4o"}, {"gpt-4o-2024-08-06"}, ({"gpt-4o": "gpt-4o"}, {"gpt-4o-2024-08-06": "gpt-4o"})),
        ({"gpt-4o-2024-08-06"}, {"gpt-4o-2024-05-13"},
         ({"gpt-4o-2024-08-06": "gpt-4o-2024-08-06"}, {"gpt-4o-2024-05-13": "gpt-4o-2024-05-13"})),
        ({"gpt-4o", "gpt-4o-2024-08-06"}, {"gpt-4o"},
         ({"gpt-4o": "gpt-4o", "gpt-4o-2024-08-06": "gpt-4o-2024-08-06"}, {"gpt-4o": "gpt-4o"})),
    ],
)  # fmt: skip
def test_names_are_joined_between_a_snapshot_and_its_family_only(
    mine: set[str], theirs: set[str], expected: tuple[dict[str, str], dict[str, str]]
) -> None:
    assert joined_names(mine, theirs) == expected


def test_days_that_have_not_settled_are_provisional() -> None:
    policy = replace(POLICY, settled_before=DAY)
    assert [one.provisional for one in run([ours(1)], [], policy).breaks] == [True]
    assert [one.provisional for one in run([ours(1, day=date(2026, 10, 2))], [], policy).breaks] == [False]


def test_a_day_without_an_import_says_so() -> None:
    policy = replace(POLICY, covered_days=frozenset({date(2026, 10, 2)}))
    assert "no import covers this day" in run([ours(1)], [], policy).breaks[0].why
    assert "covers this day and has no row" in run([ours(1, day=date(2026, 10, 2))], [], policy).breaks[0].why


def total(amount: str) -> VendorLine:
    """A day total."""
    return billed(amount, unit=None, model=None, kind=LineKind.TOTAL)


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        ([], [total("1")], {"BYPASS": "1"}),
        ([ours(1000)], [total("0.001")], {}),
        ([ours(1000)], [total("0.0011")], {"QUANTITY": "0.0001"}),
        ([ours(1004)], [total("0.00101")], {"QUANTITY": "0.000006"}),
        ([ours(1004)], [total("0.00100")], {"ROUNDING": "-0.000004"}),
        ([ours(1000, price=None)], [total("0.001")], {"UNKNOWN_MODEL": "0.001"}),
        ([ours(1000)], [total("0.0012"), told(1200)], {"QUANTITY": "0.0002"}),
        ([ours(1000)], [total("0.0024"), told(1200)], {"QUANTITY": "0.0002", "PRICE": "0.0012"}),
        ([], [total("0.0012"), told(1200)], {"BYPASS": "0.0012"}),
        ([], [total("0.0012"), told(1200, model="mystery")], {"UNKNOWN_MODEL": "0.0012"}),
        ([ours(1000), ours(7, model="other")], [total("0.001"), told(1000)], {"NOT_BILLED": "-0.000007"}),
        ([ours(1000, unit="web_searches"), ours(5)], [total("0.001005"), told(5)], {}),
        ([ours(1000)], [total("0.1"), told(1000)], {"UNIT_SCALE": "0.099"}),
        ([ours(1000)], [total("0.12"), told(1200)], {"QUANTITY": "0.0002", "UNIT_SCALE": "0.1188"}),
        ([ours(1000)], [total("0.1")], {"UNIT_SCALE": "0.099"}),
    ],
)
def test_day_totals(mine: list[OurGroup], theirs: list[VendorLine], expected: dict[str, str]) -> None:
    assert named(run(mine, theirs)) == expected


def test_a_day_that_a_totals_only_vendor_leaves_out_is_one_break() -> None:
    later = ours(10, day=date(2026, 10, 4)), ours(20, day=date(2026, 10, 4), model="other")
    found = run([ours(1000), *later], [total("0.001")])
    assert [(one.cls, one.amount, one.key.model) for one in found.breaks] == [
        (BreakClass.NOT_BILLED, Decimal("-0.00003"), None)
    ]


def test_kinds_of_lines_have_classes_of_their_own() -> None:
    lines = [
        billed("0.000005", 5),
        billed("1.5", unit=None, model=None, kind=LineKind.TAX, text="VAT"),
        billed("-2", kind=LineKind.CREDIT, text="credit"),
        billed("0.3", unit=None, model=None, kind=LineKind.FEE),
    ]
    assert named(run([ours(5)], lines)) == {"TAX": "1.5", "CREDIT_OR_DISCOUNT": "-2", "FEE": "0.3"}


def test_another_currency_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="one currency at a time"):
        reconcile([replace(ours(1), currency="KRW")], [], POLICY)


def test_a_cell_summed_wrongly_breaks_the_proof() -> None:
    """The proof takes the invoice from elsewhere, so that lost money shows."""
    assert reconcile([ours(5)], [billed("0.000005", 5)], POLICY, Decimal("0.000006")).proof.difference == Decimal(
        "0.000001"
    )


def test_the_bridge_leads_from_ours_to_the_invoice() -> None:
    found = run([ours(1000)], [billed("0.0024", 1200), billed("1", unit=None, model=None, kind=LineKind.TAX)])
    steps = bridge(found)
    assert [step.name for step in steps] == ["ours", "TAX", "QUANTITY", "PRICE", "invoice"]
    assert steps[-2].sum_after == steps[-1].amount == found.invoice_total
    listed_breaks, more = largest(found.breaks, 1)
    assert ([one.cls for one in listed_breaks], more) == ([BreakClass.TAX], 2)


def test_rounding_asks_nobody() -> None:
    found = Break(BreakClass.ROUNDING, Decimal(1), run([ours(1)], []).breaks[0].key, None, None, "why")
    assert not is_open(found)
    assert is_open(replace(found, cls=BreakClass.UNEXPLAINED))
