"""Files of contract terms that people bring: cells to terms, and what such a file would change.

One row a term; a volume tier has a row for each threshold, alike in everything but `above`, `percent`, `amount`, `per`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from billing.csv_file import CellError, Columns, read_file
from billing.errors import BillingError, CellProblem, FileRefused
from billing.money import MINOR_DIGITS, is_decimal_divisor, parse_amount
from billing.periods import month_in, month_of_hour
from billing.price_file import PER_MAX, YEARS, read_hour, read_unit
from billing.sentences import Sentence, said_by
from billing.terms.book import TIERS_MAX
from billing.terms.term import ALL_TOKENS, KINDS, OBLIGATION_KINDS, TIER_KINDS, ContractTerm, Tier, terms_in_force

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from billing.prices import Origin
    from billing.terms.term import Kind

COLUMNS = Columns(
    required=("name", "kind", "provider", "valid_from"),
    optional=("model", "unit", "origin", "currency", "percent", "amount", "per", "above", "valid_to", "source"),
)
ABOVE_MAX = 10**17
NEEDED: Mapping[str, tuple[str, ...]] = {
    "discount": ("percent",),
    "graduated_tier": ("unit", "above"),
    "whole_tier": ("unit", "above"),
    "minimum_fee": ("currency", "amount"),
    "commitment": ("currency", "amount", "valid_to"),
}
EMPTY: Mapping[str, tuple[str, ...]] = {
    "discount": ("currency", "amount", "per", "above"),
    "graduated_tier": (),
    "whole_tier": (),
    "minimum_fee": ("percent", "per", "above"),
    "commitment": ("percent", "per", "above"),
}
"""Which cells a kind must have, and which it must leave empty."""


@dataclass(frozen=True, slots=True)
class TermChanges:
    """What terms do to those known. `ended` are known terms that end where a new one of their name begins."""

    added: tuple[ContractTerm, ...]
    changed: tuple[tuple[ContractTerm, ContractTerm], ...]
    ended: tuple[ContractTerm, ...]
    unchanged: int

    @property
    def new_terms(self) -> tuple[ContractTerm, ...]:
        """The terms to be written, in the order in which they came."""
        return self.added + tuple(new for _, new in self.changed)


def read_terms(raw: bytes, name: str, zone: str) -> list[ContractTerm]:
    """The terms of a file in its order, with id 0. Months are the zone's. Raises FileRefused naming what is wrong."""
    read = read_file(raw, name, COLUMNS, lambda cells: _term(cells, name, zone))
    problems: list[CellProblem] = []
    first_of: dict[tuple[str, int], int] = {}
    kinds: dict[str, str] = {}
    terms: list[ContractTerm] = []
    for line, term in read:
        if kinds.setdefault(term.name, term.kind) != term.kind:
            remedy = Sentence("%(name)s is a %(kind)s already: use another name", name=term.name, kind=kinds[term.name])
            problems.append(CellProblem(name, line, "kind", term.kind, remedy))
        place = first_of.setdefault((term.name, term.from_hour), len(terms))
        if place == len(terms):
            terms.append(term)
        elif problem := _joins(terms[place], term):
            problems.append(CellProblem(name, line, *problem))
        else:
            terms[place] = replace(terms[place], tiers=(*terms[place].tiers, *term.tiers))
    if problems:
        raise FileRefused(problems)
    return terms


def changes(known: Iterable[ContractTerm], terms: Sequence[ContractTerm]) -> TermChanges:
    """What terms would change. Those that say what is known already are left out. Raises BillingError for a name that
    is of another kind already."""
    dated = terms_in_force(known)
    kinds = {one.term.name: one.term.kind for one in dated}
    in_force = {(one.term.name, one.term.from_hour): one for one in dated}
    added, changed, unchanged = [], [], 0
    for term in terms:
        if kinds.get(term.name, term.kind) != term.kind:
            raise BillingError(f"{term.name!r} is a {kinds[term.name]} in the book: give this {term.kind} another name")
        one = in_force.get((term.name, term.from_hour))
        if one is None:
            added.append(term)
        elif _says(one.term) == _says(term):
            unchanged += 1
        else:
            changed.append((one.term, term))
    starts: dict[str, list[int]] = {}
    for term in added:
        starts.setdefault(term.name, []).append(term.from_hour)
    ended = [
        one.term
        for one in dated
        if any(one.term.from_hour < start < one.end_hour for start in starts.get(one.term.name, ()))
    ]
    return TermChanges(tuple(added), tuple(changed), tuple(ended), unchanged)


def _says(term: ContractTerm) -> ContractTerm:
    return replace(term, id=0, source="", tiers=tuple(sorted(term.tiers, key=lambda tier: tier.above)))


def _joins(term: ContractTerm, other: ContractTerm) -> tuple[str, str, str] | None:
    """Why a second row of a name and begin is no further tier of the first: (column, value, remedy), or None."""
    if term.kind not in TIER_KINDS:
        return "name", other.name, "this name has a row from the same hour already: keep one"
    if _says(replace(term, tiers=())) != _says(replace(other, tiers=())):
        return "name", other.name, "the tiers of a term differ in above, percent, amount and per only"
    (tier,) = other.tiers
    if any(tier.above == one.above for one in term.tiers):
        return "above", str(tier.above), "this term has a tier from there already: keep one"
    if len(term.tiers) + 1 >= TIERS_MAX:
        return "above", str(tier.above), f"a term has fewer than {TIERS_MAX} tiers: leave some out"
    return None


