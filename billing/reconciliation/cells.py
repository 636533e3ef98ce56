"""Folding: both sides to the grain in which the vendor speaks, month by month and day by day.

A cell is (day, account, model, tier, unit) with what is told on each side. Account and tier are part of it only where
the vendor tells them and ours can answer; what the vendor does not tell apart is folded on our side (Policy.folds).
A day with totals that name no model is coarse: its cells tell quantities, its money is compared day by day.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from billing.invoices.figures import FLOAT_DIGITS, decimals
from billing.invoices.lines import LineKind, VendorLine
from billing.reconciliation.groups import Figures
from billing.reconciliation.names import joined_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from billing.reconciliation.groups import OurGroup, Policy, PriceUse, UsageKey

UNIT_FINEST = Decimal("1e-10")
"""No vendor's unit is taken to be finer: below the price of any single token (1e-8 and more), and above the noise that
a vendor's sums of binary doubles carry."""


class CellKey(NamedTuple):
    """`account`, `model` and `service_tier` are None where the vendor's grain does not hold them."""

    day: date
    account: str | None
    model: str | None
    service_tier: str | None
    unit: str


class DayKey(NamedTuple):
    """A day's total; `model` is None where totals name none, `account` where the grain holds none."""

    day: date
    account: str | None
    model: str | None


@dataclass(slots=True)
class Money:
    """What the vendor bills for one group: rows, their exact sum and how far rounding alone may take it."""

    rows: int = 0
    amount: Decimal = Decimal(0)
    rounding_max: Decimal = Decimal(0)


@dataclass(slots=True)
class Cell:
    """Both sides of one cell. `spelled` holds our own or the vendor's spelling of (model, tier), to look up prices."""

    our_quantity: int = 0
    our_amount: Decimal = Decimal(0)
    unpriced: int = 0
    prices: set[PriceUse] = field(default_factory=set)
    money: Money = field(default_factory=Money)
    billed_quantity: Decimal | None = None
    """Quantity beside the money; None where any row does not tell it."""
    reported_quantity: Decimal | None = None
    """Quantity from a usage export."""
    quantity_slack: Decimal = Decimal(0)
    """How far the vendor's quantity may lie off because it is written in a coarse unit."""
    model_spelled: str | None = None
    tier_spelled: str = "standard"
    level: int = 1
    """How much of the key both sides were matched on (`levels`)."""
    settled: bool = False
    """Whether a cause that spans cells has explained all of it."""
    shown: tuple[Figures | None, Figures | None] | None = None
    """Both sides as they were folded, to be shown, whatever causes take off them later."""

    @property
    def ours(self) -> Figures | None:
        """Our side as it was folded."""
        return self.figures()[0]

    @property
    def theirs(self) -> Figures | None:
        """The vendor's side as it was folded."""
        return self.figures()[1]

    def figures(self) -> tuple[Figures | None, Figures | None]:
        """Both sides, kept from the first time that they are asked for."""
        if self.shown is None:
            amount = None if self.unpriced else self.our_amount
            ours = Figures(Decimal(self.our_quantity), amount) if self.our_quantity else None
            theirs = Figures(self.vendor_quantity, self.money.amount) if self.money.rows else None
            self.shown = (ours, theirs)
        return self.shown

    @property
    def vendor_quantity(self) -> Decimal | None:
        return self.reported_quantity if self.billed_quantity is None else self.billed_quantity


@dataclass(frozen=True, slots=True)
class Grain:
    """What the vendor's lines of a month hold."""

    account: bool
    tier: bool
    modelless_units: frozenset[str]
    total_days: frozenset[date]
    finest_days: frozenset[date]
    rounding_unit: Decimal
    total_models: bool = False
    """Whether each total is of one model (a generation's cost), so that days are compared model by model."""

    def day_of(self, key: CellKey) -> DayKey:
        """The total in which a cell of a coarse day stands."""
        return DayKey(key.day, key.account, key.model if self.total_models else None)

    def is_coarse(self, day: date) -> bool:
        """Whether money is compared by day. A day that no line bills goes with the days that are billed."""
        return day in self.total_days or (day not in self.finest_days and not self.finest_days)


