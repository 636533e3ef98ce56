"""What a department owes beside its own lines: shares of common costs, tax, and corrections of closed periods.

A charge is exact and unrounded. `billing.statements` rounds charges together with the lines, top down, so that a
statement adds up to the won whatever stands on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

Section = Literal["allocated", "adjustments", "tax"]
Department = str | None
"""A department's code; None is use that nobody is known for (contract.md, section 9: the unattributed account)."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One item of a department's statement. `exact` is in the statement's currency and may be negative.

    `key` orders the items of a section and tells them apart; no two charges of one department and section have the
    same. `document` is what the statement shows of it beside `amount_exact` and `amount`: text, None, or nested
    mappings and lists of them.
    """

    section: Section
    department: Department
    key: tuple[str, ...]
    exact: Fraction
    document: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BookedCharge:
    """A charge with the amount that it was rounded to."""

    charge: Charge
    amount: Decimal
