"""Who may see and do what on the pages and in the API: every route names one rule, and nothing is open by default.

The organisation's people (finance, platform, auditor) read everything; a head reads the own departments; an employee
the own use. An auditor changes nothing (issue "web pages", "Who may see what").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from jangbu.web.people import Person, Role

ORGANISATION_ROLES: Final = (Role.FINANCE, Role.PLATFORM, Role.AUDITOR)


@dataclass(frozen=True)
class Rule:
    """A rule by its name. `allows` is asked with the person and the path's parameters.

    `is_open`: nobody needs to be signed in.
    """

    name: str
    allows: Callable[[Person, Mapping[str, str]], bool]
    is_open: bool = False

    def __repr__(self) -> str:
        return f"Rule({self.name})"


def _with(name: str, *roles: Role) -> Rule:
    return Rule(name, lambda person, _path: person.has(*roles))


ANYONE: Final = Rule("anyone", lambda _person, _path: True, is_open=True)
SIGNED_IN: Final = Rule("signed in", lambda _person, _path: True)
ORGANISATION: Final = _with("organisation", *ORGANISATION_ROLES)
SCOPED: Final = _with("organisation, or a head within the own departments", *ORGANISATION_ROLES, Role.HEAD)
"""The view itself reads no more than `Ask.scope`."""
FINANCE: Final = _with("finance", Role.FINANCE)
PLATFORM: Final = _with("platform", Role.PLATFORM)
FINANCE_OR_PLATFORM: Final = _with("finance or platform", Role.FINANCE, Role.PLATFORM)


def _own_department(person: Person, path: Mapping[str, str]) -> bool:
    if person.has(*ORGANISATION_ROLES):
        return True
    return person.has(Role.HEAD) and path.get("department") in person.departments


DEPARTMENT: Final = Rule("organisation, or the head of the path's department", _own_department)


def _heads_department(person: Person, path: Mapping[str, str]) -> bool:
    return person.has(Role.FINANCE) or (person.has(Role.HEAD) and path.get("department") in person.departments)


DEPARTMENT_CHANGE: Final = Rule("finance, or the head of the path's department", _heads_department)
RULES: Final = (
    ANYONE, SIGNED_IN, ORGANISATION, SCOPED, FINANCE, PLATFORM, FINANCE_OR_PLATFORM, DEPARTMENT, DEPARTMENT_CHANGE,
)  # fmt: skip


def scope_of(person: Person | None) -> frozenset[str] | None:
    """The departments that a person may read: None for all of them."""
    if person is None:
        return frozenset()
    if person.has(*ORGANISATION_ROLES):
        return None
    return person.departments if person.has(Role.HEAD) else frozenset()
