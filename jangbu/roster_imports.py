"""A roster's file taken over in a transaction: what `jangbu roster import` and the pages' form both do.

As `jangbu.register_imports`: FileRefused names everything that is wrong, and the result is the document of `--json`.
The roster keeps no imports of its own, so that who brought which file stands in the trail, without the names in it.
"""

from __future__ import annotations

from datetime import datetime, time
from typing import TYPE_CHECKING

from billing.periods import load_zone
from billing.plans.registers import lock_registers
from billing.roster import BEGINNING, changes, held_roster, read_roster, write_roster
from billing.sentences import Listed, Sentence
from billing.store import sha256_of
from jangbu.importing import Outcome
from jangbu.register_imports import Done
from jangbu.register_lines import EMPTY, first_lines
from jangbu.web.signin.trail import note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from billing.roster import Membership, Moved, RosterChanges

NOBODY = Sentence("(unattributed)")


def import_roster(connection: Connection, raw: bytes, name: str, actor: str, zone: str) -> Done:
    """Add and change memberships, and attribute again the use that they touch. Days are those of `zone`."""
    rows = read_roster(raw, name, zone)
    lock_registers(connection)
    found = changes(held_roster(connection), rows)
    moved = write_roster(connection, found)
    counts = {"added": len(found.added), "changed": len(found.changed), "unchanged": found.unchanged}
    events = sum(row.events for row in moved)
    if found.since is not None:
        detail = {"file": name, "sha256": sha256_of(raw), **counts, "events": events}
        note(connection, actor, "roster_import", "roster", detail=detail)
    sentence = Sentence(
        "%(file)s: %(added)s memberships added, %(changed)s changed, %(unchanged)s as they were; %(events)s events"
        " attributed anew",
        file=name, events=events, **counts,
    )  # fmt: skip
    document = {
        "source": name,
        **counts,
        "moved": [{"from": row.old_department, "to": row.new_department, "events": row.events} for row in moved],
    }
    details = first_lines([*_moves(moved), *_difference(found, zone)])
    return Outcome(document, found.since is not None, sentence, details)


def _moves(moved: list[Moved]) -> Iterator[Sentence]:
    """What the file does to sums comes first; the most events before fewer."""
    for row in sorted(moved, key=lambda one: -one.events):
        before, after = row.old_department or NOBODY, row.new_department or NOBODY
        yield Sentence("%(events)s events: %(before)s -> %(after)s", events=row.events, before=before, after=after)


def _difference(found: RosterChanges, zone: str) -> Iterator[Sentence]:
    for row in found.added:
        yield Sentence(
            "+ %(who)s in %(department)s from %(moment)s", who=_who(row), department=row.department,
            moment=_shown(row.valid_from, zone),
        )  # fmt: skip
    for old, row in found.changed:
        before, after = old._asdict(), row._asdict()
        cells = Listed(
            (
                Sentence(
                    "%(cell)s %(before)s -> %(after)s", cell=name, before=_shown(before[name], zone),
                    after=_shown(after[name], zone),
                )
                for name in after if before[name] != after[name]
            ), ", ",
        )  # fmt: skip
        moment = _shown(row.valid_from, zone)
        yield Sentence("~ %(who)s from %(moment)s: %(cells)s", who=_who(row), moment=moment, cells=cells)


def _who(row: Membership) -> str:
    return " ".join(part for part in (row.user, row.key) if part)


def _shown(cell: object, zone: str) -> str:
    """A cell as a file writes it: midnight in the zone is a bare date."""
    if cell == BEGINNING:
        return Sentence("the beginning")
    if not isinstance(cell, datetime):
        return str(cell) if cell else EMPTY
    local = cell.astimezone(load_zone(zone))
    return local.date().isoformat() if local.time() == time() else local.isoformat(timespec="minutes")
