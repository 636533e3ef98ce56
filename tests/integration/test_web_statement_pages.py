"""Departments and the month's end as pages: a head finds why the bill doubled, an auditor explains a won, finance
closes a month; who may not is refused."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from billing.explaining.books import MonthBooks
from billing.explaining.walk import Page, explain_item
from billing.store import snapshot
from tests.integration.period_world import PRICE, PeriodWorld, period_world
from tests.web_world import Web, csrf_of, running_web, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from jangbu.services.postgres import DatabaseUrls, EmbeddedPostgres

HOSTILE = "<img src=x onerror=alert(1)>"
SEPTEMBER = "2026-09-10T10:00:00+09:00"
OCTOBER = "2026-10-03T10:00:00+09:00"
WORLDS: dict[str, PeriodWorld] = {}


@pytest.fixture(scope="module")
def urls(postgres_server: EmbeddedPostgres, _migrated_template: str) -> DatabaseUrls:
    with psycopg.connect(postgres_server.urls.owner, autocommit=True) as connection:
        connection.execute(f"create database web_statements template {_migrated_template}")
    return postgres_server.urls_of("web_statements")


@pytest.fixture(scope="module")
def running(urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with period_world(urls) as world:
        WORLDS["it"] = world
        world.house.prices(PRICE.format(2, 1))
        world.use(world.one("a", SEPTEMBER, "D001", 60, user="kim"), world.one("b", SEPTEMBER, "D002", 40, user="lee"))
        world.close("2026-09")
        world.use(
            world.one("c", OCTOBER, "D001", 160, user="kim"), world.one("d", OCTOBER, HOSTILE, 40, user=HOSTILE),
            world.one("e", OCTOBER, "D001", 5, user="park", model="mystery"),
            world.one("f", OCTOBER, "D002", 40, user="lee"),
        )  # fmt: skip
        with running_web(urls, tmp_path_factory.mktemp("web")) as found:
            yield found


@pytest.fixture
def web(running: Web) -> Iterator[Web]:
    yield running
    running.close_clients()


def asked(client: httpx.Client, path: str) -> Any:
    answer = client.get(f"/api/v1{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()



def test_departments_are_found_by_name_or_code_and_months_lead_to_the_next(web: Web) -> None:
    finance = signed_in(web, "finance")
    found = finance.get("/api/v1/departments?month=2026-10&words=d002").json()
    assert [one["department"] for one in found["departments"]] == ["D002"]
    assert found["total"] == found["departments"][0]["total"], "figures are of what is listed"
    assert (found["budget"], found["content_hash"]) == (None, None), "those are the organisation's"
    page = finance.get("/departments?month=2026-10&words=d002&lang=en").text
    assert 'value="d002"' in page
    assert 'rel="prev" href="/departments?words=d002&amp;month=2026-09"' in page
    assert 'rel="next" href="/departments?words=d002&amp;month=2026-11"' in page
    nobody = finance.get("/departments?month=2026-10&words=<script>")
    assert nobody.status_code == 200
    assert "<script>" not in nobody.text.split("<main")[1]
    assert finance.get("/api/v1/departments?month=2026-10&words=nobody").json()["departments"] == []


def test_the_list_holds_every_department_and_what_changed(web: Web) -> None:
    finance = signed_in(web, "finance")
    found = asked(finance, "/departments?month=2026-10")
    rows = {one["department"]: (one["total"], one["last_total"], one["difference"]) for one in found["departments"]}
    assert rows == {"D001": ("320", "120", "200"), "D002": ("80", "80", "0"), HOSTILE: ("80", None, None)}
    assert (found["total"], found["departments"][0]["department"]) == ("480", "D001")
    by_code = asked(finance, "/departments?month=2026-10&sort=difference")["departments"]
    assert [one["department"] for one in by_code] == ["D001", "D002", HOSTILE]
    page = finance.get("/departments?month=2026-10").text
    assert HOSTILE not in page
    assert finance.get("/departments?month=2026-10&format=csv").text.count("\n") == 4
    assert finance.get("/departments?sort=colour").status_code == 400


def test_a_head_finds_why_the_bill_doubled(web: Web) -> None:
    head = signed_in(web, "head", departments=["D001"])
    assert [one["department"] for one in asked(head, "/departments?month=2026-10")["departments"]] == ["D001"]
    found = asked(head, "/departments/D001?month=2026-10")
    assert found["difference"] == "200"
    mover = found["movers"][0]
    assert (mover["model"], mover["quantity_effect"], mover["price_effect"]) == ("gpt-x", "200", "0")
    assert [one["total"] for one in found["trend"][-2:]] == ["120", "320"]
    assert found["content_hash"] == WORLDS["it"].documents("2026-10")["D001"]["content_hash"]
    people = asked(head, "/departments/D001/people?month=2026-10")
    assert [(one["user"], one["difference"]) for one in people["people"]] == [("kim", "200")]
    assert people["without_price"] == 1
    page = head.get("/departments/D001?month=2026-10").text
    assert "Why it changed" in page
    assert "/departments/D001/people?month=2026-10" in page
    for path in ("", "/people", "/explain", "/files/pdf"):
        for foreign in ("D002", "unattributed", "organisation"):
            assert head.get(f"/departments/{foreign}{path}?month=2026-10").status_code == 403, (foreign, path)


def test_an_auditor_explains_a_won_down_to_the_offset(web: Web) -> None:
    auditor = signed_in(web, "auditor")
    document = asked(auditor, "/departments/D001/explain?month=2026-10&line=1")
    world = WORLDS["it"]
    with snapshot(world.reader) as connection:
        books = MonthBooks.read(connection, "2026-10", world.house.policy)
        told = explain_item(books, "D001", "1", Page(100, 0), with_users=True)
    assert document["agrees"] is True
    assert document["events"]["rows"][0]["offset"] == told["events"]["rows"][0]["offset"]
    assert [one["stated"] for one in document["checks"]] == [one["stated"] for one in told["checks"]]
    assert document["price"]["row"]["source"] == "letter"
    page = auditor.get("/departments/D001/explain?month=2026-10&line=1").text
    assert "every step agrees" in page
    assert "usage.events" in page or told["events"]["rows"][0]["topic"] is None
    assert auditor.get("/departments/D001/explain?month=2026-10").status_code == 200
    assert auditor.get("/departments/D001/explain?month=2026-10&line=99").status_code == 404
    assert auditor.get("/departments/D001/explain?month=2026-10&line=1&first=x").status_code == 400
    hostile = auditor.get("/departments/" + HOSTILE.replace("/", "%2F") + "?month=2026-10")
    assert (hostile.status_code, HOSTILE in hostile.text) == (200, False)
    assert auditor.get("/departments/nobody?month=2026-10").status_code == 404


@pytest.mark.parametrize(("form", "begin"), [("pdf?lang=ko", b"%PDF"), ("xlsx", b"PK"), ("csv", b"month,")])
def test_a_statement_is_a_file(web: Web, form: str, begin: bytes) -> None:
    head = signed_in(web, "head", departments=["D001"])
    joined = "&" if "?" in form else "?"
    found = head.get(f"/departments/D001/files/{form}{joined}month=2026-10")
    assert found.status_code == 200, found.text
    assert found.content.startswith(begin)
    assert "attachment" in found.headers["content-disposition"]


def test_pages_speak_korean(web: Web) -> None:
    finance = signed_in(web, "finance")
    finance.headers["accept-language"] = "ko"
    for path, word in (("/departments?month=2026-10", "집행률"), ("/departments/D001?month=2026-10", "사용량 효과"),
                       ("/departments/D001/explain?month=2026-10&line=1", "단가 행과 출처"), ("/month-end", "미마감"),
                       ("/month-end/2026-10", "점검 항목")):  # fmt: skip
        assert word in finance.get(path).text, path


def test_finance_closes_a_month(web: Web) -> None:
    finance, auditor = signed_in(web, "finance"), signed_in(web, "auditor")
    months = {one["month"]: one["state"] for one in asked(auditor, "/month-end")["periods"]}
    assert months == {"2026-09": "closed", "2026-10": "open"}
    status = asked(auditor, "/month-end/2026-10")
    assert status["blockers"] == ["unpriced"]
    assert {one["name"]: one["path"] for one in status["checklist"]}["unpriced"] == "/prices"
    csrf = {"csrf": csrf_of(finance)}
    going = "/month-end/2026-10/close"
    blocked = finance.post(going, data={**csrf, "confirm": "2026-10"})
    assert blocked.status_code == 409
    assert "unpriced" in blocked.text
    assert finance.post(going, data={**csrf, "confirm": "2026-09"}).status_code == 400
    unfounded = finance.post(going, data={**csrf, "confirm": "2026-10", "accept": "unpriced"})
    assert unfounded.status_code == 400, "no reason"
    sent = {"confirm": "2026-10", "accept": "unpriced", "reason": "the price comes in December"}
    assert auditor.post(going, data={"csrf": csrf_of(auditor), **sent}).status_code == 403
    dry = asked(finance, "/month-end/2026-10/dry-run")
    assert auditor.get("/month-end/2026-10/dry-run").status_code == 403
    assert not web.rows("select 1 from period_close where month = '2026-10'"), "a dry run writes nothing"
    for _ in range(2):
        done = finance.post(going, data={**csrf, **sent})
        assert (done.status_code, done.headers["location"]) == (303, "/month-end/2026-10")
    (closed,) = web.rows("select actor, accepted, content_hash from period_close where month = '2026-10'")
    assert (closed.actor, list(closed.accepted), closed.content_hash) == (
        "web:finance-1", ["unpriced"], dry["content_hash"]
    )  # fmt: skip
    asked_for = web.rows("select detail from web_event where action = 'month_close_asked' order by id")
    assert asked_for[-1].detail["reason"] == sent["reason"]
    assert asked(auditor, "/month-end/2026-10")["state"] == "closed"
    assert closed.content_hash in auditor.get("/month-end/2026-10").text
    late = signed_in(web, "finance", name="finance-2")
    assert late.post(going, data={"csrf": csrf_of(late), **sent}).status_code == 409, "closed by somebody else"


def test_files_of_the_month(web: Web) -> None:
    auditor = signed_in(web, "auditor")
    found = auditor.get("/month-end/2026-09/files/statements?lang=en")
    assert found.status_code == 200
    with zipfile.ZipFile(io.BytesIO(found.content)) as archive:
        names = archive.namelist()
    assert len(names) == 9, names
    for path in ("journal", "resolution", "focus", "journal?format=xlsx"):
        answer = auditor.get(f"/month-end/2026-09/files/{path}")
        assert answer.status_code == 200, answer.text
        assert len(answer.content) > 100
    head = signed_in(web, "head", departments=["D001"])
    for path in ("", "/2026-09", "/2026-09/files/statements"):
        assert head.get(f"/month-end{path}").status_code == 403
