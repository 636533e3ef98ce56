"""The places of the navigation, in the order of a month's work, as far as a person may go there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jangbu.web.rights import ORGANISATION, SCOPED, SIGNED_IN, Rule

if TYPE_CHECKING:
    from jangbu.web.people import Person


@dataclass(frozen=True)
class Place:
    """One entry. `title` is a message of the catalogue; every path below `path` belongs to it."""

    path: str
    title: str
    rule: Rule

    def holds(self, here: str) -> bool:
        """Whether a page is here or below."""
        return here == self.path or (self.path != "/" and here.startswith(f"{self.path}/"))


PLACES: Final = (
    Place("/", "Overview", SCOPED),
    Place("/usage", "Usage", SCOPED),
    Place("/departments", "Departments", SCOPED),
    Place("/month-end", "Month end", ORGANISATION),
    Place("/reconciliation", "Reconciliation", ORGANISATION),
    Place("/prices", "Prices", ORGANISATION),
    Place("/quotas", "Quotas", SCOPED),
    Place("/alerts", "Alerts", SCOPED),
    Place("/programmes", "Programmes", SCOPED),
    Place("/pledges", "Pledges", SCOPED),
    Place("/data-quality", "Data quality", ORGANISATION),
    Place("/ledger", "Ledger and audit", ORGANISATION),
    Place("/accounts", "Accounts and tokens", ORGANISATION),
    Place("/me", "My use", SIGNED_IN),
)


def places_of(person: Person | None) -> tuple[Place, ...]:
    """Where a person may go."""
    if person is None:
        return ()
    return tuple(place for place in PLACES if place.rule.allows(person, {}) and (place.path != "/me" or person.user))
