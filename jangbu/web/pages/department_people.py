"""Who of a department used what: a month beside the one before, and how much of the change is use, how much price.

Amounts are exact and in the currency of the prices: nobody's share is rounded to what the department pays.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from billing.ledger.closes import month_before
from billing.movers import Uses, movers, used_in
from billing.periods import month_in
from billing.statements import read_department_names
from billing.usage_slice import Slice, read_rated
from jangbu.web.pages.department import MONTH
from jangbu.web.paging import PAGE, page_of
from jangbu.web.rights import DEPARTMENT
from jangbu.web.statements import code_of, word_of
from jangbu.web.views import Ask, Document, Parameter, Registered, Table, View

if TYPE_CHECKING:
    from billing.charges import Department
    from billing.pseudonyms import Pseudonyms

BY: Final = ("month", "user", "provider", "model")
COLUMNS: Final = ("user", "currency", "before", "now", "difference", "quantity_effect", "price_effect", "is_partial")
DIGITS: Final = 6


def read_people(ask: Ask) -> Document:
    """Each person's month beside the one before, the largest change first. A head sees the names of the own people;
    others see what settings let them see."""
    month, code, model = ask.month(), code_of(ask), ask.one("model")
    people = ask.books.people if ask.scope is None else None
    end_hour = month_in(month, ask.books.policy.zone).end_hour
    rows, without_price = ask.unchanged(
        "people", end_hour, lambda: _rows(ask, people, month, code, model), month, code, model, people is None,
        rows_of=lambda one: len(one[0]),
    )  # fmt: skip
    names = read_department_names(ask.connection)
    return {"month": month, "department": code, "department_name": names.get(code or ""), "path": word_of(code),
            "model": model, "people": rows, "without_price": without_price, "shown": page_of(ask, rows),
            "are_named": people is None}  # fmt: skip


def _rows(
    ask: Ask, people: Pseudonyms | None, month: str, code: Department, model: str | None
) -> tuple[list[dict[str, Any]], int]:
    """Each person's row, and how many have use without a price."""
    earlier, now = _uses(ask, (month_before(month), month), code, model)
    rows: list[dict[str, Any]] = []
    for currency in sorted({*now, *earlier} - {None}, key=str):
        found = movers(earlier.get(currency, {}), now.get(currency, {}), DIGITS)
        rows += [{**one.document("user"), "currency": currency} for one in found]
    unpriced = sorted({user for uses in (now, earlier) for user, _ in uses.get(None, {})}, key=str)
    for row in rows:
        row["is_partial"] = row["is_partial"] or row["user"] in unpriced
    if people is not None:
        rows = [people.row(row) for row in rows]
    rows.sort(key=lambda row: (row["currency"], -abs(Decimal(row["difference"])), str(row["user"])))
    return rows, len(unpriced)


def _uses(ask: Ask, months: tuple[str, str], code: Department, model: str | None) -> tuple[Uses, Uses]:
    """Of two months that follow each other, by currency: quantities and costs by user and what they used. Under None:
    what has no price."""
    zone = ask.books.policy.zone
    filters = {"department": (code,), **({} if model is None else {"model": (model,)})}
    wanted = Slice(month_in(months[0], zone).days[0], month_in(months[1], zone).days[-1], zone, filters)
    rated = read_rated(ask.connection, wanted, ask.book, BY)
    return used_in(rated, month_in(months[1], zone).first_hour)


def _table(_ask: Ask, document: Document) -> Table:
    rows = [[one[name] for name in COLUMNS] for one in document["people"]]
    return Table(f"{document['month']}-{document['path']}-people", COLUMNS, rows, COLUMNS[2:7])


REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/departments/{department}/people", title="By person", rule=DEPARTMENT, read=read_people,
         template="department_people.html", table=_table,
         parameters=(MONTH, Parameter("model", "only this model"), PAGE),
         about="Who used how much, beside the month before; names for the department's head, else as settings say."),
)  # fmt: skip
