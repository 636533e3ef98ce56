"""The documents of months that are not closed, kept from whoever computed them last (sql/migrations/0019.sql).

Computing a month takes seconds where there are many events, reading its documents milliseconds. They are kept beside a
mark of everything that they depend on, and are taken only by a reader whose own snapshot comes to the same mark: a
figure is never stale, only slow. The mark holds

- how many changes of inputs are visible: prices, rates, rules, registers, roster, terms, invoices, decisions, closes;
  the database notes each transaction that changes one (`watch_input`);
- which transactions' parts of usage were seen, of hours before the month's end (what comes for a later month changes
  nothing here). Events, their routes and payers come with parts;
- the organisation's choices, the month's hours, and the code (a digest of this package's files).

What was read while computing is held against what is watched (`unwatched`): where a table is read that nobody watches,
nothing is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from billing.periods import month_in
from billing.unchanged import has_newer_parts, read_seen, without_newer_parts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from billing.charges import Department
    from billing.periods import Month
    from billing.policy import MoneyPolicy
    from billing.unchanged import Seen

COMES_WITH_PARTS = frozenset({
    "usage_part", "usage_event", "route", "payer", "usage_roll", "usage_roll_person", "usage_roll_day",
    "usage_roll_mark", "stream_offset",
})  # fmt: skip
"""Tables of which nothing reaches a statement without a new part: events and what they name are stored in one
transaction with their parts, rolled sums are the parts, and offsets are compared with events."""
OUR_OWN = frozenset({"input_change", "open_month", "open_statement"})


class Mark(NamedTuple):
    """What a month's documents depend on, as one snapshot sees it; the last three say which transactions it sees."""

    depends_on: str
    cluster: int
    lowest: int
    next_number: int
    running: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OpenMonth:
    """A month's documents as computed, with their mark, and how many milliseconds that took."""

    month: str
    mark: Mark
    organisation: dict[str, Any]
    departments: list[dict[str, Any]]
    took_ms: int = 0


Keeper = Callable[[OpenMonth], object]
"""What takes a month that was computed anew, to keep it (`keep`, with an engine of billing's login)."""


def not_kept(_computed: OpenMonth) -> None:
    """Where nobody may write: what was computed is shown and let go."""


def read_mark(connection: Connection, month: Month, policy: MoneyPolicy) -> Mark | None:
    """The mark of a month in the connection's snapshot; None where it is no snapshot, has written, or reads other sums
    than the stored ones."""
    seen = read_seen(connection)
    return None if seen is None else _mark_of(seen, month, policy)


def _mark_of(seen: Seen, month: Month, policy: MoneyPolicy) -> Mark:
    content = {"code": code_digest(), "policy": policy.document(), "changes": seen.changes,
               "hours": [month.first_hour, month.end_hour, *month.day_hours]}  # fmt: skip
    depends_on = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
    return Mark(depends_on, *seen[1:])


def is_kept(connection: Connection, month: Month, mark: Mark) -> bool:
    """Whether the kept documents of a month are what its inputs come to in the connection's snapshot."""
    kept = connection.execute(
        text("""select lowest, next_number, running from open_month
                where month = :month and depends_on = :depends_on and cluster = :cluster"""),
        {"month": month.name, "depends_on": mark.depends_on, "cluster": mark.cluster},
    ).one_or_none()
    return kept is not None and not has_newer_parts(connection, month.end_hour, kept._asdict())


def read_kept_open(
    connection: Connection, month: Month, mark: Mark, department: Department | tuple[()] = ()
) -> list[tuple[str, dict[str, Any]]] | None:
    """The kept documents with their kinds: departments by code, the unattributed one last, the organisation's at the
    end; or that of one department, none where it has no use. None: compute."""
    return read_kept_documents(connection, month.name, department) if is_kept(connection, month, mark) else None


class Outrun(NamedTuple):
    """Of kept documents: the instant whose use they hold, and how many milliseconds it took to compute them."""

    as_of: datetime
    took_ms: int


def read_outrun(connection: Connection, month: Month, policy: MoneyPolicy) -> Outrun | None:
    """Of the kept documents of a month, where use has come since and nothing else has changed; else None."""
    mark = read_mark(connection, month, policy)
    if mark is None:
        return None
    row = connection.execute(
        text("""select computed_at - took_ms * interval '1 millisecond' as as_of, took_ms, lowest, next_number, running
                from open_month where month = :month and depends_on = :depends_on and cluster = :cluster"""),
        {"month": month.name, "depends_on": mark.depends_on, "cluster": mark.cluster},
    ).one_or_none()
    if row is None or not has_newer_parts(connection, month.end_hour, row._asdict()):
        return None
    return Outrun(row.as_of, row.took_ms)


