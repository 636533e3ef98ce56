"""What is due, and what is not, on both sides of each limit: no clock, no database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from billing.alerts.alert import severity_of_share, uid_of
from billing.alerts.money_rules import Arrival, budgets_due, invoices_due, programme_budgets_due
from billing.alerts.people_rules import places_due, pledges_due
from billing.alerts.pipeline_rules import Away, Standing, late_due, silent_due
from billing.alerts.profile import Profile, profile_of
from billing.alerts.quota_rules import projections_due, thresholds_due
from billing.alerts.spike_rules import HourUse, hours_before, median, spikes_due, uses_of, usual_of
from billing.alerts.usage_rules import Unpriced, new_models_due, unpriced_due
from billing.periods import hour_number
from billing.plans.budgets import BudgetState
from billing.pledges.pledge import PledgeRules, Signature, state_of
from billing.programmes.programme import Application, Programme
from billing.quotas.quota import Quota, QuotaKey
from billing.quotas.states import QuotaState
from billing.quotas.windows import window_of

ZONE = "Asia/Seoul"
NOON = datetime.fromisoformat("2026-10-15T12:00:00+09:00")
HOUR = hour_number(NOON)


def state(used: int, limit: int = 100, window: str = "day", moment: datetime = NOON) -> QuotaState:
    key = QuotaKey("department", "D001", "", "tokens", window)  # type: ignore[arg-type]
    percents = (Decimal(50), Decimal(80), Decimal(100))
    quota = Quota(7, key, Decimal(limit), percents, ("a@b.example",), "soft", None, None)
    return QuotaState(quota, "D001", window_of(key.window, moment, ZONE), Decimal(used))


def office_hours() -> Profile:
    """Everybody works from 9 to 18, from Monday to Friday."""
    return Profile({(day, hour): 10 for day in range(5) for hour in range(9, 18)}, ZONE)


@pytest.mark.parametrize(
    ("used", "told"), [(49, []), (50, ["50"]), (79, ["50"]), (80, ["50", "80"]), (100, ["50", "80", "100"])]
)
def test_a_threshold_is_due_from_its_percent_on(used: int, told: list[str]) -> None:
    assert [one.content["threshold"] for one in thresholds_due([state(used)])] == told


def test_what_an_alert_is_about_makes_its_id() -> None:
    first, again = (next(iter(thresholds_due([state(used)]))) for used in (50, 60))
    assert first.uid == again.uid == uid_of("threshold", first.key)
    (other,) = thresholds_due([state(50, moment=NOON + timedelta(days=1))])
    assert other.uid != first.uid
    assert [severity_of_share(Decimal(one)) for one in (79, 80, 99, 100, 120)] == [
        "info", "warning", "warning", "critical", "critical",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("used", "hour", "is_due"),
    [
        (33, "12:00", False),  # a third of nine hours has passed: exactly 99 at the end
        (34, "12:00", True),
        (34, "13:00", False),
        (99, "17:50", True),
        (99, "17:59", False),
        (100, "12:00", False),  # spent already: a threshold says so
        (19, "09:30", False),  # too little used to say anything
        (30, "09:30", False),  # too little of the day has passed
        (30, "08:00", False),
    ],
)
def test_a_projection_follows_the_hours_of_work(used: int, hour: str, *, is_due: bool) -> None:
    moment = datetime.fromisoformat(f"2026-10-15T{hour}:00+09:00")
    found = list(projections_due([state(used)], office_hours(), moment))
    assert [one.kind for one in found] == (["projected"] if is_due else [])


def test_a_projection_says_when_it_will_be_spent() -> None:
    (found,) = projections_due([state(50)], office_hours(), NOON)
    assert (found.content["projected"], found.content["exhausted_at"]) == ("150", "2026-10-15T05:00:00+00:00")
    assert list(projections_due([state(50)], None, NOON)) == [], "without history nothing is projected"
    holiday = datetime.fromisoformat("2026-10-17T12:00:00+09:00")
    assert list(projections_due([state(50, moment=holiday)], office_hours(), holiday)) == []


def test_a_profile_needs_two_weeks() -> None:
    events = {HOUR - 24 * day: 5 for day in range(1, 60)}
    assert profile_of(events, HOUR - 14 * 24 + 1, HOUR, ZONE) is None
    found = profile_of(events, HOUR - 14 * 24, HOUR, ZONE)
    assert found is not None
    day = window_of("day", NOON, ZONE)
    assert found.share_passed(day.first_hour, day.end_hour, NOON) == 0
    assert found.share_passed(day.first_hour, day.end_hour, NOON + timedelta(minutes=15)) == Fraction(1, 4)
    assert found.share_passed(day.first_hour, day.end_hour, NOON + timedelta(hours=1)) == 1


def test_medians_are_exact() -> None:
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == Fraction(5, 2)
    with pytest.raises(ValueError, match="no value"):
        median([])


@pytest.mark.parametrize(
    ("before", "bar"),
    [
        ((100_000,) * 4, 200_000),  # no scatter: twice the usual
        ((10_000,) * 8, 30_000),  # little use: 20,000 more at least
        ((0,) * 8, 200_000),  # nothing is usual
        ((90_000, 100_000, 110_000, 120_000, 5_000_000), Fraction(110_000) + 110_000),  # one odd week moves nothing
        ((100_000, 200_000, 300_000, 400_000, 500_000), 300_000 + 6 * Fraction(14826, 10000) * 100_000),
    ],
)
def test_the_bar_of_a_spike(before: tuple[int, ...], bar: Fraction) -> None:
    usual = usual_of(before)
    assert usual is not None
    assert usual.bar == bar
    for tokens, is_due in ((int(bar), False), (int(bar) + 1, True)):
        assert bool(list(spikes_due([HourUse("D001", HOUR, tokens, before)], ZONE))) == is_due


def test_a_spike_needs_history_and_is_told_once_a_day() -> None:
    assert usual_of((1, 2, 3)) is None
    assert list(spikes_due([HourUse("D001", HOUR, 10**9, (1, 2, 3))], ZONE)) == []
    later = [HourUse("D001", HOUR + place, 10**9, (1,) * 8) for place in range(3)]
    assert len({one.uid for one in spikes_due(later, ZONE)}) == 1
    whole = HourUse(None, HOUR, 10**9, (1,) * 8)
    assert {one.scope for one in spikes_due([*later, whole], ZONE)} == {"department", "organisation"}


def test_the_same_hour_of_weeks_before_is_that_of_the_wall_clock() -> None:
    assert hours_before(HOUR, ZONE) == [HOUR - 168 * week for week in range(1, 9)]
    after_change = hour_number(datetime.fromisoformat("2026-11-04T12:00:00-05:00"))
    assert hours_before(after_change, "America/New_York")[0] == after_change - 168 - 1
    only = hour_number(datetime.fromisoformat("2026-03-15T02:00:00-04:00"))  # a week after the hour that was left out
    assert len(hours_before(only, "America/New_York")) == 7
    tokens: dict[tuple[str | None, int], int] = {("D001", HOUR): 5, ("D001", HOUR - 168): 3}
    (use,) = uses_of(tokens, [HOUR], {"D001": HOUR - 168 * 4}, ZONE)
    assert use.before == (3, 0, 0, 0), "a week without use is 0; one before the first use is not"


def test_new_models_and_unpriced_use() -> None:
    keys = [one.key for one in new_models_due([("a", "b/c"), ("a/b", "c")])]
    assert len(set(keys)) == 2, "no name can pass for another"
    use = Unpriced("openai", "gpt-x", ("output_tokens", "input_tokens"), 12)
    first, next_book = (next(iter(unpriced_due([use], book))) for book in (1, 2))
    assert first.uid != next_book.uid
    assert first.content["units"] == ["input_tokens", "output_tokens"]


@pytest.mark.parametrize(("seconds", "end", "is_due"), [(299, 11, False), (300, 11, True), (9999, 10, False)])
def test_records_that_wait(seconds: int, end: int, *, is_due: bool) -> None:
    place = Standing(1, 3, 10, end, NOON - timedelta(seconds=seconds))
    assert bool(list(late_due([place], NOON, 300))) == is_due


def test_a_source_is_silent_when_it_usually_speaks() -> None:
    busy = {HOUR - 24 * day + hour for day in range(1, 36) for hour in range(-3, 6)}
    today = {HOUR - 3}
    assert list(silent_due({"g": busy | today}, HOUR, ZONE)) == [], "two busy hours in silence"
    assert len(list(silent_due({"g": busy | today}, HOUR + 1, ZONE))) == 1
    (first,), (later,) = (list(silent_due({"g": busy | today}, HOUR + more, ZONE)) for more in (1, 4))
    assert first.uid == later.uid
    assert list(silent_due({"g": busy | today | {HOUR + 1}}, HOUR + 1, ZONE)) == [], "it speaks in the hour that runs"
    at_night = {HOUR - 24 * day for day in range(1, 36)}
    assert list(silent_due({"g": at_night}, HOUR, ZONE)) == [], "nothing is usual between two noons"
    recent = {HOUR - 24 * day for day in range(1, 10)}
    assert list(silent_due({"g": recent}, HOUR + 80, ZONE)) == [], "too little history"


def test_what_is_usual_goes_by_the_clocks_of_the_zone() -> None:
    """Heard from 9 to 12 o'clock of New York each day up to the Saturday before clocks go back on 2026-11-01."""
    saturday = hour_number(datetime(2026, 10, 31, 13, tzinfo=UTC))  # 9 o'clock there
    heard = {"g": {saturday - 24 * day + hour for day in range(1, 36) for hour in range(3)} | {saturday}}
    sunday = saturday + 24
    assert hours_missed(heard, sunday + 1) == 2, "10 and 11 o'clock of Saturday"
    assert hours_missed(heard, sunday + 2) == 3, "the clocks show 9 again an hour later than the sun does"
    assert hours_missed(heard, sunday + 4) == 5


