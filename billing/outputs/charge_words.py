"""A charge of a statement (shared cost, correction, tax) in one line of words, whatever its source tells. Pure.

Sources of charges put their own facts into a document; here the telling ones come first and everything that is known
to be a figure or a hash is left to its own column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


def charge_words(charge: Mapping[str, Any]) -> str:
    """What a charge is, as `name: value` pairs that a reader can look up; figures are left out."""
    names = [name for name in FIRST if name in charge]
    names += sorted(set(charge) - set(FIRST) - FIGURES)
    return " · ".join(part for name in names for part in _told(name, charge[name]))


def terms_words(line: Mapping[str, Any]) -> str:
    """The contract terms that made a line's price, each by its id and name; empty where none did."""
    return " · ".join(charge_words(term) for term in line.get("terms", ()))


def _told(name: str, value: Any) -> Iterator[str]:
    if value is None or value in ("", [], {}):
        return
    if isinstance(value, dict):
        for inner in sorted(value):
            yield from _told(f"{name}.{inner}", value[inner])
    elif isinstance(value, list):
        if len(value) <= 3 and not any(isinstance(one, dict | list) for one in value):
            yield f"{name}: {', '.join(str(one) for one in value)}"
        else:
            yield f"{name}: {len(value)}"
    else:
        yield f"{name}: {value}"
