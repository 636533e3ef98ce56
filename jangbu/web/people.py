"""Who is at the door of the pages: a person with roles, whatever way they signed in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a person is to the organisation (issue "web pages", "Who may see what")."""

    FINANCE = "finance"
    HEAD = "head"
    PLATFORM = "platform"
    AUDITOR = "auditor"
    EMPLOYEE = "employee"


@dataclass(frozen=True)
class Person:
    """Someone signed in. `user` is the id that usage events carry; None for a token that belongs to a program.

    `identity` is what the audit trail keeps: `web:SUBJECT` for a session, `token:NAME` for an API token.
    `departments` are the codes that a head answers for, as of now.
    """

    identity: str
    name: str
    user: str | None
    roles: frozenset[Role]
    departments: frozenset[str] = frozenset()

    def has(self, *roles: Role) -> bool:
        """Whether the person has any of the roles."""
        return not self.roles.isdisjoint(roles)
