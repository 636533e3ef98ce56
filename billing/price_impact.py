"""How much of a month's cost a new price would touch: what `price import` shows before it is written. Pure.

A quantity of the month is touched if a new row would price use like it: at the hour of its own use, or at any hour at
which a new row begins. Its cost is what it cost by the book before.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from billing.money import exact, plain
from billing.prices import Asked
from billing.rating import cost_of
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from billing.prices import PriceBook, PriceRow
    from billing.rating import RatedQuantity


class TouchedCost(NamedTuple):
    """The month's cost in one currency, and how much of it new rows touch."""

    currency: str
    touched: Decimal
    total: Decimal

    @property
    def percent(self) -> Decimal:
        """The share in percent, to a tenth, half to even."""
        if not self.total:
            return Decimal(0)
        with exact():
            return Decimal(round(Fraction(self.touched) * 1000 / Fraction(self.total))).scaleb(-1)


@dataclass(frozen=True, slots=True)
class Impact:
    """What new rows touch of a month: cost by currency, and quantities that had no price, of which `priced_now` get
    one."""

    month: str
    costs: tuple[TouchedCost, ...]
    unpriced: int
    priced_now: int

    def document(self) -> dict[str, Any]:
        """As `price import --json` shows it."""
        return {
            "month": self.month,
            "costs": [
                {
                    "currency": one.currency,
                    "touched": plain(one.touched),
                    "total": plain(one.total),
                    "share_percent": plain(one.percent),
                }
                for one in self.costs
            ],
            "unpriced_quantity": str(self.unpriced),
            "priced_now": str(self.priced_now),
        }

    def sentences(self) -> list[Sentence]:
        """For a person who is asked."""
        said = [
            Sentence(
                "touches %(percent)s %% of %(month)s's cost: %(touched)s of %(total)s %(currency)s",
                percent=plain(one.percent), month=self.month, touched=plain(one.touched), total=plain(one.total),
                currency=one.currency,
            )
            for one in self.costs
        ]  # fmt: skip
        if self.unpriced:
            said.append(
                Sentence(
                    "gives a price to %(priced)s of %(unpriced)s units of %(month)s that had none",
                    priced=self.priced_now, unpriced=self.unpriced, month=self.month,
                )
            )  # fmt: skip
        return said or [Sentence("touches no cost of %(month)s: nothing was used then", month=self.month)]


def impact_of(
    month: str, rated: Iterable[RatedQuantity], after: PriceBook, new_rows: Sequence[PriceRow]
) -> Impact:
    """`rated`: the month by the book before. `after`: the book with the new rows, under the ids that it knows."""
    ids = {row.id for row in new_rows}
    begins = sorted({row.from_hour for row in new_rows})
    touched: dict[tuple[Asked, str], bool] = {}
    costs: dict[str, tuple[Decimal, Decimal]] = {}
    unpriced = priced_now = 0
    for part in rated:
        usage = part.usage
        asked = Asked(usage.provider, usage.model, usage.service_tier, usage.region, usage.band)
        if (asked, part.unit) not in touched:
            answers = (after.find(asked, part.unit, hour) for hour in (usage.hour, *begins))
            touched[asked, part.unit] = any(row is not None and row.row_id in ids for row in answers)
        if part.price is None:
            if part.status == "unpriced":
                unpriced += part.quantity
                priced_now += part.quantity if touched[asked, part.unit] else 0
            continue
        now, total = costs.get(part.price.currency, (Decimal(0), Decimal(0)))
        with exact():
            cost = cost_of(part.quantity, part.price)
            costs[part.price.currency] = (now + cost if touched[asked, part.unit] else now, total + cost)
    return Impact(
        month, tuple(TouchedCost(currency, *costs[currency]) for currency in sorted(costs)), unpriced, priced_now
    )
