"""Usage by any dimensions, of any days, filtered, drawn, beside another period; a cell leads to what is behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from billing.money import exact, plain
from billing.pseudonyms import PERSONAL
from billing.usage import UsageRow
from billing.usage_slice import (
    TIME_LABELS,
    TIMES,
    Slice,
    Totals,
    differences,
    has_tiers,
    known_cost,
    rates_on,
    read_slice,
    takes_tiers,
    totals_of,
)  # fmt: skip
from jangbu.web.charts import SERIES_MAX
from jangbu.web.pages.saved_views import read_views
from jangbu.web.pages.usage_asked import (
    DIMENSIONS,
    FILTERS,
    PARAMETERS,
    PREVIOUS,
    Asked,
    choices_of,
    last_used_month,
    read_asked,
    value_word,
)  # fmt: skip
from jangbu.web.paging import PAGE, page_of
from jangbu.web.rights import SCOPED
from jangbu.web.views import Ask, Document, Registered, Table, View

if TYPE_CHECKING:
    from billing.pseudonyms import Pseudonyms

NOUGHT: Final = Decimal(0)
GRAINS: Final = ((2, "hour"), (62, "day"), (190, "week"))
"""Up to how many days the chart is drawn by what; longer periods by month."""
DEEPER: Final = ("department", "model", "user", "unit", "day")
"""What rows are told apart by next, when a cell was clicked that has no other dimension beside it."""
FIGURES: Final = ("quantity", "cost", "priced_cost", "unpriced_quantity")
EARLIER: Final = ("earlier_quantity", "earlier_cost", "quantity_difference", "cost_difference")


def read_usage(ask: Ask) -> Document:
    """Rows, totals, chart, and the same of the period it is compared with."""
    asked = read_asked(ask)
    people = ask.books.people if ask.scope is None else None
    computed = ask.unchanged(
        "usage", asked.end_hour, lambda: _computed(ask, asked, people), asked.key, people is None,
        rows_of=lambda one: len(one["rows"]), may_be_earlier=True,
    )  # fmt: skip
    documents = computed["rows"]
    everything = ask.one("format") in ("csv", "xlsx")
    shown = page_of(ask, documents)
    return {
        "from": asked.wanted.first, "to": asked.wanted.last, "timezone": asked.wanted.zone,
        "periods": choices_of(asked.wanted, ask.now.astimezone(ZoneInfo(asked.wanted.zone)).date()),
        "hour": ask.one("from") if asked.wanted.hour is not None else None,
        "by": list(asked.by), "filters": {name: list(values) for name, values in asked.filters.items()},
        "rows": documents if everything else shown["rows"],
        "shown": {name: value for name, value in shown.items() if name != "rows"},
        "totals": computed["totals"], "compare": computed["compare"], "sort": asked.sort,
        "at_own_prices": computed["at_own_prices"], "chart": computed["chart"], "next_by": _next_by(asked),
        "dimensions": list(DIMENSIONS), "filterable": list(FILTERS), "times": list(TIMES),
        "last_used_month": None if documents else last_used_month(ask), "views": read_views(ask),
    }  # fmt: skip


def _computed(ask: Ask, asked: Asked, people: Pseudonyms | None) -> dict[str, Any]:
    """Everything that usage and inputs decide."""
    book = ask.book
    rows = read_slice(ask.connection, asked.wanted, book, asked.by)
    earlier = None if asked.earlier is None else read_slice(ask.connection, asked.earlier, book, asked.by)
    totals = totals_of(rows, is_one_unit=asked.is_one_unit)
    rates = _rates(ask, asked, totals)
    documents = _sorted(_documents(rows, earlier, asked.by), asked, rates)
    if people is not None and set(asked.by) & set(PERSONAL):
        documents = [people.row(one) for one in documents]
        if asked.sort == "group":
            documents = _sorted(documents, asked, rates)
    return {
        "rows": documents, "totals": totals.document(), "compare": _compared(asked, earlier, totals),
        "at_own_prices": has_tiers(book) and not takes_tiers(asked.wanted, book),
        "chart": _chart(ask, asked, book, totals, rates),
    }  # fmt: skip


def _documents(
    rows: Sequence[UsageRow], earlier: Sequence[UsageRow] | None, by: Sequence[str]
) -> list[dict[str, Any]]:
    """Rows as JSON, each beside its earlier one where there is a comparison."""
    if earlier is None:
        return [_document(row, by) for row in rows]
    return [_beside(now, before, by) for now, before in differences(rows, earlier)]


def _document(row: UsageRow, by: Sequence[str]) -> dict[str, Any]:
    cost = known_cost(row)
    return {**row.document(by), "priced_cost": None if cost is None else plain(cost)}


def _beside(now: UsageRow | None, before: UsageRow | None, by: Sequence[str]) -> dict[str, Any]:
    """Two periods' figures; where a group was not used at all its figures are 0, which is known."""
    either = now or before
    assert either is not None
    nothing = UsageRow(either.group, 0, NOUGHT, either.currency, either.price_status, 0)
    one, other = now or nothing, before or nothing
    with exact():
        return {
            **_document(one, by),
            "earlier_quantity": None if other.quantity is None else str(other.quantity),
            "earlier_cost": None if other.cost is None else plain(other.cost),
            "quantity_difference": None if one.quantity is None or other.quantity is None
            else str(one.quantity - other.quantity),
            "cost_difference": None if one.cost is None or other.cost is None else plain(one.cost - other.cost),
        }  # fmt: skip


