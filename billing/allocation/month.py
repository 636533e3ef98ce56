"""The shared costs of a month: rules in force, their pools, and the parts of departments."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from billing.allocation.people import read_active_users, read_headcount
from billing.allocation.pools import read_month_pools
from billing.allocation.rules import in_force, tax_rules
from billing.allocation.sharing import Allocation, Measures, share, weights_of
from billing.allocation.store import read_rules
from billing.invoices.vendor_store import read_register
from billing.periods import month_in
from billing.tax import refuse_taxed_twice, tax_charges

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from billing.allocation.rules import Rule
    from billing.charges import Department
    from billing.fx_policy import Conversion
    from billing.invoices.vendors import Vendor
    from billing.tax import VendorUse


def read_allocations(
    connection: Connection,
    conversion: Conversion,
    use: Mapping[Department, Mapping[Vendor | None, VendorUse]],
) -> list[Allocation]:
    """Every pool of a month with its parts, by rule; the connection is a snapshot.

    Raises TaxedTwice where a vendor's tax is computed and shared from its invoice in this month.
    """
    month = conversion.month
    every = read_rules(connection)
    rules = in_force(every, month.name)
    _refuse_twice(connection, every, month.name)
    bases = {rule.basis for rule in rules}
    measures = Measures(
        use,
        read_active_users(connection, month) if "users" in bases else {},
        read_headcount(connection, month) if "headcount" in bases else {},
    )
    pools = read_month_pools(connection, rules, conversion, _unattributed_cost(use))
    return [share(pool, weights_of(pool.rule, measures)) for pool in pools]


def _refuse_twice(connection: Connection, rules: list[Rule], month: str) -> None:
    """Imports refuse it; asked again where it would be charged."""
    shared = tax_rules(rules, month)
    if shared:
        days = month_in(month, "UTC").days
        vendors = (row for row in read_register(connection) if row.holds_within(days[0], days[-1]))
        refuse_taxed_twice(vendors, shared, month)


def _unattributed_cost(use: Mapping[Department, Mapping[Vendor | None, VendorUse]]) -> Fraction:
    """What the unattributed account owes for its own use: cost and computed tax."""
    own = use.get(None, {})
    cost = sum((used.cost for used in own.values()), Fraction(0))
    return cost + sum((charge.exact for charge in tax_charges({None: own})), Fraction(0))
