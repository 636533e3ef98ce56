"""The sign-in as a person and as an attacker meets it: accounts, sessions, forms, tokens, heads, the first account."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import event

from jangbu.services.ports import free_port
from jangbu.services.postgres import DatabaseUrls
from jangbu.web.signin import accounts, api_tokens, attempts, middleware, once, own, pages, passwords, provider_pages
from jangbu.web.wording import wording
from tests.web_world import PASSWORD, TOKEN, Web, csrf_of, field, running_web, sign_in, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from jangbu.services.postgres import EmbeddedPostgres


@pytest.fixture(scope="module")
def web_database(postgres_server: EmbeddedPostgres, _migrated_template: str) -> DatabaseUrls:
    """One database for the module; it goes with the server."""
    with psycopg.connect(postgres_server.urls.owner, autocommit=True) as connection:
        connection.execute(f"create database web_sign_in template {_migrated_template}")
    return postgres_server.urls_of("web_sign_in")


@pytest.fixture(scope="module")
def running(web_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running_web(web_database, tmp_path_factory.mktemp("web")) as web:
        yield web


@pytest.fixture
def web(running: Web, web_database: DatabaseUrls) -> Iterator[Web]:
    """Nobody has tried to sign in yet."""
    with psycopg.connect(web_database.owner, autocommit=True) as connection:
        connection.execute("truncate web_attempt, web_session, web_once, web_token, web_account cascade")
    yield running
    running.close_clients()


def person(client: httpx.Client) -> dict[str, object] | None:
    found: dict[str, object] | None = client.get("/probe").json()["person"]
    return found


def token_of(web: Web, name: str, *roles: str, days: int = 1, read_only: bool = True, **options: object) -> str:
    with web.engine.begin() as connection:
        return api_tokens.add_token(
            connection,
            name,
            roles,
            days=days,
            read_only=read_only,
            actor="os:test",
            **options,  # type: ignore[arg-type]
        )


def test_an_account_signs_in_and_out(web: Web) -> None:
    web.account("Kim", "finance", user="u-1", display_name="김 <script>")
    client = web.client()
    answer = sign_in(client, "kim", going="/probe?month=2026-10")
    assert (answer.status_code, answer.headers["location"]) == (303, "/probe?month=2026-10")
    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith("jangbu_session="))
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    found = person(client)
    assert found == {
        "identity": "web:kim", "name": "김 <script>", "user": "u-1", "roles": ["finance"], "departments": [],
    }  # fmt: skip
    secret = client.cookies["jangbu_session"]
    assert client.post("/sign-out", data={"csrf": csrf_of(client)}).status_code == 303
    assert person(client) is None
    client.cookies.set("jangbu_session", secret)
    assert person(client) is None, "the session is over, not only the cookie"
    done = web.rows("select action from web_event where actor = 'web:kim' order by id desc limit 2")
    assert [row.action for row in done] == ["sign_out", "sign_in"]


def test_the_database_holds_no_secret(web: Web) -> None:
    client = signed_in(web, "auditor")
    token = token_of(web, "bi", "auditor")
    for table in ("web_session", "web_token", "web_account", "web_event"):
        for row in web.rows(f"select t::text from {table} t"):
            assert client.cookies["jangbu_session"] not in row[0]
            assert token not in row[0]
            assert PASSWORD not in row[0]


@pytest.mark.parametrize(("name", "password"), [("kim", "wrong wrong wrong"), ("nobody", PASSWORD), ("", "")])
def test_wrong_names_and_passwords_are_answered_alike(web: Web, name: str, password: str) -> None:
    web.account("kim", "finance")
    answer = sign_in(web.client(), name, password)
    assert answer.status_code == 403
    assert "The name or the password is wrong" in answer.text
    assert not web.rows("select 1 from web_session")


def test_a_name_of_markup_is_text(web: Web) -> None:
    web.account("kim", "finance")
    answer = sign_in(web.client(), '"><script>alert(1)</script>', "x")
    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text


def test_guessing_ends_after_five_attempts_also_at_once(web: Web) -> None:
    web.account("kim", "finance")
    web.account("lee", "finance")
    with ThreadPoolExecutor(8) as pool:
        codes = sorted(pool.map(lambda _: sign_in(web.client(), "kim", "wrong wrong").status_code, range(8)))
    assert codes == [403] * 5 + [429] * 3
    refused = sign_in(web.client(), "KIM")
    assert refused.status_code == 429, "the right password and another spelling are no way around"
    assert refused.headers["retry-after"] == "900"
    assert sign_in(web.client(), "lee").status_code == 303


def test_an_attempt_that_is_slow_to_be_noted_lets_no_other_slip_through(web: Web) -> None:
    """The first one's row has the lowest number and cannot be seen until it is committed, after all the others."""
    first = threading.Lock()

    def slow_for_the_first(_connection: object) -> None:
        if first.acquire(blocking=False):
            time.sleep(0.7)

    event.listen(web.engine, "commit", slow_for_the_first)
    try:
        with ThreadPoolExecutor(8) as pool:
            admitted = list(pool.map(lambda _: attempts.admit(web.engine, "192.0.2.1", "kim"), range(8)))
    finally:
        event.remove(web.engine, "commit", slow_for_the_first)
    assert sum(each is not None for each in admitted) == attempts.PAIR_MAX


