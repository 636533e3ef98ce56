"""What-if as properties: the same book changes nothing, doubled prices cost the same again, parts add up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

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
from billing.whatif.compare import Cell, Cells, Columns, Kept, Pricing, Question, compare, fold
from billing.whatif.document import whatif_document

if TYPE_CHECKING:
    from collections.abc import Sequence

MONTH = month_in("2026-10", "Asia/Seoul")
UNITS = ("input_tokens", "output_tokens", "reasoning_tokens", "cache_read_tokens", "requests", "pages")
DEPARTMENTS = ("D1", "D2", None)
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


class Use(NamedTuple):
    """What a department used within one stretch of hours: quantities of UNITS in their order."""

    department: str | None
    question: Question
    quantities: tuple[int, ...]


uses = st.lists(
    st.builds(
        Use,
        st.sampled_from(["D1", "D2", None]),
        st.builds(
            Question, st.sampled_from([MONTH.first_hour, MONTH.first_hour + 200]), st.just("p"),
            st.sampled_from(MODELS), st.sampled_from(["standard", "batch"]), st.none(),
            st.sampled_from([0, 200_000]), st.booleans(),
        ),
        st.tuples(*(st.one_of(st.just(0), st.integers(-100, 10**12)) for _ in UNITS)),
    ),
    max_size=12,
)  # fmt: skip


def table(found: Sequence[Use], *, has_rate: bool = True) -> Kept:
    """Kept sums as SQL gives them: quantities, quantities by the dollar's rate in its tenths, and what has no rate."""
    rows = []
    for place, use in enumerate(found):
        weights = tuple(quantity * 14005 if has_rate else 0 for quantity in use.quantities)
        gaps = () if has_rate else use.quantities
        rows.append((place, DEPARTMENTS.index(use.department), *use.quantities, *weights, *gaps))
    columns = Columns(UNITS, ("USD",), 1, not has_rate)
    return Kept([use.question for use in found], DEPARTMENTS, columns, rows)


def document(cells: Cells) -> Any:
    return whatif_document({"2026-10": cells}, {}, MoneyPolicy(), {}, {})


@given(found=uses, rows=books())
def test_the_same_book_makes_no_difference_anywhere(found: list[Use], rows: list[PriceRow]) -> None:
    cells = compare([table(found)], Pricing(PriceBook(rows)), Pricing(PriceBook(rows)), "KRW")
    assert all(cell.difference == 0 and cell.now == cell.then for cell in cells.values())
    made = document(cells)
    for name in ("by_department", "by_model", "by_month"):
        assert all(row["difference"] == "0" and row["now"] == row["then"] for row in made[name])


@given(found=uses, rows=books())
def test_doubled_prices_cost_exactly_the_same_again(found: list[Use], rows: list[PriceRow]) -> None:
    doubled = [replace(row, price=row.price * 2) for row in rows]
    for cell in compare([table(found)], Pricing(PriceBook(rows)), Pricing(PriceBook(doubled)), "KRW").values():
        assert cell.difference == cell.now
        assert cell.unknown_now == cell.unknown_then


@given(found=uses, rows=books(), others=books())
def test_rows_and_columns_add_up(found: list[Use], rows: list[PriceRow], others: list[PriceRow]) -> None:
    cells = compare([table(found)], Pricing(PriceBook(rows)), Pricing(PriceBook(others)), "KRW")
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


@given(found=uses, rows=books(), others=books(), has_rate=st.booleans())
def test_both_ways_of_rating_agree(
    found: list[Use], rows: list[PriceRow], others: list[PriceRow], has_rate: bool
) -> None:
    """Sum by sum in decimals, as where there are volume tiers, every figure is the same to the last digit."""
    rates = FxTable([FxRow(1, MONTH.days[0], "USD", "KRW", Decimal("1400.5"), "drawn")] if has_rate else [])
    conversion = Conversion(rates, VendorTerms(()), MONTH, MoneyPolicy())
    daily = [
        UsageSum(
            (use.department,), *use.question, tuple(pair for pair in zip(UNITS, use.quantities, strict=True) if pair[1])
        )
        for use in found
    ]
    now, then = Pricing(PriceBook(rows)), Pricing(PriceBook(others), {("p", "m-1"): ("p", "m-2")})
    fast = compare([table(found, has_rate=has_rate)], now, then, "KRW")
    slow = compare_by_volume(daily, now, then, conversion)
    nothing = Cell()
    assert {key: cell for key, cell in fast.items() if cell != nothing} == {
        key: cell for key, cell in slow.items() if cell != nothing
    }


def test_a_planted_difference_is_seen() -> None:
    """The properties above can fail: one price that differs is one difference."""
    key = PriceKey("p", "m-1", "input_tokens", "standard", None, 0)
    row = PriceRow(1, "contract", key, "KRW", Decimal(1), 1000, 0, None, "drawn")
    question = Question(MONTH.first_hour, "p", "m-1", "standard", None, 0, False)
    one = table([Use("D1", question, (1500, 0, 0, 0, 0, 0))])
    other = PriceBook([replace(row, price=Decimal(3))])
    (cell,) = compare([one], Pricing(PriceBook([row])), Pricing(other), "KRW").values()
    assert (cell.now, cell.then, cell.difference) == (Decimal("1.5"), Decimal("4.5"), Decimal(3))
    (gone,) = compare([one], Pricing(PriceBook([row])), Pricing(PriceBook([])), "KRW").values()
    assert (gone.difference, gone.lost, gone.unknown_then) == (None, 1500, 1500)
