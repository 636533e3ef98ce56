"""Which requests make up a month, what a page says comes next, when to ask again: the rules, without any server."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.invoices.fetching.apis import ANTHROPIC, APIS, MISTRAL, OPENAI, OPENROUTER, XAI, Grain, VendorApi, api_of
from billing.invoices.fetching.asking import Ask, Plan, plan_month, unix_seconds, windows
from billing.invoices.fetching.errors import FetchRefused, NothingToFetch
from billing.invoices.fetching.paging import PAGES_MAX, Chain
from billing.invoices.fetching.retrying import (
    BACKOFF_S,
    RETRY_AFTER_S_MAX,
    TRIES_MAX,
    WAIT_S_MAX,
    Turn,
    retry_after_s,
    verdict,
    wait_or_give_up,
)
from billing.periods import month_in
from tests.integration.vendor_apis import NOW, OCTOBER, anthropic_bucket, anthropic_page, openai_bucket, openai_page

ALL = frozenset(surface.format for api in APIS for surface in api.surfaces)


def plan(api: VendorApi, month: str = "2026-10", now: datetime = NOW, zone: str = "UTC", **more: Any) -> Plan:
    return plan_month(api, month_in(month, zone), now, more.get("readable", ALL), "team-1")


def parameters(ask: Ask) -> dict[str, str]:
    return dict(ask.parameters)


def test_openai_is_asked_for_a_month_in_unix_seconds() -> None:
    costs, usage = plan(OPENAI).asks
    assert costs.path == "/v1/organization/costs"
    assert usage.path == "/v1/organization/usage/completions"
    assert costs.parameters == (
        ("start_time", "1790812800"),  # 2026-10-01T00:00:00Z
        ("end_time", "1793491200"),  # 2026-11-01T00:00:00Z
        ("bucket_width", "1d"),
        ("limit", "31"),
        ("group_by[]", "project_id"),
        ("group_by[]", "line_item"),
    )
    assert list(costs.days) == OCTOBER


def test_anthropic_is_asked_in_instants() -> None:
    costs, _ = plan(ANTHROPIC, "2026-02").asks
    assert parameters(costs)["starting_at"] == "2026-02-01T00:00:00Z"
    assert parameters(costs)["ending_at"] == "2026-03-01T00:00:00Z"
    assert parameters(costs)["limit"] == "28"


@pytest.mark.parametrize(
    ("now", "last_day", "runs"),
    [
        (datetime(2026, 10, 2, 0, 0, tzinfo=UTC), date(2026, 10, 1), True),
        (datetime(2026, 10, 2, 23, 59, 59, tzinfo=UTC), date(2026, 10, 1), True),
        (datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC), date(2026, 10, 30), True),
        (datetime(2026, 11, 1, 0, 0, tzinfo=UTC), date(2026, 10, 31), False),
        # Seoul's first of November at 08:59 is still October in UTC.
        (datetime(2026, 11, 1, 8, 59, tzinfo=UTC) - timedelta(hours=9), date(2026, 10, 30), True),
    ],
)
def test_only_days_that_have_ended_are_asked_for(now: datetime, last_day: date, runs: bool) -> None:
    found = plan(OPENAI, now=now)
    assert found.days[-1] == last_day
    assert found.is_provisional is runs
    assert parameters(found.asks[0])["end_time"] == str(unix_seconds(last_day + timedelta(days=1)))


@pytest.mark.parametrize(
    ("now", "said"),
    [(datetime(2026, 9, 30, 23, 59, tzinfo=UTC), "has not begun"), (datetime(2026, 10, 1, tzinfo=UTC), "began today")],
)
def test_a_month_without_an_ended_day_is_not_asked_for(now: datetime, said: str) -> None:
    with pytest.raises(NothingToFetch, match=said):
        plan(OPENAI, now=now)


@pytest.mark.parametrize("zone", ["Asia/Seoul", "America/Los_Angeles"])
def test_another_zone_than_the_apis_is_refused(zone: str) -> None:
    with pytest.raises(FetchRefused, match=zone):
        plan(OPENAI, zone=zone)


def test_a_zone_of_the_same_hours_is_no_other_zone() -> None:
    assert plan(OPENAI, zone="Etc/UTC").days == plan(OPENAI).days


def test_what_no_importer_reads_is_not_asked_for_and_said() -> None:
    found = plan(OPENAI, readable={"openai.costs_api"})
    assert [ask.surface.name for ask in found.asks] == ["costs"]
    assert found.notes == (
        "usage (/v1/organization/usage/completions) is not asked: no importer reads openai.usage_api yet",
    )


@pytest.mark.parametrize("api", [MISTRAL, OPENROUTER])
def test_a_vendor_without_any_importer_is_refused_by_name(api: VendorApi) -> None:
    with pytest.raises(FetchRefused, match=rf"{api.names[0]} 2026-10 .* no importer reads .* nothing was asked"):
        plan(api, readable=set())


def test_openrouter_keeps_thirty_ended_days() -> None:
    found = plan(OPENROUTER, now=datetime(2026, 11, 1, 12, tzinfo=UTC))
    assert [parameters(ask)["date"] for ask in found.asks] == [day.isoformat() for day in OCTOBER[1:]]
    (note,) = found.notes
    assert note.startswith("activity is not asked for 1 days until 2026-10-01: the API keeps 30 ended days; bring")
    with pytest.raises(NothingToFetch, match="keeps 30 ended days"):
        plan(OPENROUTER, "2026-09")


def test_xai_has_invoices_of_months_that_ended_and_a_preview_of_the_one_that_runs() -> None:
    (ended,) = plan(XAI).asks
    assert ended.path == "/v1/billing/teams/team-1/invoices"
    assert parameters(ended) == {"billingCycle.year": "2026", "billingCycle.month": "10"}
    (running,) = plan(XAI, "2026-11").asks
    assert running.path == "/v1/billing/teams/team-1/postpaid/invoice/preview"
    assert running.parameters == ()


def test_mistral_is_asked_by_number() -> None:
    (ask,) = plan(MISTRAL).asks
    assert (ask.path, ask.parameters) == ("/api/admin/usage", (("month", "10"), ("year", "2026")))


def test_an_api_is_found_by_the_registers_name() -> None:
    assert api_of("xai") is XAI
    assert api_of("x-ai") is XAI
    assert api_of("azure") is None


@given(days=st.integers(1, 400), most=st.integers(1, 180))
def test_windows_hold_every_day_once_and_no_more_than_they_may(days: int, most: int) -> None:
    asked = [date(2026, 1, 1) + timedelta(days=n) for n in range(days)]
    found = list(windows(asked, most))
    assert [day for window in found for day in window] == asked
    assert all(1 <= len(window) <= most for window in found)
    assert all(len(window) == most for window in found[:-1])


def test_an_api_that_takes_seven_days_is_asked_five_times() -> None:
    short = VendorApi(
        "openai", ("openai",), "http://localhost", "key", surfaces=(
            type(OPENAI.surfaces[0])("costs", "/c", "openai.costs_api", Grain.UNIX_DAYS, days_max=7),
        ),
    )  # fmt: skip
    asks = plan(short).asks
    assert [len(ask.days) for ask in asks] == [7, 7, 7, 7, 3]
    assert [parameters(one)["end_time"] for one in asks[:-1]] == [parameters(one)["start_time"] for one in asks[1:]]


# ---------------------------------------------------------------------------------------------------------------- pages


def openai_chain() -> Chain:
    return Chain(plan(OPENAI).asks[0], "openai")


def body(document: object) -> bytes:
    return json.dumps(document).encode()


RESULT = {"amount": {"value": 1, "currency": "usd"}}


def test_a_chain_ends_where_a_page_says_so() -> None:
    chain = openai_chain()
    assert chain.next_cursor(body(openai_page([openai_bucket(OCTOBER[0])], "a"))) == "a"
    assert chain.next_cursor(body(openai_page([openai_bucket(OCTOBER[1])]))) is None
    assert set(chain.answered) == set(OCTOBER[:2])


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([openai_page([openai_bucket(OCTOBER[0])], "a"), openai_page([openai_bucket(OCTOBER[1])], "a")],
         "page 2: next_page is 'a', which page 1 named already: the pages turn in a circle"),
        ([openai_page([openai_bucket(OCTOBER[0])], "a"), openai_page([openai_bucket(OCTOBER[0])], "b")],
         "page 2: it holds the same buckets as page 1: a page came twice"),
        ([openai_page([openai_bucket(OCTOBER[0])], "a"), openai_page([openai_bucket(OCTOBER[0], [RESULT])])],
         "page 2: it speaks about 2026-10-01 again, after page 1"),
        ([openai_page([openai_bucket(date(2026, 11, 1), [RESULT])])], "results for 2026-11-01, and 2026-10-01 to"),
        ([{**openai_page([]), "has_more": True}], "has_more is true and next_page is 'None'"),
        ([{**openai_page([]), "has_more": "false"}], "has_more is 'false' where true or false"),
        ([{"object": "page", "has_more": False}], "data is 'None' where a list"),
        ([{"data": [{"start_time": "soon", "results": []}], "has_more": False}], "does not say when it begins"),
        ([{"data": ["bucket"], "has_more": False}], "does not say when it begins"),
        ([["no", "object"]], "is no JSON object"),
    ],
)  # fmt: skip
def test_a_chain_that_goes_wrong_is_refused_by_what_is_wrong(pages: list[object], said: str) -> None:
    chain, wrong = openai_chain(), pages[-1]
    for page in pages[:-1]:
        chain.next_cursor(body(page))
    with pytest.raises(FetchRefused) as refused:
        chain.next_cursor(body(wrong))
    assert said in str(refused.value)
    assert str(refused.value).endswith("nothing was imported")


def test_pages_without_an_end_are_refused_after_the_most_that_a_month_can_have() -> None:
    chain = openai_chain()
    for number in range(PAGES_MAX - 1):
        assert chain.next_cursor(body(openai_page([], f"c{number}"))) is not None
    with pytest.raises(FetchRefused, match="do not end"):
        chain.next_cursor(body(openai_page([], "one more")))


def test_an_empty_bucket_beyond_what_was_asked_is_let_pass() -> None:
    chain = openai_chain()
    assert chain.next_cursor(body(openai_page([openai_bucket(date(2026, 11, 1))]))) is None
    assert chain.answered == {}


def test_days_of_anthropics_buckets_are_utc_whatever_offset_they_are_written_in() -> None:
    chain = Chain(plan(ANTHROPIC).asks[0], "anthropic")
    bucket = {**anthropic_bucket(OCTOBER[0]), "starting_at": "2026-10-01T09:00:00+09:00"}
    chain.next_cursor(body(anthropic_page([bucket])))
    assert list(chain.answered) == [OCTOBER[0]]


# ---------------------------------------------------------------------------------------------------------------- tries


@pytest.mark.parametrize(
    ("status", "turn"),
    [
        (200, Turn.TAKE), (204, Turn.REFUSE), (301, Turn.REDIRECT), (304, Turn.REFUSE), (308, Turn.REDIRECT),
        (400, Turn.REFUSE), (401, Turn.KEY), (403, Turn.KEY), (404, Turn.REFUSE), (408, Turn.WAIT), (429, Turn.WAIT),
        (499, Turn.REFUSE), (500, Turn.WAIT), (529, Turn.WAIT), (599, Turn.WAIT),
    ],
)  # fmt: skip
def test_each_status_has_its_turn(status: int, turn: Turn) -> None:
    assert verdict(status, {}, 1, 0, NOW).turn is turn


def test_waits_double_and_end() -> None:
    found = [wait_or_give_up("x", tries, 0) for tries in range(1, TRIES_MAX + 1)]
    assert tuple(one.wait_s for one in found[:-1]) == BACKOFF_S
    assert found[-1].turn is Turn.GIVE_UP
    assert found[-1].why == f"x, after {TRIES_MAX} tries"


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("7", 7), (" 0 ", 0), (None, None), ("soon", None), ("-3", None), ("1.5", None), ("9999999999", None),
        ("²", None),
        ("Sun, 22 Nov 2026 09:30:20 GMT", 20), ("Sun, 22 Nov 2026 09:29:00 GMT", 0),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(told: str | None, seconds: int | None) -> None:
    assert retry_after_s(told, NOW) == seconds


def test_a_date_is_rounded_up_to_the_second() -> None:
    assert retry_after_s("Sun, 22 Nov 2026 09:30:20 GMT", NOW + timedelta(milliseconds=1)) == 20


@pytest.mark.parametrize(
    ("told", "waited_s", "turn"),
    [
        (RETRY_AFTER_S_MAX, 0, Turn.WAIT), (RETRY_AFTER_S_MAX + 1, 0, Turn.GIVE_UP),
        (10, WAIT_S_MAX - 10, Turn.WAIT), (10, WAIT_S_MAX - 9, Turn.GIVE_UP),
    ],
)  # fmt: skip
def test_waits_are_bounded_one_by_one_and_together(told: int, waited_s: int, turn: Turn) -> None:
    assert verdict(429, {"retry-after": str(told)}, 1, waited_s, NOW).turn is turn
