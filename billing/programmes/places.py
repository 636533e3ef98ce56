"""Who has a place in a programme when, and who waits: a pure function of its applications.

In the order of application (of equals by user), one place a person. A place that is freed goes to the next in line at
that instant. With places by department each department has a line of its own; who is of none of them waits for ever.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from billing.programmes.programme import Application, Programme


class Place(NamedTuple):
    """A person's time with a place, half-open; `until` None: it goes on."""

    user: str
    department: str
    since: datetime
    until: datetime | None

    def holds(self, moment: datetime) -> bool:
        """Whether the person has the place at an instant."""
        return self.since <= moment and (self.until is None or moment < self.until)


class Waiting(NamedTuple):
    """A person in line; `number` counts from 1, None where there is no line to wait in."""

    user: str
    department: str
    applied_at: datetime
    number: int | None


def places_of(programme: Programme, applications: Iterable[Application]) -> list[Place]:
    """Every place that was ever taken, in the order in which they were."""
    found: list[Place] = []
    for places, line in _lines(programme, applications):
        found += _taken(places, line)
    return sorted(found, key=lambda place: (place.since, place.user))


def waiting_at(programme: Programme, applications: Iterable[Application], moment: datetime) -> list[Waiting]:
    """Who has applied and not left at an instant, and has no place then; in line, those without a line last."""
    there = _once_each(
        one for one in applications if one.programme == programme.programme and one.applied_at <= moment
    )
    found: list[Waiting] = []
    in_line: set[Application] = set()
    for places, line in _lines(programme, there):
        in_line |= set(line)
        placed = {place.user for place in _taken(places, line) if place.holds(moment)}
        still = [one for one in line if _stands(one, moment) and one.user not in placed]
        found += [Waiting(one.user, one.department, one.applied_at, number) for number, one in enumerate(still, 1)]
    outside = [one for one in there if one not in in_line and _stands(one, moment)]
    return found + [Waiting(one.user, one.department, one.applied_at, None) for one in outside]


def _lines(
    programme: Programme, applications: Iterable[Application]
) -> list[tuple[int, list[Application]]]:
    """(places, who waits for them): one line for all, or one a department."""
    mine = _once_each(one for one in applications if one.programme == programme.programme)
    if not programme.department_places:
        return [(programme.places, mine)]
    return [(places, [one for one in mine if one.department == code]) for code, places in programme.department_places]


def _once_each(applications: Iterable[Application]) -> list[Application]:
    """Without those of people whose earlier application still stands: one place a person."""
    standing: dict[str, Application] = {}
    found = []
    for one in _ordered(applications):
        earlier = standing.get(one.user)
        if earlier is None or not _stands(earlier, one.applied_at):
            standing[one.user] = one
            found.append(one)
    return found


def _taken(places: int, line: list[Application]) -> list[Place]:
    """Applications come, places end: each in its time, an end before a beginning of the same instant."""
    free = places
    ends: list[tuple[datetime, int]] = []
    queue: list[Application] = []
    found: list[Place] = []

    def let_in(at: datetime) -> None:
        nonlocal free
        while free and queue:
            one = queue.pop(0)
            if one.left_at is not None and one.left_at <= at:
                continue  # left while waiting
            free -= 1
            found.append(Place(one.user, one.department, max(at, one.applied_at), one.left_at))
            if one.left_at is not None:
                heappush(ends, (one.left_at, len(found)))

    for one in _ordered(line):
        while ends and ends[0][0] <= one.applied_at:
            at, _ = heappop(ends)
            free += 1
            let_in(at)
        queue.append(one)
        let_in(one.applied_at)
    while ends and queue:
        at, _ = heappop(ends)
        free += 1
        let_in(at)
    return found


def _ordered(line: Iterable[Application]) -> list[Application]:
    return sorted(line, key=lambda one: (one.applied_at, one.user))


def _stands(one: Application, moment: datetime) -> bool:
    return one.applied_at <= moment and (one.left_at is None or moment < one.left_at)
