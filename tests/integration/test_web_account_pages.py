"""Accounts and tokens by pages: made, changed, shut, given and revoked by the platform team alone, secrets shown once,
every change in the trail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.web_world import Web, csrf_of, running_web, sign_in, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from jangbu.services.postgres import DatabaseUrls

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def running(module_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running_web(module_database, tmp_path_factory.mktemp("web")) as found:
        yield found


@pytest.fixture
def web(running: Web) -> Iterator[Web]:
    yield running
    running.close_clients()


@pytest.fixture
def platform(web: Web) -> httpx.Client:
    client = signed_in(web, "platform")
    client.headers["x-csrf-token"] = csrf_of(client)
    return client


def shown_secret(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found = re.search(r"<pre><code>([^<]+)</code></pre>", answer.text)
    assert found is not None, answer.text
    assert found[1] not in answer.headers.get("set-cookie", ""), "a secret in a cookie would lie in the browser"
    return found[1]


def trail(web: Web, subject: str) -> list[tuple[str, str]]:
    return [(one.action, one.actor) for one in web.rows(
        f"select action, actor from web_event where subject = '{subject}' and action not like 'sign_in%%' order by id"
    )]  # fmt: skip


def test_an_account_is_made_its_password_shown_once_and_it_signs_in(web: Web, platform: httpx.Client) -> None:
    told = {"name": "Lee", "roles": ["head", "employee"], "departments": "D001, D002", "user": "u-9",
            "display_name": HOSTILE}  # fmt: skip
    password = shown_secret(platform.post("/accounts/add", data=told))
    page = platform.get("/accounts").text
    assert password not in page
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    assert all(password not in str(row) for row in web.rows("select detail::text, subject from web_event"))
    lee = web.client()
    assert sign_in(lee, "lee", password).status_code == 303
    person = lee.get("/probe").json()["person"]
    assert (person["roles"], person["departments"], person["user"]) == (["employee", "head"], ["D001", "D002"], "u-9")
    (found,) = [one for one in platform.get("/api/v1/accounts").json()["accounts"] if one["name"] == "lee"]
    assert (found["state"], found["made_by"], found["roles"]) == ("open", "web:platform-1", ["employee", "head"])
    again = platform.post("/api/v1/accounts/add", json=told)
    assert (again.status_code, again.json()["code"]) == (409, "state")
    assert trail(web, "lee") == [("account_added", "web:platform-1")]


def test_roles_passwords_and_state_of_somebody_else(web: Web, platform: httpx.Client) -> None:
    first = platform.post("/api/v1/accounts/add", json={"name": "park", "roles": ["employee"]}).json()["secret"]
    park = web.client()
    sign_in(park, "park", first)
    other = {"name": "park", "roles": "head", "departments": "D7"}
    assert platform.post("/accounts/set", data=other).status_code == 303
    person = park.get("/probe").json()["person"]
    assert (person["roles"], person["departments"]) == (["head"], ["D7"])
    assert 'name="departments" type="text" value="D7"' in platform.get("/accounts?name=park").text
    assert platform.post("/accounts/set", data={"name": "park", "roles": "auditor"}).status_code == 303
    assert park.get("/probe").json()["person"]["departments"] == [], "what the form shows empty is empty"
    second = shown_secret(platform.post("/accounts/password", data={"name": "park"}))
    assert second != first
    assert park.get("/probe").json()["person"] is None, "the sessions end"
    assert sign_in(web.client(), "park", first).status_code == 403
    park = web.client()
    assert sign_in(park, "park", second).status_code == 303
    assert platform.post("/accounts/state", data={"name": "park", "state": "shut"}).status_code == 303
    assert park.get("/probe").json()["person"] is None
    assert sign_in(web.client(), "park", second).status_code == 403
    assert "Open the account again" in platform.get("/accounts?name=park").text
    platform.post("/accounts/state", data={"name": "park", "state": "open"})
    assert sign_in(web.client(), "park", second).status_code == 303
    assert [action for action, _ in trail(web, "park")] == [
        "account_added", "account_role", "account_role", "account_password", "account_disabled", "account_enabled",
    ]  # fmt: skip


def test_nobody_changes_the_own_account_there(web: Web, platform: httpx.Client) -> None:
    """Roles would be a way to be finance, a shut account a way to lock everybody out."""
    own = {"name": " Platform-1 "}
    for path, fields in (("set", {"roles": "finance"}), ("state", {"state": "shut"}), ("password", {})):
        answer = platform.post(f"/api/v1/accounts/{path}", data={**own, **fields})
        assert (answer.status_code, answer.json()["code"]) == (409, "state"), path
    assert platform.get("/probe").json()["person"]["roles"] == ["platform"]
    page = platform.get("/accounts?name=platform-1").text
    assert "your own account" in page
    assert 'action="/accounts/set"' not in page


def test_a_token_is_shown_once_reads_or_writes_and_is_revoked(web: Web, platform: httpx.Client) -> None:
    reads = shown_secret(platform.post("/accounts/tokens/add", data={"name": "bi", "roles": "platform", "days": "7"}))
    writes = shown_secret(
        platform.post("/accounts/tokens/add", data={"name": "ops", "roles": "platform", "scope": "read-write"})
    )
    listed = {one["name"]: one for one in platform.get("/api/v1/accounts").json()["tokens"]}
    assert (listed["bi"]["scope"], listed["ops"]["scope"], listed["bi"]["state"]) == ("read", "read-write", "holds")
    page = platform.get("/accounts").text
    assert reads not in page
    assert writes not in page
    program = web.client()

    def asked(secret: str, name: str) -> int:
        sent = {"name": name, "roles": "employee"}
        bearer = {"authorization": f"Bearer {secret}"}
        return program.post("/api/v1/accounts/add", data=sent, headers=bearer).status_code

    assert (asked(reads, "by-bi"), asked(writes, "by-ops")) == (403, 200)
    assert trail(web, "by-ops") == [("account_added", "token:ops")]
    assert platform.post("/accounts/tokens/revoke", data={"name": "ops"}).status_code == 303
    assert asked(writes, "later") == 401
    assert platform.post("/accounts/tokens/revoke", data={"name": "ops"}).status_code == 404, "it holds no more"
    assert platform.post("/accounts/tokens/add", data={"name": "ops", "roles": "platform"}).status_code == 409
    assert [action for action, _ in trail(web, "ops")] == ["token_added", "token_revoked"]


@pytest.mark.parametrize("role", ["finance", "auditor"])
def test_others_of_the_organisation_see_and_change_nothing(web: Web, role: str) -> None:
    client = signed_in(web, role)
    page = client.get("/accounts?name=platform-1").text
    assert "platform-1" in page
    assert 'action="/accounts' not in page
    answer = client.post("/accounts/password", data={"name": "platform-1", "csrf": csrf_of(client)})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("path", "sent", "named"),
    [
        ("add", {"name": "kim"}, "역할"), ("add", {"name": "kim", "roles": "king"}, "&#39;king&#39;"),
        ("add", {"name": "kim lee", "roles": "head"}, "빈칸"),
        ("set", {"name": "nobody", "roles": "head"}, "&#39;nobody&#39;"),
        ("state", {"name": "finance-1", "state": "gone"}, "&#39;gone&#39;"),
        ("add", {"name": "kim", "roles": "head", "departments": "D" * 200}, "최대 128자"),
        ("tokens/add", {"name": "x", "roles": "head", "days": "0"}, "3650"),
        ("tokens/add", {"name": "x", "roles": "head", "scope": "all"}, "read-write"),
        ("tokens/revoke", {"name": "x"}, "유효한 토큰"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_in_korean(
    web: Web, platform: httpx.Client, path: str, sent: dict[str, str], named: str
) -> None:
    signed_in(web, "finance")
    answer = platform.post(f"/accounts/{path}", data=sent, headers={"accept": "text/html", "accept-language": "ko"})
    assert answer.status_code in (400, 404), answer.text
    assert named in answer.text
    assert 'lang="en"' not in answer.text.split("<main", 1)[-1]
