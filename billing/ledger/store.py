"""Writing the ledger: entries with their lines, statements, states, and the row that closes a month. Inserts only."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from billing.ledger.closes import STATES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from billing.ledger.closes import Close, CutOff
    from billing.ledger.entries import Entry
    from billing.periods import Month
    from billing.policy import MoneyPolicy

LINE_COLUMNS = ("entry_id", "number", "account", "department", "amount", "currency", "section", "charge_key",
                "provider", "model", "unit", "price_id", "quantity", "amount_exact")  # fmt: skip
FIRST_CHAIN = "0" * 64
"""What stands for the chain hash before the first close."""


def insert_entries(connection: Connection, entries: Sequence[Entry], actor: str) -> None:
    """Add entries with their lines; the database checks that each balances when the transaction commits."""
    rows = [(entry, entry.content, entry.id) for entry in entries]
    lines = [
        {**line, "entry_id": entry_id, "charge_key": _json_or_none(line["charge_key"])}
        for entry, _, entry_id in rows
        for line in entry.line_documents
    ]
    if not rows:
        return
    connection.execute(
        text("""insert into ledger_entry (id, month, reason, origin_month, description, content, actor)
                values (:id, :month, :reason, :origin_month, :description, :content, :actor)"""),
        [
            {"id": entry_id, "month": entry.month, "reason": entry.reason, "origin_month": entry.origin_month,
             "description": entry.description, "content": content, "actor": actor}
            for entry, content, entry_id in rows
        ],
    )  # fmt: skip
    values = ", ".join(
        f"cast(:{name} as {'jsonb' if name == 'charge_key' else 'numeric'})"
        if name in ("charge_key", "amount", "quantity")
        else f":{name}"
        for name in LINE_COLUMNS
    )
    connection.execute(text(f"insert into ledger_line ({', '.join(LINE_COLUMNS)}) values ({values})"), lines)


def insert_statements(connection: Connection, statements: Iterable[Mapping[str, Any]]) -> None:
    """Add statements: month, kind, department, department_name, document (canonical text), content_hash, total."""
    connection.execute(
        text("""insert into statement (month, kind, department, department_name, document, content_hash, total)
                values (:month, :kind, :department, :department_name, :document, :content_hash,
                        cast(:total as numeric))"""),
        list(statements),
    )


def insert_close(
    connection: Connection,
    month: Month,
    *,
    policy: MoneyPolicy,
    last: Close | None,
    cut_offs: Sequence[CutOff],
    inputs: Mapping[str, int],
    seen: Mapping[str, Mapping[str, int]],
    accepted: Sequence[str],
    computed_from: str,
    content_hash: str,
    actor: str,
) -> None:
    """Pass a month through its states and close it. Last in its transaction: nothing can be booked into it after."""
    known = set(
        connection.execute(text("select state from period_state where month = :month"), {"month": month.name}).scalars()
    )
    for place, state in enumerate(STATES, 1):
        if state not in known:
            connection.execute(
                text("""insert into period_state (month, place, state, actor)
                        values (:month, :place, :state, :actor)"""),
                {"month": month.name, "place": place, "state": state, "actor": actor},
            )
    connection.execute(
        text("""insert into period_close (month, number, first_hour, end_hour, policy, cut_offs, inputs, seen, accepted,
                                          computed_from, content_hash, chain_hash, actor)
                values (:month, :number, :first_hour, :end_hour, cast(:policy as jsonb), cast(:cut_offs as jsonb),
                        cast(:inputs as jsonb), cast(:seen as jsonb), cast(:accepted as jsonb), :computed_from,
                        :content_hash, :chain_hash, :actor)"""),
        {
            "month": month.name,
            "number": 1 if last is None else last.number + 1,
            "first_hour": month.first_hour,
            "end_hour": month.end_hour,
            "policy": json.dumps(policy.document()),
            "cut_offs": json.dumps([one._asdict() for one in cut_offs]),
            "inputs": json.dumps(dict(inputs)),
            "seen": json.dumps({name: dict(counts) for name, counts in seen.items()}),
            "accepted": json.dumps(list(accepted)),
            "computed_from": computed_from,
            "content_hash": content_hash,
            "chain_hash": chain_hash(FIRST_CHAIN if last is None else last.chain_hash, month.name, content_hash),
            "actor": actor,
        },
    )


def chain_hash(before: str, month: str, content_hash: str) -> str:
    """The hash by which a close vouches for every close before it."""
    return hashlib.sha256(f"{before}:{month}:{content_hash}".encode()).hexdigest()


def _json_or_none(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)
