"""A month into which use comes all the time: where computing it takes long, pages show the last figures with their
time, and only use may be missing from them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import psutil
import psycopg
import pytest

from jangbu.web import memory, open_months
from tests.bench.pages import served
from tests.integration.period_world import OCTOBER, PRICE, PeriodWorld, period_world
from tests.web_world import Web, running_web, sign_in, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

NOTE = "use that came since may be missing"
PAGE = "/departments/D001?month=2026-10"
ROWS = "/departments?month=2026-10"
PROOF = "/api/v1/departments/D001/explain?month=2026-10"


class Running(NamedTuple):
    """Books into which use comes, and somebody of finance who looks at them."""

    world: PeriodWorld
    web: Web
    finance: httpx.Client

    def use(self, event_id: str, tokens: int) -> None:
        """More use of the department."""
        self.world.use(self.world.one(event_id, OCTOBER, "D001", tokens, user="kim", units={"requests": 1}))

    def total(self, path: str = PAGE) -> tuple[str, bool]:
        """What a view comes to, and whether its page and the API say that use may be missing."""
        answer, page = self.finance.get(f"/api/v1{path}"), self.finance.get(path)
        assert (answer.status_code, page.status_code) == (200, 200), page.text
        assert (NOTE in page.text) == ("jangbu-as-of" in answer.headers)
        return answer.json()["total"], NOTE in page.text


@pytest.fixture
def running(migrated_database: DatabaseUrls, tmp_path: Path) -> Iterator[Running]:
    with period_world(migrated_database) as world:
        world.house.prices(PRICE.format(2, 1))
        world.use(world.one("a", OCTOBER, "D001", 60, user="kim"), world.one("b", OCTOBER, "D002", 40, user="lee"))
        with running_web(migrated_database, tmp_path) as web:
            made = Running(world, web, signed_in(web, "finance"))
            assert made.total() == ("120", False)
            yield made


@pytest.fixture
def slow(running: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    """As if computing the month took long."""
    monkeypatch.setattr(open_months, "SLOW_MS", 0)
    return running


def test_a_month_that_is_computed_quickly_is_never_stale(running: Running) -> None:
    running.use("c", 1)
    assert running.total() == ("122", False)
    assert running.total(ROWS) == ("202", False)


def test_the_last_figures_are_shown_with_their_time_and_nobody_waits(
    slow: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_months.OpenMonths, "_compute_beside", lambda *_: None)
    slow.use("c", 1)
    assert slow.total() == ("120", True)
    assert slow.total(ROWS) == ("200", True)
    assert NOTE in slow.finance.get("/?month=2026-10").text
    nobody = slow.finance.get("/departments/D003?month=2026-10")
    assert nobody.status_code == 404
    trend = slow.finance.get(f"/api/v1{PAGE}").json()["trend"]
    assert trend[-1] == {"month": "2026-10", "total": "120", "is_closed": False}


def proof(running: Running, line: str = "") -> dict[str, Any]:
    """`explain` of the statement, or of a line."""
    answer = running.finance.get(f"{PROOF}{line}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found["disagreeing"] == 0, found["checks"]
    return {**found, "is_of_earlier": "jangbu-as-of" in answer.headers}


def test_a_proof_reads_the_state_that_its_statement_was_computed_from(
    slow: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow.use("c", 1)
    assert proof(slow)["total"] == "122"
    assert slow.total() == ("122", False), "what the proof computed is kept"
    slow.use("d", 1)
    slow.use("e", 1)
    whole, line = proof(slow), proof(slow, "&line=1")
    assert (whole["total"], whole["is_of_earlier"]) == ("122", True)
    assert {one["id"] for one in line["events"]["rows"]} == {"a", "c"}
    monkeypatch.setattr(open_months, "USED", timedelta(0))
    assert proof(slow)["total"] == "126", "a snapshot that may be let go of is taken by nobody"
    assert {one["id"] for one in proof(slow, "&line=1")["events"]["rows"]} == {"a", "c", "d", "e"}


def test_a_proof_of_a_month_that_is_computed_quickly_is_of_now(running: Running) -> None:
    running.use("c", 1)
    assert (proof(running)["total"], proof(running)["is_of_earlier"]) == ("122", False)


def test_usage_that_takes_long_may_miss_what_came_within_a_minute(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def used() -> tuple[str, bool]:
        answer = running.finance.get("/api/v1/usage?from=2026-10&by=unit&unit=input_tokens")
        return answer.json()["totals"]["quantity"], "jangbu-as-of" in answer.headers

    assert used() == ("100", False)
    running.use("c", 1)
    assert used() == ("101", False), "it is computed quickly"
    monkeypatch.setattr(memory, "SLOW_S", 0)
    running.use("d", 1)
    assert used() == ("101", True)
    running.world.house.fx("2026-10-01,USD,KRW,1000,test")
    assert used() == ("102", False), "an input changed"
    running.use("e", 1)
    assert used() == ("102", True)
    monkeypatch.setattr(memory, "KEPT_S", 0)
    assert used() == ("103", False), "a minute has passed"


def test_serve_computes_months_in_a_process_of_its_own_that_ends_with_it(running: Running, tmp_path: Path) -> None:
    """The real command: what it says on its way shows whether there was such a process."""
    running.web.account("reader", "finance")
    with psycopg.connect(running.world.urls.owner) as connection:
        connection.execute("update open_month set took_ms = 10000")
    running.use("c", 1)
    with served(running.world.urls, tmp_path) as address, httpx.Client(base_url=address, timeout=60) as client:
        assert sign_in(client, "reader").status_code == 303
        answer = client.get(PROOF)
        assert (answer.json()["total"], "jangbu-as-of" in answer.headers) == ("122", True)
        (server,) = [one for one in psutil.Process().children() if "serve" in one.cmdline()]
        computing = [one for one in server.children() if any("spawn_main" in word for word in one.cmdline())]
        assert len(computing) == 1
        server.kill()
        psutil.wait_procs(computing, timeout=30)
        assert not computing[0].is_running(), "it ends with its server, also with one that is killed"
    assert "no process of its own" not in (tmp_path / "serve.log").read_text()


def test_as_many_proofs_at_once_as_there_are_threads_wait_for_no_second_connection(slow: Running) -> None:
    slow.use("c", 1)
    assert proof(slow)["total"] == "122"
    slow.use("d", 1)
    with ThreadPoolExecutor(40) as pool:
        found = list(pool.map(lambda _: slow.finance.get(PROOF).status_code, range(40)))
    assert found == [200] * 40


def test_snapshots_are_let_go_of(slow: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    idle = "state = 'idle in transaction' and datname = current_database()"
    monkeypatch.setattr(open_months, "HELD", timedelta(seconds=1))
    slow.use("c", 1)
    proof(slow)
    slow.use("d", 1)
    assert proof(slow)["is_of_earlier"]
    deadline_s = time.monotonic() + 60
    while slow.web.rows(f"select count(*) from pg_stat_activity where {idle}") != [(0,)]:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def test_whatever_else_changes_is_seen_at_once(slow: Running) -> None:
    slow.use("c", 1)
    assert slow.total() == ("120", True)
    slow.world.house.prices("openai,gpt-x,requests,,,,KRW,5,1,2026-01-01T00:00:00Z,,letter")
    assert slow.total() == ("127", False)


def test_older_figures_are_computed_anew_beside(slow: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_months, "FRESH", timedelta(0))
    slow.use("c", 1)
    assert slow.finance.get(PAGE).status_code == 200
    deadline_s = time.monotonic() + 60
    while NOTE in slow.finance.get(PAGE).text:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    assert slow.total() == ("122", False)


def test_figures_that_are_too_old_are_shown_to_nobody(slow: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_months, "STALE", timedelta(0))
    slow.use("c", 1)
    assert slow.total() == ("122", False)


def test_how_long_a_month_took_is_kept_with_it(running: Running) -> None:
    with psycopg.connect(running.world.urls.owner) as connection:
        row = connection.execute(
            "select took_ms, computed_at <= now() from open_month where month = '2026-10'"
        ).fetchone()
        assert row is not None
        assert row[0] >= 0
        assert row[1]
        connection.execute("update open_month set took_ms = %s", (open_months.SLOW_MS,))
    running.use("c", 1)
    assert running.total() == ("120", True)
