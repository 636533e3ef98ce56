"""OpenAI's side: what the vendor metered and bills for the month, with its own price table and its own rounding.

This module stands for another house's books. It shares nothing with ours: no price row, no rating, no rounding of
`billing` is imported; it takes the calls as they really happened, those that never passed the gateway included, and
writes the costs API's pages (a bucket a UTC day, a result for each project and line item; amounts are JSON numbers).

Faults are planted, and each is told with its exact amount, so that what reconciliation finds can be held against it:
* PRICE: from the 16th on the vendor charges more for one model's output, and nobody told us;
* QUANTITY: of streams that broke off on our side the vendor bills what it produced, not what we saw;
* BYPASS: a laboratory called with a key of its own;
* NOT_BILLED: one line of one day is missing from the export.
ROUNDING is no fault: the vendor rounds each line to a hundredth of a cent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from jangbu.demo.models import REPRICED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from jangbu.demo.city import Call

VENDOR = "openai"
DAY_S = 86_400
PAGE_DAYS = 7
"""The costs API gives seven days a page unless asked for more."""
CENT_PART = Decimal("0.0001")
REPRICED_FROM_DAY = 16
REPRICED_OUTPUT = Decimal("4.95")
PER = 1_000_000
SEARCH_PRICE = Decimal("0.01")

PRICES_USD: dict[str, tuple[Decimal, Decimal, Decimal]] = {
    "gpt-5.4": (Decimal("2.5"), Decimal("0.25"), Decimal(15)),
    "gpt-5.4-mini": (Decimal("0.75"), Decimal("0.075"), Decimal("4.5")),
    "gpt-5.4-nano": (Decimal("0.2"), Decimal("0.02"), Decimal("1.25")),
    "gpt-5.2": (Decimal("1.75"), Decimal("0.175"), Decimal(14)),
    "gpt-5-mini-2025-08-07": (Decimal("0.25"), Decimal("0.025"), Decimal(2)),
    "gpt-4.1-mini-2025-04-14": (Decimal("0.4"), Decimal("0.1"), Decimal("1.6")),
    "gpt-4o-2024-08-06": (Decimal("2.5"), Decimal("1.25"), Decimal(10)),
    "o4-mini-2025-04-16": (Decimal("1.1"), Decimal("0.275"), Decimal("4.4")),
}
"""For 1,000,000 tokens of input, cached input and output; public list prices. Half of it in a batch."""
ITEMS = ("input", "cached input", "output")


class Cell(NamedTuple):
    """What the vendor adds up: one line item of one project on one UTC day."""

    day: date
    project: str
    model: str
    batch: bool
    item: str


class Line(NamedTuple):
    """A billed line. `metered` is what the gateway was told of the same; 0 for what passed it by."""

    cell: Cell
    quantity: int
    metered: int
    worth: Decimal
    """At the price of the contract, unrounded."""
    amount: Decimal
    """As billed."""


class Planted(NamedTuple):
    """A planted fault: its class, by how much it moves the bill in USD, on how many lines, and what to say of it."""

    cls: str
    amount: Decimal
    lines: int
    facts: dict[str, str]

    def as_document(self) -> dict[str, object]:
        """Amounts as text."""
        return {"class": self.cls, "amount": format(self.amount, "f"), "lines": self.lines, "facts": self.facts}


@dataclass
class VendorMeter:
    """Counts the calls of one UTC month, as the vendor saw them and as the gateway did."""

    month: str
    seen: dict[Cell, int] = field(default_factory=dict)
    metered: dict[Cell, int] = field(default_factory=dict)
    searches: dict[tuple[date, str], int] = field(default_factory=dict)
    days: dict[int, date | None] = field(default_factory=dict)
    cut_streams: int = 0
    bypassing_calls: int = 0

    def watch(self, calls: Iterable[Call]) -> Iterable[Call]:
        """Count what comes by and hand it on."""
        for call in calls:
            self.add(call)
            yield call

    def add(self, call: Call) -> None:
        """One call; those of other vendors, of other months and those that were never answered count nothing."""
        if call.model.provider != VENDOR or call.status in ("failure", "cached"):
            return
        day = self._day(call.time_ms // 1000 // DAY_S)
        if day is None:
            return
        units = call.units
        answer = units["output_tokens"] + units.get("reasoning_tokens", 0)
        counts = (units["input_tokens"], units.get("cache_read_tokens", 0), answer)
        for item, count in zip(ITEMS, counts, strict=True):
            cell = Cell(day, str(call.account), call.model.name, call.service_tier == "batch", item)
            billed = count + (call.unseen_output_tokens if item == "output" else 0)
            self.seen[cell] = self.seen.get(cell, 0) + billed
            self.metered[cell] = self.metered.get(cell, 0) + (count if call.via_gateway else 0)
        if "web_searches" in units:
            at = (day, str(call.account))
            self.searches[at] = self.searches.get(at, 0) + units["web_searches"]
        self.cut_streams += call.unseen_output_tokens > 0
        self.bypassing_calls += not call.via_gateway

    def _day(self, number: int) -> date | None:
        """A UTC day by its number since 1970; None outside the month."""
        if number not in self.days:
            day = datetime.fromtimestamp(number * DAY_S, UTC).date()
            self.days[number] = day if day.strftime("%Y-%m") == self.month else None
        return self.days[number]


class Bill(NamedTuple):
    """The export, and the truth about it."""

    pages: list[dict[str, Any]]
    planted: tuple[Planted, ...]
    total: Decimal
    metered_worth: Decimal
    """What the gateway saw, at the contract's prices, unrounded: what ours has to come to."""


