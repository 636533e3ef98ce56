"""The work list: what the newest reconciliations found, with what was decided about it. Reads only.

A break of the list is all days of one fingerprint in a vendor's month. One that a decision knows and the newest run
does not find any more is there with amount 0: what was charged for it is then to be decided about again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, text

from billing.breaks.identity import BreakName, about, fingerprint, name_of
from billing.breaks.states import NO_WORK, State
from billing.errors import BillingError
from billing.money import exact
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

BreakAt = tuple[str, str, str, str]
"""(vendor, month, currency, fingerprint)."""


class Part(NamedTuple):
    """What a break comes to on one vendor day."""

    day: date
    amount: Decimal


class Side(NamedTuple):
    """One side's figures; None where it tells none."""

    quantity: Decimal | None
    amount: Decimal | None


class Found(NamedTuple):
    """A break of the newest run, on one day, as it stands there."""

    day: date
    amount: Decimal
    why: str
    ours: Side
    theirs: Side


@dataclass(frozen=True, slots=True)
class Decision:
    """One row of a break's history. `amount`: what the state stands for; `proposed`: what waits for a second person."""

    id: int
    place: int
    action: str
    state: State
    amount: Decimal | None
    parts: tuple[Part, ...]
    proposed: Decimal | None
    owner: str | None
    reason: str
    actor: str
    decided_at: datetime


class Earlier(NamedTuple):
    """What was decided about the same break in another month."""

    month: str
    state: State
    amount: Decimal | None
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One break of the list. Both sides are sums over days, None where a day tells none."""

    vendor: str
    month: str
    currency: str
    fingerprint: str
    cls: str
    key: Mapping[str, str]
    parts: tuple[Part, ...]
    provisional: bool
    tolerated: bool
    found: tuple[Found, ...]
    history: tuple[Decision, ...] = ()
    earlier: tuple[Earlier, ...] = field(default=())

    @property
    def at(self) -> BreakAt:
        return self.vendor, self.month, self.currency, self.fingerprint

    @property
    def name(self) -> str:
        return name_of(self.month, self.fingerprint)

    @property
    def amount(self) -> Decimal:
        """Vendor minus ours, as the newest run finds it."""
        with exact():
            return sum((part.amount for part in self.parts), Decimal(0))

    @property
    def ours(self) -> Side:
        return _added(one.ours for one in self.found)

    @property
    def theirs(self) -> Side:
        return _added(one.theirs for one in self.found)

    @property
    def standing(self) -> Decision | None:
        return self.history[-1] if self.history else None

    @property
    def decided(self) -> Decision | None:
        """The row that brought the state: the last that is more than a word about it."""
        rows = (row for row in reversed(self.history) if row.action not in ("assign", "comment"))
        return next(rows, None)

    @property
    def state(self) -> State:
        return "open" if self.standing is None else self.standing.state

    @property
    def place(self) -> int:
        """How many rows its history has; a decision is about one such state."""
        return 0 if self.standing is None else self.standing.place

    @property
    def proposed(self) -> Decimal | None:
        return None if self.standing is None else self.standing.proposed

    @property
    def owner(self) -> str | None:
        return None if self.standing is None else self.standing.owner

    @property
    def difference(self) -> Decimal:
        """What no decision stands for: all of it while it is open."""
        stands = None if self.standing is None else self.standing.amount
        with exact():
            return self.amount - (stands or Decimal(0))

    @property
    def is_work(self) -> bool:
        """Whether somebody is asked about it: not for rounding, nor for what the policy tolerates on every day."""
        return self.cls not in NO_WORK and not self.tolerated

    @property
    def is_open(self) -> bool:
        """Whether somebody has to decide: nobody has, or about another amount."""
        return bool(self.difference) and (self.is_work or (self.cls not in NO_WORK and self.state != "open"))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which breaks; None: any. `state` `open` also takes decided breaks whose amount is another one now."""

    month: str | None = None
    vendor: str | None = None
    cls: str | None = None
    state: State | None = None
    owner: str | None = None

    @property
    def is_everything(self) -> bool:
        return self == Wanted()

    def takes(self, item: WorkItem) -> bool:
        """Whether a break is meant. What nobody works on is left out unless its class is named."""
        if self.cls is None and not item.is_work and not item.history:
            return False
        if self.cls is not None and item.cls != self.cls:
            return False
        if self.owner is not None and item.owner != self.owner:
            return False
        return self.state is None or (item.is_open if self.state == "open" else item.state == self.state)