@dataclass(slots=True)
class Folded:
    """A month at the vendor's grain. `day_money` is the money of coarse days."""

    grain: Grain
    cells: dict[CellKey, Cell] = field(default_factory=dict)
    day_money: dict[DayKey, Money] = field(default_factory=dict)
    usage_days: set[date] = field(default_factory=set)
    vendor_names: dict[str, str] = field(default_factory=dict)
    our_names: dict[str, str] = field(default_factory=dict)

    def day_of(self, line: VendorLine) -> DayKey:
        """The total of a line on a coarse day."""
        model = self.vendor_names[line.model] if self.grain.total_models and line.model is not None else None
        return DayKey(line.day, line.account if self.grain.account else None, model)

    def key_of_ours(self, key: UsageKey, policy: Policy) -> CellKey:
        """The cell of use of ours, also of use outside the month."""
        name = self.our_names.get(key.model, key.model.lower())
        return _key(self.grain, key.day, key.account, name, key.service_tier, policy.folds.get(key.unit, key.unit))

    def key_of(self, line: VendorLine) -> CellKey:
        """The cell of a line with a unit."""
        assert line.unit is not None
        name = None if line.model is None else self.vendor_names[line.model]
        return _key(self.grain, line.day, line.account, name, line.service_tier or "standard", line.unit)


def grain_of(ours: Sequence[OurGroup], lines: Sequence[VendorLine], policy: Policy) -> Grain:
    """The finest grain that both sides can speak."""
    billed = [line for line in lines if line.kind in {LineKind.USAGE, LineKind.TOTAL}]
    fine = [line for line in billed if line.kind is LineKind.USAGE]
    reported = [line for line in lines if line.kind is LineKind.QUANTITY]
    our_accounts = {group.key.account for group in ours}
    vendor_accounts = {line.account for line in (*billed, *reported)}
    account = None not in our_accounts | vendor_accounts and bool(our_accounts & vendor_accounts)
    if fine:
        tier = any(line.service_tier not in {None, "standard"} for line in fine)
    else:
        tier = bool(reported) and all(line.service_tier is not None for line in reported)
    total_days = frozenset(line.day for line in billed if line.kind is LineKind.TOTAL)
    return Grain(
        account=account,
        tier=tier,
        modelless_units=frozenset(line.unit for line in fine if line.unit is not None and line.model is None),
        total_days=total_days,
        finest_days=frozenset(line.day for line in fine) - total_days,
        rounding_unit=policy.rounding_unit or _unit_seen(billed, policy.minor_unit),
        total_models=not fine and all(line.model is not None for line in billed),
    )


def fold(ours: Sequence[OurGroup], lines: Sequence[VendorLine], policy: Policy) -> Folded:
    """Both sides in cells. Tax, credit and fee lines are not for use and stay out."""
    folded = Folded(grain_of(ours, lines, policy))
    used = [line for line in lines if line.kind in {LineKind.USAGE, LineKind.TOTAL, LineKind.QUANTITY}]
    our_names, vendor_names = joined_names(
        (group.key.model for group in ours), (line.model for line in used if line.model is not None)
    )
    folded.our_names, folded.vendor_names = our_names, vendor_names
    for group in ours:
        _add_ours(folded, group, our_names[group.key.model], policy)
    steps = finest_steps(used)
    for line in used:
        name = None if line.model is None else vendor_names[line.model]
        if line.kind is LineKind.QUANTITY:
            _add_reported(folded, line, name)
        else:
            _add_billed(folded, line, name, steps)
    level = grain_level(ours, folded.grain)
    for cell in folded.cells.values():
        cell.figures()
        cell.level = level
    return folded


def grain_level(ours: Sequence[OurGroup], grain: Grain) -> int:
    """What the vendor's grain leaves of the key: 1 all, 2 without account or key, 3 without tier (vendors' files)."""
    if not grain.tier and len({group.key.service_tier for group in ours}) > 1:
        return 3
    return 2 if not grain.account and any(group.key.account is not None for group in ours) else 1


