"""CREDIT_OR_DISCOUNT off a list price: a vendor that tells both prices of a row, and ours is one of them.

Importers split such a row into the use at the list price and a credit of the same model and unit
(`billing.invoices.list_prices`). Where our price is the list's, the credit is the discount that our book does not know.
Where ours agrees with what is left after it, our book knows the discount: then it is no difference at all, and the
credit is folded into the group. Where ours agrees with neither, the credit stands, and the rest is the group's own.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.lines import LineKind, VendorLine
from billing.invoices.list_prices import OFF_THE_LIST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.reconciliation.cells import CellKey, Folded


def without_known_discounts(folded: Folded, lines: Sequence[VendorLine]) -> list[VendorLine]:
    """The lines without the discounts that our prices hold already; `folded` has them in the groups' money."""
    off: dict[CellKey, Decimal] = {}
    for line in lines:
        if _is_off(line) and not folded.grain.is_coarse(line.day):
            key = folded.key_of(replace(line, kind=LineKind.USAGE))
            off[key] = off.get(key, Decimal(0)) + (line.amount or Decimal(0))
    known = set()
    for key, amount in off.items():
        cell = folded.cells.get(key)
        if cell is None or cell.unpriced or not cell.money.rows:
            continue
        gap = cell.money.amount - cell.our_amount
        if abs(gap + amount) <= cell.money.rounding_max < abs(gap):
            cell.money.amount += amount
            known.add(key)
    if not known:
        return list(lines)
    return [
        line for line in lines if not (_is_off(line) and folded.key_of(replace(line, kind=LineKind.USAGE)) in known)
    ]


def _is_off(line: VendorLine) -> bool:
    told = line.kind is LineKind.CREDIT and line.unit is not None and line.text is not None
    return told and (line.text or "").startswith(OFF_THE_LIST)
