"""The roster brought on a page: looked at with what it does to sums, then taken over, with who did it in the trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.events import chunk, event
from tests.faults.workbench import Workbench
from tests.web_world import Web, csrf_of, field, running_web, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from jangbu.services.postgres import DatabaseUrls

HOSTILE = "<script>alert(1)</script>"
ROSTER = f"user,department,valid_from\nu-1,D001,2026-01-01\n{HOSTILE},D002,\n"


@pytest.fixture(scope="module")
def running(module_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with Workbench(module_database) as bench:
        bench.store(chunk([event("a"), event("b"), event("c", user="u-2")]))
    with running_web(module_database, tmp_path_factory.mktemp("web")) as found:
        yield found


@pytest.fixture
def web(running: Web) -> Iterator[Web]:
    yield running
    running.close_clients()


def look(client: httpx.Client, raw: str, lang: str = "en", name: str = f"{HOSTILE}.csv") -> httpx.Response:
    path = f"/departments/roster?lang={lang}"
    return client.post(path, data={"csrf": csrf_of(client)}, files={"file": (name, raw)})


def take(client: httpx.Client, preview: str) -> httpx.Response:
    sent = {"csrf": csrf_of(client), "carried": field(preview, "carried"), "name": "roster.csv", "confirm": "1"}
    return client.post("/departments/roster", data=sent)


def test_a_roster_is_looked_at_then_taken_over(web: Web) -> None:
    finance = signed_in(web, "finance")
    assert 'action="/departments/roster"' in finance.get("/departments").text
    looked = look(finance, ROSTER)
    assert looked.status_code == 200
    assert "2 memberships added, 0 changed, 0 as they were; 2 events attributed anew" in looked.text
    assert "2 events: (unattributed) -&gt; D001" in looked.text
    assert "+ u-1 in D001 from 2026-01-01\n" in looked.text
    assert "in D002 from the beginning" in looked.text
    assert HOSTILE not in looked.text
    korean = look(finance, ROSTER, "ko").text
    assert "이벤트 2건: (부서 미상) -&gt; D001" in korean
    assert "소속 추가 2건" in korean
    assert web.rows("select 1 from roster") == [], "nothing is written by looking"
    assert web.rows("select 1 from web_event where action = 'roster_import'") == []
    assert take(finance, looked.text).status_code == 303
    assert web.rows('select "user", department from roster order by department') == [("u-1", "D001"), (HOSTILE, "D002")]
    (kept,) = web.rows("select actor, subject, detail from web_event where action = 'roster_import'")
    assert (kept.actor, kept.subject) == ("web:finance-1", "roster")
    assert {name: kept.detail[name] for name in ("file", "added", "changed", "events")} == {
        "file": "roster.csv", "added": 2, "changed": 0, "events": 2,
    }  # fmt: skip
    assert "u-1" not in str(kept.detail), "names of people stand in the roster alone"
    assert "roster_import" in finance.get("/ledger/changes").text
    again = look(finance, ROSTER)
    assert "The file changes nothing." in again.text


def test_a_changed_row_says_what_of_it_changes(web: Web) -> None:
    platform = signed_in(web, "platform")
    if not web.rows("select 1 from roster"):
        take(platform, look(platform, ROSTER).text)
    looked = look(platform, "user,department,cost_centre,valid_from\nu-1,D009,77,2026-01-01\n")
    assert "~ u-1 from 2026-01-01: department D001 -&gt; D009, cost_centre (empty) -&gt; 77" in looked.text
    assert "2 events: D001 -&gt; D009" in looked.text
    answer = platform.post("/api/v1/departments/roster", data={
        "csrf": csrf_of(platform), "carried": field(looked.text, "carried"), "name": "r.csv"})  # fmt: skip
    found = answer.json()["document"]
    assert found["moved"] == [{"from": "D001", "to": "D009", "events": 2}]
    assert (found["written"], found["dry_run"]) == (False, True)


def test_a_wrong_file_is_refused_whole_with_the_cell(web: Web) -> None:
    finance = signed_in(web, "finance")
    before = web.rows("select count(*) from roster")
    refused = look(finance, f"user,department,valid_from\nu-3,D001,2026-01-01\nu-4,D001,{HOSTILE}\n", "ko")
    assert refused.status_code == 400
    assert "날짜" in refused.text
    assert HOSTILE not in refused.text
    assert web.rows("select count(*) from roster") == before


def test_who_may_not(web: Web) -> None:
    for role in ("auditor", "head", "employee"):
        person = signed_in(web, role)
        assert look(person, ROSTER).status_code == 403, role
        assert 'action="/departments/roster"' not in person.get("/departments").text
    finance = signed_in(web, "finance")
    assert finance.post("/departments/roster", files={"file": ("r.csv", ROSTER)}).status_code == 403, "without a token"
