"""Programmes as JSON documents show them: rules, places, who waits, and use against the budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from billing.money import exact, plain
from billing.periods import load_zone
from billing.programmes.places import places_of, waiting_at
from billing.programmes.programme import Application, Programme, state_on
from billing.programmes.use import read_use

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date, datetime

    from sqlalchemy import Connection

    from billing.pseudonyms import Pseudonyms
    from billing.quotas.states import Prices


def programme_document(one: Programme, today: date) -> dict[str, Any]:
    """A programme with its rules; `ends_on` is the first day after it."""
    return {
        "programme": one.programme,
        "name": one.name,
        "starts_on": one.starts_on,
        "ends_on": one.ends_on,
        "state": state_on(one, today),
        "places": one.places,
        "department_places": dict(one.department_places),
        "budget": None if one.budget is None else plain(one.budget),
        "currency": one.currency,
        "models": list(one.models),
        "rules_version": one.rules_version or None,
        "rules": list(one.rules),
    }


def places_document(
    one: Programme, applications: Sequence[Application], moment: datetime, zone: str
) -> dict[str, Any]:
    """A programme with its places taken and free, who waits, days left; nothing of its use."""
    taken = sum(1 for place in places_of(one, applications) if place.holds(moment))
    today = moment.astimezone(load_zone(zone)).date()
    return {
        **programme_document(one, today),
        "at": moment,
        "taken": taken,
        "free": max(0, one.places - taken),
        "waiting": len(waiting_at(one, applications, moment)),
        "days_left": max(0, (one.ends_on - max(today, one.starts_on)).days),
    }


def programme_status(
    connection: Connection, one: Programme, applications: Sequence[Application], prices: Prices, moment: datetime
) -> dict[str, Any]:
    """Places, days left, and use against the budget (`programme status --json`). The connection is a snapshot."""
    use = read_use(connection, one, places_of(one, applications), prices, moment)
    with exact():
        remaining = None if one.budget is None else plain(one.budget - use.used)
    return {
        **places_document(one, applications, moment, prices.zone),
        "used": plain(use.used),
        "remaining": remaining,
        "unknown_quantity": str(use.unknown_quantity),
        "users_with_use": use.users,
    }


def programme_people(
    one: Programme, applications: Sequence[Application], moment: datetime, people: Pseudonyms | None,
    known: Collection[str] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Who has a place since when, and who waits at which number. `known`: the users whom the roster knows then; who is
    not among them has left the house and still has a place, or a number, that somebody else might have."""

    def shown(user: str) -> str:
        return user if people is None else people.of("user", user)

    def is_known(user: str) -> bool | None:
        return None if known is None else user in known

    rows: list[dict[str, Any]] = [
        {"user": shown(place.user), "department": place.department, "state": "placed", "number": None,
         "since": place.since, "in_roster": is_known(place.user)}
        for place in places_of(one, applications)
        if place.holds(moment)
    ]  # fmt: skip
    return rows + [
        {"user": shown(wait.user), "department": wait.department, "state": "waiting", "number": wait.number,
         "since": wait.applied_at, "in_roster": is_known(wait.user)}
        for wait in waiting_at(one, applications, moment)
    ]  # fmt: skip
