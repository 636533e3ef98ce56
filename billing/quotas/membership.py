"""Whose use counts for which programme: people with a place, in whole UTC hours, of the programme's models. Pure.

The same hours as of a programme's own figures (`billing.programmes.use`): from the one in which a place is taken to the
one in which it is left, both included, within the programme's days.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from billing.periods import day_start, hour_number
from billing.programmes.places import places_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from billing.programmes.programme import Application, Programme


class _Stay(NamedTuple):
    """A person's hours in a programme, half-open."""

    first_hour: int
    end_hour: int
    programme: Programme


class Members:
    """Who has a place when.

    Args:
        programmes: those that count.
        applications: those that count, of any programme.
        zone: the organisation's, whose days begin and end a programme.
    """

    def __init__(self, programmes: Iterable[Programme], applications: Sequence[Application], zone: str) -> None:
        self._stays: dict[str, list[_Stay]] = {}
        for programme in programmes:
            first, end = day_start(programme.starts_on, zone), day_start(programme.ends_on, zone)
            for place in places_of(programme, applications):
                since = max(first, hour_number(place.since))
                until = end if place.until is None else min(end, hour_number(place.until) + 1)
                if since < until:
                    self._stays.setdefault(place.user, []).append(_Stay(since, until, programme))

    def __bool__(self) -> bool:
        """Whether anybody has a place at any time."""
        return bool(self._stays)

    def of(self, user: object, hour: int, model: str | None) -> tuple[str, ...]:
        """The programmes for which a person's use of a model in a UTC hour counts; without a model: of any."""
        stays = self._stays.get(user, ()) if isinstance(user, str) else ()
        return tuple(
            sorted(
                {
                    stay.programme.programme
                    for stay in stays
                    if stay.first_hour <= hour < stay.end_hour and (model is None or stay.programme.allows(model))
                }
            )
        )

    def edges(self, first_hour: int, end_hour: int) -> set[int]:
        """The hours strictly between two at which somebody's place begins or ends: no sum may cross them."""
        stays = [stay for own in self._stays.values() for stay in own]
        found = {edge for stay in stays for edge in (stay.first_hour, stay.end_hour)}
        return {edge for edge in found if first_hour < edge < end_hour}


NOBODY = Members((), (), "UTC")
