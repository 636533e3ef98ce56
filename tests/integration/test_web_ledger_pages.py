"""The ledger's pages over a closed month: entries and search, laws, who did what, files held against the books."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.period_world import OCTOBER, PRICE, period_world
from tests.web_world import Web, csrf_of, running_web, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def running(module_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with period_world(module_database) as world:
        world.house.prices(PRICE.format(2, 1))
        world.use(world.one("a", OCTOBER, "D001", 60), world.one("b", OCTOBER, HOSTILE, 40))
        world.close("2026-10")
    with running_web(module_database, tmp_path_factory.mktemp("web")) as found:
        yield found


@pytest.fixture
def web(running: Web) -> Iterator[Web]:
    yield running
    running.close_clients()


def test_entries_are_found_and_balance(web: Web) -> None:
    auditor = signed_in(web, "auditor")
    found = auditor.get("/api/v1/ledger").json()
    assert {one["currency"]: (one["debit"], one["balance"]) for one in found["sums"]} == {"KRW": ("400", "0")}
    assert [one["month"] for one in found["closes"]] == ["2026-10"]
    mine = auditor.get("/api/v1/ledger", params={"department": HOSTILE}).json()
    assert {(one["amount"], one["model"]) for one in mine["lines"]} == {("80", "gpt-x")}
    page = auditor.get("/ledger").text
    assert HOSTILE not in page
    assert "&lt;img" in page
    csv = auditor.get("/ledger?format=csv&account=cost").text
    assert csv.count("\n") == 1 + len(auditor.get("/api/v1/ledger?account=cost").json()["lines"])
    entry = found["lines"][0]["id"]
    shown = auditor.get(f"/ledger/entries/{entry}")
    assert (shown.status_code, entry in shown.text, HOSTILE in shown.text) == (200, True, False)
    assert auditor.get("/ledger/entries/none").status_code == 404
    assert auditor.get("/ledger?month=2026-10").status_code == 200
    assert auditor.get("/ledger?month=october").status_code == 400


def test_the_laws_are_checked_and_the_check_is_kept(web: Web) -> None:
    auditor = signed_in(web, "auditor")
    assert auditor.get("/api/v1/ledger/laws").json()["checked_at"] is None
    done = auditor.post("/ledger/laws/check", data={"csrf": csrf_of(auditor)})
    assert done.status_code == 303
    found = auditor.get("/api/v1/ledger/laws").json()
    assert found["by"] == "web:auditor-1"
    by_law = {one["law"]: one for one in found["laws"]}
    assert by_law["4-balanced"]["last"]["violations"] == []
    assert by_law["4-balanced"]["last"]["checked"] > 0
    assert "select" in by_law["4-balanced"]["sql"]
    assert "Every entry balances" in auditor.get("/ledger/laws").text


def test_who_did_what_is_told_from_every_table(web: Web) -> None:
    auditor = signed_in(web, "auditor")
    found = auditor.get("/api/v1/ledger/changes").json()["changes"]
    assert {"sign_in", "close", "import_prices"} <= {one["action"] for one in found}
    closed = auditor.get("/api/v1/ledger/changes?words=close").json()["changes"]
    assert "2026-10" in {one["subject"] for one in closed}
    assert auditor.get("/ledger/changes?actor=nobody").status_code == 200


@pytest.mark.parametrize(("factor", "answer"), [(1, "agrees"), (2, "differs")])
def test_a_file_is_held_against_the_ledger(web: Web, factor: int, answer: str) -> None:
    auditor = signed_in(web, "auditor")
    kept = web.rows("select document, content_hash from statement where department = 'D001'")[0]
    told = {**json.loads(kept.document), "content_hash": kept.content_hash}
    told["total"] = str(int(told["total"]) * factor)
    sent = {"file": ("statement.json", json.dumps(told, ensure_ascii=False))}
    csrf = {"csrf": csrf_of(auditor)}
    found = auditor.post("/api/v1/ledger/verify", data=csrf, files=sent).json()
    assert found.get("answer") == answer, found
    page = auditor.post("/ledger/verify", data=csrf, files=sent)
    assert page.status_code == 200
    assert f"{answer} " in page.text
    none = auditor.post("/ledger/verify", data=csrf, files={"file": (HOSTILE, b"\x00\x01")})
    assert (none.status_code, HOSTILE in none.text) == (400, False)


def test_an_auditor_changes_nothing_and_a_head_sees_none_of_it(web: Web) -> None:
    head = signed_in(web, "head", departments=["D001"])
    for path in ("/ledger", "/ledger/laws", "/ledger/changes", "/ledger/verify", "/api/v1/ledger"):
        assert head.get(path).status_code == 403, path
