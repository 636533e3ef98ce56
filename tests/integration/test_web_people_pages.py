"""Pages of quotas, alerts, programmes, pledges, data quality, and one's own: figures, rights, changes with who and why,
hostile names."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from billing.quotas.board import Board
from billing.quotas.desk import Desk
from tests.scenarios.house import House
from tests.web_world import Web, csrf_of, field, running_web, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from jangbu.services.postgres import DatabaseUrls

NOW = datetime.now(UTC)
TODAY = NOW.date()
HOSTILE = "<script>alert(1)</script>"
ROSTER = (("u-1", "D001"), ("u-2", "D002"), (HOSTILE, "D001"))
QUOTAS = f"""scope,subject,model,unit,limit,window,thresholds,notify,mode
department,D001,,KRW,100,month,50;100,head@city.example,soft
department,D002,,KRW,1000,month,50;100,head@city.example,soft
user,*,,tokens,100,day,80,,hard
user,=1+1,,tokens,100,day,80,,hard
user,{HOSTILE},,tokens,6,day,80,,hard
"""
PROGRAMMES = f"""programme,name,starts_on,ends_on,places,budget,currency,models,rules_version,rules
p/1,=SUM(A1) {HOSTILE},{TODAY - timedelta(days=9)},{TODAY + timedelta(days=9)},1,100,KRW,gpt-*,1,no secrets
"""
WISHES = f"""programme,user,department,applied_at
p/1,u-1,D001,{(NOW - timedelta(days=3)).isoformat()}
p/1,u-2,D002,{(NOW - timedelta(days=2)).isoformat()}
"""


@pytest.fixture(scope="module")
def running(module_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    house = House(module_database)
    house.prices("openai,gpt-x,input_tokens,,,,KRW,2,1,2026-01-01T00:00:00Z,,letter")
    for user, department, tokens in (("u-1", "D001", 60), ("u-2", "D002", 90), (HOSTILE, "D001", 5)):
        house.use(NOW.isoformat(), department, "gpt-x", {"input_tokens": tokens}, user=user)
    house.use(NOW.isoformat(), "D001", "mystery", {"input_tokens": 7, "requests": 1}, user="u-1")
    house.close()
    with psycopg.connect(module_database.owner, autocommit=True) as connection:
        for user, department in ROSTER:
            connection.execute(
                'insert into roster ("user", department, valid_from) values (%s, %s, make_date(2026, 1, 1))',
                [user, department],
            )
        connection.execute("insert into topic_log (cluster_id, topic, topic_id) values ('c', 't', 'i')")
        for code, state in (("invalid", "open"), ("invalid", "open"), ("malformed", "open")):
            connection.execute(
                "insert into quarantine (log_id, partition, kafka_offset, record_time, code, field, value, reason,"
                " state) values (1, 0, (select count(*) from quarantine), now(), %s, 'units', %s, 'is wrong', %s)",
                [code, HOSTILE, state],
            )
    with running_web(module_database, tmp_path_factory.mktemp("web"), pledge_version="2026-2") as found:
        platform = signed_in(found, "platform")
        for path, raw in (("/quotas/import", QUOTAS), ("/programmes/import", PROGRAMMES),
                          ("/programmes/applications", WISHES)):  # fmt: skip
            assert bring(platform, path, raw).status_code == 303, path
        yield found


@pytest.fixture
def web(running: Web) -> Iterator[Web]:
    yield running
    running.close_clients()


def bring(client: httpx.Client, path: str, raw: str) -> httpx.Response:
    """Send a file, look at the preview, and press its button."""
    csrf = {"csrf": csrf_of(client)}
    shown = client.post(path, data=csrf, files={"file": ("x.csv", raw)})
    assert shown.status_code == 200, shown.text
    carried = {name: field(shown.text, name) for name in ("carried", "name", "confirm")}
    return client.post(path, data={**csrf, **carried})


def told(client: httpx.Client, path: str) -> str:
    page = client.get(path)
    assert page.status_code == 200, page.text
    assert HOSTILE not in page.text
    return page.text


def test_quotas_are_as_they_stand_the_fullest_first(web: Web) -> None:
    finance = signed_in(web, "finance")
    found = finance.get("/api/v1/quotas").json()
    # D001: 60 + 5 tokens at 2 won; 7 of a model without a price are told beside, never as nought.
    first = found["quotas"][0]
    assert (first["subject"], first["used"], first["limit"], first["unknown_quantity"]) == ("D001", "130", "100", "7")
    assert found["counts"] == {"within": 3, "warned": 2, "spent": 1}
    assert "&lt;script&gt;" in told(finance, "/quotas")
    assert "all of them" not in told(finance, "/quotas?state=spent")
    csv = finance.get("/quotas?format=csv&scope=user").text
    assert csv.count("\n") == 1 + sum(1 for one in found["quotas"] if one["scope"] == "user")
    assert "'=1+1" in csv


def test_a_head_sees_the_own_department_and_its_people_alone(web: Web) -> None:
    head = signed_in(web, "head", departments=["D001"])
    subjects = {one["subject"] for one in head.get("/api/v1/quotas").json()["quotas"]}
    assert subjects == {"D001", "u-1", HOSTILE}
    assert {one["user"] for one in head.get("/api/v1/pledges").json()["people"]} == {"u-1", HOSTILE}
    assert head.get("/api/v1/pledges?department=D002").json()["people"] == []
    people = head.get("/api/v1/programmes/p%2F1").json()["people"]
    assert [one["user"] for one in people] == ["u-1"]
    for path in ("/data-quality", "/quotas/register", "/api/v1/data-quality/quarantine"):
        assert head.get(path).status_code == 403


def test_a_quota_is_set_with_a_reason_and_the_trail_says_who(web: Web) -> None:
    finance = signed_in(web, "finance")
    fields = {"scope": "department", "subject": "D009", "unit": "tokens", "limit": "5", "window": "week",
              "csrf": csrf_of(finance)}  # fmt: skip
    assert "reason" in finance.post("/quotas/set", data=fields).text
    assert finance.post("/quotas/set", data={**fields, "reason": "a pilot"}).status_code == 303
    assert "The quota holds as you set it." in finance.get("/quotas").text
    rows = finance.get("/api/v1/quotas/register").json()["rows"]
    assert (rows[0]["subject"], rows[0]["from"], rows[0]["by"]) == ("D009", "page: a pilot", "web:finance-1")
    wrong = finance.post("/quotas/set", data={**fields, "limit": "many", "reason": "x"})
    assert (wrong.status_code, "many" in wrong.text) == (400, True)
    auditor = signed_in(web, "auditor")
    refused = auditor.post("/quotas/set", data={**fields, "reason": "x", "csrf": csrf_of(auditor)})
    assert refused.status_code == 403


def test_a_programme_and_its_places_are_set_with_a_reason(web: Web) -> None:
    finance = signed_in(web, "finance")
    shown = finance.get("/programmes/p%2F1").text
    assert 'action="/programmes/set"' in shown
    fields = {"programme": "q", "name": "<b>", "starts_on": "2026-01-01", "ends_on": "2030-01-01", "places": "3",
              "department_places": "D001:1\nD002:2", "models": "gpt-*\no3", "rules": "no names\ncite",
              "csrf": csrf_of(finance)}  # fmt: skip
    assert "reason" in finance.post("/programmes/set", data=fields).text
    wrong = finance.post("/programmes/set", data={**fields, "places": "4", "reason": "x"})
    assert (wrong.status_code, "3 together" in wrong.text) == (400, True)
    assert finance.post("/programmes/set", data={**fields, "reason": "a pilot"}).status_code == 303
    found = finance.get("/api/v1/programmes/q").json()
    assert (found["department_places"], found["models"]) == ({"D001": 1, "D002": 2}, ["gpt-*", "o3"])
    assert (found["rules"], found["taken"]) == (["no names", "cite"], 0)
    place = {"programme": "q", "user": "u-1", "csrf": fields["csrf"], "reason": "asked by telephone"}
    asked = finance.post("/programmes/places/set", data={**place, "what": "apply"})
    assert asked.headers["location"].startswith("/programmes/q")
    assert finance.get("/api/v1/programmes/q").json()["taken"] == 1
    assert finance.post("/programmes/places/set", data={**place, "what": "apply"}).status_code == 409
    assert finance.post("/programmes/places/set", data={**place, "what": "leave"}).status_code == 303
    assert finance.get("/api/v1/programmes/q").json()["taken"] == 0
    assert finance.post("/programmes/places/set", data={**place, "what": "leave"}).status_code == 409
    unknown = finance.post("/programmes/places/set", data={**place, "what": "apply", "user": "nobody"})
    assert (unknown.status_code, "nobody" in unknown.text) == (400, True)
    trail = web.rows("select action, actor from web_event where subject = 'q' order by id")
    assert trail == [("programme_set", "web:finance-1"), ("programme_place_apply", "web:finance-1"),
                     ("programme_place_leave", "web:finance-1")]  # fmt: skip
    auditor = signed_in(web, "auditor")
    refused = auditor.post("/programmes/set", data={**fields, "reason": "x", "csrf": csrf_of(auditor)})
    assert refused.status_code == 403


def test_nothing_is_written_by_looking_at_a_file(web: Web) -> None:
    platform = signed_in(web, "platform")
    before = web.rows("select count(*) from quota")
    raw = QUOTAS.replace("D001", "D123")
    shown = platform.post("/quotas/import", data={"csrf": csrf_of(platform)}, files={"file": ("q.csv", raw)})
    assert "D123" in shown.text
    assert web.rows("select count(*) from quota") == before
    bad = platform.post("/quotas/import", data={"csrf": csrf_of(platform)}, files={"file": (HOSTILE, "a,b\n1,2\n")})
    assert bad.status_code == 400
    assert HOSTILE not in bad.text


def test_budgets_and_departments_are_brought_as_files(web: Web) -> None:
    """Looked at first, then taken over; refused whole, with the cell; not by whoever only reads."""
    finance = signed_in(web, "finance")
    assert 'action="/departments/budgets"' in finance.get("/departments").text
    budgets = "department,period,amount,currency\nD777,2026-10,5000,KRW\n"
    looked = finance.post("/departments/budgets", data={"csrf": csrf_of(finance)}, files={"file": ("b.csv", budgets)})
    assert "1 budgets added" in looked.text
    assert "D777" in looked.text
    assert web.rows("select count(*) from budget where department = 'D777'") == [(0,)]
    assert bring(finance, "/departments/budgets", budgets).status_code == 303
    assert bring(finance, "/departments/import", "department,name\nD777,=cmd\n").status_code == 303
    assert web.rows("select department, amount::int from budget where department = 'D777'") == [("D777", 5000)]
    assert web.rows("select name from department where department = 'D777'") == [("=cmd",)]
    wrong = budgets.replace("5000", "many")
    refused = finance.post("/departments/budgets", data={"csrf": csrf_of(finance)}, files={"file": ("b.csv", wrong)})
    assert (refused.status_code, "many" in refused.text) == (400, True)
    auditor = signed_in(web, "auditor")
    assert 'action="/departments/budgets"' not in auditor.get("/departments").text
    refused = auditor.post("/departments/budgets", data={"csrf": csrf_of(auditor)}, files={"file": ("b.csv", budgets)})
    assert refused.status_code == 403


def test_rows_of_registers_are_looked_at_in_the_readers_language(web: Web) -> None:
    platform = signed_in(web, "platform")

    def look(path: str, raw: str, lang: str = "ko") -> str:
        files = {"file": ("r.csv", raw)}
        answer = platform.post(f"{path}?lang={lang}", data={"csrf": csrf_of(platform)}, files=files)
        assert answer.status_code == 200, answer.text
        return answer.text

    quota = "scope,subject,model,unit,limit,window,thresholds,notify\ndepartment,D002,,KRW,{},month,50,\n"
    assert "~ department D002 a month: 1000 KRW -&gt; 77 KRW" in look("/quotas/import", quota.format(77), "en")
    programme = PROGRAMMES.replace(",1,100,KRW", ",3,,KRW")
    assert "~ p/1: places 1 -&gt; 3, budget 100 -&gt; (빈 값)" in look("/programmes/import", programme)
    other = look("/programmes/import", PROGRAMMES.replace("p/1", "p2"), "en")
    assert "+ p2 =SUM(A1) &lt;script&gt;" in other
    assert f"until before {TODAY + timedelta(days=9)}, 1 places" in other
    wishes = f"programme,user,department,applied_at\np/1,u-8,D002,{NOW.isoformat()}\n"
    assert "+ p/1: u-8, 부서 D002, 신청 " in look("/programmes/applications", wishes)
    assert "+ D778 도로과, 시작 " in look("/departments/import", "department,name,valid_from\nD778,도로과,2026-01-01\n")


def test_programmes_say_places_who_waits_and_what_is_left(web: Web) -> None:
    finance = signed_in(web, "finance")
    found = finance.get("/api/v1/programmes/p%2F1").json()
    assert (found["taken"], found["free"], found["waiting"]) == (1, 0, 1)
    assert (found["used"], found["remaining"]) == ("120", "-20")
    assert [(one["user"], one["state"]) for one in found["people"]] == [("u-1", "placed"), ("u-2", "waiting")]
    assert "&lt;script&gt;" in told(finance, "/programmes")
    assert int(found["projected"]) >= int(found["used"]) > 0
    assert "At the pace since its first day" in told(finance, "/programmes/p%2F1")
    assert finance.get("/programmes/none").status_code == 404


def test_an_employee_signs_and_sees_what_is_left(web: Web) -> None:
    employee = signed_in(web, "employee", "u-2")
    page = told(employee, "/me")
    assert "not signed" in page
    assert "180" in page  # 90 tokens at 2 won
    sent = {"csrf": csrf_of(employee), "version": field(page, "version")}
    assert employee.post("/me/pledge", data=sent).status_code == 400, "the box was not ticked"
    assert employee.post("/me/pledge", data={**sent, "agreed": "1"}).status_code == 303
    found = employee.get("/api/v1/me").json()
    assert (found["pledge"]["state"], found["pledge"]["version"]) == ("signed", "2026-2")
    assert [one["remaining"] for one in found["quotas"] if one["scope"] == "user"] == ["10"]
    assert found["programmes"][0]["number"] == 1
    assert employee.post("/me/pledge", data={**sent, "agreed": "1"}).status_code == 303, "twice is once"
    assert len(web.rows("select 1 from pledge where \"user\" = 'u-2'")) == 1
    for path in ("/quotas", "/pledges", "/programmes", "/alerts", "/data-quality"):
        assert employee.get(path).status_code == 403


def test_quarantine_is_dismissed_with_a_reason_by_the_platform_alone(web: Web) -> None:
    platform = signed_in(web, "platform")
    assert "&lt;script&gt;" in told(platform, "/data-quality/quarantine?code=invalid")
    rows = platform.get("/api/v1/data-quality/quarantine?code=malformed").json()["quarantine"]
    sent = {"csrf": csrf_of(platform), "id": str(rows[0]["id"])}
    assert platform.post("/data-quality/quarantine/dismiss", data=sent).status_code == 400, "no reason"
    done = platform.post("/data-quality/quarantine/dismiss", data={**sent, "reason": "a test's"})
    assert done.status_code == 303
    assert web.rows("select actor from quarantine_decision")[0].actor == "web:platform-1"
    again = platform.post("/data-quality/quarantine/dismiss", data={**sent, "reason": "a test's"})
    assert again.status_code == 409, "it is not open any more"
    finance = signed_in(web, "finance")
    assert "malformed" in told(finance, "/data-quality")
    sent = {"csrf": csrf_of(finance), "id": "1", "reason": "x"}
    assert finance.post("/data-quality/quarantine/dismiss", data=sent).status_code == 403


def test_silences_hold_and_are_lifted(web: Web) -> None:
    platform = signed_in(web, "platform")
    until = (NOW + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    sent = {"csrf": csrf_of(platform), "kind": "spike", "until": until, "reason": HOSTILE}
    assert platform.post("/alerts/silence", data=sent).status_code == 303
    assert "&lt;script&gt;" in told(platform, "/alerts")
    number = str(platform.get("/api/v1/alerts").json()["silences"][0]["id"])
    lifted = platform.post("/alerts/lift", data={"csrf": sent["csrf"], "silence": number, "reason": "over"})
    assert lifted.status_code == 303
    assert platform.get("/api/v1/alerts").json()["silences"] == []


@pytest.mark.parametrize("path", ["/quotas?state=x", "/quotas?page=0", "/pledges?at=yesterday", "/alerts?kind=x",
                                  "/me?month=2026-13", "/data-quality/quarantine?page=99999999999999"])  # fmt: skip
def test_a_wrong_parameter_is_named(web: Web, path: str) -> None:
    client = signed_in(web, "platform")
    answer = client.get(f"/api/v1{path}")
    assert answer.status_code == 400
    assert re.search(r"'[^']+'", answer.json()["error"])


def test_pages_speak_korean(web: Web) -> None:
    client = signed_in(web, "platform")
    client.headers["accept-language"] = "ko"
    for path, word in (("/quotas", "할당량"), ("/programmes", "대기"), ("/pledges", "미서명"), ("/me", "남은 양"),
                       ("/data-quality", "격리"), ("/alerts", "알림")):  # fmt: skip
        assert word in told(client, path)


def test_ones_own_page_shows_quotas_of_programmes_and_of_models_with_and_without_the_board(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the board in memory and the database say is the same; who has no place has no programme's quota."""
    rows = "scope,subject,model,unit,limit,window,thresholds,notify,mode\n"
    rows += "programme,p/1,,tokens,1000,day,80,,soft\nprogramme,p/1,gpt-x*,tokens,50,day,80,,soft\n"
    rows += "programme,*,other,tokens,9,day,80,,soft\nuser,u-1,gpt-x,tokens,70,day,80,,soft\n"
    assert bring(signed_in(web, "platform"), "/quotas/import", rows).status_code == 303
    placed, waiting = signed_in(web, "employee", "u-1"), signed_in(web, "employee", "u-2")
    found = placed.get("/api/v1/me").json()["quotas"]
    assert {(one["scope"], one["subject"], one["model"], one["remaining"]) for one in found} == {
        ("programme", "p/1", None, "940"), ("programme", "p/1", "gpt-x*", "0"), ("user", "u-1", "gpt-x", "10"),
        ("user", "u-1", None, "33"), ("department", "D001", None, "0"),
    }, "60 tokens of gpt-x; the 7 of mystery are not the programme's"  # fmt: skip
    assert [one["state"] for one in found] == ["spent", "spent", "warned", "within", "within"]
    assert {one["scope"] for one in waiting.get("/api/v1/me").json()["quotas"]} == {"user", "department"}
    assert "my programme <small>p/1</small>" in told(placed, "/me")
    zone, now = web.books.policy.zone, datetime.now(UTC)
    desk = Desk(zone)
    with web.books.snapshot() as connection:
        desk.look(connection, now)
    board = Board(desk.running.table, dict(desk.running.states), zone, now, desk.running.members)
    monkeypatch.setattr(web.books, "board", lambda: board)
    assert placed.get("/api/v1/me").json()["quotas"] == found
    assert "my programme <small>p/1</small>" in told(placed, "/me")


