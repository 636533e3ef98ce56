"""From the hourly sums of a line to its events, hour by hour, and whether both come to what the line states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from billing.explaining.checks import Check, compare
from billing.explaining.events import EventSum, Place, Sought, sum_events
from billing.explaining.since_close import closed_check
from billing.periods import hour_start, load_zone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from billing.explaining.basis import Basis
    from billing.explaining.hours import Route
    from billing.periods import Month

DISAGREEMENTS_MAX = 50
"""Hours that are named one by one; beyond that only how many more there are."""


@dataclass(frozen=True, slots=True)
class Footing:
    """The events below a line: what was sought, and what each place holds."""

    sought: Sought
    events: Mapping[Place, EventSum]


def find_footing(
    connection: Connection,
    basis: Basis,
    payers: Sequence[int],
    unit: str,
    cut_offs: tuple[tuple[int, int, int], ...] | None,
) -> Footing:
    """Read and add up the events in the places that hold sums of a line."""
    sought = Sought(payers, unit, frozenset(_sums(basis)), cut_offs)
    return Footing(sought, sum_events(connection, sought))


def hours_document(basis: Basis, footing: Footing, month: Month) -> list[dict[str, Any]]:
    """The line's hours in order: local day, quantity by reason of its parts, and its events; without those in which
    other units were used alone."""
    zone = load_zone(month.zone)
    hours: dict[int, dict[str, Any]] = {}
    for one in basis.hours:
        row = hours.setdefault(one.hour, {"quantity": 0, "reasons": {}, "parts": 0, "events": 0, "in_events": 0})
        row["quantity"] += one.quantity
        row["parts"] += one.parts
        row["reasons"][one.reason] = row["reasons"].get(one.reason, 0) + one.quantity
    for (hour, _, _), found in footing.events.items():
        hours[hour]["events"] += found.events
        hours[hour]["in_events"] += found.quantity
    return [
        {
            "hour": hour_start(hour),
            "day": hour_start(hour).astimezone(zone).date(),
            "quantity": str(row["quantity"]),
            "parts": row["parts"],
            "reasons": {reason: str(quantity) for reason, quantity in sorted(row["reasons"].items())},
            "events": row["events"],
            "events_quantity": str(row["in_events"]),
        }
        for hour, row in sorted(hours.items())
        if any(row["reasons"].values()) or row["in_events"]
    ]


def event_checks(
    basis: Basis, footing: Footing, routes: Mapping[int, Route], corrections: Sequence[Mapping[str, Any]] | None
) -> list[Check]:
    """Events = hourly sums, place by place; hourly sums = what the line states (and its companions).

    `corrections` are those of a closed month's line; None for an open month.
    """
    sums = _sums(basis)
    wrong = [
        _place_check(place, quantity, found, routes)
        for place, quantity in sorted(sums.items())
        if quantity != (found := footing.events.get(place, EventSum(0, 0, 0)).quantity)
    ]
    of_events = sum(found.quantity for found in footing.events.values())
    checks = [
        compare(
            "the events come to the hourly sums",
            basis.summed,
            of_events,
            f"{len(wrong)} sums differ from their events: run `jangbu audit`, law 2-sums",
        ),
        *wrong[:DISAGREEMENTS_MAX],
    ]
    name = "the line's quantity" if len(basis.items) == 1 else "the quantities of the lines that share them"
    if corrections is None:
        checks.append(compare(f"the hourly sums come to {name}", basis.stated, basis.summed, "they are of other use"))
    else:
        late = sum(found.late for found in footing.events.values())
        reasons = {one.reason for one in basis.hours}
        checks.append(closed_check(basis.stated, basis.summed, late, reasons, corrections, name))
    return checks


def _sums(basis: Basis) -> dict[Place, int]:
    sums: dict[Place, int] = {}
    for one in basis.hours:
        place = (one.hour, one.route_id, one.band)
        sums[place] = sums.get(place, 0) + one.quantity
    return sums


def _place_check(place: Place, quantity: int, found: int, routes: Mapping[int, Route]) -> Check:
    hour, route_id, band = place
    route = routes[route_id]
    where = [hour_start(hour).strftime("%Y-%m-%dT%H:%MZ"), f"source {route.source}", f"tier {route.service_tier}"]
    where += [f"account {route.account}"] if route.account else []
    where += [f"region {route.region}"] if route.region else []
    where += [f"prompts above {band}"] if band else []
    step = f"the events of {', '.join(where)} (route {route_id}) come to its sum"
    more = quantity - found
    why = f"the sum holds {abs(more)} {'more' if more > 0 else 'less'} than its events"
    return Check(step, str(quantity), str(found), False, why)
