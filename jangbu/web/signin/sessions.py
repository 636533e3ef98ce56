"""Sessions: a row for each signed-in browser. The cookie holds a secret, the row its hash.

A session ends when nothing was asked for `idle`, after `whole` in any case, when its account is disabled, and when it
is ended. A sign-in always makes a new secret; what the browser brought before is ended, so that nobody can plant one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import text

from jangbu.web.signin.heads import person_of
from jangbu.web.signin.secrets import digest, new_secret

if TYPE_CHECKING:
    from datetime import timedelta

    from sqlalchemy import Connection

    from jangbu.web.people import Person

Way = Literal["account", "oidc", "header"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session holds."""

    idle: timedelta
    whole: timedelta


@dataclass(frozen=True, slots=True)
class Entry:
    """Who comes in and how, as it was told at the sign-in."""

    way: Way
    subject: str
    name: str
    user: str | None
    roles: frozenset[str]
    departments: frozenset[str] = frozenset()

    @property
    def identity(self) -> str:
        """The same for one subject whatever way it came: a second way in makes no second person."""
        return f"web:{self.subject}"


@dataclass(frozen=True, slots=True)
class Found:
    """A session that holds."""

    person: Person
    way: Way


_OPEN = text(
    "insert into web_session (id_hash, way, account, identity, name, \"user\", roles, departments)"
    " values (:hash, :way, :account, :identity, :name, :user, :roles, :departments)"
)
_HOLDS = "s.seen_at > now() - :idle and s.started_at > now() - :whole"
_FIND = text(
    "select s.way, s.identity, coalesce(a.display_name, s.name) as name,"
    " case when s.way = 'account' then a.\"user\" else s.\"user\" end as who,"
    " coalesce(a.roles, s.roles) as roles, coalesce(a.departments, s.departments) as departments,"
    " s.seen_at < now() - interval '1 minute' as is_stale"
    " from web_session s left join web_account a on a.name = s.account"
    f" where s.id_hash = :hash and not coalesce(a.disabled, false) and {_HOLDS}"
)
_FORGET = text(f"delete from web_session s where not ({_HOLDS})")


def open_session(connection: Connection, entry: Entry, limits: Limits, before: str | None) -> str:
    """A new session's secret, for the cookie; the session that the browser brought (`before`) is ended."""
    end_session(connection, before)
    connection.execute(_FORGET, {"idle": limits.idle, "whole": limits.whole})
    secret = new_secret()
    told = {
        "hash": digest(secret),
        "way": entry.way,
        "account": entry.subject if entry.way == "account" else None,
        "identity": entry.identity,
        "name": entry.name,
        "user": entry.user,
        "roles": sorted(entry.roles),
        "departments": sorted(entry.departments),
    }
    connection.execute(_OPEN, told)
    return secret


def find_session(connection: Connection, secret: str, limits: Limits) -> Found | None:
    """The session of a cookie, if it holds; that it was seen is noted once a minute."""
    told = {"hash": digest(secret), "idle": limits.idle, "whole": limits.whole}
    row = connection.execute(_FIND, told).one_or_none()
    if row is None:
        return None
    if row.is_stale:
        connection.execute(text("update web_session set seen_at = now() where id_hash = :hash"), told)
    return Found(person_of(connection, row.identity, row.name, row.who, row.roles, row.departments), row.way)


def end_session(connection: Connection, secret: str | None) -> None:
    """End the session of a cookie."""
    if secret is not None:
        connection.execute(text("delete from web_session where id_hash = :hash"), {"hash": digest(secret)})


def end_sessions_of(connection: Connection, identity: str) -> int:
    """End every session of a person; how many there were."""
    done = connection.execute(text("delete from web_session where identity = :identity"), {"identity": identity})
    return done.rowcount
