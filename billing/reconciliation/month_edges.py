"""PERIOD_EDGE at the month's two edges: use of the hours next to midnight that stands on the other month's bill.

No neighbouring day stands in this invoice, so our hours are the evidence: what the vendor has more or less on the
month's first or last day is exactly what we saw in the hours next to the edge, one or several, on one side of it. Where
days begin at another hour than ours, the same holds for the sum of gaps: of the days that follow each other up to the
edge (a vendor's summer time, a few days of use), or of all days of a series.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import accumulate
from typing import TYPE_CHECKING

from billing.reconciliation.cells import CellKey
from billing.reconciliation.gaps import can_take, cell_break, gap_of, take
from billing.reconciliation.groups import Break, BreakClass, EdgeUse, UsageKey
from billing.reconciliation.worth import signed
from billing.sums import read_sums

if TYPE_CHECKING:
    from datetime import date

    from sqlalchemy import Connection

    from billing.invoices.vendors import Vendor
    from billing.periods import Month
    from billing.reconciliation.cells import Cell, Folded
    from billing.reconciliation.gaps import Gap
    from billing.reconciliation.groups import Policy

    Hours = dict[tuple[CellKey, bool], dict[int, int]]

HOURS_BESIDE = 24
ONE_DAY = timedelta(days=1)
DAYS_MIN = 3
"""So many days of a series must be open before another zone is thought of."""


def take_month_edges(folded: Folded, policy: Policy) -> list[Break]:
    """The breaks of use on the other side of the month's edges; our side is moved accordingly."""
    hours: Hours = {}
    for use in policy.edge_uses:
        counts = hours.setdefault((folded.key_of_ours(use.key, policy), use.inside), {})
        counts[use.hour] = counts.get(use.hour, 0) + use.quantity
    breaks = [*_take_other_zones(folded, policy, hours), *_take_runs(folded, policy, hours)] if hours else []
    for key, inside in sorted(hours, key=str):
        cell = folded.cells.get(key)
        gap = None if cell is None else gap_of(folded, key, cell)
        if cell is None or gap is None or not gap.quantity or not can_take(key, cell, gap, policy):
            continue
        number = _hours_that_make(hours[key, inside], gap.quantity, inside=inside)
        if number is None or (inside and number > 1 and -gap.quantity >= cell.our_quantity):
            continue  # a day of which nothing is billed is no matter of its edge, unless all of it lay in the last hour
        where = "inside the month, which stands on the neighbouring bill" if inside else "outside it, which stands here"
        why = (
            f"{signed(gap.quantity)} {key.unit}: exactly what we saw in the {number} hour{'' if number == 1 else 's'} "
            f"next to the month's edge {where}"
        )
        breaks.append(cell_break(BreakClass.PERIOD_EDGE, key, cell, take(key, cell, gap, policy), why))
    return breaks


def _take_other_zones(folded: Folded, policy: Policy, hours: Hours) -> list[Break]:
    """A series whose days all begin some hours earlier or later than ours: what comes in at one edge of the month, less
    what goes out at the other, is exactly what its gaps come to."""
    series: dict[tuple[object, ...], list[tuple[CellKey, Cell, Gap]]] = {}
    for key, cell in folded.cells.items():
        gap = gap_of(folded, key, cell)
        if gap is not None and gap.quantity:
            series.setdefault(key[1:], []).append((key, cell, gap))
    edges = sorted({key.day for key, _ in hours})
    breaks = []
    for rest, parts in series.items():
        total = sum((gap.quantity or Decimal(0) for _, _, gap in parts), Decimal(0))
        if len(parts) < DAYS_MIN or not all(can_take(*part, policy) for part in parts):
            continue
        shift = _shift(hours, [CellKey(day, *rest) for day in (edges[0], edges[-1])], total)  # type: ignore[arg-type]
        if shift is None:
            continue
        for key, cell, gap in parts:
            why = (
                f"{signed(gap.quantity or Decimal(0))} {key.unit}: over the month the gaps of this series are exactly "
                f"what {abs(shift)} hour{'' if abs(shift) == 1 else 's'} at its edges come to: the vendor's days begin "
                f"{'earlier' if shift > 0 else 'later'} than the zone of the register says"
            )
            breaks.append(cell_break(BreakClass.PERIOD_EDGE, key, cell, take(key, cell, gap, policy), why))
    return breaks


def _take_runs(folded: Folded, policy: Policy, hours: Hours) -> list[Break]:
    """Days that follow each other up to an edge, whose gaps together are what we saw in the hours next to it."""
    series: dict[tuple[object, ...], dict[date, tuple[CellKey, Cell, Gap]]] = {}
    for key, cell in folded.cells.items():
        gap = gap_of(folded, key, cell)
        if gap is not None and gap.quantity:
            series.setdefault(key[1:], {})[key.day] = (key, cell, gap)
    breaks = []
    edges = sorted({key.day for key, _ in hours})
    for rest, parts in series.items():
        for edge, step in ((edges[-1], -ONE_DAY), (edges[0], ONE_DAY)):
            found = _run_to(hours, CellKey(edge, *rest), step, parts)  # type: ignore[arg-type]
            if found is None or not all(can_take(*parts[day], policy) for day in found[1]):
                continue
            number, days = found
            for key, cell, gap in (parts.pop(day) for day in days):
                why = (
                    f"{signed(gap.quantity or Decimal(0))} {key.unit}: the gaps of {len(days)} days up to the month's "
                    f"edge are together exactly what we saw in the {number} hour{'' if number == 1 else 's'} next to "
                    "it: the vendor's days begin at another hour there"
                )
                breaks.append(cell_break(BreakClass.PERIOD_EDGE, key, cell, take(key, cell, gap, policy), why))
    return breaks


def _run_to(
    hours: Hours, edge: CellKey, step: timedelta, parts: dict[date, tuple[CellKey, Cell, Gap]]
) -> tuple[int, list[date]] | None:
    """How many hours next to the edge, and the days (two or more) whose gaps come to what was used in them."""
    total, days, day = Decimal(0), [], edge.day
    while day in parts:
        total += parts[day][2].quantity or Decimal(0)
        days.append(day)
        for inside in (True, False):
            number = _hours_that_make(hours.get((edge, inside), {}), total, inside=inside) if total else None
            if number is not None and len(days) > 1:
                return number, days
        day += step
    return None


def _shift(hours: Hours, edges: list[CellKey], total: Decimal) -> int | None:
    """By how many hours the vendor's days begin earlier (above 0) or later; None where no number fits.

    Earlier: the hours before the month come in, its own last hours go out; later: the other way about.
    """
    first, last = edges
    for number in range(1, HOURS_BESIDE):
        before, end = (_of(hours, key, inside, number) for key, inside in ((first, False), (last, True)))
        if (before or end) and total == before - end:
            return number
        after, start = (_of(hours, key, inside, number) for key, inside in ((last, False), (first, True)))
        if (after or start) and total == after - start:
            return -number
    return None


def _of(hours: Hours, key: CellKey, inside: bool, number: int) -> int:
    counts = hours.get((key, inside), {})
    return sum(counts.get(hour, 0) for hour in range(number))


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
