"""Every day from the first to the last that a file speaks about: one between them without a row is an answer too."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from billing.invoices.errors import InvoiceRefused
from billing.invoices.lines import CoveredDay
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from billing.invoices.source import SourceFile

DAYS_MAX = 400


def days_between(source: SourceFile, first: date, last: date, place: str) -> Iterator[CoveredDay]:
    """The days, both ends included. Raises InvoiceRefused for more than a year of them."""
    days = (last - first).days + 1
    if days > DAYS_MAX:
        raise InvoiceRefused(
            Sentence(
                "%(file)s speaks of %(days)s days, from %(first)s to %(last)s: export a "
                "billing period a file; nothing of this import was stored",
                file=source.name,
                days=days,
                first=first,
                last=last,
            )
        )
    for number in range(days):
        yield CoveredDay(first + timedelta(days=number), place)
