"""Sign-in at an OpenID provider that runs as a process of its own: as it should be, and as attackers want it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest

from jangbu.settings import load
from jangbu.web.signin import attempts, oidc
from jangbu.web.signin.oidc import Provider, ProviderAway, groups_of, roles_of
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, openid_provider
from tests.web_world import PROBES, Web, running_web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls, EmbeddedPostgres

ROLES = '{"ai-finance": "finance", "audit-office": "auditor", "ai-platform": "platform"}'


class House(NamedTuple):
    """Our application and the organisation's provider."""

    web: Web
    issuer: str

    def plant(self, word: str) -> None:
        """Have the provider misbehave."""
        assert httpx.post(f"{self.issuer}/plant", content=word).status_code == 200

    def begin(self, going: str = "/probe") -> tuple[httpx.Client, str]:
        """A browser that was sent to the provider, and the address there."""
        client = self.web.client()
        sent = client.get("/sign-in/oidc", params={"next": going})
        assert sent.status_code == 303, sent.text
        return client, sent.headers["location"]

    def answer(self, address: str, user: str) -> str:
        """Where the provider sends the browser back to after a person has signed in there."""
        back = httpx.post(address, data={"user": user})
        assert back.status_code == 303, back.text
        return str(back.headers["location"])

    def come(self, user: str, going: str = "/probe") -> tuple[httpx.Client, httpx.Response]:
        """The whole way."""
        client, address = self.begin(going)
        return client, client.get(self.answer(address, user))


@pytest.fixture(scope="module")
def oidc_database(postgres_server: EmbeddedPostgres, _migrated_template: str) -> DatabaseUrls:
    with psycopg.connect(postgres_server.urls.owner, autocommit=True) as connection:
        connection.execute(f"create database web_oidc template {_migrated_template}")
    return postgres_server.urls_of("web_oidc")


@pytest.fixture(scope="module")
def standing(oidc_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with openid_provider() as issuer:
        told = {
            "oidc_issuer": issuer, "oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET,
            "oidc_user_claim": "preferred_username", "sign_in_roles": ROLES,
        }  # fmt: skip
        with running_web(oidc_database, tmp_path_factory.mktemp("oidc"), PROBES, **told) as web:
            yield House(web, issuer)


@pytest.fixture
def house(standing: House, oidc_database: DatabaseUrls) -> Iterator[House]:
    with psycopg.connect(oidc_database.owner, autocommit=True) as connection:
        connection.execute("truncate web_attempt, web_session, web_once, web_account cascade")
    yield standing
    standing.plant("")
    standing.web.close_clients()


def person(client: httpx.Client) -> dict[str, Any] | None:
    found: dict[str, Any] | None = client.get("/probe").json()["person"]
    return found


def last_event(house: House) -> tuple[str, str, str]:
    (row,) = house.web.rows("select actor, action, subject from web_event order by id desc limit 1")
    return tuple(row)


def refused(house: House, answer: httpx.Response) -> None:
    """Nobody is signed in, the page says no more than that, the trail has it."""
    assert answer.status_code == 403
    assert "refused" in answer.text
    assert "set-cookie" not in answer.headers
    assert not house.web.rows("select 1 from web_session")
    assert last_event(house) == ("unknown", "sign_in_refused", "oidc")


def test_a_person_comes_in_with_the_roles_of_the_groups(house: House) -> None:
    client, answer = house.come("kim", "/probe?month=2026-10")
    assert (answer.status_code, answer.headers["location"]) == (303, "/probe?month=2026-10")
    assert person(client) == {
        "identity": "web:kim", "name": "김민수", "user": "kim", "roles": ["employee", "finance"], "departments": [],
    }  # fmt: skip
    assert last_event(house) == ("web:kim", "sign_in", "kim")


def test_a_group_as_one_text_counts_and_a_name_of_markup_is_text(house: House) -> None:
    client, _ = house.come("lee")
    found = person(client)
    assert found is not None
    assert (found["roles"], found["name"]) == (["auditor", "employee"], "<b>Lee")
    page = client.get("/design", headers={"accept": "text/html"}).text
    assert "<b>Lee" not in page
    assert "&lt;b&gt;Lee" in page


def test_who_is_in_no_group_is_an_employee(house: House) -> None:
    client, _ = house.come("park")
    found = person(client)
    assert found is not None
    assert found["roles"] == ["employee"]


def test_what_is_sent_to_the_provider_is_new_each_time_and_tells_no_secret(house: House) -> None:
    asked = [parse_qs(urlsplit(house.begin()[1]).query) for _ in range(2)]
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]
        assert len(asked[0][name][0]) >= 43
    assert asked[0]["code_challenge_method"] == ["S256"]
    assert asked[0]["redirect_uri"] == [f"{house.web.url}/sign-in/oidc/callback"]
    assert CLIENT_SECRET not in str(asked)


@pytest.mark.parametrize(
    "plant",
    ["issuer", "audience", "several_audiences", "expired", "early", "nonce", "no_nonce", "alg_none", "alg_hs256",
     "other_key", "unsigned", "no_token", "no_subject", "answer_issuer", "at_hash"],
)  # fmt: skip
def test_what_is_not_to_be_believed_is_refused(house: House, plant: str) -> None:
    house.plant(plant)
    refused(house, house.come("kim")[1])
    house.plant("")
    assert house.come("kim")[1].status_code == 303, "it was the plant"


def test_who_has_no_name_or_says_no_is_refused(house: House) -> None:
    refused(house, house.come("nameless")[1])
    refused(house, house.come("nobody")[1])


