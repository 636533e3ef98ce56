"""Tolerances by policy: a small difference asks nobody, and is booked and counted like any other.

Both limits hold where both are given: the amount, and the share of the smaller side. Where one side is 0 only the
amount counts, because a share of nothing tolerates nothing (Oracle's rule: the most conservative wins).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.reconciliation.groups import BreakClass

if TYPE_CHECKING:
    from billing.reconciliation.groups import Break, Figures, Policy

_NEVER = {BreakClass.TAX, BreakClass.CREDIT_OR_DISCOUNT, BreakClass.FEE, BreakClass.DUPLICATE, BreakClass.UNKNOWN_MODEL}
"""Classes whose amount says nothing about how serious they are."""


def tolerated(found: Break, policy: Policy) -> Break:
    """The break with its flag."""
    if found.cls in _NEVER or found.cls is BreakClass.ROUNDING:
        return found
    limits = [policy.tolerance_amount] if policy.tolerance_amount else []
    smaller = min(abs(_amount(found.ours)), abs(_amount(found.vendor)))
    if policy.tolerance_share and smaller:
        limits.append(policy.tolerance_share * smaller)
    return replace(found, tolerated=True) if limits and abs(found.amount) <= min(limits) else found


def _amount(side: Figures | None) -> Decimal:
    return Decimal(0) if side is None or side.amount is None else side.amount
