"""What-if as properties: the same book changes nothing, doubled prices cost the same again, parts add up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from billing.fx import FxRow, FxTable
from billing.fx_policy import Conversion
from billing.invoices.vendor_terms import VendorTerms
from billing.periods import month_in
from billing.policy import MoneyPolicy
from billing.prices import PriceBook, PriceKey, PriceRow
from billing.rating import UsageSum
from billing.whatif.by_volume import compare_by_volume
from billing.whatif.compare import Cells, KeptSum, KeptUnit, Pricing, Weight, compare, fold
from billing.whatif.document import whatif_document

MONTH = month_in("2026-10", "Asia/Seoul")
UNITS = ("input_tokens", "output_tokens", "reasoning_tokens", "cache_read_tokens", "requests", "pages")
MODELS = ("m-1", "m-2", "m-2-2026-01-01")
prices = st.decimals(0, 100, places=4, allow_nan=False, allow_infinity=False)


@st.composite
def books(draw: st.DrawFn) -> list[PriceRow]:
    """A few rows, some of them only for a part of the month, in three currencies (one has no rate)."""
    rows = []
    for number in range(1, draw(st.integers(1, 8)) + 1):
        key = PriceKey(
            "p", draw(st.sampled_from(MODELS)), draw(st.sampled_from(UNITS)), draw(st.sampled_from(["standard", "*"])),
            None, draw(st.sampled_from([0, 200_000])),
        )  # fmt: skip
        start = draw(st.sampled_from([0, MONTH.first_hour + 100]))
        currency = draw(st.sampled_from(["USD", "KRW", "EUR"]))
        rows.append(PriceRow(number, "contract", key, currency, draw(prices), 1000, start, None, "drawn"))
    return rows


@st.composite
def kept(draw: st.DrawFn) -> list[KeptSum]:
    found = []
    for _ in range(draw(st.integers(0, 12))):
        units = tuple(
            KeptUnit(unit, quantity, {"USD": Weight(quantity * Decimal("1400.5"), 0)})
            for unit in draw(st.lists(st.sampled_from(UNITS), unique=True, max_size=4))
            for quantity in [draw(st.integers(-100, 10**12))]
        )
        found.append(
            KeptSum(
                draw(st.sampled_from(["D1", "D2", None])),
                draw(st.sampled_from([MONTH.first_hour, MONTH.first_hour + 200])),
                "p", draw(st.sampled_from(MODELS)), draw(st.sampled_from(["standard", "batch"])), None,
                draw(st.sampled_from([0, 200_000])), draw(st.booleans()), units,
            )
        )  # fmt: skip
    return found


def document(cells: Cells) -> Any:
    return whatif_document({"2026-10": cells}, {}, MoneyPolicy(), {}, {})


@given(sums=kept(), rows=books())
def test_the_same_book_makes_no_difference_anywhere(sums: list[KeptSum], rows: list[PriceRow]) -> None:
    cells = compare(sums, Pricing(PriceBook(rows)), Pricing(PriceBook(rows)), "KRW")
    assert all(cell.difference == 0 and cell.now == cell.then for cell in cells.values())
    made = document(cells)
    for name in ("by_department", "by_model", "by_month"):
        assert all(row["difference"] == "0" and row["now"] == row["then"] for row in made[name])


@given(sums=kept(), rows=books())
def test_doubled_prices_cost_exactly_the_same_again(sums: list[KeptSum], rows: list[PriceRow]) -> None:
    doubled = [replace(row, price=row.price * 2) for row in rows]
    for cell in compare(sums, Pricing(PriceBook(rows)), Pricing(PriceBook(doubled)), "KRW").values():
        assert cell.difference == cell.now
        assert cell.unknown_now == cell.unknown_then


@given(sums=kept(), rows=books(), others=books())
def test_rows_and_columns_add_up(sums: list[KeptSum], rows: list[PriceRow], others: list[PriceRow]) -> None:
    cells = compare(sums, Pricing(PriceBook(rows)), Pricing(PriceBook(others)), "KRW")
    made = document(cells)
    total = made["total"]
    for name in ("by_department", "by_model", "by_month"):
        shown = made[name]
        assert sum(Fraction(row["now_exact"]) for row in shown) == Fraction(total["now_exact"])
        assert sum(int(row["now"]) for row in shown) == int(total["now"])
        if total["difference"] is not None:
            assert sum(int(row["difference"]) for row in shown) == int(total["difference"])
            assert abs(Fraction(total["difference_exact"]) - int(total["difference"])) * 2 <= 1
        known = [row for row in shown if row["then"] is not None]
        assert all(int(row["now"]) + int(row["difference"]) == int(row["then"]) for row in known)
    folded = fold(cells, (0,))
    assert sum(cell.lost for cell in folded.values()) == int(total["lost_quantity"])


@given(sums=kept(), rows=books(), others=books())
def test_both_ways_of_rating_agree(sums: list[KeptSum], rows: list[PriceRow], others: list[PriceRow]) -> None:
    """The way for volume tiers, which takes a day at a time, comes to the same where there are none."""
    rates = FxTable([FxRow(1, MONTH.days[0], "USD", "KRW", Decimal("1400.5"), "drawn")])
    conversion = Conversion(rates, VendorTerms(()), MONTH, MoneyPolicy())
    daily = [
        UsageSum(
            (one.department,), one.hour, one.provider, one.model, one.service_tier, one.region, one.band, one.cached,
            tuple((unit.unit, unit.quantity) for unit in one.units),
        )
        for one in sums
    ]  # fmt: skip
    now, then = Pricing(PriceBook(rows)), Pricing(PriceBook(others), {("p", "m-1"): ("p", "m-2")})
    fast, slow = compare(sums, now, then, "KRW"), compare_by_volume(daily, now, then, conversion)
    assert {key: cell for key, cell in fast.items() if cell.now or cell.then} == {
        key: cell for key, cell in slow.items() if cell.now or cell.then
    }


def test_a_planted_difference_is_seen() -> None:
    """The properties above can fail: one price that differs is one difference."""
    key = PriceKey("p", "m-1", "input_tokens", "standard", None, 0)
    row = PriceRow(1, "contract", key, "KRW", Decimal(1), 1000, 0, None, "drawn")
    one = KeptSum("D1", MONTH.first_hour, "p", "m-1", "standard", None, 0, False, (KeptUnit("input_tokens", 1500, {}),))
    other = PriceBook([replace(row, price=Decimal(3))])
    (cell,) = compare([one], Pricing(PriceBook([row])), Pricing(other), "KRW").values()
    assert (cell.now, cell.then, cell.difference) == (Fraction(3, 2), Fraction(9, 2), Fraction(3))
    (gone,) = compare([one], Pricing(PriceBook([row])), Pricing(PriceBook([])), "KRW").values()
    assert (gone.difference, gone.lost, gone.unknown_then) == (None, 1500, 1500)
