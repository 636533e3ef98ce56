"""`jangbu explain`: a won walked back to the events that it was charged for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from jangbu.errors import LawViolatedError, NotFoundError, UsageError
from jangbu.output import print_json, print_rows, safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.charges import Department
    from billing.explaining.books import MonthBooks
    from billing.pseudonyms import Pseudonyms
    from jangbu.context import Context

EVENTS_SHOWN = 20
ITEM_COLUMNS = (
    "number", "name", "quantity", "unit_price", "price_currency", "amount_exact", "amount", "hours", "price_source",
)  # fmt: skip
EVENT_COLUMNS = ("time", "source", "id", "quantity", "topic", "partition", "offset")
HOUR_COLUMNS = ("hour", "day", "quantity", "reasons", "events", "events_quantity")


@click.command()
@click.argument("month")
@click.argument("department")
@click.argument("line", required=False)
@click.option("--limit", type=click.IntRange(min=0), help="How many events to list (default 20; --csv: all).")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="How many events to leave out first (default 0).")
@click.option("--users", "with_users", is_flag=True, help="Show who made each event.")
@click.option("--json", "as_json", is_flag=True, help="One document with every step.")
@click.option("--csv", "as_csv", is_flag=True, help="The events of LINE; without LINE the statement's items.")
@click.pass_obj
def explain(
    ctx: Context,
    month: str,
    department: str,
    line: str | None,
    limit: int | None,
    offset: int,
    with_users: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Why DEPARTMENT owes what it owes for MONTH; with LINE (number or name), down to the events.

    Figures that do not agree are named, and the command ends with exit code 7.
    """
    from billing.errors import BillingError
    from billing.explaining.books import MonthBooks, NotOnStatement
    from billing.periods import month_in
    from billing.store import snapshot

    policy = ctx.policy
    try:
        month_in(month, policy.zone)
    except BillingError as error:
        raise UsageError(str(error)) from error
    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        books = MonthBooks.read(connection, month, policy)
        code = _code(books, department)
        try:
            if line is None:
                document = _explain_whole(books, code, as_json=as_json, as_csv=as_csv)
            else:
                shown = EVENTS_SHOWN if limit is None and not as_csv else limit
                page = (shown, offset)
                people = ctx.people
                document = _explain_line(
                    books, code, line, page, people, with_users=with_users, as_json=as_json, as_csv=as_csv
                )
        except NotOnStatement as error:
            raise NotFoundError(str(error)) from error
    _end(document)


def _code(books: MonthBooks, department: str) -> Department:
    """The department of a word: `unattributed` is use that nobody is known for, unless a department is called so."""
    from billing.policy import UNATTRIBUTED

    if department == UNATTRIBUTED and not any(one["department"] == department for one in books.documents):
        return None
    return department


def _explain_whole(books: MonthBooks, code: Department, *, as_json: bool, as_csv: bool) -> dict[str, Any]:
    from billing.explaining.overview import explain_statement

    document = explain_statement(books, code)
    if as_json:
        print_json(document)
        return document
    rows = [
        [*(item.get(name) for name in ITEM_COLUMNS[:-2]), (item.get("rests_on") or {}).get("hours"), _source(item)]
        for item in document["items"]
    ]
    if as_csv:
        print_rows(ITEM_COLUMNS, rows, as_csv=True)
        return document
    _print_heading(document)
    rows.append(["", "total", "", "", "", document["total_exact"], document["total"], "", ""])
    print_rows(ITEM_COLUMNS, rows, right=("number", "quantity", "unit_price", "amount_exact", "amount", "hours"))
    _print_rounding(document["rounding"])
    _print_checks(document["checks"])
    return document


