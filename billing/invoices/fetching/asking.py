"""Which requests make up a vendor's month. Pure: the month, today and what can be read decide.

Only days that have ended are asked for, so that no part of a day is taken for the whole. A month that still runs, and
one whose last day is today, is provisional.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from billing.invoices.fetching.apis import Grain, Surface, VendorApi
from billing.invoices.fetching.errors import FetchRefused, NothingToFetch
from billing.periods import Month, month_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

DAY_S = 86_400
API_ZONE = "UTC"
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, or the first of a chain of pages. `days` are those that its answer may speak about."""

    surface: Surface
    path: str
    parameters: tuple[tuple[str, str], ...]
    days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask for a month. `notes` say what is not asked, and why."""

    month: Month
    asks: tuple[Ask, ...]
    days: tuple[date, ...]
    is_provisional: bool
    notes: tuple[str, ...]


def plan_month(
    api: VendorApi, month: Month, now: datetime, readable: Collection[str], team: str | None = None
) -> Plan:
    """The requests of a month. `readable` are the formats that an importer reads; `team` stands in xAI's paths.

    Raises NothingToFetch for a month that lies ahead or behind what the API keeps, FetchRefused where the register's
    zone is another than the API's or where no importer reads what the API answers.
    """
    _refuse_zone(api, month)
    today = now.astimezone(UTC).date()
    ended = tuple(day for day in month.days if day < today)
    runs = len(ended) < len(month.days)
    if not ended:
        ahead = "has not begun" if month.days[0] > today else "began today, and only days that have ended are fetched"
        raise NothingToFetch(f"{month.name} {ahead} (today is {today} in UTC): fetch it later; nothing was asked")
    asks: list[Ask] = []
    notes: list[str] = []
    for surface in api.surfaces:
        if surface.knows_running_months not in {None, runs}:
            continue
        if surface.format not in readable:
            notes.append(f"{surface.name} ({surface.path}) is not asked: no importer reads {surface.format} yet")
            continue
        kept, lost = _kept(surface, ended, today)
        if lost:
            notes.append(f"{surface.name} is not asked for {len(lost)} days until {lost[-1]}: {_bring(surface)}")
        asks += _asks(surface, month, kept, team)
    if not asks:
        raise (FetchRefused if not any("until" in note for note in notes) else NothingToFetch)(
            f"nothing of {api.names[0]} {month.name} can be fetched: {'; '.join(notes)}; bring the vendor's files to "
            "`jangbu invoice import`; nothing was asked"
        )
    return Plan(month, tuple(asks), ended, runs, tuple(notes))


def windows(days: Sequence[date], days_max: int) -> Iterator[tuple[date, ...]]:
    """The days in pieces of at most so many, in order."""
    for start in range(0, len(days), days_max):
        yield tuple(days[start : start + days_max])


def _refuse_zone(api: VendorApi, month: Month) -> None:
    """The API counts UTC days; under another zone they would be taken for days that they are not."""
    if month_in(month.name, API_ZONE).day_hours != month.day_hours:
        raise FetchRefused(
            f"{api.names[0]}'s API counts days of {API_ZONE}, but the register has the zone {month.zone}: correct "
            "`zone` with `jangbu vendor import`; nothing was asked"
        )


def _kept(surface: Surface, ended: Sequence[date], today: date) -> tuple[list[date], list[date]]:
    """(days that the API still answers for, days that it no longer does)."""
    if surface.back_days_max is None:
        return list(ended), []
    oldest = today - timedelta(days=surface.back_days_max)
    return [day for day in ended if day >= oldest], [day for day in ended if day < oldest]


def _bring(surface: Surface) -> str:
    return f"the API keeps {surface.back_days_max} ended days; bring the vendor's export of the rest"


def _asks(surface: Surface, month: Month, days: Sequence[date], team: str | None) -> Iterator[Ask]:
    """The requests of one surface, oldest days first."""
    path = surface.path.format(team=team or "")
    year, number = str(int(month.name[:4])), str(int(month.name[5:]))
    match surface.grain:
        case Grain.UNIX_DAYS | Grain.RFC3339_DAYS:
            for window in windows(days, surface.days_max):
                yield Ask(surface, path, _bucket_parameters(surface, window), window)
        case Grain.ONE_DAY:
            for day in days:
                yield Ask(surface, path, (("date", day.isoformat()),), (day,))
        case Grain.CYCLE:
            yield Ask(surface, path, (("billingCycle.year", year), ("billingCycle.month", number)), month.days)
        case Grain.PREVIEW:
            yield Ask(surface, path, (), month.days)
        case Grain.MONTH:
            yield Ask(surface, path, (("month", number), ("year", year)), month.days)


def _bucket_parameters(surface: Surface, window: Sequence[date]) -> tuple[tuple[str, str], ...]:
    first, end = window[0], window[-1] + ONE_DAY
    if surface.grain is Grain.UNIX_DAYS:
        between = (("start_time", str(unix_seconds(first))), ("end_time", str(unix_seconds(end))))
    else:
        between = (("starting_at", f"{first}T00:00:00Z"), ("ending_at", f"{end}T00:00:00Z"))
    groups = tuple(("group_by[]", name) for name in surface.groups)
    return (*between, ("bucket_width", "1d"), ("limit", str(len(window))), *groups)


def unix_seconds(day: date) -> int:
    """When a UTC day begins."""
    return (day - date(1970, 1, 1)).days * DAY_S


def day_of_bucket(surface: Surface, bucket: object) -> date | None:
    """The UTC day in which a bucket begins; None where it does not say so in the surface's way."""
    if not isinstance(bucket, dict):
        return None
    if surface.grain is Grain.UNIX_DAYS:
        start = bucket.get("start_time")
        if type(start) is not int or not 0 <= start < 2**33:
            return None
        return date(1970, 1, 1) + timedelta(days=start // DAY_S)
    try:
        begins = datetime.fromisoformat(str(bucket.get("starting_at")))
    except ValueError:
        return None
    return None if begins.tzinfo is None else begins.astimezone(UTC).date()
