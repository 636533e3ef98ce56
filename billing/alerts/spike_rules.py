"""Far more use than is usual at this weekday and hour. Pure and exact: medians of whole numbers, no floats.

Usual is the median of the same hour of the week in the weeks before, and how far they scatter is the median absolute
deviation (MAD), times 1.4826, which makes it comparable to a standard deviation (Rousseeuw and Croux 1993). Both stay
where they are when one of eight weeks was odd.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from billing.alerts.alert import Due
from billing.periods import hour_number, hour_start, load_zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

WEEKS = 8
WEEKS_MIN = 4
"""Less history says nothing about what is usual."""
DEVIATIONS = 6
_MAD_TO_DEVIATION = Fraction(14826, 10000)
TIMES_MIN = 2
"""However little the weeks scatter: at least so many times the usual."""
TOKENS_MIN = 20_000
TOKENS_MIN_FROM_NOTHING = 200_000
"""So much more than usual at least, and so much where nothing is usual: small offices are jumpy."""


class Usual(NamedTuple):
    """What weeks before had in one hour: median, and what is more than it must be exceeded to be a spike."""

    median: Fraction
    bar: Fraction
    weeks: int


class HourUse(NamedTuple):
    """Tokens of a department (None: of the organisation) in a UTC hour, and in the same hour of weeks before: of those
    in which it was known already."""

    department: str | None
    hour: int
    tokens: int
    before: tuple[int, ...]


def median(values: Sequence[int] | Sequence[Fraction]) -> Fraction:
    """The middle one, or the mean of the middle two. Raises ValueError without any."""
    if not values:
        raise ValueError("no value has no median")
    ordered = sorted(Fraction(value) for value in values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def usual_of(before: Sequence[int]) -> Usual | None:
    """What is usual; None where too few weeks are known."""
    if len(before) < WEEKS_MIN:
        return None
    middle = median(before)
    scatter = median([abs(value - middle) for value in before])
    more = max(
        DEVIATIONS * _MAD_TO_DEVIATION * scatter,
        (TIMES_MIN - 1) * middle,
        Fraction(TOKENS_MIN if middle else TOKENS_MIN_FROM_NOTHING),
    )
    return Usual(middle, middle + more, len(before))


def spikes_due(uses: Iterable[HourUse], zone: str) -> Iterator[Due]:
    """Once a local day for a department and for the organisation; the hour that runs counts as far as it goes."""
    for use in uses:
        usual = usual_of(use.before)
        if usual is None or use.tokens <= usual.bar:
            continue
        day = hour_start(use.hour).astimezone(load_zone(zone)).date()
        is_whole = use.department is None
        yield Due(
            "spike",
            f"{day}/{'organisation' if is_whole else 'department'}/{use.department or ''}",
            "warning",
            {
                "unit": "tokens",
                "hour_start": hour_start(use.hour).isoformat(),
                "seen": str(use.tokens),
                "usual": str(int(usual.median)),
                "weeks": str(usual.weeks),
            },
            "organisation" if is_whole else "department",
            use.department or "",
            use.department,
        )


def hours_before(hour: int, zone: str) -> list[int]:
    """The same hour of the local week in the weeks before, as UTC hours, the nearest first. An hour that a clock change
    leaves out is left out."""
    tz = load_zone(zone)
    here = hour_start(hour).astimezone(tz)
    found = []
    for week in range(1, WEEKS + 1):
        wall = (here - timedelta(weeks=week)).replace(tzinfo=tz)
        moment = wall.astimezone(UTC)
        if moment.astimezone(tz).hour == here.hour:
            found.append(hour_number(moment))
    return found


def uses_of(
    tokens: Mapping[tuple[str | None, int], int],
    hours: Sequence[int],
    since: Mapping[str | None, int],
    zone: str,
) -> Iterator[HourUse]:
    """Tokens by department and hour as what the rule looks at; the organisation under None. `since`: the first hour
    with use of each, before which nothing was usual."""
    for hour in hours:
        before = hours_before(hour, zone)
        for department in {name for name, at in tokens if at == hour}:
            first = since.get(department, hour)
            yield HourUse(
                department,
                hour,
                tokens[department, hour],
                tuple(tokens.get((department, one), 0) for one in before if one >= first),
            )

