"""The one transaction of a chunk: offset, identity, events, sums, quarantine, all or none.

Steps, and what a failure at each means:

1. Lock the facts' version FOR SHARE. It moved: roll back, answer StaleFacts; the chunk is decoded again.
2. Lock the partition's offset and compare it with the chunk's first; it moves to the chunk's next with the chunk's own
   row (step 4). Another worker was there: roll back, answer Behind or Gap with the offset that SQL holds. This is also
   what fences a zombie: a worker that was expelled and wakes up finds the offset moved, and writes nothing.
3. Look the identities up. Known with the same content: a duplicate, counted. With another: a conflict.
4. COPY the new events, COPY the sums of just these, insert the quarantine and the chunk's own row, move the offset.
   A unique violation (a copy met another partition's worker at this moment): roll back, begin again; step 3 sees it.
5. Commit. The reply is lost: connect again; the offset row says whether it happened (step 2 answers Behind).

A crash at any point leaves either nothing of the chunk or all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import psycopg
from psycopg import errors

from streams.decode import Rejected
from streams.identity import known_events
from streams.prepare import Prepared, events_copy, parts_copy
from streams.rows import EVENT_COLUMNS, PART_COLUMNS

_COPY_EVENTS = f"copy usage_event ({', '.join(EVENT_COLUMNS)}) from stdin (format binary)"
_COPY_PARTS = f"copy usage_part ({', '.join(PART_COLUMNS)}) from stdin (format binary)"
_CONFLICTS_RETRIED_MAX = 8
DATABASE_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, errors.IdleInTransactionSessionTimeout)
"""What says that a connection is lost, as against a statement that is wrong: connect again, and try again."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The chunk is in. `next_offset` is where the partition stands now."""

    next_offset: int
    stored: int
    duplicates: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class Behind:
    """SQL is further than the chunk's first record: records below `next_offset` are in already."""

    next_offset: int


@dataclass(frozen=True, slots=True)
class Gap:
    """The chunk begins above what SQL has read: records from `next_offset` on are missing."""

    next_offset: int


@dataclass(frozen=True, slots=True)
class StaleFacts:
    """Roster or thresholds changed since the chunk was decoded."""


Outcome = Stored | Behind | Gap | StaleFacts


def no_observer(point: str) -> None:
    """Production looks away; the fault tests act at the points named here."""


