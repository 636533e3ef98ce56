"""Seeding: the list prices of the installed package go into the book, also when a newer list comes later.

A list that changes an undated price without saying since when would rewrite the past if it were taken at its word, and
taking the day on which somebody seeded would let the wall clock decide what is booked. So the person says it.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from billing.errors import BillingError
from billing.periods import hour_number
from billing.prices import PriceKey, PriceRow, in_force
from billing.seed import BASELINE, Seed, read_seed
from billing.store import add_prices, read_price_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from billing.price_file import PriceChanges

BASELINE_HOUR = hour_number(BASELINE)


def seed_prices(
    connection: Connection, actor: str, *, from_hour: int | None = None, seed: Seed | None = None
) -> tuple[Seed, PriceChanges]:
    """Add what the list says and the book does not, in the caller's transaction; the billing login.

    `from_hour` dates undated prices that differ from the book's. Raises BillingError where it is needed and missing.
    """
    seed = seed or read_seed()
    rows = dated(read_price_rows(connection), seed.rows, from_hour)
    found = add_prices(
        connection, rows, "list", name=seed.source, sha256=_digest(seed.rows), actor=actor, rules=seed.rules
    )
    return seed, found


def dated(book: Iterable[PriceRow], rows: Sequence[PriceRow], from_hour: int | None) -> list[PriceRow]:
    """The list's rows, changed undated prices moved to `from_hour`, those taken over like that before left out."""
    terms: dict[PriceKey, list[PriceRow]] = {}
    for term in in_force(book):
        if term.row.origin == "list":
            terms.setdefault(term.row.key, []).append(term.row)
    moved: list[PriceRow] = []
    undated: list[PriceRow] = []
    for row in rows:
        known = terms.get(row.key, [])
        baseline = next((one for one in known if one.from_hour == BASELINE_HOUR), None)
        if row.from_hour != BASELINE_HOUR or baseline is None or _price(baseline) == _price(row):
            moved.append(row)
        elif not any(_price(one) == _price(row) for one in known):
            undated.append(row)
    if undated and from_hour is None:
        names = sorted({f"{row.key.provider}/{row.key.model}" for row in undated})
        raise BillingError(
            f"{len(undated)} undated list prices differ from the book's ({', '.join(names[:5])}"
            f"{', ...' if len(names) > 5 else ''}): say since when with --from, for example "
            "--from 2026-10-01T00:00:00Z"
        )
    return moved + [replace(row, from_hour=from_hour) for row in undated if from_hour is not None]


def _price(row: PriceRow) -> tuple[object, ...]:
    return row.currency, row.price, row.per


def _digest(rows: Iterable[PriceRow]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr((*row.key, row.currency, str(row.price), row.per, row.from_hour, row.to_hour)).encode())
    return digest.hexdigest()
