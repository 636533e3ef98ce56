"""What happened to a line after its month was closed: corrections that were booked, and what still waits to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from billing.explaining.checks import Check
from billing.ledger.booked import price_code
from billing.money import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.charges import Department


def read_line_corrections(
    connection: Connection, month: str, department: Department, line: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Corrections of a closed month's line that later months have booked, in their order."""
    rows = connection.execute(
        text("""
        select e.month, e.reason, e.description, e.id as entry_id, l.price_id, l.quantity, l.amount_exact, l.amount
        from ledger_entry e join ledger_line l on l.entry_id = e.id
        where e.origin_month = :month and e.month > e.origin_month and l.account = 'cost'
          and l.department is not distinct from cast(:department as text)
          and l.provider = :provider and l.model = :model and l.unit = :unit
        order by e.month, e.id, l.number"""),
        {"month": month, "department": department, **{name: line[name] for name in ("provider", "model", "unit")}},
    )
    return [
        {
            "booked_in": row.month,
            "reason": row.reason,
            "origin": row.description,
            "entry_id": row.entry_id,
            "quantity": None if row.quantity is None else plain(row.quantity),
            "amount_exact": row.amount_exact,
            "amount": plain(row.amount),
        }
        for row in rows
        if price_code(row.price_id or 0) == line["price_id"]
    ]


def closed_check(
    stated: int, summed: int, late: int, reasons: set[str], corrections: Sequence[Mapping[str, Any]], name: str
) -> Check:
    """The sums of a closed month's line against its quantity and the corrections of it.

    `late` is the quantity of events read after the close, `reasons` those of the line's parts. What has moved and was
    not corrected yet is left open where late events or moved parts can be the cause, and is wrong where nothing can.
    """
    corrected = sum(int(one["quantity"] or 0) for one in corrections)
    step = f"the hourly sums come to {name} at the close ({stated}) and its corrections ({corrected})"
    left = summed - stated - corrected
    if not left:
        return Check(step, str(stated + corrected), str(summed), True)
    causes = [f"{late} of events that came after the close"] if late else []
    moved = sorted(reasons - {"chunk"})
    causes += [f"parts of {', '.join(moved)}"] if moved else []
    if not causes:
        why = "nothing came after the close and no part was moved: the sums were changed"
        return Check(step, str(stated + corrected), str(summed), False, why)
    why = f"{left} waits to be corrected in the open month ({'; '.join(causes)})"
    return Check(step, str(stated + corrected), str(summed), None, why)
