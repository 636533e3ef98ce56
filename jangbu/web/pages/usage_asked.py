"""What the address of the usage page asks for: which days, by which dimensions, of what, compared with what.

Values of a dimension that nobody told are written `unattributed` (departments) or `(none)`. Where people are shown by
pseudonyms they are asked for by pseudonyms too. A head asks within the own departments.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import text

from billing.periods import hour_number, month_in, month_of_hour
from billing.pseudonyms import PERSONAL
from billing.sentences import Sentence
from billing.sums import PAYER_DIMENSIONS, ROUTE_DIMENSIONS, first_and_last_hour
from billing.usage import DIMENSIONS as OF_COMMAND
from billing.usage_slice import DAY, TIMES, Slice
from jangbu.errors import UsageError
from jangbu.web.answers import Refused
from jangbu.web.views import Parameter

if TYPE_CHECKING:
    from billing.pseudonyms import Pseudonyms
    from billing.sums import Filters
    from jangbu.web.views import Ask

DIMENSIONS: Final = (*TIMES, *(name for name in OF_COMMAND if name not in TIMES))
FILTERS: Final = tuple(name for name in OF_COMMAND if name not in TIMES)
SORTS: Final = ("cost", "quantity", "group", "difference")
MEASURES: Final = ("cost", "quantity")
PREVIOUS: Final = "previous"
NOTHING: Final = "(none)"
UNATTRIBUTED: Final = "unattributed"
DAYS_MAX: Final = 3 * 366
HOURS_DAYS_MAX: Final = 31
PERSON_DAYS_MAX: Final = 366
BY_MAX: Final = 5
YEARS: Final = (1975, 9990)
PARAMETERS: Final = (
    Parameter("month", "the organisation's month, YYYY-MM; the present one where nothing is given", example="2026-10"),
    Parameter("from", "from this day, week, month or year on", example="2026-10-01"),
    Parameter("to", "up to the end of this day, week, month or year", example="2026-10-31"),
    Parameter("by", "what rows are told apart by; model where not given", DIMENSIONS, many=True),
    *(Parameter(name, f"only these values of {name}; {NOTHING} is not told", many=True) for name in FILTERS),
    Parameter("compare", f"another period beside it: {PREVIOUS}, or a month", example=PREVIOUS),
    Parameter("sort", "the order of rows", SORTS),
    Parameter("show", "what the chart shows", MEASURES),
)


class Period(NamedTuple):
    """Local days, both included; `hour`: that UTC hour alone."""

    first: date
    last: date
    hour: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A usage question. `filters` are as asked, with pseudonyms; `wanted` has names. `earlier`: what it is compared
    with."""

    wanted: Slice
    by: tuple[str, ...]
    filters: Mapping[str, tuple[str, ...]]
    earlier: Slice | None
    compare: str | None
    sort: str
    measure: str

    @property
    def key(self) -> tuple[Hashable, ...]:
        """All that is asked, of what rows and figures depend on."""
        wanted = self.wanted
        filters = tuple((name, tuple(values)) for name, values in sorted(wanted.filters.items()))
        earlier = None if self.earlier is None else (self.earlier.first, self.earlier.last, self.earlier.hour)
        shown = self.by, self.compare, self.sort, self.measure
        return (wanted.first, wanted.last, wanted.hour, filters, earlier, *shown)

    @property
    def end_hour(self) -> int:
        """The UTC hour from which on no use is asked for."""
        return max(one.end_hour for one in (self.wanted, self.earlier) if one is not None)

    @property
    def is_one_unit(self) -> bool:
        """Whether all rows are of one unit, so that quantities add up."""
        return len(self.filters.get("unit", ())) == 1