def read_items(connection: Connection, wanted: Wanted, names: Iterable[BreakName] = ()) -> list[WorkItem]:
    """The breaks that are wanted, largest first within vendor and month; or those named.

    Raises NoSuchBreak for a name that nothing has, BillingError for one that several have.
    """
    asked = list(names)
    months = {name.month for name in asked} if asked else None if wanted.month is None else {wanted.month}
    items = _items(connection, None if months is None else sorted(months), wanted.vendor)
    if asked:
        return [_the_one(items, name) for name in dict.fromkeys(asked)]
    return sorted(
        (item for item in items if wanted.takes(item) and (item.parts or item.is_open or item.state != "open")),
        key=lambda item: (item.month, item.vendor, item.currency, -abs(item.amount), item.fingerprint),
    )


def read_all(connection: Connection, month: str, vendor: str) -> list[WorkItem]:
    """Every break of a vendor's month, those that are no work included."""
    return sorted(_items(connection, [month], vendor), key=lambda item: (item.currency, item.fingerprint))


def has_open_breaks(connection: Connection, vendor: str, month: str) -> bool:
    """Whether somebody has to decide about a vendor's month."""
    return any(item.is_open for item in read_all(connection, month, vendor))


class BreakCount(NamedTuple):
    """How many breaks of a vendor's month are undecided, how many disputed, how many were decided in any way."""

    vendor: str
    currency: str
    open: int
    disputed: int
    decided: int


def count_breaks(connection: Connection, month: str) -> list[BreakCount]:
    """The breaks of a month by vendor and currency; what is provisional or nobody works on is not open."""
    counts: dict[tuple[str, str], list[int]] = {}
    for item in read_items(connection, Wanted(month=month)):
        count = counts.setdefault((item.vendor, item.currency), [0, 0, 0])
        count[0] += item.is_open and not item.provisional
        count[1] += item.state == "disputed" and not item.is_open
        count[2] += item.state != "open" and not item.is_open
    return [BreakCount(*at, *count) for at, count in sorted(counts.items())]


class NoSuchBreak(BillingError):
    """No break has this name."""


def _the_one(items: Iterable[WorkItem], name: BreakName) -> WorkItem:
    found = [item for item in items if item.month == name.month and item.fingerprint.startswith(name.digits)]
    if not found:
        raise NoSuchBreak(f"there is no break {str(name)!r}: `jangbu break list --month {name.month}` names those")
    if len(found) > 1:
        raise BillingError(
            Sentence(
                "break %(name)s could be %(count)s of them: give more of its digits",
                name=repr(str(name)),
                count=len(found),
            )
        )
    return found[0]


