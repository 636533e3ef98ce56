"""The roster: who belonged to which department when. Reading its file, telling what it changes, writing it.

A row is known by (user, key, valid_from): the same again with other content changes it, a new one is added, rows that a
file does not hold stay. Where two rows of one user or key are valid at once the one that began later wins, so that a
move is one new row. Writing attributes again what no event decided itself, in the same transaction (`reattribute` in
sql/migrations/0002.sql), so that sums and roster never disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text

from billing.csv_file import CellError, Columns, read_file
from billing.errors import CellProblem, FileRefused
from billing.periods import load_zone
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

COLUMNS = Columns(
    required=("department",),
    optional=("user", "key", "department_name", "cost_centre", "valid_from", "valid_to", "pledge_signed_on"),
)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""What an empty `valid_from` means: since ever."""


class Membership(NamedTuple):
    """One row of the roster; times in UTC, half-open; `valid_to` None where it goes on."""

    user: str | None
    key: str | None
    department: str
    department_name: str | None
    cost_centre: str | None
    valid_from: datetime
    valid_to: datetime | None
    pledge_signed_on: date | None

    @property
    def identity(self) -> tuple[str | None, str | None, datetime]:
        return self.user, self.key, self.valid_from


@dataclass(frozen=True, slots=True)
class RosterChanges:
    """What a file does to the roster; `changed` holds (before, after)."""

    added: tuple[Membership, ...]
    changed: tuple[tuple[Membership, Membership], ...]
    unchanged: int

    @property
    def since(self) -> datetime | None:
        """The earliest moment from which attribution may differ; None where nothing changes."""
        rows = [*self.added, *(row for pair in self.changed for row in pair)]
        return min((row.valid_from for row in rows), default=None)


class Moved(NamedTuple):
    """Events that changed department; None stands for nobody known."""

    old_department: str | None
    new_department: str | None
    events: int


def read_roster(raw: bytes, name: str, zone: str) -> list[Membership]:
    """The rows of a roster file. A bare date is midnight in `zone`. Raises FileRefused naming everything wrong."""
    read = read_file(raw, name, COLUMNS, lambda cells: _row(cells, zone))
    problems = []
    first_line: dict[tuple[str | None, str | None, datetime], int] = {}
    for line, row in read:
        first = first_line.setdefault(row.identity, line)
        if first != line:
            who = row.user or row.key or ""
            problems.append(
                CellProblem(
                    name, line, "valid_from", who, Sentence("line %(first)s says the same start: keep one", first=first)
                )
            )
    if problems:
        raise FileRefused(problems)
    return [row for _, row in read]


def changes(held: Iterable[Membership], rows: Iterable[Membership]) -> RosterChanges:
    """What `rows` add and change in what is held."""
    before = {row.identity: row for row in held}
    added, changed, unchanged = [], [], 0
    for row in rows:
        old = before.get(row.identity)
        if old is None:
            added.append(row)
        elif old != row:
            changed.append((old, row))
        else:
            unchanged += 1
    return RosterChanges(tuple(added), tuple(changed), unchanged)


def held_roster(connection: Connection) -> list[Membership]:
    """The roster as it stands, by user, key and start."""
    rows = connection.execute(
        text(
            'select "user", key, department, department_name, cost_centre, valid_from, valid_to, pledge_signed_on'
            ' from roster order by "user", key, valid_from'
        )
    )
    return [Membership(*row) for row in rows]


def write_roster(connection: Connection, difference: RosterChanges) -> list[Moved]:
    """Write the changes and attribute again what they touch, in the caller's transaction. Returns what moved."""
    since = difference.since
    if since is None:
        return []
    # Taken first, so that no chunk is stored between the roster's change and the second attribution.
    connection.execute(text("update reference_version set version = version + 1"))
    if difference.changed:
        connection.execute(
            text('delete from roster where ("user", key, valid_from) is not distinct from (:user, :key, :valid_from)'),
            [_parameters(old) for old, _ in difference.changed],
        )
    new = [*difference.added, *(row for _, row in difference.changed)]
    connection.execute(
        text(
            'insert into roster ("user", key, department, department_name, cost_centre, valid_from, valid_to,'
            " pledge_signed_on) values (:user, :key, :department, :department_name, :cost_centre, :valid_from,"
            " :valid_to, :pledge_signed_on)"
        ),
        [_parameters(row) for row in new],
    )
    moved = connection.execute(text("select * from reattribute(:since, 'infinity')"), {"since": since})
    return [Moved(*row) for row in moved]


def _parameters(row: Membership) -> dict[str, object]:
    return row._asdict()


def _row(cells: Mapping[str, str], zone: str) -> Membership:
    user, key = cells.get("user") or None, cells.get("key") or None
    if user is None and key is None:
        raise CellError("user", "", "name a user, a key or both")
    if not cells["department"]:
        raise CellError("department", "", "name the department")
    valid_from = parse_moment("valid_from", cells.get("valid_from", ""), zone) or BEGINNING
    valid_to = parse_moment("valid_to", cells.get("valid_to", ""), zone)
    if valid_to is not None and valid_to <= valid_from:
        raise CellError("valid_to", cells["valid_to"], "end after valid_from, or leave it empty")
    return Membership(
        user,
        key,
        cells["department"],
        cells.get("department_name") or None,
        cells.get("cost_centre") or None,
        valid_from,
        valid_to,
        _day("pledge_signed_on", cells.get("pledge_signed_on", "")),
    )


def parse_moment(column: str, cell: str, zone: str) -> datetime | None:
    """A bare date (midnight in the zone) or a time with its offset, in UTC; None for an empty cell."""
    if not cell:
        return None
    try:
        if len(cell) == 10:
            moment = datetime.fromisoformat(cell).replace(tzinfo=load_zone(zone))
        else:
            moment = datetime.fromisoformat(cell)
    except ValueError:
        raise CellError(column, cell, "write a date (2026-10-01) or a time (2026-10-01T00:00:00+09:00)") from None
    if moment.tzinfo is None:
        raise CellError(column, cell, "say the offset, as in 2026-10-01T00:00:00+09:00")
    if not 1970 <= moment.year < 2200:
        raise CellError(column, cell, "give a year between 1970 and 2199")
    return moment.astimezone(UTC)


def _day(column: str, cell: str) -> date | None:
    if not cell:
        return None
    try:
        return date.fromisoformat(cell)
    except ValueError:
        raise CellError(column, cell, "write a date, as in 2026-10-01") from None
