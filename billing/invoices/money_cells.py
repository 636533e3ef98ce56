"""Figures in the cells of cloud bills: exact decimals, quantities with their scale, one currency a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from billing.invoices.errors import InvoiceRefused
from billing.invoices.figures import decimals, figure
from billing.invoices.lines import VendorLine
from billing.invoices.token_meters import counted_as, scale_of
from billing.money import MONEY
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing.invoices.lines import CoveredDay
    from billing.invoices.source import SourceFile

_CURRENCY = re.compile(r"[A-Z]{3}")


def decimal_cell(source: SourceFile, place: str, field: str, value: str) -> Decimal:
    """The exact decimal that a cell writes. Raises InvoiceRefused where it writes none."""
    found = figure(value)
    if found is None:
        raise InvoiceRefused.at(
            source.name, place, field, value or None, "write a plain decimal such as 1234.56, without thousands commas"
        )
    return found


def quantity_in(
    source: SourceFile, place: str, fields: tuple[str, str], value: str, unit_text: str, unit: str
) -> tuple[Decimal, Decimal]:
    """(the quantity in our unit, how finely it is written). `fields`: the columns of quantity and unit.

    Raises InvoiceRefused for a unit whose scale is not known, or that counts something else than `unit` does.
    """
    factor = factor_of(source, place, fields[1], unit_text, unit)
    return scaled_cell(source, place, fields[0], value, factor)


def factor_of(source: SourceFile, place: str, field: str, unit_text: str, unit: str) -> Decimal:
    """How many of our unit one of theirs is. Raises InvoiceRefused as `quantity_in` does."""
    scale = scale_of(unit_text)
    if scale is None:
        raise InvoiceRefused.at(
            source.name, place, field, unit_text or None, "unknown unit; known are such as Tokens, 1M Tokens, 1K"
        )
    counts = counted_as(unit)
    if scale.noun not in {None, counts}:
        raise InvoiceRefused.at(
            source.name, place, field, unit_text, Sentence("the meter counts %(counts)s", counts=counts)
        )
    return scale.factor


def quantity_if_told(
    source: SourceFile, place: str, field: str, value: str, unit_text: str
) -> tuple[Decimal | None, Decimal | None]:
    """As `quantity_in`, for use whose wording is not understood: a unit that is not known tells no quantity."""
    scale = scale_of(unit_text)
    if scale is None or not value:
        return None, None
    return scaled_cell(source, place, field, value, scale.factor)


def scaled_cell(source: SourceFile, place: str, field: str, value: str, factor: Decimal) -> tuple[Decimal, Decimal]:
    """(a cell's quantity times `factor`, how finely it is written)."""
    written = decimal_cell(source, place, field, value)
    return MONEY.multiply(written, factor), step_of(factor, decimals(written))


@lru_cache(maxsize=1024)
def step_of(factor: Decimal, places: int) -> Decimal:
    """How fine a quantity of so many decimals is, times `factor`."""
    return MONEY.scaleb(factor, -places)


@dataclass
class OneCurrency:
    """The currency of a file: all its rows are in one."""

    source: SourceFile
    field: str
    known: str | None = None

    def of(self, place: str, value: str) -> str:
        """A row's currency in capitals. Raises InvoiceRefused for no currency, or another than the rows before."""
        if value == self.known:
            return value
        found = value.upper()
        if not _CURRENCY.fullmatch(found):
            raise InvoiceRefused.at(
                self.source.name, place, self.field, value or None, "a currency is three letters, as in USD"
            )
        if self.known is not None and found != self.known:
            raise InvoiceRefused.at(
                self.source.name,
                place,
                self.field,
                value,
                Sentence("the rows before are in %(known)s: one currency a file", known=self.known),
            )
        self.known = found
        return found


def in_one_currency(
    source: SourceFile, field: str, items: Iterator[VendorLine | CoveredDay]
) -> Iterator[VendorLine | CoveredDay]:
    """The items as they come. Raises InvoiceRefused at a line in another currency than those before."""
    currency = OneCurrency(source, field)
    for item in items:
        if isinstance(item, VendorLine) and item.currency is not None:
            currency.of(item.place, item.currency)
        yield item
