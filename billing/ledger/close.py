"""Closing a month: one snapshot, one transaction, one at a time.

Steps, and what a failure at each means:

1. Wait for another close to end (an advisory lock of the session; it goes with the connection of who is killed). Roll
   the sums up, in a transaction of its own, while workers go on: it changes no sum, only how fast they are read.
2. Hold the workers; take copies out of the sums; begin the transaction that closes, whose snapshot is then of a state
   without copies; let the workers go on. Killed here: nothing is booked, at most copies are out, as `audit` does it.
3. In that snapshot: rate the month, find the corrections of closed ones, go through the checklist. The offsets read in
   it are the cut-offs: exactly the events below them are in the sums.
4. Insert entries, statements, states, and last the row that closes the month. The database checks balance and order at
   the commit. Killed anywhere before it: nothing has happened. After it: the month is closed, whole.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, text

from billing.errors import BillingError, StateRefused
from billing.ledger.checklist import ACCEPTABLE, Check, accrued_providers, blockers, make_checklist
from billing.ledger.closes import is_closed, month_after, months_between, read_closes, read_cut_offs
from billing.ledger.corrections import closed_months
from billing.ledger.entries import Entry, make_entries
from billing.ledger.from_events import rebuild_sums
from billing.ledger.marks import read_inputs, read_seen
from billing.ledger.store import insert_close, insert_entries, insert_statements
from billing.parts import roll_up
from billing.periods import month_in
from billing.sentences import Sentence
from billing.statement_document import canonical, organisation_document, statement_document
from billing.statements import MonthStatements, compute_month

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from billing.ledger.closes import Close, CutOff
    from billing.periods import Month
    from billing.policy import MoneyPolicy

CLOSE_LOCK = 0x6A620005
"""Advisory lock of closes."""


class MonthClosed(StateRefused):
    """The month is closed already."""


class MonthBlocked(StateRefused):
    """Something stands against the close; `checks` says what."""

    def __init__(self, month: str, checks: Sequence[Check]) -> None:
        self.checks = tuple(checks)
        lines = [f"{month} cannot be closed:"]
        lines += [f"  {check.name}: {check.sentence}{'; ' if check.remedy else ''}{check.remedy}" for check in checks]
        named = [check.name for check in checks if check.name in ACCEPTABLE]
        if len(named) == len(checks):
            lines.append(f"  to close all the same: {' '.join(f'--accept {name}' for name in named)}")
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Draft:
    """A month as it would be closed."""

    computed: MonthStatements
    organisation: dict[str, Any]
    documents: tuple[dict[str, Any], ...]
    entries: tuple[Entry, ...]
    checks: tuple[Check, ...]
    cut_offs: tuple[CutOff, ...]
    computed_from: str
    copies_taken_out: int = 0

    def document(self) -> dict[str, Any]:
        """What `period close` prints."""
        return {
            "month": self.computed.month.name,
            "currency": self.computed.policy.currency,
            "total": self.organisation["total"],
            "content_hash": self.organisation["content_hash"],
            "computed_from": self.computed_from,
            "checklist": [check.document() for check in self.checks],
            "entries": [entry.document() for entry in self.entries],
            "statements": list(self.documents),
            "organisation": self.organisation,
            "cut_offs": [one._asdict() for one in self.cut_offs],
            "copies_taken_out": self.copies_taken_out,
        }


def nothing_outside(_connection: Connection, _computed: MonthStatements) -> Iterable[Check]:
    """Where billing alone decides: nothing beside what it sees."""
    return ()


def no_observer(_point: str) -> None:
    """Production looks away; tests act at the points named in `close_month`."""


def parse_accepted(words: Iterable[str]) -> tuple[str, ...]:
    """The names of `--accept`, each once, in order; several may stand in one word. Raises BillingError."""
    names = [name.strip().replace("_", "-") for word in words for name in word.split(",") if name.strip()]
    for name in names:
        if name not in ACCEPTABLE:
            raise BillingError(
                Sentence("--accept names %(name)s: use any of %(known)s", name=repr(name), known=", ".join(ACCEPTABLE))
            )
    return tuple(dict.fromkeys(sorted(names)))


def close_month(
    engine: Engine,
    month: str,
    policy: MoneyPolicy,
    *,
    now: datetime,
    actor: str,
    accept: Sequence[str] = (),
    outside: Callable[[Connection, MonthStatements], Iterable[Check]] = nothing_outside,
    from_events: bool = False,
    until: Sequence[CutOff] | None = None,
    observe: Callable[[str], None] = no_observer,
) -> Draft:
    """Close a month; `engine` is billing's. Returns what was booked.

    `from_events`: from sums rebuilt from events; `until`: from events below these offsets only, which become the
    month's cut-offs (a replay). Raises MonthClosed, MonthBlocked, BillingError.
    """
    month_in(month, policy.zone)
    with (
        _alone(engine),
        _rolled_up(engine, policy.zone),
        _snapshot_without_copies(engine, until is None, observe) as (connection, taken),
    ):
        draft = prepare(connection, month, policy, now=now, outside=outside, from_events=from_events, until=until)
        left = blockers(draft.checks, accept)
        if left:
            raise MonthBlocked(month, left)
        observe("before_booking")
        _book(connection, draft, actor, accept, is_replay=until is not None)
        observe("before_commit")
        connection.commit()
        observe("after_commit")
        return replace(draft, copies_taken_out=taken)


def preview(
    engine: Engine,
    month: str,
    policy: MoneyPolicy,
    *,
    now: datetime,
    outside: Callable[[Connection, MonthStatements], Iterable[Check]] = nothing_outside,
    from_events: bool = False,
    until: Sequence[CutOff] | None = None,
) -> Draft:
    """What a close would book now; nothing is written. `engine` is billing's. Raises MonthClosed."""
    month_in(month, policy.zone)
    with _repeatable(engine) as connection:
        taken = 0
        if until is None and _has_copies(connection):
            taken = int(connection.execute(text("select take_out_copies()")).scalar_one())  # taken back with the rest
        draft = prepare(connection, month, policy, now=now, outside=outside, from_events=from_events, until=until)
        connection.rollback()
    return replace(draft, copies_taken_out=taken)


