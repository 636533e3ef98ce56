"""Which months are closed, and what held when they were.

Months close in order, so that every month up to the last closed one counts as closed, one that nobody used included.
What comes late for any of them is booked in the month after the last closed one (contract.md, section 9, Close).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, text

from billing.periods import Month, month_in
from billing.policy import MoneyPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

STATES = ("open", "grace", "reconciled", "closed")


class CutOff(NamedTuple):
    """How far a partition of a log had been read: offsets below `next_offset`."""

    log: int
    partition: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class Close:
    """One closed month as it stands in period_close."""

    month: Month
    number: int
    policy: MoneyPolicy
    cut_offs: tuple[CutOff, ...]
    inputs: Mapping[str, int]
    seen: Mapping[str, Mapping[str, int]]
    accepted: tuple[str, ...]
    content_hash: str
    chain_hash: str
    actor: str
    closed_at: datetime

    def document(self) -> dict[str, Any]:
        """What `period status` prints of a close."""
        return {
            "closed_at": self.closed_at,
            "actor": self.actor,
            "accepted": list(self.accepted),
            "content_hash": self.content_hash,
            "chain_hash": self.chain_hash,
            "cut_offs": [one._asdict() for one in self.cut_offs],
            "inputs": dict(self.inputs),
        }


def read_closes(connection: Connection) -> list[Close]:
    """Every close, in its order."""
    rows = connection.execute(
        text("""select month, number, policy, cut_offs, inputs, seen, accepted, content_hash, chain_hash, actor,
                       closed_at from period_close order by number""")
    )
    return [_close(row._asdict()) for row in rows]


def last_closed(connection: Connection) -> str | None:
    """The month closed last, or None."""
    name = connection.execute(text("select max(month) from period_close")).scalar()
    return None if name is None else str(name)


def is_closed(connection: Connection, month: str) -> bool:
    """Whether nothing can be booked into a month any more."""
    last = last_closed(connection)
    return last is not None and month <= last


def read_state(connection: Connection, month: str) -> str:
    """The state of a month: open until something else is recorded."""
    if is_closed(connection, month):
        return "closed"
    state = connection.execute(
        text("select state from period_state where month = :month order by place desc limit 1"), {"month": month}
    ).scalar()
    return "open" if state is None else str(state)


def month_after(name: str) -> str:
    """The calendar month that follows."""
    year, number = int(name[:4]), int(name[5:])
    return f"{year + number // 12:04d}-{number % 12 + 1:02d}"


def month_before(name: str) -> str:
    """The calendar month before."""
    year, number = int(name[:4]), int(name[5:])
    return f"{year - 1:04d}-12" if number == 1 else f"{year:04d}-{number - 1:02d}"


def months_between(first: str, last: str) -> list[str]:
    """Every month from the first to the last, both included; none where the first is later."""
    months = []
    while first <= last:
        months.append(first)
        first = month_after(first)
    return months


def policy_from(document: Mapping[str, Any]) -> MoneyPolicy:
    """The choices of a close. What did not exist yet when it was made has its default, which was the rule then."""
    return MoneyPolicy.from_document({**MoneyPolicy().document(), **document})


def read_cut_offs(connection: Connection) -> tuple[CutOff, ...]:
    """How far each partition has been read, in the state that the connection sees."""
    rows = connection.execute(text("select log_id, partition, next_offset from stream_offset order by 1, 2"))
    return tuple(CutOff(*row) for row in rows)


def _close(row: Mapping[str, Any]) -> Close:
    policy = policy_from(row["policy"])
    return Close(
        month_in(row["month"], policy.zone),
        row["number"],
        policy,
        tuple(CutOff(**one) for one in row["cut_offs"]),
        row["inputs"],
        row["seen"],
        tuple(row["accepted"]),
        row["content_hash"],
        row["chain_hash"],
        row["actor"],
        row["closed_at"],
    )


def as_cut_offs(rows: Sequence[Mapping[str, Any]]) -> tuple[CutOff, ...]:
    """Cut-offs as `period status --json` prints them, back into values. Raises KeyError, TypeError or ValueError."""
    return tuple(CutOff(int(row["log"]), int(row["partition"]), int(row["next_offset"])) for row in rows)
