"""`price check`: what in the price book deserves a person's look, and what use it leaves unpriced. Pure."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from billing.money import exact, plain
from billing.periods import hour_start
from billing.prices import FOREVER, Asked, PriceBook, PriceKey, PriceRow, Term

if TYPE_CHECKING:
    from collections.abc import Iterable

    from billing.models import ModelRules
    from billing.rating import RatedQuantity

FAR_TIMES = 5
"""An agreed price this many times above or below the list's is asked about (issue: money and the month end)."""


class Finding(NamedTuple):
    """One thing to look at. `kind`: unpriced, gap, cut_short or far_from_list; the first leaves work undone."""

    kind: str
    provider: str
    model: str
    unit: str
    detail: str


def unpriced_use(rated: Iterable[RatedQuantity]) -> list[Finding]:
    """Models and units in use that no row prices, with the quantity."""
    found: dict[tuple[str, str, str, str, str], int] = {}
    for part in rated:
        if part.status == "unpriced":
            usage = part.usage
            key = (usage.provider, usage.model, part.unit, usage.service_tier, usage.region or "")
            found[key] = found.get(key, 0) + part.quantity
    return [
        Finding("unpriced", provider, model, unit, f"{quantity} used, tier {tier}" + (region and f", region {region}"))
        for (provider, model, unit, tier, region), quantity in sorted(found.items())
        if quantity
    ]


def book_findings(rows: Iterable[PriceRow], rules: ModelRules) -> list[Finding]:
    """Gaps between rows of a key, rows cut short by a later one, agreed prices far from the list's."""
    rows = list(rows)
    book = PriceBook(rows, rules)
    chains: dict[tuple[str, PriceKey], list[Term]] = {}
    for term in sorted(book.terms, key=lambda term: term.row.from_hour):
        chains.setdefault((term.row.origin, term.row.key), []).append(term)
    found: list[Finding] = []
    for chain in chains.values():
        for term, following in pairwise(chain):
            found += _between(term, following)
    lists = PriceBook((row for row in rows if row.origin == "list"), rules)
    for term in book.terms:
        if term.row.origin == "contract":
            found += _against_list(term.row, lists)
    return sorted(found)


def _between(term: Term, following: Term) -> list[Finding]:
    row, following_row = term.row, following.row
    start = f"{hour_start(following_row.from_hour):%Y-%m-%dT%H:%MZ}"
    if term.end_hour < following_row.from_hour:
        end = f"{hour_start(term.end_hour):%Y-%m-%dT%H:%MZ}"
        return [_finding("gap", row, f"no price from {end} to {start} ({row.code}, {following_row.code})")]
    if row.to_hour is not None and row.to_hour > following_row.from_hour:
        detail = f"{row.code} says it holds beyond {start}, where {following_row.code} begins"
        return [_finding("cut_short", row, detail)]
    return []


def _against_list(row: PriceRow, lists: PriceBook) -> list[Finding]:
    key = row.key
    tier = "standard" if key.service_tier == "*" else key.service_tier
    asked = Asked(key.provider, key.model, tier, key.region, key.prompt_above)
    listed = lists.find(asked, key.unit, min(row.from_hour, FOREVER))
    if listed is None or listed.currency != row.currency:
        return []
    with exact():
        ours, theirs = row.unit_price, listed.unit_price
        far = ours > theirs * FAR_TIMES or theirs > ours * FAR_TIMES
    if not far or Decimal(0) in (ours, theirs):
        return []
    detail = f"{row.code} is {plain(ours)} {row.currency} for one, the list's {listed.code} {plain(theirs)}"
    return [_finding("far_from_list", row, detail)]


def _finding(kind: str, row: PriceRow, detail: str) -> Finding:
    return Finding(kind, row.key.provider, row.key.model, row.key.unit, detail)
