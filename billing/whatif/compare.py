"""Kept sums rated twice, and the difference. Pure: sums and two ways of pricing in, amounts by department and model.

A kept sum is what one department used in one class: of everything for which both price books answer alike. It comes as
a row of whole numbers: quantities, and quantities times the rate of exchange of their day; so a year has as many rows
as it has different questions to the price book, and not a sum a day. Prices become whole numbers too, of a common power
of ten, so that a row's amount is one sum of products. That is exact; nothing is rounded here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from operator import mul
from typing import TYPE_CHECKING, Any, NamedTuple

from billing.money import exact
from billing.prices import Asked

if TYPE_CHECKING:
    from billing.charges import Department
    from billing.prices import PriceBook, PriceRow

Model = tuple[str, str]
"""(provider, model)."""


class Question(NamedTuple):
    """What prices are asked for. `hour` is the first UTC hour of the stretch."""

    hour: int
    provider: str
    model: str
    service_tier: str
    region: str | None
    band: int
    cached: bool


class Columns(NamedTuple):
    """What a row's numbers are: the quantity of each unit; then for each currency each unit's quantity x rate x
    10**digits, of what a rate converts; then, where `has_gaps`, for each currency what no rate converts of each."""

    units: tuple[str, ...]
    currencies: tuple[str, ...]
    digits: int
    has_gaps: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """Kept sums. Each row is (place of its question, place of its department, number, ...)."""

    questions: Sequence[Question]
    departments: Sequence[Department]
    columns: Columns
    rows: Iterable[Sequence[Any]]


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


def compare(tables: Iterable[Kept], now: Pricing, then: Pricing, currency: str) -> Cells:
    """Rate every kept sum by both pricings; `currency` is the statements'."""
    cells: Cells = {}
    with exact():
        for table in tables:
            plans, digits = _plans(table, now, then, currency)
            for key, tally in _add_up(table, plans).items():
                of_now, of_then = (Decimal(amount).scaleb(-digits) for amount in tally[:2])
                cells.setdefault(key, Cell()).add(Cell(of_now, of_then, *tally[2:]))
    return cells


def fold(cells: Cells, by: tuple[int, ...]) -> dict[tuple[str | None, ...], Cell]:
    """Cells added up by some places of their key: (0,) by department, (1, 2) by model; sorted, None last."""
    found: dict[tuple[str | None, ...], Cell] = {}
    with exact():
        for key, cell in cells.items():
            found.setdefault(tuple(key[place] for place in by), Cell()).add(cell)
    return {key: found[key] for key in sorted(found, key=lambda key: [(part is None, part or "") for part in key])}


class _Plan(NamedTuple):
    """What is done with the rows of a question: factors of their numbers for the amounts now and then, and for each
    unit that may have no amount the places of those quantities (None: it always has one)."""

    model: Model
    now: tuple[int, ...]
    then: tuple[int, ...]
    unknown: tuple[tuple[int | None, int | None], ...]


def _add_up(table: Kept, plans: Sequence[_Plan | None]) -> dict[tuple[Department, str, str], list[int]]:
    """By (department, provider, model) what cells hold, amounts as whole numbers."""
    tallies: dict[tuple[int, Model], list[int]] = {}
    for row in table.rows:
        plan = plans[row[0]]
        if plan is None:
            continue
        numbers = row[2:]
        tally = tallies.get((row[1], plan.model))
        if tally is None:
            tally = tallies[row[1], plan.model] = [0, 0, 0, 0, 0]
        amount = sum(map(mul, numbers, plan.now))
        tally[0] += amount
        tally[1] += amount if plan.then is plan.now else sum(map(mul, numbers, plan.then))
        for places in plan.unknown:
            unknown_now, unknown_then = (0 if place is None else numbers[place] for place in places)
            tally[2] += unknown_now
            tally[3] += unknown_then
            tally[4] += max(0, abs(unknown_then) - abs(unknown_now))
    return {(table.departments[place], *model): tally for (place, model), tally in tallies.items()}


def _plans(table: Kept, now: Pricing, then: Pricing, currency: str) -> tuple[list[_Plan | None], int]:
    """For each question its plan, None for the gateway's own answers, which nobody bills; and of how many digits after
    the point the amounts are."""
    columns = table.columns
    asked = [None if one.cached else [_rows(pricing, one, columns.units) for pricing in (now, then)]
             for one in table.questions]  # fmt: skip
    found = {id(row): row for both in asked if both for rows in both for row in rows if row is not None}
    digits = max([0, *(-int(row.unit_price.normalize().as_tuple().exponent) for row in found.values())])
    plans: list[_Plan | None] = []
    for question, both in zip(table.questions, asked, strict=True):
        if both is None:
            plans.append(None)
            continue
        (by_now, open_now), (by_then, open_then) = (_factors(rows, columns, currency, digits) for rows in both)
        unknown = tuple(pair for pair in zip(open_now, open_then, strict=True) if pair != (None, None))
        model = (question.provider, question.model)
        plans.append(_Plan(model, by_now, by_now if by_now == by_then else by_then, unknown))
    return plans, digits + columns.digits


def _rows(pricing: Pricing, one: Question, units: Sequence[str]) -> list[PriceRow | None]:
    asked = pricing.asked(one.provider, one.model, one.service_tier, one.region, one.band)
    return [pricing.book.find(asked, unit, one.hour) for unit in units]


def _factors(
    rows: Sequence[PriceRow | None], columns: Columns, currency: str, digits: int
) -> tuple[tuple[int, ...], list[int | None]]:
    """A row's factors, and for each unit the place of the quantity that has no amount."""
    width = len(columns.units)
    factors = [0] * width * (1 + len(columns.currencies) * (1 + columns.has_gaps))
    unknown: list[int | None] = [None] * width
    for place, (unit, row) in enumerate(zip(columns.units, rows, strict=True)):
        if row is None:
            unknown[place] = None if unit == "requests" else place
        elif row.currency == currency:
            factors[place] = int(row.unit_price.scaleb(digits + columns.digits))
        elif row.currency in columns.currencies:
            block = 1 + columns.currencies.index(row.currency)
            factors[block * width + place] = int(row.unit_price.scaleb(digits))
            if columns.has_gaps:
                unknown[place] = (block + len(columns.currencies)) * width + place
        else:
            unknown[place] = place
    return tuple(factors), unknown
