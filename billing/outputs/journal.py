"""A month as a balanced journal: what departments are charged, and what vendors are owed. Pure.

Debits are the departments' costs by creditor, as their statements book them; credits are taken from the other side: the
organisation's sums by creditor. Both sides must be the organisation's total, and each department's parts its
statement's total, or there is no journal (`Unbalanced`). A negative amount changes sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from billing.errors import StateRefused
from billing.money import exact, plain
from billing.outputs.vendor_names import is_tax
from billing.periods import month_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from billing.outputs.vendor_names import Creditor, Creditors

EXPENSE = {"lines": "expense:ai-usage", "allocated": "expense:shared", "adjustments": "expense:correction",
           "taxes": "expense:tax"}  # fmt: skip
PAYABLE = "payable"
CLEARING = "clearing"
"""The other side of what no vendor bills: shared costs of the organisation's own, corrections."""
UNATTRIBUTED = "unattributed"
GENERIC_COLUMNS = ("date", "account", "department", "debit", "credit", "text")
GENERIC_FIGURES = frozenset({"debit", "credit"})


class Unbalanced(StateRefused):
    """The month's figures do not add up, so no journal may leave the house."""


@dataclass(frozen=True, slots=True)
class Item:
    """A part of a department's statement that one creditor is owed; `creditor` None: nobody outside."""

    department: str
    section: str
    creditor: Creditor | None
    amount: Decimal


def items(documents: Sequence[Mapping[str, Any]], creditors: Creditors) -> list[Item]:
    """The booked amounts of all departments by section and creditor, zeros left out. Raises Unbalanced."""
    sums: dict[tuple[str, str, Creditor | None], Decimal] = {}
    with exact():
        for document in documents:
            code = document["department"] or UNATTRIBUTED
            within = Decimal(0)
            for section, creditor, amount in _parts(document, creditors):
                within += amount
                key = (code, section, creditor)
                sums[key] = sums.get(key, Decimal(0)) + amount
            if within != Decimal(document["total"]):
                raise Unbalanced(
                    f"the statement of {code!r} has parts of {plain(within)} and a total of {document['total']}: "
                    "run `jangbu audit` before anything is booked"
                )
    return [Item(*key, amount) for key, amount in sums.items() if amount]


def generic_journal(whole: Mapping[str, Any], found: Sequence[Item]) -> list[dict[str, str]]:
    """Rows of date, account, department, debit, credit, text; debits first. Raises Unbalanced."""
    day = month_in(whole["month"], whole["timezone"]).days[-1].isoformat()
    text = f"AI usage {whole['month']}"
    rows = [
        _entry(day, EXPENSE[item.section], item.department, item.amount, f"{text}, {_creditor(item)}") for item in found
    ]
    owed: dict[str, Decimal] = {}
    with exact():
        for item in found:
            account = CLEARING if item.creditor is None else f"{PAYABLE}:{item.creditor.vendor}"
            owed[account] = owed.get(account, Decimal(0)) + item.amount
        rows += [_entry(day, account, "", -amount, text) for account, amount in sorted(owed.items()) if amount]
    refuse_unbalanced(rows, whole["total"])
    return rows


def refuse_unbalanced(rows: Sequence[Mapping[str, str]], total: str) -> None:
    """Debits are credits, and expenses less what they give back the organisation's total. Raises Unbalanced."""
    with exact():
        debit = sum((Decimal(row["debit"] or 0) for row in rows), Decimal(0))
        credit = sum((Decimal(row["credit"] or 0) for row in rows), Decimal(0))
        expenses = [row for row in rows if row["account"].startswith("expense:")]
        spent = sum((Decimal(row["debit"] or 0) - Decimal(row["credit"] or 0) for row in expenses), Decimal(0))
    if debit != credit:
        raise Unbalanced(f"debits are {plain(debit)} and credits {plain(credit)}: nothing was written")
    if spent != Decimal(total):
        raise Unbalanced(f"expenses are {plain(spent)} and the organisation's total {total}: nothing was written")


def _parts(document: Mapping[str, Any], creditors: Creditors) -> Iterator[tuple[str, Creditor | None, Decimal]]:
    for line in document["lines"]:
        if line["amount"] is not None:
            yield "lines", creditors.of_provider(line["provider"]), Decimal(line["amount"])
    for section in ("allocated", "adjustments", "taxes"):
        for charge in document[section]:
            account = "taxes" if is_tax(section, charge) else section
            yield account, creditors.of_charge(charge), Decimal(charge["amount"])


def _entry(day: str, account: str, department: str, amount: Decimal, text: str) -> dict[str, str]:
    """A positive amount is a debit, a negative one a credit."""
    return {
        "date": day,
        "account": account,
        "department": department,
        "debit": plain(amount) if amount > 0 else "",
        "credit": plain(-amount) if amount < 0 else "",
        "text": text,
    }


def _creditor(item: Item) -> str:
    return "own" if item.creditor is None else item.creditor.name
