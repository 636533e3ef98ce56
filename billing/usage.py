"""`jangbu usage`: a month's quantities and costs by any dimensions (contract.md, section 3, usage --json).

Costs are exact and in the currency of the price; nothing is converted or rounded here. Rows are one for each group and
currency. Where a part of a group is unpriced its cost is unknown (None), and `unpriced_quantity` says how much; in a
group with several currencies that part stands in a row of its own, without a currency. Where several units are summed
in one row the quantity is None, because unlike things have no sum.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.cuts import read_used
from billing.errors import BillingError
from billing.money import exact, plain
from billing.periods import Month, hour_start
from billing.rating import PriceStatus, RatedQuantity, rate, rate_month
from billing.sums import PAYER_DIMENSIONS, ROUTE_DIMENSIONS, read_own_sums, read_sums

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from sqlalchemy import Connection

    from billing.prices import PriceBook, PriceRow

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
    cuts = book.cuts(month.first_hour, month.end_hour, read_used(connection).models)
    if "hour" in by:
        cuts |= set(range(month.first_hour, month.end_hour))
    elif "day" in by:
        cuts |= set(month.day_hours)
    sums = read_sums(connection, month.first_hour, month.end_hour, sorted(cuts), stored)
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
    place_of = {name: place for place, name in enumerate(stored)}
    for part in rated:
        usage = part.usage
        cells: list[Cell] = []
        for name in by:
            if name == "unit":
                cells.append(part.unit)
            elif name == "hour":
                cells.append(usage.hour)
            elif name in labels:
                cells.append(labels[name][usage.hour])
            else:
                cells.append(usage.dimensions[place_of[name]])  # type: ignore[arg-type]
        groups.setdefault(tuple(cells), _Group()).take(part)
    with exact():
        rows = [row for key in sorted(groups, key=_order) for row in groups[key].rows(key)]
    return [_with_times(row, by) for row in rows] if "hour" in by else rows


@dataclass(slots=True)
class _Group:
    """What a group adds up to: quantities by unit, and by price row, whose cost is taken once."""

    prices: dict[int, PriceRow] = field(default_factory=dict)
    priced: dict[int, int] = field(default_factory=dict)
    by_unit: dict[str, int] = field(default_factory=dict)
    units_in: dict[str, set[str]] = field(default_factory=dict)
    unpriced: dict[str, int] = field(default_factory=dict)
    free: dict[str, int] = field(default_factory=dict)
    quantity_in: dict[str, int] = field(default_factory=dict)

    def take(self, part: RatedQuantity) -> None:
        self.by_unit[part.unit] = self.by_unit.get(part.unit, 0) + part.quantity
        if part.price is not None:
            currency = part.price.currency
            self.prices[part.price.id] = part.price
            self.priced[part.price.id] = self.priced.get(part.price.id, 0) + part.quantity
            self.units_in.setdefault(currency, set()).add(part.unit)
            self.quantity_in[currency] = self.quantity_in.get(currency, 0) + part.quantity
        else:
            kept = self.unpriced if part.status == "unpriced" else self.free
            kept[part.unit] = kept.get(part.unit, 0) + part.quantity

    def rows(self, key: tuple[Cell, ...]) -> list[UsageRow]:
        """One row a currency; a group with at most one currency is one row. Within `exact()`."""
        costs: dict[str, Decimal] = {}
        for price_id, quantity in self.priced.items():
            price = self.prices[price_id]
            part = price.price * quantity / price.per
            costs[price.currency] = costs[price.currency] + part if price.currency in costs else part
        unpriced = sum(self.unpriced.values())
        amount = next(iter(self.by_unit.values())) if len(self.by_unit) == 1 else None
        if len(costs) > 1:
            return self._rows_by_currency(key, costs, unpriced)
        if self.unpriced:
            currency, cost = next(iter(costs.items()), (None, None))
            return [UsageRow(key, amount, None, currency, "unpriced", unpriced, cost)]
        if costs:
            ((currency, cost),) = costs.items()
            return [UsageRow(key, amount, cost, currency, "priced", 0)]
        return [UsageRow(key, amount, Decimal(0), None, "not_billable", 0)]

    def _rows_by_currency(self, key: tuple[Cell, ...], costs: dict[str, Decimal], unpriced: int) -> list[UsageRow]:
        rows = [
            UsageRow(
                key,
                self.quantity_in[currency] if len(self.units_in[currency]) == 1 else None,
                costs[currency],
                currency,
                "priced",
                0,
            )
            for currency in sorted(costs)
        ]
        if self.unpriced:
            rows.append(UsageRow(key, unpriced if len(self.unpriced) == 1 else None, None, None, "unpriced", unpriced))
        if len(self.by_unit) == 1 and self.free:
            rows.append(UsageRow(key, sum(self.free.values()), Decimal(0), None, "not_billable", 0))
        return rows


def _days(month: Month) -> dict[int, date]:
    """The local day of every UTC hour of the month."""
    found: dict[int, date] = {}
    for day, first, end in zip(month.days, month.day_hours, [*month.day_hours[1:], month.end_hour], strict=True):
        found.update(dict.fromkeys(range(first, end), day))
    return found


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
