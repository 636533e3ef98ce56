"""Seats against use as a document (contract.md, section 3, plan compare): reading the months, and showing figures.

A seat's price is what is paid for one person and month, tax included; a person's use is taken with the tax that
statements compute on it. Amounts are exact until they are shown: the mixture is rounded once, like a statement's total.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Connection, text

from billing.errors import BillingError
from billing.money import exact, exact_text, plain
from billing.periods import hour_start, month_in
from billing.plans.costs import read_payer_costs
from billing.plans.forecasting import Forecaster
from billing.plans.month_totals import read_month_totals
from billing.plans.seats import Comparison, Payer, PersonUse, people_of
from billing.rounding import round_total

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from billing.policy import MoneyPolicy

SeatsFrom = Literal["option", "roster", "usage"]
MONTHS_MAX = 120


@dataclass(frozen=True, slots=True)
class ComparedMonth:
    """One month's figures. `scale` is what its forecast is of its use so far: 1 without a forecast."""

    month: str
    seats: int
    seats_from: SeatsFrom
    usage_exact: Fraction
    usage_total: Decimal
    costs: dict[Payer, Fraction]
    unknown_quantity: int
    scale: Fraction


def months_between(words: str) -> list[str]:
    """The months of `A..B`, both included. Raises BillingError for another form, or too many."""
    first, dots, last = words.partition("..")
    if not dots:
        raise BillingError(f"--months is {words!r}: write the first and the last month, as in 2026-07..2026-10")
    for name in (first, last):
        month_in(name, "UTC")
    numbers = [int(name[:4]) * 12 + int(name[5:]) - 1 for name in (first, last)]
    if not 0 <= numbers[1] - numbers[0] < MONTHS_MAX:
        raise BillingError(f"--months is {words!r}: let the last month follow the first, at most {MONTHS_MAX} of them")
    return [f"{number // 12:04}-{number % 12 + 1:02}" for number in range(numbers[0], numbers[1] + 1)]


def read_month(
    connection: Connection, month: str, policy: MoneyPolicy, seats: int | None, *, as_forecast: bool = False,
    days_off: frozenset[date] = frozenset(),
) -> ComparedMonth:  # fmt: skip
    """What a month's comparison needs; the connection is a snapshot. `seats` None: one for each person of the roster as
    of the month's end, or, where the roster names nobody, for each person with use. `days_off`: beside the holidays
    that a forecast knows."""
    when = month_in(month, policy.zone)
    totals = read_month_totals(connection, month, policy)
    costs = {payer: Fraction(cost) for payer, cost in read_payer_costs(connection, when, policy).items()}
    usage_exact, usage_total, scale = totals.exact, totals.booked, Fraction(1)
    if as_forecast:
        found = Forecaster(connection, policy, more_days_off=days_off).month(month)
        if not found.is_finished:
            usage_exact = found.organisation.end.forecast
            usage_total = round_total(usage_exact, policy.step_exponent)
            so_far = found.organisation.so_far
            scale = usage_exact / so_far if so_far else scale
    count, seats_from = _seats(connection, when.end_hour, seats, costs)
    return ComparedMonth(
        month,
        count,
        seats_from,
        usage_exact,
        usage_total,
        {payer: cost * scale for payer, cost in costs.items()},
        totals.unknown_quantity,
        scale,
    )


def compare(months: Sequence[ComparedMonth], seat_price: Decimal) -> Comparison:
    """All the months as one: a person has a seat in each of them or in none."""
    costs: dict[Payer, Fraction] = {}
    for month in months:
        for payer, cost in month.costs.items():
            costs[payer] = costs.get(payer, Fraction(0)) + cost
    with exact():
        seats_total = sum((seat_price * month.seats for month in months), Decimal(0))
        seat_cost = seat_price * len(months)
    usage_exact = sum((month.usage_exact for month in months), Fraction(0))
    return Comparison(seat_cost, seats_total, usage_exact, people_of(costs))


