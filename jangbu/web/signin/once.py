"""Secrets for one use within minutes: the link that makes the first account, and a sign-in under way at a provider."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import text

from jangbu.web.signin.accounts import has_accounts, lock_accounts
from jangbu.web.signin.secrets import digest, new_secret
from jangbu.web.signin.trail import note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Engine

Kind = Literal["first", "flow"]
FIRST_MINUTES: Final = 15
FLOW_MINUTES: Final = 10
_MAKE = text(
    "insert into web_once (token_hash, kind, detail, expires_at)"
    " values (:hash, :kind, cast(:detail as jsonb), now() + make_interval(mins => :minutes))"
)


def make(connection: Connection, kind: Kind, minutes: int, detail: Mapping[str, Any] | None = None) -> str:
    """A secret that `take` accepts once; those past their end are deleted."""
    connection.execute(text("delete from web_once where expires_at < now()"))
    secret = new_secret()
    told = {"hash": digest(secret), "kind": kind, "detail": json.dumps(dict(detail or {})), "minutes": minutes}
    connection.execute(_MAKE, told)
    return secret


def take(connection: Connection, kind: Kind, secret: str) -> dict[str, Any] | None:
    """What was kept with a secret, which is used up by this; None where there is none that holds."""
    delete = "delete from web_once where token_hash = :hash and kind = :kind and expires_at > now() returning detail"
    found = connection.execute(text(delete), {"hash": digest(secret), "kind": kind}).first()
    return None if found is None else dict(found.detail)


def holds(connection: Connection, kind: Kind, secret: str) -> bool:
    """Whether `take` would accept a secret."""
    asked = "select exists (select from web_once where token_hash = :hash and kind = :kind and expires_at > now())"
    return bool(connection.execute(text(asked), {"hash": digest(secret), "kind": kind}).scalar_one())


def first_link(engine: Engine, address: str, actor: str) -> str | None:
    """A new link for the first account, the earlier one void; None where there is an account.

    Whoever sees what `serve` prints runs the installation: that is what the link rests on.
    """
    with engine.begin() as connection:
        lock_accounts(connection)
        if has_accounts(connection):
            return None
        connection.execute(text("delete from web_once where kind = 'first'"))
        secret = make(connection, "first", FIRST_MINUTES)
        note(connection, actor, "first_link", "first account")
    return f"{address}/sign-in/first?token={secret}"


def has_first_link(connection: Connection) -> bool:
    """Whether a link for the first account is on its way."""
    asked = "select exists (select from web_once where kind = 'first' and expires_at > now())"
    return bool(connection.execute(text(asked)).scalar_one())