def hours_missed(heard: dict[str, set[int]], now_hour: int) -> int:
    """How many busy hours passed in silence."""
    found = list(silent_due(heard, now_hour, "America/New_York"))
    return int(found[0].content["hours"]) if found else 2  # fewer than three are not told


def test_budgets_by_amount_and_percent() -> None:
    thresholds = (Decimal(80), Decimal(100))

    def told(spent: int, amount: int) -> list[str]:
        held = BudgetState("2026-10", Decimal(amount), "KRW", Decimal(spent))
        return [one.key for one in budgets_due([("D001", held)], thresholds)]

    assert told(799, 1000) == []
    assert told(800, 1000) == ["2026-10/1000/80/D001"]
    assert told(1000, 1000) == ["2026-10/1000/80/D001", "2026-10/1000/100/D001"]
    assert told(1000, 2000) == [], "a larger budget is another"
    assert told(0, 0) == []
    assert len(told(1, 0)) == 2


def test_invoices_pledges_places() -> None:
    (one,) = invoices_due([Arrival("openai", 3, 2, 40, date(2026, 9, 1), None)])
    assert (one.key, one.content["last_day"]) == ("openai/3", None)
    rules = PledgeRules(None, 365)
    states = [
        state_of(user, [Signature(user, "1", signed, None)], rules, date(2026, 10, 15))
        for user, signed in (("u-1", date(2025, 11, 14)), ("u-2", date(2025, 11, 15)), ("u-3", date(2024, 1, 1)))
    ]
    day = date(2026, 10, 15)
    (due,) = pledges_due(states, {"u-1": "D001"}, rules, day)
    assert (due.subject, due.department, due.severity) == ("u-1", "D001", "info")
    programme = Programme("P", "P", date(2026, 10, 1), date(2026, 12, 1), 1, (), None, "KRW", (), "", ())

    def at(day: int) -> datetime:
        return datetime(2026, 10, day, tzinfo=UTC)

    line = [Application("P", "u-1", "D001", at(1), at(5)), Application("P", "u-2", "D002", at(2), None)]
    assert list(places_due([programme], line, at(4), ZONE)) == []
    (freed,) = places_due([programme], line, at(5), ZONE)
    assert (freed.subject, freed.department, freed.content["since"]) == ("u-2", "D002", "2026-10-05T00:00:00+00:00")


