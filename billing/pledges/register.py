"""Signatures in PostgreSQL, and the people who have to sign. Nothing here decides anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from billing.plans.registers import lock_registers, write_register
from billing.pledges.pledge import Signature, counting

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime


def held_signatures(connection: Connection) -> list[Signature]:
    """All rows of the register by id, also those that a later one replaced."""
    rows = connection.execute(text('select "user", version, signed_on, expires_on from pledge order by id'))
    return [Signature(*row) for row in rows]


def roster_signatures(connection: Connection) -> list[Signature]:
    """The days that the roster says, which name no version."""
    rows = connection.execute(
        text("""select distinct "user", pledge_signed_on from roster
                where "user" is not null and pledge_signed_on is not null order by 1, 2""")
    )
    return [Signature(row[0], "", row[1], None) for row in rows]


def signatures_by_user(connection: Connection) -> dict[str, list[Signature]]:
    """The signatures that count, from both sources."""
    found: dict[str, list[Signature]] = {}
    for one in [*roster_signatures(connection), *counting(held_signatures(connection))]:
        found.setdefault(one.user, []).append(one)
    return found


def members(connection: Connection, moment: datetime, users: Collection[str] | None = None) -> dict[str, str]:
    """The users whom the roster knows at an instant, with their department; of some users only where they are given."""
    rows = connection.execute(
        text("""
        select distinct on ("user") "user", department from roster
        where "user" is not null and valid_from <= :moment and (valid_to is null or valid_to > :moment)
          and (cast(:users as text[]) is null or "user" = any(:users))
        order by "user", valid_from desc, id desc"""),
        {"moment": moment, "users": None if users is None else sorted(users)},
    )
    return {row.user: row.department for row in rows}


def has_members(connection: Connection, moment: datetime) -> bool:
    """Whether the roster knows anybody at an instant."""
    query = """select exists (select from roster where "user" is not null and valid_from <= :moment
                              and (valid_to is null or valid_to > :moment))"""
    return bool(connection.execute(text(query), {"moment": moment}).scalar())


def write_signatures(connection: Connection, rows: Sequence[Signature], *, name: str, sha256: str, actor: str) -> None:
    """Add rows in the caller's transaction; the billing login."""
    lock_registers(connection)
    write_register(connection, "pledge", [row._asdict() for row in rows], name=name, sha256=sha256, actor=actor)
