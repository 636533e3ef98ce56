"""`jangbu usage`: a month's quantities and costs by any dimensions (contract.md, section 3, usage --json).

Costs are exact and in the currency of the price; nothing is converted or rounded here. Rows are one for each group and
currency. Where a part of a group is unpriced its cost is unknown (None), and `unpriced_quantity` says how much; in a
group with several currencies that part stands in a row of its own, without a currency. Where several units are summed
in one row the quantity is None, because unlike things have no sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.cuts import read_used, slice_cuts
from billing.errors import BillingError
from billing.money import exact, plain
from billing.periods import Month, hour_start
from billing.rating import PriceStatus, RatedQuantity, rate, rate_month
from billing.sums import PAYER_DIMENSIONS, ROUTE_DIMENSIONS, read_own_sums, read_sums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date

    from sqlalchemy import Connection

    from billing.prices import PriceBook, PriceRow
    from billing.rating import UsageSum

DIMENSIONS = (
    "hour",
    "day",
    "department",
    "user",
    "model",
    "provider",
    "account",
    "service_tier",
    "source",
    "unit",
    "usage_source",
    "key",
    "status",
)
DEFAULT_BY = ("department", "model", "unit")
Cell = str | int | None


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One group in one currency. `cost` is None where a part is unpriced; `quantity` where several units are summed."""

    group: tuple[Cell, ...]
    quantity: int | None
    cost: Decimal | None
    currency: str | None
    price_status: PriceStatus
    unpriced_quantity: int
    priced_cost: Decimal | None = None
    """What the priced part of a row costs whose `cost` is unknown; None where there is no such part."""

    def document(self, by: Sequence[str]) -> dict[str, Cell]:
        """The row as contract.md writes it."""
        return {
            **dict(zip(by, self.group, strict=True)),
            "quantity": None if self.quantity is None else str(self.quantity),
            "cost": None if self.cost is None else plain(self.cost),
            "currency": self.currency,
            "price_status": self.price_status,
            "unpriced_quantity": str(self.unpriced_quantity),
        }


def parse_by(words: str | None) -> tuple[str, ...]:
    """The dimensions of `--by`. Raises BillingError naming one that is none, or stands twice."""
    names = tuple(word.strip() for word in words.split(",")) if words else DEFAULT_BY
    for name in names:
        if name not in DIMENSIONS:
            raise BillingError(f"--by has {name!r}: use any of {', '.join(DIMENSIONS)}")
        if names.count(name) > 1:
            raise BillingError(f"--by has {name!r} twice: name it once")
    return names


def month_usage(connection: Connection, month: Month, book: PriceBook, by: Sequence[str]) -> list[UsageRow]:
    """The rows of a month, sorted by group; the connection is a snapshot."""
    stored = tuple(name for name in by if name in PAYER_DIMENSIONS or name in ROUTE_DIMENSIONS)
    others = range(month.first_hour, month.end_hour) if "hour" in by else month.day_hours if "day" in by else ()
    cuts, only = slice_cuts(book, read_used(connection), month.first_hour, month.end_hour, others)
    sums = read_sums(connection, month.first_hour, month.end_hour, cuts, stored, models_at=only)
    return group_rated(rate_month(sums, book), month, by, stored)


def own_usage(connection: Connection, month: Month, book: PriceBook, user: str) -> list[UsageRow]:
    """What one user used in a month, by model and unit, at the book's own prices: a month's volume tiers are the
    organisation's. The connection is a snapshot."""
    by = ("provider", "model", "unit")
    cuts = sorted(book.cuts(month.first_hour, month.end_hour, read_used(connection).models))
    sums = [
        one._replace(dimensions=(one.provider, one.model))
        for one in read_own_sums(connection, month.first_hour, month.end_hour, cuts, user)
    ]
    return group_rated(rate(sums, book), month, by, ("provider", "model"))


def group_rated(
    rated: Iterable[RatedQuantity], month: Month, by: Sequence[str], stored: Sequence[str]
) -> list[UsageRow]:
    """Rated quantities to rows. `stored` names the dimensions that each sum carries, in their order."""
    days = _days(month) if "day" in by else {}
    return group_by(rated, {"day": {hour: day.isoformat() for hour, day in days.items()}}, by, stored)


def group_by(
    rated: Iterable[RatedQuantity], labels: Mapping[str, Mapping[int, str]], by: Sequence[str], stored: Sequence[str]
) -> list[UsageRow]:
    """Rated quantities to rows. `labels` says, for a dimension of time, what each first UTC hour of a sum is called."""
    groups: dict[tuple[Cell, ...], _Group] = {}
    prices: dict[int, PriceRow] = {}
    cell_of = [_cell_of(name, labels, stored) for name in by]
    unit_place = list(by).index("unit") if "unit" in by else None
    last: UsageSum | None = None
    cells: list[Cell] = []
    for usage, unit, quantity, price, status in rated:
        if usage is not last:  # units of a sum come one after another, and differ in nothing else
            cells, last = [cell(usage) for cell in cell_of], usage
        if unit_place is not None:
            cells[unit_place] = unit
        key = tuple(cells)
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group()
        if price is None:
            group.take(unit, status, quantity)
        else:
            prices[price.id] = price
            group.take(unit, price.id, quantity)
    with exact():
        rows = [row for key in _in_order(groups) for row in groups[key].rows(key, prices)]
    return [_with_times(row, by) for row in rows] if "hour" in by else rows


