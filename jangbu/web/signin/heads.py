"""Which departments a user answers for now: those whose row in force names the user as head or deputy.

What is in force follows the register's rule (billing/plans/departments.py): of a department's rows the one that began
last counts, of equal beginnings the last id, as long as it has not ended. Subordinate departments are not implied: the
register names a head for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from jangbu.web.people import Person, Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_HEADED = text(
    "select department from ("
    "  select distinct on (department) department, head_user, deputy_user, valid_to from department"
    "  where valid_from <= now() order by department, valid_from desc, id desc) as latest"
    " where (valid_to is null or valid_to > now()) and :user in (head_user, deputy_user)"
)


def headed_by(connection: Connection, user: str | None) -> frozenset[str]:
    """Codes of the departments that a user leads or stands in for, as of now."""
    if user is None:
        return frozenset()
    return frozenset(connection.execute(_HEADED, {"user": user}).scalars())


def person_of(
    connection: Connection,
    identity: str,
    name: str,
    user: str | None,
    roles: Iterable[str],
    departments: Iterable[str],
) -> Person:
    """The person with what the register adds: whoever leads a department now is a head.

    Departments told by hand count for a head only.
    """
    headed = headed_by(connection, user)
    held = {Role(role) for role in roles} | ({Role.HEAD} if headed else set())
    told = frozenset(departments) if Role.HEAD in held else frozenset()
    return Person(identity, name, user, frozenset(held), headed | told)
