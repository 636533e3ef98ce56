"""What is due of the pipeline: records that wait and are not read, a Kafka that does not answer, and sources that say
nothing. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from billing.alerts.alert import Due
from billing.periods import HOUR_SECONDS, hour_start, load_zone, local_seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import datetime

SECONDS_A_WEEK = 7 * 24 * HOUR_SECONDS
WEEKS = 4
ACTIVE_MIN = 3
"""An hour of the week is usually busy where a source was heard in so many of the last `WEEKS` weeks."""
MISSED_MIN = 3
"""So many busy hours in a row without a word are longer than usual."""


class Standing(NamedTuple):
    """A partition where records wait: read up to `offset`, and there is more up to `end`. `since`: when it was first
    seen to stand there."""

    log: int
    partition: int
    offset: int
    end: int
    since: datetime


class Away(NamedTuple):
    """Kafka does not say what it holds. `stored`: the offsets of all partitions up to which records are stored, added
    up; `since`: when it was first seen not to answer."""

    stored: int
    since: datetime


def late_due(places: Iterable[Standing | Away], moment: datetime, late_s: int) -> Iterator[Due]:
    """Once for a place in a partition: where it goes on and stands still again, it is told again. Where Kafka does not
    answer, once for how far everything has been stored."""
    for place in places:
        if isinstance(place, Away):
            if moment - place.since >= timedelta(seconds=late_s):
                content = {"case": "away", "since": place.since.isoformat()}
                yield Due("late", f"away/{place.stored}", "critical", content)
        elif place.end > place.offset and moment - place.since >= timedelta(seconds=late_s):
            yield Due(
                "late",
                f"{place.log}/{place.partition}/{place.offset}",
                "critical",
                {
                    "partition": str(place.partition),
                    "offset": str(place.offset),
                    "waiting": str(place.end - place.offset),
                    "since": place.since.isoformat(),
                },
            )


def silent_due(heard: Mapping[str, Collection[int]], now_hour: int, zone: str) -> Iterator[Due]:
    """`heard`: the UTC hours in which each source was heard, of the last five weeks at least. Once for a silence, which
    is known by the last hour in which the source was heard. The hour that runs does not count."""
    for source, hours in heard.items():
        last = max((hour for hour in hours if hour < now_hour), default=None)
        if last is None or any(hour >= now_hour for hour in hours):
            continue
        missed = _busy_hours(hours, last + 1, now_hour, zone)
        if missed >= MISSED_MIN:
            yield Due(
                "silent",
                f"{last}/{source}",
                "critical",
                {"source": source, "last_seen": hour_start(last).isoformat(), "hours": str(missed)},
            )


def _busy_hours(heard: Collection[int], first_hour: int, end_hour: int, zone: str) -> int:
    """In how many hours of [first_hour, end_hour) a source is usually heard: at this hour of the local week."""
    tz = load_zone(zone)
    at = {local_seconds(hour, tz) for hour in heard}
    busy = 0
    for hour in range(first_hour, end_hour):
        now = local_seconds(hour, tz)
        busy += sum(now - week * SECONDS_A_WEEK in at for week in range(1, WEEKS + 1)) >= ACTIVE_MIN
    return busy
