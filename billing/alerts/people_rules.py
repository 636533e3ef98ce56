"""What is due of people: pledges to sign again, places in programmes that became free for somebody. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.alerts.alert import Due
from billing.programmes.places import places_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from billing.pledges.pledge import PledgeState
    from billing.programmes.programme import Application, Programme


def pledges_due(states: Iterable[PledgeState], departments: Mapping[str, str]) -> Iterator[Due]:
    """A reminder for whom the pledge ends within `pledge.REMIND_DAYS`: once for a signature's version and end."""
    for state in states:
        if state.state == "expiring" and state.signature is not None and state.ends_on is not None:
            version = state.signature.version
            content = {"user": state.user, "version": version or None, "ends_on": state.ends_on.isoformat()}
            key = f"{state.ends_on}/{len(version)}/{version}/{state.user}"
            yield Due("pledge", key, "info", content, "user", state.user, departments.get(state.user))


def places_due(
    programmes: Iterable[Programme], applications: Sequence[Application], moment: datetime
) -> Iterator[Due]:
    """A place that became free and went to who was next in line: once for a programme, a person and the instant. Who
    got a place when applying was not waiting."""
    applied = {(one.programme, one.user, one.applied_at) for one in applications}
    for programme in programmes:
        for place in places_of(programme, applications):
            if place.since <= moment and (programme.programme, place.user, place.since) not in applied:
                content = {
                    "programme": programme.programme,
                    "user": place.user,
                    "since": place.since.isoformat(),
                }
                key = f"{place.since.isoformat()}/{len(programme.programme)}/{programme.programme}/{place.user}"
                yield Due("place", key, "info", content, "user", place.user, place.department)
