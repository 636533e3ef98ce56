"""The forecast of a month, and of its year, for all departments: reading, and putting the rules of `forecast` to work.

Nothing asks the clock. A forecast is as of the last complete day with usage, so the same database says the same. A day
is complete when usage of a later day is there, when it was used in its last hour, or when a worker stored something
after it had ended; what is there of a day that has begun counts as far as it goes. With a day given (`as_of`), what was
used after it is left out, so that a forecast can be held against what came.

Of a month that has not ended the shortfall of a contract's minimum is left out: it shrinks as use grows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text

from billing.errors import BillingError
from billing.ledger.closes import is_closed
from billing.periods import hour_number, hour_start, load_zone, month_in
from billing.plans.costs import read_daily_costs
from billing.plans.day_classes import country_of, public_holidays
from billing.plans.forecast import Outlook, estimates_of, outlook
from billing.plans.month_totals import MonthTotals, Total, read_month_totals
from billing.sums import first_and_last_hour

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from billing.charges import Department
    from billing.periods import Month
    from billing.plans.day_classes import DayClass
    from billing.plans.forecast import Estimate
    from billing.policy import MoneyPolicy

WEEK = timedelta(days=7)
DAY = timedelta(days=1)
DEFAULT_WEEKS = 8
NOUGHT = Fraction(0)
NOTHING = Total(NOUGHT, Decimal(0), 0)


class NothingToForecast(BillingError):
    """There is no complete day with usage to forecast from: what is to come is unknown, which is not 0."""


class Span(NamedTuple):
    """The days from the first with usage to the last complete one, both included; the UTC hour of the last usage."""

    first: date
    last: date
    last_hour: int


class Part(NamedTuple):
    """What a department, or the organisation, spent in a period so far, and will have spent at its end. Exact."""

    so_far: Fraction
    end: Outlook

    def plus(self, other: Part) -> Part:
        """Two periods after each other."""
        return Part(self.so_far + other.so_far, self.end.plus(other.end))


@dataclass(frozen=True, slots=True)
class PeriodForecast:
    """A month (`2026-10`) or a year (`2026`). Departments by code, the unattributed account last.

    The organisation's `so_far` and `forecast` are the sums of its departments'; its range is narrower than the sum of
    theirs, because it comes from its own days.
    """

    period: str
    days_to_come: tuple[date, ...]
    departments: Mapping[Department, Part]
    organisation: Part
    unknown_quantity: int

    @property
    def is_finished(self) -> bool:
        """Whether the period has ended: then its forecast is what was booked."""
        return not self.days_to_come


@dataclass(slots=True)
class Forecaster:
    """Forecasts as of one day. The connection is a snapshot; what is read of a month is read once.

    `as_of` None: the last complete day with usage. `country`: whose holidays; None: the zone's. `more_days_off`: days
    that the package `holidays` does not know, as a government appoints them.
    """

    connection: Connection
    policy: MoneyPolicy
    as_of: date | None = None
    weeks: int = DEFAULT_WEEKS
    country: str | None = None
    more_days_off: frozenset[date] = frozenset()
    _span: Span | None = None
    _totals: dict[str, MonthTotals] = field(default_factory=dict)
    _daily: dict[str, dict[date, dict[Department, Decimal]]] = field(default_factory=dict)
    _series: dict[Department, dict[date, Decimal]] | None = None
    _days_off: dict[int, frozenset[date]] = field(default_factory=dict)

    @property
    def span(self) -> Span:
        """From which day to which usage is known. Raises NothingToForecast where there is none at all."""
        if self._span is None:
            known = read_span(self.connection, self.policy.zone)
            if known is None:
                raise NothingToForecast("there is no usage at all, so nothing can be forecast: ingest some first")
            self._span = known if self.as_of is None else known._replace(last=self.as_of)
        return self._span

    @property
    def window(self) -> list[date]:
        """The observed days: the last weeks before the as-of day, none before the first usage. Raises NothingToForecast
        where there is none."""
        first = max(self.span.first, self.span.last - self.weeks * WEEK + DAY)
        days = [first + place * DAY for place in range((self.span.last - first).days + 1)]
        if not days:
            raise NothingToForecast(
                f"usage begins on {self.span.first}, and no complete day is known up to {self.span.last}, so nothing "
                "can be forecast: wait for that day's end, or name a later day with --as-of"
            )
        return days

    def month(self, month: str) -> PeriodForecast:
        """The forecast of a month; of one that has ended, its total. Raises BillingError for a bad month."""
        return self._period(month, [month])

    def year(self, year: str) -> PeriodForecast:
        """The forecast of a calendar year, which is the fiscal year of Korean local governments."""
        return self._period(year, [f"{year}-{number:02}" for number in range(1, 13)])

    def totals(self, month: str) -> MonthTotals:
        """The statements' totals of a month; of one that nothing was used in yet, none."""
        if month not in self._totals:
            when = self._when(month)
            had_no_use = when.first_hour > self.span.last_hour or when.days[-1] < self.span.first
            if had_no_use and not is_closed(self.connection, month):
                self._totals[month] = MonthTotals(month, {}, is_closed=False)
            else:
                self._totals[month] = read_month_totals(self.connection, month, self.policy)
        return self._totals[month]

    def days_off(self, days: Sequence[date]) -> frozenset[date]:
        """The public holidays of the years of some days, and the days off that were named beside them."""
        country = self.country or country_of(self.policy.zone)
        for year in {day.year for day in days} - self._days_off.keys():
            self._days_off[year] = public_holidays(country, [year])
        return self.more_days_off.union(*(self._days_off[year] for year in {day.year for day in days}))

    def _period(self, period: str, months: Sequence[str]) -> PeriodForecast:
        departments: dict[Department, Part] = {}
        organisation: Part | None = None
        to_come: list[date] = []
        for month in months:
            days = [day for day in self._when(month).days if day > self.span.last]
            found, whole = self._to_come(month, days) if days else self._finished(month)
            for code, part in found.items():
                departments[code] = departments[code].plus(part) if code in departments else part
            organisation = whole if organisation is None else organisation.plus(whole)
            to_come += days
        assert organisation is not None
        ordered = {code: departments[code] for code in sorted(departments, key=lambda code: (code is None, code or ""))}
        unknown = sum(self.totals(month).unknown_quantity for month in months)
        return PeriodForecast(period, tuple(to_come), ordered, organisation, unknown)

    def _finished(self, month: str) -> tuple[dict[Department, Part], Part]:
        """A month that has ended is what was booked."""
        parts = {
            code: Part(amount, Outlook(amount, amount, amount))
            for code, total in self.totals(month).by_department.items()
            for amount in [Fraction(total.booked)]
        }
        return parts, _sum_of(parts)

    def _to_come(self, month: str, days: Sequence[date]) -> tuple[dict[Department, Part], Part]:
        """A month of which `days` are still to come."""
        window, totals, daily = self.window, self.totals(month), self._daily_of(month)
        days_off = self.days_off([*window, *days])
        begun = {day: daily[day] for day in days if day in daily}
        counted = begun if self.as_of is None else {}
        series = self._observed()
        parts: dict[Department, Part] = {}
        for code in totals.by_department.keys() | series.keys():
            total = totals.by_department.get(code, NOTHING)
            used = {day: Fraction(costs[code]) for day, costs in begun.items() if code in costs}
            base = total.exact - total.shortfall - _fraction_sum(used.values())
            estimates = estimates_of(window, series.get(code, {}), days_off)
            parts[code] = _part(base, days, used if counted else {}, estimates, days_off)
        whole = _sum_of(parts)
        everybody = {day: _fraction_sum(costs.values()) for day, costs in begun.items()}
        base = whole.so_far - (_fraction_sum(everybody.values()) if counted else NOUGHT)
        sums = {day: sum((Fraction(costs.get(day, Decimal(0))) for costs in series.values()), NOUGHT) for day in window}
        own = _part(base, days, everybody if counted else {}, estimates_of(window, sums, days_off), days_off).end
        forecast = whole.end.forecast
        return parts, Part(whole.so_far, Outlook(min(own.low, forecast), forecast, max(own.high, forecast)))

    def _observed(self) -> dict[Department, dict[date, Decimal]]:
        """What each department's observed days cost."""
        if self._series is None:
            self._series = {}
            days = set(self.window)
            for month in sorted({f"{day:%Y-%m}" for day in days}):
                for day, costs in self._daily_of(month).items():
                    if day in days:
                        for code, cost in costs.items():
                            self._series.setdefault(code, {})[day] = cost
        return self._series

    def _daily_of(self, month: str) -> dict[date, dict[Department, Decimal]]:
        if month not in self._daily:
            when = self._when(month)
            is_to_come = when.first_hour > self.span.last_hour
            self._daily[month] = {} if is_to_come else read_daily_costs(self.connection, when, self.policy)
        return self._daily[month]

    def _when(self, month: str) -> Month:
        return month_in(month, self.policy.zone)


