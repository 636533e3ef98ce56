"""A charge of a statement (shared cost, correction, tax) in one line of words, whatever its source tells. Pure.

Sources of charges put their own facts into a document; here the telling ones come first and everything that is known
to be a figure or a hash is left to its own column. Papers say it in their language; files for programs (CSV, FOCUS) say
each fact by its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from billing.outputs.charge_texts import fact_name, fact_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from billing.outputs.texts import Language

FIGURES = frozenset({"amount", "amount_exact", "content_hash"})
FIRST = (
    "rule",
    "name",
    "vendor",
    "reason",
    "kind",
    "category",
    "origin_period",
    "origin",
    "method",
    "basis",
    "mode",
    "rate",
)
FIRST_ON_PAPER = (
    "rule", "rule_id", "name", "vendor", "creditor", "reason", "kind", "category", "origin_period", "origin", "pool",
    "pool_amount", "basis", "weight", "weight_total", "tax_mode", "tax_rate", "base_exact", "section", "provider",
    "model", "unit", "quantity", "price_id",
)  # fmt: skip


def charge_words(charge: Mapping[str, Any], language: Language | None = None) -> str:
    """What a charge is, as `name: value` pairs that a reader can look up; figures are left out."""
    first = FIRST if language is None else FIRST_ON_PAPER
    names = [name for name in first if name in charge]
    names += sorted(set(charge) - set(first) - FIGURES)
    facts = [fact for name in names for fact in _facts(name, charge[name])]
    if language is None:
        return " · ".join(f"{name}: {value}" for name, value in facts)
    return " · ".join(f"{fact_name(name, language)}: {fact_value(name, value, language)}" for name, value in facts)


def terms_words(line: Mapping[str, Any], language: Language | None = None) -> str:
    """The contract terms that made a line's price, each by its id and name; empty where none did."""
    return " · ".join(charge_words(term, language) for term in line.get("terms", ()))


def _facts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """(name, value) of a fact and of what it holds, with dots between; nothing where nothing is said."""
    if value is None or value in ("", [], {}):
        return
    if isinstance(value, dict):
        for inner in sorted(value):
            yield from _facts(f"{name}.{inner}", value[inner])
    elif isinstance(value, list):
        if len(value) <= 3 and not any(isinstance(one, dict | list) for one in value):
            yield name, ", ".join(str(one) for one in value)
        else:
            yield name, str(len(value))
    else:
        yield name, str(value)
