"""Why a bill changed: by group (a model, a user), how much came from more or less use and how much from prices. Pure.

For each thing of a group (a unit of a model): the quantity effect is what the other quantity would have cost at the
earlier price, the price effect is the rest. What is new, or gone, is quantity alone. Both effects of a group come to
its difference, and the differences of all groups to that of all that is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from billing.money import exact, plain

if TYPE_CHECKING:
    from billing.prices import PriceRow
    from billing.rating import RatedQuantity

NOUGHT = Decimal(0)
Group = str | None
Thing = tuple[str, ...]


class Used(NamedTuple):
    """What was used of one thing, and what it cost; None: it has no price."""

    quantity: int
    cost: Decimal | None


Uses = dict[str | None, dict[tuple[Group, Thing], Used]]
"""By currency; under None what has no price at all."""


def used_in(rated: Iterable[RatedQuantity], split_hour: int) -> tuple[Uses, Uses]:
    """What was used before a UTC hour, and from it on, by the sums' first dimension, which is the group; the others and
    the unit are the thing. No sum crosses that hour. A thing of which a part has no price has no cost; where its other
    parts are in several currencies, that part stands under None."""
    totals: dict[tuple[bool, tuple[object, ...], str, int | None], int] = {}
    prices: dict[int, PriceRow] = {}
    for usage, unit, quantity, price, status in rated:
        if status == "not_billable":
            continue
        if price is not None:
            prices[price.id] = price
        key = (usage.hour >= split_hour, usage.dimensions, unit, None if price is None else price.id)
        totals[key] = totals.get(key, 0) + quantity
    found: tuple[Uses, Uses] = ({}, {})
    unpriced: list[tuple[Uses, tuple[Group, Thing], int]] = []
    with exact():
        for (is_later, (group, *thing), unit, price_id), quantity in totals.items():
            uses, named = found[is_later], (cast("Group", group), (*map(str, thing), unit))
            if price_id is None:
                unpriced.append((uses, named, quantity))
                continue
            price = prices[price_id]
            cost, of_currency = price.price * quantity / price.per, uses.setdefault(price.currency, {})
            known = of_currency.get(named)
            if known is not None and known.cost is not None:
                quantity, cost = known.quantity + quantity, known.cost + cost
            of_currency[named] = Used(quantity, cost)
    for uses, named, quantity in unpriced:
        currencies = [currency for currency, used in uses.items() if named in used]
        currency = currencies[0] if len(currencies) == 1 else None
        known = uses.setdefault(currency, {}).get(named, Used(0, None))
        uses[currency][named] = Used(known.quantity + quantity, None)
    return found


@dataclass(frozen=True, slots=True)
class Mover:
    """A group in two periods, in one currency. `quantity_effect` + `price_effect` = `now` - `before`, exactly.

    `is_partial`: some use of either period has no price and is in no figure.
    """

    group: Group
    before: Decimal
    now: Decimal
    quantity_effect: Decimal
    price_effect: Decimal
    is_partial: bool

    @property
    def difference(self) -> Decimal:
        """By how much more it is than before."""
        with exact():
            return self.now - self.before

    def document(self, name: str) -> dict[str, Any]:
        """As JSON, the group under `name`."""
        figures = ("before", "now", "difference", "quantity_effect", "price_effect")
        return {name: self.group, **{one: plain(getattr(self, one)) for one in figures}, "is_partial": self.is_partial}


def movers(
    before: Mapping[tuple[Group, Thing], Used], now: Mapping[tuple[Group, Thing], Used], digits: int
) -> list[Mover]:
    """Every group of either period, the largest difference first. Effects are rounded to `digits` after the point."""
    groups: dict[Group, list[Thing]] = {}
    nothing = Used(0, NOUGHT)
    for group, thing in {**before, **now}:
        groups.setdefault(group, []).append(thing)
    found = []
    for group, things in groups.items():
        keys = [(group, thing) for thing in sorted(things)]
        found.append(_mover(group, [(before.get(key, nothing), now.get(key, nothing)) for key in keys], digits))
    return sorted(found, key=lambda one: (-abs(one.difference), one.group is None, one.group or ""))


def _mover(group: Group, pairs: list[tuple[Used, Used]], digits: int) -> Mover:
    step = Decimal(1).scaleb(-digits)
    with exact():
        before = sum((old.cost for old, _ in pairs if old.cost is not None), NOUGHT)
        now = sum((new.cost for _, new in pairs if new.cost is not None), NOUGHT)
    by_quantity = sum((_quantity_effect(old, new) for old, new in pairs), NOUGHT).quantize(step, ROUND_HALF_EVEN)
    with exact():
        by_price = now - before - by_quantity
    is_partial = any(one.cost is None for pair in pairs for one in pair)
    return Mover(group, before, now, by_quantity, by_price, is_partial)


def _quantity_effect(old: Used, new: Used) -> Decimal:
    """What the other quantity would have cost at the earlier price. What had no price before, or has none now, moved
    by quantity as far as anybody knows: its own effect is the whole of what is known."""
    if old.cost is None or new.cost is None or not old.quantity or not new.quantity:
        return (new.cost or NOUGHT) - (old.cost or NOUGHT)
    return (new.quantity - old.quantity) * old.cost / old.quantity
