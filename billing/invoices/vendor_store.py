"""The vendor register in PostgreSQL: rows are added, the last row of a vendor and valid_from counts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from billing.invoices.vendors import Vendor, with_new

if TYPE_CHECKING:
    from collections.abc import Sequence

REGISTER_LOCK = 0x6A620002


def read_register(connection: Connection) -> list[Vendor]:
    """The rows that count, by vendor and time."""
    rows = connection.execute(
        text("""
        select distinct on (vendor, valid_from)
               vendor, creditor, providers, accounts, zone, currency, tax_mode, tax_rate, fx_policy, settle_days,
               valid_from, valid_to, tax_in_price, fx_day, tolerance_amount, tolerance_share
        from vendor order by vendor, valid_from nulls first, id desc""")
    )
    return [
        Vendor(**{**row._mapping, "providers": tuple(row.providers), "accounts": tuple(row.accounts)}) for row in rows
    ]


def add_vendors(connection: Connection, new: Sequence[Vendor], actor: str) -> list[Vendor]:
    """Add what changes the register, in the caller's transaction; the billing login. Returns those rows.

    Raises VendorsRefused where rows overlap, and TaxedTwice where a vendor's tax would be charged twice.
    """
    from billing.allocation.store import RULES_LOCK, read_rules, refuse_twice

    for lock in (RULES_LOCK, REGISTER_LOCK):
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": lock})
    register, changed = with_new(read_register(connection), new)
    refuse_twice(read_rules(connection), register)
    if changed:
        connection.execute(
            text("""insert into vendor (vendor, creditor, providers, accounts, zone, currency, tax_mode, tax_rate,
                                        fx_policy, settle_days, valid_from, valid_to, tax_in_price, fx_day,
                                        tolerance_amount, tolerance_share, actor)
                    values (:vendor, :creditor, :providers, :accounts, :zone, :currency, :tax_mode, :tax_rate,
                            :fx_policy, :settle_days, :valid_from, :valid_to, :tax_in_price, :fx_day,
                            :tolerance_amount, :tolerance_share, :actor)"""),
            [
                {**asdict(row), "providers": list(row.providers), "accounts": list(row.accounts), "actor": actor}
                for row in changed
            ],
        )
    return changed
