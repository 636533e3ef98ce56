"""The events behind a cell of usage: where each record lies in the log, and its quantities. A payload is never kept."""

from __future__ import annotations

from typing import Any, Final

from billing.usage_events import count_by_hour, read_events
from jangbu.web.pages.usage_asked import FILTERS, PARAMETERS, read_asked
from jangbu.web.paging import PAGE, ROWS_A_PAGE, page_document, page_number
from jangbu.web.rights import SCOPED
from jangbu.web.views import Ask, Document, Registered, Table, View

COLUMNS: Final = (
    "time", "source", "event_id", "department", "user", "key", "provider", "model", "account", "service_tier", "status",
    "usage_source", "topic", "partition", "offset",
)  # fmt: skip
ASKED: Final = ("month", "from", "to", *FILTERS)


def read_event_list(ask: Ask) -> Document:
    """A page of the events that the filters let through, in order of time."""
    asked = read_asked(ask)
    def count() -> dict[int, int]:
        return count_by_hour(ask.connection, asked.wanted)

    counts = ask.unchanged("hours of events", asked.end_hour, count, asked.key, rows_of=len)
    number, total = page_number(ask), sum(counts.values())
    shown = page_document(number, total, range(max(0, min(ROWS_A_PAGE, total - (number - 1) * ROWS_A_PAGE))))
    rows = read_events(ask.connection, asked.wanted, counts, ROWS_A_PAGE, (number - 1) * ROWS_A_PAGE)
    people = ask.books.people if ask.scope is None else None
    if people is not None:
        rows = [people.row(row) for row in rows]
    return {
        "from": asked.wanted.first, "to": asked.wanted.last, "timezone": asked.wanted.zone,
        "hour": ask.one("from") if asked.wanted.hour is not None else None,
        "filters": {name: list(values) for name, values in asked.filters.items()}, "events": rows,
        "shown": {name: value for name, value in shown.items() if name != "rows"},
    }  # fmt: skip


def _table(_ask: Ask, document: Document) -> Table:
    rows: list[dict[str, Any]] = document["events"]
    units = sorted({unit for row in rows for unit in row["units"]})
    cells = [[*(row[name] for name in COLUMNS), *(row["units"].get(unit) for unit in units)] for row in rows]
    return Table("usage-events", (*COLUMNS, *units), cells, ("partition", "offset", *units))


REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/usage/events", title="Events", rule=SCOPED, read=read_event_list, template="usage_events.html",
         table=_table, about="The events behind a figure of usage, with topic, partition and offset of each record.",
         parameters=(*(one for one in PARAMETERS if one.name in ASKED), PAGE)),
)  # fmt: skip
