"""Flagged events of a month, counted from the ledger: an event that has left it has left the counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from billing.flags.hiding import Count

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from billing.periods import Month

_COUNTS = text("""
  select department, flag, count(*) as events,
         array_agg(distinct coalesce('user ' || "user", 'key ' || key, '')) as people
  from usage_flag_named cross join lateral unnest(flags) flag
  where event_key >= (lpad(to_hex(:first_hour), 8, '0') || repeat('0', 24))::uuid
    and event_key < (lpad(to_hex(:end_hour), 8, '0') || repeat('0', 24))::uuid
  group by department, flag
""")
"""An event's key begins with its UTC hour: a month is a range of keys."""


def month_counts(connection: Connection, month: Month) -> dict[tuple[str | None, str], Count]:
    """Department and flag -> how many events of how many people; the connection is a snapshot.

    Who has no user is told apart by key; who has neither is one person, the fewest that it can be.
    """
    rows = connection.execute(_COUNTS, {"first_hour": month.first_hour, "end_hour": month.end_hour})
    return {(row.department, row.flag): Count(row.events, frozenset(row.people)) for row in rows}
