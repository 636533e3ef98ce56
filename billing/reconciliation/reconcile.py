"""A vendor's month against ours: kinds of line first, then cells and days, then the proof. Values in, values out."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.lines import LineKind, VendorLine
from billing.money import exact, plain
from billing.reconciliation.causes import take_causes
from billing.reconciliation.cells import Cell, CellKey, DayKey, Folded, Money, fold
from billing.reconciliation.coarse import DayCase, decide_day
from billing.reconciliation.discounts import without_known_discounts
from billing.reconciliation.evidence import hints_of, with_evidence
from billing.reconciliation.fine import CellCase, decide_cell, settled
from billing.reconciliation.groups import (
    Break,
    BreakClass,
    BreakKey,
    Figures,
    OurGroup,
    Policy,
    Proof,
    Reconciliation,
)
from billing.reconciliation.levels import INVOICE
from billing.reconciliation.tolerance import tolerated

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_KIND_CLASSES = {
    LineKind.TAX: BreakClass.TAX,
    LineKind.CREDIT: BreakClass.CREDIT_OR_DISCOUNT,
    LineKind.FEE: BreakClass.FEE,
}
BILLED_LATER = re.compile(r"use of \d{4}-\d\d-\d\d, billed later: ")
"""How importers word use of another period (`billing.invoices.charge_days`)."""
_UNCOUNTED = {"requests"}
"""Units that are counted and not billable: without a price they are no use that a vendor could bill."""


def reconcile(
    ours: Sequence[OurGroup],
    vendor_lines: Sequence[VendorLine],
    policy: Policy,
    invoice_total: Decimal | None = None,
    stated_total: Decimal | None = None,
) -> Reconciliation:
    """The month in `policy.currency`. Lines and groups of another currency are the caller's mistake: ValueError.

    `invoice_total` is the caller's own sum of the stored lines, taken apart from the matching; without one the lines
    given are added here, before anything is matched.
    """
    for side in (ours, vendor_lines):
        for item in side:
            if item.currency not in {policy.currency, None}:
                raise ValueError(f"{item} is not in {policy.currency}: reconcile one currency at a time")
    with exact():
        counted = [group for group in ours if group.amount is not None or group.key.unit not in _UNCOUNTED]
        folded = fold(counted, vendor_lines, policy)
        others = without_known_discounts(folded, vendor_lines)
        breaks = [*_by_kind(others), *take_causes(folded, vendor_lines, policy)]
        levels: dict[int, tuple[int, Decimal]] = {}
        unpriced = 0
        for level, money, cells, found in _decided(folded, policy):
            breaks += found
            if not money.rows:
                unpriced += sum(1 for cell in cells if cell.unpriced)
            if money.rows and all(one.cls is BreakClass.ROUNDING for one in found):
                groups, amount = levels.get(level, (0, Decimal(0)))
                levels[level] = (groups + 1, amount + money.amount)
        said = [one for one in breaks if one.amount or _says_something(one)]
        found_breaks = [tolerated(settled(one, policy), policy) for one in with_evidence(said, policy)]
        breaks = sorted(found_breaks, key=_largest_first)
        proof = _proof(ours, vendor_lines, breaks, invoice_total, stated_total)
        matched_amount = sum((amount for _, amount in levels.values()), Decimal(0))
    return Reconciliation(
        currency=policy.currency,
        invoice_total=proof.invoice,
        ours_total=proof.ours,
        matched_groups=sum(groups for groups, _ in levels.values()),
        matched_amount=matched_amount,
        breaks=tuple(breaks),
        proof=proof,
        unpriced_not_billed=unpriced,
        levels=levels,
        hints=tuple(hints_of(breaks)),
    )


def is_open(found: Break) -> bool:
    """Whether a person has to look: rounding within its bound and what the policy tolerates are booked and counted, and
    ask nobody."""
    return found.cls is not BreakClass.ROUNDING and not found.tolerated


def _says_something(found: Break) -> bool:
    """Whether a break of exactly 0 tells anything: tokens that differ although they cost nothing, or another unit."""
    if found.cls is BreakClass.UNIT_SCALE:
        return True
    if found.key.unit is None or found.key.unit in _UNCOUNTED:
        return False
    mine = Decimal(0) if found.ours is None else found.ours.quantity
    theirs = None if found.vendor is None else found.vendor.quantity
    return theirs is not None and theirs != mine


def _decided(folded: Folded, policy: Policy) -> Iterable[tuple[int, Money, Collection[Cell], list[Break]]]:
    """Each group of the vendor's grain with its cells and breaks, coarse days first."""
    days: dict[DayKey, dict[CellKey, Cell]] = {at: {} for at in folded.day_money}
    for key, cell in folded.cells.items():
        if folded.grain.is_coarse(key.day):
            days.setdefault(folded.grain.day_of(key), {})[key] = cell
    for at, cells in days.items():
        money = folded.day_money.get(at, Money())
        case = DayCase(at, money, cells, at.day in folded.usage_days, policy)
        yield INVOICE, money, cells.values(), decide_day(case)
    for key, cell in folded.cells.items():
        if not folded.grain.is_coarse(key.day):
            yield cell.level, cell.money, (cell,), decide_cell(CellCase(key, cell, policy))


def _by_kind(lines: Iterable[VendorLine]) -> list[Break]:
    """Lines that are no use by their kind, one break for each day, account and wording."""
    sums: dict[tuple[BreakClass, BreakKey], tuple[Decimal, int]] = {}
    for line in lines:
        cls = _KIND_CLASSES.get(line.kind)
        if cls is not None and line.text is not None and BILLED_LATER.match(line.text):
            cls = BreakClass.PERIOD_EDGE
        if cls is not None and line.amount is not None:
            key = BreakKey(line.day, line.model, line.unit, line.account, line.service_tier, line.text)
            amount, rows = sums.get((cls, key), (Decimal(0), 0))
            sums[cls, key] = (amount + line.amount, rows + line.rows)
    return [
        Break(
            cls,
            amount,
            key,
            None,
            Figures(None, amount),
            _kind_why(cls, rows, key, amount),
            rows=rows,
        )
        for (cls, key), (amount, rows) in sums.items()
    ]


def _kind_why(cls: BreakClass, rows: int, key: BreakKey, amount: Decimal) -> str:
    said = f"{rows} row{'' if rows == 1 else 's'} of the vendor's"
    if cls is BreakClass.PERIOD_EDGE:
        return f"{said} bill here what was used outside this billing period ({key.item}), {plain(amount)} together"
    return (
        f"{said} of this kind by wording or sign ({key.item or 'a total'}), {plain(amount)} together: no use of ours "
        "stands against it"
    )


def _proof(
    ours: Iterable[OurGroup],
    lines: Iterable[VendorLine],
    breaks: Iterable[Break],
    invoice_total: Decimal | None,
    stated_total: Decimal | None,
) -> Proof:
    """The three sums, each from its own source: our groups as given, breaks as found, the invoice as stored."""
    ours_sum = sum((group.amount for group in ours if group.amount is not None), Decimal(0))
    breaks_sum = sum((found.amount for found in breaks), Decimal(0))
    if invoice_total is None:
        invoice_total = sum((line.amount for line in lines if line.amount is not None), Decimal(0))
    return Proof(ours_sum, breaks_sum, invoice_total, stated_total, invoice_total - ours_sum - breaks_sum)


def _largest_first(found: Break) -> tuple[object, ...]:
    key = found.key
    return (
        -abs(found.amount),
        list(BreakClass).index(found.cls),
        key.day,
        key.model or "",
        key.unit or "",
        key.account or "",
        key.service_tier or "",
        key.item or "",
    )
