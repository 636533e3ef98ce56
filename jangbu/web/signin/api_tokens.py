"""Tokens of programs: roles, read-only or not, an end. The token is shown once; its hash is kept.

The owner's token (JANGBU_TOKEN) reads everything as an auditor does and changes nothing: it stands in the settings of
every gateway that has no token of its own, and what is spread so far must not be able to close a month.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import text

from billing.sentences import Sentence
from jangbu.errors import NotFoundError, RefusedByStateError, UsageError
from jangbu.web.people import Person, Role
from jangbu.web.signin.accounts import folded
from jangbu.web.signin.heads import person_of
from jangbu.web.signin.secrets import digest, new_secret, same
from jangbu.web.signin.trail import note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

PREFIX: Final = "jbt_"
"""So that a token that lies somewhere is known for what it is."""
OWNER: Final = Person("token:owner", "JANGBU_TOKEN", None, frozenset({Role.AUDITOR}))
_COLUMNS = (
    'name, "user", roles, departments, read_only, made_by, made_at, expires_at, revoked_at,'
    " case when revoked_at is not null then 'revoked' when expires_at <= now() then 'past its end' else 'holds' end"
)


class ApiToken(NamedTuple):
    """A row without its hash."""

    name: str
    user: str | None
    roles: Sequence[str]
    departments: Sequence[str]
    read_only: bool
    made_by: str
    made_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    state: str
    """holds, past its end, or revoked: as the database's clock has it."""


class Bearer(NamedTuple):
    """Whom a token stands for, and whether it may only read."""

    person: Person
    read_only: bool


def list_tokens(connection: Connection) -> list[ApiToken]:
    """Every token, revoked and expired ones too, by name."""
    return [ApiToken(*row) for row in connection.execute(text(f"select {_COLUMNS} from web_token order by name"))]


def add_token(
    connection: Connection,
    name: str,
    roles: Sequence[str],
    *,
    days: int,
    read_only: bool,
    actor: str,
    user: str | None = None,
    departments: Sequence[str] = (),
) -> str:
    """A new token, to be shown once. Raises UsageError, RefusedByStateError (the name was given before)."""
    spelt = folded(name)
    if not roles or spelt == "owner":
        raise UsageError(Sentence("a token has a name other than 'owner' and at least one --role: name them"))
    secret = PREFIX + new_secret()
    told = {
        "name": spelt, "hash": digest(secret), "user": user, "roles": sorted(set(roles)),
        "departments": sorted(set(departments)), "read_only": read_only, "actor": actor, "days": days,
    }  # fmt: skip
    done = connection.execute(
        text(
            'insert into web_token (name, token_hash, "user", roles, departments, read_only, made_by, expires_at)'
            " values (:name, :hash, :user, :roles, :departments, :read_only, :actor,"
            " now() + make_interval(days => :days)) on conflict (name) do nothing"
        ),
        told,
    )
    if not done.rowcount:
        raise RefusedByStateError(
            Sentence(
                "a token %(name)s was given before, and a name means one token: choose another", name=repr(spelt)
            )
        )
    said = {key: told[key] for key in ("roles", "departments", "read_only", "user", "days")}
    note(connection, actor, "token_added", spelt, detail=said)
    return secret


def revoke_token(connection: Connection, name: str, *, actor: str) -> None:
    """End a token at once. Raises NotFoundError."""
    told = {"name": folded(name)}
    update = "update web_token set revoked_at = now() where name = :name and revoked_at is null"
    if not connection.execute(text(update), told).rowcount:
        raise NotFoundError(Sentence("there is no token %(name)s that holds: see `jangbu token list`", name=repr(name)))
    note(connection, actor, "token_revoked", told["name"])


def bearer_of(connection: Connection, secret: str) -> Bearer | None:
    """Whom a token stands for now; None where it is unknown, revoked or past its end."""
    row = connection.execute(
        text(
            f"select {_COLUMNS} from web_token"
            " where token_hash = :hash and revoked_at is null and expires_at > now()"
        ),
        {"hash": digest(secret)},
    ).first()
    if row is None:
        return None
    held = ApiToken(*row)
    identity = f"token:{held.name}"
    return Bearer(person_of(connection, identity, held.name, held.user, held.roles, held.departments), held.read_only)


def is_owner(secret: str, owner_token: str) -> bool:
    """Whether it is JANGBU_TOKEN."""
    return same(digest(secret).hex(), digest(owner_token).hex())
