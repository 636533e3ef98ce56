"""Plans and forecasts as properties: no mixture is dearer than a pure plan, no forecast falls when use rises."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from billing.plans.day_classes import CLASSES, class_of, count_by_class
from billing.plans.departments import Department, Line, Term, in_force, terms_of, tree_problems
from billing.plans.forecast import LEFT_ASIDE, estimate, estimates_of, outlook
from billing.plans.forecasting import last_complete_day
from billing.plans.seats import Comparison, Payer, people_of
from billing.roster import BEGINNING
from billing.rounding import round_total

costs = st.fractions(min_value=0, max_value=10**6, max_denominator=1000)
FIRST = date(2026, 8, 20)
days = st.integers(0, 80).map(lambda number: FIRST + timedelta(days=number))
day_costs = st.dictionaries(days, costs, max_size=40)
days_off = st.frozensets(days, max_size=10)
prices = st.decimals(min_value=0, max_value=10**5, places=1)


def compared(used: dict[Payer, Fraction], price: Decimal, seats: int, beside: Fraction) -> Comparison:
    usage = sum(used.values(), Fraction(0)) + beside
    return Comparison(price, price * seats, usage, people_of(used))


payers = st.builds(
    Payer,
    st.one_of(st.none(), st.sampled_from([f"u-{number}" for number in range(12)])),
    st.one_of(st.none(), st.sampled_from(["D001", "D002"])),
)


@given(used=st.dictionaries(payers, costs, max_size=20), price=prices, beside=costs, more=st.integers(0, 5))
def test_the_mixture_is_never_dearer_than_either_pure_plan(
    used: dict[Payer, Fraction], price: Decimal, beside: Fraction, more: int
) -> None:
    """Seats for everybody are seats for all people with use, and for some without; what belongs to no person is paid
    beside seats as well."""
    people = len({payer.user for payer in used if payer.user is not None})
    found = compared(used, price, people + more, beside)
    assert found.mixed_exact <= found.usage_exact
    assert found.mixed_exact <= Fraction(found.seats_total) + found.beside
    assert round_total(found.mixed_exact, 0) <= round_total(found.usage_exact, 0)
    assert found.mixed_exact >= found.beside
    assert len(found.cheaper_on_seat) <= found.at_break_even <= people


@given(used=st.dictionaries(payers, costs, max_size=20), price=prices, count=st.integers(0, 15))
def test_no_other_holders_of_as_many_seats_save_more(used: dict[Payer, Fraction], price: Decimal, count: int) -> None:
    found = compared(used, price, 0, Fraction(0))
    best = found.candidates(count)
    assert found.with_seats(best) <= found.with_seats(found.people[:count])
    assert found.with_seats(best) <= found.with_seats(found.people[len(found.people) - len(best) :])
    assert found.mixed_exact <= found.with_seats(best)
    assert sum((one.cost for one in found.people), Fraction(0)) + found.beside == found.usage_exact


@given(observed=st.lists(costs, min_size=1, max_size=60))
def test_an_estimate_lies_in_its_range(observed: list[Fraction]) -> None:
    found = estimate(observed)
    assert min(observed) <= found.low <= found.mean <= found.high <= max(observed)
    beyond = sum(cost > found.high for cost in observed), sum(cost < found.low for cost in observed)
    assert max(beyond) <= len(observed) // LEFT_ASIDE


@given(
    used=day_costs,
    begun=day_costs,
    off=days_off,
    so_far=costs,
    length=st.integers(1, 60),
    more=costs,
    at=st.integers(0),
)
def test_more_use_never_lowers_a_forecast(
    used: dict[date, Fraction],
    begun: dict[date, Fraction],
    off: frozenset[date],
    so_far: Fraction,
    length: int,
    more: Fraction,
    at: int,
) -> None:
    """On whichever observed day it is added; that the day is part of what was spent so far only raises it further."""
    window = [FIRST + timedelta(days=place) for place in range(length)]
    to_come = [window[-1] + timedelta(days=place) for place in range(1, 32)]
    changed = window[at % length]
    before = outlook(so_far, to_come, begun, estimates_of(window, used, off), off)
    raised = {**used, changed: used.get(changed, Fraction(0)) + more}
    after = outlook(so_far, to_come, begun, estimates_of(window, raised, off), off)
    assert before.low <= after.low
    assert before.forecast <= after.forecast
    assert before.high <= after.high
    assert so_far <= before.low <= before.forecast <= before.high


@given(used=day_costs, begun=day_costs, off=days_off, so_far=costs, at=st.integers(0, 30), more=costs)
def test_more_use_of_a_day_that_has_begun_never_lowers_it(
    used: dict[date, Fraction],
    begun: dict[date, Fraction],
    off: frozenset[date],
    so_far: Fraction,
    at: int,
    more: Fraction,
) -> None:
    to_come = [FIRST + timedelta(days=40 + place) for place in range(31)]
    estimates = estimates_of([FIRST + timedelta(days=place) for place in range(40)], used, off)
    before = outlook(so_far, to_come, begun, estimates, off)
    raised = {**begun, to_come[at]: begun.get(to_come[at], Fraction(0)) + more}
    after = outlook(so_far, to_come, raised, estimates, off)
    assert all(was <= becomes for was, becomes in zip(before, after, strict=True))
    assert after.forecast - before.forecast <= more


@given(used=day_costs, off=days_off, so_far=costs)
def test_nothing_to_come_is_what_was_spent(
    used: dict[date, Fraction], off: frozenset[date], so_far: Fraction
) -> None:
    found = outlook(so_far, [], used, estimates_of([FIRST], used, off), off)
    assert found == (so_far, so_far, so_far)


@given(day=days, off=days_off)
def test_each_day_has_one_class(day: date, off: frozenset[date]) -> None:
    kind = class_of(day, off)
    assert kind in CLASSES
    assert sum(count_by_class([day], off).values()) == 1
    assert (kind == "working") == (day.weekday() < 5 and day not in off)


@given(hour=st.integers(480_000, 520_000), stored=st.one_of(st.none(), st.integers(480_000, 520_000)))
def test_the_last_complete_day_never_lies_behind_the_usage(hour: int, stored: int | None) -> None:
    found = last_complete_day(hour, stored, "Asia/Seoul")
    begun = last_complete_day(hour, 10**6, "Asia/Seoul")
    assert found in (begun, begun - timedelta(days=1))
    assert last_complete_day(hour, stored, "Asia/Seoul") <= last_complete_day(hour + 1, stored, "Asia/Seoul")


codes = st.sampled_from(["A", "B", "C", "D"])
moments = st.integers(0, 6).map(lambda number: BEGINNING + timedelta(days=number))


@st.composite
def departments(draw: st.DrawFn) -> Department:
    code, start = draw(codes), draw(moments)
    parent = draw(st.one_of(st.none(), codes.filter(lambda other: other != code)))
    end = draw(st.one_of(st.none(), moments.filter(lambda moment: moment > start), st.just(start + timedelta(days=9))))
    return Department(code, code, parent, None, None, None, None, None, None, start, end)


def is_sound(terms: list[Term]) -> bool:
    """By looking at every half day: whoever has a parent has one in force, and no way up returns."""
    for place in range(40):
        rows = in_force(terms, BEGINNING + timedelta(hours=12 * place))
        for code in rows:
            above, steps = rows[code].parent, 0
            while above is not None:
                if above not in rows or steps > len(rows):
                    return False
                above, steps = rows[above].parent, steps + 1
    return True


@given(rows=st.lists(departments(), max_size=7))
def test_the_tree_is_refused_exactly_where_it_breaks(rows: list[Department]) -> None:
    terms = terms_of(rows)
    lines = [Line(place, row) for place, row in enumerate(rows, start=2)]
    assert (tree_problems(terms, lines, "d.csv") == []) == is_sound(terms)
    for place in range(40):
        moment = BEGINNING + timedelta(hours=12 * place)
        assert len([term for term in terms if term.holds(moment)]) == len(in_force(terms, moment))
