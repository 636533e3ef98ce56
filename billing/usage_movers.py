"""What changed between two stretches of usage and why: for each model and unit more or less of it, or another price.

Pure. Of one group (department, model, unit) in one currency with quantities q0, q1 and costs c0, c1:
* effect of quantity: (q1 - q0) x c0 / q0, what the change of quantity costs at the price of before;
* effect of price: c1 - q1 x c0 / q0, what the same quantity costs more or less now.
Both add up to c1 - c0. What was not used before, or not any more, is an effect of quantity altogether. Where a part of
a group has no price on either side its change is unknown and in no sum; how much of it there is stands beside.

Amounts of several currencies are put into one at one rate for both stretches, so that no change is one of exchange
alone; without a rate they stay in their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from billing.usage_slice import differences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from billing.usage import Cell, UsageRow

NOUGHT = Fraction(0)


@dataclass(slots=True)
class Mover:
    """Something whose cost changed, in one currency. All amounts are exact."""

    name: Cell
    currency: str
    before: Fraction = NOUGHT
    now: Fraction = NOUGHT
    by_quantity: Fraction = NOUGHT
    by_price: Fraction = NOUGHT
    unpriced_quantity: int = 0

    @property
    def change(self) -> Fraction:
        """By how much the cost grew; negative where it shrank."""
        return self.now - self.before

    def add(self, other: Mover) -> None:
        """Take another one's amounts to this one's."""
        self.before += other.before
        self.now += other.now
        self.by_quantity += other.by_quantity
        self.by_price += other.by_price
        self.unpriced_quantity += other.unpriced_quantity

    def convert(self, currency: str, rates: Mapping[str, Decimal]) -> None:
        """Put amounts into a currency; without a rate they stay."""
        rate = Fraction(1) if self.currency == currency else rates.get(self.currency)
        if rate is not None:
            self.currency, factor = currency, Fraction(rate)
            self.before, self.now = self.before * factor, self.now * factor
            self.by_quantity, self.by_price = self.by_quantity * factor, self.by_price * factor

    def document(self) -> dict[str, Any]:
        """Amounts to a millionth of the currency, half up, as text: these are words about a change, not bookings."""
        return {
            "name": self.name, "currency": self.currency, "before": _text(self.before), "now": _text(self.now),
            "change": _text(self.change), "by_quantity": _text(self.by_quantity), "by_price": _text(self.by_price),
            "unpriced_quantity": str(self.unpriced_quantity),
            "why": "price" if abs(self.by_price) > abs(self.by_quantity) else "quantity",
        }  # fmt: skip


def movers(
    now: Sequence[UsageRow], before: Sequence[UsageRow], place: int, currency: str, rates: Mapping[str, Decimal]
) -> list[Mover]:
    """What changed, by the dimension at `place` of the rows' groups, the largest change first. Rows are by dimensions
    that end with the unit, so that each is of one price and unit as far as possible. `rates`: units of `currency` for
    one of another."""
    found: dict[tuple[Cell, str], Mover] = {}
    for one, other in differences(now, before):
        moved = _moved(one, other, place)
        if moved is not None:
            moved.convert(currency, rates)
            found.setdefault((moved.name, moved.currency), Mover(moved.name, moved.currency)).add(moved)
    return sorted(
        (one for one in found.values() if one.change),
        key=lambda one: (-abs(one.change), one.name is None, str(one.name)),
    )


def _moved(now: UsageRow | None, before: UsageRow | None, place: int) -> Mover | None:
    """One group's effects; None where nothing of it has a cost in a currency."""
    either = now or before
    assert either is not None
    if either.currency is None:
        return None
    moved = Mover(either.group[place], either.currency)
    unpriced = sum(row.unpriced_quantity for row in (now, before) if row is not None)
    if unpriced:
        moved.unpriced_quantity = unpriced
        return moved
    moved.before, q0 = _known(before)
    moved.now, q1 = _known(now)
    moved.by_quantity, moved.by_price = effects(q0, moved.before, q1, moved.now)
    return moved


def effects(q0: Fraction, c0: Fraction, q1: Fraction, c1: Fraction) -> tuple[Fraction, Fraction]:
    """(effect of quantity, effect of price) of a change from quantity q0 at cost c0 to q1 at c1: c1 - c0 together."""
    if not q0 or not q1:
        return c1 - c0, NOUGHT
    at_old_price = c0 / q0 * q1
    return at_old_price - c0, c1 - at_old_price


def _known(row: UsageRow | None) -> tuple[Fraction, Fraction]:
    """(cost, quantity) of a row; nothing where it is not there."""
    if row is None:
        return NOUGHT, NOUGHT
    return Fraction(row.cost or 0), Fraction(row.quantity or 0)


def _text(amount: Fraction) -> str:
    scaled = amount * 1_000_000
    whole = int(abs(scaled) + Fraction(1, 2))
    sign = "-" if amount < 0 and whole else ""
    return f"{sign}{whole // 1_000_000}.{whole % 1_000_000:06}"