def test_a_place_that_becomes_free_after_the_programme_is_told_to_nobody() -> None:
    """The last local day is 14 October: until 15:00 UTC."""
    programme = Programme("P", "P", date(2026, 10, 1), date(2026, 10, 15), 1, (), None, "KRW", (), "", ())
    end = datetime(2026, 10, 14, 15, tzinfo=UTC)
    for left, told in ((end - timedelta(hours=1), 1), (end, 0)):
        line = [
            Application("P", "u-1", "D001", datetime(2026, 10, 1, tzinfo=UTC), left),
            Application("P", "u-2", "D002", datetime(2026, 10, 2, tzinfo=UTC), None),
        ]
        assert len(list(places_due([programme], line, end + timedelta(days=9), ZONE))) == told


@pytest.mark.parametrize(
    ("signed", "version", "told"),
    [
        (date(2025, 11, 15), None, []),
        (date(2025, 11, 14), None, [("info", "2026-11-14/1/1/u-1")]),
        (date(2025, 10, 23), None, [("info", "2026-10-23/1/1/u-1")]),
        (date(2025, 10, 22), None, [("warning", "last/2026-10-22/1/1/u-1")]),
        (date(2025, 10, 15), None, []),
        (date(2026, 10, 1), "2", [("warning", "version/1/2/u-1")]),
    ],
)
def test_reminders_of_a_pledge(signed: date, version: str | None, told: list[tuple[str, str]]) -> None:
    """30 and 7 days before its end; and where another version is asked for. Not who has let it end."""
    rules, day = PledgeRules(version, 365), date(2026, 10, 15)
    state = state_of("u-1", [Signature("u-1", "1", signed, None)], rules, day)
    assert [(one.severity, one.key) for one in pledges_due([state], {}, rules, day)] == told


def test_a_kafka_that_does_not_answer() -> None:
    away = Away(17, NOON - timedelta(seconds=300))
    assert list(late_due([away], NOON, 301)) == []
    (one,) = late_due([away], NOON, 300)
    assert (one.key, one.severity, one.content["case"]) == ("away/17", "critical", "away")


def test_budgets_of_programmes() -> None:
    held = BudgetState("2026-10-01/2026-11-30", Decimal(1000), "KRW", Decimal(800))
    (one,) = programme_budgets_due([("P", held)], (Decimal(80), Decimal(100)))
    assert (one.key, one.scope, one.subject) == ("programme/2026-10-01/2026-11-30/1000/80/P", "programme", "P")
    assert one.department is None