def test_an_employee_applies_for_a_place_and_gives_it_up_for_oneself_alone(web: Web) -> None:
    rows = "programme,name,starts_on,ends_on,places,budget,currency,models,rules_version,rules\n"
    rows += (
        f"mine,{HOSTILE},{TODAY - timedelta(days=9)},{TODAY + timedelta(days=9)},1,100,KRW,,1,no secrets\n"
        f"past,gone,{TODAY - timedelta(days=9)},{TODAY - timedelta(days=2)},1,100,KRW,,1,no secrets\n"
    )
    assert bring(signed_in(web, "platform"), "/programmes/import", rows).status_code == 303
    first, second = signed_in(web, "employee", "u-1"), signed_in(web, "employee", "u-2")
    (shown,) = [one for one in first.get("/api/v1/me").json()["open_programmes"] if one["programme"] == "mine"]
    assert (shown["free"], shown["waiting"], "budget" in shown) == (1, 0, False)
    told(first, "/me")
    sent = {"programme": "mine", "user": "u-2", "csrf": csrf_of(first)}
    assert first.post("/me/programmes/apply", data=sent).status_code == 400, "the rules were not read"
    assert first.post("/me/programmes/apply", data={**sent, "agreed": "1"}).status_code == 303
    assert first.post("/me/programmes/apply", data={**sent, "agreed": "1"}).status_code == 409, "once is enough"
    theirs = {"programme": "mine", "agreed": "1", "csrf": csrf_of(second)}
    assert second.post("/me/programmes/leave", data=theirs).status_code == 409, "u-1's place is not u-2's to give up"
    assert second.post("/me/programmes/apply", data=theirs).status_code == 303

    def place(client: httpx.Client) -> tuple[bool, int | None]:
        (one,) = [one for one in client.get("/api/v1/me").json()["programmes"] if one["programme"] == "mine"]
        return one["since"] is not None, one["number"]

    assert (place(first), place(second)) == ((True, None), (False, 1))
    told(second, "/me")
    for code, status in (("past", 409), ("none", 404)):
        assert first.post("/me/programmes/apply", data={**sent, "programme": code, "agreed": "1"}).status_code == status
    assert first.post("/me/programmes/leave", data=sent).status_code == 303
    assert first.post("/me/programmes/leave", data=sent).status_code == 409
    nobody = signed_in(web, "employee", "u-of-no-department")
    assert nobody.post("/me/programmes/apply", data={**sent, "agreed": "1", "csrf": csrf_of(nobody)}).status_code == 409
    trail = web.rows("select actor, action from web_event where subject = 'mine' order by id")
    assert [tuple(one) for one in trail] == [
        ("web:u-1", "programme_applied"), ("web:u-2", "programme_applied"), ("web:u-1", "programme_left"),
    ]  # fmt: skip
