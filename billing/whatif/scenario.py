"""What is supposed: other prices, another model, or seats. Names and files in, two pricings out; nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from billing.errors import BillingError
from billing.price_file import read_prices
from billing.prices import PriceBook, PriceRow
from billing.store import read_book, read_price_rows
from billing.whatif.compare import Model, Pricing

if TYPE_CHECKING:
    from sqlalchemy import Connection

SEATS = "seats"


class UnknownModel(BillingError):
    """A model that nobody used, or that no price row knows."""


def read_pricings(
    connection: Connection, files: Sequence[tuple[str, bytes]], swaps: Sequence[str]
) -> tuple[Pricing, Pricing]:
    """(as it is, as supposed). `files` are price files as (name, bytes), laid over the book in their order; `swaps` are
    written A=B. Raises BillingError for a file or a swap that cannot be."""
    now = read_book(connection)
    if not files and not swaps:
        return Pricing(now), Pricing(now)
    everything = read_price_rows(connection)
    used = {(row[0], row[1]) for row in connection.exec_driver_sql("select distinct provider, model from route")}
    supposed = lay_over(everything, [row for name, raw in files for row in read_prices(raw, name)])
    _refuse_new_thresholds(connection, supposed)
    book = PriceBook(supposed, now.rules, now.contract)
    instead: dict[Model, Model] = {}
    for swap in swaps:
        instead.update(read_swap(swap, used, book, {row.key.provider for row in supposed}))
    providers = {name for provider, _ in used for name in now.rules.providers_of(provider)}
    providers |= {name for provider, _ in instead.values() for name in now.rules.providers_of(provider)}
    kept = [row for row in supposed if row.key.provider.lower() in providers]
    return Pricing(now), Pricing(PriceBook(kept, now.rules, now.contract), instead)


def lay_over(rows: Sequence[PriceRow], new: Iterable[PriceRow]) -> list[PriceRow]:
    """The book with new rows as an import would add them: agreed, with ids after all others."""
    last = max((row.id for row in rows), default=0)
    added = (replace(row, id=last + place, origin="contract") for place, row in enumerate(new, 1))
    return [*rows, *added]


def read_swap(text: str, used: set[Model], book: PriceBook, providers: Iterable[str]) -> Mapping[Model, Model]:
    """`A=B` as what is used and what it would be: models, or provider/model where a name alone is not enough.

    Raises UnknownModel for a model that nobody used or no row prices, BillingError for a name that means several.
    """
    readings = [(text[:place], text[place + 1 :]) for place, sign in enumerate(text) if sign == "="]
    if not readings:
        raise BillingError(f"--model is {text!r}: write the model used, =, and the model instead of it")
    for old, new in readings:
        olds = sorted(one for one in used if old in (one[1], f"{one[0]}/{one[1]}"))
        if olds and new:
            return {one: _instead(one, new, book, providers) for one in olds}
    old = readings[0][0]
    raise UnknownModel(f"--model is {text!r}: nobody used {old!r}; see `jangbu usage --by provider,model`")


def _instead(old: Model, new: str, book: PriceBook, providers: Iterable[str]) -> Model:
    if book.knows(old[0], new):
        return old[0], new
    owners = sorted(provider for provider in set(providers) if book.knows(provider, new))
    if len(owners) == 1:
        return owners[0], new
    if owners:
        raise BillingError(f"--model has {new!r}, which {', '.join(owners)} have: write provider/model")
    for place, sign in enumerate(new):
        if sign == "/" and book.knows(new[:place], new[place + 1 :]):
            return new[:place], new[place + 1 :]
    raise UnknownModel(f"--model has {new!r}, which no price row knows: `jangbu price list` names what is priced")


def _refuse_new_thresholds(connection: Connection, rows: Iterable[PriceRow]) -> None:
    known = set(connection.exec_driver_sql("select tokens_above from prompt_threshold").scalars())
    new = sorted({row.key.prompt_above for row in rows if row.key.prompt_above} - known)
    if new:
        raise BillingError(
            f"the file prices prompts above {new[0]} tokens apart, and sums were not kept by that length: import it "
            "(`jangbu price import`), which cuts them, or leave prompt_above out"
        )
