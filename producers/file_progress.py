"""How far a file has been read, kept in the outbox's own file: it moves in the transaction that takes the events.

So after a kill at any moment a line has either been taken and passed, or neither. Refused lines are kept there as well
until the file is done, so that the report of a resumed file is whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from producers.lines import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from producers.outbox import Accepted, Outbox

REJECTIONS_READ = 1_000


class Rejection(NamedTuple):
    """A refused line: its number from 1, a word for machines, the sentence, and what of it may be kept."""

    line: int
    code: str
    reason: str
    raw: str | None


class ReadTwice(RuntimeError):
    """Another process reads the same file into the same outbox now."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been taken of a file so far."""

    place: Place
    accepted: int
    rejected: int


class FileProgress:
    """The progress of one file, named by its content."""

    def __init__(self, outbox: Outbox, content: str, path: str) -> None:
        self._outbox = outbox
        self._content = content
        self._path = path

    def begin(self) -> Progress:
        """Where to go on; the start for a file that is new or was finished."""
        with self._outbox.transaction() as sql:
            sql.execute(
                "insert into file_progress values (?, ?, 0, 1, 0, 0) on conflict do nothing",
                (self._content, self._path),
            )
            row = sql.execute(
                "select next_byte, next_line, accepted, rejected from file_progress where content = ?",
                (self._content,),
            ).fetchone()
        return Progress(Place(row[0], row[1]), row[2], row[3])

    def take(
        self, before: Progress, events: Sequence[Accepted], rejections: Sequence[Rejection], to: Place
    ) -> Progress:
        """Events, refused lines and the new place in one durable transaction. Raises ReadTwice and OutboxError."""
        after = Progress(to, before.accepted + len(events), before.rejected + len(rejections))
        with self._outbox.transaction() as sql:
            moved = sql.execute(
                "update file_progress set next_byte = ?, next_line = ?, accepted = ?, rejected = ?"
                " where content = ? and next_byte = ? and next_line = ?",
                (to.byte, to.line, after.accepted, after.rejected, self._content, before.place.byte, before.place.line),
            ).rowcount
            if moved != 1:
                raise ReadTwice(f"{self._path} is being read by another `jangbu ingest` now: wait for it to end")
            self._outbox.append_in(sql, events)
            sql.executemany(
                "insert into file_rejection values (?, ?, ?, ?, ?)",
                [(self._content, *rejection) for rejection in rejections],
            )
        return after

    def rejections(self) -> Iterator[Rejection]:
        """The refused lines in their order, a thousand in memory at a time."""
        after_line = 0
        while True:
            rows = self._outbox.query(
                "select line, code, reason, raw from file_rejection"
                " where content = ? and line > ? order by line limit ?",
                (self._content, after_line, REJECTIONS_READ),
            )
            if not rows:
                return
            for row in rows:
                yield Rejection(*row)  # type: ignore[arg-type]  # the table's columns are Rejection's fields
            after_line = int(str(rows[-1][0]))

    def finish(self) -> None:
        """Forget the file: read again, it is read in full (its events are then counted as duplicates downstream)."""
        with self._outbox.transaction() as sql:
            sql.execute("delete from file_progress where content = ?", (self._content,))
            sql.execute("delete from file_rejection where content = ?", (self._content,))
