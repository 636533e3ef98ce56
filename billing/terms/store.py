"""Contract terms in PostgreSQL: reading them, and adding to them in one transaction. Nothing here decides anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from billing.errors import BillingError
from billing.periods import hour_number, hour_start
from billing.terms.book import TERMS_MAX, TermBook
from billing.terms.file import TermChanges, changes
from billing.terms.term import ContractTerm, Tier

if TYPE_CHECKING:
    from collections.abc import Sequence

TERMS_LOCK = 0x6A620007
"""Advisory lock of imports: ids are given one after the other, without gaps."""


def read_terms_stored(connection: Connection) -> list[ContractTerm]:
    """All terms, also superseded ones, by id."""
    tiers: dict[int, list[Tier]] = {}
    rows = connection.execute(text("select term_id, above, percent, price, per from contract_tier order by 1, 2"))
    for term_id, *values in rows:
        tiers.setdefault(term_id, []).append(Tier(*values))
    return [
        ContractTerm(
            row.id, row.name, row.kind, row.provider, row.model, row.unit, row.origin, row.currency, row.percent,
            row.amount, tuple(tiers.get(row.id, ())), hour_number(row.valid_from),
            None if row.valid_to is None else hour_number(row.valid_to), row.source,
        )
        for row in connection.execute(
            text("""select id, name, kind, provider, model, unit, origin, currency, percent, amount, valid_from,
                           valid_to, source from contract_term order by id""")
        )
    ]  # fmt: skip


def read_term_book(connection: Connection) -> TermBook | None:
    """The terms, ready to be asked; None where there are none."""
    terms = read_terms_stored(connection)
    return TermBook(terms) if terms else None


def add_terms(
    connection: Connection, terms: Sequence[ContractTerm], *, name: str, sha256: str, actor: str
) -> TermChanges:
    """Add what is new in `terms`, in the caller's transaction; the billing login. Returns what changed."""
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": TERMS_LOCK})
    found = changes(read_terms_stored(connection), terms)
    if not found.new_terms:
        return found
    import_id = _next_id(connection, "contract_import")
    connection.execute(
        text("""insert into contract_import (id, name, sha256, terms_added, actor)
                values (:id, :name, :sha256, :terms_added, :actor)"""),
        {"id": import_id, "name": name, "sha256": sha256, "terms_added": len(found.new_terms), "actor": actor},
    )
    first_id = _next_id(connection, "contract_term")
    if first_id + len(found.new_terms) > TERMS_MAX:
        raise BillingError(f"{name} would make more than {TERMS_MAX} contract terms: bring fewer")
    for term_id, term in enumerate(found.new_terms, first_id):
        _add_term(connection, term, term_id, import_id)
    return found


def _add_term(connection: Connection, term: ContractTerm, term_id: int, import_id: int) -> None:
    connection.execute(
        text("""
        insert into contract_term (id, import_id, name, kind, provider, model, unit, origin, currency, percent, amount,
                                   valid_from, valid_to, source)
        values (:id, :import_id, :name, :kind, :provider, :model, :unit, :origin, :currency, :percent, :amount,
                :valid_from, :valid_to, :source)"""),
        {
            "id": term_id,
            "import_id": import_id,
            "valid_from": hour_start(term.from_hour),
            "valid_to": None if term.to_hour is None else hour_start(term.to_hour),
            **{
                column: getattr(term, column)
                for column in (
                    "name", "kind", "provider", "model", "unit", "origin", "currency", "percent", "amount", "source",
                )
            },
        },
    )  # fmt: skip
    if term.tiers:
        connection.execute(
            text("""insert into contract_tier (term_id, above, percent, price, per)
                    values (:term_id, :above, :percent, :price, :per)"""),
            [
                {
                    "term_id": term_id,
                    "above": tier.above,
                    "percent": tier.percent,
                    "price": tier.price,
                    "per": tier.per,
                }
                for tier in term.tiers
            ],
        )


def _next_id(connection: Connection, table: str) -> int:
    return int(connection.execute(text(f"select coalesce(max(id), 0) + 1 from {table}")).scalar_one())
