"""The reconciliation as JSON (contract.md, section 3) and as rows. Figures are strings of exact decimals."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from billing.money import plain

if TYPE_CHECKING:
    from decimal import Decimal

    from billing.reconciliation.groups import Break, Figures, Hint, Proof, Reconciliation
    from billing.reconciliation.month import ReconciledMonth

BREAK_COLUMNS = (
    "class",
    "amount",
    "currency",
    "day",
    "account",
    "model",
    "service_tier",
    "unit",
    "ours_quantity",
    "ours_amount",
    "vendor_quantity",
    "vendor_amount",
    "provisional",
    "why",
)
_ALWAYS = ("day", "model", "unit")


def month_document(month: ReconciledMonth) -> dict[str, Any]:
    """One document where the month has one currency, else {"documents": [one a currency]}."""
    documents = [currency_document(month, document) for document in month.documents]
    return documents[0] if len(documents) == 1 else {"documents": documents}


def currency_document(month: ReconciledMonth, found: Reconciliation) -> dict[str, Any]:
    """A vendor's month in one currency."""
    return {
        "vendor": month.vendor.vendor,
        "month": month.month.name,
        "currency": found.currency,
        "invoice_total": plain(found.invoice_total),
        "ours_total": plain(found.ours_total),
        "matched": {"groups": found.matched_groups, "amount": plain(found.matched_amount)},
        "matched_levels": {
            str(level): {"groups": groups, "amount": plain(amount)}
            for level, (groups, amount) in sorted(found.levels.items())
        },
        "breaks": [break_document(one) for one in found.breaks],
        "proof": proof_document(found.proof),
        "unpriced_not_billed": found.unpriced_not_billed,
        "hints": [hint_document(hint) for hint in found.hints],
        "uncovered_days": [day.isoformat() for day in month.uncovered_days],
    }


def break_document(found: Break) -> dict[str, Any]:
    """One break; its key names day, model and unit always, the rest where the vendor's grain holds it."""
    return {
        "class": str(found.cls),
        "amount": plain(found.amount),
        "key": key_document(found),
        "ours": figures_document(found.ours),
        "vendor": figures_document(found.vendor),
        "why": found.why,
        "provisional": found.provisional,
        "tolerated": found.tolerated,
        "level": found.level,
        "rows": found.rows,
        "may_be": [str(cls) for cls in found.may_be],
        "proposal": found.proposal,
    }


def hint_document(hint: Hint) -> dict[str, Any]:
    """What all breaks of a class have in common."""
    return {
        "class": str(hint.cls),
        "amount": plain(hint.amount),
        "accounts": list(hint.accounts),
        "models": list(hint.models),
        "days": [day.isoformat() for day in hint.days],
        "text": hint.text,
    }


def key_document(found: Break) -> dict[str, Any]:
    """Where the break stands."""
    parts = asdict(found.key) | {"day": found.key.day.isoformat()}
    return {name: value for name, value in parts.items() if name in _ALWAYS or value is not None}


def figures_document(side: Figures | None) -> dict[str, Any]:
    """One side of a group: both figures 0 where it has nothing there, a null figure where it does not tell."""
    if side is None:
        return {"quantity": "0", "amount": "0"}
    return {"quantity": _text(side.quantity), "amount": _text(side.amount)}


def proof_document(proof: Proof) -> dict[str, Any]:
    """The proof line."""
    return {
        "ours": plain(proof.ours),
        "breaks": plain(proof.breaks),
        "invoice": plain(proof.invoice),
        "stated_total": _text(proof.stated_total),
        "difference": plain(proof.difference),
    }


def break_rows(month: ReconciledMonth) -> list[tuple[Any, ...]]:
    """The breaks of all currencies as rows of BREAK_COLUMNS."""
    rows = []
    for document in month.documents:
        for found in document.breaks:
            key = found.key
            rows.append((
                str(found.cls), plain(found.amount), document.currency, key.day, key.account, key.model,
                key.service_tier, key.unit, *_cells(found.ours), *_cells(found.vendor),
                "yes" if found.provisional else "no", found.why,
            ))  # fmt: skip
    return rows


def _cells(side: Figures | None) -> tuple[str | None, str | None]:
    return (None, None) if side is None else (_text(side.quantity), _text(side.amount))


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