def _explain_line(
    books: MonthBooks,
    code: Department,
    line: str,
    page: tuple[int | None, int],
    people: Pseudonyms | None,
    *,
    with_users: bool,
    as_json: bool,
    as_csv: bool,
) -> dict[str, Any]:
    from billing.explaining.walk import Page, event_document, explain_item, line_events

    columns = (*EVENT_COLUMNS[:3], *(("user",) if with_users else ()), *EVENT_COLUMNS[3:])
    if as_csv:
        events = line_events(books, code, line, Page(*page))
        documents = (_shown(event_document(event, with_users=with_users), people) for event in events)
        print_rows(columns, ([one[name] for name in columns] for one in documents), as_csv=True)
        return explain_item(books, code, line, Page(0, 0), with_users=with_users)
    document = explain_item(books, code, line, Page(*page), with_users=with_users)
    if document.get("events"):
        document["events"]["rows"] = [_shown(event, people) for event in document["events"]["rows"]]
    if as_json:
        print_json(document)
        return document
    _print_heading(document)
    _print_item(document["item"])
    _print_rounding(document["rounding"])
    if document["item"]["section"] == "lines":
        _print_basis(document, columns)
    else:
        _print_rests(document["rests_on"])
        if document.get("events"):
            _print_events(document["events"], columns)
    _print_checks(document["checks"])
    return document


def _shown(event: dict[str, Any], people: Pseudonyms | None) -> dict[str, Any]:
    """An event as the reader may see it; in the order of time, which tells no name."""
    return event if people is None else people.row(event)


def _end(document: Mapping[str, Any]) -> None:
    """Exit 7 where figures disagree, each named on stderr."""
    wrong = [check for check in document["checks"] if check["agrees"] is False]
    if not wrong:
        return
    for check in wrong:
        sentence = f"DISAGREES: {check['step']}: {check['stated']} against {check['found']} ({check['why']})"
        click.echo(safe_text(sentence), err=True)
    raise LawViolatedError(f"{len(wrong)} figures do not agree: see above, and `jangbu audit`")


def _source(item: Mapping[str, Any]) -> str:
    """What an item rests on, in a few words."""
    row = item.get("price_row")
    if row is not None:
        return f"{item['price_id']} {row['source']} ({row['import']['name']})"
    return str(item.get("price_status") or item.get("reason") or item.get("rule") or item["section"])


def _say(text: str) -> None:
    click.echo(safe_text(text))


def _print_heading(document: Mapping[str, Any]) -> None:
    department = document["department"] or "unattributed use"
    name = f" ({document['department_name']})" if document["department_name"] else ""
    month = f"{document['month']} {document['timezone']}"
    _say(f"{month}, {department}{name}, {document['currency']}, {document['status']}")
    _say(f"content hash {document['content_hash']}")


def _print_item(item: Mapping[str, Any]) -> None:
    click.echo("")
    _say(f"{item['number']}  {item['name']}")
    for name, value in item.items():
        if name not in ("number", "name", "section", "fx_rows", "terms"):
            _print_fact(name, value)


def _print_rounding(rounding: Mapping[str, Any]) -> None:
    click.echo("")
    click.echo(f"Rounding, to {rounding['step']}")
    for name in ("organisation", "department", "item"):
        if name in rounding:
            step = rounding[name]
            _say(f"    {name}: {step['exact']} -> {step['booked']}: {step['why']}")


def _print_basis(document: Mapping[str, Any], event_columns: Sequence[str]) -> None:
    click.echo("\nAmount = quantity x price / per x rate")
    for step in document["amount"]["products"]:
        rate = f" x {step['rate']} ({step['rate_date']})" if step["rate"] is not None else ""
        price = f"{step['price']} {step['price_currency']} / {step['per']}"
        _say(f"    {step['quantity']} x {price}{rate} = {step['exact']}")
    for row in document["fx_rows"]:
        origin = row["import"]
        came = f"{origin['name']}, {_who(origin)}" if origin else "no stored row"
        _say(f"    rate {row['date']} {row['base']}/{row['quote']} {row['rate']}, {row['source']}: {came}")
    _print_price(document["price"])
    click.echo("\nHourly sums (UTC hour, local day)")
    hours = [{**hour, "reasons": _reasons(hour["reasons"])} for hour in document["hours"]]
    rows = [[hour[name] for name in HOUR_COLUMNS] for hour in hours]
    print_rows(HOUR_COLUMNS, rows, right=("quantity", "events", "events_quantity"))
    for one in document.get("corrections") or ():
        _say(f"Corrected in {one['booked_in']}: {one['amount']} ({one['amount_exact']}) for {one['quantity']}, "
             f"{one['reason']}: {one['origin']}")  # fmt: skip
    _print_events(document["events"], event_columns)


