"""The steps of a walk and whether they agree. Pure; a document in, checks out."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from billing.money import exact, exact_text, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from billing.explaining.items import Item


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison of two figures that must be the same. `agrees` is None where it cannot be decided here."""

    step: str
    stated: str
    found: str
    agrees: bool | None
    why: str = ""

    def document(self) -> dict[str, Any]:
        """The check as JSON shows it."""
        return {"step": self.step, "stated": self.stated, "found": self.found, "agrees": self.agrees, "why": self.why}


def compare(step: str, stated: object, found: object, why: str = "") -> Check:
    """Two figures as text; they agree where the texts are the same. `why` is kept where they do not."""
    same = str(stated) == str(found)
    return Check(step, str(stated), str(found), same, "" if same else why)


def all_agree(checks: Iterable[Check]) -> bool:
    """Whether nothing disagrees."""
    return all(check.agrees is not False for check in checks)


def statement_checks(statement: Mapping[str, Any], items: Sequence[Item]) -> list[Check]:
    """Lines, charges and total of one statement against each other, booked and exact."""
    booked = [item.document["amount"] for item in items if item.document["amount"] is not None]
    exact_parts = [item.document["amount_exact"] for item in items if item.document["amount_exact"] is not None]
    taxes = [item.document["amount"] for item in items if item.section == "taxes"]
    with exact():
        return [
            compare(
                "lines, shares, corrections and taxes add up to the total",
                statement["total"],
                plain(sum((Decimal(amount) for amount in booked), Decimal(0))),
                "an amount on the statement is not the one that its total was made of",
            ),
            compare(
                "their exact amounts add up to the exact total",
                statement["total_exact"],
                exact_text(sum((Fraction(amount) for amount in exact_parts), Fraction(0))),
                "an exact amount on the statement is not the one that its total was made of",
            ),
            compare(
                "the taxes add up to the tax",
                statement["tax"],
                plain(sum((Decimal(amount) for amount in taxes), Decimal(0))),
                "a tax on the statement is not the one that its tax was made of",
            ),
        ]


def amount_steps(line: Mapping[str, Any], currency: str) -> list[dict[str, str | None]]:
    """A line's exact amount as products: one for each rate of exchange, or one without a rate."""
    if line["price"] is None:
        return []
    rates: Iterable[tuple[str, str | None, str | None]] = [
        (row["quantity"], row["rate"], row["date"]) for row in line["fx_rows"]
    ]
    if line["price_currency"] == currency:
        rates = [(line["quantity"], None, None)]
    steps = []
    for quantity, rate, date in rates:
        amount = Fraction(quantity) * Fraction(line["price"]) / Fraction(line["per"]) * Fraction(rate or "1")
        steps.append(
            {
                "quantity": quantity,
                "price": line["price"],
                "per": line["per"],
                "price_currency": line["price_currency"],
                "rate": rate,
                "rate_date": date,
                "exact": exact_text(amount),
            }
        )
    return steps


def amount_checks(line: Mapping[str, Any], steps: Sequence[Mapping[str, str | None]]) -> list[Check]:
    """A line's exact amount against its products, and its quantity against the quantities that rates convert."""
    if line["amount_exact"] is None or line["price"] is None:
        return []
    total = sum((Fraction(step["exact"] or "0") for step in steps), Fraction(0))
    quantity = sum(int(step["quantity"] or "0") for step in steps)
    return [
        compare("the products add up to the exact amount", line["amount_exact"], exact_text(total), "wrong product"),
        compare("they take the whole quantity", line["quantity"], quantity, "a rate converts another quantity"),
    ]