def read_span(connection: Connection, zone: str) -> Span | None:
    """The days of which usage is known; None where there is no usage."""
    hours = first_and_last_hour(connection)
    if hours is None:
        return None
    stored_at = connection.execute(text("select max(committed_at) from stream_chunk")).scalar_one()
    stored_hour = None if stored_at is None else hour_number(stored_at)
    return Span(_day_of(hours[0], zone), last_complete_day(hours[1], stored_hour, zone), hours[1])


def last_complete_day(last_hour: int, stored_hour: int | None, zone: str) -> date:
    """The day of the last usage, or the one before where that day has not ended as far as anybody can tell.

    `last_hour` is the UTC hour of the last usage, `stored_hour` the one in which a worker last stored something. Pure.
    """
    day = _day_of(last_hour, zone)
    was_used_to_its_end = _day_of(last_hour + 1, zone) > day
    was_stored_later = stored_hour is not None and _day_of(stored_hour, zone) > day
    return day if was_used_to_its_end or was_stored_later else day - DAY


def _day_of(hour: int, zone: str) -> date:
    return hour_start(hour).astimezone(load_zone(zone)).date()


def _part(
    base: Fraction,
    days: Sequence[date],
    begun: Mapping[date, Fraction],
    estimates: Mapping[DayClass, Estimate],
    days_off: frozenset[date],
) -> Part:
    return Part(base + _fraction_sum(begun.values()), outlook(base, days, begun, estimates, days_off))


def _sum_of(parts: Mapping[Department, Part]) -> Part:
    whole = Part(NOUGHT, Outlook(NOUGHT, NOUGHT, NOUGHT))
    for part in parts.values():
        whole = whole.plus(part)
    return whole


def _fraction_sum(costs: Iterable[Fraction | Decimal]) -> Fraction:
    return sum((Fraction(cost) for cost in costs), NOUGHT)
