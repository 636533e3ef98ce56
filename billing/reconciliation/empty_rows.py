"""UNEXPLAINED: a row that bills money for a quantity of 0, beside rows that bill use.

The row itself is the evidence: it names a model and a unit, says that nothing of it was used, and asks for money. In a
group of its own that we saw nothing of it is BYPASS, as the order of classes has it; here it stands in a group whose
other rows have tokens, where it would otherwise read as a dearer price. A quantity that only a coarse unit rounds to 0
is none of these.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.lines import LineKind, VendorLine
from billing.money import plain
from billing.reconciliation.cells import finest_steps
from billing.reconciliation.gaps import cell_break
from billing.reconciliation.groups import Break, BreakClass
from billing.reconciliation.worth import our_unit_price

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.reconciliation.cells import CellKey, Folded


def take_empty_rows(folded: Folded, lines: Sequence[VendorLine]) -> list[Break]:
    """The breaks of rows without a quantity; the vendor's side loses their money."""
    rows: dict[CellKey, list[VendorLine]] = {}
    for line in lines:
        empty = line.kind is LineKind.USAGE and line.quantity == 0 and line.amount and line.unit is not None
        if empty and not folded.grain.is_coarse(line.day):
            rows.setdefault(folded.key_of(line), []).append(line)
    steps: dict[str | None, Decimal] = finest_steps(lines) if rows else {}
    breaks = []
    for key, found in rows.items():
        cell = folded.cells[key]
        if len(found) == cell.money.rows or not cell.billed_quantity or cell.unpriced or not cell.our_quantity:
            continue
        hidden = our_unit_price(cell) * steps.get(key.unit, Decimal(1))
        found = [line for line in found if abs(line.amount or Decimal(0)) > hidden]
        amount = sum((line.amount or Decimal(0) for line in found), Decimal(0))
        if not amount or abs(cell.money.amount - cell.our_amount) <= cell.money.rounding_max:
            continue
        cell.money.amount -= amount
        cell.money.rows -= len(found)
        places = ", ".join(line.place for line in found[:3])
        why = (
            f"{len(found)} row{'' if len(found) == 1 else 's'} ({places}) of {key.unit} bill {plain(amount)} for a "
            "quantity of 0, beside rows that tell their use: ask what it is for"
        )
        breaks.append(cell_break(BreakClass.UNEXPLAINED, key, cell, amount, why))
    return breaks