def _cell_of(name: str, labels: Mapping[str, Mapping[int, str]], stored: Sequence[str]) -> Callable[[UsageSum], Cell]:
    """What tells a sum's cell of a dimension; a unit is no sum's."""
    if name == "unit":
        return lambda _usage: None
    if name == "hour":
        return lambda usage: usage.hour
    if name in labels:
        named = labels[name]
        return lambda usage: named[usage.hour]
    place = list(stored).index(name)
    return lambda usage: usage.dimensions[place]  # type: ignore[return-value]


class _Group(dict[tuple[str, int | PriceStatus], int]):
    """What a group adds up to: quantities by unit and price row (its id), or why it has none. A row's cost is taken
    once, of its sum."""

    __slots__ = ()

    def take(self, unit: str, priced_by: int | PriceStatus, quantity: int) -> None:
        named = unit, priced_by
        self[named] = self.get(named, 0) + quantity

    def rows(self, key: tuple[Cell, ...], prices: Mapping[int, PriceRow]) -> list[UsageRow]:
        """One row a currency; a group with at most one currency is one row. Within `exact()`."""
        if len(self) == 1:
            (((_, priced_by), quantity),) = self.items()
            if isinstance(priced_by, int):
                price = prices[priced_by]
                return [UsageRow(key, quantity, price.price * quantity / price.per, price.currency, "priced", 0)]
        costs: dict[str, Decimal] = {}
        for (_unit, priced_by), quantity in self.items():
            if isinstance(priced_by, int):
                price = prices[priced_by]
                part = price.price * quantity / price.per
                costs[price.currency] = costs[price.currency] + part if price.currency in costs else part
        if len(costs) > 1:
            return self._rows_by_currency(key, costs, prices)
        unpriced = [quantity for (_unit, priced_by), quantity in self.items() if priced_by == "unpriced"]
        amount = sum(self.values()) if len(self) == 1 or len({unit for unit, _ in self}) == 1 else None
        if unpriced:
            currency, cost = next(iter(costs.items()), (None, None))
            return [UsageRow(key, amount, None, currency, "unpriced", sum(unpriced), cost)]
        if costs:
            ((currency, cost),) = costs.items()
            return [UsageRow(key, amount, cost, currency, "priced", 0)]
        return [UsageRow(key, amount, Decimal(0), None, "not_billable", 0)]

    def _rows_by_currency(
        self, key: tuple[Cell, ...], costs: dict[str, Decimal], prices: Mapping[int, PriceRow]
    ) -> list[UsageRow]:
        amounts: dict[str, dict[str, int]] = {}
        for (unit, priced_by), quantity in self.items():
            kept = amounts.setdefault(prices[priced_by].currency if isinstance(priced_by, int) else priced_by, {})
            kept[unit] = kept.get(unit, 0) + quantity
        rows = [
            UsageRow(key, _of_one_unit(amounts[currency]), costs[currency], currency, "priced", 0)
            for currency in sorted(costs)
        ]
        if "unpriced" in amounts:
            unpriced = amounts["unpriced"]
            rows.append(UsageRow(key, _of_one_unit(unpriced), None, None, "unpriced", sum(unpriced.values())))
        if "not_billable" in amounts and len({unit for unit, _ in self}) == 1:
            rows.append(UsageRow(key, sum(amounts["not_billable"].values()), Decimal(0), None, "not_billable", 0))
        return rows


def _of_one_unit(amounts: Mapping[str, int]) -> int | None:
    return sum(amounts.values()) if len(amounts) == 1 else None


def _days(month: Month) -> dict[int, date]:
    """The local day of every UTC hour of the month."""
    found: dict[int, date] = {}
    for day, first, end in zip(month.days, month.day_hours, [*month.day_hours[1:], month.end_hour], strict=True):
        found.update(dict.fromkeys(range(first, end), day))
    return found


def _in_order(groups: Iterable[tuple[Cell, ...]]) -> list[tuple[Cell, ...]]:
    """Groups sorted by their cells, what nobody is known for last."""
    try:
        return sorted(groups)
    except TypeError:  # where None meets a name
        return sorted(groups, key=_order)


def _order(key: tuple[Cell, ...]) -> tuple[tuple[bool, Cell], ...]:
    """Sort key of a group: what nobody is known for goes last."""
    return tuple((cell is None, "" if cell is None else cell) for cell in key)


def _with_times(row: UsageRow, by: Sequence[str]) -> UsageRow:
    place = list(by).index("hour")
    hour = row.group[place]
    assert isinstance(hour, int)
    cell = hour_start(hour).strftime("%Y-%m-%dT%H:%M:%SZ")
    return UsageRow(
        (*row.group[:place], cell, *row.group[place + 1 :]),
        row.quantity,
        row.cost,
        row.currency,
        row.price_status,
        row.unpriced_quantity,
        row.priced_cost,
    )
