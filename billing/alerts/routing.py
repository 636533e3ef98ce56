"""Who hears of an alert. Pure: registers in, recipients out.

1. Whom its quota names, where it names somebody.
2. What is about one person: that person, where the roster knows them and mail has a domain. What is a matter of the
   house too (a pledge, a place) goes on to 3 and 4 where that is nobody; a user's quota does not.
3. A department's: whom the department's row names, and its head. The deputy: where there is no head, where the roster
   says that the head has left, and of what is critical. For a department that names nobody the one above it hears.
4. Everything else, and what nobody was found for, goes to the organisation's own recipients.

What is given up goes on (`instead_of`): a head's to the deputy, anything else to the organisation's own recipients;
what is of one person alone, a user's quota, to nobody else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from billing.alerts.recipients import mail_of_user, parse_recipients

if TYPE_CHECKING:
    from billing.alerts.alert import Due, Severity
    from billing.plans.departments import Department

PERSONAL = ("pledge", "place")
DEPTH_MAX = 32


@dataclass(frozen=True, slots=True)
class Registers:
    """What is looked up: departments in force, the users whom the roster knows (None: there is no roster), the
    organisation's own recipients, and the domain in which a user id is a mail address."""

    departments: Mapping[str, Department] = field(default_factory=dict)
    members: frozenset[str] | None = None
    organisation: tuple[str, ...] = ()
    mail_domain: str | None = None

    def recipients_of(self, due: Due) -> tuple[str, ...]:
        """Who hears of something due, each once."""
        if due.notify:
            return due.notify
        found: list[str] = []
        if due.scope == "user" and self.members is not None and due.subject in self.members:
            found += filter(None, [mail_of_user(due.subject, self.mail_domain)])
        if due.department is not None and not found:
            found += self.of_department(due.department, due.severity)
        if not found and (due.scope != "user" or due.kind in PERSONAL):
            found += self.organisation
        return tuple(dict.fromkeys(found))

    def of_department(self, code: str, severity: Severity) -> list[str]:
        """A department's recipients, or those of the nearest one above it that has some."""
        seen: set[str] = set()
        at: str | None = code
        while at is not None and at not in seen and len(seen) < DEPTH_MAX:
            seen.add(at)
            row = self.departments.get(at)
            if row is None:
                break
            found = self._of_row(row, severity)
            if found:
                return found
            at = row.parent
        return []

    def instead_of(self, address: str, due: Due) -> tuple[str, ...]:
        """Who is told instead where a delivery is given up, so that nothing ends in a mailbox that is not there."""
        deputy = self._deputy_for(address, due.department)
        if deputy is not None:
            return (deputy,)
        is_own = due.scope == "user" and due.kind not in PERSONAL
        return () if is_own or address in self.organisation else self.organisation

    def _deputy_for(self, address: str, code: str | None) -> str | None:
        """The deputy of the head with this address; nobody who has left."""
        row = self.departments.get(code or "")
        if row is None or mail_of_user(row.head_user, self.mail_domain) != address:
            return None
        if not self._is_there(row.deputy_user):
            return None
        deputy = mail_of_user(row.deputy_user, self.mail_domain)
        return deputy if deputy != address else None

    def _of_row(self, row: Department, severity: Severity) -> list[str]:
        found: list[str] = []
        for entry in (row.notify or "").split(";"):  # the register takes any text
            with contextlib.suppress(ValueError):  # who cannot be told keeps nobody else from it
                found += parse_recipients(entry)
        head = mail_of_user(row.head_user, self.mail_domain) if self._is_there(row.head_user) else None
        deputy = mail_of_user(row.deputy_user, self.mail_domain) if self._is_there(row.deputy_user) else None
        if head is not None:
            found.append(head)
        if deputy is not None and (head is None or severity == "critical"):
            found.append(deputy)
        return found

    def _is_there(self, user: str | None) -> bool:
        return user is not None and (self.members is None or user in self.members)
