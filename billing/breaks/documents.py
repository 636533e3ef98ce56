"""The work list as JSON and as rows. Figures are strings of exact decimals; None where a side tells none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from billing.money import plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from billing.breaks.deciding import Decided
    from billing.breaks.worklist import Decision, WorkItem

COLUMNS = (
    "break", "vendor", "month", "class", "amount", "currency", "state", "open", "difference", "owner", "model", "unit",
    "account", "service_tier", "item", "days", "provisional", "also", "why",
)  # fmt: skip
SHOWN = (
    "break", "vendor", "class", "amount", "currency", "state", "difference", "owner", "model", "unit", "also", "why",
)  # fmt: skip
"""Columns of a table for people."""
KEY_PARTS = ("model", "unit", "account", "service_tier", "item")


def item_document(item: WorkItem, *, with_history: bool = False) -> dict[str, Any]:
    """A break of the list; `history` and days where one is shown alone."""
    standing, decided = item.standing, item.decided
    document: dict[str, Any] = {
        "break": item.name,
        "vendor": item.vendor,
        "month": item.month,
        "class": item.cls,
        "amount": plain(item.amount),
        "currency": item.currency,
        "state": item.state,
        "open": item.is_open,
        "decided_amount": _text(None if standing is None else standing.amount),
        "difference": plain(item.difference),
        "proposed_writeoff": _text(item.proposed),
        "owner": item.owner,
        "key": dict(item.key),
        "days": [part.day.isoformat() for part in item.parts],
        "provisional": item.provisional,
        "ours": {"quantity": _text(item.ours.quantity), "amount": _text(item.ours.amount)},
        "vendor_side": {"quantity": _text(item.theirs.quantity), "amount": _text(item.theirs.amount)},
        "why": item.found[0].why if item.found else "the newest reconciliation does not find it any more",
        "reason": None if decided is None else decided.reason,
        "actor": None if decided is None else decided.actor,
        "decided_at": None if decided is None else decided.decided_at,
        "also": [
            {"month": one.month, "state": one.state, "amount": _text(one.amount), "reason": one.reason,
             "actor": one.actor} for one in item.earlier
        ],
    }  # fmt: skip
    if with_history:
        document["fingerprint"] = item.fingerprint
        document["parts"] = [{"day": part.day.isoformat(), "amount": plain(part.amount)} for part in item.parts]
        document["evidence"] = [{"day": one.day.isoformat(), "why": one.why} for one in item.found]
        document["history"] = [history_document(row) for row in item.history]
    return document


def history_document(row: Decision) -> dict[str, Any]:
    """One decision, comment or assignment."""
    return {
        "action": row.action,
        "state": row.state,
        "amount": _text(row.amount),
        "proposed": _text(row.proposed),
        "owner": row.owner,
        "reason": row.reason,
        "actor": row.actor,
        "decided_at": row.decided_at,
    }


def decided_document(one: Decided) -> dict[str, Any]:
    """What an action did to one break."""
    return {"break": one.item.name, "action": one.action, "was": one.item.state, "state": one.state,
            "amount": _text(one.amount), "currency": one.item.currency}  # fmt: skip


def item_row(item: WorkItem, columns: Sequence[str]) -> list[Any]:
    """A break as a row."""
    document = item_document(item)
    days = document["days"]
    cells = {
        **document,
        **{name: item.key.get(name) for name in KEY_PARTS},
        "days": days[0] if len(days) == 1 else f"{len(days)} from {days[0]}" if days else "",
        "open": "yes" if item.is_open else "no",
        "provisional": "yes" if item.provisional else "no",
        "also": also_words(item),
        "state": item.state + (" (write-off waits)" if item.proposed is not None else ""),
    }
    return [cells[name] for name in columns]


def also_words(item: WorkItem) -> str:
    """What was decided about the same break in other months: `2026-09: accepted because …`."""
    return "; ".join(f"{one.month}: {one.state.replace('_', ' ')} because {one.reason}" for one in item.earlier)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
