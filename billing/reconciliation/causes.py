"""The causes that span cells, in the order in which they are looked for. Each takes its part off the cells.

What disturbs other tests goes first: rows that stand twice, a rate or a unit of the vendor's own. Then less of the key
is tried (levels), then neighbouring days, then another split, then the month. What is left is each cell's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.reconciliation.duplicates import take_duplicates
from billing.reconciliation.edges import take_period_edges
from billing.reconciliation.empty_rows import take_empty_rows
from billing.reconciliation.exchange import take_exchange
from billing.reconciliation.levels import join_accounts_and_tiers, join_months
from billing.reconciliation.month_edges import take_month_edges
from billing.reconciliation.scales import take_scales
from billing.reconciliation.splits import take_splits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.invoices.lines import VendorLine
    from billing.reconciliation.cells import Folded
    from billing.reconciliation.groups import Break, Policy


def take_causes(folded: Folded, lines: Sequence[VendorLine], policy: Policy) -> list[Break]:
    """The breaks of causes that span cells; `folded` keeps what is left."""
    breaks = take_duplicates(folded, lines)
    breaks += take_empty_rows(folded, lines)
    breaks += take_exchange(folded, policy)
    breaks += take_scales(folded)
    join_accounts_and_tiers(folded)
    breaks += take_period_edges(folded, policy)
    breaks += take_month_edges(folded, policy)
    breaks += take_splits(folded, policy)
    join_months(folded)
    return breaks
