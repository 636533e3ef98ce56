"""Keeping what a page computed of an open month in the database, so that the next one reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from billing.open_months import keep
from jangbu.errors import JangbuError

if TYPE_CHECKING:
    from billing.open_months import Keeper, OpenMonth
    from jangbu.web.books import Books


def keeper_of(books: Books) -> Keeper:
    """Keeps what a page has computed of an open month, so that the next one reads it."""

    def keep_month(computed: OpenMonth) -> None:
        try:
            keep(books.engine("billing"), computed)
        except (DBAPIError, JangbuError):
            return  # It was computed all the same; who has no billing login keeps nothing.

    return keep_month
