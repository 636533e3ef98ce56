"""What a programme's people used of its models while they had a place, in the statements' currency."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.money import exact
from billing.periods import day_start, day_starts, hour_number
from billing.rating import rate
from billing.sums import read_sums

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from billing.programmes.places import Place
    from billing.programmes.programme import Programme
    from billing.quotas.states import Prices


@dataclass(frozen=True, slots=True)
class ProgrammeUse:
    """Exact. `unknown_quantity`: use without a price or a rate."""

    used: Decimal
    unknown_quantity: int
    users: int


def read_use(
    connection: Connection, programme: Programme, places: Sequence[Place], prices: Prices, moment: datetime
) -> ProgrammeUse:
    """From the programme's start to its end, or to an instant before; the connection is a snapshot."""
    first = day_start(programme.starts_on, prices.zone)
    end = min(day_start(programme.ends_on, prices.zone), hour_number(moment) + 1)
    held = _hours_by_user(places, end)
    used, unknown, users = Decimal(0), 0, set()
    if first >= end or not held:
        return ProgrammeUse(used, unknown, 0)
    edges = {edge for spans in held.values() for span in spans for edge in span if first < edge < end}
    cuts = sorted(edges | day_starts(first, end, prices.zone) | prices.book.cuts(first, end))
    for usage in read_sums(connection, first, end, cuts, ("user",)):
        (user,) = usage.dimensions
        if not isinstance(user, str) or not programme.allows(usage.model):
            continue
        if not any(since <= usage.hour < until for since, until in held.get(user, ())):
            continue
        users.add(user)
        for part in rate((usage,), prices.book):
            if part.price is None:
                unknown += part.quantity if part.status == "unpriced" else 0
                continue
            amount = prices.amount(part.quantity, part.price, usage.hour, programme.currency)
            if amount is None:
                unknown += part.quantity
            else:
                with exact():
                    used += amount
    return ProgrammeUse(used, unknown, len(users))


def _hours_by_user(places: Iterable[Place], end: int) -> dict[str, list[tuple[int, int]]]:
    """Whole UTC hours, from the one in which a place is taken to the one in which it is left, both included."""
    found: dict[str, list[tuple[int, int]]] = {}
    for place in places:
        until = end if place.until is None else hour_number(place.until) + 1
        found.setdefault(place.user, []).append((hour_number(place.since), until))
    return found
