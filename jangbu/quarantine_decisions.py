"""What a person decides about records in quarantine: dismissed as not to be counted, or taken back from that.

The database applies a decision and keeps it (sql/migrations/0013.sql); here it is asked for, all entries or none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from sqlalchemy import text

from billing.sentences import Listed, Sentence
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
        sentence = Sentence("name records by their numbers, or all of one kind by --code: `jangbu quarantine list`")
        raise UsageError(sentence)
    if not reason.strip() or len(reason) > REASON_CHARACTERS_MAX:
        raise UsageError(
            Sentence(
                "--reason %(reason)s: say why in at most %(most)s characters; it is kept",
                reason=repr(reason[:40]),
                most=REASON_CHARACTERS_MAX,
            )
        )
    wanted = _TAKEN_FROM[decision]
    found = _lock(connection, ids, code, wanted)
    missing = sorted(set(ids) - {one.id for one in found})
    if missing or not found:
        named = ", ".join(map(str, missing)) or Sentence(
            "%(state)s ones with code %(code)s", state=Sentence(wanted), code=repr(code)
        )
        raise NotFoundError(
            Sentence("no quarantine entry %(named)s: see `jangbu quarantine list --state all`", named=named)
        )
    others = [one for one in found if one.state != wanted]
    if others:
        states = _states(others)
        raise RefusedByStateError(
            Sentence("nothing was dismissed: %(states)s; only what is open can be dismissed", states=states)
            if decision == "dismissed"
            else Sentence("nothing was reopened: %(states)s; only what is dismissed can be reopened", states=states)
        )
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
        return NotFoundError(
            Sentence("no open quarantine entry among %(named)s: see `jangbu quarantine list`", named=named)
        )
    dismissed = [one.id for one in found if one.state == "dismissed"]
    if not dismissed:
        return RefusedByStateError(Sentence("nothing was sent again: %(states)s", states=_states(found)))
    return RefusedByStateError(
        Sentence(
            "nothing was sent again: %(states)s; `jangbu quarantine reopen %(first)s --reason TEXT` comes first",
            states=_states(found),
            first=dismissed[0],
        )
    )


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


def _states(entries: Sequence[Entry]) -> Listed:
    """What stands against it, entry by entry."""
    named = [_state(one) for one in entries[:NAMED_MAX]]
    more = len(entries) - NAMED_MAX
    return Listed([*named, Sentence("and %(count)s more", count=more)] if more > 0 else named)


def _state(entry: Entry) -> Sentence:
    told = {"number": entry.id}
    if entry.state == "dismissed":
        return Sentence(
            "%(number)s was dismissed by %(actor)s at %(moment)s: %(reason)s", **told, actor=entry.actor,
            moment=entry.decided_at, reason=entry.reason,
        )  # fmt: skip
    if entry.state == "redriven":
        return Sentence("%(number)s has been sent again", **told)
    if entry.code == "duplicate_other_time":
        return Sentence("%(number)s is a copy that was taken out: its event is in the ledger", **told)
    return Sentence("%(number)s (%(code)s) is %(state)s", **told, code=entry.code, state=Sentence(entry.state))
