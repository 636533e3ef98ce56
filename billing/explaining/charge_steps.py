"""Shares of common costs, taxes and corrections walked back, from what their charges say about themselves. Pure."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from billing.explaining.checks import Check, compare
from billing.money import exact_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.explaining.items import Item


def charge_steps(item: Item, documents: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[Check]]:
    """What a charge rests on, with its checks. `documents` are the month's statements of all departments."""
    if item.section == "allocated":
        return _share(item.document, documents)
    if item.section == "taxes":
        return _tax(item.document)
    return _correction(item.document), []


def _share(share: Mapping[str, Any], documents: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[Check]]:
    """A part of a pool by weight: pool x weight / all weights, and all parts together are the pool."""
    names = ("rule", "rule_id", "pool", "basis", "pool_amount", "weight", "weight_total", "why", "pool_document")
    rests = {name: share.get(name) for name in names}
    if share.get("weight") is None or share.get("pool_amount") is None:
        return {"rests_on": rests}, []
    pool = Fraction(share["pool_amount"])
    part = pool * Fraction(share["weight"]) / Fraction(share["weight_total"])
    same = [
        one
        for document in documents
        for one in document["allocated"]
        if one.get("weight") is not None
        and (one.get("rule_id"), one.get("pool")) == (share.get("rule_id"), share.get("pool"))
    ]
    return {"rests_on": {**rests, "departments": len(same)}}, [
        compare("pool x weight / all weights is the share", share["amount_exact"], exact_text(part), "another share"),
        compare(
            "the shares of all departments come to the pool",
            share["pool_amount"],
            exact_text(sum((Fraction(one["amount_exact"]) for one in same), Fraction(0))),
            "a share is missing or too large",
        ),
        compare(
            "the weights of all departments come to all weights",
            share["weight_total"],
            exact_text(sum((Fraction(one["weight"]) for one in same), Fraction(0))),
            "a weight is missing or too large",
        ),
    ]


def _tax(tax: Mapping[str, Any]) -> tuple[dict[str, Any], list[Check]]:
    """A vendor's rate on the department's cost with it; nothing more where prices include it."""
    if tax.get("base_exact") is None or tax.get("tax_rate") is None:
        return {"rests_on": {}}, []
    names = ("vendor", "creditor", "tax_mode", "tax_in_price", "base_exact", "tax_rate", "included_exact")
    is_included = tax.get("tax_in_price") == "included"
    due = Fraction(0) if is_included else Fraction(tax["base_exact"]) * Fraction(tax["tax_rate"])
    step = "the tax stands in the price: nothing is added" if is_included else "cost x rate is the tax"
    check = compare(step, tax["amount_exact"], exact_text(due), "another tax")
    return {"rests_on": {name: tax.get(name) for name in names}}, [check]


def _correction(one: Mapping[str, Any]) -> dict[str, Any]:
    """Where a correction comes from, and the line to walk on from, which the closed month or its sums hold."""
    names = ("reason", "origin_period", "origin", "content_hash")
    rests = {name: one.get(name) for name in names}
    if one.get("provider") is not None:
        line = "/".join((one["provider"], one["model"], one["unit"], one.get("price_id") or "unpriced"))
        rests["origin_line"] = line
    return {"rests_on": rests}