def _sorted(
    rows: list[dict[str, Any]], asked: Asked, rates: Mapping[str, Decimal]
) -> list[dict[str, Any]]:
    """By group, or the largest first, what is unknown last; costs by what they are worth at the last day's rate."""
    by_group = sorted(rows, key=lambda row: [(row[name] is None, str(row[name] or "")) for name in asked.by])
    column = {"cost": "priced_cost", "quantity": "quantity", "difference": "cost_difference"}.get(asked.sort)
    if column is None:
        return by_group

    def order(row: dict[str, Any]) -> tuple[Any, ...]:
        value = row.get(column)
        rate = None if column == "quantity" else rates.get(row["currency"])
        size = NOUGHT if value is None else _worth(Decimal(value), rate)
        return (value is None, -abs(size) if column == "cost_difference" else -size)

    return sorted(by_group, key=order)


def _compared(asked: Asked, earlier: Sequence[UsageRow] | None, totals: Totals) -> dict[str, Any] | None:
    """The other period and its totals."""
    if asked.earlier is None or earlier is None:
        return None
    before = totals_of(earlier, is_one_unit=asked.is_one_unit)
    with exact():
        costs = {
            currency: plain(totals.costs.get(currency, NOUGHT) - before.costs.get(currency, NOUGHT))
            for currency in sorted({*totals.costs, *before.costs})
        }
    return {"asked": asked.compare, "from": asked.earlier.first, "to": asked.earlier.last,
            "totals": before.document(), "differences": costs, "is_previous": asked.compare == PREVIOUS}  # fmt: skip


class _Place(NamedTuple):
    """One part of the chart: when, whose, how much."""

    at: str
    series: str
    amount: Decimal


