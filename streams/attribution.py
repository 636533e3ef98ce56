"""Which department an event belongs to: its own, else by key, else by user, as of the event's time.

Pure. The same rule stands in SQL as `department_at` for attributing again; a test holds the two together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

EVER = (-(2**63), 2**63)
"""All times, in microseconds, half-open."""


class RosterRow(NamedTuple):
    """A dated membership, half-open; times in microseconds since 1970 UTC, `valid_to_us` None where it goes on."""

    id: int
    user: str | None
    key: str | None
    department: str
    valid_from_us: int
    valid_to_us: int | None


class Payer(NamedTuple):
    """Who pays, as the table `payer` holds it."""

    department: str | None
    attributed_by: str
    user: str | None
    key: str | None


@dataclass(frozen=True, slots=True)
class _Memberships:
    """Rows of one subject, by start; of rows valid at a moment the one that began last wins."""

    starts_us: list[int]
    rows: list[RosterRow]

    def at(self, time_us: int) -> str | None:
        for place in range(bisect_right(self.starts_us, time_us) - 1, -1, -1):
            row = self.rows[place]
            if row.valid_to_us is None or time_us < row.valid_to_us:
                return row.department
        return None


class Roster:
    """Memberships by key and by user. A user's rows without a key go before rows that also name one."""

    def __init__(self, rows: Iterable[RosterRow] = ()) -> None:
        by_key: dict[str, list[RosterRow]] = {}
        by_user: dict[str, list[RosterRow]] = {}
        by_user_with_key: dict[str, list[RosterRow]] = {}
        for row in sorted(rows, key=lambda r: (r.valid_from_us, r.id)):
            if row.key is not None:
                by_key.setdefault(row.key, []).append(row)
            if row.user is not None:
                (by_user if row.key is None else by_user_with_key).setdefault(row.user, []).append(row)
        self._by_key = _dated(by_key)
        self._by_user = _dated(by_user)
        self._by_user_with_key = _dated(by_user_with_key)

    def unchanged_around(self, user: str | None, key: str | None, time_us: int) -> tuple[int, int]:
        """The stretch around `time_us`, half-open, in which `payer` gives one answer for this user and key."""
        since_us, until_us = EVER
        for subject, memberships in ((key, self._by_key), (user, self._by_user), (user, self._by_user_with_key)):
            dated = memberships.get(subject) if subject is not None else None
            for row in dated.rows if dated is not None else ():
                for edge_us in (row.valid_from_us, row.valid_to_us):
                    if edge_us is not None and since_us < edge_us <= time_us:
                        since_us = edge_us
                    elif edge_us is not None and time_us < edge_us < until_us:
                        until_us = edge_us
        return since_us, until_us

    def payer(self, department: str | None, user: str | None, key: str | None, time_us: int) -> Payer:
        """Who pays for an event of `user` and `key` at `time_us` that names `department` or none."""
        if department is not None:
            return Payer(department, "event", user, key)
        for attributed_by, subject, memberships in (
            ("key", key, self._by_key),
            ("user", user, self._by_user),
            ("user", user, self._by_user_with_key),
        ):
            dated = memberships.get(subject) if subject is not None else None
            found = dated.at(time_us) if dated is not None else None
            if found is not None:
                return Payer(found, attributed_by, user, key)
        return Payer(None, "nobody", user, key)


def _dated(by_subject: dict[str, list[RosterRow]]) -> dict[str, _Memberships]:
    return {subject: _Memberships([row.valid_from_us for row in rows], rows) for subject, rows in by_subject.items()}
