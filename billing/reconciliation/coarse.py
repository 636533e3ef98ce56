"""Which breaks a day has whose money comes as one total without model and unit.

Where a usage export tells the day's quantities, they are compared cell by cell at our prices, and what the total then
still differs by is rate. Where none does, only the day as a whole can be judged: billed or not, rounding,
another unit, or taken for use with what it may be instead and the remedy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.money import exact, plain
from billing.reconciliation.fine import CellCase
from billing.reconciliation.groups import Break, BreakClass, BreakKey, Figures, Policy
from billing.reconciliation.levels import INVOICE
from billing.reconciliation.scales import POWERS, power_of, times
from billing.reconciliation.worth import count, our_unit_price, reads_like_a_price, rows_named, signed, worth_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.reconciliation.cells import Cell, CellKey, DayKey, Money
BEYOND_PRICE_TIMES = 50
"""A total that is over by more than so many times its worth is in another unit for some line, never another price."""
NEARLY_ALL_PARTS = 1_000
"""Such a line explains all but a thousandth of it."""
SURE_OF_ONE, SURE_OF_TWO = 20, 1_000
"""How much finer than a price's last digit rounding must be, where one line is tried, and where pairs of lines are."""


@dataclass(frozen=True, slots=True)
class DayCase:
    """A coarse day, of one account and model where the grain holds them. `told`: a usage export speaks of this day."""

    at: DayKey
    money: Money
    cells: Mapping[CellKey, Cell]
    told: bool
    policy: Policy

    @property
    def our_amount(self) -> Decimal:
        return sum((cell.our_amount for cell in self.cells.values()), Decimal(0))

    @property
    def seen(self) -> bool:
        return any(cell.our_quantity for cell in self.cells.values())

    @property
    def unpriced(self) -> bool:
        return any(cell.unpriced for cell in self.cells.values())

    @property
    def difference(self) -> Decimal:
        return self.money.amount - self.our_amount

    def found(self, cls: BreakClass, amount: Decimal, why: str) -> Break:
        """A break of the day as a whole."""
        shown = [cell.ours for cell in self.cells.values() if cell.ours is not None]
        together = sum((one.amount for one in shown if one.amount is not None), Decimal(0))
        ours = Figures(None, None if self.unpriced else together) if shown else None
        vendor = Figures(None, self.money.amount) if self.money.rows else None
        key = BreakKey(self.at.day, self.at.model, account=self.at.account)
        return Break(cls, amount, key, ours, vendor, why, level=INVOICE, rows=self.money.rows)


def decide_day(case: DayCase) -> list[Break]:
    """The breaks of a coarse day; none where it is matched."""
    if not case.money.rows:
        return _day_not_billed(case)
    if not case.seen and not case.told:
        why = f"the vendor bills {plain(case.money.amount)} for this day, on which nothing passed the gateway"
        return [case.found(BreakClass.BYPASS, case.money.amount, why)] if case.money.amount else []
    return _by_quantities(case) if case.told else _by_total(case)


def _day_not_billed(case: DayCase) -> list[Break]:
    if case.our_amount == 0:
        return []
    why = f"we saw use worth {plain(case.our_amount)}; {case.policy.silence(case.at.day)}"
    return [case.found(BreakClass.NOT_BILLED, case.difference, why)]


def _by_total(case: DayCase) -> list[Break]:
    """Only two totals to compare."""
    if case.unpriced:
        names = sorted({cell.model_spelled or "" for cell in case.cells.values() if cell.unpriced})
        why = f"our use of {', '.join(names)} has no price, so the day's total cannot be compared; import the prices"
        return [case.found(BreakClass.UNKNOWN_MODEL, case.difference, why)]
    if case.difference == 0:
        return []
    if abs(case.difference) <= case.money.rounding_max:
        return [_rounding(case, case.difference)]
    said = f"the vendor's total is {plain(case.money.amount)}, ours {plain(case.our_amount)}"
    power = power_of(case.money.amount, case.our_amount, case.money.rounding_max)
    if power is not None:
        why = f"{said}: the one is {times(power)} of the other, another unit and no other use"
        return [case.found(BreakClass.UNIT_SCALE, case.difference, why)]
    why = (
        f"{said}, and nothing tells the quantities: use or rate, taken for use; import the vendor's usage export of "
        "this day, or its costs by line item, to be sure"
    )
    return [replace(case.found(BreakClass.QUANTITY, case.difference, why), may_be=(BreakClass.PRICE,))]


def _by_quantities(case: DayCase) -> list[Break]:
    """Cell by cell what the usage export tells, then the rate."""
    breaks: list[Break] = []
    unknown: list[str] = []
    for key, cell in case.cells.items():
        found, name = _cell_break(CellCase(key, cell, case.policy))
        breaks += [found] if found else []
        unknown += [name] if name else []
    with exact():
        rest = case.difference - sum((found.amount for found in breaks), Decimal(0))
    if rest == 0 and not unknown:
        return breaks
    if unknown:
        why = (
            f"{', '.join(sorted(set(unknown)))} has no price in our book, so what its use is worth in this day's total "
            "cannot be told; import its price and reconcile again"
        )
        return [*breaks, case.found(BreakClass.UNKNOWN_MODEL, rest, why)]
    if abs(rest) <= case.money.rounding_max:
        return [*breaks, _rounding(case, rest)]
    scaled = _scaled(case, rest)
    if scaled:
        return [*breaks, *scaled]
    return [*breaks, _rate(case, rest)]


