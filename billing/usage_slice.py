"""Usage of any days of a zone, filtered and grouped: what the page of usage shows, and what it is compared with.

Rows are those of `billing.usage`: exact, in the currency of the price, unknown where a part has no price. Filters go
into SQL; without people, keys and hours rolled days are read (`billing.parts`). Every quantity has the price of its own
row; volume tiers, which look at the organisation's whole month, are taken for whole months without filters only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from billing.cuts import read_used, slice_cuts
from billing.money import exact, plain
from billing.periods import day_start, month_in
from billing.rating import rate, rate_month
from billing.store import read_fx
from billing.sums import EVERYTHING, PAYER_DIMENSIONS, ROUTE_DIMENSIONS, Filters, read_sums
from billing.usage import Cell, UsageRow, group_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection

    from billing.prices import PriceBook
    from billing.rating import RatedQuantity

DAY: Final = timedelta(days=1)
TIME_LABELS: Final[Mapping[str, Callable[[date], str]]] = {
    "day": date.isoformat,
    "week": lambda day: "{}-W{:02}".format(*day.isocalendar()),
    "month": lambda day: f"{day:%Y-%m}",
    "year": lambda day: f"{day:%Y}",
}
"""What a local day belongs to: weeks are those of ISO 8601, from Monday on."""
TIMES: Final = ("hour", *TIME_LABELS)


@dataclass(frozen=True, slots=True)
class Slice:
    """Local days from `first` to `last`, both included, of what `filters` lets through. `hour`: that UTC hour alone."""

    first: date
    last: date
    zone: str
    filters: Filters = field(default_factory=lambda: EVERYTHING)
    hour: int | None = None

    @property
    def first_hour(self) -> int:
        """The first UTC hour."""
        return day_start(self.first, self.zone) if self.hour is None else self.hour

    @property
    def end_hour(self) -> int:
        """The UTC hour after the last."""
        return day_start(self.last + DAY, self.zone) if self.hour is None else self.hour + 1

    @property
    def days(self) -> list[date]:
        """All of them."""
        return [self.first + DAY * number for number in range((self.last - self.first).days + 1)]

    @property
    def is_whole_months(self) -> bool:
        """Whether it begins with a month and ends with one."""
        return self.hour is None and self.first.day == 1 and (self.last + DAY).day == 1

    def before(self) -> Slice:
        """The stretch before of the same length: as many months where it is of whole months, else as many days."""
        last = self.first - DAY
        if not self.is_whole_months:
            return replace(self, first=self.first - DAY * len(self.days), last=last, hour=None)
        months = (self.last.year - self.first.year) * 12 + self.last.month - self.first.month + 1
        number = self.first.year * 12 + self.first.month - 1 - months
        return replace(self, first=date(number // 12, number % 12 + 1, 1), last=last)


    def after(self) -> Slice:
        """The stretch after, of the same length as `before` has it."""
        first = self.last + DAY
        if not self.is_whole_months:
            return replace(self, first=first, last=self.last + DAY * len(self.days), hour=None)
        months = (self.last.year - self.first.year) * 12 + self.last.month - self.first.month + 1
        number = first.year * 12 + first.month - 1 + months
        return replace(self, first=first, last=date(number // 12, number % 12 + 1, 1) - DAY)


@dataclass(frozen=True, slots=True)
class Totals:
    """What all rows of a slice come to. `quantity` is None where unlike units would be added up."""

    quantity: int | None
    costs: Mapping[str, Decimal]
    unpriced_quantity: int

    def document(self) -> dict[str, Any]:
        """As JSON. `costs` holds what is priced; `unpriced_quantity` is in none of them."""
        return {
            "quantity": None if self.quantity is None else str(self.quantity),
            "costs": {currency: plain(amount) for currency, amount in sorted(self.costs.items())},
            "unpriced_quantity": str(self.unpriced_quantity),
        }


def read_slice(connection: Connection, wanted: Slice, book: PriceBook, by: Sequence[str]) -> list[UsageRow]:
    """The rows of a slice by dimensions of `billing.usage` and TIMES, sorted by group; the connection is a snapshot."""
    stored = stored_of(by)
    return group_by(read_rated(connection, wanted, book, by), _labels(wanted, by), by, stored)


def stored_of(by: Sequence[str]) -> tuple[str, ...]:
    """Those dimensions that a sum carries, in their order; the others are of time, or the unit."""
    return tuple(name for name in by if name in PAYER_DIMENSIONS or name in ROUTE_DIMENSIONS)


def totals_of(rows: Iterable[UsageRow], *, is_one_unit: bool) -> Totals:
    """What rows come to. `is_one_unit`: all are of one unit, so that quantities may be added."""
    costs: dict[str, Decimal] = {}
    quantity = unpriced = 0
    with exact():
        for row in rows:
            unpriced += row.unpriced_quantity
            quantity += row.quantity or 0
            cost = known_cost(row)
            if cost is not None and row.currency is not None:
                costs[row.currency] = costs.get(row.currency, Decimal(0)) + cost
    return Totals(quantity if is_one_unit else None, costs, unpriced)


def known_cost(row: UsageRow) -> Decimal | None:
    """What the priced part of a row costs; None where none of it has a price."""
    return row.priced_cost if row.cost is None else row.cost


def has_tiers(book: PriceBook) -> bool:
    """Whether a contract's volume tiers move prices by a month's quantity."""
    return book.contract is not None and book.contract.has_tiers


def takes_tiers(wanted: Slice, book: PriceBook) -> bool:
    """Whether a slice is rated with volume tiers: where there are some, and it is of whole months, unfiltered."""
    return has_tiers(book) and wanted.is_whole_months and not wanted.filters


def read_rated(connection: Connection, wanted: Slice, book: PriceBook, by: Sequence[str]) -> Iterator[RatedQuantity]:
    """A slice's quantities with what prices them; none crosses an edge of a time in `by`. The connection is a
    snapshot."""
    used, with_tiers, stored = read_used(connection), takes_tiers(wanted, book), stored_of(by)
    for part in _months(wanted) if with_tiers else [wanted]:
        first_hour, end_hour = part.first_hour, part.end_hour
        cuts, only = slice_cuts(book, used, first_hour, end_hour, _time_cuts(part, by))
        sums = read_sums(connection, first_hour, end_hour, cuts, stored, wanted.filters, models_at=only)
        yield from rate_month(sums, book) if with_tiers else rate(sums, book)


def _months(wanted: Slice) -> list[Slice]:
    names = sorted({f"{day:%Y-%m}" for day in wanted.days})
    months = [month_in(name, wanted.zone) for name in names]
    return [replace(wanted, first=month.days[0], last=month.days[-1]) for month in months]


def _time_cuts(wanted: Slice, by: Sequence[str]) -> set[int]:
    """The hours that no sum may cross so that its time has one name."""
    if "hour" in by:
        return set(range(wanted.first_hour, wanted.end_hour))
    if wanted.hour is not None:
        return set()
    cuts: set[int] = set()
    for name in by:
        if name in TIME_LABELS:
            label, days = TIME_LABELS[name], wanted.days
            edges = [day for before, day in pairwise(days) if label(before) != label(day)]
            cuts |= {day_start(day, wanted.zone) for day in edges}
    return cuts


def _labels(wanted: Slice, by: Sequence[str]) -> dict[str, dict[int, str]]:
    """What every UTC hour of the slice is called, for each dimension of time in `by`; an hour keeps its number."""
    found: dict[str, dict[int, str]] = {}
    for name in by:
        if name in TIME_LABELS:
            labels = found[name] = {}
            starts = [day_start(day, wanted.zone) for day in (*wanted.days, wanted.last + DAY)]
            for day, start, end in zip(wanted.days, starts[:-1], starts[1:], strict=True):
                labels.update(dict.fromkeys(range(start, end), TIME_LABELS[name](day)))
    return found


def rates_on(connection: Connection, day: date, currency: str, others: Iterable[str]) -> dict[str, Decimal]:
    """Units of `currency` for one of each other currency on a day, or the last day before; those without a rate are
    left out. For what is set beside each other, in an order or a drawing: what is owed is converted by
    `billing.fx_policy`."""
    table = read_fx(connection)
    rows = {other: table.on(day, other, currency) for other in others if other != currency}
    return {other: row.rate for other, row in rows.items() if row is not None}


def differences(
    rows: Sequence[UsageRow], earlier: Sequence[UsageRow]
) -> list[tuple[UsageRow | None, UsageRow | None]]:
    """Rows of two slices beside each other, by group and currency, in the order of the first; what only the earlier one
    has stands at the end."""
    rest: dict[tuple[tuple[Cell, ...], str | None], UsageRow] = {(row.group, row.currency): row for row in earlier}
    beside: list[tuple[UsageRow | None, UsageRow | None]] = [
        (row, rest.pop((row.group, row.currency), None)) for row in rows
    ]
    return beside + [(None, row) for row in rest.values()]
