"""The ledger's months for verifying files: each read once, in one state of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from billing.statement_document import read_month

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from billing.policy import MoneyPolicy


class HeldMonths:
    """What `billing.outputs.verifying` compares with. The connection is a snapshot."""

    def __init__(self, connection: Connection, policy: MoneyPolicy) -> None:
        self._connection = connection
        self._policy = policy
        self._known: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}

    def month(self, month: str) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
        """The organisation's statement and those of all departments."""
        if month not in self._known:
            self._known[month] = read_month(self._connection, month, self._policy)
        return self._known[month]