def test_a_planted_session_is_not_taken_over(web: Web) -> None:
    web.account("kim", "finance")
    client = web.client()
    client.cookies.set("jangbu_session", "planted-by-somebody", domain="127.0.0.1")
    assert sign_in(client, "kim").status_code == 303
    assert client.cookies["jangbu_session"] != "planted-by-somebody"
    other = web.client(cookies={"jangbu_session": "planted-by-somebody"})
    assert person(other) is None


def test_a_second_sign_in_has_another_secret(web: Web) -> None:
    client = signed_in(web, "finance")
    first = client.cookies["jangbu_session"]
    again = signed_in(web, "finance")
    assert again.cookies["jangbu_session"] != first
    assert person(client) is not None


@pytest.mark.parametrize("how", ["none", "other", "twice", "long"])
def test_a_change_needs_the_sessions_own_form(web: Web, how: str) -> None:
    client, other = signed_in(web, "finance"), signed_in(web, "platform")
    own, foreign = csrf_of(client), csrf_of(other)
    fields = {"none": [], "other": [foreign], "twice": [own, foreign], "long": [own + "0"]}[how]
    answer = client.post("/probe", data={"value": "1", "csrf": fields})
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
    assert client.post("/probe", data={"value": "1", "csrf": own}).json() == {"changed": "1"}


def test_a_file_comes_with_the_form_or_the_header(web: Web) -> None:
    client = signed_in(web, "finance")
    csrf, file = csrf_of(client), {"file": ("a.csv", b"a" * 100_000)}
    assert client.post("/probe", data={"value": "2", "csrf": csrf}, files=file).json() == {"changed": "2"}
    assert client.post("/probe", data={"value": "2"}, files=file).status_code == 403
    assert client.post("/probe", data={"value": "3"}, headers={"X-CSRF-Token": csrf}).json() == {"changed": "3"}
    assert client.request("DELETE", "/probe").status_code == 403
    assert client.post("/probe", json={"csrf": csrf}).status_code == 403


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example.org"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_another_sites_page_changes_nothing(web: Web, headers: dict[str, str]) -> None:
    client = signed_in(web, "finance")
    answer = client.post("/probe", data={"csrf": csrf_of(client)}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "origin")
    assert client.post("/probe", data={"csrf": csrf_of(client)}, headers={"origin": web.url}).status_code == 200


def test_the_sign_in_form_belongs_to_its_browser(web: Web) -> None:
    """Else somebody could sign another's browser in as himself."""
    web.account("kim", "finance")
    page = web.client().get("/sign-in").text
    fields = {"before": field(page, "before"), "name": "kim", "password": PASSWORD}
    assert web.client().post("/sign-in", data=fields).status_code == 403
    assert not web.rows("select 1 from web_session")


@pytest.mark.parametrize(
    "going", ["https://evil.example.org", "//evil.example.org", "///evil.example.org", "/\\evil.example.org",
              "javascript:alert(1)",
              "/%0d%0aset-cookie:a=b\r\nx", "http:evil", "\t//evil", "/sign-in"]
)  # fmt: skip
def test_a_sign_in_leads_nowhere_else(web: Web, going: str) -> None:
    web.account("kim", "finance")
    client = web.client()
    page = client.get("/sign-in").text
    fields = {"before": field(page, "before"), "next": going, "name": "kim", "password": PASSWORD}
    assert client.post("/sign-in", data=fields).headers["location"] == "/"


