"""PERIOD_EDGE at the month's two edges: use of the hours next to midnight that stands on the other month's bill.

No neighbouring day stands in this invoice, so our hours are the evidence: what the vendor has more or less on the
month's first or last day is exactly what we saw in the hours next to the edge, one or several, on one side of it.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from billing.reconciliation.gaps import can_take, cell_break, gap_of, take
from billing.reconciliation.groups import Break, BreakClass, EdgeUse, UsageKey
from billing.reconciliation.worth import signed
from billing.sums import read_sums

if TYPE_CHECKING:
    from decimal import Decimal

    from sqlalchemy import Connection

    from billing.invoices.vendors import Vendor
    from billing.periods import Month
    from billing.reconciliation.cells import CellKey, Folded
    from billing.reconciliation.groups import Policy

HOURS_BESIDE = 24


def take_month_edges(folded: Folded, policy: Policy) -> list[Break]:
    """The breaks of use on the other side of the month's edges; our side is moved accordingly."""
    hours: dict[tuple[CellKey, bool], dict[int, int]] = {}
    for use in policy.edge_uses:
        counts = hours.setdefault((folded.key_of_ours(use.key, policy), use.inside), {})
        counts[use.hour] = counts.get(use.hour, 0) + use.quantity
    breaks = []
    for key, inside in sorted(hours, key=str):
        cell = folded.cells.get(key)
        gap = None if cell is None else gap_of(folded, key, cell)
        if cell is None or gap is None or not gap.quantity or not can_take(key, cell, gap, policy):
            continue
        number = _hours_that_make(hours[key, inside], gap.quantity, inside=inside)
        if number is None:
            continue
        where = "inside the month, which stands on the neighbouring bill" if inside else "outside it, which stands here"
        why = (
            f"{signed(gap.quantity)} {key.unit}: exactly what we saw in the {number} hour{'' if number == 1 else 's'} "
            f"next to the month's edge {where}"
        )
        breaks.append(cell_break(BreakClass.PERIOD_EDGE, key, cell, take(key, cell, gap, policy), why))
    return breaks


def _hours_that_make(counts: dict[int, int], gap: Decimal, *, inside: bool) -> int | None:
    """How many hours from the edge on make up the gap: what is inside is missing, what is outside is over."""
    if (gap < 0) != inside:
        return None
    sums = accumulate(counts.get(hour, 0) for hour in range(HOURS_BESIDE))
    return next((number for number, total in enumerate(sums, 1) if total == abs(gap)), None)


def read_edge_uses(connection: Connection, vendor: Vendor, month: Month) -> list[EdgeUse]:
    """Our use of the hours on both sides of both edges, hour by hour; the connection is a snapshot."""
    found: list[EdgeUse] = []
    for edge, day in ((month.first_hour, month.days[0]), (month.end_hour, month.days[-1])):
        first, end = edge - HOURS_BESIDE, edge + HOURS_BESIDE
        for one in read_sums(connection, first, end, list(range(first, end)), ("account",)):
            account = one.dimensions[0]
            if one.provider.lower() not in vendor.providers or one.cached:
                continue
            if vendor.accounts and account not in vendor.accounts:
                continue
            inside = month.first_hour <= one.hour < month.end_hour
            hour = one.hour - edge if one.hour >= edge else edge - 1 - one.hour
            for unit, quantity in one.quantities:
                key = UsageKey(day, account if isinstance(account, str) else None, one.model, one.service_tier, unit)
                found.append(EdgeUse(key, inside, hour, quantity))
    return found