def read_kept_documents(
    connection: Connection, month: str, department: Department | tuple[()] = ()
) -> list[tuple[str, dict[str, Any]]]:
    """The kept documents as `read_kept_open` gives them, whatever came since."""
    rows = connection.execute(
        text("""select kind, document from open_statement
                where month = :month and (:all or (kind = 'department' and department is not distinct from :department))
                order by kind, department collate "C" nulls last"""),
        {"month": month, "all": department == (), "department": None if department == () else department},
    )
    return [(row.kind, json.loads(row.document)) for row in rows]


def read_kept_totals(
    connection: Connection, months: Sequence[str], policy: MoneyPolicy, department: Department
) -> dict[str, str | None]:
    """What a department owes by its kept documents of months that are open; None where it has no use. Months whose kept
    documents do not hold in the connection's snapshot are left out."""
    seen = read_seen(connection)
    if seen is None or not months:
        return {}
    named = {name: month_in(name, policy.zone) for name in months}
    kept = connection.execute(
        text("""select month, lowest, next_number, running from open_month
                join unnest(cast(:months as text[]), cast(:depends_on as text[])) as wanted (month, depends_on)
                  using (month, depends_on)
                where cluster = :cluster"""),
        {"cluster": seen.cluster, "months": list(months),
         "depends_on": [_mark_of(seen, one, policy).depends_on for one in named.values()]},
    ).mappings().all()  # fmt: skip
    seen_until = {named[one["month"]].end_hour: dict(one) for one in kept}
    held = [seen_until[hour]["month"] for hour in without_newer_parts(connection, seen_until)]
    rows = connection.execute(
        text("""select month, total from open_statement
                where month = any(:held) and kind = 'department' and department is not distinct from :department"""),
        {"held": held, "department": department},
    )
    return dict.fromkeys(held) | {row.month: row.total for row in rows}


def read_locked(connection: Connection) -> frozenset[str]:
    """The tables that this transaction has read: a lock on each is held to its end."""
    rows = connection.execute(
        text("""select c.relname from pg_locks k join pg_class c on c.oid = k.relation
                where k.pid = pg_backend_pid() and k.locktype = 'relation'
                  and k.database = (select oid from pg_database where datname = current_database())
                  and c.relkind in ('r', 'p', 'm', 'f') and c.relnamespace <> 'pg_catalog'::regnamespace""")
    )
    return frozenset(row.relname for row in rows)


def unwatched(connection: Connection, tables: frozenset[str]) -> list[str]:
    """Those of the tables whose changes the mark does not hold."""
    watched = connection.execute(
        text("""select c.relname from pg_trigger t join pg_class c on c.oid = t.tgrelid
                join pg_proc p on p.oid = t.tgfoid where p.proname = 'note_input_change' and t.tgenabled <> 'D'""")
    ).scalars()
    return sorted(tables - set(watched) - COMES_WITH_PARTS - OUR_OWN)


def keep(engine: Engine, computed: OpenMonth) -> bool:
    """Keep a computed month; whether it is kept. `engine` is billing's; a login that may not write keeps nothing.

    Of two that come at once the one with the later snapshot stays.
    """
    try:
        with engine.begin() as connection:
            return _replace(connection, computed)
    except DBAPIError:
        return False  # A reader's login, a standby, a connection that went: everything was computed all the same.


@cache
def code_digest() -> str:
    """A digest of the files of this package: other code may come to other figures."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _replace(connection: Connection, computed: OpenMonth) -> bool:
    mark = computed.mark
    is_newer = connection.execute(
        text("""
        insert into open_month as m (month, depends_on, cluster, lowest, next_number, running, took_ms)
        values (:month, :depends_on, :cluster, :lowest, :next_number, :running, :took_ms)
        on conflict (month) do update
          set depends_on = excluded.depends_on, cluster = excluded.cluster, lowest = excluded.lowest,
              next_number = excluded.next_number, running = excluded.running, took_ms = excluded.took_ms,
              computed_at = now()
          where m.cluster <> excluded.cluster or m.next_number <= excluded.next_number
        returning true"""),
        {"month": computed.month, **mark._asdict(), "running": list(mark.running), "took_ms": computed.took_ms},
    ).scalar()
    if not is_newer:
        return False
    for table in ("open_statement", "open_month"):
        connection.execute(text(f"delete from {table} where month <= (select max(month) from period_close)"))
    connection.execute(text("delete from open_statement where month = :month"), {"month": computed.month})
    documents = [("department", one) for one in computed.departments] + [("organisation", computed.organisation)]
    connection.execute(
        text("insert into open_statement (month, kind, department, document) values (:month, :kind, :code, :text)"),
        [
            {"month": computed.month, "kind": kind, "code": one["department"],
             "text": json.dumps(one, ensure_ascii=False)}
            for kind, one in documents
        ],
    )  # fmt: skip
    return True