def _scaled(case: DayCase, rest: Decimal) -> list[Break]:
    """The day's total in another unit, or one of its lines: then it is over by exactly 99 (999, ...) times its cost.

    Where that leaves a difference, it counts only if another line's rate then reads like a price: two lines that
    explain a total to the last digit are evidence, one that explains most of it is none.
    """
    power = power_of(case.money.amount, case.money.amount - rest, case.money.rounding_max)
    if power is not None:
        why = (
            f"the day's total of {plain(case.money.amount)} is {times(power)} of what its tokens cost by our prices: "
            "another unit, not another use"
        )
        return [case.found(BreakClass.UNIT_SCALE, rest, why)]
    lines = [
        (key, cell, cell.reported_quantity, cell.reported_quantity * our_unit_price(cell))
        for key, cell in sorted(case.cells.items(), key=str)
        if cell.reported_quantity and cell.our_quantity and not cell.unpriced
    ]
    tries = [
        (key, cell, told, worth.scaleb(power) - worth, power) for key, cell, told, worth in lines for power in POWERS
    ]
    for key, cell, told, over, power in tries:
        if abs(rest - over) <= case.money.rounding_max:
            return [_scaled_line(key, cell, told, rest, power)]
    if any(_is_priced(case, rest, told, worth, SURE_OF_ONE) for _, _, told, worth in lines):
        return []
    for key, cell, told, over, power in tries:
        if any(_is_priced(case, rest - over, *one[2:], SURE_OF_TWO) for one in lines if one[0] != key):
            return [_scaled_line(key, cell, told, over, power), _rate(case, rest - over)]
    if tries and abs(rest) > BEYOND_PRICE_TIMES * abs(sum((worth for _, _, _, worth in lines), Decimal(0))):
        key, cell, told, over, power = min(tries, key=lambda one: (abs(rest - one[3]), str(one[0]), one[4]))
        if abs(rest - over) * NEARLY_ALL_PARTS <= abs(rest):
            return [_scaled_line(key, cell, told, over, power), _rate(case, rest - over)]
    return []


def _is_priced(case: DayCase, rest: Decimal, told: Decimal, worth: Decimal, sure: int) -> bool:
    """Whether a difference is a line at a rate that reads like a price."""
    return reads_like_a_price(worth + rest, told, case.money.rounding_max, sure)


def _scaled_line(key: CellKey, cell: Cell, told: Decimal, over: Decimal, power: int) -> Break:
    at = BreakKey(key.day, key.model, key.unit, key.account, key.service_tier)
    why = (
        f"the day's total is off by {plain(over)}, which is what the {count(told)} {key.unit} of {key.model} come to "
        f"as {times(power)} of their price: that line is in another unit"
    )
    return Break(BreakClass.UNIT_SCALE, over, at, cell.ours, Figures(told, None), why, level=INVOICE)


def _rate(case: DayCase, rest: Decimal) -> Break:
    why = (
        f"every quantity of the day's usage export is accounted for; the vendor's total is still {signed(rest)} "
        f"against our prices ({_day_rows(case)}): a rate differs; costs by line item would name it"
    )
    return case.found(BreakClass.PRICE, rest, why)


def _cell_break(case: CellCase) -> tuple[Break | None, str | None]:
    """What a cell's quantities say, valued at our price; or the name of what has no price."""
    cell, unit = case.cell, case.key.unit
    if not unit.endswith("tokens"):
        return None, None  # a usage export of completions tells tokens only
    more = (cell.reported_quantity or Decimal(0)) - cell.our_quantity
    if cell.unpriced:
        return None, cell.model_spelled
    if more == 0 or (case.seen and cell.our_amount == 0 and not cell.reported_quantity):
        return None, None
    if case.seen:
        amount, prices = worth_of(more, cell), cell.prices
    else:
        listed = case.listed()
        if listed is None:
            return None, cell.model_spelled
        amount, prices = more * listed.unit_price, {listed}
    told = None if cell.reported_quantity is None else Figures(cell.reported_quantity, None)
    if not case.seen:
        cls, saw = BreakClass.BYPASS, "nothing of it passed the gateway"
    elif told is None:
        cls, saw = BreakClass.NOT_BILLED, f"we saw {count(cell.our_quantity)}"
    else:
        cls, saw = BreakClass.QUANTITY, f"we saw {count(cell.our_quantity)}"
    why = (
        f"the vendor's usage export has {count(cell.reported_quantity or 0)} {unit}, {saw}: {signed(more)} at our "
        f"{rows_named(prices)}"
    )
    key = BreakKey(case.key.day, case.key.model, unit, case.key.account, case.key.service_tier)
    return Break(cls, amount, key, case.ours, told, why, level=cell.level), None


def _rounding(case: DayCase, amount: Decimal) -> Break:
    rows = case.money.rows
    why = (
        f"{rows} total{'' if rows == 1 else 's'} rounded by the vendor may be off by {plain(case.money.rounding_max)}; "
        f"this is {plain(abs(amount))}"
    )
    return case.found(BreakClass.ROUNDING, amount, why)


def _day_rows(case: DayCase) -> str:
    return rows_named({use for cell in case.cells.values() for use in cell.prices})
