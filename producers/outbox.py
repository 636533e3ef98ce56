"""The outbox: events that are accepted and not yet safe elsewhere. One SQLite file, durable before it answers.

What is promised: `append` returns when its rows are on the disk (WAL, `synchronous=FULL`), or raises and has taken
nothing. Rows leave in one of two ways only: when a broker that keeps its log has acknowledged them (`settle` with
`keep=False`), or, for a broker that forgets when it ends, when PostgreSQL has read past them (`confirm`).

What fails how: a full disk, a read-only or damaged file raise OutboxError with what to do; nothing is acknowledged.
A crash between the broker's acknowledgement and `settle` publishes the rows once more: same identity, counted once.

Several processes may append to one file; one at a time publishes (`producers.publishing_lock`).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 60.0
BUSY_POLL_S = 0.001
READ_ROWS_MAX = 5_000
READ_BYTES_MAX = 8 * 1024 * 1024
_SCHEMA = """
create table incarnation (
  id integer primary key,
  cluster_id text not null,
  topic_id text not null,
  unique (cluster_id, topic_id)
);
create table event (
  seq integer primary key autoincrement,
  key blob not null,
  value blob not null,
  accepted_ms integer not null,
  incarnation integer references incarnation,
  partition integer,
  "offset" integer,
  refusal text
);
create index event_pending on event (seq) where incarnation is null and refusal is null;
create index event_published on event (incarnation, partition, "offset") where incarnation is not null;
create index event_refused on event (seq) where refusal is not null;
create table reach (
  incarnation integer not null references incarnation,
  partition integer not null,
  next_offset integer not null,
  primary key (incarnation, partition)
) without rowid;
create table file_progress (
  content text primary key,
  path text not null,
  next_byte integer not null,
  next_line integer not null,
  accepted integer not null,
  rejected integer not null
);
create table file_rejection (
  content text not null,
  line integer not null,
  code text not null,
  reason text not null,
  raw text,
  primary key (content, line)
) without rowid;
"""


class OutboxError(OSError):
    """The outbox cannot be read or written; the sentence names the file and what to do."""


class LogId(NamedTuple):
    """One life of one topic: offsets of another cluster, or of a topic that was made again, count anew."""

    cluster_id: str
    topic_id: str


class Accepted(NamedTuple):
    """An event as it will stand in Kafka. `accepted_ms` (milliseconds since 1970) becomes its record's timestamp."""

    key: bytes
    value: bytes
    accepted_ms: int


class Pending(NamedTuple):
    """An accepted event that no broker has yet; `seq` is its place in the outbox."""

    seq: int
    key: bytes
    value: bytes
    accepted_ms: int


_pending = Pending._make


class Published(NamedTuple):
    """Where a broker has put the row `seq`."""

    seq: int
    partition: int
    offset: int


Positions = Mapping[tuple[LogId, int], int]
"""For each log and partition the offset after the last one meant."""


