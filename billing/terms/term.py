"""What a contract term is, what it is about, and which of several holds.

Terms are dated like prices: half-open in UTC hours. Terms of one name follow each other: a term ends at its own end or
where the next of its name begins, whichever is earlier; of terms of one name that begin together the last id counts.

Where several terms of a kind are about the same use the most telling one holds, and only that one (terms of a kind are
never added together): the exact model before the longest prefix before `*`, then a named unit before `tokens` before
any, then a named origin, then the last id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, get_args

from billing.prices import FOREVER

if TYPE_CHECKING:
    from billing.prices import Origin, PriceRow

Kind = Literal["discount", "graduated_tier", "whole_tier", "minimum_fee", "commitment"]
KINDS: tuple[Kind, ...] = get_args(Kind)
TIER_KINDS = ("graduated_tier", "whole_tier")
OBLIGATION_KINDS = ("minimum_fee", "commitment")
ALL_TOKENS = "tokens"
"""As a unit: every unit whose name ends in _tokens, together."""


@dataclass(frozen=True, slots=True)
class Tier:
    """What holds for the quantity of a month above `above`: `percent` off, or `price` for `per` units."""

    above: int
    percent: Decimal | None
    price: Decimal | None = None
    per: int | None = None


@dataclass(frozen=True, slots=True)
class ContractTerm:
    """One term as of one file; id 0 for one that is not stored yet. `unit` and `origin` None: all of them."""

    id: int
    name: str
    kind: Kind
    provider: str
    model: str
    unit: str | None
    origin: Origin | None
    currency: str | None
    percent: Decimal | None
    amount: Decimal | None
    tiers: tuple[Tier, ...]
    from_hour: int
    to_hour: int | None
    source: str

    @property
    def code(self) -> str:
        """The term's name on statements: T-000003."""
        return f"T-{self.id:06d}"

    def rank(self, provider: str, model: str, unit: str, row: PriceRow) -> tuple[int, ...] | None:
        """How telling the term is about use of a model that `row` prices; None where it is not about it.

        The term's model is compared with the name in the event and with the model of the row, without case.
        """
        if self.provider.lower() != provider.lower() or self.origin not in (None, row.origin):
            return None
        length = max(_match(self.model, model), _match(self.model, row.key.model))
        if length < 0 or not (self.unit in (None, unit) or (self.unit == ALL_TOKENS and unit.endswith("_tokens"))):
            return None
        of_unit = 2 if self.unit == unit else int(self.unit is not None)
        return (length, of_unit, int(self.origin is not None), self.id)


@dataclass(frozen=True, slots=True)
class DatedTerm:
    """A term that counts, with the hour at which it really ends."""

    term: ContractTerm
    end_hour: int

    def holds(self, hour: int) -> bool:
        return self.term.from_hour <= hour < self.end_hour


def terms_in_force(terms: Iterable[ContractTerm]) -> list[DatedTerm]:
    """The terms that count, each with its real end, by name and begin; those that a later id replaced are left out."""
    chains: dict[str, dict[int, ContractTerm]] = {}
    for term in sorted(terms, key=lambda term: term.id):
        chains.setdefault(term.name, {})[term.from_hour] = term
    dated = []
    for _, chain in sorted(chains.items()):
        starts = sorted(chain)
        for start, following in zip(starts, [*starts[1:], FOREVER], strict=True):
            term = chain[start]
            dated.append(DatedTerm(term, min(FOREVER if term.to_hour is None else term.to_hour, following)))
    return dated


_EXACT = 1 << 20
"""Longer than any prefix: an exact name tells most."""


def _match(pattern: str, name: str) -> int:
    """How much of a name a pattern tells: -1 where it does not match, 0 for `*`."""
    pattern, name = pattern.lower(), name.lower()
    if pattern.endswith("*"):
        return len(pattern) - 1 if name.startswith(pattern[:-1]) else -1
    return _EXACT if pattern == name else -1
