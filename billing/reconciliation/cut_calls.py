"""How many calls broke off (status `cut`), by vendor day, account and model: streams on which vendors count on."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from billing.sums import read_sums

if TYPE_CHECKING:
    from datetime import date

    from sqlalchemy import Connection

    from billing.invoices.vendors import Vendor
    from billing.periods import Month


def read_cut_calls(connection: Connection, vendor: Vendor, month: Month) -> dict[tuple[date, str | None, str], int]:
    """The calls of the vendor's providers that broke off; the connection is a snapshot."""
    starts = sorted(zip(month.day_hours, month.days, strict=True))
    hours = [hour for hour, _ in starts]
    found: dict[tuple[date, str | None, str], int] = {}
    for one in read_sums(connection, month.first_hour, month.end_hour, hours, ("account", "status")):
        account, status = one.dimensions
        if status != "cut" or one.provider.lower() not in vendor.providers:
            continue
        if vendor.accounts and account not in vendor.accounts:
            continue
        day = starts[bisect_right(hours, one.hour) - 1][1]
        key = (day, account if isinstance(account, str) else None, one.model.lower())
        found[key] = found.get(key, 0) + dict(one.quantities).get("requests", 0)
    return found
