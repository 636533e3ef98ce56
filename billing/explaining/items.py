"""What stands on a statement, numbered and named, so that a person can ask for one of it.

Lines come first, then shares, corrections and taxes, each in the document's order. A line's name is
`provider/model/unit/price_id`; without a price row its price status stands there. Names are compared as they are, never
taken apart, so a model may contain slashes, quotes or marks. Where two lines have one name (a contract term made two
prices of one row) their terms follow, each as `/T-000003`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Section = Literal["lines", "allocated", "adjustments", "taxes"]
SECTIONS: tuple[Section, ...] = ("lines", "allocated", "adjustments", "taxes")


class Item(NamedTuple):
    """One thing that a statement's total is made of. `number` counts from 1."""

    number: int
    name: str
    section: Section
    document: Mapping[str, Any]


def items_of(statement: Mapping[str, Any]) -> list[Item]:
    """Everything on a statement's document, in order."""
    found: list[Item] = []
    names = Counter(_line_name(line) for line in statement["lines"])
    for section in SECTIONS:
        for place, document in enumerate(statement.get(section) or (), 1):
            if section == "lines":
                name = _line_name(document)
                name = name + "".join(f"/{code}" for code in term_codes(document)) if names[name] > 1 else name
            else:
                name = f"{section}/{place}"
            found.append(Item(len(found) + 1, name, section, document))
    return found


def item_document(item: Item) -> dict[str, Any]:
    """An item as JSON shows it; a correction says under `corrects` which section of the closed month it is about."""
    told = {("corrects" if name == "section" else name): value for name, value in item.document.items()}
    return {"number": item.number, "name": item.name, "section": item.section, **told}


def find_items(items: Sequence[Item], asked: str) -> list[Item]:
    """The items that a word means: one by its number, else all of that name."""
    if asked.isascii() and asked.isdigit():
        return [item for item in items if item.number == int(asked)]
    return [item for item in items if item.name == asked]


def term_codes(line: Mapping[str, Any]) -> list[str]:
    """The contract terms that a line's price was made with, a volume tier with the quantity that it begins above."""
    codes = []
    for term in line.get("terms") or ():
        above = term.get("above")
        codes.append(term["term_id"] if above is None else f"{term['term_id']}>{above}")
    return codes


def _line_name(line: Mapping[str, Any]) -> str:
    return "/".join((line["provider"], line["model"], line["unit"], line["price_id"] or line["price_status"]))
