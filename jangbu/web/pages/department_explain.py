"""A won walked back: line, hourly sums, price row and its source, exchange rates, events; each step's figures agree."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from billing.explaining.books import MonthBooks, NotOnStatement
from billing.explaining.overview import explain_statement
from billing.explaining.walk import Page, explain_item
from billing.periods import month_in
from billing.sentences import Sentence
from jangbu.errors import NotFoundError, UsageError
from jangbu.web.months import brief_of_documents, newest_brief
from jangbu.web.pages.department import MONTH
from jangbu.web.paging import page_of
from jangbu.web.rights import DEPARTMENT
from jangbu.web.statements import code_of, read_newest, word_of
from jangbu.web.views import Ask, Document, Parameter, Registered, Table, View

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from billing.charges import Department
    from jangbu.web.months import MonthBrief
    from jangbu.web.open_months import Held

EVENTS_SHOWN: Final = 100
EVENT_COLUMNS: Final = ("time", "source", "id", "user", "quantity", "topic", "partition", "offset")
ITEM_COLUMNS: Final = ("number", "section", "name", "quantity", "price_id", "amount_exact", "amount")


def read_explained(ask: Ask) -> Document:
    """`jangbu explain`: of the whole statement, or of the line asked for with its hours and events."""
    try:
        return _explained(ask, ask.month(), code_of(ask), ask.one("line"))
    except NotOnStatement as error:
        raise NotFoundError(str(error)) from error


def _explained(ask: Ask, month: str, code: Department, line: str | None) -> Document:
    """In the own snapshot, or in that of a moment ago in which the month was computed."""
    held = ask.books.open_months.held(ask, month)
    if held is None:
        return _explained_in(ask, month, code, line, lambda: _newest(ask, month, code))
    ask.is_of(held.as_of)
    with ask.books.snapshot_apart(held.snapshot) as connection:
        then = replace(ask, open_snapshot=lambda: connection)
        return _explained_in(then, month, code, line, lambda: _held(then, held, month, code))


def _explained_in(
    ask: Ask, month: str, code: Department, line: str | None, statements: Callable[[], list[dict[str, Any]]]
) -> Document:
    end_hour, first = month_in(month, ask.books.policy.zone).end_hour, _first(ask)

    def books() -> MonthBooks:
        found = MonthBooks.read(ask.connection, month, ask.books.policy, statements())
        found.book_now = ask.book
        return found

    if line is None:
        whole = ask.unchanged("proof", end_hour, lambda: explain_statement(books(), code, by_hours=False), month, code)
        document = {**whole, "shown": page_of(ask, whole["items"])}
    else:
        document = explain_item(books(), code, line, Page(EVENTS_SHOWN, first), with_users=True)
        document["place"] = _place(document.get("events"), first)
        _hide_people(ask, document.get("events"))
    disagreeing = [check for check in document["checks"] if check["agrees"] is False]
    return {**document, "path": word_of(code), "line": line, "disagreeing": len(disagreeing)}


def _newest(ask: Ask, month: str, code: Department) -> list[dict[str, Any]]:
    """The month's statements; those of other departments without their lines, which explain nothing here."""
    others = newest_brief(ask, month).departments
    return [read_newest(ask, month, code) if one["department"] == code else dict(one) for one in others]


def _held(ask: Ask, held: Held, month: str, code: Department) -> list[dict[str, Any]]:
    """The same of a month as it was a moment ago."""
    texts = held.texts

    def brief() -> MonthBrief:
        return brief_of_documents(json.loads(texts.whole), [json.loads(one) for one in texts.departments.values()])

    others = ask.unchanged("month", month_in(month, ask.books.policy.zone).end_hour, brief, month).departments
    return [json.loads(texts.departments[code]) if one["department"] == code else dict(one) for one in others]


def _first(ask: Ask) -> int:
    """How many events stand on earlier pages. Raises UsageError."""
    asked = ask.one("first", "0") or "0"
    if not asked.isascii() or not asked.isdigit() or len(asked) > 9:
        raise UsageError(
            Sentence(
                "%(asked)s is no place in a list: write how many events to leave out first, 0 or more",
                asked=repr(asked),
            )
        )
    return int(asked)


def _place(events: Mapping[str, Any] | None, first: int) -> dict[str, Any] | None:
    """Where the listed events stand among all; links to the parts beside."""
    if not events:
        return None
    total, listed = int(events["count"]), len(events["rows"])
    return {
        "first": min(first + 1, total), "last": min(first + listed, total), "total": total,
        "before": max(0, first - EVENTS_SHOWN) if first else None,
        "after": first + EVENTS_SHOWN if first + listed < total else None,
    }  # fmt: skip


def _hide_people(ask: Ask, events: dict[str, Any] | None) -> None:
    """A head sees who; others as settings say. In the order of time, which tells no name."""
    people = ask.books.people if ask.scope is None else None
    if events and people is not None:
        events["rows"] = [people.row(one) for one in events["rows"]]


def _table(_ask: Ask, document: Document) -> Table:
    """The events that are shown, or the statement's items."""
    name = f"{document['month']}-{document['path']}-explained"
    if document.get("events"):
        rows = [[one.get(column) for column in EVENT_COLUMNS] for one in document["events"]["rows"]]
        return Table(name, EVENT_COLUMNS, rows, ("quantity", "partition", "offset"))
    items = document.get("items") or [document["item"]]
    rows = [[one.get(column) for column in ITEM_COLUMNS] for one in items]
    return Table(name, ITEM_COLUMNS, rows, ("number", "quantity", "amount_exact", "amount"))


REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/departments/{department}/explain", title="Proof", rule=DEPARTMENT, read=read_explained,
         template="department_explain.html", table=_table,
         parameters=(MONTH, Parameter("line", "number or name of a line; none: the whole statement", example="1"),
                     Parameter("first", f"leave out so many events; {EVENTS_SHOWN} are listed", example="0"),
                     Parameter("page", "which part of the statement's lines, from 1", example="1")),
         about="From a line to hourly sums, price row, rates and events, with every check; `jangbu explain`."),
)  # fmt: skip