@pytest.mark.parametrize("column", ["seen_at", "started_at"])
def test_a_session_ends_by_itself(web: Web, column: str, web_database: DatabaseUrls) -> None:
    client = signed_in(web, "finance")
    assert person(client) is not None
    back = {"seen_at": "61 minutes", "started_at": "12 hours 1 minute"}[column]
    with psycopg.connect(web_database.owner, autocommit=True) as connection:
        connection.execute(f"update web_session set {column} = now() - interval '{back}'")
    assert person(client) is None
    assert client.post("/probe", data={"csrf": "x"}).status_code == 401


def test_sign_out_everywhere_and_shut_accounts(web: Web) -> None:
    first, second, other = (signed_in(web, role) for role in ("finance", "finance", "platform"))
    first.post("/sign-out", data={"csrf": csrf_of(first), "everywhere": "1"})
    assert person(second) is None
    assert person(other) is not None
    with web.engine.begin() as connection:
        accounts.set_disabled(connection, "platform-1", True, actor="os:test")
    assert person(other) is None
    assert sign_in(web.client(), "platform-1").status_code == 403


def test_a_shut_account_has_no_session_whoever_shut_it(web: Web) -> None:
    client = signed_in(web, "finance")
    with web.engine.begin() as connection:
        connection.exec_driver_sql("update web_account set disabled = true")
    assert len(web.rows("select 1 from web_session")) == 1
    assert person(client) is None


def test_another_role_holds_from_the_next_request(web: Web) -> None:
    client = signed_in(web, "finance")
    with web.engine.begin() as connection:
        accounts.set_roles(connection, "finance-1", ["auditor"], None, actor="os:test")
    found = person(client)
    assert found is not None
    assert found["roles"] == ["auditor"]


def test_a_head_is_whom_the_register_names_now(web: Web, web_database: DatabaseUrls) -> None:
    rows = [
        ("D1", "kim", None, "2020-01-01T00:00Z", None), ("D2", None, "kim", "2020-01-01T00:00Z", None),
        ("D3", "kim", None, "2020-01-01T00:00Z", None), ("D3", "lee", None, "2024-01-01T00:00Z", None),
        ("D4", "kim", None, "2020-01-01T00:00Z", "2025-01-01T00:00Z"), ("D5", "kim", None, "2999-01-01T00:00Z", None),
        ("D6", "kim", None, "2020-01-01T00:00Z", None), ("D6", "lee", None, "2020-01-01T00:00Z", None),
    ]  # fmt: skip
    with psycopg.connect(web_database.owner, autocommit=True) as connection:
        connection.execute(
            "insert into register_import (id, register, name, sha256, rows_added, actor)"
            " values (1, 'department', 'x', repeat('a', 64), 8, 'os:test') on conflict do nothing"
        )
        for number, row in enumerate(rows, 1):
            connection.execute(
                "insert into department (id, import_id, department, name, head_user, deputy_user, valid_from, valid_to)"
                " values (%s, 1, %s, 'n', %s, %s, %s, %s)", (number, *row),
            )  # fmt: skip
    found = person(signed_in(web, "employee", "kim", departments=["D9"]))
    assert found is not None
    assert (found["roles"], found["departments"]) == (["employee", "head"], ["D1", "D2", "D9"])
    told = person(signed_in(web, "employee", "park", departments=["D9"]))
    assert told is not None
    assert (told["roles"], told["departments"]) == (["employee"], []), "departments told by hand are a head's"


def test_tokens_read_and_change_by_their_scope(web: Web) -> None:
    reads, writes = token_of(web, "bi", "auditor"), token_of(web, "bot", "platform", read_only=False)

    def asked(token: str, method: str = "GET") -> httpx.Response:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/x-www-form-urlencoded"}
        return web.client().request(method, "/probe", headers=headers)

    assert asked(reads).json()["person"]["identity"] == "token:bi"
    assert asked(reads).json()["person"]["roles"] == ["auditor"]
    assert asked(reads).json()["csrf"] is None
    assert (asked(reads, "POST").status_code, asked(reads, "POST").json()["code"]) == (403, "read_only")
    assert asked(writes, "POST").status_code == 200
    assert asked(TOKEN).json()["person"]["roles"] == ["auditor"]
    assert asked(TOKEN, "POST").status_code == 403
    assert asked("jbt_nobodys").status_code == 401
    with web.engine.begin() as connection:
        api_tokens.revoke_token(connection, "bot", actor="os:test")
        connection.exec_driver_sql("update web_token set expires_at = now() where name = 'bi'")
    assert {asked(reads).status_code, asked(writes, "POST").status_code} == {401}


