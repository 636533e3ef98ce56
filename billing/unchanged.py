"""Whether what was computed in one snapshot is what another snapshot would come to: for values kept in a process.

The same marks as those of kept open months (`billing.open_months`): how many changes of inputs are visible, and which
transactions' parts of usage were seen. A value that depends on watched inputs, on usage before an hour, and on what a
process never changes (its code, its settings) is the same under the same marks; it is never stale, only kept.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection


class Seen(NamedTuple):
    """What one snapshot sees: changed inputs, and transactions (as `billing.open_months.Mark`)."""

    changes: int
    cluster: int
    lowest: int
    next_number: int
    running: tuple[int, ...]

    def is_within(self, later: Seen) -> bool:
        """Whether `later` sees everything that this one saw: only then may it take what was computed in this one."""
        return self.next_number <= later.next_number and all(
            number >= self.next_number or number in self.running for number in later.running
        )


def read_seen(connection: Connection) -> Seen | None:
    """What the connection's snapshot sees; None where it is no snapshot, has written, or reads other sums than the
    stored ones."""
    if connection.get_execution_options().get("isolation_level") != "REPEATABLE READ":
        return None
    row = connection.execute(
        text("""
        select (select count(*) from input_change) as changes,
               (select system_identifier from pg_control_system()) as cluster,
               pg_snapshot_xmin(seen)::text::bigint as lowest,
               pg_snapshot_xmax(seen)::text::bigint as next_number,
               array(select one::text::bigint from pg_snapshot_xip(seen) one) as running,
               pg_current_xact_id_if_assigned() is not null or to_regclass('pg_temp.usage_part') is not null as is_own
        from pg_current_snapshot() seen""")
    ).one()
    if row.is_own:
        return None
    return Seen(row.changes, row.cluster, row.lowest, row.next_number, tuple(row.running))


def is_unchanged(connection: Connection, then: Seen, now: Seen, end_hour: int) -> bool:
    """Whether the connection's snapshot (`now`) sees the inputs, and the usage before `end_hour`, that `then` saw."""
    if then.changes != now.changes or then.cluster != now.cluster or not then.is_within(now):
        return False
    return then[2:] == now[2:] or not has_newer_parts(connection, end_hour, then._asdict())


def has_newer_parts(connection: Connection, end_hour: int, seen: Mapping[str, Any]) -> bool:
    """Whether there is a part of an hour before `end_hour` that a snapshot (`lowest`, `next_number`, `running`) did not
    see; it was taken before the connection's, which sees all that it saw."""
    with only_by_index(connection):
        return _has_newer_parts(connection, end_hour, seen)


def without_newer_parts(connection: Connection, seen: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """Those of the hours for which there is no part before them that the hour's snapshot did not see.

    What came late is rare. So the oldest snapshot speaks for all hours but the last, which alone may still be going on;
    only where it does not are all of them asked. One at a time: of several hours in one query the planner does not know
    that the index of what was written when answers it."""
    with only_by_index(connection):
        *earlier, last = sorted(seen) or [0]
        oldest = min((seen[hour] for hour in earlier), key=lambda one: int(one["next_number"]), default=None)
        if oldest is None or not all(_is_within(oldest, seen[hour]) for hour in earlier):
            return [hour for hour in sorted(seen) if not _has_newer_parts(connection, hour, seen[hour])]
        held = [hour for hour in earlier if not _has_newer_parts(connection, hour, seen[hour])] \
            if _has_newer_parts(connection, earlier[-1], oldest) else earlier
        return held if _has_newer_parts(connection, last, seen[last]) else [*held, last]


def _is_within(one: Mapping[str, Any], later: Mapping[str, Any]) -> bool:
    return Seen(0, 0, **_numbers(one)).is_within(Seen(0, 0, **_numbers(later)))


def _numbers(seen: Mapping[str, Any]) -> dict[str, Any]:
    return {name: seen[name] for name in ("lowest", "next_number", "running")}


def _has_newer_parts(connection: Connection, end_hour: int, seen: Mapping[str, Any]) -> bool:
    return bool(
        connection.execute(
            text("""
            select exists (select from public.usage_part where hour < :end_hour and written >= :lowest
                           and not is_seen(written, cast(:next_number as bigint), cast(:running as bigint[])))"""),
            {"end_hour": end_hour, "lowest": seen["lowest"], "next_number": seen["next_number"],
             "running": list(seen["running"])},
        ).scalar_one()
    )  # fmt: skip


@contextmanager
def only_by_index(connection: Connection) -> Iterator[None]:
    """The index of what was written when says in milliseconds that nothing is new; the planner, which cannot know that,
    would rather read every part."""
    scans = text("select set_config('enable_seqscan', :on, true)")
    connection.execute(scans, {"on": "off"})
    yield
    connection.execute(scans, {"on": "on"})
