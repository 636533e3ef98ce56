"""One item of a statement walked back: amount, rounding, hourly sums, price row, rates, events; each step checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from billing.explaining.basis import Basis, asked_of, find_bases, group_of
from billing.explaining.books import NotOnStatement
from billing.explaining.charge_steps import charge_steps
from billing.explaining.checks import all_agree, amount_checks, amount_steps, statement_checks
from billing.explaining.correction_steps import find_late, late_check, price_origin
from billing.explaining.event_steps import Footing, event_checks, find_footing, hours_document
from billing.explaining.events import read_events
from billing.explaining.hours import read_payers, read_routes, read_unit_hours, usage_sums
from billing.explaining.items import find_items, item_document
from billing.explaining.overview import hash_check, heading
from billing.explaining.price_steps import price_steps
from billing.explaining.provenance import read_rate_origin
from billing.explaining.rounding_walk import walk_rounding
from billing.explaining.since_close import read_line_corrections

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from billing.charges import Department
    from billing.explaining.books import MonthBooks
    from billing.explaining.checks import Check
    from billing.explaining.events import Event, EventSum, Place, Sought
    from billing.explaining.hours import Route
    from billing.explaining.items import Item


@dataclass(frozen=True, slots=True)
class Page:
    """Which events are listed: `limit` of them (None: all) behind the first `offset`."""

    limit: int | None
    offset: int


def explain_item(
    books: MonthBooks, department: Department, asked: str, page: Page, *, with_users: bool
) -> dict[str, Any]:
    """The document of `jangbu explain M DEPARTMENT LINE`. Raises NotOnStatement."""
    statement = books.statement(department)
    items = books.items(department)
    item = find_item(books, department, asked)
    rounding, rounding_checks = walk_rounding(books.documents, statement, items, item, books.policy)
    checks = [
        *statement_checks(statement, items),
        *rounding_checks,
        hash_check(statement),
    ]
    document: dict[str, Any] = {
        **heading(statement),
        "item": item_document(item),
        "rounding": rounding,
    }
    if item.section == "lines":
        more, line_checks = _walk_line(books, department, item, page, with_users=with_users)
    else:
        more, line_checks = charge_steps(item, books.documents)
        if item.section == "adjustments":
            late, late_checks = _walk_correction(books, department, item, page, with_users=with_users)
            more["rests_on"] |= late.pop("rests_on")
            more, line_checks = more | late, [*line_checks, *late_checks]
    document.update(more)
    checks += line_checks
    return {**document, "checks": [check.document() for check in checks], "agrees": all_agree(checks)}


def find_item(books: MonthBooks, department: Department, asked: str) -> Item:
    """The one item that a word means. Raises NotOnStatement."""
    items = books.items(department)
    found = find_items(items, asked)
    if len(found) == 1:
        return found[0]
    where = f"`jangbu explain {books.month.name} DEPARTMENT` numbers them"
    if found:
        numbers = ", ".join(str(item.number) for item in found)
        raise NotOnStatement(f"line is {asked!r}: the lines {numbers} have that name; give the number")
    raise NotOnStatement(f"line is {asked!r}: the statement has no such line; {where}, 1 to {len(items)}")


def line_events(books: MonthBooks, department: Department, asked: str, page: Page) -> Iterator[Event]:
    """The events below a line or a correction, for CSV. Raises NotOnStatement, also for an item that rests on no
    events."""
    item = find_item(books, department, asked)
    if item.section != "lines":
        late = find_late(books, department, item.document) if item.section == "adjustments" else None
        if late is None:
            raise NotOnStatement(f"line is {asked!r}: an item of section {item.section} rests on no events of its own")
        return read_events(books.connection, *late, page.limit, page.offset)
    basis, _, footing = _ground(books, department, item)
    del basis
    return read_events(books.connection, footing.sought, footing.events, page.limit, page.offset)


def _ground(
    books: MonthBooks, department: Department, item: Item
) -> tuple[Basis, dict[int, Route], Footing]:
    """The sums and the events below a line."""
    line = item.document
    routes = read_routes(books.connection, line["provider"], line["model"])
    payers = read_payers(books.connection, department)
    span = (books.month.first_hour, books.month.end_hour)
    hours = read_unit_hours(books.connection, span, payers, routes, line["unit"])
    items = books.items(department)
    basis = find_bases(items, usage_sums(hours, routes), books.book).get(group_of(item, items), Basis((item,), (), {}))
    return basis, routes, find_footing(books.connection, basis, payers, line["unit"], books.cut_offs)


def _walk_line(
    books: MonthBooks, department: Department, item: Item, page: Page, *, with_users: bool
) -> tuple[dict[str, Any], list[Check]]:
    line = item.document
    basis, routes, footing = _ground(books, department, item)
    amounts = amount_steps(line, books.policy.currency)
    asked = sorted({(asked_of(one, routes), one.hour) for one in basis.hours if one.quantity}, key=repr)
    price, price_checks = price_steps(books, line, asked)
    document = {
        "shares_hours_with": [other.number for other in basis.items if other.number != item.number],
        "amount": {"products": amounts, "exact": line["amount_exact"]},
        "price": price,
        "fx_rows": [_fx_row(books, line, row) for row in line["fx_rows"]],
        "hours": hours_document(basis, footing, books.month),
        "events": _events_document(books, footing.sought, footing.events, page, with_users=with_users),
    }
    corrections = None
    if books.is_closed:
        corrections = read_line_corrections(books.connection, books.month.name, department, line)
        document["corrections"] = corrections
    of_events = event_checks(basis, footing, routes, corrections)
    return document, [*amount_checks(line, amounts), *price_checks, *of_events]


def _walk_correction(
    books: MonthBooks, department: Department, item: Item, page: Page, *, with_users: bool
) -> tuple[dict[str, Any], list[Check]]:
    """The price row of a correction, and the events that came after the close where it is about such."""
    document: dict[str, Any] = {"rests_on": {}}
    origin = price_origin(books, item.document)
    if origin is not None:
        document["rests_on"]["price_row"] = origin
    late = find_late(books, department, item.document)
    if late is None:
        return document, []
    document["events"] = _events_document(books, *late, page, with_users=with_users)
    return document, [late_check(item.document, late[1])]


def _events_document(
    books: MonthBooks, sought: Sought, found: Mapping[Place, EventSum], page: Page, *, with_users: bool
) -> dict[str, Any]:
    """How many events there are, what they come to, and a page of them."""
    listed = read_events(books.connection, sought, found, page.limit, page.offset)
    return {
        "count": str(sum(one.events for one in found.values())),
        "quantity": str(sum(one.quantity for one in found.values())),
        "limit": page.limit,
        "offset": page.offset,
        "rows": [event_document(event, with_users=with_users) for event in listed],
    }


def event_document(event: Event, *, with_users: bool) -> dict[str, Any]:
    """An event as JSON and CSV show it; who made it only where that is asked for."""
    return {
        "time": event.time,
        "source": event.source,
        "id": event.event_id,
        **({"user": event.user} if with_users else {}),
        "quantity": str(event.quantity),
        "topic": event.topic,
        "partition": event.partition,
        "offset": event.offset,
    }


def _fx_row(books: MonthBooks, line: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    quote = books.policy.currency
    origin = read_rate_origin(
        books.connection, row["date"], line["price_currency"], quote, row["rate"], row["source"]
    )
    return {**row, "base": line["price_currency"], "quote": quote, "import": origin}
