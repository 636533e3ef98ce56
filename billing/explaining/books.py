"""The books of a month as explaining needs them: every statement, the policy and the prices that made them.

An open month's statements are computed when read. A closed month's are those that were kept; its policy, price rows,
model rules and contract terms are those of its close, so that a later setting or row explains nothing away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from billing.errors import BillingError
from billing.explaining.items import Item, items_of
from billing.kept_property import kept_property
from billing.ledger.closes import Close, read_closes
from billing.models import ModelRule, ModelRules
from billing.periods import Month, month_in
from billing.prices import PriceBook
from billing.statement_document import read_documents
from billing.store import read_book, read_price_rows
from billing.terms.book import TermBook
from billing.terms.store import read_terms_stored

if TYPE_CHECKING:
    from billing.charges import Department
    from billing.policy import MoneyPolicy
    from billing.prices import PriceRow


class NotOnStatement(BillingError):
    """A department or an item that the month's statements do not have."""


@dataclass
class MonthBooks:
    """A month for all departments; the connection is a snapshot that lives as long as this is asked."""

    connection: Connection
    month: Month
    policy: MoneyPolicy
    documents: Sequence[dict[str, Any]]
    close: Close | None
    book_now: PriceBook | None = None
    """The price book as it stands, where it was read already."""

    @classmethod
    def read(
        cls, connection: Connection, month: str, policy: MoneyPolicy, documents: Sequence[dict[str, Any]] | None = None
    ) -> MonthBooks:
        """`policy` holds for an open month. `documents`: the month's statements, where they were read already; of
        departments that are not explained they need no `lines`. Raises BillingError for a bad month."""
        when = month_in(month, policy.zone)
        close = next((one for one in read_closes(connection) if one.month.name == month), None)
        if documents is None:
            documents = read_documents(connection, month, policy)
        if close is None:
            return cls(connection, when, policy, documents, None)
        return cls(connection, close.month, close.policy, documents, close)

    @kept_property
    def rows(self) -> list[PriceRow]:
        """All price rows that may have priced the month, superseded ones included."""
        rows = read_price_rows(self.connection)
        if self.close is None:
            return rows
        last = self.connection.execute(
            text("select coalesce(max(id), 0) from price where import_id <= :import_id"),
            {"import_id": self.close.inputs["book_import"]},
        ).scalar_one()
        return [row for row in rows if row.id <= last]

    @kept_property
    def book(self) -> PriceBook:
        """The price book that rated the month. Ids of terms have no gaps, so their count at the close is the last."""
        if self.close is None:
            return self.book_now or read_book(self.connection)
        count = self.close.inputs["contract_term"]
        terms = [term for term in read_terms_stored(self.connection) if term.id <= count]
        rules = _rules_of(self.connection, self.close.inputs["book_import"])
        return PriceBook(self.rows, rules, TermBook(terms) if terms else None)

    @property
    def cut_offs(self) -> tuple[tuple[int, int, int], ...] | None:
        """(log, partition, next offset): how far the log had been read when the month was closed; None while open."""
        return None if self.close is None else self.close.cut_offs

    @property
    def is_closed(self) -> bool:
        """Whether the statements are kept ones."""
        return self.close is not None

    def statement(self, department: Department) -> dict[str, Any]:
        """A department's document. Raises NotOnStatement."""
        for document in self.documents:
            if document["department"] == department:
                return document
        name = "unattributed use" if department is None else f"department {department!r}"
        month = self.month.name
        raise NotOnStatement(f"{name} has no statement in {month}; `jangbu statement list {month}` lists others")

    def items(self, department: Department) -> list[Item]:
        """What stands on a department's statement."""
        return items_of(self.statement(department))


def _rules_of(connection: Connection, last_import: int) -> ModelRules:
    """The model rules as of an import: for each provider those of the newest import up to it that brought any."""
    rows = connection.execute(
        text("""
        select provider, place, match, to_provider, to_model from price_rule r
        where import_id = (select max(import_id) from price_rule n
                           where n.provider = r.provider and n.import_id <= :last)"""),
        {"last": last_import},
    )
    return ModelRules(ModelRule(*row) for row in rows)
