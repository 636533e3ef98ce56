"""What rules do in a month, before anybody is charged: pools, weights, and the parts as statements book them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from billing.allocation.sharing import charges_of, pool_document
from billing.money import exact_text, plain

if TYPE_CHECKING:
    from decimal import Decimal

    from sqlalchemy import Connection

    from billing.allocation.sharing import Allocation
    from billing.charges import Charge, Department
    from billing.policy import MoneyPolicy


@dataclass(frozen=True, slots=True)
class PreviewedRule:
    """One pool of a month with what statements book of it: (charge, booked amount), the unattributed account last."""

    allocation: Allocation
    parts: tuple[tuple[Charge, Decimal], ...]

    def document(self) -> dict[str, Any]:
        """As `jangbu allocation preview --json` shows it."""
        return {
            **pool_document(self.allocation),
            "parts": [
                {
                    "department": charge.department,
                    "weight": charge.document["weight"],
                    "amount_exact": exact_text(charge.exact),
                    "amount": plain(amount),
                }
                for charge, amount in self.parts
            ],
        }


def preview(connection: Connection, month: str, policy: MoneyPolicy) -> list[PreviewedRule]:
    """Every pool of a month, computed now; the connection is a snapshot. Raises BillingError for a bad month.

    A closed month is computed by the policy of its close: where its kept statements say something else, the difference
    is on its way as a correction.
    """
    from billing.allocation.month import read_allocations
    from billing.ledger.closes import read_closes
    from billing.month_charges import read_charges
    from billing.statements import make_statements, read_month_lines

    policy = next((one.policy for one in read_closes(connection) if one.month.name == month), policy)
    conversion, lines = read_month_lines(connection, month, policy)
    use = lines.use_by_vendor()
    charges = read_charges(connection, conversion, use)
    booked: dict[tuple[Department, tuple[str, ...]], Decimal] = {
        (one.charge.department, one.charge.key): one.amount
        for statement in make_statements(lines, conversion.month, policy, {}, charges).statements
        for one in statement.charges
        if one.charge.section == "allocated"
    }
    found = []
    for allocation in read_allocations(connection, conversion, use):
        charges = sorted(charges_of(allocation), key=lambda one: (one.department is None, one.department or ""))
        found.append(PreviewedRule(allocation, tuple((one, booked[one.department, one.key]) for one in charges)))
    return found