def test_an_answer_counts_once(house: House) -> None:
    client, address = house.begin()
    back = house.answer(address, "kim")
    assert client.get(back).status_code == 303
    again = client.get(back)
    assert again.status_code == 403
    assert len(house.web.rows("select 1 from web_session")) == 1


def test_a_code_that_was_used_is_refused_by_the_provider(house: House) -> None:
    """The code of another sign-in of the same browser, under a state that holds."""
    client, address = house.begin()
    back = house.answer(address, "kim")
    client.get(back)
    code = parse_qs(urlsplit(back).query)["code"][0]
    client, address = house.begin()
    state = parse_qs(urlsplit(address).query)["state"][0]
    assert client.get("/sign-in/oidc/callback", params={"code": code, "state": state}).status_code == 403
    assert len(house.web.rows("select 1 from web_session")) == 1


def test_anothers_code_does_not_fit_the_verifier(house: House) -> None:
    """A code that somebody stole, brought into a sign-in of his own."""
    _, address = house.begin()
    stolen = parse_qs(urlsplit(house.answer(address, "kim")).query)["code"][0]
    client, own = house.begin()
    state = parse_qs(urlsplit(own).query)["state"][0]
    refused(house, client.get("/sign-in/oidc/callback", params={"code": stolen, "state": state}))


def test_somebodys_answer_does_not_sign_another_browser_in(house: House) -> None:
    _, address = house.begin()
    back = house.answer(address, "lee")
    refused(house, house.web.client().get(back))
    victim, _ = house.begin()
    refused(house, victim.get(back))


@pytest.mark.parametrize("query", ["", "?state=", "?state=x&code=y", "?code=y", "?error=access_denied"])
def test_an_answer_that_nobody_asked_for_is_refused(house: House, query: str) -> None:
    refused(house, house.web.client().get(f"/sign-in/oidc/callback{query}"))


def test_a_sign_in_that_took_too_long_is_refused(house: House, oidc_database: DatabaseUrls) -> None:
    client, address = house.begin()
    back = house.answer(address, "kim")
    with psycopg.connect(oidc_database.owner, autocommit=True) as connection:
        connection.execute("update web_once set expires_at = now() - interval '1 second'")
    refused(house, client.get(back))


@pytest.mark.parametrize("going", ["https://evil.example.org", "//evil.example.org", "/\\evil.example.org"])
def test_the_way_back_leads_nowhere_else(house: House, going: str) -> None:
    _, answer = house.come("kim", going)
    assert answer.headers["location"] == "/"


def test_a_new_key_of_the_provider_is_read(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "REFRESH_S", 0)
    assert house.come("kim")[1].status_code == 303
    house.plant("rotate")
    assert house.come("kim")[1].status_code == 303


def test_a_false_token_does_not_make_us_ask_the_provider_over_and_over(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.come("kim")
    read: list[str] = []
    monkeypatch.setattr(oidc, "_fetched", read.append)
    house.plant("other_key")
    monkeypatch.setattr(oidc, "REFRESH_S", 3_600)
    assert house.come("kim")[1].status_code == 403
    assert read == []


def test_going_round_without_end_is_limited(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "ADDRESS_MAX", 3)
    assert [house.web.client().get("/sign-in/oidc").status_code for _ in range(4)] == [303, 303, 303, 429]


def test_a_provider_that_is_away_is_said_and_accounts_still_work(house: House) -> None:
    provider = Provider(house.issuer, CLIENT_ID, CLIENT_SECRET, "openid")
    house.plant("down")
    with pytest.raises(ProviderAway, match="answered 500"):
        provider.check()
    house.plant("discovery")
    with pytest.raises(ProviderAway, match="set JANGBU_OIDC_ISSUER to exactly that"):
        provider.check()
    house.plant("")
    provider.check()
    page = house.web.client().get("/sign-in").text
    assert 'href="/sign-in/oidc?next=%2F"' in page
    assert 'name="password"' in page


def test_another_subject_with_the_same_name_as_an_account_is_that_person(house: House) -> None:
    """One identity, whatever way it came in: else one person could be the second one as well."""
    house.web.account("kim", "platform")
    client, _ = house.come("kim")
    found = person(client)
    assert found is not None
    assert (found["identity"], found["roles"]) == ("web:kim", ["employee", "finance"]), "an account's roles are its own"


def test_groups_and_roles() -> None:
    claims = {"a": {"b": ["x", 1, "y", "\0", ""]}, "c": "z", "d.e": ["w"], "d": {"e": ["v"]}}
    told = {path: groups_of(claims, path) for path in ("a.b", "a", "a.b.c", "c", "d.e", "missing")}
    empty: frozenset[str] = frozenset()
    assert told == {
        "a.b": {"x", "y"}, "a": empty, "a.b.c": empty, "c": {"z"}, "d.e": {"w"}, "missing": empty,
    }  # fmt: skip
    assert roles_of(frozenset({"x"}), {"x": "finance", "y": "auditor"}) == {"finance", "employee"}
    assert roles_of(empty, {}) == {"employee"}


@pytest.mark.parametrize("issuer", ["http://sso.example.org", "https://a.example:b@sso", "https://x.example/?a", "sso"])
def test_an_issuer_that_would_be_asked_in_clear_or_is_none_is_refused(issuer: str) -> None:
    with pytest.raises(Exception, match="oidc_issuer"):
        load(environ={"JANGBU_OIDC_ISSUER": issuer})
