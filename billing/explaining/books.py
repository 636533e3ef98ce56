"""The books of a month as explaining needs them: every statement, the policy and the prices that made them.

An open month's statements are computed when read. A closed month's are those that were stored; its policy and prices
are those of its close, so that a later setting or price row explains nothing away.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from billing.errors import BillingError
from billing.explaining.items import Item, items_of
from billing.periods import Month, month_in
from billing.prices import PriceBook
from billing.statement_document import read_documents
from billing.store import read_book, read_price_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

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

    @classmethod
    def read(cls, connection: Connection, month: str, policy: MoneyPolicy) -> MonthBooks:
        """Raises BillingError for a bad month."""
        when = month_in(month, policy.zone)
        return cls(connection, when, policy, read_documents(connection, month, policy))

    @cached_property
    def rows(self) -> list[PriceRow]:
        """All price rows that may have priced the month, superseded ones included."""
        return read_price_rows(self.connection)

    @cached_property
    def book(self) -> PriceBook:
        """The price book that rated the month."""
        return read_book(self.connection)

    @property
    def cut_offs(self) -> tuple[tuple[int, int, int], ...]:
        """(log, partition, next offset): how far the log had been read when the month was closed; empty while open."""
        return ()

    @property
    def is_closed(self) -> bool:
        """Whether the statements are stored ones."""
        return any(document["status"] == "closed" for document in self.documents)

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
