"""PERIOD_EDGE: use that the vendor bills on the day before or after ours.

The test: in one series (account, model, tier, unit) the gaps of days that follow each other add up to nothing, and what
is carried from a day to its neighbour is never more than was used on the day that it comes from. Where the vendor tells
no quantity, the same with money, within rounding. A month's edge has no neighbour here: it needs our hours (`Edges`).
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from billing.money import plain
from billing.reconciliation.cells import Money
from billing.reconciliation.gaps import Gap, can_take, cell_break, gap_of, take
from billing.reconciliation.groups import Break, BreakClass, BreakKey, Figures
from billing.reconciliation.levels import INVOICE
from billing.reconciliation.worth import count, signed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from billing.reconciliation.cells import Cell, CellKey, DayKey, Folded
    from billing.reconciliation.groups import Policy

ONE_DAY = timedelta(days=1)
Series = dict["date", tuple["CellKey", "Cell", Gap]]


def take_period_edges(folded: Folded, policy: Policy) -> list[Break]:
    """The breaks of use that stands on a neighbouring day; our side is moved accordingly."""
    breaks = _take_days(folded)
    for series in _series(folded):
        for run in _runs(series):
            parts = [series[day] for day in run]
            if all(can_take(key, cell, gap, policy) for key, cell, gap in parts):
                breaks += [_take_one(part, run, policy) for part in parts]
    return breaks


def _series(folded: Folded) -> Iterator[Series]:
    """The open gaps by day, for each series that has two or more of them."""
    found: dict[tuple[object, ...], Series] = {}
    for key, cell in folded.cells.items():
        gap = gap_of(folded, key, cell)
        if gap is not None and gap.is_open:
            found.setdefault(key[1:], {})[key.day] = (key, cell, gap)
    return (series for series in found.values() if len(series) > 1)


def _runs(series: Series) -> Iterator[Sequence[date]]:
    """Runs of neighbouring days whose gaps come to nothing, each as short as can be."""
    after: date | None = None
    for first in sorted(series):
        if after is not None and first <= after:
            continue
        day, run = first, [first]
        while day + ONE_DAY in series:
            day += ONE_DAY
            run.append(day)
            gaps = [series[one][2] for one in run]
            if _comes_to_nothing(gaps):
                if _carries_are_there([series[one] for one in run]):
                    yield run
                    after = day
                break


def _comes_to_nothing(gaps: Sequence[Gap]) -> bool:
    if all(gap.quantity is not None for gap in gaps):
        return sum((gap.quantity for gap in gaps if gap.quantity is not None), Decimal(0)) == 0
    rest = sum((gap.amount for gap in gaps), Decimal(0))
    return abs(rest) <= sum((gap.bound for gap in gaps), Decimal(0))


def _carries_are_there(parts: Sequence[tuple[CellKey, Cell, Gap]]) -> bool:
    """What goes over to the next day was used on this one, what comes from it was used on that one."""
    carried = Decimal(0)
    by_money = any(gap.quantity is None for _, _, gap in parts)
    for (_, here, gap), (_, there, _) in pairwise(parts):
        carried += gap.amount if by_money or gap.quantity is None else gap.quantity
        source = here if carried < 0 else there
        used = source.our_amount if by_money else Decimal(source.our_quantity)
        bound = sum((one.bound for _, _, one in parts), Decimal(0)) if by_money else Decimal(0)
        if abs(carried) > used + bound:
            return False
    return True


def _take_days(folded: Folded) -> list[Break]:
    """The same for days of totals that no usage export tells: whole days' money."""
    ours: dict[DayKey, Decimal] = {}
    unknown: set[DayKey] = set()
    for key, cell in folded.cells.items():
        if folded.grain.is_coarse(key.day) and key.day not in folded.usage_days:
            at = folded.grain.day_of(key)
            ours[at] = ours.get(at, Decimal(0)) + cell.our_amount
            unknown |= {at} if cell.unpriced else set()
    gaps: dict[DayKey, Decimal] = {}
    for at in ours.keys() | folded.day_money.keys():
        money = folded.day_money.get(at, Money())
        gap = money.amount - ours.get(at, Decimal(0))
        if at.day not in folded.usage_days and at not in unknown and abs(gap) > money.rounding_max:
            gaps[at] = gap
    breaks = []
    for at in sorted(gaps, key=lambda at: (at.day, str(at))):
        other = at._replace(day=at.day + ONE_DAY)
        if at in gaps and other in gaps and _is_carried(folded, ours, at, gaps):
            breaks += [
                _take_day(folded, ours, one, gaps.pop(one), two.day) for one, two in ((at, other), (other, at))
            ]
    return breaks


def _is_carried(folded: Folded, ours: dict[DayKey, Decimal], at: DayKey, gaps: dict[DayKey, Decimal]) -> bool:
    """Whether what is missing on one day is over on the other, and was used there."""
    other = at._replace(day=at.day + ONE_DAY)
    bound = sum((folded.day_money.get(one, Money()).rounding_max for one in (at, other)), Decimal(0))
    source = at if gaps[at] < 0 else other
    return abs(gaps[at] + gaps[other]) <= bound and abs(gaps[at]) <= ours.get(source, Decimal(0)) + bound


def _take_day(folded: Folded, ours: dict[DayKey, Decimal], at: DayKey, gap: Decimal, other: date) -> Break:
    money = folded.day_money.setdefault(at, Money())
    mine = ours.get(at)
    why = f"{signed(gap)} here and the opposite on {other}: use that the vendor counts on the neighbouring day"
    sides = (None if mine is None else Figures(None, mine), Figures(None, money.amount) if money.rows else None)
    money.amount -= gap
    money.rows = money.rows or 1
    key = BreakKey(at.day, at.model, account=at.account)
    return Break(BreakClass.PERIOD_EDGE, gap, key, *sides, why, level=INVOICE)


def _take_one(part: tuple[CellKey, Cell, Gap], run: Sequence[date], policy: Policy) -> Break:
    key, cell, gap = part
    if gap.quantity is None or (cell.vendor_quantity is None and cell.money.rows):
        gap = Gap(None, gap.amount, gap.bound)
        what = f"{signed(gap.amount)} here"
    else:
        what = f"{signed(gap.quantity)} {key.unit} here"
    others = ", ".join(str(day) for day in run if day != key.day)
    amount = take(key, cell, gap, policy)
    seen = f"we saw {count(cell.ours.quantity)}" if cell.ours and cell.ours.quantity is not None else "we saw none"
    why = (
        f"{what} ({seen}) and the opposite on {others}: together both sides agree, so this is use that the vendor "
        f"counts on the neighbouring day; worth {plain(abs(amount))} at our price"
    )
    return cell_break(BreakClass.PERIOD_EDGE, key, cell, amount, why)
