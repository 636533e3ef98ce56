"""Which breaks a day has whose money comes as one total without model and unit.

Where a usage export tells the day's quantities, they are compared cell by cell at our prices, and what the total then
still differs by is rate. Where none does, only the day as a whole can be judged: billed or not, rounding, or
UNEXPLAINED with the remedy.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.money import exact, plain
from billing.reconciliation.fine import CellCase
from billing.reconciliation.groups import Break, BreakClass, BreakKey, Figures, Policy
from billing.reconciliation.worth import count, rows_named, signed, worth_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from billing.reconciliation.cells import Cell, CellKey, Money


@dataclass(frozen=True, slots=True)
class DayCase:
    """A coarse day, of one account where the grain holds accounts. `told`: a usage export speaks of this day."""

    day: date
    account: str | None
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
        ours = Figures(None, None if self.unpriced else self.our_amount) if self.seen else None
        vendor = Figures(None, self.money.amount) if self.money.rows else None
        return Break(cls, amount, BreakKey(self.day, account=self.account), ours, vendor, why)


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
    why = f"we saw use worth {plain(case.our_amount)}; {case.policy.silence(case.day)}"
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
    why = (
        f"the vendor's total is {plain(case.money.amount)}, ours {plain(case.our_amount)}, and nothing tells the "
        "quantities: import the vendor's usage export of this day, or its costs by line item"
    )
    return [case.found(BreakClass.UNEXPLAINED, case.difference, why)]


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
    why = (
        f"every quantity of the day's usage export is accounted for; the vendor's total is still {signed(rest)} "
        f"against our prices ({_day_rows(case)}): a rate differs; costs by line item would name it"
    )
    return [*breaks, case.found(BreakClass.PRICE, rest, why)]


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
    return Break(cls, amount, key, case.ours, told, why), None


def _rounding(case: DayCase, amount: Decimal) -> Break:
    rows = case.money.rows
    why = (
        f"{rows} total{'' if rows == 1 else 's'} rounded by the vendor may be off by {plain(case.money.rounding_max)}; "
        f"this is {plain(abs(amount))}"
    )
    return case.found(BreakClass.ROUNDING, amount, why)


def _day_rows(case: DayCase) -> str:
    return rows_named({use for cell in case.cells.values() for use in cell.prices})
