"""Contract terms ready to be asked: the discount on a price, the volume tier of use, what is owed at least. Pure."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.money import exact
from billing.prices import STORED_IDS_MAX, AppliedTerm
from billing.terms.term import OBLIGATION_KINDS, TIER_KINDS, ContractTerm, DatedTerm, terms_in_force

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from billing.prices import PriceRow

HUNDRED = Decimal(100)
TERMS_MAX = 1 << 16
"""Above the id of any stored term."""
TIERS_MAX = 1 << 6
"""More than the tiers of any term."""
_TIER_IDS = STORED_IDS_MAX * TERMS_MAX


class TermBook:
    """Terms as they count. Values in, values out; nothing is read from outside."""

    def __init__(self, terms: Iterable[ContractTerm]) -> None:
        self.dated = terms_in_force(terms)
        self._discounts = [one for one in self.dated if one.term.kind == "discount"]
        self._tiers = [one for one in self.dated if one.term.kind in TIER_KINDS]
        self.obligations = [one for one in self.dated if one.term.kind in OBLIGATION_KINDS]
        self._made: dict[tuple[int, int], PriceRow] = {}

    @property
    def has_tiers(self) -> bool:
        """Whether any volume tier is known."""
        return bool(self._tiers)

    def edges(self) -> set[int]:
        """The UTC hours at which some term begins or ends."""
        return {one.term.from_hour for one in self.dated} | {one.end_hour for one in self.dated}

    def discounted(self, row: PriceRow, provider: str, model: str, unit: str, hour: int) -> PriceRow:
        """The price that a row gives with the discount that holds, or the row itself."""
        term = most_telling(self._discounts, row, provider, model, unit, hour)
        if term is None or term.percent is None:
            return row
        known = self._made.get((row.id, term.id))
        if known is None:
            known = self._made[row.id, term.id] = reduced(row, term, term.percent, term.id * STORED_IDS_MAX)
        return known

    def tier_term(self, row: PriceRow, provider: str, model: str, unit: str, hour: int) -> ContractTerm | None:
        """The term whose volume tiers a quantity counts towards."""
        return most_telling(self._tiers, row, provider, model, unit, hour)


def most_telling(
    terms: Sequence[DatedTerm], row: PriceRow, provider: str, model: str, unit: str, hour: int
) -> ContractTerm | None:
    """Of the terms that hold at an hour and are about the use that `row` prices, the most telling one."""
    best: ContractTerm | None = None
    best_rank: tuple[int, ...] = ()
    for one in terms:
        rank = one.term.rank(provider, model, unit, row) if one.holds(hour) else None
        if rank is not None and rank > best_rank:
            best, best_rank = one.term, rank
    return best


def tier_id_beyond(term: ContractTerm, place: int) -> int:
    """What the id of a tier's price is beyond that of the price that it is made of."""
    return (term.id + place * TERMS_MAX) * _TIER_IDS


def reduced(row: PriceRow, term: ContractTerm, percent: Decimal, id_beyond: int) -> PriceRow:
    """A price that is `percent` lower than the row's, exactly; its id is the row's plus `id_beyond`."""
    applied = AppliedTerm(term.code, term.name, term.kind, percent, row.unit_price)
    with exact():
        price = row.price * (HUNDRED - percent) / HUNDRED
    return replace(row, id=row.id + id_beyond, price=price, terms=(*row.terms, applied))
