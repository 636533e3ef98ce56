"""What a difference in quantity is worth at our price, and how prices and figures read in a sentence."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING

from billing.money import exact, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from billing.reconciliation.cells import Cell
    from billing.reconciliation.groups import PriceUse

PER = 1_000_000
"""Prices read per million units, as vendors print them."""
WORTH_STEP = Decimal("1e-12")
_WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)


def our_unit_price(cell: Cell) -> Decimal:
    """The price of one unit in a cell of ours: the row's own where one price decided, else the mean of the cell."""
    prices = {use.unit_price for use in cell.prices}
    if len(prices) == 1:
        return next(iter(prices))
    return _WIDE.divide(cell.our_amount, Decimal(cell.our_quantity))


def worth_of(quantity: Decimal, cell: Cell) -> Decimal:
    """A difference in quantity at our price: exact where one price decided, else the mean price to 1e-12.

    Rounding the mean moves money between the cell's QUANTITY and PRICE only: their sum stays exact, because PRICE is
    (vendor price - our price) x vendor quantity = the cell's difference - this.
    """
    if len({use.unit_price for use in cell.prices}) == 1:
        with exact():
            return quantity * our_unit_price(cell)
    value = _WIDE.multiply(quantity, our_unit_price(cell))
    return _WIDE.quantize(value, WORTH_STEP)


def per_million(unit_price: Decimal) -> str:
    """A price of one unit, per million, to 12 digits: "2.5 per 1,000,000"."""
    return f"{plain(Context(prec=12).multiply(unit_price, Decimal(PER)))} per {PER:,}"


def implied_price(amount: Decimal, quantity: Decimal) -> str:
    """What a vendor's amount says one million costs; "about" where the quotient does not end in 12 digits."""
    context = Context(prec=12)
    said = context.divide(context.multiply(amount, Decimal(PER)), quantity)
    ends = _WIDE.multiply(said, quantity) == _WIDE.multiply(amount, Decimal(PER))
    return f"{'' if ends else 'about '}{plain(said)} per {PER:,}"


PRICE_DIGITS = 5
"""Vendors print prices of a million tokens with at most so many digits."""


def unit_price_of(amount: Decimal, quantity: Decimal) -> Decimal:
    """What one unit costs by the vendor's amount, to 12 digits."""
    return Context(prec=12).divide(amount, quantity)


def reads_like_a_price(amount: Decimal, quantity: Decimal, bound: Decimal, sure: int = 20) -> bool:
    """Whether an amount is a price of PRICE_DIGITS digits for a million units, within what rounding hides.

    False where rounding hides so much that any amount would be one: it must be `sure` times finer than the last digit.
    """
    if not quantity or amount <= 0:
        return False
    said = Context(prec=PRICE_DIGITS).divide(_WIDE.multiply(amount, Decimal(PER)), quantity)
    step = _WIDE.divide(_WIDE.multiply(Decimal(1).scaleb(said.adjusted() - PRICE_DIGITS + 1), quantity), Decimal(PER))
    return abs(_WIDE.divide(_WIDE.multiply(said, quantity), Decimal(PER)) - amount) <= bound and bound * sure < step


def whole_units(amount: Decimal, unit_price: Decimal, bound: Decimal) -> Decimal | None:
    """How many units an amount is at a price, where that is a whole number and rounding could not make it one."""
    if not unit_price or bound * 20 >= unit_price:
        return None
    units = _WIDE.divide(amount, unit_price).to_integral_value()
    return units if abs(_WIDE.multiply(units, unit_price) - amount) <= bound else None


def rows_named(prices: Iterable[PriceUse]) -> str:
    """The price rows that decided, in words: "price row P-000118 (2.5 per 1,000,000, since 2026-01-01)"."""
    rows = sorted(prices, key=lambda use: use.code)
    if not rows:
        return "no price row"
    named = [f"{use.code} ({per_million(use.unit_price)}, since {use.since})" for use in rows[:3]]
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    return f"price row{'s' if len(rows) > 1 else ''} {', '.join(named)}{more}"


def count(quantity: Decimal | int) -> str:
    """A quantity in a sentence: 1,234,567."""
    value = Decimal(quantity)
    return f"{int(value):,}" if value == value.to_integral_value() else plain(value)


def signed(amount: Decimal) -> str:
    """An amount in a sentence, with its sign."""
    return plain(amount) if amount < 0 else f"+{plain(amount)}"
