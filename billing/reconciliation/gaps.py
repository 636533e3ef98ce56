"""What still stands between both sides of a cell, and taking a named part of it off.

A cause that is found in several cells (use on the neighbouring day, another split) is taken off our side: our quantity
and amount move by exactly what its break says, so that what is left for the cell's own tests adds up by itself.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from billing.reconciliation.groups import Break, BreakClass, BreakKey
from billing.reconciliation.worth import worth_of

if TYPE_CHECKING:
    from billing.reconciliation.cells import Cell, CellKey, Folded
    from billing.reconciliation.groups import Policy, PriceUse


class Gap(NamedTuple):
    """Vendor's minus ours. `quantity` is None where the vendor tells none: then only the money can be compared."""

    quantity: Decimal | None
    amount: Decimal
    bound: Decimal
    """How far rounding alone may take the amount."""

    @property
    def is_open(self) -> bool:
        """Whether anything stands between the sides."""
        return abs(self.amount) > self.bound if self.quantity is None else self.quantity != 0


def gap_of(folded: Folded, key: CellKey, cell: Cell) -> Gap | None:
    """The cell's gap; None where nothing can be said: no price of ours, or a day of totals that no usage export tells.

    A quantity within what a coarse unit hides counts as equal.
    """
    if cell.unpriced:
        return None
    if folded.grain.is_coarse(key.day):
        if key.day not in folded.usage_days or not key.unit.endswith("tokens"):
            return None
        more = (cell.reported_quantity or Decimal(0)) - cell.our_quantity
        return Gap(more, Decimal(0), Decimal(0))
    amount, bound = cell.money.amount - cell.our_amount, cell.money.rounding_max
    if not cell.money.rows:
        return Gap(Decimal(-cell.our_quantity), amount, bound)
    told = cell.vendor_quantity
    if told is None:
        return Gap(None, amount, bound)
    more = told - cell.our_quantity
    return Gap(Decimal(0) if abs(more) <= cell.quantity_slack else more, amount, bound)


def priced_at(key: CellKey, cell: Cell, policy: Policy) -> PriceUse | None:
    """The price that our book has for the cell; None also where the cell names no model."""
    if key.model is None:
        return None
    return policy.price(key.day, cell.model_spelled or key.model, cell.tier_spelled, key.unit)


def can_take(key: CellKey, cell: Cell, gap: Gap, policy: Policy) -> bool:
    """Whether the gap can be valued at a price of ours, in whole units."""
    if gap.quantity is None:
        return True
    if gap.quantity != gap.quantity.to_integral_value():
        return False
    return (cell.our_quantity != 0) or not gap.quantity or priced_at(key, cell, policy) is not None


def take(key: CellKey, cell: Cell, gap: Gap, policy: Policy) -> Decimal:
    """Move our side by the gap. Returns what that is worth: at our price, or the money itself where nothing counts."""
    if gap.quantity is None:
        cell.our_amount += gap.amount
        cell.settled = True
        return gap.amount
    more = int(gap.quantity)
    if cell.our_quantity + more == 0:
        worth = -cell.our_amount
    elif cell.our_quantity:
        worth = worth_of(gap.quantity, cell)
    else:
        listed = priced_at(key, cell, policy)
        assert listed is not None
        worth = gap.quantity * listed.unit_price
        cell.prices.add(listed)
    cell.our_quantity += more
    cell.our_amount += worth
    return worth


def cell_break(cls: BreakClass, key: CellKey, cell: Cell, amount: Decimal, why: str) -> Break:
    """A break of a cell, with both sides as they were folded."""
    at = BreakKey(key.day, key.model, key.unit, key.account, key.service_tier)
    return Break(cls, amount, at, cell.ours, cell.theirs, why, level=cell.level, rows=cell.money.rows)
