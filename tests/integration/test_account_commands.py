"""`account` and `token` as a person types them, and what `doctor` says of the sign-in's settings."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import psycopg
import pytest
from argon2 import PasswordHasher

from jangbu.database import connect
from jangbu.services.ports import free_port
from jangbu.web.signin import accounts, api_tokens, passwords
from jangbu.web.signin.passwords import _hasher as people_get
from tests.integration.command_world import CommandShell, use_database
from tests.web_world import PASSWORD, QUICK_HASHER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls, EmbeddedPostgres


@pytest.fixture(scope="module")
def account_database(postgres_server: EmbeddedPostgres, _migrated_template: str) -> Iterator[DatabaseUrls]:
    with psycopg.connect(postgres_server.urls.owner, autocommit=True) as connection:
        connection.execute(f"create database account_commands template {_migrated_template}")
    with patch.object(passwords, "_hasher", QUICK_HASHER):
        yield postgres_server.urls_of("account_commands")


@pytest.fixture
def shell(
    account_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> CommandShell:
    with psycopg.connect(account_database.owner, autocommit=True) as connection:
        connection.execute("truncate web_session, web_token, web_account cascade")
    use_database(account_database, monkeypatch, tmp_path)
    return CommandShell(capsys)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`typed(text)`: what the next command finds on standard input, which is no terminal."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def opens(urls: DatabaseUrls, name: str, password: str) -> bool:
    """Whether an account can be signed in to."""
    engine = connect(urls.billing)
    try:
        with engine.connect() as connection:
            return accounts.checked(connection, name, password) is not None
    finally:
        engine.dispose()


def done_to(urls: DatabaseUrls, subject: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(urls.reader) as connection:
        return list(connection.execute("select action, actor from web_event where subject = %s order by id", [subject]))


def test_an_account_from_made_to_shut(shell: CommandShell, typed: Any, account_database: DatabaseUrls) -> None:
    typed(f"{PASSWORD}\r\n")
    code, out, err = shell.run("account", "add", "Kim", "--role", "finance", "--role", "head", "--department", "D1")
    assert (code, out) == (0, ""), err
    assert opens(account_database, "kim", PASSWORD)
    (kim,) = shell.json("account", "list")["accounts"]
    assert (kim["name"], kim["display_name"], kim["roles"], kim["departments"]) == (
        "kim", "Kim", ["finance", "head"], ["D1"],
    )  # fmt: skip
    assert kim["state"] == "open"
    assert kim["made_by"].startswith("os:")
    assert "argon2" not in shell.run("account", "list", "--json")[1]
    assert shell.run("account", "set", "kim", "--role", "auditor")[0] == 0
    assert shell.run("account", "set", "kim", "--no-departments")[0] == 0
    (kim,) = shell.json("account", "list")["accounts"]
    assert (kim["roles"], kim["departments"]) == (["auditor"], [])
    typed("another four words\n")
    assert shell.run("account", "password", "KIM")[0] == 0
    assert not opens(account_database, "kim", PASSWORD)
    assert opens(account_database, "kim", "another four words")
    assert shell.run("account", "disable", "kim")[0] == 0
    assert not opens(account_database, "kim", "another four words")
    assert shell.run("account", "list", "--csv")[1].splitlines()[1].split(",")[5] == "shut"
    assert shell.run("account", "enable", "kim")[0] == 0
    assert opens(account_database, "kim", "another four words")
    trail = done_to(account_database, "kim")
    assert [action for action, _ in trail] == [
        "account_added", "account_role", "account_role", "account_password", "account_disabled", "account_enabled",
    ]  # fmt: skip
    assert {actor for _, actor in trail} == {kim["made_by"]}


@pytest.mark.parametrize(
    ("words", "typing", "code", "told"),
    [
        (("add", "lee"), PASSWORD, 2, "at least one role"),
        (("add", "lee", "--role", "owner"), PASSWORD, 2, "'owner' is not one of"),
        (("add", "lee", "--role", "head"), "short\n", 2, "fewer than 12"),
        (("add", "lee", "--role", "head"), "", 2, "no password came on standard input"),
        (("add", "lee lee", "--role", "head"), PASSWORD, 2, "no blanks"),
        (("add", "", "--role", "head"), PASSWORD, 2, "no blanks"),
        (("add", "four words aplenty".replace(" ", "-"), "--role", "head"), "four-words-aplenty", 2, "is the name"),
        (("add", "KIM", "--role", "head"), PASSWORD, 5, "an account 'kim' already"),
        (("set", "nobody", "--role", "head"), "", 4, "no account 'nobody'"),
        (("set", "kim"), "", 2, "nothing to set"),
        (("set", "kim", "--department", "D1", "--no-departments"), "", 2, "contradict"),
        (("password", "nobody"), PASSWORD, 4, "no account 'nobody'"),
        (("password", "kim"), "short", 2, "fewer than 12"),
        (("disable", "nobody"), "", 4, "no account 'nobody'"),
    ],
)
def test_what_cannot_be_is_said(
    shell: CommandShell, typed: Any, account_database: DatabaseUrls, words: tuple[str, ...], typing: str, code: int,
    told: str,
) -> None:  # fmt: skip
    typed(PASSWORD)
    assert shell.run("account", "add", "kim", "--role", "auditor")[0] == 0
    typed(typing)
    ended, out, err = shell.run("account", *words)
    assert (ended, out) == (code, ""), err
    assert told in err
    assert PASSWORD not in err
    assert [one["name"] for one in shell.json("account", "list")["accounts"]] == ["kim"]
    assert opens(account_database, "kim", PASSWORD)


def test_a_head_of_nothing_is_told_so(shell: CommandShell, typed: Any) -> None:
    typed(PASSWORD)
    assert "head of nothing" in shell.run("account", "add", "lee", "--role", "head")[2]
    typed(PASSWORD)
    assert "head of nothing" not in shell.run("account", "add", "park", "--role", "head", "--user", "u-1")[2]


def test_a_token_from_given_to_revoked(shell: CommandShell, account_database: DatabaseUrls) -> None:
    code, out, err = shell.run("token", "add", "bi", "--role", "auditor", "--days", "30")
    assert code == 0, err
    secret = out.strip()
    assert secret.startswith(api_tokens.PREFIX)
    assert secret not in err
    engine = connect(account_database.billing)
    with engine.connect() as connection:
        bearer = api_tokens.bearer_of(connection, secret)
        assert bearer is not None
        assert (bearer.person.identity, bearer.read_only) == ("token:bi", True)
    (listed,) = shell.json("token", "list")["tokens"]
    assert (listed["name"], listed["scope"], listed["state"]) == ("bi", "read", "holds")
    assert secret not in shell.run("token", "list", "--json")[1]
    made = shell.json("token", "add", "bot", "--role", "platform", "--read-write")
    assert (made["name"], made["scope"], made["days"]) == ("bot", "read-write", 365)
    assert shell.run("token", "add", "bi", "--role", "auditor")[0] == 5
    assert shell.run("token", "add", "owner", "--role", "auditor")[0] == 2
    assert shell.run("token", "add", "x", "--role", "auditor", "--days", "0")[0] == 2
    assert shell.run("token", "revoke", "bi")[0] == 0
    assert shell.run("token", "revoke", "bi")[0] == 4
    assert shell.run("token", "add", "bi", "--role", "auditor")[0] == 5, "a name means one token for ever"
    with engine.connect() as connection:
        assert api_tokens.bearer_of(connection, secret) is None
    engine.dispose()
    states = {one["name"]: one["state"] for one in shell.json("token", "list")["tokens"]}
    assert states == {"bi": "revoked", "bot": "holds"}
    assert [action for action, _ in done_to(account_database, "bi")] == ["token_added", "token_revoked"]


def test_passwords_are_kept_by_argon2id_as_the_library_recommends() -> None:
    """The other tests use a quick one; this is the one that people get."""
    with patch.object(passwords, "_hasher", people_get):
        made = passwords.hashed(PASSWORD, "kim")
        assert passwords.fits(PASSWORD, made)
        assert not passwords.fits(PASSWORD + "x", made)
    wanted = PasswordHasher().hash(PASSWORD).split("$")[1:4]
    assert made.split("$")[1:4] == wanted
    assert wanted[2].startswith("m=65536,t=3"), "64 MiB, RFC 9106's second choice"


def doctor(shell: CommandShell, monkeypatch: pytest.MonkeyPatch, **settings: str) -> tuple[str, str]:
    for name, value in settings.items():
        monkeypatch.setenv(f"JANGBU_{name.upper()}", value)
    told = shell.run("doctor", "--json")
    document = json.loads(told[1])
    problems = [one for one in document["problems"] if "topic" not in one]
    assert told[0] == (3 if document["problems"] else 0)
    return "\n".join(problems), "\n".join(document["warnings"])


@pytest.mark.parametrize(
    ("settings", "problem", "warning"),
    [
        ({}, "", ""),
        ({"sign_in_header": "X-User"}, "nobody may send it", "SIGN_IN_ROLES is empty"),
        ({"sign_in_header": "X-User", "trusted_proxies": "10.0.0.0/8"}, "", "whoever is there can say who he is"),
        (
            {"sign_in_header": "X-User", "trusted_proxies": "10.0.0.1", "sign_in_roles": '{"a": "finance"}'},
            "", "no header lists them",
        ),
        ({"sign_in_header_roles": "X-Groups"}, "", "without JANGBU_SIGN_IN_HEADER"),
        ({"oidc_client_id": "x"}, "", "without JANGBU_OIDC_ISSUER"),
        ({"sign_in_accounts": "off"}, "no other way in", ""),
        ({"http_host": "10.9.8.7"}, "", "go in clear"),
        ({"http_host": "10.9.8.7", "public_url": "https://x.example.org"}, "", ""),
        ({"session_idle_minutes": "121", "session_hours": "2"}, "", "the idle limit never comes"),
        ({"session_idle_minutes": "120", "session_hours": "2"}, "", ""),
    ],
)  # fmt: skip
def test_doctor_says_what_is_wrong_with_the_settings(
    shell: CommandShell, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], problem: str, warning: str
) -> None:
    problems, warnings = doctor(shell, monkeypatch, **settings)
    for told, wanted in ((problems, problem), (warnings, warning)):
        assert (wanted in told) if wanted else not told


def test_doctor_shows_the_settings_as_they_are_written(shell: CommandShell, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"trusted_proxies": "10.0.0.1,2001:db8::/64", "sign_in_roles": '{"재정": "finance"}'}
    for name, value in (given | {"oidc_client_secret": "s3cret-of-ours"}).items():
        monkeypatch.setenv(f"JANGBU_{name.upper()}", value)
    out = shell.run("doctor", "--json")[1]
    shown = {one["name"]: one["value"] for one in json.loads(out)["settings"]}
    assert shown["trusted_proxies"] == "10.0.0.1/32, 2001:db8::/64"
    assert shown["sign_in_roles"] == '{"재정": "finance"}'
    assert "s3cret" not in out


def test_doctor_asks_the_provider(shell: CommandShell, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = f"http://127.0.0.1:{free_port()}"
    problems, warnings = doctor(shell, monkeypatch, oidc_issuer=issuer, oidc_client_id="jangbu")
    assert f"does not answer at {issuer}/.well-known/openid-configuration" in problems
    assert "JANGBU_PUBLIC_URL is not set" in warnings
    monkeypatch.delenv("JANGBU_OIDC_CLIENT_ID")
    problems, _ = doctor(shell, monkeypatch)
    assert "without JANGBU_OIDC_CLIENT_ID" in problems
