"""UNIT_CLASS: the same tokens of a model on a day, told apart otherwise (fresh input billed as cached).

The test: within the tokens that go in, or within those that come out, the gaps of a model's units on a day add up to
nothing although two or more are open.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from billing.reconciliation.gaps import Gap, can_take, cell_break, gap_of, take
from billing.reconciliation.groups import Break, BreakClass
from billing.reconciliation.worth import count, signed

if TYPE_CHECKING:
    from billing.reconciliation.cells import Cell, CellKey, Folded
    from billing.reconciliation.groups import Policy


def take_splits(folded: Folded, policy: Policy) -> list[Break]:
    """The breaks of tokens that stand in another unit; our side is moved accordingly."""
    groups: dict[tuple[object, ...], list[tuple[CellKey, Cell, Gap]]] = {}
    for key, cell in folded.cells.items():
        if not key.unit.endswith("tokens"):
            continue
        gap = gap_of(folded, key, cell)
        if gap is not None and gap.quantity:
            groups.setdefault((*key[:4], goes_out(key.unit)), []).append((key, cell, gap))
    breaks = []
    for parts in groups.values():
        total = sum((gap.quantity or Decimal(0) for _, _, gap in parts), Decimal(0))
        if len(parts) > 1 and total == 0 and all(can_take(*part, policy) for part in parts):
            named = ", ".join(f"{signed(gap.quantity or Decimal(0))} {key.unit}" for key, _, gap in parts)
            breaks += [_take_one(part, named, policy) for part in parts]
    return breaks


def goes_out(unit: str) -> bool:
    """Whether a unit counts tokens that a model writes."""
    return "output" in unit or unit.startswith("reasoning")


def _take_one(part: tuple[CellKey, Cell, Gap], named: str, policy: Policy) -> Break:
    key, cell, gap = part
    amount = take(key, cell, gap, policy)
    seen = count(cell.ours.quantity) if cell.ours and cell.ours.quantity is not None else "none"
    why = f"the day's tokens of this model agree in total, their split does not: {named} (we saw {seen} {key.unit})"
    return cell_break(BreakClass.UNIT_CLASS, key, cell, amount, why)