def _add_ours(folded: Folded, group: OurGroup, name: str, policy: Policy) -> None:
    unit = policy.folds.get(group.key.unit, group.key.unit)
    key = group.key
    cell = _cell(folded, key.day, key.account, name, key.service_tier, unit)
    cell.our_quantity += group.quantity
    cell.model_spelled, cell.tier_spelled = cell.model_spelled or key.model, key.service_tier
    if group.amount is None:
        cell.unpriced += group.quantity
    else:
        cell.our_amount += group.amount
        cell.prices.update(group.prices)


def _add_billed(folded: Folded, line: VendorLine, name: str | None, steps: dict[str | None, Decimal]) -> None:
    assert line.amount is not None
    if folded.grain.is_coarse(line.day) or line.unit is None:
        at = folded.day_of(line)
        _add_money(folded.day_money.setdefault(at, Money()), line, folded.grain.rounding_unit)
        return
    tier = line.service_tier or "standard"
    cell = _cell(folded, line.day, line.account, name, tier, line.unit)
    cell.model_spelled, cell.tier_spelled = cell.model_spelled or line.model, tier
    first = cell.money.rows == 0
    _add_money(cell.money, line, folded.grain.rounding_unit)
    if line.quantity is None:
        cell.billed_quantity = None
    elif first:
        cell.billed_quantity = line.quantity
    elif cell.billed_quantity is not None:
        cell.billed_quantity += line.quantity
    step = steps.get(line.unit)
    if step is not None and step > 1:
        cell.quantity_slack += step / 2 * line.rows


def _add_reported(folded: Folded, line: VendorLine, name: str | None) -> None:
    assert line.unit is not None
    assert line.quantity is not None
    tier = line.service_tier or "standard"
    cell = _cell(folded, line.day, line.account, name, tier, line.unit)
    cell.model_spelled, cell.tier_spelled = cell.model_spelled or line.model, tier
    cell.reported_quantity = (cell.reported_quantity or Decimal(0)) + line.quantity
    folded.usage_days.add(line.day)


def _cell(folded: Folded, day: date, account: str | None, name: str | None, tier: str, unit: str) -> Cell:
    key = _key(folded.grain, day, account, name, tier, unit)
    cell = folded.cells.get(key)
    if cell is None:  # a million lines fall into some thousand cells: none is made in vain
        cell = folded.cells[key] = Cell()
    return cell


def _key(grain: Grain, day: date, account: str | None, name: str | None, tier: str, unit: str) -> CellKey:
    return CellKey(
        day,
        account if grain.account else None,
        None if unit in grain.modelless_units else name,
        tier if grain.tier else None,
        unit,
    )


def _add_money(money: Money, line: VendorLine, unit: Decimal) -> None:
    """Add a line; each of its rows may be off by half the vendor's unit, or by half of the last digit that a double
    carries, which in the rows of a sum is finer than any unit (`VendorLine.rows`)."""
    assert line.amount is not None
    money.rows += line.rows
    money.amount += line.amount
    if line.is_sum:
        money.rounding_max += unit / 2 * line.rows
        return
    last_digit = Decimal(1).scaleb(line.amount.adjusted() - FLOAT_DIGITS + 1) if line.amount else Decimal(0)
    money.rounding_max += max(unit, last_digit) / 2


def _unit_seen(lines: Iterable[VendorLine], minor_unit: Decimal) -> Decimal:
    """The finest decimal that any amount for use writes, at most the currency's smallest unit. Taxes and credits are
    computed from sums and may be finer."""
    seen = max((_decimals_of(line) for line in lines), default=0)
    return max(UNIT_FINEST, min(minor_unit, Decimal(1).scaleb(-seen)))


def _decimals_of(line: VendorLine) -> int:
    if line.amount is None:
        return 0
    return decimals(line.amount) if line.amount_decimals is None else line.amount_decimals


def finest_steps(lines: Iterable[VendorLine]) -> dict[str | None, Decimal]:
    """How finely the vendor writes quantities of a unit: the finest step of the month."""
    steps: dict[str | None, Decimal] = {}
    for line in lines:
        if line.quantity_step is not None:
            steps[line.unit] = min(line.quantity_step, steps.get(line.unit, line.quantity_step))
    return steps
