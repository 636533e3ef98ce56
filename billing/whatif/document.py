"""A what-if as a document: by department, model and month; exact, and rounded once, top down. Pure.

Rounded are what it costs now and the difference; what it would cost is their sum, so that each row and each column adds
up. A difference is null where a part would have no price.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from billing.money import exact, plain
from billing.rounding import apportion, round_total
from billing.whatif.compare import Cell, Cells, fold

if TYPE_CHECKING:
    from billing.charges import Department
    from billing.policy import MoneyPolicy
    from billing.whatif.compare import Model

Key = tuple[str | None, ...]


def whatif_document(
    by_month: Mapping[str, Cells],
    scenario: Mapping[str, Any],
    policy: MoneyPolicy,
    names: Mapping[str, str],
    instead: Mapping[Model, Model],
) -> dict[str, Any]:
    """The document of `jangbu whatif`. `names`: of departments."""
    whole: Cells = {}
    with exact():
        for cells in by_month.values():
            for key, cell in cells.items():
                whole.setdefault(key, Cell()).add(cell)
    months: dict[Key, Cell] = {(month,): _sum(cells.values()) for month, cells in by_month.items()}
    total = _sum(whole.values())
    return {
        "months": list(by_month),
        "timezone": policy.zone,
        "currency": policy.currency,
        "scenario": dict(scenario),
        "by_department": [
            {"department": key[0], "department_name": names.get(key[0] or ""), **figures}
            for key, figures in _figures(fold(whole, (0,)), policy).items()
        ],
        "by_model": [
            {"provider": key[0], "model": key[1], "instead": _instead(key, instead), **figures}
            for key, figures in _figures(fold(whole, (1, 2)), policy).items()
        ],
        "by_month": [{"month": key[0], **figures} for key, figures in _figures(months, policy).items()],
        "total": _figures({(): total}, policy)[()],
    }


def seat_cells(cells: Cells, seats: Mapping[Department, int], price: Decimal, seat_model: str) -> Cells:
    """What a month would be with seats instead of paying for use: the use costs nothing, each seat its price."""
    made: Cells = {key: Cell(now=cell.now, unknown_now=cell.unknown_now) for key, cell in cells.items()}
    with exact():
        for department, count in seats.items():
            made[department, "", seat_model] = Cell(then=price * count)
    return made


def _sum(cells: Any) -> Cell:
    total = Cell()
    with exact():
        for cell in cells:
            total.add(cell)
    return total


def _figures(rows: Mapping[Key, Cell], policy: MoneyPolicy) -> dict[Key, dict[str, str | None]]:
    now = _rounded({key: Fraction(cell.now) for key, cell in rows.items()}, policy)
    differences = {key: cell.difference for key, cell in rows.items()}
    more = _rounded({key: Fraction(value) for key, value in differences.items() if value is not None}, policy)
    shown = {}
    with exact():
        for key, cell in rows.items():
            difference = more.get(key)
            shown[key] = {
                "now_exact": plain(cell.now),
                "then_exact": plain(cell.then),
                "difference_exact": None if differences[key] is None else plain(cell.then - cell.now),
                "now": plain(now[key]),
                "then": None if difference is None else plain(now[key] + difference),
                "difference": None if difference is None else plain(difference),
                "unknown_quantity_now": str(cell.unknown_now),
                "unknown_quantity_then": str(cell.unknown_then),
                "lost_quantity": str(cell.lost),
            }
    return shown


def _rounded(amounts: Mapping[Key, Fraction], policy: MoneyPolicy) -> dict[Key, Decimal]:
    total = sum(amounts.values(), Fraction(0))
    return apportion(amounts, round_total(total, policy.step_exponent), policy.step_exponent)


def _instead(key: Key, instead: Mapping[Model, Model]) -> str | None:
    found = instead.get((key[0] or "", key[1] or ""))
    return None if found is None else "/".join(found)
