"""`price check`: what in the price book deserves a person's look, and what use it leaves unpriced. Pure."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from billing.money import exact, plain
from billing.periods import hour_start
from billing.price_file import TIERS
from billing.prices import Asked, PriceBook, PriceKey, PriceRow, Term

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from billing.fx import FxTable
    from billing.models import ModelRules
    from billing.rating import RatedQuantity
    from billing.terms.book import TermBook

ONE = Decimal(1)
FAR_TIMES = 5
"""An agreed price this many times above or below the list's is asked about (issue: money and the month end)."""


class Finding(NamedTuple):
    """One thing to look at. `kind`: unpriced (which leaves work undone), gap, cut_short, far_from_list, not_compared
    (with the list, for want of a rate) or idle_term (a contract term that no price row is about)."""

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


def book_findings(
    rows: Iterable[PriceRow], rules: ModelRules, rates: FxTable | None = None, contract: TermBook | None = None
) -> list[Finding]:
    """Gaps between rows of a key, rows cut short by a later one, agreed prices far from the list's, idle terms."""
    rows = list(rows)
    book = PriceBook(rows, rules)
    chains: dict[tuple[str, PriceKey], list[Term]] = {}
    for term in sorted(book.terms, key=lambda term: term.row.from_hour):
        chains.setdefault((term.row.origin, term.row.key), []).append(term)
    found: list[Finding] = []
    for chain in chains.values():
        for term, following in pairwise(chain):
            found += _between(term, following)
    lists = _List([row for row in rows if row.origin == "list"], rules, rates)
    for term in book.terms:
        if term.row.origin == "contract":
            found += lists.against(term)
    return sorted(found) + ([] if contract is None else _idle_terms(contract, book))


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


class _List:
    """The list prices, to compare agreed ones with."""

    def __init__(self, rows: list[PriceRow], rules: ModelRules, rates: FxTable | None) -> None:
        self._book = PriceBook(rows, rules)
        self._rates = rates
        self._models: dict[str, set[str]] = {}
        for row in rows:
            self._models.setdefault(row.key.provider.lower(), set()).add(row.key.model)

    def against(self, term: Term) -> list[Finding]:
        """What is said about an agreed price: the first hour at which it is far from the list, if there is one."""
        row = term.row
        unknown: list[Finding] = []
        for hour in (row.from_hour, *sorted(self._book.cuts(row.from_hour, term.end_hour))):
            for asked in self._asked(row):
                listed = self._book.find(asked, row.key.unit, hour)
                if listed is None:
                    continue
                rate = self._rate(listed.currency, row.currency, hour)
                if rate is None:
                    what = f"{row.code} is in {row.currency}, the list's {listed.code} in {listed.currency}, "
                    unknown = unknown or [_finding("not_compared", row, f"{what}and no rate is known")]
                elif is_far(row.unit_price, listed.unit_price, rate):
                    return [_finding("far_from_list", row, _far(row, listed, rate))]
        return unknown

    def _asked(self, row: PriceRow) -> Iterator[Asked]:
        """The use that a row is for, as the list can be asked: each tier for `*`, each listed model for a prefix."""
        key = row.key
        models = [key.model]
        if key.model.endswith("*"):
            prefix = key.model[:-1].lower()
            models = sorted(
                name for name in self._models.get(key.provider.lower(), ()) if name.lower().startswith(prefix)
            )
        for tier in [one for one in TIERS if one != "*"] if key.service_tier == "*" else [key.service_tier]:
            for model in models:
                yield Asked(key.provider, model, tier, key.region, key.prompt_above)

    def _rate(self, base: str, quote: str, hour: int) -> Decimal | None:
        """Units of an agreed price's currency for one of the list's: of that day, else the newest that is known."""
        if base == quote:
            return ONE
        if self._rates is None:
            return None
        row = self._rates.on(hour_start(hour).date(), base, quote) or self._rates.on(date.max, base, quote)
        return None if row is None else row.rate


def is_far(ours: Decimal, listed: Decimal, rate: Decimal) -> bool:
    """Whether a unit price is more than FAR_TIMES the list's, converted, or less than a FAR_TIMES-th of it. A price of
    nothing is far from any other."""
    with exact():
        theirs = listed * rate
        return ours > theirs * FAR_TIMES or theirs > ours * FAR_TIMES


def _far(row: PriceRow, listed: PriceRow, rate: Decimal) -> str:
    detail = f"{row.code} is {plain(row.unit_price)} {row.currency} for one, the list's {listed.code} "
    if row.currency == listed.currency:
        return detail + plain(listed.unit_price)
    with exact():
        return f"{detail}{plain(listed.unit_price)} {listed.currency}, or {plain(listed.unit_price * rate)}"


def _idle_terms(contract: TermBook, book: PriceBook) -> list[Finding]:
    """Terms that are about no price row of the book: a name that is mistyped, or a model without a price."""
    rows = [term.row for term in book.terms]
    found = []
    for term in (one.term for one in contract.dated):
        providers = book.rules.providers_of(term.provider)
        if not any(
            row.key.provider.lower() in providers and term.rank(term.provider, row.key.model, row.key.unit, row)
            for row in rows
        ):
            detail = f"{term.name} ({term.code}, {term.kind}) is about no price row of the book"
            found.append(Finding("idle_term", term.provider, term.model, term.unit or "", detail))
    return found


def _finding(kind: str, row: PriceRow, detail: str) -> Finding:
    return Finding(kind, row.key.provider, row.key.model, row.key.unit, detail)
