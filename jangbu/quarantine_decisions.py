"""What a person decides about records in quarantine: dismissed as not to be counted, or taken back from that.

The database applies a decision and keeps it (sql/migrations/0013.sql); here it is asked for, all entries or none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from sqlalchemy import text

from jangbu.errors import NotFoundError, RefusedByStateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

Decision = Literal["dismissed", "reopened"]
REASON_CHARACTERS_MAX = 2000
NAMED_MAX = 5
_TAKEN_FROM = {"dismissed": "open", "reopened": "dismissed"}


class Entry(NamedTuple):
    """One entry with its newest decision; the last four are None where nobody has decided."""

    id: int
    state: str
    code: str
    actor: str | None
    decided_at: str | None
    reason: str | None


def decide(
    connection: Connection, decision: Decision, ids: Sequence[int], code: str | None, reason: str, actor: str
) -> list[int]:
    """Record one decision for entries, named by number or all of one kind that it can apply to; their numbers.

    All or none: NotFoundError names numbers that do not exist, RefusedByStateError the entries in another state.
    """
    if bool(ids) == bool(code):
        raise UsageError("name records by their numbers, or all of one kind by --code: `jangbu quarantine list`")
    if not reason.strip() or len(reason) > REASON_CHARACTERS_MAX:
        raise UsageError(f"--reason {reason[:40]!r}: say why in at most {REASON_CHARACTERS_MAX} characters; it is kept")
    wanted = _TAKEN_FROM[decision]
    found = _lock(connection, ids, code, wanted)
    missing = sorted(set(ids) - {one.id for one in found})
    if missing or not found:
        named = ", ".join(map(str, missing)) or f"{wanted} ones with code {code!r}"
        raise NotFoundError(f"no quarantine entry {named}: see `jangbu quarantine list --state all`")
    others = [one for one in found if one.state != wanted]
    if others:
        raise RefusedByStateError(f"nothing was {decision}: {_states(others)}; only what is {wanted} can be {decision}")
    numbers = [one.id for one in found]
    connection.execute(
        text("""insert into quarantine_decision (quarantine_id, decision, reason, actor)
                select id, :decision, :reason, :actor from unnest(cast(:ids as bigint[])) id order by id"""),
        {"decision": decision, "reason": reason.strip(), "actor": actor, "ids": numbers},
    )
    return numbers


def why_not_sent(connection: Connection, ids: Sequence[int]) -> RefusedByStateError | NotFoundError:
    """Why entries that were asked for are not sent again: they do not exist, are decided, or have no bytes."""
    found = _lock(connection, ids, None, "open")
    missing = sorted(set(ids) - {one.id for one in found})
    if missing:
        named = ", ".join(map(str, missing))
        return NotFoundError(f"no open quarantine entry among {named}: see `jangbu quarantine list`")
    dismissed = [one.id for one in found if one.state == "dismissed"]
    remedy = f"; `jangbu quarantine reopen {dismissed[0]} --reason TEXT` comes first" if dismissed else ""
    return RefusedByStateError(f"nothing was sent again: {_states(found)}{remedy}")


def _lock(connection: Connection, ids: Sequence[int], code: str | None, state: str) -> list[Entry]:
    """The entries asked for: by number, and those of a kind in `state`. Nobody else decides about them meanwhile."""
    rows = connection.execute(
        text("""
        select q.id, q.state, q.code, d.actor, to_char(d.decided_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI"Z"'),
               d.reason
        from quarantine q
        left join lateral (select actor, decided_at, reason from quarantine_decision
                           where quarantine_id = q.id and q.state = 'dismissed' order by id desc limit 1) d on true
        where q.id = any(cast(:ids as bigint[])) or (q.code = :code and q.state = :state)
        order by q.id for update of q"""),
        {"ids": list(ids), "code": code, "state": state},
    )
    return [Entry(*row) for row in rows]


def _states(entries: Sequence[Entry]) -> str:
    """What stands against it, entry by entry."""
    named = "; ".join(_state(one) for one in entries[:NAMED_MAX])
    return named + (f"; and {len(entries) - NAMED_MAX} more" if len(entries) > NAMED_MAX else "")


def _state(entry: Entry) -> str:
    if entry.state == "dismissed":
        return f"{entry.id} was dismissed by {entry.actor} at {entry.decided_at}: {entry.reason}"
    if entry.state == "redriven":
        return f"{entry.id} has been sent again"
    if entry.code == "duplicate_other_time":
        return f"{entry.id} is a copy that was taken out: its event is in the ledger"
    return f"{entry.id} ({entry.code}) is {entry.state}"
