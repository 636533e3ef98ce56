"""Sign-in by the header of the organisation's proxy, and what may be believed of a request's origin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from starlette.requests import Request

from jangbu.errors import SettingsError
from jangbu.settings import load
from jangbu.settings_sign_in import parse_networks
from jangbu.web.signin.entrance import entrance_of
from jangbu.web.signin.places import client_of, is_among, is_foreign
from tests.web_world import PASSWORD, PROBES, Web, field, running_web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls, EmbeddedPostgres

PUBLIC = "https://jangbu.example.org"
SETTINGS = {
    "sign_in_header": "X-Forwarded-User", "sign_in_header_roles": "X-Forwarded-Groups", "public_url": PUBLIC,
    "sign_in_roles": '{"ai-finance": "finance", "audit": "auditor"}',
}  # fmt: skip


@pytest.fixture(scope="module")
def header_database(postgres_server: EmbeddedPostgres, _migrated_template: str) -> DatabaseUrls:
    with psycopg.connect(postgres_server.urls.owner, autocommit=True) as connection:
        connection.execute(f"create database web_header template {_migrated_template}")
    return postgres_server.urls_of("web_header")


@pytest.fixture(scope="module")
def standing(header_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    told = {**SETTINGS, "trusted_proxies": "127.0.0.1"}
    with running_web(header_database, tmp_path_factory.mktemp("header"), PROBES, **told) as web:
        yield web


@pytest.fixture
def web(standing: Web, header_database: DatabaseUrls) -> Iterator[Web]:
    with psycopg.connect(header_database.owner, autocommit=True) as connection:
        connection.execute("truncate web_attempt, web_session, web_account cascade")
    yield standing
    standing.close_clients()


def proxied(web: Web, user: str, groups: str | None = None, **more: str) -> httpx.Client:
    """A browser behind the proxy: the proxy puts the headers on each request, and cookies pass https as it is set."""
    headers = {"x-forwarded-user": user, **more} | ({} if groups is None else {"x-forwarded-groups": groups})
    return web.client(headers=headers)


def asked(client: httpx.Client) -> Any:
    return client.get("/probe").json()


def cookie_of(answer: httpx.Response) -> str:
    (cookie,) = (line for line in answer.headers.get_list("set-cookie") if "jangbu_session" in line)
    return cookie


def test_the_proxy_names_the_person_and_the_groups(web: Web) -> None:
    client = proxied(web, "u-1", "city, ai-finance", **{"x-forwarded-for": "203.0.113.9"})
    answer = client.get("/probe")
    told = answer.json()
    assert told["person"]["identity"] == "web:u-1"
    assert told["person"]["roles"] == ["employee", "finance"]
    assert told["client"] == "203.0.113.9"
    name, *flags = cookie_of(answer).split("; ")
    assert name.startswith("__Host-jangbu_session=")
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(flags)
    (event,) = web.rows("select actor, action, address from web_event order by id desc limit 1")
    assert tuple(event) == ("web:u-1", "sign_in", "203.0.113.9")


def test_one_session_serves_until_the_person_or_the_roles_are_others(web: Web) -> None:
    first = proxied(web, "u-1", "audit").get("/probe")
    cookie = cookie_of(first).split(";")[0]
    same = proxied(web, "u-1", "audit", cookie=cookie).get("/probe")
    assert "set-cookie" not in same.headers
    assert same.json()["csrf"] == first.json()["csrf"]
    for user, groups, roles in (("u-1", "", ["employee"]), ("u-2", "audit", ["auditor", "employee"])):
        other = proxied(web, user, groups, cookie=cookie).get("/probe")
        assert other.json()["person"]["identity"] == f"web:{user}"
        assert other.json()["person"]["roles"] == roles
        assert other.json()["csrf"] != first.json()["csrf"]


def test_a_session_of_the_proxy_is_none_without_the_proxy(web: Web) -> None:
    cookie = cookie_of(proxied(web, "u-1").get("/probe")).split(";")[0]
    assert asked(web.client(headers={"cookie": cookie}))["person"] is None


def test_an_accounts_session_does_not_hide_whom_the_proxy_names(web: Web) -> None:
    web.account("kim", "finance")
    client = web.client(headers={"origin": PUBLIC})
    before = client.get("/sign-in")
    secret = cookie_named(before, "__Host-jangbu_before")
    client = web.client(headers={"origin": PUBLIC, "cookie": secret})
    page = before.text
    fields = {"before": field(page, "before"), "name": "kim", "password": PASSWORD}
    entered = client.post("/sign-in", data=fields)
    assert entered.status_code == 303
    cookie = cookie_of(entered).split(";")[0]
    assert asked(web.client(headers={"cookie": cookie}))["person"]["identity"] == "web:kim"
    assert asked(proxied(web, "u-9", cookie=cookie))["person"]["identity"] == "web:u-9"


def cookie_named(answer: httpx.Response, name: str) -> str:
    return next(line for line in answer.headers.get_list("set-cookie") if line.startswith(name)).split(";")[0]


@pytest.mark.parametrize("user", ["", "u-1\tx", "x" * 201])
def test_a_header_that_names_nobody_is_refused(web: Web, user: str) -> None:
    answer = proxied(web, user).get("/probe")
    assert (answer.status_code, answer.json()["code"]) == (403, "header")


def test_a_header_twice_is_refused(web: Web) -> None:
    headers = [("x-forwarded-user", "u-1"), ("X-Forwarded-User", "u-2")]
    answer = httpx.get(f"{web.url}/probe", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "header")


def test_a_change_needs_the_form_although_the_proxy_names_the_person(web: Web) -> None:
    first = proxied(web, "u-1").get("/probe")
    cookie = cookie_of(first).split(";")[0]
    client = proxied(web, "u-1", cookie=cookie)
    assert client.post("/probe", data={"value": "1"}).json()["code"] == "csrf"
    csrf = {"value": "1", "csrf": first.json()["csrf"]}
    assert client.post("/probe", data=csrf, headers={"origin": "https://evil.example.org"}).json()["code"] == "origin"
    assert client.post("/probe", data=csrf, headers={"origin": PUBLIC}).json() == {"changed": "1"}
    assert proxied(web, "u-2", cookie=cookie).post("/probe", data=csrf).json()["code"] == "csrf"
    assert proxied(web, "u-1").post("/probe", data=csrf).json()["code"] == "csrf", "no session of this browser"


def test_a_header_from_elsewhere_is_refused_and_shown_nothing(
    header_database: DatabaseUrls, tmp_path: Any
) -> None:
    with running_web(header_database, tmp_path, PROBES, **SETTINGS, trusted_proxies="10.0.0.1") as other:
        answer = proxied(other, "u-1", "ai-finance").get("/probe")
        assert (answer.status_code, answer.json()["code"]) == (403, "header")
        forged = proxied(other, "u-1", "ai-finance", **{"x-forwarded-for": "10.0.0.1"}).get("/probe")
        assert (forged.status_code, forged.json()["code"]) == (403, "header"), "the connection counts, not what it says"
        assert asked(other.client())["person"] is None
        assert asked(other.client(headers={"x-forwarded-for": "203.0.113.9"}))["client"] == "127.0.0.1"


def test_limits_count_the_client_behind_the_proxy(web: Web) -> None:
    """Not the proxy: else one who guesses would shut everybody out; and not what the client says of itself."""
    web.account("kim", "finance")

    def tried(forwarded: str) -> int:
        client = web.client(headers={"x-forwarded-for": forwarded, "origin": PUBLIC})
        page = client.get("/sign-in")
        secret = cookie_named(page, "__Host-jangbu_before")
        fields = {"before": field(page.text, "before"), "name": "kim", "password": "wrong wrong wrong"}
        return client.post("/sign-in", data=fields, headers={"cookie": secret}).status_code

    assert [tried(f"198.51.100.{number}, 203.0.113.9") for number in range(6)] == [403] * 5 + [429]
    assert tried("203.0.113.9") == 429
    assert tried("203.0.113.10") == 403
    assert [tried(f"2001:db8::{number}") for number in range(6)] == [403] * 5 + [429], "a /64 is one client"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9", "10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2"], "10.0.0.2"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.1", ["nonsense"], "nonsense"),
    ],
)
def test_the_client_is_read_as_far_as_proxies_wrote_it(peer: str, forwarded: list[str], client: str) -> None:
    request = request_of([("x-forwarded-for", line) for line in forwarded], peer)
    assert client_of(request, parse_networks("10.0.0.0/24")) == client


def request_of(headers: list[tuple[str, str]], peer: str = "127.0.0.1") -> Request:
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": encoded, "client": (peer, 1)})


@pytest.mark.parametrize(
    ("headers", "public_url", "foreign"),
    [
        ({}, None, False),
        ({"host": "a.example", "origin": "https://a.example"}, None, False),
        ({"host": "a.example", "origin": "https://b.example"}, None, True),
        ({"host": "a.example", "origin": "https://a.example:8443"}, None, True),
        ({"host": "a.example", "origin": "null"}, None, True),
        ({"host": "null", "origin": "null"}, None, True),
        ({"host": "", "origin": "null"}, None, True),
        ({"host": "inner:8080", "origin": PUBLIC}, PUBLIC, False),
        ({"host": "evil.example.org", "origin": "https://evil.example.org"}, PUBLIC, True),
        ({"host": "x", "origin": "http://jangbu.example.org"}, PUBLIC, True),
        ({"sec-fetch-site": "same-origin"}, None, False),
        ({"sec-fetch-site": "none"}, None, False),
        ({"sec-fetch-site": "same-site"}, None, True),
        ({"sec-fetch-site": "cross-site"}, None, True),
    ],
)
def test_what_another_sites_page_sends(headers: dict[str, str], public_url: str | None, foreign: bool) -> None:
    assert is_foreign(request_of(list(headers.items())), public_url) is foreign


def test_a_network_is_of_its_own_kind() -> None:
    assert is_among("10.0.0.5", parse_networks("10.0.0.0/24,2001:db8::/64"))
    assert is_among("2001:db8::1", parse_networks("10.0.0.0/24,2001:db8::/64"))
    assert is_among("::ffff:10.0.0.5", parse_networks("10.0.0.0/24"))
    assert not is_among("10.0.1.5", parse_networks("10.0.0.0/24"))
    assert not is_among("unknown", parse_networks("10.0.0.0/24"))
    assert not is_among("10.0.0.5", parse_networks("none"))


@pytest.mark.parametrize("networks", ["0.0.0.0/0", "10.0.0.1/24", "proxy.example.org", ",", "10.0.0.1,::/0"])
def test_networks_that_are_none_or_everybody_are_refused(networks: str) -> None:
    with pytest.raises(SettingsError, match="trusted_proxies"):
        load(environ={"JANGBU_TRUSTED_PROXIES": networks})


@pytest.mark.parametrize("header", ["Cookie", "Authorization", "X Forwarded", "", "Host"])
def test_headers_that_could_not_name_a_person_are_refused(header: str) -> None:
    if header:
        with pytest.raises(SettingsError, match="sign_in_header"):
            load(environ={"JANGBU_SIGN_IN_HEADER": header})


def test_a_header_without_proxies_does_not_start() -> None:
    settings = load(environ={"JANGBU_SIGN_IN_HEADER": "X-Forwarded-User"})
    with pytest.raises(SettingsError, match="set JANGBU_TRUSTED_PROXIES"):
        entrance_of(settings, lambda: pytest.fail("no database is asked"), "t", "http://127.0.0.1:1", print)


def test_accounts_can_be_shut_off(header_database: DatabaseUrls, tmp_path: Any) -> None:
    told = {"sign_in_header": "X-User", "trusted_proxies": "10.0.0.1", "sign_in_accounts": "off"}
    with running_web(header_database, tmp_path, PROBES, **told) as other:
        page = other.client().get("/sign-in").text
        assert 'name="password"' not in page
        assert "Come by your organisation" in page
        assert not other.said
        client = other.client()
        client.get("/sign-in")
        assert client.post("/sign-in", data={"name": "kim", "password": "x"}).status_code == 403