class Outbox:
    """One outbox file, made if missing. Usable from several threads; usable as a context manager.

    Args:
        path: the SQLite file; its directory is made, private to its owner.
        bytes_max: the largest size of the file; None: as large as the disk lets it grow.
    """

    def __init__(self, path: Path, *, bytes_max: int | None = None) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise OutboxError(f"The outbox {path} has no directory ({error}): set JANGBU_DATA_DIR") from error
        with self._said():
            self._sql = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            with self._said():
                self._prepare(bytes_max)
        except OutboxError:
            self._sql.close()
            raise

    def append(self, rows: Sequence[Accepted]) -> int:
        """Take rows in their order; durable when this returns. Returns the last row's seq (0: nothing given yet)."""
        with self.transaction() as sql:
            self.append_in(sql, rows)
        return self.last_seq()

    @staticmethod
    def append_in(sql: sqlite3.Connection, rows: Sequence[Accepted]) -> None:
        """The same within a transaction of the caller's, so that both stand or fall together."""
        sql.executemany("insert into event (key, value, accepted_ms) values (?, ?, ?)", rows)

    def read_pending(
        self, after_seq: int = 0, *, rows_max: int = READ_ROWS_MAX, bytes_max: int = READ_BYTES_MAX
    ) -> list[Pending]:
        """The next rows that no broker has, in sequence; at most `rows_max`, and `bytes_max` or one row."""
        found: list[Pending] = []
        size_bytes = 0
        with self._said(), self._lock:
            rows = self._sql.execute(
                "select seq, key, value, accepted_ms from event"
                " where incarnation is null and refusal is null and seq > ? order by seq limit ?",
                (after_seq, rows_max),
            )
            for row in rows:
                size_bytes += len(row[2])
                if found and size_bytes > bytes_max:
                    break
                found.append(_pending(row))
            rows.close()
        return found

    def settle(self, log: LogId, published: Sequence[Published], *, keep: bool) -> None:
        """A broker has these rows. `keep`: they stay until `confirm` or `forget_published`; else they leave now."""
        if not published:
            return
        ends: dict[int, int] = {}
        for row in published:
            ends[row.partition] = max(ends.get(row.partition, 0), row.offset + 1)
        with self.transaction() as sql:
            incarnation = _incarnation(sql, log)
            if keep:
                sql.executemany(
                    'update event set incarnation = ?, partition = ?, "offset" = ? where seq = ?',
                    [(incarnation, row.partition, row.offset, row.seq) for row in published],
                )
            else:
                sql.executemany("delete from event where seq between ? and ?", _runs(row.seq for row in published))
            sql.executemany(
                "insert into reach values (?, ?, ?) on conflict do update"
                " set next_offset = max(next_offset, excluded.next_offset)",
                [(incarnation, partition, end) for partition, end in ends.items()],
            )

    def refuse(self, seq: int, reason: str) -> None:
        """The broker will never take this row as it is: set it aside, so that the rows behind it go on. Never lost."""
        with self.transaction() as sql:
            sql.execute("update event set refusal = ? where seq = ?", (reason, seq))

    def retry_refused(self) -> int:
        """Try again what a broker refused (its limits may have been raised). Returns how many."""
        with self.transaction() as sql:
            return sql.execute("update event set refusal = null where refusal is not null").rowcount

    def forget_published(self) -> int:
        """Drop what a broker that keeps its log has. Returns how many rows left."""
        with self.transaction() as sql:
            return sql.execute("delete from event where incarnation is not null").rowcount

    def confirm(self, stored: Positions) -> int:
        """Drop the published rows that lie below what PostgreSQL has stored. Returns how many left."""
        left = 0
        with self.transaction() as sql:
            for (log, partition), next_offset in stored.items():
                left += sql.execute(
                    'delete from event where "offset" < ? and partition = ? and incarnation ='
                    " (select id from incarnation where cluster_id = ? and topic_id = ?)",
                    (next_offset, partition, log.cluster_id, log.topic_id),
                ).rowcount
        return left

    def unpublish_others(self, log: LogId) -> int:
        """Rows that were published to another log than this one are pending again. Call `confirm` first: what is in
        PostgreSQL needs no second journey. Returns how many."""
        with self.transaction() as sql:
            return sql.execute(
                'update event set incarnation = null, partition = null, "offset" = null'
                " where incarnation is not null and incarnation <> ?",
                (_incarnation(sql, log),),
            ).rowcount

    def last_seq(self) -> int:
        """The seq of the newest row that was ever appended; 0 before the first."""
        return self._one("select coalesce((select seq from sqlite_sequence where name = 'event'), 0)")

    def pending_count(self, through_seq: int | None = None) -> int:
        """Rows that no broker has, those it refused included; up to `through_seq` where given."""
        bound = 2**63 - 1 if through_seq is None else through_seq
        return self._one(
            "select (select count(*) from event where incarnation is null and refusal is null and seq <= :bound)"
            " + (select count(*) from event where refusal is not null and seq <= :bound)",
            {"bound": bound},
        )

    def held_count(self) -> int:
        """All rows that the outbox still holds, published ones that PostgreSQL has not confirmed included."""
        return self._one("select count(*) from event")

    def refused(self) -> list[tuple[int, str]]:
        """(seq, reason) of the rows that a broker refused."""
        with self._said(), self._lock:
            return self._sql.execute("select seq, refusal from event where refusal is not null order by seq").fetchall()

    def reach(self, log: LogId) -> dict[int, int]:
        """For each partition of this log, the offset after the last row that this outbox has published there."""
        with self._said(), self._lock:
            rows = self._sql.execute(
                "select partition, next_offset from reach join incarnation on id = incarnation"
                " where cluster_id = ? and topic_id = ?",
                log,
            )
            return dict(rows.fetchall())

    def published_elsewhere(self, log: LogId, through_seq: int) -> int:
        """Rows up to `through_seq` that are kept and were published to another log than this one."""
        return self._one(
            "select count(*) from event where incarnation is not null and seq <= ? and incarnation not in"
            " (select id from incarnation where cluster_id = ? and topic_id = ?)",
            (through_seq, log.cluster_id, log.topic_id),
        )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One durable transaction: all of it or, after any error, nothing. Raises OutboxError."""
        with self._said(), self._lock:
            self._begin()
            try:
                yield self._sql
                self._sql.execute("commit")  # on the disk when this returns: synchronous=FULL
            except BaseException:
                if self._sql.in_transaction:
                    self._sql.execute("rollback")
                raise

    def _begin(self) -> None:
        """Take the write lock. SQLite's own waiting sleeps up to 100 ms at a time, too long for a door that answers in
        50 while a publisher settles rows of the same file: ask again every BUSY_POLL_S instead, for as long in all."""
        give_up_s = time.monotonic() + BUSY_TIMEOUT_S
        self._sql.execute("pragma busy_timeout=0")
        try:
            while True:
                try:
                    self._sql.execute("begin immediate")
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_s:
                        raise
                    time.sleep(BUSY_POLL_S)
                else:
                    return
        finally:
            self._sql.execute(f"pragma busy_timeout={BUSY_TIMEOUT_S * 1000:.0f}")

    def query(self, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Rows of a reading statement, for the modules that keep tables of their own in this file."""
        with self._said(), self._lock:
            return self._sql.execute(statement, values).fetchall()

    def give_back_space(self) -> None:
        """Return pages of rows that left to the file system; cheap where there are none."""
        with self._said(), self._lock:
            self._sql.executescript("pragma incremental_vacuum")  # `execute` would stop after the first page

    def close(self) -> None:
        """Close the file; what was appended stays."""
        with self._said(), self._lock:
            self._sql.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _prepare(self, bytes_max: int | None) -> None:
        sql = self._sql
        self.path.chmod(0o600)
        sql.execute("pragma auto_vacuum=incremental")
        mode = sql.execute("pragma journal_mode=wal").fetchone()[0]
        if mode != "wal":
            raise OutboxError(f"The outbox {self.path} cannot use a write-ahead log ({mode}): choose a local disk")
        sql.execute("pragma synchronous=full")
        sql.execute("pragma journal_size_limit=67108864")
        if bytes_max is not None:
            page_bytes = sql.execute("pragma page_size").fetchone()[0]
            sql.execute(f"pragma max_page_count={max(1, bytes_max // page_bytes)}")
        with self.transaction():
            version = sql.execute("pragma user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";\n"):
                    sql.execute(statement)
                sql.execute(f"pragma user_version={SCHEMA_VERSION}")
        if version not in (0, SCHEMA_VERSION):
            raise OutboxError(
                f"The outbox {self.path} is of version {version} and this program knows {SCHEMA_VERSION}: "
                "run the newer jangbu until the outbox is empty"
            )

    def _one(self, statement: str, values: Sequence[object] | Mapping[str, object] = ()) -> int:
        with self._said(), self._lock:
            return int(self._sql.execute(statement, values).fetchone()[0])

    @contextmanager
    def _said(self) -> Iterator[None]:
        """SQLite's errors as sentences that name the file and the remedy."""
        try:
            yield
        except sqlite3.Error as error:
            raise OutboxError(f"The outbox {self.path} {_remedy(error)}") from error


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as runs without a gap, (first, last) each: rows that were sent together leave together."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return runs


def _incarnation(sql: sqlite3.Connection, log: LogId) -> int:
    sql.execute("insert into incarnation (cluster_id, topic_id) values (?, ?) on conflict do nothing", log)
    row = sql.execute("select id from incarnation where cluster_id = ? and topic_id = ?", log).fetchone()
    return int(row[0])


def _remedy(error: sqlite3.Error) -> str:
    said = str(error)
    if "full" in said:
        return f"is full ({said}): nothing was accepted; free space on its disk, then bring the events again"
    if "malformed" in said or "not a database" in said:
        return (
            f"is damaged ({said}): move it away, keep it for a rescue with `sqlite3 FILE .recover`, "
            "and bring the events again from their gateway's log"
        )
    if "locked" in said or "busy" in said:
        return f"is held by another process for over {BUSY_TIMEOUT_S:.0f} s ({said}): see who uses it, then try again"
    if "readonly" in said or "unable to open" in said or "disk I/O" in said:
        return f"cannot be written ({said}): check the rights and the disk of its directory"
    return f"cannot be used: {said}"
