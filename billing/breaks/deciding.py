"""Deciding about breaks: all that were named or none, in the caller's transaction, one person after the other.

Of two who decide at once the second waits for the first (advisory lock), then sees its decision and is told. The
database refuses the same again by the place of each row, whoever wrote it (sql/migrations/0010.sql).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from billing.breaks.states import BECOMES, is_second, person_of, refusal
from billing.breaks.worklist import NoSuchBreak, Wanted, read_items
from billing.errors import BillingError, StateRefused
from billing.money import exact, plain
from billing.periods import month_in
from billing.sentences import Sentence
from billing.store import read_fx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.breaks.identity import BreakName
    from billing.breaks.states import Action, State
    from billing.breaks.worklist import BreakAt, Decision, Part, WorkItem

BREAKS_LOCK = 0x6A620010
"""Advisory lock of decisions."""
REASON_CHARACTERS_MAX = 2000
OWNER_CHARACTERS_MAX = 200
NAMED_MAX = 5


class DecisionRefused(StateRefused):
    """What was decided before stands against it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to do, to which breaks. Without names every fitting break that `wanted` takes is meant.

    `seen`: the place that each break's history had when the person looked; None: they look now.
    `limit` of `currency`: what one person may write off alone, of one vendor's month.
    """

    action: Action
    reason: str
    actor: str
    names: tuple[BreakName, ...] = ()
    wanted: Wanted = field(default_factory=Wanted)
    owner: str | None = None
    limit: Decimal = Decimal(0)
    currency: str = "KRW"
    seen: Mapping[BreakAt, int] | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """A break as it was and the row that was added. `action` is `propose` where a second person has to confirm."""

    item: WorkItem
    action: Action
    state: State
    amount: Decimal | None


def decide(connection: Connection, asked: Asked) -> list[Decided]:
    """Add one row for each break; the billing login. All or none.

    Raises DecisionRefused, NoSuchBreak, BillingError.
    """
    _check(asked)
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": BREAKS_LOCK})
    items = _meant(connection, asked)
    if asked.seen is not None:
        _refuse_moved(items, asked.seen)
    action = asked.action
    if action == "writeoff" and _is_above(connection, items, asked):
        action = "propose"
        if person_of(asked.actor) is None:
            raise DecisionRefused(
                Sentence(
                    "nothing was written off: it comes to more than %(limit)s, which needs two persons, "
                    "and %(actor)s may be anybody: sign with your own token (JANGBU_APPROVER_TOKEN)",
                    limit=f"{plain(asked.limit)} {asked.currency}", actor=asked.actor,
                )
            )
    refused = [(item, why) for item in items if (why := _refusal(item, action, asked.actor))]
    if refused:
        named = "; ".join(f"{item.name}: {why}{_who(item)}" for item, why in refused[:NAMED_MAX])
        more = f"; and {len(refused) - NAMED_MAX} more" if len(refused) > NAMED_MAX else ""
        raise DecisionRefused(f"nothing was changed: {named}{more}")
    return [_add(connection, item, action, asked) for item in items]


def _check(asked: Asked) -> None:
    if not asked.reason.strip() or len(asked.reason) > REASON_CHARACTERS_MAX:
        raise BillingError(
            Sentence(
                "the reason is %(reason)s: say why in at most %(most)s characters; it is kept",
                reason=repr(asked.reason[:40]), most=REASON_CHARACTERS_MAX,
            )
        )
    if asked.action == "assign" and not (asked.owner or "").strip():
        raise BillingError(Sentence("the owner is empty: name who works on it"))
    if len(asked.owner or "") > OWNER_CHARACTERS_MAX:
        raise BillingError(
            Sentence(
                "the owner has %(count)s characters: at most %(most)s",
                count=len(asked.owner or ""),
                most=OWNER_CHARACTERS_MAX,
            )
        )
    if not asked.names and asked.wanted.is_everything:
        raise BillingError("no break is named: name some, or say which by --month, --vendor, --class or --state")


def _meant(connection: Connection, asked: Asked) -> list[WorkItem]:
    """Those named; or of those that a filter takes the ones that the action fits and that are open."""
    items = read_items(connection, asked.wanted, asked.names)
    if not asked.names:
        first: Action = "propose" if asked.action == "writeoff" else asked.action
        items = [item for item in items if refusal(first, item.state, is_changed=bool(item.difference),
                                                   is_pending=item.proposed is not None) is None]  # fmt: skip
        if asked.action in ("accept", "dispute", "resolve", "writeoff") and asked.wanted.state is None:
            items = [item for item in items if item.is_open]
    if not items:
        raise NoSuchBreak("no break is meant by this: see `jangbu break list`")
    return items


def _refuse_moved(items: Sequence[WorkItem], seen: Mapping[BreakAt, int]) -> None:
    """What was shown is what is decided about."""
    moved = [item for item in items if seen.get(item.at) != item.place]
    if moved or len(items) != len(seen):
        named = "; ".join(f"{item.name}{_who(item)}" for item in moved[:NAMED_MAX]) or "the list is another one"
        raise DecisionRefused(
            Sentence("nothing was changed: meanwhile somebody else decided (%(who)s); look again", who=named.strip())
        )


def _refusal(item: WorkItem, action: Action, actor: str) -> str | None:
    is_changed = item.state != "open" and bool(item.difference)
    why = refusal(action, item.state, is_changed=is_changed, is_pending=item.proposed is not None)
    if why is not None or action != "confirm":
        return why
    if item.proposed != item.amount:
        return f"{plain(item.proposed or Decimal(0))} was proposed, and it comes to {plain(item.amount)} now: reopen it"
    proposal = _proposal(item)
    if not is_second(proposal.actor, actor):
        return f"{proposal.actor} proposed it, and {actor} is not for certain another person"
    return None


def _who(item: WorkItem) -> str:
    """By whom it was decided, when and why."""
    last = item.decided
    return "" if last is None else f" ({last.actor}, {last.decided_at:%Y-%m-%d %H:%M:%S %Z}: {last.reason})"


def _proposal(item: WorkItem) -> Decision:
    return next(row for row in reversed(item.history) if row.action == "propose")


def _is_above(connection: Connection, items: Sequence[WorkItem], asked: Asked) -> bool:
    """Whether this and what was written off by one person alone before, of a vendor's month, exceeds the limit. An
    amount without a rate is of unknown size, so above it."""
    totals: dict[tuple[str, str], Decimal] = {}
    fx = read_fx(connection)
    alone = connection.execute(
        text("""select vendor, month, currency, sum(abs(amount)) as amount from break_standing s
                where state = 'written_off' and not exists (
                  select from break_decision d
                  where (d.vendor, d.month, d.currency, d.fingerprint) = (s.vendor, s.month, s.currency, s.fingerprint)
                    and d.action = 'confirm' and d.amount = s.amount)
                group by vendor, month, currency""")
    )
    amounts = [(row.vendor, row.month, row.currency, row.amount) for row in alone]
    wanted = {(item.vendor, item.month) for item in items}
    amounts += [(item.vendor, item.month, item.currency, abs(item.amount)) for item in items]
    for vendor, month, currency, amount in amounts:
        if (vendor, month) not in wanted:
            continue
        rate = Decimal(1)
        if currency != asked.currency:
            row = fx.on(month_in(month, "UTC").days[-1], currency, asked.currency)
            if row is None:
                return True
            rate = row.rate
        with exact():
            totals[vendor, month] = totals.get((vendor, month), Decimal(0)) + amount * rate
    return any(total > asked.limit for total in totals.values())


def _add(connection: Connection, item: WorkItem, action: Action, asked: Asked) -> Decided:
    """One row after the last one of a break's history."""
    standing = item.standing
    state: State = BECOMES.get(action, item.state)
    amount: Decimal | None
    parts: tuple[Part, ...]
    if action in BECOMES:
        amount, parts = (None, ()) if state == "open" else (item.amount, item.parts)
    else:
        amount, parts = (None, ()) if standing is None else (standing.amount, standing.parts)
    proposed = item.amount if action == "propose" else item.proposed if action in ("assign", "comment") else None
    connection.execute(
        text("""insert into break_decision (vendor, month, currency, fingerprint, class, key, place, action, state,
                                            amount, parts, proposed, owner, confirms, reason, actor)
                values (:vendor, :month, :currency, :fingerprint, :class, cast(:key as jsonb), :place, :action, :state,
                        cast(:amount as numeric), cast(:parts as jsonb), cast(:proposed as numeric), :owner, :confirms,
                        :reason, :actor)"""),
        {
            **dict(zip(("vendor", "month", "currency", "fingerprint"), item.at, strict=True)),
            "class": item.cls, "key": json.dumps(dict(item.key)), "place": item.place + 1, "action": action,
            "state": state, "amount": amount, "parts": None if amount is None else _parts_text(parts),
            "proposed": proposed, "owner": asked.owner.strip() if asked.owner else item.owner,
            "confirms": _proposal(item).id if action == "confirm" else None,
            "reason": asked.reason.strip(), "actor": asked.actor,
        },
    )  # fmt: skip
    return Decided(item, action, state, amount)


def _parts_text(parts: Sequence[Part]) -> str:
    documents: list[dict[str, Any]] = [{"day": part.day.isoformat(), "amount": plain(part.amount)} for part in parts]
    return json.dumps(documents)