def read_asked(ask: Ask) -> Asked:
    """What the query asks. Raises UsageError for what is none, Refused where a head asks for another department."""
    zone = ask.books.settings.timezone
    period = _period(ask)
    by = _by(ask, period)
    shown = _filters(ask)
    wanted = Slice(period.first, period.last, zone, _named(ask, shown), period.hour)
    compare = ask.one("compare")
    earlier = None if compare is None else _earlier(compare, wanted)
    if earlier is not None and set(by) & set(TIMES):
        raise UsageError(
            Sentence(
                "two periods are compared by what is in both: take %(times)s out of `by`, or compare "
                "nothing",
                times=", ".join(TIMES),
            )
        )
    sort = _word(ask, "sort", SORTS, "group" if set(by) & set(TIMES) else "cost")
    measure = _word(ask, "show", MEASURES, "cost")
    return Asked(wanted, by, shown, earlier, compare, sort, measure)


def choices_of(wanted: Slice, today: date) -> list[dict[str, Any]]:
    """Periods that are often asked for, and the ones before and after the asked one, by name: first and last day. None
    is later than today."""
    month = today.replace(day=1)
    before = month - DAY
    found = {
        "today": (today, today), "last_7_days": (today - 6 * DAY, today), "this_month": (month, today),
        "last_month": (before.replace(day=1), before), "this_year": (today.replace(month=1, day=1), today),
    }  # fmt: skip
    for name, step in (("earlier", wanted.before), ("later", wanted.after)):
        try:
            beside = step()
        except (ValueError, OverflowError):  # before the first year, or after the last
            continue
        if beside.first <= today:
            found[name] = beside.first, beside.last
    asked = wanted.first, wanted.last
    return [{"name": name, "from": days[0], "to": days[1], "is_asked": days == asked and wanted.hour is None}
            for name, days in found.items()]  # fmt: skip


def value_word(dimension: str, value: object) -> str:
    """How a value of a row is written in an address."""
    if value is None:
        return UNATTRIBUTED if dimension == "department" else NOTHING
    return str(value)


def _word(ask: Ask, name: str, words: tuple[str, ...], default: str) -> str:
    found = ask.one(name, default) or default
    if found not in words:
        raise UsageError(
            Sentence("%(name)s is %(found)s: use %(known)s", name=name, found=repr(found), known=" or ".join(words))
        )
    return found


def _by(ask: Ask, period: Period) -> tuple[str, ...]:
    by = tuple(dict.fromkeys(ask.many("by"))) or ("model",)
    for name in by:
        if name not in DIMENSIONS:
            raise UsageError(
                Sentence("by has %(name)s: use any of %(known)s", name=repr(name), known=", ".join(DIMENSIONS))
            )
    if len(by) > BY_MAX:
        raise UsageError(Sentence("by names %(count)s dimensions: name at most %(most)s", count=len(by), most=BY_MAX))
    days = (period.last - period.first).days + 1
    for names, most in ((("hour",), HOURS_DAYS_MAX), (PERSONAL, PERSON_DAYS_MAX)):
        if set(by) & set(names) and days > most:
            told = " and ".join(sorted(set(by) & set(names)))
            raise UsageError(
                Sentence(
                    "%(days)s days by %(told)s: ask for at most %(most)s days of them",
                    days=days, told=told, most=most,
                )
            )
    return by


def _period(ask: Ask) -> Period:
    """The days asked for: `from` and `to`, else `month`, else the present month."""
    first, last = ask.one("from"), ask.one("to")
    if first is None and last is None:
        return _stretch(ask.month())
    begins, ends = _stretch(first or last or ""), _stretch(last or first or "")
    if ends.last < begins.first:
        raise UsageError(
            Sentence(
                "the period ends with %(last)s before it begins with %(first)s: change one of them",
                last=last, first=first,
            )
        )
    if (ends.last - begins.first).days >= DAYS_MAX:
        raise UsageError(Sentence("the period has more than %(most)s days: ask for a shorter one", most=DAYS_MAX))
    is_hour = begins.hour is not None and begins == ends
    return Period(begins.first, ends.last, begins.hour if is_hour else None)


_SHAPES: Final = (
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:00:00Z"), "hour"),
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), "day"), (re.compile(r"[0-9]{4}-W[0-9]{2}"), "week"),
    (re.compile(r"[0-9]{4}-[0-9]{2}"), "month"), (re.compile(r"[0-9]{4}"), "year"),
)  # fmt: skip


