"""Everything that a month's statements carry beside their lines, from its several sources, in one list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.allocation.month import read_allocations
from billing.allocation.sharing import charges_of
from billing.ledger.corrections import read_corrections
from billing.tax import tax_charges

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from billing.charges import Charge, Department
    from billing.fx_policy import Conversion
    from billing.invoices.vendors import Vendor
    from billing.tax import VendorUse


def read_charges(
    connection: Connection,
    conversion: Conversion,
    use_by_vendor: Mapping[Department, Mapping[Vendor | None, VendorUse]],
) -> list[Charge]:
    """Charges of the conversion's month, by its policy; the connection is a snapshot.

    `use_by_vendor`: each department's cost and tokens by row of the vendor register (None: of providers without a
    vendor), in the statement's currency.
    """
    charges = [*read_corrections(connection, conversion.month), *tax_charges(use_by_vendor)]
    for allocation in read_allocations(connection, conversion, use_by_vendor):
        charges += charges_of(allocation)
    return charges
