"""What a month costs by department, as its statements say: stored ones where it is closed, else computed now."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text

from billing.ledger.closes import is_closed
from billing.money import exact
from billing.statements import compute_month

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.charges import Charge, Department
    from billing.policy import MoneyPolicy

SHORTFALL_KINDS = ("minimum_fee", "commitment")


class Total(NamedTuple):
    """A department's month: exact, as booked, and how much of its use has no price or no rate.

    `shortfall` is the part of `exact` that is what use lacks of a contract's minimum: it shrinks as the month goes on.
    """

    exact: Fraction
    booked: Decimal
    unknown_quantity: int
    shortfall: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class MonthTotals:
    """All departments of a month. `is_closed`: these are the stored statements."""

    month: str
    by_department: Mapping[Department, Total]
    is_closed: bool

    @property
    def exact(self) -> Fraction:
        """The organisation's total before rounding."""
        return sum((one.exact for one in self.by_department.values()), Fraction(0))

    @property
    def booked(self) -> Decimal:
        """The organisation's total, which its departments add up to."""
        with exact():
            return sum((one.booked for one in self.by_department.values()), Decimal(0))

    @property
    def unknown_quantity(self) -> int:
        """How much use has no price, or no rate that converts it: what the totals do not hold."""
        return sum(one.unknown_quantity for one in self.by_department.values())

    def booked_of(self, department: Department) -> Decimal:
        """What a department owes; 0 where it has no statement."""
        found = self.by_department.get(department)
        return Decimal(0) if found is None else found.booked


def read_month_totals(connection: Connection, month: str, policy: MoneyPolicy) -> MonthTotals:
    """The totals of a month's statements; the connection is a snapshot. Raises BillingError for a bad month."""
    stored = _stored_totals(connection, month)
    if stored is not None:
        return MonthTotals(month, stored, is_closed=True)
    computed = compute_month(connection, month, policy)
    totals = {
        one.department: Total(
            one.exact_total,
            one.total,
            one.open_quantity("unpriced") + one.open_quantity("unconverted"),
            sum((booked.charge.exact for booked in one.charges if _is_shortfall(booked.charge)), Fraction(0)),
        )
        for one in computed.statements
    }
    return MonthTotals(month, totals, is_closed=False)


def _is_shortfall(charge: Charge) -> bool:
    """Whether a charge is a share of what use lacks of a minimum (`billing.terms.pools`)."""
    return charge.section == "allocated" and charge.document.get("pool_document", {}).get("kind") in SHORTFALL_KINDS


def _stored_totals(connection: Connection, month: str) -> dict[Department, Total] | None:
    """The totals that a close stored; None where the month is not closed."""
    if not is_closed(connection, month):
        return None
    rows = connection.execute(
        text("""
        select department, total, content ->> 'total_exact' as exact,
               coalesce((content ->> 'unpriced_quantity')::numeric, 0)
               + coalesce((content ->> 'unconverted_quantity')::numeric, 0) as unknown
        from statement cross join lateral cast(document as jsonb) as content
        where month = :month and kind = 'department'"""),
        {"month": month},
    )
    return {
        row.department: Total(Fraction(row.exact or row.total), Decimal(row.total), int(row.unknown)) for row in rows
    }
