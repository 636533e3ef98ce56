"""What a vendor takes off its list price, where a row tells both: the use at the list price, and the discount as a
credit of the same model and unit.

Together they are the row's amount. Whether our prices are the list's or the discounted ones, reconciliation finds out
(`billing.reconciliation.discounts`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from billing.invoices.lines import LineKind, VendorLine
from billing.money import exact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

OFF_THE_LIST = "off the list price: "
"""How the wording of such a credit begins."""


def at_list_price(line: VendorLine, list_amount: Decimal) -> Iterator[VendorLine]:
    """The line, where it is use at another price than the list's as two: at the list price, and what is taken off."""
    assert line.amount is not None
    if line.kind is not LineKind.USAGE or list_amount == line.amount:
        yield line
        return
    with exact():
        off = line.amount - list_amount
    yield replace(line, amount=list_amount)
    words = f"{OFF_THE_LIST}{line.text or line.model or ''}"[:512]
    yield replace(line, kind=LineKind.CREDIT, text=words, quantity=None, quantity_step=None, amount=off)