def test_a_wrong_token_does_not_fall_back_to_the_cookie(web: Web) -> None:
    client = signed_in(web, "finance")
    headers = {"authorization": "Bearer wrong"}
    assert client.post("/probe", data={"csrf": csrf_of(client)}, headers=headers).status_code == 401


def test_the_first_account_is_made_by_a_link_once(web: Web) -> None:
    web.said.clear()
    assert "No account exists yet" in web.client().get("/sign-in", headers={"host": "evil.example.org"}).text
    web.client().get("/sign-in")
    (sentence,) = web.said
    link = re.search(r"http\S+", sentence)
    assert link is not None
    assert link[0].startswith(f"{web.url}/sign-in/first?token="), "the Host header decides nothing"
    client = web.client()
    page = client.get(link[0])
    assert (page.status_code, page.headers["referrer-policy"]) == (200, "same-origin"), "no other site learns the link"
    fields = {"token": field(page.text, "token"), "name": "Kim", "password": "short", "again": "short"}
    assert client.post("/sign-in/first", data=fields).status_code == 400
    fields |= {"password": PASSWORD, "again": PASSWORD}
    assert client.post("/sign-in/first", data={**fields, "token": "guessed"}).status_code == 403
    assert client.post("/sign-in/first", data=fields).status_code == 303
    found = person(client)
    assert found is not None
    assert (found["identity"], found["roles"]) == ("web:kim", ["finance", "platform"])
    again = {**fields, "name": "lee"}
    assert web.client().post("/sign-in/first", data=again).status_code == 403
    assert web.client().get(link[0]).status_code == 403
    assert [row.name for row in web.rows("select name from web_account")] == ["kim"]


def test_programs_paths_need_no_database(web: Web) -> None:
    assert web.client().get("/healthz", headers={"cookie": "jangbu_session=x"}).status_code == 200
    asked = web.client().post("/v1/events", content=b"[]", headers={"content-type": "application/json"})
    assert asked.json()["code"] == "token"