def make_bill(meter: VendorMeter) -> Bill:
    """The month's costs with the planted faults."""
    lines = [_line(cell, quantity, meter.metered[cell]) for cell, quantity in sorted(meter.seen.items()) if quantity]
    missing = _line_to_drop(lines)
    billed = [line for line in lines if line is not missing]
    searched = sum(meter.searches.values()) * SEARCH_PRICE
    results = _results(billed, meter)
    return Bill(
        pages=_pages(meter.month, results),
        planted=_planted(billed, missing, meter),
        total=sum((line.amount for line in billed), searched),
        metered_worth=sum((line.metered * _price(line.cell) for line in lines), searched),
    )


def encode_pages(pages: list[dict[str, Any]]) -> bytes:
    """A page a line; amounts become JSON numbers with exactly the digits that were billed."""
    encode = msgspec.json.Encoder(decimal_format="number").encode
    return b"".join(encode(page) + b"\n" for page in pages)


def _price(cell: Cell) -> Decimal:
    """Of one token, by the contract."""
    price = PRICES_USD[cell.model][ITEMS.index(cell.item)] / PER
    return price / 2 if cell.batch else price


def _charged_price(cell: Cell) -> Decimal:
    """Of one token, as the vendor charges it."""
    if cell.model == REPRICED and cell.item == "output" and cell.day.day >= REPRICED_FROM_DAY:
        return REPRICED_OUTPUT / PER
    return _price(cell)


def _line(cell: Cell, quantity: int, metered: int) -> Line:
    amount = (quantity * _charged_price(cell)).quantize(CENT_PART, ROUND_HALF_UP)
    return Line(cell, quantity, metered, quantity * _price(cell), amount)


def _line_to_drop(lines: list[Line]) -> Line | None:
    """The largest line of input by staff before the price change; None where there is none."""
    candidates = [line for line in lines if line.metered and line.cell.item == "input" and not line.cell.batch
                  and line.cell.day.day < REPRICED_FROM_DAY]
    return max(candidates, key=lambda line: (line.worth, line.cell), default=None)


def _planted(billed: list[Line], missing: Line | None, meter: VendorMeter) -> tuple[Planted, ...]:
    """Each fault with its exact amount: what the bill says more than the gateway's counts at contract prices."""
    past = [line for line in billed if not line.metered]
    seen = [line for line in billed if line.metered]
    more = [line for line in seen if line.quantity != line.metered]
    # Below half of what it rounds to, a changed price cannot be told from rounding.
    dearer = [line for line in seen if abs(line.amount - line.worth) > CENT_PART / 2]
    rounded = [line for line in seen if 0 < abs(line.amount - line.worth) <= CENT_PART / 2]
    planted = [
        Planted("PRICE", _sum(line.amount - line.worth for line in dearer), len(dearer),
                {"model": REPRICED, "day": str(REPRICED_FROM_DAY), "old": "4.50", "new": str(REPRICED_OUTPUT)}),
        Planted("BYPASS", _sum(line.amount for line in past), len(past),
                {"calls": str(meter.bypassing_calls), "project": past[0].cell.project if past else ""}),
        Planted("QUANTITY", _sum((line.quantity - line.metered) * _price(line.cell) for line in more), len(more),
                {"streams": str(meter.cut_streams)}),
    ]  # fmt: skip
    if missing is not None:
        cell = missing.cell
        planted.append(Planted("NOT_BILLED", -missing.metered * _price(cell), 1,
                               {"model": cell.model, "item": cell.item, "day": cell.day.isoformat()}))
    planted.append(Planted("ROUNDING", _sum(line.amount - line.worth for line in rounded), len(rounded), {}))
    return tuple(fault for fault in planted if fault.lines)


def _results(billed: list[Line], meter: VendorMeter) -> dict[date, list[dict[str, Any]]]:
    """The API's result objects by day."""
    results: dict[date, list[dict[str, Any]]] = {}
    for line in billed:
        cell = line.cell
        what = f"{cell.model}, {'batch ' if cell.batch else ''}{cell.item}"
        results.setdefault(cell.day, []).append(_result(cell.project, what, line.amount, line.quantity, "tokens"))
    for (day, project), count in sorted(meter.searches.items()):
        result = _result(project, "web search tool calls", count * SEARCH_PRICE, count, "requests")
        results.setdefault(day, []).append(result)
    return results


def _result(project: str, line_item: str, amount: Decimal, quantity: int, unit: str) -> dict[str, Any]:
    return {
        "object": "organization.costs.result", "amount": {"value": amount, "currency": "usd"}, "line_item": line_item,
        "project_id": project, "quantity": quantity, "quantity_unit": unit, "api_key_id": None, "user_id": None,
    }  # fmt: skip


def _pages(month: str, results: dict[date, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """All days of the month in buckets, seven to a page; a day without costs is a bucket without results."""
    day = datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)
    buckets = []
    while day.strftime("%Y-%m") == month:
        start_s = int(day.timestamp())
        buckets.append({"object": "bucket", "start_time": start_s, "end_time": start_s + DAY_S,
                        "results": results.get(day.date(), [])})
        day += timedelta(days=1)
    pages = []
    for first in range(0, len(buckets), PAGE_DAYS):
        has_more = first + PAGE_DAYS < len(buckets)
        pages.append({"object": "page", "data": buckets[first : first + PAGE_DAYS], "has_more": has_more,
                      "next_page": f"page_{first + PAGE_DAYS}" if has_more else None})
    return pages


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))
