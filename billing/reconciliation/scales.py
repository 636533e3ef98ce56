"""UNIT_SCALE: a figure in another unit, as cents for dollars or thousands for single tokens.

Three tests, each for a power of ten from 100 on (tenfold is no unit that bills confuse: it is what a fresh token costs
against a cached one). The vendor's tokens are exactly so many times ours; or the vendor's money is our price for a
power of ten fewer or more tokens than it says; or the price that follows from both is a power of ten of ours, exactly
or within about a factor of two, which is then a price of its own.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import TYPE_CHECKING

from billing.money import plain
from billing.reconciliation.gaps import cell_break
from billing.reconciliation.groups import Break, BreakClass
from billing.reconciliation.worth import count, our_unit_price

if TYPE_CHECKING:
    from billing.reconciliation.cells import Cell, CellKey, Folded

POWERS = (2, 3, 6, -2, -3, -6, 4, 5, -4, -5, 9, -9)
"""Hundreds, thousands and millions first: those are the units of bills."""
NEAR = Decimal("2.1")
"""A price that is off by more than this besides the power of ten speaks for no power of ten."""
TOKENS_MIN = 1_000
"""Fewer of ours than this say nothing about how many times as many the vendor's are."""
_WIDE = Context(prec=50)


def take_scales(folded: Folded) -> list[Break]:
    """The breaks of cells in another unit; the vendor's side is brought to ours."""
    breaks = []
    for key, cell in folded.cells.items():
        if folded.grain.is_coarse(key.day) or not cell.our_quantity or not cell.money.rows or cell.unpriced:
            continue
        found = _take_one(key, cell)
        breaks += [found] if found else []
    return breaks


def power_of(amount: Decimal, base: Decimal, bound: Decimal) -> int | None:
    """The power of ten by which `amount` is `base`, within a bound; None where it is none of POWERS."""
    if not base or not amount or (amount < 0) != (base < 0):
        return None
    return next((power for power in POWERS if abs(amount - base.scaleb(power)) <= bound), None)


def _take_one(key: CellKey, cell: Cell) -> Break | None:
    amount, bound = cell.money.amount, cell.money.rounding_max
    told = cell.vendor_quantity
    same_tokens = told is None or abs(told - cell.our_quantity) <= cell.quantity_slack
    if same_tokens and abs(amount - cell.our_amount) <= bound:
        return None
    token_power = _power_of_tokens(cell, told)
    tokens = Decimal(cell.our_quantity) if told is None else told.scaleb(-token_power)
    worth = _WIDE.multiply(our_unit_price(cell), tokens) if told is not None else cell.our_amount
    money_power = _power_of_money(amount, worth, bound)
    if not token_power and not money_power:
        return None
    cell.money.amount = amount.scaleb(-money_power)
    cell.money.rounding_max = bound.scaleb(-money_power) if money_power < 0 else bound
    if token_power:
        assert told is not None
        cell.billed_quantity = tokens
    said = []
    if token_power:
        said.append(f"the vendor's {count(told or 0)} {key.unit} are {times(token_power)} of {count(tokens)}")
    if money_power:
        said.append(
            f"its amount of {plain(amount)} is {times(money_power)} of what {count(tokens)} {key.unit} cost by our "
            f"price ({plain(_WIDE.quantize(worth, Decimal('1e-6')))})"
        )
    why = f"{'; '.join(said)}: another unit, not another use"
    return cell_break(BreakClass.UNIT_SCALE, key, cell, amount - cell.money.amount, why)


def _power_of_tokens(cell: Cell, told: Decimal | None) -> int:
    """The power by which the vendor's tokens are in another unit: they are exactly ours, or the money says so."""
    if told is None or told <= 0 or abs(told - cell.our_quantity) <= cell.quantity_slack:
        return 0
    exactly = power_of(told, Decimal(cell.our_quantity), cell.quantity_slack)
    if exactly is not None:
        return exactly
    unit_price = our_unit_price(cell)
    if abs(cell.money.amount - _WIDE.multiply(unit_price, told)) <= cell.money.rounding_max:
        return _power_beyond_use(told, Decimal(cell.our_quantity))
    by_money = power_of(_WIDE.multiply(unit_price, told), cell.money.amount, cell.money.rounding_max)
    ours = Decimal(cell.our_quantity)
    if by_money is not None and _apart(told.scaleb(-by_money), ours) < _apart(told, ours):
        return by_money
    return _power_beyond_use(told, ours)


def _power_beyond_use(told: Decimal, ours: Decimal) -> int:
    """A thousand or a million times ours, within a factor of two, is no use that passed the gateway by."""
    for power in (3, 6):
        if ours >= TOKENS_MIN and _is_near(_WIDE.divide(told, ours).scaleb(-power)):
            return power
    return 0


def _is_near(ratio: Decimal) -> bool:
    return ratio <= NEAR and _WIDE.multiply(ratio, NEAR) >= 1


def _apart(one: Decimal, other: Decimal) -> Decimal:
    """How many times the larger is the smaller."""
    return _WIDE.divide(max(one, other), min(one, other))


def _power_of_money(amount: Decimal, worth: Decimal, bound: Decimal) -> int:
    """The power by which the money is in another unit."""
    exactly = power_of(amount, worth, bound)
    if exactly is not None:
        return exactly
    if not worth or not amount or (amount < 0) != (worth < 0) or abs(amount - worth) <= bound:
        return 0
    ratio = _WIDE.divide(amount, worth)
    for power in POWERS:
        if _is_near(ratio.scaleb(-power)):
            return power
    return 0


def times(power: int) -> str:
    """A power of ten in words."""
    return f"{10**power:,} times" if power > 0 else f"a {10**-power:,}th"
