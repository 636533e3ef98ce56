"""Reconciliation's pages: the board, a month, decisions about what was seen, second persons, files, names of meters."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.integration.invoice_world import PRICES, Used, put_prices, put_use
from tests.integration.period_world import period_world
from tests.integration.test_break_commands import put_run
from tests.web_world import Web, csrf_of, running_web, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from jangbu.services.postgres import DatabaseUrls, EmbeddedPostgres

HOSTILE = "<img src=x onerror=alert(1)>"
MONTH = "/reconciliation/openai/2026-10"


@pytest.fixture(scope="module")
def urls(postgres_server: EmbeddedPostgres, _migrated_template: str) -> DatabaseUrls:
    with psycopg.connect(postgres_server.urls.owner, autocommit=True) as connection:
        connection.execute(f"create database web_reconciliation template {_migrated_template}")
    return postgres_server.urls_of("web_reconciliation")


@pytest.fixture(scope="module")
def running(urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with psycopg.connect(urls.owner, autocommit=True) as connection:
        put_prices(connection, PRICES)
        put_use(connection, [Used(date(2026, 9, 3), "gpt-4o-2024-08-06", "input", 1_000_000)])
    with period_world(urls) as world:
        put_run(world, [
            ("PRICE", "30", "2026-10-03", HOSTILE), ("BYPASS", "200000", "2026-10-05", "gpt-y"),
            ("UNKNOWN_MODEL", "7", "2026-10-05", "meter 7"), ("FEE", "1", "2026-10-06", "gpt-z"),
        ], why=HOSTILE)  # fmt: skip
    with running_web(urls, tmp_path_factory.mktemp("web"), writeoff_limit="1000") as found:
        yield found


@pytest.fixture
def web(running: Web) -> Iterator[Web]:
    yield running
    running.close_clients()


def break_of(client: httpx.Client, cls: str) -> tuple[str, str]:
    """A break's name, and the name with its place as a form sends it."""
    (one,) = client.get(f"/api/v1{MONTH}", params={"class": cls}).json()["breaks"]
    return one["break"], f"{one['break']}@{one['place']}"


def decide(client: httpx.Client, action: str, *breaks: str, to: str = "decide", **more: str) -> httpx.Response:
    fields = {"csrf": csrf_of(client), "action": action, "breaks": list(breaks), "reason": "seen in the contract"}
    return client.post(f"/reconciliation/{to}", data={**fields, **more})


def test_the_board_and_the_month_say_the_same(web: Web) -> None:
    auditor = signed_in(web, "auditor")
    board = auditor.get("/api/v1/reconciliation?month=2026-11").json()
    (cell,) = [one for one in board["cells"] if one["vendor"] == "openai" and one["month"] == "2026-10"]
    assert (cell["state"], cell["open"], cell["currency"]) == ("open", 4, "KRW")
    month = auditor.get(f"/api/v1{MONTH}").json()
    assert (month["open"], month["total"]) == (4, 4)
    assert month["bridges"][0]["steps"][0]["name"] == "ours"
    page = auditor.get(MONTH).text
    assert HOSTILE not in page
    assert "&lt;img" in page
    assert 'name="action"' not in page, "an auditor changes nothing"
    assert auditor.get(f"{MONTH}?format=csv").text.count("\n") == 1 + month["total"]
    assert auditor.get(f"{MONTH}?format=xlsx").content[:2] == b"PK"
    korean = auditor.get(f"{MONTH}?lang=ko").text
    assert "청구서" in korean
    for path in ("/reconciliation?month=2026-10", "/reconciliation/openai/year/2026", "/reconciliation/names",
                 "/reconciliation/import", "/reconciliation/mistral/2026-10"):  # fmt: skip
        assert auditor.get(path).status_code == 200, path
    assert auditor.get("/reconciliation/nobody/2026-10").status_code == 400
    assert auditor.get(f"{MONTH}?state=no").status_code == 400


def test_who_may_not(web: Web) -> None:
    head = signed_in(web, "head", departments=["D001"])
    assert head.get(MONTH).status_code == 403
    auditor = signed_in(web, "auditor")
    _, seen = break_of(auditor, "FEE")
    assert decide(auditor, "accept", seen).status_code == 403
    platform = signed_in(web, "platform")
    assert decide(platform, "accept", seen).status_code == 403
    assert decide(platform, "comment", seen, to="note").status_code == 303


