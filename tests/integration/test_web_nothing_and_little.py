"""What pages say where there is nothing or little: costs below a cent, a month without use, a pledge nobody set."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.scenarios.house import House
from tests.web_world import Web, csrf_of, field, running_web, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from jangbu.services.postgres import DatabaseUrls

LONG_AGO = "2026-03"
TODAY = datetime.now(UTC).date()
SIGNATURES = f"""user,version,signed_on,expires_on
u-1,2026-1,{TODAY},2099-01-01
<b>u-2</b>,2026-1,{TODAY},
"""


@pytest.fixture(scope="module")
def running(module_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """In March u-1 used three tokens at 0.05 cents a thousand; nobody used anything since."""
    house = House(module_database)
    house.prices("openai,gpt-x,input_tokens,,,,USD,0.0005,1000,2026-01-01T00:00:00Z,,letter")
    house.fx("2026-01-01,USD,KRW,1000,test")
    house.use(f"{LONG_AGO}-09T05:00:00+09:00", "D001", "gpt-x", {"input_tokens": 3}, user="u-1")
    house.close()
    with psycopg.connect(module_database.owner, autocommit=True) as connection:
        connection.execute("insert into roster (\"user\", department, valid_from) values ('u-1', 'D001', '2026-01-01')")
    with running_web(module_database, tmp_path_factory.mktemp("web")) as found:
        yield found


@pytest.fixture
def web(running: Web) -> Iterator[Web]:
    yield running
    running.close_clients()


def told(client: httpx.Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, f"{path}: {answer.text}"
    return answer.text


def test_a_cost_below_a_cent_is_not_shown_as_nothing(web: Web) -> None:
    finance = signed_in(web, "finance")
    asked = f"from={LONG_AGO}&by=model"
    page = told(finance, f"/usage?{asked}")
    assert '<dd><span title="0.0000015 USD">&lt; 0.01 USD</span></dd>' in page
    assert '<td class="n"><span title="0.0000015 USD">&lt; 0.01</span></td>' in page
    (row,) = finance.get(f"/api/v1/usage?{asked}").json()["rows"]
    assert row["cost"] == "0.0000015"
    assert "0.0000015" in told(finance, f"/usage?{asked}&format=csv")
    own = told(signed_in(web, "employee", "u-1"), f"/me?month={LONG_AGO}")
    assert '<span title="0.0000015 USD">&lt; 0.01 USD</span>' in own


def test_a_statements_line_that_is_rounded_to_nothing_says_what_it_is_exactly(web: Web) -> None:
    """0.0000015 USD at 1,000 won are 0.0015 won: nothing is to be paid, and the line says of how much."""
    finance = signed_in(web, "finance")
    page = told(finance, f"/departments/D001?month={LONG_AGO}")
    assert re.search(r'<td class="n">0<br><small>exactly 0\.0015</small></td>', page)
    assert "정확히는 0.0015" in told(finance, f"/departments/D001?month={LONG_AGO}&lang=ko")
    people = told(finance, f"/departments/D001/people?month={LONG_AGO}&lang=en")
    assert '<span title="+0.0000015 USD">&lt; +0.01 USD</span>' in people


def test_ones_own_page_leads_from_an_empty_month_to_the_last_with_use(web: Web) -> None:
    employee = signed_in(web, "employee", "u-1")
    assert f'<a href="/me?month={LONG_AGO}">The last month with use is March 2026.</a>' in told(employee, "/me")
    assert employee.get("/api/v1/me").json()["last_used_month"] == LONG_AGO
    assert employee.get(f"/api/v1/me?month={LONG_AGO}").json()["last_used_month"] is None, "it is this one"
    with web.engine.begin() as connection:
        connection.exec_driver_sql("select roll_up_usage('Asia/Seoul')")
    assert employee.get("/api/v1/me").json()["last_used_month"] == LONG_AGO, "out of rolled sums too"
    other = signed_in(web, "employee", "u-9")
    assert "The last month with use" not in told(other, "/me")
    assert other.get("/api/v1/me").json()["last_used_month"] is None


def test_nobody_is_in_the_red_for_a_pledge_that_nobody_set(web: Web) -> None:
    """Then signatures are brought, looked at row by row, and the pages ask for them."""
    finance = signed_in(web, "finance")
    page = told(finance, "/pledges")
    assert "No version of the pledge is set and nobody has signed one" in page
    assert f"JANGBU_PLEDGE_VERSION={TODAY.year}-1" in page
    assert 'class="state bad"' not in page
    assert finance.get("/api/v1/pledges").json()["is_asked"] is False
    token = csrf_of(finance)
    files = {"file": ("s.csv", SIGNATURES)}
    preview = finance.post("/pledges/import", data={"csrf": token}, files=files).text
    assert f"+ u-1, version 2026-1, signed on {TODAY}, until before 2099-01-01" in preview
    assert f"+ &lt;b&gt;u-2&lt;/b&gt;, version 2026-1, signed on {TODAY}\n" in preview
    assert web.rows("select 1 from pledge") == []
    sent = {"csrf": token, "carried": field(preview, "carried"), "name": "s.csv", "confirm": "1"}
    assert finance.post("/pledges/import", data=sent).status_code == 303
    assert len(web.rows("select 1 from pledge")) == 2
    page = told(finance, "/pledges")
    assert finance.get("/api/v1/pledges").json()["is_asked"] is True
    assert "no version is set" in page
    assert "nobody has signed one" not in page
    other = SIGNATURES.replace("2099-01-01", "2098-01-01")
    form = {"data": {"csrf": token}, "files": {"file": ("s.csv", other)}}
    preview = finance.post("/pledges/import", **form).text  # type: ignore[arg-type]
    assert f"~ u-1, version 2026-1, signed on {TODAY}: until before 2099-01-01 -&gt; 2098-01-01" in preview
    korean = finance.post("/pledges/import?lang=ko", **form).text  # type: ignore[arg-type]
    assert "종료일(당일 제외) 2099-01-01 -&gt; 2098-01-01" in korean


def test_a_long_file_of_signatures_is_shown_to_a_page_and_how_many_more(web: Web) -> None:
    finance = signed_in(web, "finance")
    many = "user,version,signed_on\n" + "".join(f"w-{number},2026-1,{TODAY}\n" for number in range(23))
    preview = finance.post("/pledges/import", data={"csrf": csrf_of(finance)}, files={"file": ("s.csv", many)}).text
    assert "+ w-19," in preview
    assert "+ w-20," not in preview
    assert "and 3 more" in preview
