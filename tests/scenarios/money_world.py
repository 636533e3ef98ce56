"""What the stories of money policies add to the house: vendors, rules of shared costs, lines of invoices."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import text

from billing.allocation.file import read_rules_file
from billing.allocation.store import add_rules, read_known_names
from billing.invoices.vendor_store import add_vendors
from billing.invoices.vendors import read_vendors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing.policy import MoneyPolicy
    from tests.scenarios.house import House

RULES = "rule,pool,amount,currency,basis,departments,shares,valid_from,valid_to,source\n"
VENDORS = (
    "vendor,creditor,providers,accounts,zone,currency,tax_mode,tax_rate,fx_policy,settle_days,valid_from,valid_to,"
    "tax_in_price,fx_day\n"
)


def import_vendors(house: House, *lines: str) -> None:
    """Rows of the vendor register, without the header."""
    with house.as_role("billing") as connection:
        add_vendors(connection, read_vendors((VENDORS + "\n".join(lines)).encode(), "vendors.csv"), "os:test")


def import_rules(house: House, *lines: str) -> None:
    """Rules of shared costs, without the header."""
    raw = (RULES + "\n".join(lines)).encode()
    with house.as_role("billing") as connection:
        rows = read_rules_file(raw, "rules.csv", read_known_names(connection))
        add_rules(connection, rows, name="rules.csv", sha256=hashlib.sha256(raw).hexdigest(), actor="os:test")


def put_invoice(house: House, vendor: str, *lines: tuple[str, str, str, str]) -> None:
    """An imported invoice: lines of (day, kind, amount, currency), whatever the vendor's format would be."""
    with house.as_role("billing") as connection:
        number = connection.execute(text("select count(*) + 1 from invoice_import")).scalar_one()
        sha256 = f"{number:064d}"
        connection.execute(text("insert into invoice_content values (:sha256, 1, '\\x00')"), {"sha256": sha256})
        connection.execute(
            text("""insert into invoice_import (id, delivery, vendor, format, kind, sha256, file_name, recognised_by,
                                                zone, lines, actor)
                    values (:id, :id, :vendor, 'test', 'cost', :sha256, 'test', 'test', 'UTC', :lines, 'os:test')"""),
            {"id": number, "vendor": vendor, "sha256": sha256, "lines": len(lines)},
        )
        connection.execute(
            text("insert into invoice_day (import_id, day) select distinct :id, unnest(cast(:days as date[]))"),
            {"id": number, "days": sorted({day for day, *_ in lines})},
        )
        for place, (day, kind, amount, currency) in enumerate(lines, 1):
            connection.execute(
                text("""insert into invoice_line (import_id, number, place, day, kind, item, amount, currency)
                        values (:id, :number, 'line', :day, :kind, :kind, cast(:amount as numeric), :currency)"""),
                {"id": number, "number": place, "day": day, "kind": kind, "amount": amount, "currency": currency},
            )


@contextmanager
def under(house: House, policy: MoneyPolicy) -> Iterator[None]:
    """The house under another policy."""
    before, house.policy = house.policy, policy
    try:
        yield
    finally:
        house.policy = before