def comparison_document(
    months: Sequence[ComparedMonth],
    seat_price: Decimal,
    policy: MoneyPolicy,
    *,
    candidates: int = 0,
    people: bool = False,
) -> dict[str, Any]:
    """The document of one month, or of several as one with each month under `by_month`.

    `candidates` lists that many people for whom a seat pays most; who they are is told only with `people`.
    """
    found, last = compare(months, seat_price), months[-1]
    with exact():
        usage_total = sum((month.usage_total for month in months), Decimal(0))
    document = {
        "month": last.month if len(months) == 1 else f"{months[0].month}..{last.month}",
        "timezone": policy.zone,
        "currency": policy.currency,
        "seats": {
            "count": last.seats,
            "price": plain(seat_price),
            "total": plain(found.seats_total),
            "from": last.seats_from,
        },
        "usage": {
            "total": plain(usage_total),
            "people": len(found.people),
            "beside_people_exact": exact_text(found.beside),
            "unknown_quantity": str(sum(month.unknown_quantity for month in months)),
            "forecast": any(month.scale != 1 for month in months),
        },
        "cheaper": found.cheaper(usage_total),
        "difference": plain(abs(_minus(found.seats_total, usage_total))),
        "break_even": {
            "per_user": plain(seat_price),
            "people": found.at_break_even,
            "seat_price": _per_seat(usage_total, months),
        },
        "users_cheaper_on_seat": len(found.cheaper_on_seat),
        **_mixture(found, policy),
    }
    if candidates:
        document["candidates"] = _candidates(found, candidates, policy, people=people)
    if len(months) > 1:
        document["by_month"] = [comparison_document([month], seat_price, policy) for month in months]
    return document


def _mixture(found: Comparison, policy: MoneyPolicy) -> dict[str, Any]:
    holders = len(found.cheaper_on_seat)
    mixed = round_total(found.mixed_exact, policy.step_exponent)
    with exact():
        seats = found.seat_cost * holders
    return {
        "mixed_total": plain(mixed),
        "mixture": {
            "seats": holders,
            "seats_total": plain(seats),
            "usage_total": plain(_minus(mixed, seats)),
            "saves_against_usage_exact": exact_text(found.usage_exact - found.mixed_exact),
        },
    }


def _candidates(found: Comparison, count: int, policy: MoneyPolicy, *, people: bool) -> dict[str, Any]:
    chosen = found.candidates(count)
    rows = [_candidate(place, one, found.seat_cost, people=people) for place, one in enumerate(chosen, start=1)]
    with exact():
        seats = found.seat_cost * len(chosen)
    return {
        "asked": count,
        "seats": len(chosen),
        "seats_total": plain(seats),
        "use_exact": exact_text(sum((one.cost for one in chosen), Fraction(0))),
        "total_with_them": plain(round_total(found.with_seats(chosen), policy.step_exponent)),
        "rows": rows,
    }


def _candidate(place: int, one: PersonUse, seat_cost: Decimal, *, people: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "place": place,
        "use_exact": exact_text(one.cost),
        "saving_exact": exact_text(one.cost - Fraction(seat_cost)),
    }
    return {**row, "user": one.user, "department": one.department} if people else row


def _per_seat(usage_total: Decimal, months: Sequence[ComparedMonth]) -> str | None:
    """The price of a seat and month at which seats for all cost what use does; None without seats."""
    seats = sum(month.seats for month in months)
    return exact_text(Fraction(usage_total) / seats) if seats else None


def _minus(one: Decimal, other: Decimal) -> Decimal:
    with exact():
        return one - other


def _seats(
    connection: Connection, end_hour: int, asked: int | None, costs: dict[Payer, Fraction]
) -> tuple[int, SeatsFrom]:
    if asked is not None:
        return asked, "option"
    people = _people_of_roster(connection, end_hour)
    if people:
        return people, "roster"
    return len({payer.user for payer in costs if payer.user is not None}), "usage"


def count_seats(connection: Connection, month: str, zone: str) -> int:
    """One seat for each person of the roster as of the month's end; 0 where it names nobody."""
    return _people_of_roster(connection, month_in(month, zone).end_hour)


def _people_of_roster(connection: Connection, end_hour: int) -> int:
    found = connection.execute(
        text("""
        select count(distinct "user") from roster
        where "user" is not null and valid_from < :end and (valid_to is null or valid_to >= :end)"""),
        {"end": hour_start(end_hour)},
    ).scalar_one()
    return int(found)
