"""Everything that a month's statements carry beside their lines, from its several sources, in one list."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from sqlalchemy import Connection

    from billing.charges import Charge, Department
    from billing.periods import Month
    from billing.policy import MoneyPolicy

def read_charges(
    connection: Connection,  # noqa: ARG001 - sources of charges read through it
    month: Month,  # noqa: ARG001
    policy: MoneyPolicy,  # noqa: ARG001
    own_costs: Mapping[Department, Mapping[str, Fraction]],  # noqa: ARG001
) -> list[Charge]:
    """Charges of a month; the connection is a snapshot. `own_costs`: each department's exact cost by provider."""
    return []
