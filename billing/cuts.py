"""Which hours sums may not cross: where a price of a model in use changes, or a rate of exchange does.

Sums are cut no finer than money needs. A price that changes at noon for a model that nobody uses cuts nothing, and a
weekend with Friday's rate is one stretch. So nearly every day can be taken whole from the rolled sums
(`billing.parts`), and a month comes back in fewer sums. With volume tiers each day stays apart: tiers cut quantities
one by one (`billing.terms.tiers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from billing.fx_policy import Conversion
    from billing.prices import PriceBook

Model = tuple[str, str]
"""(provider, model)."""


class Used(NamedTuple):
    """What was ever used: models, and by whom they are billed (provider, account)."""

    models: frozenset[Model]
    billers: frozenset[tuple[str, str | None]]


def read_used(connection: Connection) -> Used:
    """Every model and biller of the routes, which are never deleted."""
    rows = connection.execute(text("select distinct provider, model, account from route")).all()
    return Used(frozenset((row[0], row[1]) for row in rows), frozenset((row[0], row[2]) for row in rows))


def money_cuts(books: Iterable[tuple[PriceBook, Iterable[Model]]], used: Used, conversion: Conversion) -> list[int]:
    """The UTC hours within the conversion's month that no sum may cross: for price books, each with the models that it
    is asked for."""
    month = conversion.month
    edges = conversion.cuts()
    currencies: set[str] = set()
    has_tiers = False
    for book, models in books:
        edges |= book.cuts(month.first_hour, month.end_hour, models)
        currencies |= {term.row.currency for term in book.terms}
        has_tiers = has_tiers or (book.contract is not None and book.contract.has_tiers)
    if has_tiers:
        return sorted(edges | set(month.day_hours))
    return sorted(edges | rate_cuts(used, conversion, currencies - {conversion.policy.currency}))


def rate_cuts(used: Used, conversion: Conversion, currencies: Iterable[str]) -> set[int]:
    """The hours at which a day begins, or a vendor's month or terms do, from where another rate of exchange holds than
    before, for any biller and currency."""
    asked = [(provider, account, currency) for provider, account in used.billers for currency in sorted(currencies)]
    found: set[int] = set()
    before: list[int | None] | None = None
    for hour in sorted({*conversion.month.day_hours, *conversion.cuts()}):
        rows = [conversion.for_use(provider, account, hour, currency)[1] for provider, account, currency in asked]
        now = [None if row is None else row.id for row in rows]
        if now != before:
            found.add(hour)
        before = now
    return found