class Sink:
    """Stores prepared chunks through one connection. Not for several threads at once."""

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        log_id: int,
        worker: str,
        observe: Callable[[str], None] = no_observer,
    ) -> None:
        self._connect = connect
        self._log_id = log_id
        self._worker = worker
        self._observe = observe
        self._connection: psycopg.Connection | None = None

    def store(self, prepared: Prepared) -> Outcome:
        """Store a chunk. Raises psycopg.OperationalError where the database is away: try again later."""
        for _ in range(_CONFLICTS_RETRIED_MAX):
            try:
                return self._once(prepared)
            except errors.UniqueViolation:
                continue
            except DATABASE_AWAY:
                self.close()
                raise
        raise RuntimeError(
            f"partition {prepared.chunk.partition} at {prepared.chunk.first_offset}: the identity index refused the "
            f"chunk {_CONFLICTS_RETRIED_MAX} times although the look-up found nothing; run `jangbu audit`"
        )

    def close(self) -> None:
        """Let the connection go; the next chunk opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(self, prepared: Prepared) -> Outcome:
        connection = self._ready()
        self._observe("before_sql")
        with connection.transaction():
            outcome = self._write(connection, prepared)
            self._observe("in_transaction")
            if not isinstance(outcome, Stored):
                raise psycopg.Rollback
        self._observe("after_commit")
        return outcome

    def _write(self, connection: psycopg.Connection, prepared: Prepared) -> Outcome:
        chunk = prepared.chunk
        version, next_offset = self._lock(connection, chunk.partition)
        if version != prepared.facts.version:
            return StaleFacts()
        if next_offset > chunk.first_offset:
            return Behind(next_offset)
        if next_offset < chunk.first_offset:
            return Gap(next_offset)
        left_out, conflicts, repeated = known_events(connection, prepared) if prepared.entries else (set(), [], 0)
        rejected = [*prepared.rejected, *conflicts]
        duplicates = prepared.duplicates + repeated
        stored = len(prepared.entries) - len(left_out)
        if stored:
            with connection.cursor() as cursor:
                with cursor.copy(_COPY_EVENTS) as copy:
                    copy.write(events_copy(prepared, left_out))
                with cursor.copy(_COPY_PARTS) as copy:
                    copy.write(parts_copy(prepared, left_out, self._log_id))
        flagged = self._flag(connection, prepared, left_out)
        if rejected:
            self._quarantine(connection, chunk.partition, rejected)
        connection.execute(
            "with moved as (update stream_offset set next_offset = %(next)s"
            "               where log_id = %(log)s and partition = %(partition)s)"
            " insert into stream_chunk (log_id, partition, first_offset, next_offset, records, stored, duplicates,"
            "                           quarantined, worker, flagged)"
            " values (%(log)s, %(partition)s, %(first)s, %(next)s, %(records)s, %(stored)s, %(duplicates)s,"
            "         %(quarantined)s, %(worker)s, %(flagged)s)",
            {"log": self._log_id, "partition": chunk.partition, "first": chunk.first_offset,
             "next": chunk.next_offset, "records": len(chunk.records), "stored": stored, "duplicates": duplicates,
             "quarantined": len(rejected), "worker": self._worker, "flagged": flagged},
        )  # fmt: skip
        return Stored(chunk.next_offset, stored, duplicates, len(rejected))

    def _flag(self, connection: psycopg.Connection, prepared: Prepared, left_out: Collection[int]) -> int:
        """The verdicts of guardrails beside the events that have some, which are few; how many events these are."""
        partition = prepared.chunk.partition
        flagged = [
            (self._log_id, partition, entry.offset, entry.key.hex(), list(entry.flags))
            for place, entry in enumerate(prepared.entries)
            if entry.flags and place not in left_out
        ]
        if flagged:
            with connection.cursor() as cursor:
                cursor.executemany(
                    "insert into usage_flag (log_id, partition, kafka_offset, event_key, flags)"
                    " values (%s, %s, %s, %s::uuid, %s)",
                    flagged,
                )
        return len(flagged)

    def _lock(self, connection: psycopg.Connection, partition: int) -> tuple[int, int]:
        """The facts' version, which cannot move now, and the partition's offset, which only we can move now."""
        row = connection.execute(
            "select v.version, o.next_offset from reference_version v, stream_offset o"
            " where o.log_id = %s and o.partition = %s for share of v for update of o",
            (self._log_id, partition),
        ).fetchone()
        if row is None:
            raise LookupError(f"no offset row for log {self._log_id}, partition {partition}")
        return int(row[0]), int(row[1])

    def _quarantine(self, connection: psycopg.Connection, partition: int, rejected: list[Rejected]) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into quarantine (log_id, partition, kafka_offset, record_time, code, field, value, reason,"
                " record_key, record_value, event_key) values (%s, %s, %s,"
                " to_timestamp(least(greatest(%s, 0), 253402300799)), %s, %s, %s, %s, %s, %s, encode(%s, 'hex')::uuid)",
                [
                    (self._log_id, partition, item.record.offset, item.record.timestamp_ms // 1000, item.code,
                     _sql_text(item.field), _sql_text(item.value), _sql_text(item.reason), item.record.key,
                     item.record.value, item.event_key)
                    for item in rejected
                ],
            )  # fmt: skip

    def _ready(self) -> psycopg.Connection:
        """The connection, with the table of ids that each transaction fills anew."""
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
            with self._connection.transaction():
                self._connection.execute(
                    "create temporary table if not exists chunk_key (event_key uuid not null) on commit delete rows"
                )
            # A temporary table has no statistics: without these the planner would hash the whole ledger.
            self._connection.execute("set enable_hashjoin = off")
            self._connection.execute("set enable_mergejoin = off")
            self._connection.commit()
        return self._connection


def _sql_text(value: str) -> str:
    """Text that PostgreSQL can hold: no NUL, no lone surrogates."""
    return value.replace("\x00", "\\x00").encode("utf-8", "replace").decode("utf-8")