@dataclass(slots=True)
class _Draft:
    cls: str
    key: Mapping[str, str]
    amounts: defaultdict[date, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    settled: bool = False
    beyond: bool = False
    """Whether a day of it is more than the policy tolerates."""
    found: list[Found] = field(default_factory=list)


def _items(connection: Connection, months: list[str] | None, vendor: str | None) -> list[WorkItem]:
    drafts = _found(connection, months, vendor)
    histories = _histories(connection, months, vendor)
    looked_at = _looked_at(connection) if histories.keys() - drafts.keys() else set()
    for at, (cls, key, rows) in histories.items():
        if at not in drafts:
            drafts[at] = _Draft(cls, key)
            if at[:2] not in looked_at:  # nothing was looked for, so nothing is gone: a replay without its runs
                drafts[at].amounts.update(rows[-1].parts)
    earlier = _earlier(connection, sorted({at[3] for at in drafts}))
    items = []
    for at, draft in drafts.items():
        _, _, history = histories.get(at, ("", {}, ()))
        others = tuple(one for one in earlier.get(at[3], ()) if one.month != at[1])
        items.append(WorkItem(
            *at, draft.cls, draft.key, tuple(Part(*one) for one in sorted(draft.amounts.items())),
            bool(draft.found) and not draft.settled, bool(draft.found) and not draft.beyond, tuple(draft.found),
            tuple(history), others,
        ))  # fmt: skip
    return items


def _found(connection: Connection, months: list[str] | None, vendor: str | None) -> dict[BreakAt, _Draft]:
    """What the newest run of each vendor, month and currency found, by break. A currency that the newest run of the
    month does not have any more (a bill that came again in another one) is gone with the imports it was in."""
    rows = connection.execute(
        text("""
        with newest as (select distinct on (vendor, month, currency) id, vendor, month, currency, end_day
                        from reconciliation r
                        where (cast(:months as text[]) is null or month = any(cast(:months as text[])))
                          and (cast(:vendor as text) is null or vendor = :vendor)
                          and last_import_id = (select max(last_import_id) from reconciliation l
                                                where l.vendor = r.vendor and l.month = r.month)
                        order by vendor, month, currency, id desc)
        select n.vendor, n.month, n.currency, b.class, b.amount, b.key, b.ours, b.vendor as theirs, b.why,
               b.provisional, coalesce(cast(to_jsonb(b) ->> 'tolerated' as boolean), false) as tolerated,
               coalesce(cast(b.key ->> 'day' as date), n.end_day - 1) as day
        from newest n join reconciliation_break b on b.reconciliation_id = n.id
        order by n.vendor, n.month, n.currency, b.place"""),
        {"months": months, "vendor": vendor},
    )
    drafts: dict[BreakAt, _Draft] = {}
    with exact():
        for row in rows:
            at = (row.vendor, row.month, row.currency, fingerprint(row.vendor, row.currency, row[3], row.key))
            draft = drafts.get(at)
            if draft is None:
                draft = drafts[at] = _Draft(row[3], about(row.key))
            draft.amounts[row.day] += row.amount
            draft.found.append(Found(row.day, row.amount, row.why, _side(row.ours), _side(row.theirs)))
            draft.settled |= not row.provisional
            draft.beyond |= not row.tolerated
    return drafts


def _looked_at(connection: Connection) -> set[tuple[str, str]]:
    """The (vendor, month) that a reconciliation is recorded of."""
    rows = connection.execute(text("select distinct vendor, month from reconciliation"))
    return {(row.vendor, row.month) for row in rows}


def _side(figures: Mapping[str, Any] | None) -> Side:
    """The figures of a stored break's side."""
    told = figures or {}
    values = (told.get(name) for name in ("quantity", "amount"))
    return Side(*(None if value is None else Decimal(value) for value in values))


def _added(sides: Iterable[Side]) -> Side:
    """The sum of both figures; None where one of them is not told, or there is none."""
    every = list(sides)
    return Side(_sum([side.quantity for side in every]), _sum([side.amount for side in every]))


def _sum(values: Sequence[Decimal | None]) -> Decimal | None:
    told = [value for value in values if value is not None]
    if not told or len(told) < len(values):
        return None
    with exact():
        return sum(told, Decimal(0))


def _histories(
    connection: Connection, months: list[str] | None, vendor: str | None
) -> dict[BreakAt, tuple[str, Mapping[str, str], list[Decision]]]:
    rows = connection.execute(
        text("""select vendor, month, currency, fingerprint, class, key, id, place, action, state, amount, parts,
                       proposed, owner, reason, actor, decided_at
                from break_decision
                where (cast(:months as text[]) is null or month = any(cast(:months as text[])))
                  and (cast(:vendor as text) is null or vendor = :vendor)
                order by vendor, month, currency, fingerprint, place"""),
        {"months": months, "vendor": vendor},
    )
    found: dict[BreakAt, tuple[str, Mapping[str, str], list[Decision]]] = {}
    for row in rows:
        at = (row.vendor, row.month, row.currency, row.fingerprint)
        parts = tuple(Part(date.fromisoformat(one["day"]), Decimal(one["amount"])) for one in row.parts or ())
        found.setdefault(at, (row[4], row.key, []))[2].append(
            Decision(row.id, row.place, row.action, row.state, row.amount, parts, row.proposed, row.owner, row.reason,
                     row.actor, row.decided_at)
        )  # fmt: skip
    return found


def _earlier(connection: Connection, fingerprints: list[str]) -> dict[str, list[Earlier]]:
    """What stands for the same fingerprints in any month, newest month first; only what was decided."""
    rows = connection.execute(
        text("""select fingerprint, month, state, amount, reason, actor from (
                  select distinct on (vendor, month, currency, fingerprint) *
                  from break_decision where fingerprint = any(:fingerprints) and action not in ('assign', 'comment')
                  order by vendor, month, currency, fingerprint, place desc) decided
                where state <> 'open' order by fingerprint, month desc"""),
        {"fingerprints": fingerprints},
    )
    found: dict[str, list[Earlier]] = {}
    for row in rows:
        found.setdefault(row.fingerprint, []).append(Earlier(row.month, row.state, row.amount, row.reason, row.actor))
    return found
