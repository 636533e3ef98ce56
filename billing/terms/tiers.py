"""Volume tiers: what a month's quantity of the whole organisation costs once it exceeds a threshold. Pure.

A term's quantity is that of all use which it is about, in the month and within its validity, whoever made it.
* Whole volume: the largest `above` that the quantity exceeds prices all of it.
* Graduated: the part above each `above`, up to the next one, has that tier's price; what lies below the first keeps the
  price that it would have had.
A tier's percentage is taken off the price that would have held, discount included; a tier's price stands in its place,
and no discount is taken off it.

Who pays which tier: everybody the same mixture. Cutting by time would give the cheap tier to whoever comes last in the
month, and a late event would move everybody. So each quantity is cut in the ratio of the whole, in whole units (`cut`):
every tier and every quantity add up exactly, and neighbours (a department's quantities stand together) are no further
from their exact share together than one quantity alone.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from billing.prices import AppliedTerm
from billing.terms.book import reduced, tier_id_beyond

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from billing.prices import PriceRow
    from billing.rating import RatedQuantity
    from billing.terms.book import TermBook
    from billing.terms.term import ContractTerm, Tier


def price_by_volume(rated: Iterable[RatedQuantity], contract: TermBook) -> Iterator[RatedQuantity]:
    """A whole month's rated quantities, with those that a volume tier prices cut into tiers."""
    members: dict[int, list[RatedQuantity]] = {}
    terms: dict[int, ContractTerm] = {}
    for part in rated:
        usage, price = part.usage, part.price
        term = None
        if price is not None:
            term = contract.tier_term(price, usage.provider, usage.model, part.unit, usage.hour)
        if term is None:
            yield part
        else:
            terms[term.id] = term
            members.setdefault(term.id, []).append(part)
    for term_id in sorted(members):
        yield from _priced(terms[term_id], sorted(members[term_id], key=_order))


def tier_quantities(quantity: int, thresholds: Sequence[int], *, is_graduated: bool) -> list[int]:
    """A month's quantity by tier: below the first threshold, then above each. `thresholds` rise."""
    if is_graduated:
        edges = [0, *(min(above, quantity) for above in thresholds), quantity]
        return [upper - lower for lower, upper in pairwise(edges)]
    reached = sum(1 for above in thresholds if quantity > above)
    return [quantity if place == reached else 0 for place in range(len(thresholds) + 1)]


def cut(quantities: Sequence[int], columns: Sequence[int]) -> list[list[int]]:
    """Each quantity cut into columns in the ratio of the whole, so that rows and columns both add up.

    `quantities` and `columns` have the same sum, above 0. Columns are cut off one after the other, each from what the
    ones before left, at the running total's share rounded down: so no cell is negative where no quantity is, and a cell
    of the n-th column is less than n from its exact share, as is any run of neighbours.
    """
    rest = list(quantities)
    cells: list[list[int]] = [[] for _ in quantities]
    total = sum(rest)
    for column in columns:
        running = before = 0
        for place, left in enumerate(rest):
            running += left
            edge = running * column // total if total else 0  # without a total nothing is left either
            cells[place].append(edge - before)
            rest[place] -= edge - before
            before = edge
        total -= column
    return cells


def _priced(term: ContractTerm, parts: list[RatedQuantity]) -> Iterator[RatedQuantity]:
    quantity = sum(part.quantity for part in parts)
    if quantity <= 0:  # corrections took back all of it: no tier is reached
        yield from parts
        return
    tiers = sorted(term.tiers, key=lambda tier: tier.above)
    columns = tier_quantities(quantity, [tier.above for tier in tiers], is_graduated=term.kind == "graduated_tier")
    prices = _TierPrices(term, tiers, quantity)
    for part, cells in zip(parts, cut([part.quantity for part in parts], columns), strict=True):
        assert part.price is not None
        for place, cell in enumerate(cells):
            if cell:
                yield part._replace(quantity=cell, price=prices.of(part.price, place))


class _TierPrices:
    """The prices that the tiers of a term make of rows, each made once."""

    def __init__(self, term: ContractTerm, tiers: Sequence[Tier], quantity: int) -> None:
        self._term, self._tiers, self._quantity = term, tiers, quantity
        self._made: dict[tuple[int, int], PriceRow] = {}

    def of(self, row: PriceRow, place: int) -> PriceRow:
        """The price of the tier at a place; place 0 is below the first threshold and keeps the row's."""
        if not place:
            return row
        if (row.id, place) not in self._made:
            self._made[row.id, place] = self._make(row, place)
        return self._made[row.id, place]

    def _make(self, row: PriceRow, place: int) -> PriceRow:
        tier = self._tiers[place - 1]
        beyond = tier_id_beyond(self._term, place)
        following = self._tiers[place].above if place < len(self._tiers) else None
        if tier.percent is not None:
            made = reduced(row, self._term, tier.percent, beyond)
        else:
            assert tier.price is not None
            assert tier.per is not None
            assert self._term.currency is not None
            applied = AppliedTerm(self._term.code, self._term.name, self._term.kind, None, row.unit_price)
            made = replace(
                row, id=row.id + beyond, price=tier.price, per=tier.per, currency=self._term.currency, terms=(applied,)
            )
        *earlier, last = made.terms
        span = last._replace(above=tier.above, up_to=following, month_quantity=self._quantity)
        return replace(made, terms=(*earlier, span))


def _order(part: RatedQuantity) -> tuple[object, ...]:
    """The fixed order of quantities: what a statement shows together stands together."""
    usage = part.usage
    assert part.price is not None
    return (
        repr(usage.dimensions), usage.provider, usage.model, part.unit, usage.hour, usage.service_tier,
        usage.region or "", usage.band, usage.cached, part.price.id,
    )  # fmt: skip
