"""Kept sums rated twice, and the difference. Pure: sums and two ways of pricing in, amounts by department and model.

A kept sum is what one department used of one model in a stretch of hours in which no price changes. Its quantities come
with the same quantities times the rate of exchange of their day, so that a year has as many sums as it has different
questions to the price book, and not a sum a day. Nothing is rounded here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from billing.money import exact
from billing.prices import Asked

if TYPE_CHECKING:
    from billing.charges import Department
    from billing.prices import PriceBook, PriceRow

Model = tuple[str, str]
"""(provider, model)."""


class Weight(NamedTuple):
    """A quantity in another currency than the statements': the sum of quantity x rate, and what no rate converts."""

    converted: Decimal
    without_rate: int


class KeptUnit(NamedTuple):
    """A quantity of one unit with its weights by currency; a currency that is not there converts nothing."""

    unit: str
    quantity: int
    weights: Mapping[str, Weight]


class KeptSum(NamedTuple):
    """What prices are asked for, with the units. `hour` is the first UTC hour of the stretch."""

    department: Department
    hour: int
    provider: str
    model: str
    service_tier: str
    region: str | None
    band: int
    cached: bool
    units: tuple[KeptUnit, ...]


@dataclass(frozen=True, slots=True)
class Pricing:
    """A price book, and models that are taken for others: the tokens of one at the other's prices."""

    book: PriceBook
    instead: Mapping[Model, Model] = field(default_factory=dict)

    def asked(self, provider: str, model: str, service_tier: str, region: str | None, band: int) -> Asked:
        """What the book is asked for use of a model."""
        provider, model = self.instead.get((provider, model), (provider, model))
        return Asked(provider, model, service_tier, region, band)


@dataclass(slots=True)
class Cell:
    """What a department's use of a model comes to by both pricings, in the statements' currency.

    `unknown_*` are quantities without a price or a rate; `lost` is the quantity that has an amount now and none then.
    """

    now: Decimal = Decimal(0)
    then: Decimal = Decimal(0)
    unknown_now: int = 0
    unknown_then: int = 0
    lost: int = 0

    @property
    def difference(self) -> Decimal | None:
        """What it would be more; None where a part of it would have no price: unknown is not 0."""
        with exact():
            return None if self.lost else self.then - self.now

    def add(self, other: Cell) -> None:
        """Take in another cell; within `exact`."""
        self.now += other.now
        self.then += other.then
        self.unknown_now += other.unknown_now
        self.unknown_then += other.unknown_then
        self.lost += other.lost


Cells = dict[tuple["Department", str, str], Cell]
"""By (department, provider, model)."""


def compare(sums: Iterable[KeptSum], now: Pricing, then: Pricing, currency: str) -> Cells:
    """Rate every sum by both pricings. Amounts are taken once for each price row, from totals."""
    tallies: dict[tuple[Department, str, str], _Tally] = {}
    answers: dict[tuple[object, ...], dict[str, tuple[PriceRow | None, PriceRow | None]]] = {}
    with exact():
        for one in sums:
            if one.cached:
                continue  # the gateway's own answers: nobody bills them
            key = (one.department, one.provider, one.model)
            tally = tallies.get(key)
            if tally is None:
                tally = tallies[key] = _Tally()
            known = answers.setdefault(one[1:7], {})
            for unit in one.units:
                rows = known.get(unit.unit)
                if rows is None:
                    rows = known[unit.unit] = (_row_of(now, one, unit.unit), _row_of(then, one, unit.unit))
                unknown_now = _take(tally.now, unit, rows[0], currency)
                unknown_then = _take(tally.then, unit, rows[1], currency)
                if unknown_now or unknown_then:
                    tally.unknown_now += unknown_now
                    tally.unknown_then += unknown_then
                    tally.lost += max(0, abs(unknown_then) - abs(unknown_now))
        return {key: tally.cell() for key, tally in tallies.items()}


def fold(cells: Cells, by: tuple[int, ...]) -> dict[tuple[str | None, ...], Cell]:
    """Cells added up by some places of their key: (0,) by department, (1, 2) by model; sorted, None last."""
    found: dict[tuple[str | None, ...], Cell] = {}
    with exact():
        for key, cell in cells.items():
            found.setdefault(tuple(key[place] for place in by), Cell()).add(cell)
    return {key: found[key] for key in sorted(found, key=lambda key: [(part is None, part or "") for part in key])}


@dataclass(slots=True)
class _Tally:
    """A cell being added up: weights by price row."""

    now: dict[int, tuple[PriceRow, Decimal | int]] = field(default_factory=dict)
    then: dict[int, tuple[PriceRow, Decimal | int]] = field(default_factory=dict)
    unknown_now: int = 0
    unknown_then: int = 0
    lost: int = 0

    def cell(self) -> Cell:
        return Cell(_amount(self.now), _amount(self.then), self.unknown_now, self.unknown_then, self.lost)


def _take(
    weights: dict[int, tuple[PriceRow, Decimal | int]], unit: KeptUnit, row: PriceRow | None, currency: str
) -> int:
    """Put a quantity under its price row. Returns how much of it has no amount."""
    if row is None:
        return 0 if unit.unit == "requests" else unit.quantity
    weight: Decimal | int
    if row.currency == currency:
        weight, without = unit.quantity, 0
    elif row.currency in unit.weights:
        weight, without = unit.weights[row.currency]
    else:
        return unit.quantity
    known = weights.get(row.id)
    weights[row.id] = (row, weight if known is None else known[1] + weight)
    return without


def _row_of(pricing: Pricing, one: KeptSum, unit: str) -> PriceRow | None:
    asked = pricing.asked(one.provider, one.model, one.service_tier, one.region, one.band)
    return pricing.book.find(asked, unit, one.hour)


def _amount(weights: Mapping[int, tuple[PriceRow, Decimal | int]]) -> Decimal:
    total = Decimal(0)
    for row, weight in weights.values():
        total += row.price * weight / row.per
    return total
