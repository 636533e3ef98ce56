"""Reconciliation of vendors whose names hold signs that mean something in addresses: each link leads to its page."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import psycopg
import pytest

from tests.integration.period_world import period_world
from tests.integration.test_break_commands import put_run
from tests.web_world import Web, csrf_of, running_web, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls, EmbeddedPostgres

NAMES = ("a/b", "..", ".", "what?x=1#y", "한국 회사", "100%25", "breaks", '"><script>alert(1)</script>', "plain-1")
MONTH = "2026-10"


@pytest.fixture(scope="module")
def urls(postgres_server: EmbeddedPostgres, _migrated_template: str) -> DatabaseUrls:
    with psycopg.connect(postgres_server.urls.owner, autocommit=True) as connection:
        connection.execute(f"create database web_vendor_paths template {_migrated_template}")
    return postgres_server.urls_of("web_vendor_paths")


@pytest.fixture(scope="module")
def running(urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with period_world(urls) as world:
        for name in NAMES:
            put_run(world, [("PRICE", "30", f"{MONTH}-03", "gpt-x")], vendor=name)
    with running_web(urls, tmp_path_factory.mktemp("web")) as found:
        yield found


@pytest.fixture
def web(running: Web) -> Iterator[Web]:
    yield running
    running.close_clients()


def links(page: str, start: str = "/reconciliation/") -> list[str]:
    """Addresses of links, as a browser reads them: dots that lead up are gone up."""
    found = [unescape(one) for one in re.findall(r'href="([^"]*)"', page)]
    return [urlsplit(urljoin("http://host", one)).path for one in found if one.startswith(start)]


def test_every_vendor_of_the_board_is_reached_by_its_links(web: Web) -> None:
    finance = signed_in(web, "finance")
    board = finance.get(f"/reconciliation?month={MONTH}").text
    assert "<script>alert" not in board
    months, years = set(), set()
    for path in links(board):
        answer = finance.get(f"/api/v1{path}")
        if path.endswith(f"/{MONTH}"):
            months.add(answer.json()["vendor"])
        elif "/year/" in path:
            years.add(answer.json()["vendor"])
            page = finance.get(path)
            assert page.status_code == 200
            assert "<script>alert" not in page.text
    assert months == set(NAMES)
    assert set(NAMES) <= years


@pytest.mark.parametrize("name", NAMES)
def test_a_vendors_month_leads_on_and_a_decision_leads_back(web: Web, name: str) -> None:
    finance = signed_in(web, "finance")
    board = finance.get(f"/reconciliation?month={MONTH}").text
    (path,) = [one for one in links(board) if one.endswith(f"/{MONTH}")
               and finance.get(f"/api/v1{one}").json()["vendor"] == name]  # fmt: skip
    page = finance.get(path).text
    assert "<script>alert" not in page
    assert finance.get(f"{path}?format=csv").status_code == 200
    assert finance.get(f"{path}/bridge?form=xlsx").status_code == 200
    assert any(finance.get(f"/api/v1{one}").json().get("vendor") == name for one in links(page) if "/year/" in one)
    (one,) = finance.get(f"/api/v1{path}").json()["breaks"]
    sent = {"csrf": csrf_of(finance), "action": "comment", "reason": "seen",
            "breaks": f"{one['break']}@{one['place']}"}  # fmt: skip
    done = finance.post("/reconciliation/note", data=sent)
    assert (done.status_code, done.headers["location"]) == (303, path)


def test_where_a_rules_vendor_comes_back_to_is_escaped(web: Web) -> None:
    finance = signed_in(web, "finance")
    fields = {
        "csrf": csrf_of(finance),
        "vendor": "a/b&c",
        "text": "meter",
        "model": "gpt-x",
        "valid_from": "2026-10-01",
    }
    done = finance.post("/reconciliation/names/add", data=fields)
    assert (done.status_code, done.headers["location"]) == (303, "/reconciliation/names?vendor=a%2Fb%26c")
    assert [one["vendor"] for one in finance.get(f"/api/v1{done.headers['location']}").json()["rules"]] == ["a/b&c"]
    back = finance.post("/reconciliation/names/add", data={**fields, "text": "other", "month": MONTH})
    assert back.headers["location"] == f"/reconciliation/a%252Fb%2526c/{MONTH}"
