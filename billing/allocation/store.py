"""Allocation rules in PostgreSQL: reading them, and adding to them in one transaction."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from billing.allocation.file import KnownNames, refuse_conflicts
from billing.allocation.rules import Rule, added_rows, tax_rules
from billing.invoices.vendors import BUILT_IN
from billing.money import plain
from billing.periods import month_in
from billing.tax import refuse_taxed_twice

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from billing.invoices.vendors import Vendor

RULES_LOCK = 0x6A620008
"""Advisory lock of imports: ids are given one after the other, without gaps."""


def read_rules(connection: Connection) -> list[Rule]:
    """All rows by id, also those that a later one replaced."""
    rows = connection.execute(
        text("""select id, rule, pool, pool_of, amount, currency, basis, basis_of, departments, shares, valid_from,
                       valid_to, source from allocation_rule order by id""")
    )
    return [
        Rule(**{
            **row._mapping,
            "departments": tuple(row.departments),
            "shares": tuple((code, Decimal(weight)) for code, weight in row.shares or ()),
        })
        for row in rows
    ]


def read_known_names(connection: Connection) -> KnownNames:
    """Vendors of the register and departments that use, the roster or the register of departments names."""
    vendors = set(connection.execute(text("select distinct vendor from vendor")).scalars()) | set(BUILT_IN)
    departments = connection.execute(
        text("""select department from payer where department is not null
                union select department from roster union select department from department""")
    ).scalars()
    return KnownNames(vendors, set(departments))


def add_rules(
    connection: Connection, new: Sequence[tuple[int, Rule]], *, name: str, sha256: str, actor: str
) -> list[Rule]:
    """Add what is new of a file's (line, rule), in the caller's transaction; the billing login. Returns those rows.

    Raises FileRefused where two rules share one pool, and TaxedTwice where a vendor's tax would be charged twice.
    """
    from billing.invoices.vendor_store import REGISTER_LOCK, read_register

    for lock in (RULES_LOCK, REGISTER_LOCK):
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": lock})
    known = read_rules(connection)
    first_id = max((row.id for row in known), default=0) + 1
    fresh = [replace(row, id=first_id + place) for place, row in enumerate(added_rows(known, [row for _, row in new]))]
    after = [*known, *fresh]
    refuse_conflicts(after, new, name)
    refuse_twice(after, read_register(connection))
    if fresh:
        connection.execute(
            text("""
            insert into allocation_rule (id, rule, pool, pool_of, amount, currency, basis, basis_of, departments,
                                         shares, valid_from, valid_to, source, file_name, sha256, actor)
            values (:id, :rule, :pool, :pool_of, :amount, :currency, :basis, :basis_of, :departments,
                    cast(:shares as jsonb), :valid_from, :valid_to, :source, :file_name, :sha256, :actor)"""),
            [_values(row) | {"file_name": name, "sha256": sha256, "actor": actor} for row in fresh],
        )
    return fresh


def refuse_twice(rules: Sequence[Rule], register: Iterable[Vendor]) -> None:
    """Refuse any month in which a vendor's tax is computed and its invoice's tax lines are shared. Raises TaxedTwice.

    Both hold over stretches of months, so that it is enough to look at the months in which one of them begins.
    """
    vendors = list(register)
    starts = {row.valid_from for row in rules if row.pool == "invoice_tax"}
    starts |= {f"{row.valid_from:%Y-%m}" for row in vendors if row.valid_from is not None}
    for month in sorted(starts):
        days = month_in(month, "UTC").days
        refuse_taxed_twice(
            (row for row in vendors if row.holds_within(days[0], days[-1])), tax_rules(rules, month), month
        )


def _values(row: Rule) -> dict[str, object]:
    shares = [[department, plain(weight)] for department, weight in row.shares]
    return {
        "id": row.id, "rule": row.rule, "pool": row.pool, "pool_of": row.pool_of, "amount": row.amount,
        "currency": row.currency, "basis": row.basis, "basis_of": row.basis_of, "departments": list(row.departments),
        "shares": json.dumps(shares) if shares else None, "valid_from": row.valid_from, "valid_to": row.valid_to,
        "source": row.source,
    }  # fmt: skip
