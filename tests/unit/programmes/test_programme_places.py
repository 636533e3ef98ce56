"""Places of a programme: who has one when, who waits, and what no order of files changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import FileRefused
from billing.programmes.places import places_of, waiting_at
from billing.programmes.programme import Application, Programme, read_applications, read_programmes, state_on

START = datetime(2026, 10, 1, tzinfo=UTC)


def programme(places: int, *by_department: tuple[str, int]) -> Programme:
    return Programme("p", "pilot", date(2026, 10, 1), date(2027, 1, 1), places, by_department, None, "KRW", (), "", ())


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def wish(user: str, hour: int, left: int | None = None, department: str = "D1") -> Application:
    return Application("p", user, department, at(hour), None if left is None else at(left))


def placed(one: Programme, wishes: list[Application], hour: int) -> list[str]:
    return [place.user for place in places_of(one, wishes) if place.holds(at(hour))]


def waiting(one: Programme, wishes: list[Application], hour: int) -> list[tuple[str, int | None]]:
    return [(wait.user, wait.number) for wait in waiting_at(one, wishes, at(hour))]


def test_first_come_first_served_and_the_next_in_line_moves_up() -> None:
    wishes = [wish("c", 3), wish("a", 1, left=10), wish("b", 2), wish("d", 4, left=6), wish("e", 5)]
    two = programme(2)
    assert (placed(two, wishes, 5), waiting(two, wishes, 5)) == (["a", "b"], [("c", 1), ("d", 2), ("e", 3)])
    assert waiting(two, wishes, 9) == [("c", 1), ("e", 2)], "who leaves the line frees no place"
    assert (placed(two, wishes, 10), waiting(two, wishes, 10)) == (["b", "c"], [("e", 1)])
    assert [(place.user, place.since) for place in places_of(two, wishes)][-1] == ("c", at(10))


def test_departments_have_lines_of_their_own() -> None:
    one = programme(3, ("D1", 1), ("D2", 2))
    wishes = [wish("a", 1), wish("b", 2), wish("c", 3, department="D2"), wish("x", 4, department="D9")]
    assert placed(one, wishes, 5) == ["a", "c"]
    assert waiting(one, wishes, 5) == [("b", 1), ("x", None)]


def test_one_place_a_person() -> None:
    wishes = [wish("a", 1, left=5), wish("a", 2), wish("a", 7), wish("b", 3)]
    assert (placed(programme(2), wishes, 4), placed(programme(2), wishes, 8)) == (["a", "b"], ["b", "a"])


WISHES = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 30), st.none() | st.integers(1, 20)).map(
        lambda one: wish(one[0], one[1], None if one[2] is None else one[1] + one[2])
    ),
    max_size=14,
    unique_by=lambda one: (one.user, one.applied_at),
)
"""As `counting_applications` leaves them: one of a person and an instant."""


@given(WISHES, st.integers(1, 4), st.integers(0, 60), st.randoms())
def test_never_more_than_there_are_and_none_stays_free_while_somebody_waits(
    wishes: list[Application], places: int, hour: int, random: object
) -> None:
    one = programme(places)
    has, waits = placed(one, wishes, hour), waiting(one, wishes, hour)
    assert len(has) == len(set(has)) <= places
    assert len(has) == places or not waits
    assert not set(has) & {user for user, _ in waits}
    random.shuffle(wishes)  # type: ignore[attr-defined]
    assert (placed(one, wishes, hour), waiting(one, wishes, hour)) == (has, waits)


def test_days() -> None:
    one = programme(1)
    days = [date(2026, 9, 30), date(2026, 10, 1), date(2026, 12, 31), date(2027, 1, 1)]
    assert [state_on(one, day) for day in days] == ["coming", "running", "running", "ended"]


def test_models_by_name_and_beginning() -> None:
    one = programme(1)._replace(models=("gpt-5*", "Claude-Opus"))
    assert [one.allows(name) for name in ("GPT-5-mini", "claude-opus", "claude-opus-4")] == [True, True, False]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("p,,2026-10-01,2027-01-01,5,,,", ["name"]),
        ("p,n,2026-10-01,2026-10-01,5,,,", ["ends_on", "later than it starts"]),
        ("p,n,2026-10-01,2027-01-01,0,,,", ["places", "'0'"]),
        ("p,n,2026-10-01,2027-01-01,5,D1:2;D2:2,,", ["places", "have 4 together"]),
        ("p,n,2026-10-01,2027-01-01,5,D1,,", ["department_places", "'D1'"]),
        ("p,n,2026-10-01,2027-01-01,5,,1.5,KRW", ["budget", "0 digits"]),
        ("p,n,2026-10-01,2027-01-01,5,,1,USD", ["currency", "'USD'", "KRW"]),
    ],
)
def test_wrong_programmes_are_refused(line: str, says: list[str]) -> None:
    header = "programme,name,starts_on,ends_on,places,department_places,budget,currency\n"
    with pytest.raises(FileRefused) as refused:
        read_programmes((header + line).encode(), "p.csv", "KRW")
    for part in says:
        assert part in str(refused.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("q,u,D1,2026-10-01T09:00:00+09:00,", ["programme", "'q'", "import it first"]),
        ("p,u,,2026-10-01T09:00:00+09:00,", ["department"]),
        ("p,u,D1,2026-10-01,", ["applied_at", "offset"]),
        ("p,u,D1,2026-10-01T09:00:00+09:00,2026-10-01T00:00:00Z", ["left_at", "later"]),
    ],
)
def test_wrong_applications_are_refused(line: str, says: list[str]) -> None:
    header = "programme,user,department,applied_at,left_at\n"
    with pytest.raises(FileRefused) as refused:
        read_applications((header + line).encode(), "a.csv", ["p"])
    for part in says:
        assert part in str(refused.value)
