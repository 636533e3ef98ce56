"""The dated price book: which row prices a unit of a model at an hour (contract.md, section 9, Prices).

A row is found in this order, and the first step that finds one decides:
1. the unit itself, then its parents (`producers.units.parent`: reasoning takes the output row, a modality its text
   parent; cache units take nothing else and stay unpriced);
2. an agreed price ('contract') before a list price ('list');
3. the model by its exact name; a snapshot without a row of its own by its family (the name without its date), unless
   the rules say that it means another model; then by the longest prefix (`gpt-5*`), then by the model that the rules
   say it means (`billing.models`), and where none of these has a row by its family after all;
4. the tier itself before `*`, the region itself before any region, and of the prompt lengths that the request exceeds
   the largest.
Rows are dated: half-open in UTC hours. A row ends at its own end or where the next row of its key begins, whichever is
earlier; of rows that begin together the last id counts. Nothing is ever overwritten.

A discount of the contract (`billing.terms`) is taken off the row that was found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from billing.models import ModelRules, family_of
from billing.money import exact, plain
from producers.units import parent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from decimal import Decimal

    from billing.terms.book import TermBook

Origin = Literal["list", "contract"]
FOREVER = 1 << 40
"""An hour later than any: the end of a row that has none."""
STORED_IDS_MAX = 1 << 24
"""Above the id of any stored row. The id of a price that terms made is the row's, with the terms in the bits above it
(`billing.terms.book`), and fits into 63 bits."""
_RANK = {"list": 0, "contract": 1}


class PriceKey(NamedTuple):
    """What a row prices. Rows of one key and origin follow each other in time."""

    provider: str
    model: str
    unit: str
    service_tier: str
    region: str | None
    prompt_above: int


class AppliedTerm(NamedTuple):
    """A contract term that made a price out of another: a `percent` off `before` (one unit's price), or, for a volume
    tier, what holds for the part of the month's `month_quantity` above `above` up to `up_to`."""

    code: str
    name: str
    kind: str
    percent: Decimal | None
    before: Decimal
    above: int | None = None
    up_to: int | None = None
    month_quantity: int | None = None

    def document(self) -> dict[str, str | None]:
        """As a statement's line shows it."""
        shown: dict[str, str | None] = {
            "term_id": self.code,
            "name": self.name,
            "kind": self.kind,
            "percent": None if self.percent is None else plain(self.percent),
            "unit_price_before": plain(self.before),
        }
        if self.above is not None:
            shown |= {
                "above": str(self.above),
                "up_to": None if self.up_to is None else str(self.up_to),
                "month_quantity": str(self.month_quantity),
            }
        return shown


@dataclass(frozen=True, slots=True)
class PriceRow:
    """`price` of `currency` for `per` units, from `from_hour` to before `to_hour` (UTC hours since 1970).

    Contract terms make a price of a stored row: it keeps the row's `code` and names the `terms`; its `id` tells it from
    the row and from other prices made of it (callers add up by id), and `row_id` is the stored row's.
    """

    id: int
    origin: Origin
    key: PriceKey
    currency: str
    price: Decimal
    per: int
    from_hour: int
    to_hour: int | None
    source: str
    terms: tuple[AppliedTerm, ...] = ()

    @property
    def row_id(self) -> int:
        """The id of the stored row."""
        return self.id % STORED_IDS_MAX

    @property
    def code(self) -> str:
        """The row's name on statements: P-000118."""
        return f"P-{self.row_id:06d}"

    @property
    def unit_price(self) -> Decimal:
        """The exact price of ONE unit."""
        with exact():
            return self.price / self.per


@dataclass(frozen=True, slots=True)
class Term:
    """A row that counts, with the hour at which it really ends."""

    row: PriceRow
    end_hour: int

    def holds(self, hour: int) -> bool:
        return self.row.from_hour <= hour < self.end_hour


class Asked(NamedTuple):
    """What a price is wanted for. `band` is the largest threshold of the book that the prompt exceeds."""

    provider: str
    model: str
    service_tier: str
    region: str | None
    band: int


def in_force(rows: Iterable[PriceRow]) -> list[Term]:
    """The rows that count, each with its real end; rows that a later id replaced are left out."""
    chains: dict[tuple[Origin, PriceKey], dict[int, PriceRow]] = {}
    for row in sorted(rows, key=lambda row: row.id):
        chains.setdefault((row.origin, _folded(row.key)), {})[row.from_hour] = row
    terms = []
    for chain in chains.values():
        starts = sorted(chain)
        for start, following in zip(starts, [*starts[1:], FOREVER], strict=True):
            row = chain[start]
            terms.append(Term(row, min(FOREVER if row.to_hour is None else row.to_hour, following)))
    return terms


@dataclass(frozen=True, slots=True)
class _Shelf:
    """The terms of one model of the book, by unit."""

    by_unit: dict[str, list[Term]] = field(default_factory=dict)


class PriceBook:
    """Price rows and model rules, ready to be asked. Values in, rows out; nothing is read from outside."""

    def __init__(
        self, rows: Iterable[PriceRow], rules: ModelRules | None = None, contract: TermBook | None = None
    ) -> None:
        """`contract`: terms beside prices. Raises ValueError for two rows of one id: callers add up by id."""
        rows = list(rows)
        if len({row.id for row in rows}) != len(rows):
            raise ValueError("two price rows have the same id: give each its own before they become a book")
        self.terms = in_force(rows)
        self.rules = rules or ModelRules(())
        self.contract = contract
        self._shelves: dict[tuple[str, str], _Shelf] = {}
        self._prefixes: dict[str, list[str]] = {}
        for term in self.terms:
            key = term.row.key
            place = (key.provider.lower(), key.model.lower())
            shelf = self._shelves.setdefault(place, _Shelf())
            shelf.by_unit.setdefault(key.unit, []).append(term)
        for provider, model in self._shelves:
            if model.endswith("*"):
                self._prefixes.setdefault(provider, []).append(model[:-1])
        for prefixes in self._prefixes.values():
            prefixes.sort(key=len, reverse=True)
        self._candidates: dict[tuple[str, str], list[_Shelf]] = {}
        self._found: dict[tuple[Asked, str, int], PriceRow | None] = {}

    def find(self, asked: Asked, unit: str, hour: int) -> PriceRow | None:
        """The row that prices a unit at a UTC hour, or None: unpriced."""
        question = (asked, unit, hour)
        try:
            return self._found[question]
        except KeyError:
            pass
        row = None
        step: str | None = unit
        while step is not None and row is None:
            row = self._best(asked, step, hour)
            step = parent(step)
        if row is not None and self.contract is not None:
            row = self.contract.discounted(row, asked.provider, asked.model, unit, hour)
        self._found[question] = row
        return row

    def knows(self, provider: str, model: str) -> bool:
        """Whether the book has any row for a model, whatever the unit, tier or hour."""
        return bool(self._shelves_of(provider, model))

    def cuts(self, first_hour: int, end_hour: int, models: Iterable[tuple[str, str]] | None = None) -> set[int]:
        """The UTC hours strictly between two at which some price or contract term begins or ends; of prices those that
        a model (provider, name) among `models` can have, where they are given."""
        if models is None:
            terms = iter(self.terms)
        else:
            shelves = {id(shelf): shelf for model in models for shelf in self._shelves_of(*model)}
            terms = (term for shelf in shelves.values() for held in shelf.by_unit.values() for term in held)
        edges = {hour for term in terms for hour in (term.row.from_hour, term.end_hour)}
        if self.contract is not None:
            edges |= self.contract.edges()
        return {hour for hour in edges if first_hour < hour < end_hour}

    def price_cuts(
        self, first_hour: int, end_hour: int, model: tuple[str, str], ways: Collection[tuple[str, str | None]]
    ) -> set[int]:
        """The UTC hours strictly between two at which a price begins or ends that a model (provider, name) used in
        these ways (service tier, region) can have; contract terms left out."""
        tiers, regions = {"*", *(tier for tier, _ in ways)}, {None, *(region for _, region in ways)}
        terms = (term for shelf in self._shelves_of(*model) for held in shelf.by_unit.values() for term in held)
        return {hour for term in terms for hour in (term.row.from_hour, term.end_hour)
                if first_hour < hour < end_hour
                and term.row.key.service_tier in tiers and term.row.key.region in regions}  # fmt: skip

    def _best(self, asked: Asked, unit: str, hour: int) -> PriceRow | None:
        best: PriceRow | None = None
        best_rank: tuple[int, ...] = ()
        for distance, shelf in enumerate(self._shelves_of(asked.provider, asked.model)):
            for term in shelf.by_unit.get(unit, ()):
                key = term.row.key
                if not (
                    term.holds(hour)
                    and key.service_tier in (asked.service_tier, "*")
                    and key.region in (asked.region, None)
                    and key.prompt_above <= asked.band
                ):
                    continue
                rank = (
                    _RANK[term.row.origin],
                    -distance,
                    key.service_tier != "*",
                    key.region is not None,
                    key.prompt_above,
                )
                if rank > best_rank:
                    best, best_rank = term.row, rank
        return best

    def _shelves_of(self, provider: str, model: str) -> list[_Shelf]:
        name = (provider.lower(), model.lower())
        if name not in self._candidates:
            places = dict.fromkeys(self._names(*name))
            shelves = [self._shelves[place] for place in places if place in self._shelves]
            family = family_of(name[1])
            if not shelves and family is not None:
                places = dict.fromkeys(self._names(name[0], family))
                shelves = [self._shelves[place] for place in places if place in self._shelves]
            self._candidates[name] = shelves
        return self._candidates[name]

    def _names(self, provider: str, model: str) -> Iterator[tuple[str, str]]:
        """Where a model's rows may stand, most telling first."""
        yield provider, model
        meaning = self.rules.meaning(provider, model)
        family = family_of(model)
        if (
            family is not None
            and (provider, model) not in self._shelves
            and (meaning is None or meaning[1].lower() == family)
        ):
            yield provider, family
        for prefix in self._prefixes.get(provider, ()):
            if model.startswith(prefix):
                yield provider, f"{prefix}*"
        if meaning is not None:
            yield provider, meaning[1].lower()
            yield meaning[0].lower(), meaning[1].lower()


def _folded(key: PriceKey) -> PriceKey:
    return key._replace(provider=key.provider.lower(), model=key.model.lower())
