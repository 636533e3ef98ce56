"""Which breaks one cell with its own money has: the order of the contract, each class by a test of its own.

The two parts of a cell's difference, QUANTITY at our price and PRICE at (vendor price - ours) x vendor quantity, add
up to the difference by algebra. Where the vendor tells no quantity, the difference is use or rate: a rate that reads
like a price says PRICE, otherwise it is taken for use, and the break says what it may be instead. UNEXPLAINED is found,
not left over: it is money for a quantity of 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.lines import UNMAPPED
from billing.money import plain
from billing.reconciliation.gaps import cell_break, priced_at
from billing.reconciliation.groups import Break, BreakClass, Figures, Policy, PriceUse
from billing.reconciliation.worth import (
    count,
    implied_price,
    our_unit_price,
    per_million,
    reads_like_a_price,
    rows_named,
    signed,
    unit_price_of,
    whole_units,
    worth_of,
)

if TYPE_CHECKING:
    from billing.reconciliation.cells import Cell, CellKey


@dataclass(frozen=True, slots=True)
class CellCase:
    """A cell as the tests see it. `listed` is the price that would have counted where we saw nothing."""

    key: CellKey
    cell: Cell
    policy: Policy

    @property
    def seen(self) -> bool:
        return self.cell.our_quantity != 0

    @property
    def billed(self) -> bool:
        return self.cell.money.rows > 0

    @property
    def difference(self) -> Decimal:
        return self.cell.money.amount - self.cell.our_amount

    @property
    def ours(self) -> Figures | None:
        return self.cell.ours

    @property
    def vendor(self) -> Figures | None:
        return self.cell.theirs

    def listed(self) -> PriceUse | None:
        """The price that our book has for this cell."""
        return priced_at(self.key, self.cell, self.policy)

    def found(self, cls: BreakClass, amount: Decimal, why: str) -> Break:
        """A break of this cell."""
        return cell_break(cls, self.key, self.cell, amount, why)


Test = Callable[[CellCase], list[Break] | None]
"""Returns the breaks where it decides (an empty list: matched), None where the next test is to decide."""


def decide_cell(case: CellCase) -> list[Break]:
    """The breaks of a cell; none where it is matched. Each cell has a test that decides: AssertionError otherwise."""
    for test in TESTS:
        breaks = test(case)
        if breaks is not None:
            return breaks
    raise AssertionError(f"no test decided {case.key}")


def _nothing_there(case: CellCase) -> list[Break] | None:
    """Neither side has money or use here, or the vendor lists a zero for nothing, or a cause has explained it all."""
    if case.cell.settled and case.difference == 0:
        return []
    if case.billed:
        return [] if not (case.seen or case.cell.money.amount or case.cell.vendor_quantity) else None
    return [] if not case.seen or (case.cell.our_amount == 0) else None


def _unknown_model(case: CellCase) -> list[Break] | None:
    """The vendor bills what our book cannot price: the name or the unit has no row (contract: no map or no price)."""
    if not case.billed:
        return None
    at = f"{case.cell.model_spelled or 'a line without model'} {case.key.unit}"
    if case.cell.unpriced:
        why = (
            f"{count(case.cell.unpriced)} of our {count(case.cell.our_quantity)} {case.key.unit} have no price: the "
            f"book has no row for {at}; import one and reconcile again"
        )
    elif not case.seen and case.key.unit == UNMAPPED:
        why = (
            f"the vendor bills {case.cell.model_spelled!r}, a wording that no importer understands: say which model "
            "and unit it means (`jangbu vendor map import`)"
        )
    elif not case.seen and case.key.model is not None and case.listed() is None:
        why = f"the vendor bills {at}, which we neither saw nor can price: map the name or import its price"
    else:
        return None
    return [case.found(BreakClass.UNKNOWN_MODEL, case.difference, why)]


def _bypass(case: CellCase) -> list[Break] | None:
    if case.seen:
        return None
    listed = case.listed()
    told = case.cell.vendor_quantity
    what = f"{count(told)} {case.key.unit}" if told is not None else case.key.unit
    priced = f"; our {rows_named([listed])} would price it" if listed else ""
    why = (
        f"the vendor bills {what} in {case.cell.money.rows} row{_s(case.cell.money.rows)}, and nothing of it passed "
        f"the gateway on this day{priced}"
    )
    return [case.found(BreakClass.BYPASS, case.difference, why)]


def _not_billed(case: CellCase) -> list[Break] | None:
    if case.billed:
        return None
    why = (
        f"we saw {count(case.cell.our_quantity)} {case.key.unit}, worth {plain(case.cell.our_amount)} by "
        f"{rows_named(case.cell.prices)}; {case.policy.silence(case.key.day)}"
    )
    return [case.found(BreakClass.NOT_BILLED, case.difference, why)]


def _equal(case: CellCase) -> list[Break] | None:
    same = _quantity_difference(case) in (None, 0)
    return [] if same and case.difference == 0 else None


def _rounding(case: CellCase) -> list[Break] | None:
    """Within rows x half the vendor's unit, the quantities equal or not told."""
    if _quantity_difference(case) not in (None, 0) or abs(case.difference) > _rounding_max(case):
        return None
    return [case.found(BreakClass.ROUNDING, case.difference, _rounding_why(case))]