def _term(cells: Mapping[str, str], file_name: str, zone: str) -> ContractTerm:
    kind = _kind(cells["kind"])
    for column in ("name", "provider", *NEEDED[kind]):
        if not cells.get(column):
            raise CellError(column, "", Sentence("a %(kind)s needs it", kind=kind))
    for column in EMPTY[kind]:
        if cells.get(column):
            raise CellError(column, cells[column], Sentence("a %(kind)s has none: leave it empty", kind=kind))
    from_hour, to_hour = _validity(cells, kind, zone)
    currency = cells.get("currency") or None
    if currency is not None and currency not in MINOR_DIGITS:
        raise CellError("currency", currency, "use an ISO 4217 code in capitals, such as USD or KRW")
    is_tier, is_obligation = kind in TIER_KINDS, kind in OBLIGATION_KINDS
    return ContractTerm(
        id=0,
        name=_name("name", cells["name"]),
        kind=kind,
        provider=_name("provider", cells["provider"]),
        model=_model(cells.get("model") or "*"),
        unit=_unit(cells.get("unit") or None),
        origin=_origin(cells.get("origin") or None),
        currency=currency,
        percent=_percent(cells["percent"]) if kind == "discount" else None,
        amount=_amount(cells["amount"], least_above_zero=True) if is_obligation else None,
        tiers=(_tier(cells, currency),) if is_tier else (),
        from_hour=from_hour,
        to_hour=to_hour,
        source=cells.get("source") or file_name,
    )


def _kind(text: str) -> Kind:
    for kind in KINDS:
        if kind == text:
            return kind
    raise CellError("kind", text, Sentence("use one of %(known)s", known=", ".join(KINDS)))


def _name(column: str, text: str) -> str:
    if len(text) > 256 or "*" in text:
        raise CellError(column, text[:60], "give a name of 1 to 256 characters without *")
    return text


def _model(text: str) -> str:
    if len(text) > 256 or "*" in text[:-1]:
        raise CellError("model", text[:60], "give a name, or a beginning with * at its end, or nothing for all models")
    return text


def _unit(text: str | None) -> str | None:
    return text if text in (None, ALL_TOKENS) else read_unit(text)


def _origin(text: str | None) -> Origin | None:
    if text is None:
        return None
    if text == "list":
        return "list"
    if text == "contract":
        return "contract"
    raise CellError("origin", text, "use list, contract, or leave it empty for both")


def _tier(cells: Mapping[str, str], currency: str | None) -> Tier:
    above_text, percent, amount = cells["above"], cells.get("percent"), cells.get("amount")
    if not re.fullmatch(r"[0-9]{1,18}", above_text) or int(above_text) > ABOVE_MAX:
        raise CellError(
            "above",
            above_text,
            Sentence("write the month's quantity, a whole number from 0 to %(most)s", most=ABOVE_MAX),
        )
    above = int(above_text)
    if bool(percent) == bool(amount):
        raise CellError("percent", percent or "", "give either a percentage off, or an amount with per and currency")
    if percent:
        if cells.get("per") or currency:
            raise CellError("percent", percent, "a percentage has no per and no currency: leave them empty")
        return Tier(above, _percent(percent, least_above_zero=False))
    per_text = cells.get("per") or ""
    if not re.fullmatch(r"[0-9]{1,13}", per_text) or not is_decimal_divisor(int(per_text)) or int(per_text) > PER_MAX:
        raise CellError("per", per_text, "state the price for 1, 1000, 1000000 units or another 2^a x 5^b")
    if currency is None:
        raise CellError("currency", "", "an amount needs its currency")
    return Tier(above, None, _amount(amount or ""), int(per_text))


def _percent(text: str, *, least_above_zero: bool = True) -> Decimal:
    try:
        percent = parse_amount(text)
    except ValueError as error:
        raise CellError("percent", text, said_by(error)) from None
    if percent > 100 or (least_above_zero and not percent):
        raise CellError("percent", text, "write what is taken off as a percentage above 0, at most 100: 12.5")
    return percent


def _amount(text: str, *, least_above_zero: bool = False) -> Decimal:
    try:
        amount = parse_amount(text)
    except ValueError as error:
        raise CellError("amount", text, said_by(error)) from None
    if least_above_zero and not amount:
        raise CellError("amount", text, "give an amount above 0, or leave the term out")
    return amount


def _validity(cells: Mapping[str, str], kind: str, zone: str) -> tuple[int, int | None]:
    """Half-open hours. A cell is a whole UTC hour, a day (00:00 UTC), or a month, which begins in the zone."""
    from_hour = _hour("valid_from", cells["valid_from"], zone)
    to_text = cells.get("valid_to")
    to_hour = _hour("valid_to", to_text, zone) if to_text else None
    if to_hour is not None and to_hour <= from_hour:
        raise CellError("valid_to", to_text or "", "end later than valid_from, or leave it empty")
    if kind == "minimum_fee":
        for column, hour in (("valid_from", from_hour), ("valid_to", to_hour)):
            if hour is not None and month_in(month_of_hour(hour, zone), zone).first_hour != hour:
                remedy = Sentence(
                    "a minimum fee is for whole months of %(zone)s: write a month such as 2026-10", zone=zone
                )
                raise CellError(column, cells[column], remedy)
    return from_hour, to_hour


def _hour(column: str, text: str, zone: str) -> int:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}", text):
        return read_hour(column, text)
    try:
        month = month_in(text, zone)
    except BillingError as error:
        raise CellError(column, text, said_by(error)) from None
    if int(text[:4]) not in YEARS:
        raise CellError(column, text, Sentence("use a year from %(least)s to %(most)s", least=YEARS[0], most=YEARS[-1]))
    return month.first_hour