def _stretch(words: str) -> Period:
    """The days of a day, an ISO week, a month or a year; of an hour, written as rows write it, the hour itself."""
    kind = next((kind for shape, kind in _SHAPES if shape.fullmatch(words)), None)
    if kind is not None and not YEARS[0] <= int(words[:4]) <= YEARS[1]:
        raise UsageError(
            Sentence(
                "%(words)s is outside of the years %(first)s to %(last)s: ask for days within them",
                words=repr(words), first=YEARS[0], last=YEARS[1],
            )
        )
    try:
        if kind == "hour":
            moment = date.fromisoformat(words[:10])
            number = hour_number(datetime.fromisoformat(words))
            return Period(moment - timedelta(days=1), moment + timedelta(days=1), number)
        if kind == "day":
            return Period(date.fromisoformat(words), date.fromisoformat(words))
        if kind == "week":
            monday = date.fromisocalendar(int(words[:4]), int(words[6:]), 1)
            return Period(monday, monday + timedelta(days=6))
        if kind == "month":
            month = month_in(words, "UTC")
            return Period(month.days[0], month.days[-1])
        if kind == "year":
            return Period(date(int(words), 1, 1), date(int(words), 12, 31))
    except (ValueError, OverflowError):
        pass
    raise UsageError(
        Sentence("%(words)s is no day (2026-10-03), week (2026-W41), month (2026-10) or year (2026)", words=repr(words))
    )


def _earlier(compare: str, wanted: Slice) -> Slice:
    if compare == PREVIOUS:
        return wanted.before()
    found = _stretch(compare)
    return Slice(found.first, found.last, wanted.zone, wanted.filters)


def _filters(ask: Ask) -> dict[str, tuple[str, ...]]:
    """Filters as asked; `field` and `value` of the form add one. A head's are within the own departments."""
    found = {name: tuple(dict.fromkeys(ask.many(name))) for name in FILTERS}
    field, value = ask.one("field"), ask.one("value")
    if field is not None and value is not None:
        if field not in FILTERS:
            raise UsageError(
                Sentence(
                    "%(field)s is nothing to filter by: use %(known)s", field=repr(field), known=", ".join(FILTERS)
                )
            )
        found[field] = tuple(dict.fromkeys((*found[field], value)))
    if any("\0" in value for values in found.values() for value in values):
        raise UsageError(Sentence("a filter holds a sign of no name (NUL): take it out"))
    if ask.scope is not None:
        own = tuple(sorted(ask.scope))
        foreign = [one for one in found["department"] if one not in ask.scope]
        if foreign:
            sentence = Sentence("department %(code)s is not yours: leave it out of the filter", code=repr(foreign[0]))
            raise Refused(403, "rights", sentence)
        found["department"] = found["department"] or own or ("",)
    return {name: values for name, values in found.items() if values}


def _named(ask: Ask, shown: Mapping[str, tuple[str, ...]]) -> Filters:
    """Filters as they stand in the database: names instead of pseudonyms, None for nothing told."""
    people = ask.books.people if ask.scope is None else None
    found: dict[str, tuple[str | None, ...]] = {}
    for name, values in shown.items():
        names = _names_of(ask, people, name) if people is not None and name in PERSONAL else {}
        nothing = value_word(name, None)
        found[name] = tuple(
            None if value == nothing else names.get(value, "") if names else value for value in values
        )
    return found


def _names_of(ask: Ask, people: Pseudonyms, column: str) -> dict[str, str]:
    """Every name of a personal column by its pseudonym."""
    names = ask.connection.execute(text(f"select distinct {PAYER_DIMENSIONS[column]} from payer")).scalars()
    return {people.of(column, name): name for name in names if name is not None} | {"": ""}


def last_used_month(ask: Ask) -> str | None:
    """The month of the last use there is; None where there is none."""
    hours = first_and_last_hour(ask.connection)
    if hours is None:
        return None
    return month_of_hour(hours[1], ask.books.settings.timezone)


assert set(FILTERS) <= {*PAYER_DIMENSIONS, *ROUTE_DIMENSIONS, "unit"}