def test_the_readers_login_sees_no_account(web: Web, web_database: DatabaseUrls) -> None:
    with psycopg.connect(web_database.reader, autocommit=True) as connection:
        connection.execute("select * from web_event")
        for table in ("web_account", "web_session", "web_token", "web_once", "web_attempt"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select * from {table}")


def changed(client: httpx.Client, present: str, password: str, again: str | None = None) -> httpx.Response:
    fields = {"present": present, "password": password, "again": password if again is None else again}
    return client.post("/account/password", data={**fields, "csrf": csrf_of(client)})


def test_a_person_changes_the_own_password(web: Web) -> None:
    client, elsewhere = signed_in(web, "finance"), signed_in(web, "finance")
    page = client.get("/account", headers={"accept-language": "ko"}).text
    assert "재정 담당" in page
    assert "web:finance-1" in page
    for present, password, again, code in (
        ("wrong wrong wrong", "another four words", None, 403), (PASSWORD, "short", None, 400),
        (PASSWORD, "another four words", "another four wordz", 400), (PASSWORD, "finance-1", None, 400),
    ):  # fmt: skip
        assert changed(client, present, password, again).status_code == code
    assert person(elsewhere) is not None
    assert changed(client, PASSWORD, "another four words").status_code == 303
    assert "no longer is" in client.get("/account").text
    assert person(client) is not None
    assert person(elsewhere) is None, "whoever knew the old one is out"
    assert sign_in(web.client(), "finance-1").status_code == 403
    assert sign_in(web.client(), "finance-1", "another four words").status_code == 303
    (event,) = web.rows("select actor, subject, address from web_event where action = 'account_password'"
                        " order by id desc limit 1")  # fmt: skip
    assert tuple(event) == ("web:finance-1", "finance-1", "127.0.0.1")


def test_the_present_password_is_not_guessed_from_a_session(web: Web) -> None:
    client = signed_in(web, "finance")
    codes = [changed(client, f"wrong wrong {number}", "another four words").status_code for number in range(6)]
    assert codes == [403] * 5 + [429]
    assert changed(client, PASSWORD, "another four words").status_code == 429


def test_who_is_not_signed_in_has_no_account_page(web: Web) -> None:
    assert web.client().get("/account").headers["location"] == "/sign-in?next=%2Faccount"
    assert web.client().post("/account/password", data={"present": PASSWORD}).status_code == 401


def test_what_is_refused_is_said_in_korean(web: Web) -> None:
    said = [
        *(pages.WRONG, pages.TOO_OFTEN, pages.OLD_FORM, pages.NO_DATABASE, provider_pages.AWAY, provider_pages.REFUSED),
        *(middleware.AWAY, middleware.FOREIGN, middleware.SIGNED_OUT, middleware.OLD_FORM),
        *(own.WRONG, own.DIFFERENT, own.TOO_OFTEN, own.DONE, own.ELSEWHERE, *own.ROLE_WORDS.values()),
        *(accounts.NO_NAME, passwords.TOO_SHORT, passwords.TOO_EASY),
    ]
    assert [one for one in said if wording("ko").gettext(one) == one] == []
    client = web.client(headers={"accept": "text/html", "accept-language": "ko"})
    answer = client.post("/probe", data={"value": "1"})
    assert answer.status_code == 401
    assert "로그인하지 않았거나" in answer.text
    assert 'href="/sign-in"' in answer.text


def test_a_database_that_is_away_is_said(tmp_path: Path) -> None:
    """Nobody is there to sign in, and nothing is a defect."""
    nowhere = f"postgresql://x@127.0.0.1:{free_port()}/x"
    with running_web(DatabaseUrls(nowhere, nowhere, nowhere, nowhere), tmp_path) as away:
        client = away.client(headers={"accept": "text/html"})
        for method, path in (("GET", "/sign-in"), ("GET", "/sign-in/first?token=x"), ("POST", "/sign-in/first")):
            answer = client.request(method, path, data={"token": "x"} if method == "POST" else None)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "10"), path
            assert "The database does not answer" in answer.text
        signed = client.get("/probe", headers={"cookie": "jangbu_session=x"})
        assert signed.status_code == 503
        assert "the database is away" in signed.text
        assert client.get("/healthz").status_code == 200


def test_many_attackers_together_guess_thirty_times_and_one_has_thirty_accounts_to_try(web: Web) -> None:
    account = [attempts.admit(web.engine, f"198.51.100.{number}", "kim") is not None for number in range(31)]
    assert account == [True] * 30 + [False]
    place = [attempts.admit(web.engine, "203.0.113.9", f"user-{number}") is not None for number in range(31)]
    assert place == [True] * 30 + [False]
    kept = web.rows("select key from web_attempt")
    assert not [row for row in kept if "kim" in row.key], "people type passwords into that field"
    assert attempts.admit(web.engine, "203.0.113.10", "user-1") is not None


def test_a_refused_attempt_does_not_prolong_the_wait(web: Web, web_database: DatabaseUrls) -> None:
    assert [attempts.admit(web.engine, "203.0.113.9", "kim") is not None for _ in range(7)] == [True] * 5 + [False] * 2
    assert len(web.rows("select 1 from web_attempt where starts_with(key, 'pair ')")) == 5
    with psycopg.connect(web_database.owner, autocommit=True) as connection:
        connection.execute("update web_attempt set at = now() - interval '14 minutes 59 seconds'")
        assert attempts.admit(web.engine, "203.0.113.9", "kim") is None
        connection.execute("update web_attempt set at = now() - interval '15 minutes 1 second'")
    assert attempts.admit(web.engine, "203.0.113.9", "kim") is not None


def test_a_secret_for_one_use_is_used_up_and_of_its_kind(web: Web) -> None:
    with web.engine.begin() as connection:
        secret = once.make(connection, "flow", 10, {"next": "/me"})
        assert once.take(connection, "first", secret) is None
        assert once.holds(connection, "flow", secret)
        assert once.take(connection, "flow", secret) == {"next": "/me"}
        assert once.take(connection, "flow", secret) is None
        late = once.make(connection, "flow", -1)
        assert once.take(connection, "flow", late) is None
