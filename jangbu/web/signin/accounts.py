"""Local accounts, for installations without a provider. Every change is a row of the audit trail as well.

A change of roles holds from the next request; a new password and a disabled account end the account's sessions.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import text

from billing.sentences import Sentence
from jangbu.errors import NotFoundError, RefusedByStateError, UsageError
from jangbu.web.signin import passwords
from jangbu.web.signin.sessions import end_sessions_of
from jangbu.web.signin.trail import note

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

NO_NAME: Final = "a name has 1 to 128 printable characters and no blanks: such as kim or kim@city"
"""A message of the catalogue too."""
_COLUMNS = 'name, display_name, "user", roles, departments, disabled, made_by, made_at'


class Account(NamedTuple):
    """A row without its hash. `user` is the id that usage events carry."""

    name: str
    display_name: str
    user: str | None
    roles: Sequence[str]
    departments: Sequence[str]
    disabled: bool
    made_by: str
    made_at: datetime


def folded(name: str) -> str:
    """The spelling that is kept: people type `Kim` and `kim`. Raises UsageError for what is no name."""
    spelt = unicodedata.normalize("NFKC", name).strip().casefold()
    if not spelt or len(spelt) > 128 or any(sign.isspace() or not sign.isprintable() for sign in spelt):
        raise UsageError(NO_NAME)
    return spelt


def lock_accounts(connection: Connection) -> None:
    """One change after the other, until the transaction ends."""
    connection.execute(text("select pg_advisory_xact_lock(hashtext('web_account'))"))


def has_accounts(connection: Connection) -> bool:
    """Whether there is any account, disabled ones too."""
    return bool(connection.execute(text("select exists (select from web_account)")).scalar_one())


def list_accounts(connection: Connection) -> list[Account]:
    """Every account, by name."""
    return [Account(*row) for row in connection.execute(text(f"select {_COLUMNS} from web_account order by name"))]


def account_of(connection: Connection, name: str) -> Account:
    """One account. Raises NotFoundError."""
    row = connection.execute(text(f"select {_COLUMNS} from web_account where name = :name"), {"name": name}).first()
    if row is None:
        raise NotFoundError(Sentence("there is no account %(name)s: see `jangbu account list`", name=repr(name)))
    return Account(*row)


def add_account(
    connection: Connection,
    name: str,
    password: str,
    roles: Sequence[str],
    *,
    actor: str,
    display_name: str | None = None,
    user: str | None = None,
    departments: Sequence[str] = (),
    address: str | None = None,
) -> Account:
    """A new account. Raises UsageError (name, password, no role), RefusedByStateError (the name is taken)."""
    spelt = folded(name)
    if not roles:
        raise UsageError("an account has at least one role: name it with --role")
    kept = passwords.hashed(password, spelt)
    lock_accounts(connection)
    told = {
        "name": spelt, "display": (display_name or name).strip(), "user": user, "roles": sorted(set(roles)),
        "departments": sorted(set(departments)), "hash": kept, "actor": actor,
    }  # fmt: skip
    done = connection.execute(
        text(
            'insert into web_account (name, display_name, "user", roles, departments, password_hash, made_by)'
            " values (:name, :display, :user, :roles, :departments, :hash, :actor) on conflict do nothing"
        ),
        told,
    )
    if not done.rowcount:
        raise RefusedByStateError(
            Sentence("there is an account %(name)s already: change it with `jangbu account set`", name=repr(spelt))
        )
    said = {"roles": told["roles"], "departments": told["departments"], "user": user}
    note(connection, actor, "account_added", spelt, detail=said, address=address)
    return account_of(connection, spelt)


def checked(connection: Connection, name: str, password: str) -> Account | None:
    """The account of a name and its password; None for a wrong one, no such or a disabled one, in the same time."""
    try:
        spelt = folded(name)
    except UsageError:
        spelt = ""
    found = connection.execute(
        text("select password_hash, disabled from web_account where name = :name"), {"name": spelt}
    ).first()
    right = passwords.fits(password, None if found is None else found.password_hash)
    return account_of(connection, spelt) if right and found is not None and not found.disabled else None


def set_password(
    connection: Connection, name: str, password: str, *, actor: str, address: str | None = None
) -> None:
    """A new password; the account's sessions end. Raises NotFoundError, UsageError."""
    spelt = account_of(connection, folded(name)).name
    kept = passwords.hashed(password, spelt)
    told = {"name": spelt, "hash": kept}
    connection.execute(text("update web_account set password_hash = :hash where name = :name"), told)
    end_sessions_of(connection, f"web:{spelt}")
    note(connection, actor, "account_password", spelt, address=address)


def set_disabled(connection: Connection, name: str, disabled: bool, *, actor: str) -> None:
    """Shut an account, or open it again; its sessions end. Raises NotFoundError."""
    spelt = account_of(connection, folded(name)).name
    told = {"name": spelt, "disabled": disabled}
    connection.execute(text("update web_account set disabled = :disabled where name = :name"), told)
    end_sessions_of(connection, f"web:{spelt}")
    note(connection, actor, "account_disabled" if disabled else "account_enabled", spelt)


def set_roles(
    connection: Connection, name: str, roles: Sequence[str], departments: Sequence[str] | None, *, actor: str
) -> Account:
    """Other roles, and departments where they are given. Raises NotFoundError, UsageError."""
    before = account_of(connection, folded(name))
    if not roles:
        raise UsageError("an account has at least one role: name it with --role")
    after = sorted(set(roles)), sorted(set(before.departments if departments is None else departments))
    told = {"name": before.name, "roles": after[0], "departments": after[1]}
    update = "update web_account set roles = :roles, departments = :departments where name = :name"
    connection.execute(text(update), told)
    said = {"roles": [list(before.roles), after[0]], "departments": [list(before.departments), after[1]]}
    note(connection, actor, "account_role", before.name, detail=said)
    return account_of(connection, before.name)
