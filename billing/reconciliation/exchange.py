"""FX: the bill is in another currency than our prices, and the vendor converts at a rate of its own.

Our side comes converted at our rate of each day (`Policy.rates`). The test: groups whose tokens agree imply one and the
same rate of the vendor's, over the month or over the day, and it is not ours. The vendor's money is then brought to our
rate, so that quantities and prices are judged without it.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import TYPE_CHECKING, NamedTuple

from billing.money import plain
from billing.reconciliation.gaps import cell_break
from billing.reconciliation.groups import Break, BreakClass, BreakKey, Figures

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from billing.reconciliation.cells import Cell, CellKey, DayKey, Folded, Money
    from billing.reconciliation.groups import Policy

SPEAK_MIN = 2
"""So many groups must imply the same rate. Where a bill has one group only, it counts if its rate is one as banks write
it, within a tenth of ours."""
AGREE_PERCENT = 60
"""Most of the groups that can say anything must imply it."""
NEAR = 2
"""No rate is twice or half of ours: that is another unit or another price."""
STEP = Decimal("1e-12")
CENT = Decimal("0.01")
_WIDE = Context(prec=60)


class Side(NamedTuple):
    """Money of the vendor's against ours on a day. `cell` is None for a day's total."""

    day: date
    total: DayKey | None
    key: CellKey | None
    cell: Cell | None
    money: Money
    ours: Decimal
    same_tokens: bool

    def implied(self, rates: dict[date, Decimal]) -> Decimal:
        """The vendor's rate, if all of the difference is rate."""
        return _WIDE.divide(_WIDE.multiply(self.money.amount, rates[self.day]), self.ours)


def take_exchange(folded: Folded, policy: Policy) -> list[Break]:
    """The breaks of the rate; the vendor's side is brought to our rate."""
    rates = dict(policy.rates)
    if not rates:
        return []
    sides = [side for side in (*_cells(folded), *_days(folded)) if side.day in rates]
    over_all = _written(sides[0], rates) if len(sides) == 1 and sides[0].same_tokens else None
    over_all = over_all or _common([side for side in sides if side.same_tokens], rates)
    if over_all is not None:
        by_day = dict.fromkeys({side.day for side in sides}, over_all)
    else:
        by_day = {}
        for day in {side.day for side in sides}:
            found = _common([side for side in sides if side.same_tokens and side.day == day], rates)
            if found is not None:
                by_day[day] = found
    breaks = [_take_one(side, rates[side.day], by_day[side.day], rates) for side in sides if side.day in by_day]
    return [found for found in breaks if found is not None]


def _cells(folded: Folded) -> list[Side]:
    found = []
    for key, cell in folded.cells.items():
        if folded.grain.is_coarse(key.day) or not cell.money.rows or cell.unpriced:
            continue
        told = cell.vendor_quantity
        same = bool(cell.our_amount) and (told is None or abs(told - cell.our_quantity) <= cell.quantity_slack)
        found.append(Side(key.day, None, key, cell, cell.money, cell.our_amount, same))
    return found


def _days(folded: Folded) -> list[Side]:
    found = []
    for at, money in folded.day_money.items():
        cells = [cell for key, cell in folded.cells.items() if folded.grain.day_of(key) == at]
        ours = sum((cell.our_amount for cell in cells), Decimal(0))
        known = bool(ours) and not any(cell.unpriced for cell in cells)
        found.append(Side(at.day, at, None, None, money, ours, known))
    return found


def _common(sides: Sequence[Side], rates: dict[date, Decimal]) -> Decimal | None:
    """The rate that most of the sides imply, where it is not ours; the middle one of those implied."""
    implied = sorted((side.implied(rates), place) for place, side in enumerate(sides))
    if len(implied) < SPEAK_MIN:
        return None
    rate = implied[len(implied) // 2][0]
    close = [sides[at] for value, at in implied if _close(value, rate, sides[at])]
    if not close:
        return None
    largest = max(close, key=lambda side: side.ours)
    rate = largest.implied(rates)
    agree = [side for side in sides if _agrees(side, rate, rates)]
    differ = any(abs(side.money.amount - side.ours) > side.money.rounding_max for side in agree)
    if len(agree) < SPEAK_MIN or len(agree) * 100 < AGREE_PERCENT * len(sides) or not differ:
        return None
    ours = rates[largest.day]
    return rate if ours / NEAR < rate < ours * NEAR else None


def _written(side: Side, rates: dict[date, Decimal]) -> Decimal | None:
    """The rate of the only side, where it is one as banks write it: with two digits, rounding being much finer."""
    ours = rates[side.day]
    rate = _WIDE.quantize(side.implied(rates), CENT)
    hidden = _WIDE.divide(_WIDE.multiply(side.money.rounding_max, ours), side.ours)
    if abs(side.money.amount - side.ours) <= side.money.rounding_max or abs(hidden) * 20 > CENT:
        return None
    near = ours * Decimal("0.9") < rate < ours * Decimal("1.1")
    return rate if near and _agrees(side, rate, rates) else None


def _close(value: Decimal, rate: Decimal, side: Side) -> bool:
    return abs(value - rate) <= _WIDE.divide(_WIDE.multiply(2 * side.money.rounding_max, rate), abs(side.ours)) + STEP


def _agrees(side: Side, rate: Decimal, rates: dict[date, Decimal]) -> bool:
    expected = _WIDE.divide(_WIDE.multiply(side.ours, rate), rates[side.day])
    return abs(side.money.amount - expected) <= 2 * side.money.rounding_max


def _take_one(side: Side, ours: Decimal, theirs: Decimal, rates: dict[date, Decimal]) -> Break | None:
    if side.same_tokens and _agrees(side, theirs, rates):
        at_our_rate = side.ours
    else:
        at_our_rate = _WIDE.quantize(_WIDE.divide(_WIDE.multiply(side.money.amount, ours), theirs), STEP)
        side.money.rounding_max += STEP
    amount = side.money.amount - at_our_rate
    if not amount:
        return None
    shown = Figures(None, side.money.amount)
    side.money.amount = at_our_rate
    named = next((day for day, rate in sorted(rates.items()) if abs(rate - theirs) <= Decimal("0.005")), None)
    of = f", ours of {named}" if named is not None else ""
    why = (
        f"the same use; the vendor converts at {plain(_WIDE.quantize(theirs, Decimal('0.0001')))}{of}, our rate of "
        f"this day is {plain(ours)}: other groups imply the same rate"
    )
    if side.cell is not None and side.key is not None:
        return cell_break(BreakClass.FX, side.key, side.cell, amount, why)
    assert side.total is not None
    at = BreakKey(side.day, side.total.model, account=side.total.account)
    return Break(BreakClass.FX, amount, at, Figures(None, side.ours), shown, why, rows=side.money.rows)
