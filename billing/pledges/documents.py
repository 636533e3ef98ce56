"""Who has to sign and what their signatures say, as JSON documents show it."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

from billing.periods import load_zone
from billing.pledges.pledge import STATES, PledgeRules, PledgeState, state_of
from billing.pledges.register import members, signatures_by_user

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from sqlalchemy import Connection

    from billing.pseudonyms import Pseudonyms


def pledges_document(
    connection: Connection, rules: PledgeRules, zone: str, day: date, *, departments: Collection[str] | None = None,
    states: Collection[str] = STATES, people: Pseudonyms | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Everybody whom the roster knows on a day, with the signature that decides (`pledge list --json`).

    `counts` are of all states, `people` of those asked for. `departments` None: all.
    """
    moment = datetime.combine(day, time(12), load_zone(zone)).astimezone(UTC)
    signed = signatures_by_user(connection)
    found = [
        (state_of(user, signed.get(user, ()), rules, day), code)
        for user, code in sorted(members(connection, moment).items())
        if departments is None or code in departments
    ]
    return {
        "day": day,
        "version": rules.version,
        "counts": {name: sum(1 for one, _ in found if one.state == name) for name in STATES},
        "people": [person_document(one, code, people) for one, code in found if one.state in states],
    }


def person_document(one: PledgeState, department: str | None, people: Pseudonyms | None) -> dict[str, Any]:
    """A person's state; `version` None: the roster told the day and no version."""
    return {
        "user": one.user if people is None else people.of("user", one.user),
        "department": department,
        "state": one.state,
        "version": None if one.signature is None else one.signature.version or None,
        "signed_on": None if one.signature is None else one.signature.signed_on,
        "ends_on": one.ends_on,
    }
