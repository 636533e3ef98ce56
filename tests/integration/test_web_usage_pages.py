"""Overview, usage and the first start: figures as the commands say, filters, comparison, events behind a cell, kept
views, rights, hostile names; demo data into an empty installation alone."""

from __future__ import annotations

import csv
import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from billing.usage_movers import effects
from tests.scenarios.house import House
from tests.web_world import Web, csrf_of, running_web, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from jangbu.services.postgres import DatabaseUrls, EmbeddedPostgres

HOSTILE = "<script>alert(1)</script>"
OCTOBER = {"from": "2026-10"}


@pytest.fixture(scope="module")
def house_urls(postgres_server: EmbeddedPostgres, _migrated_template: str) -> DatabaseUrls:
    with psycopg.connect(postgres_server.urls.owner, autocommit=True) as connection:
        connection.execute(f"create database web_usage template {_migrated_template}")
        connection.execute(f"create database web_empty template {_migrated_template}")
    return postgres_server.urls_of("web_usage")


@pytest.fixture(scope="module")
def running(house_urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    house = House(house_urls)
    house.prices("openai,gpt-x,input_tokens,,,,KRW,2,1,2026-01-01T00:00:00Z,,letter",
                 "openai,gpt-y,input_tokens,,,,USD,0.5,1,2026-01-01T00:00:00Z,,letter")  # fmt: skip
    house.fx("2026-01-01,USD,KRW,1000,test")
    for day, department, model, tokens, user in (
        ("2026-10-03", "D001", "gpt-x", 60, "u-1"), ("2026-10-09", "D002", "gpt-y", 8, "u-2"),
        ("2026-10-09", "D001", "mystery", 7, "u-1"), ("2026-09-03", "D001", "gpt-x", 20, "u-1"),
        ("2026-10-20", "D001", HOSTILE, 5, HOSTILE), ("2026-10-20", None, "gpt-x", 3, None),
    ):  # fmt: skip
        house.use(f"{day}T05:00:00+09:00", department, model, {"input_tokens": tokens}, user=user)
    house.close()
    with running_web(house_urls, tmp_path_factory.mktemp("web")) as found:
        yield found


@pytest.fixture
def web(running: Web) -> Iterator[Web]:
    yield running
    running.close_clients()


def rows(client: httpx.Client, **asked: Any) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The rows of the API by their groups."""
    answer = client.get("/api/v1/usage", params={**OCTOBER, **asked})
    assert answer.status_code == 200, answer.text
    document = answer.json()
    return {(*(row[name] for name in document["by"]), row["currency"]): row for row in document["rows"]}


def test_rows_are_those_of_the_command_and_filters_go_with_them(web: Web) -> None:
    finance = signed_in(web, "finance")
    found = rows(finance, by="department,model,unit")
    assert found["D001", "gpt-x", "input_tokens", "KRW"]["cost"] == "120"
    assert found["D002", "gpt-y", "input_tokens", "USD"]["cost"] == "4"
    unpriced = found["D001", "mystery", "input_tokens", None]
    assert (unpriced["cost"], unpriced["unpriced_quantity"]) == (None, "7")
    whole = finance.get("/api/v1/usage", params=OCTOBER).json()["totals"]
    assert whole == {"quantity": None, "costs": {"KRW": "126", "USD": "4"}, "unpriced_quantity": "12"}
    assert set(rows(finance, by="model", department="D002")) == {("gpt-y", "USD")}
    assert set(rows(finance, by="model", department="unattributed")) == {("gpt-x", "KRW")}
    assert rows(finance, by="day", model="gpt-x")["2026-10-03", "KRW"]["quantity"] == "60"
    assert rows(finance, by="week", model="gpt-x")["2026-W40", "KRW"]["quantity"] == "60"
    assert rows(finance, **{"from": "2026-10-04", "to": "2026-10-31"}, model="gpt-x")["gpt-x", "KRW"]["cost"] == "6"


def test_a_part_without_a_price_leaves_the_rest_known(web: Web) -> None:
    found = rows(signed_in(web, "finance"), by="department")["D001", "KRW"]
    assert (found["cost"], found["priced_cost"], found["unpriced_quantity"]) == (None, "120", "12")


def test_two_periods_stand_beside_each_other(web: Web) -> None:
    finance = signed_in(web, "finance")
    found = rows(finance, by="model", compare="previous")["gpt-x", "KRW"]
    assert (found["earlier_cost"], found["cost_difference"], found["quantity_difference"]) == ("40", "86", "43")
    assert rows(finance, by="model", compare="previous")["gpt-y", "USD"]["earlier_cost"] == "0"
    assert finance.get("/api/v1/usage", params={**OCTOBER, "by": "day", "compare": "previous"}).status_code == 400


def test_a_file_holds_what_the_page_shows(web: Web) -> None:
    finance = signed_in(web, "finance")
    asked = {**OCTOBER, "by": "department,model"}
    shown = finance.get("/api/v1/usage", params=asked).json()["rows"]
    raw = finance.get("/usage", params={**asked, "format": "csv"}).text.lstrip("\ufeff")
    read = list(csv.DictReader(io.StringIO(raw)))
    assert [one["cost"] for one in read] == [one["cost"] or "" for one in shown]
    assert finance.get("/usage", params={**asked, "format": "xlsx"}).content.startswith(b"PK")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_pages_are_whole_in_both_languages_and_names_are_text(web: Web, language: str) -> None:
    finance = signed_in(web, "finance")
    for path in ("/?month=2026-10", "/usage?from=2026-10&by=department&by=model&by=user&compare=previous",
                 "/usage/events?from=2026-10"):  # fmt: skip
        page = finance.get(f"{path}&lang={language}")
        assert page.status_code == 200, page.text
        assert HOSTILE not in page.text
    assert ("사용량" if language == "ko" else "Usage") in page.text


def test_a_head_asks_within_the_own_departments(web: Web) -> None:
    head = signed_in(web, "head", departments=["D002"])
    assert set(rows(head, by="department")) == {("D002", "USD")}
    for path in ("/api/v1/usage", "/api/v1/usage/events"):
        for department in ("D001", "unattributed"):
            assert head.get(path, params={**OCTOBER, "department": department}).status_code == 403
    seen = head.get("/api/v1/overview", params={"month": "2026-10"}).json()
    assert [one["department"] for one in seen["departments"]] == ["D002"]
    assert (seen["whole"]["so_far"], seen["breaks"], seen["laws"], seen["seats"]) == ("4000", None, None, None)
    assert all(one["name"] == "D002" for one in seen["movers"]["departments"])


def test_the_overview_adds_up_to_the_statements(web: Web) -> None:
    found = signed_in(web, "finance").get("/api/v1/overview", params={"month": "2026-10"}).json()
    assert found["whole"]["so_far"] == "4126"
    assert sum(int(one["so_far"]) for one in found["departments"]) == 4126
    assert {one["name"]: one["amount"] for one in found["models"]["rows"]}["gpt-y"] == "4000"
    assert found["unpriced"]["quantity"] == "12"
    assert found["laws"] == {"checked_at": None, "broken": None}


def test_an_employee_is_led_to_the_own_page(web: Web) -> None:
    answer = signed_in(web, "employee").get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/me")


def test_views_are_kept_shared_and_deleted_by_their_owner(web: Web) -> None:
    finance, platform = signed_in(web, "finance"), signed_in(web, "platform")
    told = {"csrf": csrf_of(finance), "name": "won by model", "query": "from=2026-10&by=model&page=3&lang=ko"}
    assert finance.post("/usage/views/save", data=told).headers["location"] == "/usage?from=2026-10&by=model"
    assert platform.get("/api/v1/usage").json()["views"] == []
    finance.post("/usage/views/save", data={**told, "shared": "1"})
    (view,) = platform.get("/api/v1/usage").json()["views"]
    assert (view["name"], view["query"], view["owner"]) == ("won by model", "from=2026-10&by=model", "web:finance-1")
    foreign = {"csrf": csrf_of(platform), "view": view["id"]}
    assert platform.post("/usage/views/delete", data=foreign).status_code == 404
    assert finance.post("/usage/views/delete", data={**foreign, "csrf": told["csrf"]}).status_code == 303
    assert web.rows("select count(*) from web_event where action in ('view_saved', 'view_deleted')")[0][0] == 3
    shared = {"view": view["id"], "shared": True, "name": view["name"], "query": view["query"]}
    details = web.rows("select detail from web_event where action in ('view_saved', 'view_deleted') order by id")
    assert [one.detail for one in details[1:]] == [shared, shared]


@pytest.mark.parametrize("role", ["head", "auditor", "platform"])
def test_ones_own_view_is_nobody_elses(web: Web, role: str) -> None:
    """IDOR: neither seen nor deleted nor replaced by another, of finance neither."""
    name = f"{role}-views"
    owner = signed_in(web, role, name, **({"departments": ["D001"]} if role == "head" else {}))
    told = {"csrf": csrf_of(owner), "name": f"mine {role}", "query": "from=2026-10&by=model"}
    assert owner.post("/usage/views/save", data=told).status_code == 303
    (view,) = owner.get("/api/v1/usage").json()["views"]
    assert (view["owner"], view["is_shared"]) == (None, False)
    assert "/usage/views/delete" in owner.get("/usage?from=2026-10").text
    second = signed_in(web, "head", "head-curious", departments=["D001", "D002"])
    for other in (signed_in(web, "finance"), second):
        assert told["name"] not in other.get("/usage").text
        assert other.get("/api/v1/usage").json()["views"] == []
        foreign = {"csrf": csrf_of(other), "view": view["id"]}
        assert other.post("/usage/views/delete", data=foreign).status_code == 404
        other.post("/usage/views/save", data={**told, "csrf": foreign["csrf"], "query": "from=2026-09"})
        (own,) = other.get("/api/v1/usage").json()["views"]
        other.post("/usage/views/delete", data={**foreign, "view": own["id"]})
    assert owner.get("/api/v1/usage").json()["views"] == [view]
    assert owner.post("/usage/views/delete", data={"csrf": told["csrf"], "view": view["id"]}).status_code == 303
    trail = web.rows(f"select detail from web_event where actor = 'web:{name}' and action ~ '^view_' order by id")
    assert [one.detail for one in trail] == [{"view": view["id"], "shared": False}] * 2, "others read the trail"


@pytest.mark.parametrize("role", ["head", "auditor"])
def test_only_finance_and_platform_share_a_view(web: Web, role: str) -> None:
    client = signed_in(web, role, f"{role}-views", **({"departments": ["D001"]} if role == "head" else {}))
    told = {"csrf": csrf_of(client), "name": "for all", "query": "from=2026-10", "shared": "1"}
    assert client.post("/usage/views/save", data=told).status_code == 403
    assert 'name="shared"' not in client.get("/usage?from=2026-10").text
    assert client.get("/api/v1/usage").json()["views"] == []


def test_demo_data_is_refused_where_something_is(web: Web) -> None:
    finance = signed_in(web, "finance")
    answer = finance.post("/api/v1/usage/demo", headers={"x-csrf-token": csrf_of(finance)})
    assert (answer.status_code, answer.json()["code"]) == (409, "state")


def test_an_empty_installation_says_what_to_do(
    house_urls: DatabaseUrls, postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running_web(postgres_server.urls_of("web_empty"), tmp_path_factory.mktemp("empty")) as empty:
        finance = signed_in(empty, "finance")
        first = finance.get("/api/v1/overview").json()["first_start"]
        assert {one["step"] for one in first["steps"]} == {"roster", "department", "price", "fx", "vendor", "events"}
        assert (first["can_fill"], first["demo"], {one["done"] for one in first["steps"]}) == (True, None, {False})
        assert "jangbu roster import" in finance.get("/").text


@pytest.mark.parametrize(
    ("before", "now", "quantity", "price"),
    [((10, 20), (15, 30), 10, 0), ((10, 20), (10, 30), 0, 10), ((10, 20), (15, 60), 10, 30), ((0, 0), (5, 9), 9, 0),
     ((5, 9), (0, 0), -9, 0)],
)  # fmt: skip
def test_effects_add_up(before: tuple[int, int], now: tuple[int, int], quantity: int, price: int) -> None:
    found = effects(*map(Fraction, before), *map(Fraction, now))
    assert list(found) == [quantity, price]
    assert sum(found) == now[1] - before[1]
