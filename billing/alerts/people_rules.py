"""What is due of people: pledges to sign (again), places in programmes that became free for somebody. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.alerts.alert import Due
from billing.periods import day_start, hour_start
from billing.programmes.places import places_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date, datetime

    from billing.pledges.pledge import PledgeRules, PledgeState
    from billing.programmes.programme import Application, Programme

LAST_DAYS = 7
"""Who has not signed again so many days before the end is reminded once more, more gravely."""


def pledges_due(
    states: Iterable[PledgeState], departments: Mapping[str, str], rules: PledgeRules, day: date
) -> Iterator[Due]:
    """A reminder for whom the pledge ends within `pledge.REMIND_DAYS`, and another within `LAST_DAYS`: once each for a
    signature's version and end. Who signed another version than the rules ask for is told so once for the version."""
    for state in states:
        department = departments.get(state.user)
        if state.state == "outdated":
            version = rules.version or ""
            content: dict[str, str | None] = {"case": "version", "user": state.user, "version": version}
            key = f"version/{len(version)}/{version}/{state.user}"
            yield Due("pledge", key, "warning", content, "user", state.user, department)
        elif state.state == "expiring" and state.signature is not None and state.ends_on is not None:
            version = state.signature.version
            content = {"user": state.user, "version": version or None, "ends_on": state.ends_on.isoformat()}
            is_last = (state.ends_on - day).days <= LAST_DAYS
            key = f"{'last/' if is_last else ''}{state.ends_on}/{len(version)}/{version}/{state.user}"
            yield Due("pledge", key, "warning" if is_last else "info", content, "user", state.user, department)


def places_due(
    programmes: Iterable[Programme], applications: Sequence[Application], moment: datetime, zone: str
) -> Iterator[Due]:
    """A place that became free and went to who was next in line: once for a programme, a person and the instant. Who
    got a place when applying was not waiting; a place that became free after the programme's last day is of no use."""
    applied = {(one.programme, one.user, one.applied_at) for one in applications}
    for programme in programmes:
        end = min(moment, hour_start(day_start(programme.ends_on, zone) - 1))
        for place in places_of(programme, applications):
            if place.since <= end and (programme.programme, place.user, place.since) not in applied:
                content = {
                    "programme": programme.programme,
                    "user": place.user,
                    "since": place.since.isoformat(),
                }
                key = f"{place.since.isoformat()}/{len(programme.programme)}/{programme.programme}/{place.user}"
                yield Due("place", key, "info", content, "user", place.user, place.department)
