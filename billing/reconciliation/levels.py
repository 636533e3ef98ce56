"""Matching in levels: what does not agree on the whole key may agree on less of it.

1 the whole key (day, account, model, tier, unit); 2 without the account or key; 3 without region and tier; 4 the
vendor's month and model family; 5 the invoice (totals). The grain of a vendor's file may begin at a later level.
Cells that are open on one level are joined on the next where they agree there: their tokens come to the same, or, where
none are told, their money does within rounding. What does not agree stays where it is, so that its break names it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from billing.models import family_of
from billing.reconciliation.cells import Cell, CellKey, Money
from billing.reconciliation.gaps import Gap, gap_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.reconciliation.cells import Folded

EXACT, WITHOUT_ACCOUNT, WITHOUT_TIER, MONTH_AND_FAMILY, INVOICE = 1, 2, 3, 4, 5
Part = tuple[CellKey, Cell, Gap]


def join_accounts_and_tiers(folded: Folded) -> None:
    """Levels 2 and 3."""
    if folded.grain.account:
        _join(folded, lambda key: key._replace(account=None), WITHOUT_ACCOUNT)
    if folded.grain.tier:
        _join(folded, lambda key: key._replace(service_tier=None), WITHOUT_TIER)


def join_months(folded: Folded) -> None:
    """Level 4: the same tokens of a family over the month, on days that are no neighbours or under another snapshot."""
    last = max((key.day for key in folded.cells), default=None)
    if last is None:
        return

    def of_month(key: CellKey) -> CellKey:
        family = None if key.model is None else family_of(key.model) or key.model
        return key._replace(day=last, model=family)

    _join(folded, of_month, MONTH_AND_FAMILY)


def _join(folded: Folded, wider: Callable[[CellKey], CellKey], level: int) -> None:
    """Join the open cells of each wider key that agree together."""
    groups: dict[CellKey, list[Part]] = {}
    for key, cell in folded.cells.items():
        if folded.grain.is_coarse(key.day) and level == MONTH_AND_FAMILY:
            continue
        gap = gap_of(folded, key, cell)
        if gap is not None and gap.is_open:
            groups.setdefault(wider(key), []).append((key, cell, gap))
    for parts in groups.values():
        if len(parts) > 1 and _agree(parts, level):
            _merge(folded, parts, wider, level)


def _agree(parts: list[Part], level: int) -> bool:
    if all(gap.quantity is not None for _, _, gap in parts):
        return sum((gap.quantity or Decimal(0) for _, _, gap in parts), Decimal(0)) == 0
    if level == MONTH_AND_FAMILY:
        return False
    rest = sum((gap.amount for _, _, gap in parts), Decimal(0))
    return abs(rest) <= sum((gap.bound for _, _, gap in parts), Decimal(0))


def _merge(folded: Folded, parts: list[Part], wider: Callable[[CellKey], CellKey], level: int) -> None:
    """One cell for all of them. It stands on the last day that the vendor bills, under the vendor's name."""
    billed = [key for key, cell, _ in parts if cell.money.rows or cell.reported_quantity]
    at = max(billed or [key for key, _, _ in parts], key=lambda key: (key.day, key.model or "", key.account or ""))
    wide = wider(at)
    key = CellKey(at.day, wide.account, at.model, wide.service_tier, at.unit)
    joined = Cell(level=level, billed_quantity=Decimal(0), money=Money())
    joined.tier_spelled = next((cell.tier_spelled for k, cell, _ in parts if k == at), joined.tier_spelled)
    for old, cell, _ in parts:
        joined.our_quantity += cell.our_quantity
        joined.our_amount += cell.our_amount
        joined.prices |= cell.prices
        joined.money.rows += cell.money.rows
        joined.money.amount += cell.money.amount
        joined.money.rounding_max += cell.money.rounding_max
        joined.quantity_slack += cell.quantity_slack
        joined.model_spelled = cell.model_spelled if old == at else joined.model_spelled or cell.model_spelled
        told = cell.vendor_quantity if cell.money.rows else Decimal(0)
        known = joined.billed_quantity is not None and told is not None
        joined.billed_quantity = (joined.billed_quantity or Decimal(0)) + (told or Decimal(0)) if known else None
        if cell.reported_quantity is not None:
            joined.reported_quantity = (joined.reported_quantity or Decimal(0)) + cell.reported_quantity
        del folded.cells[old]
    folded.cells[key] = joined