def _print_events(events: Mapping[str, Any], event_columns: Sequence[str]) -> None:
    first = min(events["offset"] + 1, int(events["count"]))
    last = min(events["offset"] + len(events["rows"]), int(events["count"]))
    click.echo(f"\nEvents {first} to {last} of {events['count']}, together {events['quantity']}")
    listed = [[event[name] for name in event_columns] for event in events["rows"]]
    print_rows(event_columns, listed, right=("quantity",))


def _print_rests(rests: Mapping[str, Any]) -> None:
    click.echo("\nRests on")
    for name, value in rests.items():
        _print_fact(name, value)


def _print_fact(name: str, value: Any, depth: int = 1) -> None:
    """A fact on a line, what it holds on lines of their own below; nothing where nothing is said."""
    blanks = "    " * depth
    if isinstance(value, Mapping):
        _say(f"{blanks}{name}:")
        for inner, held in value.items():
            _print_fact(inner, held, depth + 1)
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        _say(f"{blanks}{name}:")
        for one in value:
            _say(f"{blanks}    {', '.join(f'{inner} {held}' for inner, held in one.items() if held is not None)}")
    elif isinstance(value, list):
        if value:
            _say(f"{blanks}{name}: {', '.join(str(one) for one in value)}")
    elif value is not None:
        _say(f"{blanks}{name}: {('no', 'yes')[value] if isinstance(value, bool) else value}")


def _print_price(price: Mapping[str, Any]) -> None:
    click.echo("\nPrice")
    row = price["row"]
    if row is None:
        _say(f"    no row prices it ({price['price_id'] or 'unpriced'})")
    else:
        until = f" to {_time(row['valid_to'])}" if row["valid_to"] else ""
        _say(f"    {row['price_id']} {row['origin']}: {row['price']} {row['currency']} per {row['per']} {row['unit']}, "
             f"from {_time(row['valid_from'])}{until}, source {row['source']}")  # fmt: skip
        origin = row["import"]
        _say(f"    brought by {origin['name']} (sha256 {origin['sha256']}), {_who(origin)}")
    for term in price["terms"]:
        _say(f"    term {term['term_id']} {term['name']}: {term['kind']}, {term['percent'] or 'its own price'}"
             f"{' % off' if term['percent'] else ''} {term['unit_price_before']}")  # fmt: skip
    for loser in price["lost"]:
        _say(f"    {loser['price_id']} lost: {loser['why']}")


def _who(origin: Mapping[str, Any]) -> str:
    return f"{origin['actor']} as {origin['database_login']} at {_time(origin['imported_at'])}"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _reasons(reasons: Mapping[str, str]) -> str:
    return ", ".join(f"{reason} {quantity}" for reason, quantity in reasons.items())


def _print_checks(checks: Sequence[Mapping[str, Any]]) -> None:
    click.echo("\nChecks")
    for check in checks:
        word = {True: "agrees", False: "DISAGREES", None: "open"}[check["agrees"]]
        why = f" ({check['why']})" if check["why"] else ""
        joined = "from" if check["agrees"] else "against"
        other = "" if check["stated"] == check["found"] else f" {joined} {check['found']}"
        _say(f"    {word}: {check['step']}: {check['stated']}{other}{why}")
