"""Which hourly sums a line of a statement rests on. Pure: sums, book and statement in, sums by line out.

A sum belongs to the line of its provider, model, unit and price row. Two things make several lines share their sums,
and then they are compared together: volume tiers cut a month's quantity in one ratio for everybody, and a line that no
rate of exchange converts ('unconverted') has the price row of one that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from billing.explaining.hours import HourSum, Route
from billing.prices import Asked
from billing.rating import rate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from billing.explaining.items import Item
    from billing.prices import PriceBook, PriceRow
    from billing.rating import UsageSum


class LineGroup(NamedTuple):
    """What lines and sums have in common. `price_id` is None where nothing prices the use; `terms` are the codes of
    discounts, empty where tiers make lines share their sums."""

    provider: str
    model: str
    unit: str
    price_id: str | None
    status: str
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Basis:
    """The sums of a group of lines. `prices` are the rows that rating finds for them, by id."""

    items: tuple[Item, ...]
    hours: tuple[HourSum, ...]
    prices: Mapping[int, PriceRow]

    @property
    def stated(self) -> int:
        """The quantity that the lines state together."""
        return sum(int(item.document["quantity"]) for item in self.items)

    @property
    def summed(self) -> int:
        """The quantity of the sums."""
        return sum(one.quantity for one in self.hours)


def find_bases(items: Sequence[Item], sums: Iterable[UsageSum], book: PriceBook) -> dict[LineGroup, Basis]:
    """Lines and sums brought together. A group without items is use that no line of the statement shows; one without
    hours is a line that no sum stands behind. The dimension of each sum is its HourSum; one without is of some hours in
    which no price changes, and nothing else is known of it."""
    lines = [item for item in items if item.section == "lines"]
    tiered = {_group(item.document)[:4] for item in lines if _has_tier(item.document)}
    grouped: dict[LineGroup, list[Item]] = {}
    for item in lines:
        grouped.setdefault(_folded(_group(item.document), tiered), []).append(item)
    summed: dict[LineGroup, list[HourSum]] = {}
    prices: dict[LineGroup, dict[int, PriceRow]] = {}
    for part in rate(sums, book):
        usage = part.usage
        (one,) = usage.dimensions or (HourSum(usage.hour, 0, usage.band, "", part.unit, 0, part.quantity),)
        assert isinstance(one, HourSum)
        price = part.price
        terms = () if price is None else tuple(term.code for term in price.terms)
        key = LineGroup(
            part.usage.provider, part.usage.model, part.unit, None if price is None else price.code, part.status, terms
        )
        key = _folded(key, tiered)
        summed.setdefault(key, []).append(one)
        if price is not None:
            prices.setdefault(key, {})[price.id] = price
    return {
        key: Basis(tuple(grouped.get(key, ())), tuple(summed.get(key, ())), prices.get(key, {}))
        for key in grouped.keys() | summed.keys()
    }


def group_of(item: Item, items: Sequence[Item]) -> LineGroup:
    """The group of a line among the lines of its statement."""
    tiered = {_group(one.document)[:4] for one in items if one.section == "lines" and _has_tier(one.document)}
    return _folded(_group(item.document), tiered)


def asked_of(hour: HourSum, routes: Mapping[int, Route]) -> Asked:
    """What a price is wanted for, for a sum."""
    route = routes[hour.route_id]
    return Asked(route.provider, route.model, route.service_tier, route.region, hour.band)


def _group(line: Mapping[str, Any]) -> LineGroup:
    status = "priced" if line["price_status"] == "unconverted" else line["price_status"]
    terms = tuple(term["term_id"] for term in line.get("terms") or ())
    return LineGroup(line["provider"], line["model"], line["unit"], line["price_id"], status, terms)


def _folded(group: LineGroup, tiered: set[tuple[Any, ...]]) -> LineGroup:
    return group._replace(terms=()) if group[:4] in tiered else group


def _has_tier(line: Mapping[str, Any]) -> bool:
    return any(term.get("above") is not None for term in line.get("terms") or ())
