"""The bridge from ours to the invoice: ours, plus each class of break, is the invoice. Rows, ready to be printed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.money import exact
from billing.reconciliation.groups import Break, BreakClass, Reconciliation

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the bridge. `cls` None: the pillars at both ends. `sum_after` is where the bridge stands then."""

    cls: BreakClass | None
    name: str
    amount: Decimal
    count: int
    sum_after: Decimal


def bridge(found: Reconciliation) -> list[Step]:
    """Ours, the classes that occur in the contract's order, the invoice."""
    with exact():
        at = found.ours_total
        steps = [Step(None, "ours", at, 0, at)]
        for cls in BreakClass:
            amounts = [one.amount for one in found.breaks if one.cls is cls]
            if amounts:
                total = sum(amounts, Decimal(0))
                at += total
                steps.append(Step(cls, str(cls), total, len(amounts), at))
        steps.append(Step(None, "invoice", found.invoice_total, 0, found.invoice_total))
    return steps


def largest(breaks: Sequence[Break], limit: int) -> tuple[list[Break], int]:
    """The breaks that somebody has to look at, largest first, and how many more there are. Rounding is not listed."""
    listed = [one for one in breaks if one.cls is not BreakClass.ROUNDING]
    return listed[:limit], max(0, len(listed) - limit)