def prepare(
    connection: Connection,
    month: str,
    policy: MoneyPolicy,
    *,
    now: datetime,
    outside: Callable[[Connection, MonthStatements], Iterable[Check]] = nothing_outside,
    from_events: bool = False,
    until: Sequence[CutOff] | None = None,
) -> Draft:
    """The month as it would be closed, in one snapshot. Raises MonthClosed."""
    if is_closed(connection, month):
        raise MonthClosed(
            Sentence(
                "%(month)s is closed; what comes later is booked in an open month (`jangbu period "
                "status`)",
                month=month,
            )
        )
    if from_events or until is not None:
        rebuild_sums(connection, month_in(month, policy.zone).end_hour, until)
    computed = compute_month(connection, month, policy)
    is_rebuilt = from_events or until is not None
    checks = make_checklist(connection, computed, now, outside(connection, computed), is_rebuilt=is_rebuilt)
    documents = tuple(statement_document(one, computed, "closed") for one in computed.statements)
    return Draft(
        computed,
        organisation_document(computed, documents, "closed"),
        documents,
        make_entries(computed, accrued_providers(connection, computed)),
        checks,
        tuple(until) if until is not None else read_cut_offs(connection),
        "events" if is_rebuilt else "sums",
    )


def _book(connection: Connection, draft: Draft, actor: str, accepted: Sequence[str], *, is_replay: bool) -> None:
    """Insert everything, the row that closes last."""
    computed = draft.computed
    name = computed.month.name
    insert_entries(connection, draft.entries, actor)
    kept = [(document, "department") for document in draft.documents] + [(draft.organisation, "organisation")]
    insert_statements(
        connection,
        (
            {"month": name, "kind": kind, "department": document["department"],
             "department_name": document["department_name"], "document": canonical(document),
             "content_hash": document["content_hash"], "total": document["total"]}
            for document, kind in kept
        ),
    )  # fmt: skip
    closes = read_closes(connection)
    # A replay has read further than it books: it looks at every closed month again.
    months = [] if is_replay else _months_seen(connection, closes, computed.month)
    insert_close(
        connection,
        computed.month,
        policy=computed.policy,
        last=closes[-1] if closes else None,
        cut_offs=draft.cut_offs,
        inputs=read_inputs(connection),
        seen={month.name: read_seen(connection, month) for month in months},
        accepted=[name for name in accepted if any(one.name == name and one.state == "block" for one in draft.checks)],
        computed_from=draft.computed_from,
        content_hash=draft.organisation["content_hash"],
        actor=actor,
    )


def _months_seen(connection: Connection, closes: Sequence[Close], month: Month) -> list[Month]:
    """The months that are closed after this close, those that it passes over included."""
    first = month_after(closes[-1].month.name) if closes else month.name
    closed = [one for one, _ in closed_months(connection, closes)]
    return closed + [month_in(name, month.zone) for name in months_between(first, month.name)]


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """One close at a time. The lock is the session's: it is given back when the connection ends, however it ends."""
    with engine.connect() as guard:
        guard.execute(text("select pg_advisory_lock(:key)"), {"key": CLOSE_LOCK})
        guard.commit()
        try:
            yield
        finally:
            guard.execute(text("select pg_advisory_unlock(:key)"), {"key": CLOSE_LOCK})
            guard.commit()


@contextmanager
def _rolled_up(engine: Engine, zone: str) -> Iterator[None]:
    """With the sums rolled up as far as they are written."""
    roll_up(engine, zone)
    yield


@contextmanager
def _repeatable(engine: Engine) -> Iterator[Connection]:
    """A transaction whose reads all see the state of its first one."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.execute(text("select 1"))
        yield connection


@contextmanager
def _snapshot_without_copies(
    engine: Engine, take_out: bool, observe: Callable[[str], None]
) -> Iterator[tuple[Connection, int]]:
    """The transaction that closes, and how many copies were taken out before it. Workers wait until it has begun."""
    with engine.connect() as hold:
        hold.execute(text("select hold_workers()"))
        taken = 0
        if take_out:
            with engine.begin() as connection:
                taken = int(connection.execute(text("select take_out_copies()")).scalar_one())
        observe("copies_out")
        with _repeatable(engine) as connection:
            hold.commit()
            yield connection, taken


def _has_copies(connection: Connection) -> bool:
    return bool(connection.execute(text("select exists (select from copied_events())")).scalar_one())
