"""Which price rows competed for a unit of a model at an hour, which one won, and why each other lost. Pure.

The rule is that of `billing.prices`; here it is told again row by row, from what the rows say, so that the walk of a
won can compare its winner with the row that the statement names. A test holds both to the same winner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from billing.models import family_of
from billing.periods import hour_start
from billing.prices import FOREVER
from producers.units import parent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from billing.models import ModelRules
    from billing.prices import Asked, PriceBook, PriceRow


class Loser(NamedTuple):
    """A row that could have priced the unit, and why it did not."""

    row: PriceRow
    why: str


@dataclass(frozen=True, slots=True)
class Contest:
    """`winner` is None where nothing prices the unit."""

    winner: PriceRow | None
    losers: tuple[Loser, ...]


class _Rank(NamedTuple):
    """How telling a row is: larger wins, field by field."""

    unit: int
    origin: int
    model: int
    tier: int
    region: int
    prompt_above: int


_SENTENCES = {
    "unit": "it prices {row.key.unit}, and {winner.code} prices {winner.key.unit}, which is nearer",
    "origin": "it is a list price, and {winner.code} is agreed",
    "model": "it is for {row.key.provider}/{row.key.model}, and {winner.code} names {winner.key.provider}/"
    "{winner.key.model}, which is nearer",
    "tier": "it is for any tier, and {winner.code} names the tier {winner.key.service_tier}",
    "region": "it is for any region, and {winner.code} names the region {winner.key.region}",
    "prompt_above": "it is for prompts above {row.key.prompt_above}, and {winner.code} for those above "
    "{winner.key.prompt_above}",
}


def contest(rows: Sequence[PriceRow], book: PriceBook, asked: Asked, unit: str, hour: int) -> Contest:
    """All rows that have to do with a unit of a model, also superseded ones, at a UTC hour."""
    names = _names(rows, book.rules, asked)
    units = _chain(unit)
    ends = {term.row.row_id: term.end_hour for term in book.terms}
    losers: list[Loser] = []
    able: list[tuple[_Rank, PriceRow]] = []
    for row in rows:
        name = (row.key.provider.lower(), row.key.model.lower())
        if name not in names or row.key.unit not in units:
            continue
        why = _unable(row, rows, ends, asked, hour)
        if why is not None:
            losers.append(Loser(row, why))
            continue
        rank = _Rank(
            -units.index(row.key.unit), row.origin == "contract", -names.index(name), row.key.service_tier != "*",
            row.key.region is not None, row.key.prompt_above,
        )  # fmt: skip
        able.append((rank, row))
    if not able:
        return Contest(None, tuple(losers))
    best, winner = max(able, key=lambda pair: pair[0])
    losers += [Loser(row, _lost(row, rank, winner, best)) for rank, row in able if row is not winner]
    return Contest(winner, tuple(sorted(losers, key=lambda loser: loser.row.id)))


def _chain(unit: str) -> list[str]:
    chain = [unit]
    while (step := parent(chain[-1])) is not None:
        chain.append(step)
    return chain


def _names(rows: Iterable[PriceRow], rules: ModelRules, asked: Asked) -> list[tuple[str, str]]:
    """(provider, model) of the book in which rows of a model may stand, most telling first; all in lower case."""
    known = {(row.key.provider.lower(), row.key.model.lower()) for row in rows}
    provider, model = asked.provider.lower(), asked.model.lower()
    found = [name for name in _names_of(known, rules, provider, model) if name in known]
    family = family_of(model)
    if not found and family is not None:
        found = [name for name in _names_of(known, rules, provider, family) if name in known]
    return found


def _names_of(known: Iterable[tuple[str, str]], rules: ModelRules, provider: str, model: str) -> list[tuple[str, str]]:
    own = [name for owner, name in known if owner == provider]
    prefixes = [name for name in own if name.endswith("*") and model.startswith(name[:-1])]
    names = [(provider, model), *((provider, name) for name in sorted(prefixes, key=len, reverse=True))]
    meaning = rules.meaning(provider, model)
    if meaning is not None:
        names += [(provider, meaning[1].lower()), (meaning[0].lower(), meaning[1].lower())]
    return list(dict.fromkeys(names))


def _unable(row: PriceRow, rows: Sequence[PriceRow], ends: dict[int, int], asked: Asked, hour: int) -> str | None:
    """Why a row cannot price the use at all; None where it can."""
    if row.row_id not in ends:
        return f"replaced by {_replacing(row, rows)}, which begins at the same hour and came later"
    if hour < row.from_hour:
        return f"it begins later, at {_time(row.from_hour)}"
    if hour >= ends[row.row_id]:
        end = ends[row.row_id]
        own = row.to_hour == end or end == FOREVER
        return f"it ended at {_time(end)}" + ("" if own else ", where the next row of its kind begins")
    if row.key.service_tier not in (asked.service_tier, "*"):
        return f"it is for the tier {row.key.service_tier}, and the use is {asked.service_tier}"
    if row.key.region not in (asked.region, None):
        return f"it is for the region {row.key.region}, and the use is in {asked.region or 'none that was told'}"
    if row.key.prompt_above > asked.band:
        return f"it is for prompts above {row.key.prompt_above}, and these are shorter"
    return None


def _replacing(row: PriceRow, rows: Sequence[PriceRow]) -> str:
    same = [
        other.code
        for other in rows
        if other.id > row.id and (other.origin, other.from_hour) == (row.origin, row.from_hour) and _same(other, row)
    ]
    return same[-1] if same else "a later row"


def _same(one: PriceRow, other: PriceRow) -> bool:
    return [part.lower() if isinstance(part, str) else part for part in one.key] == [
        part.lower() if isinstance(part, str) else part for part in other.key
    ]


def _lost(row: PriceRow, rank: _Rank, winner: PriceRow, best: _Rank) -> str:
    for name, own, other in zip(_Rank._fields, rank, best, strict=True):
        if own < other:
            return _SENTENCES[name].format(row=row, winner=winner)
    return f"{winner.code} was found first"


def _time(hour: int) -> str:
    return hour_start(hour).strftime("%Y-%m-%dT%H:%MZ")