def _chart(
    ask: Ask, asked: Asked, book: Any, totals: Totals, rates: Mapping[str, Decimal]
) -> dict[str, Any] | None:
    """The largest values of the first dimension over time, the others as one; of the currency in which most is. None
    where there is nothing to draw."""
    grain = _grain(asked.wanted)
    dimension = next((name for name in asked.by if name not in (*TIMES, *PERSONAL)), None)
    by = (grain, *(() if dimension is None else (dimension,)))
    currency = max(totals.costs, key=lambda one: _worth(totals.costs[one], rates.get(one)), default=None)
    is_quantity = asked.measure == "quantity" and (asked.is_one_unit or dimension == "unit")
    if not is_quantity and currency is None:
        return None
    parts = []
    for row in read_slice(ask.connection, asked.wanted, book, by):
        amount = Decimal(row.quantity or 0) if is_quantity else known_cost(row)
        if amount and (is_quantity or row.currency == currency):
            name = "" if dimension is None else value_word(dimension, row.group[1])
            parts.append(_Place(str(row.group[0]), name, amount))
    return _drawn(parts, _places(asked.wanted, grain)) | {
        "grain": grain, "dimension": dimension, "measure": "quantity" if is_quantity else "cost",
        "currency": None if is_quantity else currency, "other_currencies": sorted({*totals.costs} - {currency}),
    }  # fmt: skip


def _rates(ask: Ask, asked: Asked, totals: Totals) -> dict[str, Decimal]:
    """What one of each currency is worth, for an order and no more."""
    own = ask.books.policy.currency
    return {own: Decimal(1), **rates_on(ask.connection, asked.wanted.last, own, totals.costs)}


def _worth(amount: Decimal, rate: Decimal | None) -> Decimal:
    with exact():
        return amount * (Decimal(1) if rate is None else rate)


def _drawn(parts: Sequence[_Place], places: Sequence[str]) -> dict[str, Any]:
    """Series and stacks: the largest ones, and `None` for all others together."""
    sizes: dict[str, Decimal] = {}
    with exact():
        for part in parts:
            sizes[part.series] = sizes.get(part.series, NOUGHT) + part.amount
        largest = sorted(sizes, key=lambda name: (-sizes[name], name))
        named = largest if len(largest) <= SERIES_MAX else largest[: SERIES_MAX - 1]
        series: list[str | None] = [*named, *([None] if len(largest) > len(named) else [])]
        place_of = {name: number for number, name in enumerate(named)}
        stacks = {at: [NOUGHT] * len(series) for at in places}
        for part in parts:
            stack = stacks.setdefault(part.at, [NOUGHT] * len(series))
            stack[place_of.get(part.series, len(series) - 1)] += part.amount
    return {"series": series, "points": [
        {"at": at, "parts": [plain(amount) for amount in stacks[at]]} for at in sorted(stacks)
    ]}  # fmt: skip


def _grain(wanted: Slice) -> str:
    days = len(wanted.days)
    return "hour" if wanted.hour is not None else next((grain for most, grain in GRAINS if days <= most), "month")


def _places(wanted: Slice, grain: str) -> list[str]:
    """Every place of the chart, those without use too; hours only as they were used."""
    return [] if grain == "hour" else list(dict.fromkeys(TIME_LABELS[grain](day) for day in wanted.days))


def _next_by(asked: Asked) -> dict[str, list[str]]:
    """For each dimension, how rows are told apart after a click on one of its values: by the others, or one deeper."""
    found = {}
    for name in asked.by:
        rest = [one for one in asked.by if one != name]
        deeper = next((one for one in DEEPER if one not in (*asked.by, *asked.filters)), None)
        found[name] = rest or ([deeper] if deeper is not None else [name])
    return found


def _table(_ask: Ask, document: Document) -> Table:
    columns = (*document["by"], "currency", *FIGURES, "price_status", *(EARLIER if document["compare"] else ()))
    rows: Sequence[Mapping[str, Any]] = document["rows"]
    return Table("usage", columns, [[row[name] for name in columns] for row in rows], (*FIGURES, *EARLIER))


REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/usage", title="Usage", rule=SCOPED, read=read_usage, template="usage.html", table=_table,
         about="Quantities and costs, exact and in the currency of the price, by any dimensions and filters. A group "
         "of which a part has no price has the cost null, and priced_cost for the rest.",
         parameters=(*PARAMETERS, PAGE)),
)  # fmt: skip
