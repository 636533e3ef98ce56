"""Months of use and of bills, made from a seed with whole numbers only.

Money is counted in picounits (1e-12 of a dollar or won), tokens are whole, so that nothing here rounds or shares a line
of arithmetic with what is tested. What a fault adds is noted beside it, as its class, its place and its money.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from random import Random

    from tests.seeded.shapes import Shape

PICO = 10**12
RATE_STEPS = 100
"""Rates are counted in hundredths of a won for a dollar."""


class At(NamedTuple):
    """A group: day, model, unit, and the account where the file tells several."""

    day: date
    model: str
    unit: str
    account: str = ""


@dataclass(frozen=True)
class Row:
    """A row of the bill. `at` None: it is no use. `kind`: usage, tax, credit or fee."""

    day: date
    kind: str
    tokens: int
    pico: int
    at: At | None = None
    text: str = ""


class Beside(NamedTuple):
    """What we saw in one hour next to an edge of the month; hour 0 is the next to it. `at` is of the edge's day."""

    at: At
    inside: bool
    hour: int
    tokens: int


class Plant(NamedTuple):
    """A fault: its class, where it stands, and the money that it adds to the bill against ours."""

    cls: str
    at: At | None
    day: date
    pico: int


@dataclass
class SeededMonth:
    """`ours`: tokens that we saw. `rows`: what the vendor bills. `prices`: picounits a token, on our side.

    `rates`: hundredths of a won for a dollar by day, where the bill is in won; the prices are in dollars then.
    """

    seed: int
    shape: Shape
    first: date
    ours: dict[At, int]
    rows: list[Row]
    prices: dict[tuple[str, str], int]
    rates: dict[date, int] = field(default_factory=dict)
    plants: list[Plant] = field(default_factory=list)
    taken: set[At] = field(default_factory=set)
    """Groups in which a fault stands already."""
    beside: list[Beside] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    """Names of the faults planted."""

    @property
    def days(self) -> list[date]:
        """The days of the month."""
        last = monthrange(self.first.year, self.first.month)[1]
        return [self.first.replace(day=number) for number in range(1, last + 1)]

    def price(self, at: At) -> int:
        """Our price of one token there, in the bill's currency."""
        base = self.prices[at.model, at.unit]
        return base * self.rates[at.day] // RATE_STEPS if self.rates else base

    def row_of(self, at: At) -> Row:
        """The one row that bills a group."""
        return next(row for row in self.rows if row.at == at)

    def put(self, old: Row, **changes: object) -> Row:
        """Put a changed row in the place of one."""
        new = replace(old, **changes)  # type: ignore[arg-type]
        self.rows[self.rows.index(old)] = new
        return new


def clean_month(random: Random, shape: Shape, seed: int) -> SeededMonth:
    """A month in which both sides agree but for the shape's own rounding."""
    first = date(2026, random.randint(1, 10), 1)
    prices = {}
    for model in shape.models:
        base = random.choice((150, 250, 400, 750, 1250)) * (10_000_000 if shape.won_prices else 1_000)
        for unit in shape.units:
            prices[model, unit] = base * {"cache_read_tokens": 1, "input_tokens": 10, "requests": 40_000}.get(unit, 50)
    month = SeededMonth(seed, shape, first, {}, [], prices)
    last = month.days[-1]
    if shape.currency == "KRW" and not shape.won_prices:
        month.rates = {day: random.randint(130_000, 145_000) for day in month.days}
    days = [last] if shape.grain == "month" else sorted(random.sample(month.days, random.randint(4, 8)))
    if shape.grain != "month" and random.random() < 0.5:  # a long week-end of use up to an edge of the month
        days = sorted({*days, *random.choice((month.days[:3], month.days[-3:]))})
    for day in days:
        for model in shape.models:
            for unit in shape.units:
                for account in shape.accounts:
                    if random.random() < 0.9 or shape.grain != "cell":
                        at = At(day, model, unit, account)
                        low, high = (2, 60) if unit == "requests" else (400_000, 9_000_000)
                        month.ours[at] = random.randint(low, high)
    if shape.grain != "month" and shape.tells_quantity:
        _hours_beside(month, random)
    for at, tokens in month.ours.items():
        month.rows.append(Row(at.day, "usage", tokens, tokens * month.price(at), at))
    return month


def _hours_beside(month: SeededMonth, random: Random) -> None:
    """What we saw hour by hour next to both edges: three hours inside, nine outside."""
    for day in (month.days[0], month.days[-1]):
        for model in month.shape.models:
            for unit in month.shape.units:
                for account in month.shape.accounts:
                    at = At(day, model, unit, account)
                    inside = month.ours.get(at, 0)
                    if unit == "requests":
                        continue
                    month.beside += [Beside(at, False, hour, random.randint(20_000, 300_000)) for hour in range(9)]
                    if inside:
                        month.beside += [Beside(at, True, hour, random.randint(1, inside // 40)) for hour in range(9)]
