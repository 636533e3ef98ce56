"""DUPLICATE: rows that stand again, in a file or in another of the same days.

Equal rows are summed and never dropped: a vendor may bill the same amount twice rightly. They are duplicates where a
group agrees with ours without the copies and does not with them; or where the copies themselves are the evidence: the
rows are too long a figure to be equal by chance, in no group that agrees do rows stand again, and without the copies
the group is nearer to ours (or we saw nothing of it). What is then left is the group's other cause. Only cells with
more than ours, and days of totals, are looked at again.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.lines import LineKind, VendorLine
from billing.money import plain
from billing.reconciliation.gaps import cell_break, gap_of
from billing.reconciliation.groups import Break, BreakClass, BreakKey, Figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from billing.reconciliation.cells import Cell, CellKey, DayKey, Folded, Money
    from billing.reconciliation.gaps import Gap

Row = tuple[object, ...]
"""What makes two lines equal: all but the place. The line itself stands last."""
TOKENS_TELL = 1_000
"""So many tokens in two rows are hardly equal by chance."""
DIGITS_TELL = 6
"""Where a row tells no tokens, so many digits of its amount."""


def take_duplicates(folded: Folded, lines: Sequence[VendorLine]) -> list[Break]:
    """The breaks of copies; the vendor's side loses them."""
    wanted = {key for key, cell in folded.cells.items() if _looks_doubled(folded, key, cell)}
    days = {at for at, money in folded.day_money.items() if money.rows > 1}
    if not wanted and not days:
        return []
    agreeing = {key for key, cell in folded.cells.items() if key not in wanted and cell.money.rows > 1}
    rows: dict[CellKey, list[VendorLine]] = {}
    usual: dict[CellKey, list[VendorLine]] = {}
    totals: dict[DayKey, list[VendorLine]] = {}
    for line in lines:
        if line.kind not in {LineKind.USAGE, LineKind.TOTAL} or line.amount is None:
            continue
        if folded.grain.is_coarse(line.day) or line.unit is None:
            at = folded.day_of(line)
            if at in days:
                totals.setdefault(at, []).append(line)
        elif (key := folded.key_of(line)) in wanted:
            rows.setdefault(key, []).append(line)
        elif key in agreeing:
            usual.setdefault(key, []).append(line)
    equal_is_usual = any(_tells(copies) for found in usual.values() for copies in _choices(found))
    breaks = [
        _take_cell(folded, key, folded.cells[key], found, equal_is_usual=equal_is_usual) for key, found in rows.items()
    ]
    breaks += [_take_day(folded, at, found) for at, found in totals.items()]
    proven = [found for found in breaks if found is not None]
    return [*proven, *_take_pages(folded, lines, proven)]


def _take_pages(folded: Folded, lines: Iterable[VendorLine], proven: list[Break]) -> list[Break]:
    """Days of which every row of use stands again, and most groups show it: the others are of the same page."""
    shown = Counter(one.key.day for one in proven if one.key.unit is not None)
    rows: dict[date, dict[CellKey, list[VendorLine]]] = {day: {} for day, groups in shown.items() if groups > 1}
    if not rows:
        return []
    for line in lines:
        if line.day in rows and line.kind is LineKind.USAGE and line.unit is not None and line.amount is not None:
            rows[line.day].setdefault(folded.key_of(line), []).append(line)
    breaks = []
    for day, groups in rows.items():
        copies = {key: _choices(found) for key, found in groups.items()}
        whole = all(found and 2 * len(found[0]) >= _rows(groups[key]) for key, found in copies.items())
        if not whole or shown[day] * 2 < len(groups):
            continue
        taken = {one.key for one in proven}
        for key, found in copies.items():
            amount = sum((line.amount or Decimal(0) for line in found[0]), Decimal(0))
            if BreakKey(key.day, key.model, key.unit, key.account, key.service_tier) not in taken and amount > 0:
                places = ", ".join(line.place for line in found[0][:3])
                why = f"every row of {day} stands again word for word (here {places}): a page or a file came twice"
                breaks.append(_without(key, folded.cells[key], found[0], why))
    return breaks


def _looks_doubled(folded: Folded, key: CellKey, cell: Cell) -> bool:
    if cell.money.rows < 2 or folded.grain.is_coarse(key.day):
        return False
    gap = gap_of(folded, key, cell)
    return gap is not None and (gap.amount > gap.bound or (gap.quantity or 0) > 0)


def _take_cell(
    folded: Folded, key: CellKey, cell: Cell, lines: list[VendorLine], *, equal_is_usual: bool
) -> Break | None:
    gap = gap_of(folded, key, cell)
    assert gap is not None
    choices = _choices(lines)
    for copies in choices:
        amount = sum((line.amount or Decimal(0) for line in copies), Decimal(0))
        tokens = sum((line.quantity or Decimal(0) for line in copies), Decimal(0))
        told = cell.billed_quantity is not None
        if told and gap.quantity is not None:
            agrees = abs(gap.quantity - tokens) <= cell.quantity_slack and tokens > 0
        else:
            agrees = gap.quantity in (None, 0) and abs(gap.amount - amount) <= gap.bound
        if agrees and amount > 0:
            return _without(key, cell, copies, _why(copies, lines, amount))
    if choices and not equal_is_usual and _tells(choices[0]) and _is_nearer(cell, gap, choices[0]):
        amount = sum((line.amount or Decimal(0) for line in choices[0]), Decimal(0))
        return _without(key, cell, choices[0], _why_alone(choices[0], lines, amount))
    return None


