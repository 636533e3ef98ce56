"""What turns use into money at this moment, for whoever looks at quotas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.quotas.states import Prices
from billing.store import read_book, read_fx

if TYPE_CHECKING:
    from sqlalchemy import Connection


def read_prices(connection: Connection, zone: str) -> Prices:
    """Book and rates as of now."""
    return Prices(read_book(connection), read_fx(connection), zone)