def test_what_moved_meanwhile_is_refused(web: Web) -> None:
    finance = signed_in(web, "finance")
    name, seen = break_of(finance, "PRICE")
    assert decide(finance, "assign", seen, to="note", owner=HOSTILE).status_code == 303
    moved = decide(finance, "dispute", seen)
    assert (moved.status_code, "look again" in moved.text) == (409, True)
    assert finance.get(f"/api/v1/reconciliation/breaks/{name}").json()["state"] == "open"
    _, now = break_of(finance, "PRICE")
    assert decide(finance, "dispute", now).status_code == 303
    page = finance.get(f"/reconciliation/breaks/{name}").text
    assert HOSTILE not in page
    letter = finance.get(f"{MONTH}/dispute?form=csv")
    assert (letter.status_code, name in letter.text) == (200, True)
    assert finance.get(f"{MONTH}/dispute?form=pdf").content[:4] == b"%PDF"
    assert finance.get(f"{MONTH}/bridge?form=xlsx").content[:2] == b"PK"
    assert finance.get(f"{MONTH}/bridge?form=doc").status_code == 400
    decided = web.rows("select actor from break_decision where action = 'dispute'")
    assert [one.actor for one in decided] == ["web:finance-1"]


def test_a_large_write_off_needs_another_person(web: Web) -> None:
    finance = signed_in(web, "finance")
    name, seen = break_of(finance, "BYPASS")
    assert decide(finance, "writeoff", seen).status_code == 303
    page = finance.get(f"/reconciliation/breaks/{name}").text
    assert 'value="confirm"' not in page, "who proposed it is not offered to confirm it"
    _, waiting = break_of(finance, "BYPASS")
    assert decide(finance, "confirm", waiting).status_code == 409
    other = signed_in(web, "finance", "finance-2")
    assert 'value="confirm"' in other.get(f"/reconciliation/breaks/{name}").text
    assert decide(other, "confirm", waiting).status_code == 303
    assert other.get(f"/api/v1/reconciliation/breaks/{name}").json()["state"] == "written_off"


def test_a_name_gets_its_meaning(web: Web) -> None:
    finance = signed_in(web, "finance")
    name, _ = break_of(finance, "UNKNOWN_MODEL")
    assert 'value="meter 7"' in finance.get(f"/reconciliation/breaks/{name}").text
    fields = {"csrf": csrf_of(finance), "vendor": "openai", "text": "meter 7", "model": "gpt-x",
              "valid_from": "2026-10-01", "month": "2026-10"}  # fmt: skip
    done = finance.post("/reconciliation/names/add", data=fields)
    assert (done.status_code, done.headers["location"]) == (303, MONTH)
    rules = finance.get("/api/v1/reconciliation/names").json()["rules"]
    assert [(one["text"], one["model"], one["valid_from"]) for one in rules] == [("meter 7", "gpt-x", "2026-10-01")]


def test_a_file_is_shown_then_imported_then_reconciled(web: Web) -> None:
    finance = signed_in(web, "finance")
    raw = json.dumps({
        "object": "page", "has_more": False, "next_page": None,
        "data": [{
            "object": "bucket", "start_time": 1788393600, "end_time": 1788480000,
            "results": [{"object": "organization.costs.result", "amount": {"value": 2.5, "currency": "usd"},
                         "line_item": "gpt-4o-2024-08-06, input", "project_id": None}],
        }],
    }).encode()  # fmt: skip
    token = csrf_of(finance)
    form = {"csrf": token, "month": "2026-09"}
    shown = finance.post("/reconciliation/import/files", data=form, files={"files": (f"{HOSTILE}.json", raw)})
    assert shown.status_code == 200, shown.text
    assert HOSTILE not in shown.text
    assert "2.5 USD" in shown.text
    assert web.rows("select id from invoice_import") == [], "a look writes nothing"
    fields = {name: hidden(shown.text, name) for name in ("sha256", "name", "carried", "vendor")}
    wrong = finance.post("/reconciliation/import/files", data={**form, **fields, "sha256": "0" * 64, "confirm": "1"})
    assert wrong.status_code == 400
    done = finance.post("/reconciliation/import/files", data={**form, **fields, "confirm": "1"})
    assert (done.status_code, done.headers["location"]) == (303, "/reconciliation/openai/2026-09")
    again = finance.post("/reconciliation/import/files", data=form, files={"files": ("again.json", raw)})
    assert again.status_code == 409
    ran = finance.post("/reconciliation/run", data={"csrf": token, "vendor": "openai", "month": "2026-09"})
    assert ran.status_code == 303
    found = finance.get("/api/v1/reconciliation/openai/2026-09").json()
    assert found["bridges"][0]["proof"]["difference"] == "0"
    assert finance.get("/reconciliation/openai/2026-09").status_code == 200
    refused = finance.post("/reconciliation/import/files", data=form, files={"files": ("x.csv", b"no,such\n1,2\n")})
    assert (refused.status_code, "line 1" in refused.text) == (400, True)


def hidden(page: str, name: str) -> str:
    """A hidden field's value as a browser sends it."""
    from html import unescape

    return unescape(page.split(f'name="{name}" value="')[1].split('"')[0])
