"""A correction of use walked back: the events that were read after the close, and the price row they were charged by.

A close books what had been read of the log up to its cut-offs. What was read between the cut-offs of one close and
those of the next is what the next one corrects earlier months by; so the events below a correction are those of the
corrected month whose offsets lie between the two (of an open month: behind those of the last close).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from billing.explaining.checks import Check
from billing.explaining.events import EventSum, Place, Sought, sum_events
from billing.explaining.hours import read_payers, read_routes, read_unit_hours, usage_sums
from billing.explaining.provenance import read_price_origins, row_id_of
from billing.ledger.closes import read_closes
from billing.periods import month_in
from billing.rating import rate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.charges import Department
    from billing.explaining.books import MonthBooks

OF_EVENTS = ("LATE_USAGE", "REDRIVEN")
"""The reasons of corrections that events are behind."""


def find_late(
    books: MonthBooks, department: Department, correction: Mapping[str, Any]
) -> tuple[Sought, dict[Place, EventSum]] | None:
    """The events below a correction, by place; None where it is not about events."""
    if correction.get("provider") is None or correction.get("reason") not in OF_EVENTS:
        return None
    connection = books.connection
    month = month_in(correction["origin_period"], books.policy.zone)
    routes = read_routes(connection, correction["provider"], correction["model"])
    payers = read_payers(connection, department)
    hours = read_unit_hours(connection, (month.first_hour, month.end_hour), payers, routes, correction["unit"])
    places = set()
    for part in rate(usage_sums(hours, routes), books.book):
        (one,) = part.usage.dimensions
        if (None if part.price is None else part.price.code) == correction["price_id"]:
            places.add((one.hour, one.route_id, one.band))  # type: ignore[attr-defined]
    before = [close for close in read_closes(connection) if close.month.name < books.month.name]
    sought = Sought(
        payers,
        correction["unit"],
        frozenset(places),
        read_from=before[-1].cut_offs if before else (),
        read_up_to=books.cut_offs,
    )
    return sought, sum_events(connection, sought)


def price_origin(books: MonthBooks, correction: Mapping[str, Any]) -> dict[str, Any] | None:
    """The price row of a correction with the import that brought it; None without one."""
    code = correction.get("price_id")
    return None if code is None else read_price_origins(books.connection, [row_id_of(code)]).get(row_id_of(code))


def late_check(correction: Mapping[str, Any], found: Mapping[Place, EventSum]) -> Check:
    """The events' quantity against the correction's. They differ where other use came to the same line or left it,
    which cannot be told apart here."""
    stated, came = str(correction["quantity"]), str(sum(one.quantity for one in found.values()))
    step = "the events that came after the close come to the correction's quantity"
    if stated == came:
        return Check(step, stated, came, True)
    why = "other use came to this line or left it: a price, attribution, a threshold or a copy"
    return Check(step, stated, came, None, why)
