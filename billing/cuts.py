"""Which hours sums may not cross: where a price of a model in use changes, or a rate of exchange does.

Sums are cut no finer than money needs. A price that changes at noon for a model that nobody uses cuts nothing, and a
weekend with Friday's rate is one stretch. So nearly every day can be taken whole from the rolled sums
(`billing.parts`), and a month comes back in fewer sums. With volume tiers each day stays apart: tiers cut quantities
one by one (`billing.terms.tiers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from billing.fx_policy import Conversion
    from billing.periods import Month
    from billing.prices import PriceBook

Model = tuple[str, str]
"""(provider, model)."""


class Used(NamedTuple):
    """What was ever used: models, each in which ways (service tier, region), and by whom they are billed (provider,
    account)."""

    models: Mapping[Model, frozenset[tuple[str, str | None]]]
    billers: frozenset[tuple[str, str | None]]


def read_used(connection: Connection) -> Used:
    """Every model and biller of the routes, which are never deleted."""
    rows = connection.execute(
        text("select distinct provider, model, account, service_tier, region from route")
    ).all()
    models: dict[Model, set[tuple[str, str | None]]] = {}
    for provider, model, _, tier, region in rows:
        models.setdefault((provider, model), set()).add((tier, region))
    ways = {model: frozenset(found) for model, found in models.items()}
    return Used(ways, frozenset((row[0], row[2]) for row in rows))


Asked = tuple["PriceBook", Mapping[Model, Model]]
"""A price book, and the models that it is asked for in the stead of others."""


def money_cuts(books: Iterable[Asked], used: Used, conversion: Conversion) -> list[int]:
    """The UTC hours within the conversion's month that no sum may cross."""
    edges = conversion.cuts()
    currencies: set[str] = set()
    has_tiers = False
    for book, instead in books:
        edges |= price_edges(book, instead, used, conversion.month)
        currencies |= {term.row.currency for term in book.terms}
        has_tiers = has_tiers or (book.contract is not None and book.contract.has_tiers)
    if has_tiers:
        return sorted(edges | set(conversion.month.day_hours))
    return sorted(edges | rate_cuts(used, conversion, currencies - {conversion.policy.currency}))


def price_edges(book: PriceBook, instead: Mapping[Model, Model], used: Used, month: Month) -> set[int]:
    """The UTC hours within a month at which some price of what is in use changes, or some contract term."""
    edges = set(price_changes(book, instead, used, month.first_hour, month.end_hour))
    if book.contract is not None:
        edges |= {hour for hour in book.contract.edges() if month.first_hour < hour < month.end_hour}
    return edges


def models_at(books: Iterable[Asked], used: Used, conversion: Conversion) -> dict[int, frozenset[Model]]:
    """Hours of the conversion's month at which nothing changes but prices of these models: the day can be taken whole
    for all others. With volume tiers no day is: tiers cut quantities one by one."""
    found: dict[int, set[Model]] = {}
    others = conversion.cuts() | set(conversion.month.day_hours)
    for book, instead in books:
        if book.contract is not None:
            if book.contract.has_tiers:
                return {}
            others |= book.contract.edges()
        month = conversion.month
        for hour, models in price_changes(book, instead, used, month.first_hour, month.end_hour).items():
            found.setdefault(hour, set()).update(models)
    return {hour: frozenset(models) for hour, models in found.items() if hour not in others}


def slice_cuts(
    book: PriceBook, used: Used, first_hour: int, end_hour: int, others: Collection[int] = ()
) -> tuple[list[int], dict[int, frozenset[Model]]]:
    """The UTC hours that no sum of a stretch may cross, and those among them at which nothing changes but prices of
    these models: then a day can be taken whole for all others. `others`: what else cuts."""
    changes = price_changes(book, {}, used, first_hour, end_hour)
    contract = book.contract
    edges = {*others, *(set() if contract is None else contract.edges())}
    only = {hour: frozenset(models) for hour, models in changes.items() if hour not in edges}
    if contract is not None and contract.has_tiers:
        only = {}
    return sorted(hour for hour in {*edges, *changes} if first_hour < hour < end_hour), only


def price_changes(
    book: PriceBook, instead: Mapping[Model, Model], used: Used, first_hour: int, end_hour: int
) -> dict[int, set[Model]]:
    """By UTC hour strictly between two, the models in use of which some price begins or ends. A price of a tier or
    region that the model is not used in changes nothing."""
    found: dict[int, set[Model]] = {}
    for model, ways in used.models.items():
        for hour in book.price_cuts(first_hour, end_hour, instead.get(model, model), ways):
            found.setdefault(hour, set()).add(model)
    return found


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
