"""Holding what reconciliation finds against what was planted.

An amount is in the right class where a break of that class stands at its place, at the grain at which the file can
show it: a group, a day where money comes as day totals, the month where it comes as one. Where no file tells tokens,
QUANTITY, PRICE and UNIT_SCALE are one class.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from billing.invoices.lines import VendorLine
from billing.invoices.recognise import MONTHLY, recognise
from billing.invoices.source import SourceFile
from billing.reconciliation.groups import BreakClass, EdgeUse, OurGroup, Policy, PriceUse, Reconciliation, UsageKey
from billing.reconciliation.reconcile import reconcile
from tests.seeded.months import PICO, RATE_STEPS

if TYPE_CHECKING:
    from tests.seeded.months import At, SeededMonth
    from tests.seeded.shapes import Shape

ONE = Decimal("1e-12")
AS_ONE = "QUANTITY, PRICE, UNIT_SCALE"
UNTOLD = {"QUANTITY", "PRICE", "UNIT_SCALE"}
Place = tuple[object, ...]


class Found(NamedTuple):
    """A break: class, place, picounits."""

    cls: str
    day: date
    model: str | None
    unit: str | None
    pico: int
    account: str


@dataclass
class Score:
    """Money planted and money found in the right class, by class; what else was found."""

    planted: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    right: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    share: dict[str, list[Fraction]] = field(default_factory=lambda: defaultdict(list))
    """Of each planted amount the part in the right class: every amount weighs alike, not by its size."""
    stray: int = 0
    strays: list[str] = field(default_factory=list)
    proofs_broken: list[int] = field(default_factory=list)
    months: int = 0
    clean: int = 0
    missed: list[str] = field(default_factory=list)


def reconciled(month: SeededMonth, files: list[tuple[str, str]]) -> Reconciliation:
    """Import and reconcile as the commands do, without a database between."""
    shape, lines, folds, monthly = month.shape, [], {}, False
    for name, text in files:
        source = SourceFile(name, text.encode(), shape.zone)
        importer = recognise(source).importer
        lines += [one for one in importer.read(source) if isinstance(one, VendorLine)]
        folds |= importer.folds
        monthly = monthly or importer.format in MONTHLY
    assert all(line.day == month.days[-1] for line in lines) or not monthly
    return reconcile(our_side(month), lines, policy_of(month, folds), stated(month))


def stated(month: SeededMonth) -> Decimal:
    """What the bill comes to, by our own sum."""
    return sum(row.pico for row in month.rows) * ONE


def our_side(month: SeededMonth) -> list[OurGroup]:
    """What metering and rating would give: tokens at our prices, in the currency of the bill."""
    groups = []
    for at, tokens in month.ours.items():
        use = price_use(month, at)
        key = UsageKey(at.day, at.account or None, at.model, "standard", at.unit)
        groups.append(OurGroup(key, tokens, tokens * month.price(at) * ONE, month.shape.currency, (use,)))
    return groups


def policy_of(month: SeededMonth, folds: dict[str, str]) -> Policy:
    """The shape's currency, our book, and our rates where there are any."""

    def listed(day: date, model: str, _tier: str, unit: str) -> PriceUse | None:
        known = {name.lower(): name for name, _ in month.prices}
        name = known.get(model.lower())
        return price_use(month, type(next(iter(month.ours)))(day, name, unit)) if name and month.ours else None

    rates = {day: Decimal(rate) / RATE_STEPS for day, rate in month.rates.items()}
    more: dict[str, Any] = {"rates": rates} if rates else {}
    more["edge_uses"] = [
        EdgeUse(UsageKey(one.at.day, one.at.account or None, one.at.model, "standard", one.at.unit), one.inside,
                one.hour, one.tokens)
        for one in month.beside
    ]  # fmt: skip
    return Policy(month.shape.currency, listed, folds, minor_unit=Decimal(1) if month.shape.currency == "KRW"
                  and not rates else Decimal("0.01"), **more)  # fmt: skip


def price_use(month: SeededMonth, at: At) -> PriceUse:
    """Our price row there."""
    return PriceUse(f"P-{at.model}-{at.unit}", month.price(at) * ONE, month.shape.currency, date(2026, 1, 1))


def found_in(found: Reconciliation) -> list[Found]:
    """The breaks in picounits."""
    return [
        Found(str(one.cls), one.key.day, one.key.model, one.key.unit, int(one.amount * PICO), one.key.account or "")
        for one in found.breaks
    ]


def place_of(
    shape: Shape, cls: str, day: date, model: str | None, unit: str | None, account: str = ""
) -> Place:
    """Where an amount stands at the grain of the files, and the class that it counts as there."""
    name = AS_ONE if not shape.tells_quantity and cls in UNTOLD else cls
    if cls in {"TAX", "CREDIT_OR_DISCOUNT", "FEE"} or shape.grain == "day":
        return (name, day)
    if shape.grain == "month" and not shape.tells_quantity:
        return (name,)
    return (name, day, (model or "").lower(), unit, account if len(shape.accounts) > 1 else "")


def add_score(score: Score, month: SeededMonth, found: Reconciliation) -> None:
    """Hold a month's breaks against its plants."""
    shape = month.shape
    planted: dict[Place, int] = defaultdict(int)
    seen: dict[Place, int] = defaultdict(int)
    for one in month.plants:
        at = one.at
        place = place_of(shape, one.cls, one.day, *((at.model, at.unit, at.account) if at else (None, None)))
        planted[place] += one.pico
    for hit in found_in(found):
        if hit.cls != str(BreakClass.ROUNDING):
            seen[place_of(shape, hit.cls, hit.day, hit.model, hit.unit, hit.account)] += hit.pico
    score.months += 1
    score.clean += not month.plants
    if found.proof.difference != 0 or found.proof.invoice != stated(month):
        score.proofs_broken.append(month.seed)
    slack = 0 if shape.step == 1 else 2 * shape.step
    for place, pico in planted.items():
        got = seen.pop(place, 0)
        right = max(0, abs(pico) - abs(pico - got)) if abs(pico - got) > slack else abs(pico)
        cls = str(place[0])
        score.planted[cls] += abs(pico)
        score.right[cls] += right
        if pico:
            score.share[cls].append(Fraction(right, abs(pico)))
        if right * 100 < abs(pico) * 99:
            score.missed.append(f"{shape.name} {month.seed} {month.kinds}: {place} {pico * ONE} found {got * ONE}")
    for place, pico in seen.items():
        if abs(pico) > slack and not month.plants:
            score.strays.append(f"{shape.name} {month.seed} clean: {place} {pico * ONE}")
        elif abs(pico) > slack:
            score.stray += abs(pico)
            score.missed.append(f"{shape.name} {month.seed} {month.kinds}: stray {place} {pico * ONE}")
