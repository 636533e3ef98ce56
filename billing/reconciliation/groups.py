"""The values that reconciliation takes and gives. Everything here is plain data; nothing is read from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

MINOR_UNIT = Decimal("0.01")


class BreakClass(StrEnum):
    """Why a difference stands, in the order in which classes are decided (contract.md, section 3)."""

    TAX = "TAX"
    CREDIT_OR_DISCOUNT = "CREDIT_OR_DISCOUNT"
    FEE = "FEE"
    DUPLICATE = "DUPLICATE"
    UNKNOWN_MODEL = "UNKNOWN_MODEL"
    PERIOD_EDGE = "PERIOD_EDGE"
    BYPASS = "BYPASS"
    NOT_BILLED = "NOT_BILLED"
    UNIT_SCALE = "UNIT_SCALE"
    UNIT_CLASS = "UNIT_CLASS"
    ROUNDING = "ROUNDING"
    QUANTITY = "QUANTITY"
    PRICE = "PRICE"
    FX = "FX"
    UNEXPLAINED = "UNEXPLAINED"


class UsageKey(NamedTuple):
    """What a group of ours is about, at our finest grain: the vendor's day, in the vendor's zone, and our own names."""

    day: date
    account: str | None
    model: str
    service_tier: str
    unit: str


@dataclass(frozen=True, slots=True)
class PriceUse:
    """A price row that decided: its code (P-000118), the exact price of ONE unit, and since which UTC day it holds."""

    code: str
    unit_price: Decimal
    currency: str
    since: date


@dataclass(frozen=True, slots=True)
class OurGroup:
    """What we metered and priced. `amount` None: no price was found, so what it is worth is unknown, not 0."""

    key: UsageKey
    quantity: int
    amount: Decimal | None
    currency: str | None = None
    prices: tuple[PriceUse, ...] = ()


class EdgeUse(NamedTuple):
    """Our use of one hour next to a month's edge. `hour` counts hours from the edge, 0 is the next to it; `key.day` is
    the first or last day of the month, whichever edge it is, also for use outside the month."""

    key: UsageKey
    inside: bool
    hour: int
    quantity: int


PriceLookup = Callable[[date, str, str, str], PriceUse | None]
"""(vendor day, model, service tier, unit) to the price that would have counted; None where the book has none."""


def no_price(_day: date, _model: str, _tier: str, _unit: str) -> PriceUse | None:
    """A book without rows."""
    return None


@dataclass(frozen=True, slots=True)
class Policy:
    """What decides besides the figures.

    `folds` names units of ours that the vendor does not tell apart (reasoning_tokens inside output_tokens).
    `settled_before`: vendor days before it no longer move; None: nothing is provisional.
    `covered_days`: those that an import speaks about; None: all of them.
    `rounding_unit`: the vendor's smallest step of an amount where it is known; else the decimals seen decide.
    `rates`: where our prices are in another currency, our rate of each day (units of `currency` for one of it).
    `today`: to say how long use has not been billed. `provider`: whose price rows a proposal is for, where it is one.
    `day_starts`: vendor day to the UTC instant at which it begins, as a price file writes it.
    `cut_calls`: how many calls broke off, by (day, account, model in lower case).
    `edge_uses`: our use of the hours around the month's two edges.
    `tolerance_amount`, `tolerance_share`: a difference within both (0: not given) is flagged, booked and counted.
    """

    currency: str
    price: PriceLookup = no_price
    folds: Mapping[str, str] = field(default_factory=dict)
    settled_before: date | None = None
    rounding_unit: Decimal | None = None
    minor_unit: Decimal = MINOR_UNIT
    covered_days: frozenset[date] | None = None
    rates: Mapping[date, Decimal] = field(default_factory=dict)
    today: date | None = None
    provider: str | None = None
    day_starts: Mapping[date, str] = field(default_factory=dict)
    cut_calls: Mapping[tuple[date, str | None, str], int] = field(default_factory=dict)
    edge_uses: Sequence[EdgeUse] = ()
    tolerance_amount: Decimal = Decimal(0)
    tolerance_share: Decimal = Decimal(0)

    def silence(self, day: date) -> str:
        """Why the vendor has nothing on a day: it says so, or nothing of it was imported."""
        if self.covered_days is not None and day not in self.covered_days:
            return "no import covers this day"
        return "the vendor's export covers this day and has no row for it"


@dataclass(frozen=True, slots=True)
class Figures:
    """One side of a group. None is "not told", or for our amount "not priced"."""

    quantity: Decimal | None
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class BreakKey:
    """Where a break stands; None where the vendor's grain does not reach. `item` is the vendor's own text."""

    day: date
    model: str | None = None
    unit: str | None = None
    account: str | None = None
    service_tier: str | None = None
    item: str | None = None


@dataclass(frozen=True, slots=True)
class Break:
    """One difference with its cause. `amount` is vendor minus ours; `why` holds the evidence.

    `level`: on how much of the key the sides were matched (`levels`). `may_be`: classes that nothing told apart from
    this one. `rows`: lines of the vendor's behind it. `vendor_price`: what the vendor takes for one unit, where a PRICE
    break tells it. `proposal`: a line for the price book that would settle it. `tolerated`: within the policy.
    """

    cls: BreakClass
    amount: Decimal
    key: BreakKey
    ours: Figures | None
    vendor: Figures | None
    why: str
    provisional: bool = False
    level: int = 1
    tolerated: bool = False
    may_be: tuple[BreakClass, ...] = ()
    rows: int = 0
    vendor_price: Decimal | None = None
    proposal: str | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """The line that must come out at 0. `invoice` is summed afresh by the caller, apart from the matching."""

    ours: Decimal
    breaks: Decimal
    invoice: Decimal
    stated_total: Decimal | None
    difference: Decimal


@dataclass(frozen=True, slots=True)
class Hint:
    """What all breaks of a class have in common: the keys or accounts, days and models they stand on."""

    cls: BreakClass
    amount: Decimal
    accounts: tuple[str, ...]
    models: tuple[str, ...]
    days: tuple[date, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A vendor's month in one currency. Matched groups agree but for rounding; their amount is the vendor's.

    `unpriced_not_billed` counts groups of ours that have no price and that the vendor did not bill either: no money
    stands on either side, so there is no break, but they show.
    """

    currency: str
    invoice_total: Decimal
    ours_total: Decimal
    matched_groups: int
    matched_amount: Decimal
    breaks: tuple[Break, ...]
    proof: Proof
    unpriced_not_billed: int = 0
    levels: Mapping[int, tuple[int, Decimal]] = field(default_factory=dict)
    """Matched groups and their amount by the level on which they were matched (`levels`)."""
    hints: tuple[Hint, ...] = ()
