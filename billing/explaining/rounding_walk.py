"""How an item's booked amount came from its exact one, from the organisation's total down (contract.md, section 9)."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from billing.explaining.checks import Check
from billing.explaining.rounding_story import Rounded, rounded_part, rounded_whole
from billing.money import exact, exact_text, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.explaining.items import Item
    from billing.policy import MoneyPolicy

_ORDER = ("lines", "adjustments", "allocated", "taxes")
"""The order in which items of one department win ties."""


def walk_rounding(
    documents: Sequence[Mapping[str, Any]],
    statement: Mapping[str, Any],
    items: Sequence[Item],
    item: Item | None,
    policy: MoneyPolicy,
) -> tuple[dict[str, Any], list[Check]]:
    """The steps from the organisation to the department and, where one is asked for, the item; each with its check."""
    exacts = {place: Fraction(one["total_exact"]) for place, one in enumerate(documents)}
    booked = {place: Decimal(one["total"]) for place, one in enumerate(documents)}
    own = next(place for place, one in enumerate(documents) if one["department"] == statement["department"])
    first = frozenset(place for place, one in enumerate(documents) if policy.takes_rest(one["department"]))
    with exact():
        total = sum(booked.values(), Decimal(0))
    steps = {
        "organisation": rounded_whole(sum(exacts.values(), Fraction(0)), total, policy.step_exponent),
        "department": rounded_part(exacts, booked, own, policy.step_exponent, first),
    }
    if item is not None and item.document["amount"] is not None:
        parts = [one for section in _ORDER for one in items if one.section == section]
        known = [one for one in parts if one.document["amount"] is not None]
        steps["item"] = rounded_part(
            {one.number: Fraction(one.document["amount_exact"]) for one in known},
            {one.number: Decimal(one.document["amount"]) for one in known},
            item.number,
            policy.step_exponent,
        )
    names = {"organisation": "the organisation's total", "department": "the department's total", "item": "the amount"}
    checks = [_check(names[name], step) for name, step in steps.items()]
    with exact():
        shown = plain(Decimal(1).scaleb(policy.step_exponent))
    return {"step": shown, **{name: _document(step) for name, step in steps.items()}}, checks


def _check(name: str, step: Rounded) -> Check:
    stated, found = plain(step.booked), exact_text(step.exact)
    why = "" if step.agrees else f"the rule says otherwise: {step.why}"
    return Check(f"{name} is its exact value, rounded once, top down", stated, found, step.agrees, why)


def _document(step: Rounded) -> dict[str, Any]:
    return {
        "exact": exact_text(step.exact),
        "floor": exact_text(step.floor),
        "remainder": exact_text(step.remainder),
        "place": str(step.place),
        "parts": str(step.parts),
        "steps_left": str(step.left),
        "booked": plain(step.booked),
        "why": step.why,
    }
