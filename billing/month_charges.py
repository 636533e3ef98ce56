"""Everything that a month's statements carry beside their lines, from its several sources, in one list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.tax import tax_charges

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from sqlalchemy import Connection

    from billing.charges import Charge, Department
    from billing.invoices.vendors import Vendor
    from billing.periods import Month
    from billing.policy import MoneyPolicy
    from billing.tax import VendorUse


def read_charges(
    connection: Connection,  # noqa: ARG001 - sources of charges read through it
    month: Month,  # noqa: ARG001
    policy: MoneyPolicy,  # noqa: ARG001
    own_costs: Mapping[Department, Mapping[str, Fraction]],  # noqa: ARG001
    use_by_vendor: Mapping[Department, Mapping[Vendor | None, VendorUse]],
) -> list[Charge]:
    """Charges of a month; the connection is a snapshot.

    `own_costs`: each department's exact cost by provider; `use_by_vendor`: its cost and tokens by row of the vendor
    register (None: of providers without a vendor), both in the statement's currency.
    """
    return tax_charges(use_by_vendor)