def _without(key: CellKey, cell: Cell, copies: list[VendorLine], why: str) -> Break:
    """The cell loses the copies."""
    amount = sum((line.amount or Decimal(0) for line in copies), Decimal(0))
    cell.money.amount -= amount
    cell.money.rows -= len(copies)
    if cell.billed_quantity is not None:
        cell.billed_quantity -= sum((line.quantity or Decimal(0) for line in copies), Decimal(0))
    return cell_break(BreakClass.DUPLICATE, key, cell, amount, why)


def _tells(copies: list[VendorLine]) -> bool:
    """Whether each copy is too long a figure to be equal by chance."""
    return all(
        len((line.amount or Decimal(0)).normalize().as_tuple().digits) >= DIGITS_TELL
        if line.quantity is None
        else line.quantity >= TOKENS_TELL
        for line in copies
    )


def _is_nearer(cell: Cell, gap: Gap, copies: list[VendorLine]) -> bool:
    """Whether the group is nearer to ours without the copies, in tokens where rows tell them, else in money.

    What we saw nothing of is nearer to nothing with every row that is taken off: all but the first of its kind are.
    """
    if sum((line.amount or Decimal(0) for line in copies), Decimal(0)) <= 0:
        return False
    if cell.billed_quantity is not None:
        tokens = sum((line.quantity or Decimal(0) for line in copies), Decimal(0))
        return tokens > 0 and abs((gap.quantity or Decimal(0)) - tokens) <= abs(gap.quantity or Decimal(0))
    amount = sum((line.amount or Decimal(0) for line in copies), Decimal(0))
    return abs(gap.amount - amount) <= abs(gap.amount)


def _take_day(folded: Folded, at: DayKey, lines: list[VendorLine]) -> Break | None:
    """A day's total that stands again: without it the day agrees with ours."""
    money: Money = folded.day_money[at]
    cells = [cell for key, cell in folded.cells.items() if folded.grain.day_of(key) == at]
    ours = sum((cell.our_amount for cell in cells), Decimal(0))
    if not cells or any(cell.unpriced for cell in cells) or money.amount - ours <= money.rounding_max:
        return None
    for copies in _choices(lines):
        amount = sum((line.amount or Decimal(0) for line in copies), Decimal(0))
        if amount > 0 and abs(money.amount - ours - amount) <= money.rounding_max:
            shown = Figures(None, money.amount)
            money.amount -= amount
            money.rows -= len(copies)
            why = _why(copies, lines, amount)
            key = BreakKey(at.day, at.model, account=at.account)
            return Break(BreakClass.DUPLICATE, amount, key, Figures(None, ours), shown, why, rows=len(copies))
    return None


def _choices(lines: list[VendorLine]) -> list[list[VendorLine]]:
    """What may be copies: all rows beyond the first of their kind, then those of one kind, largest first."""
    first: Counter[Row] = Counter()
    copies: dict[Row, list[VendorLine]] = {}
    for line in lines:
        if line.is_sum:  # of rows none of which is equal to another
            continue
        row = (line.text, line.account, line.model, line.unit, line.service_tier, line.quantity, line.amount)
        first[row] += 1
        if first[row] > 1:
            copies.setdefault(row, []).append(line)
    kinds = sorted(copies.values(), key=lambda found: (-(found[0].amount or Decimal(0)), str(found[0].text)))
    every = [[line for found in kinds for line in found]] if len(kinds) > 1 else []
    singles = [found[:1] for found in kinds if len(found) > 1]
    return [*every, *kinds, *singles]


def _rows(lines: Iterable[VendorLine]) -> int:
    return sum(line.rows for line in lines)


def _why_alone(copies: list[VendorLine], lines: list[VendorLine], amount: Decimal) -> str:
    places = ", ".join(line.place for line in copies[:3]) + (" and more" if len(copies) > 3 else "")
    return (
        f"{len(copies)} of {_rows(lines)} rows stand again word for word ({places}), {plain(amount)} together: figures "
        "so long are not equal by chance, in no group that agrees does a row stand again, and what is left is nearer "
        "to ours"
    )


def _why(copies: list[VendorLine], lines: list[VendorLine], amount: Decimal) -> str:
    places = ", ".join(line.place for line in copies[:3]) + (" and more" if len(copies) > 3 else "")
    return (
        f"{len(copies)} of {_rows(lines)} rows stand again word for word ({places}), {plain(amount)} together: without "
        "the copies this group agrees with ours"
    )