def _quantity_and_price(case: CellCase) -> list[Break] | None:
    """Both parts at once; each stands only where it is not 0."""
    more = _quantity_difference(case)
    if more is None:
        return None
    told = case.cell.vendor_quantity
    assert told is not None
    breaks = []
    part = worth_of(more, case.cell) if more else Decimal(0)
    if more:
        why = (
            f"the vendor bills {count(told)} {case.key.unit}, we saw {count(case.cell.our_quantity)}: {signed(more)} "
            f"at our {rows_named(case.cell.prices)}"
        )
        breaks.append(case.found(BreakClass.QUANTITY, part, why))
    rest = case.difference - part
    if rest == 0:
        return breaks
    if abs(rest) <= _rounding_max(case):
        breaks.append(case.found(BreakClass.ROUNDING, rest, _rounding_why(case)))
    elif told == 0:
        why = f"the vendor bills {plain(case.cell.money.amount)} for a quantity of 0: ask what it is for"
        breaks.append(case.found(BreakClass.UNEXPLAINED, rest, why))
    else:
        same = f"same {count(told)} {case.key.unit}" if not more else f"on the vendor's {count(told)} {case.key.unit}"
        why = (
            f"{same}; the vendor's rate is {implied_price(case.cell.money.amount, told)}, ours "
            f"{per_million(our_unit_price(case.cell))} by {rows_named(case.cell.prices)}; "
            f"{case.cell.money.rows} row{_s(case.cell.money.rows)} on this day"
        )
        found = case.found(BreakClass.PRICE, rest, why)
        breaks.append(replace(found, vendor_price=unit_price_of(case.cell.money.amount, told)))
    return breaks


def _without_quantity(case: CellCase) -> list[Break] | None:
    """The vendor tells no quantity: a rate that reads like a price is PRICE, else it is taken for QUANTITY."""
    cell, ours = case.cell, Decimal(case.cell.our_quantity)
    said = (
        f"the vendor bills {plain(cell.money.amount)} and tells no quantity, ours is {plain(cell.our_amount)} for "
        f"{count(ours)} {case.key.unit}"
    )
    remedy = "import the vendor's usage export of this day to be sure"
    if reads_like_a_price(cell.money.amount, ours, _rounding_max(case)):
        rate = implied_price(cell.money.amount, ours)
        why = f"{said}: on our quantity that is a rate of {rate}, which reads like a price; {remedy}"
        found = replace(case.found(BreakClass.PRICE, case.difference, why), may_be=(BreakClass.QUANTITY,))
        return [replace(found, vendor_price=unit_price_of(cell.money.amount, ours))]
    more = whole_units(case.difference, our_unit_price(cell), _rounding_max(case))
    told = f"exactly {signed(more)} at our price" if more is not None else "no rate that reads like a price"
    why = f"{said}: the difference is {told}, so it is taken for use and not for the rate; {remedy}"
    return [replace(case.found(BreakClass.QUANTITY, case.difference, why), may_be=(BreakClass.PRICE,))]


TESTS: tuple[Test, ...] = (
    _nothing_there, _unknown_model, _bypass, _not_billed, _equal, _rounding, _quantity_and_price, _without_quantity,
)  # fmt: skip
"""In the contract's order. A new class adds its test at its place."""


def _quantity_difference(case: CellCase) -> Decimal | None:
    """Vendor's minus ours; 0 within what a coarse unit hides; None where the vendor tells no quantity."""
    told = case.cell.vendor_quantity
    if told is None:
        return None
    more = told - case.cell.our_quantity
    return Decimal(0) if abs(more) <= case.cell.quantity_slack else more


def _rounding_max(case: CellCase) -> Decimal:
    return case.cell.money.rounding_max


def _rounding_why(case: CellCase) -> str:
    rows = case.cell.money.rows
    return (
        f"{rows} row{_s(rows)} rounded by the vendor may be off by {plain(_rounding_max(case))}; "
        f"this is {plain(abs(case.difference))}"
    )


def _s(number: int) -> str:
    return "" if number == 1 else "s"


def settled(found: Break, policy: Policy) -> Break:
    """The break with its flag: days that the vendor may still revise are provisional."""
    before = policy.settled_before
    return replace(found, provisional=before is not None and found.key.day >= before)
