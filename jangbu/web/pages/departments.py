"""Departments of a month: what each owes, against its budget, its forecast and the month before; state by state."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from billing.ledger.closes import month_before
from billing.money import exact, plain
from billing.sentences import Sentence
from jangbu.department_imports import import_budgets, import_departments
from jangbu.errors import UsageError
from jangbu.roster_imports import import_roster
from jangbu.web.file_import import import_action
from jangbu.web.months import brief_of, brief_with_budgets
from jangbu.web.paging import PAGE, page_of
from jangbu.web.rights import FINANCE_OR_PLATFORM, SCOPED
from jangbu.web.statements import forecast_of, word_of
from jangbu.web.views import Ask, Document, Parameter, Registered, Table, View

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from jangbu.importing import Outcome

SORTS: Final = ("total", "department", "share", "budget", "difference", "forecast")
COLUMNS: Final = ("department", "department_name", "currency", "total", "budget", "budget_period", "budget_spent",
                  "budget_share", "forecast", "forecast_low", "forecast_high", "last_total", "difference", "state",
                  "unpriced_quantity", "status", "content_hash")  # fmt: skip
FIGURES: Final = ("total", "budget", "budget_spent", "budget_share", "forecast", "forecast_low", "forecast_high",
                  "last_total", "difference", "unpriced_quantity")  # fmt: skip
NOUGHT: Final = Decimal(0)
NEAR: Final = Decimal("0.8")


def read_departments(ask: Ask) -> Document:
    """Every department that has a statement, a budget's share used, and what it comes to by the month's end."""
    month, sort = ask.month(), ask.one("sort", "total") or "total"
    if sort not in SORTS:
        raise UsageError(Sentence("%(sort)s is no order: use %(known)s", sort=repr(sort), known=", ".join(SORTS)))
    whole, documents = brief_with_budgets(ask, month)
    last = {one["department"]: one["total"] for one in brief_of(ask, month_before(month)).departments}
    forecast = forecast_of(ask, month)
    going = {} if forecast is None else forecast["rows"]
    words = ask.one("words")
    rows = [
        _row(one, last.get(one["department"]), going.get(one["department"]))
        for one in documents
        if (ask.scope is None or one["department"] in ask.scope) and _is_called(one, words)
    ]
    is_whole = ask.scope is None and words is None
    rows.sort(key=_order(sort))
    with exact():
        total = plain(sum((Decimal(one["total"]) for one in rows), NOUGHT))
        before = plain(sum((Decimal(one["last_total"] or 0) for one in rows), NOUGHT))
    states = {name: sum(1 for one in rows if one["state"] == name) for name in ("over", "at_risk", "within", "none")}
    return {
        "month": month, "timezone": whole["timezone"], "currency": whole["currency"], "status": whole["status"],
        "departments": rows, "shown": page_of(ask, rows), "total": total, "last_total": before, "states": states,
        "budget": whole["budget"] if is_whole else None, "sort": sort, "sorts": list(SORTS), "words": words,
        "content_hash": whole["content_hash"] if is_whole else None,
    }  # fmt: skip


def _is_called(document: Mapping[str, Any], words: str | None) -> bool:
    """Whether a department's code or name holds the words; where there are none, every one's does."""
    return words is None or words.casefold() in f"{document['department']} {document['department_name']}".casefold()


def _row(document: Mapping[str, Any], last: str | None, going: Mapping[str, Any] | None) -> dict[str, Any]:
    budget, total = document["budget"], Decimal(document["total"])
    with exact():
        difference = None if last is None else plain(total - Decimal(last))
    share = None
    if budget is not None and Decimal(budget["amount"]) > 0:
        share = plain((Decimal(budget["spent"]) / Decimal(budget["amount"])).quantize(Decimal("0.0001")))
    return {
        **{name: document[name] for name in ("department", "department_name", "currency", "total", "unpriced_quantity",
                                             "status", "content_hash")},
        "path": word_of(document["department"]),
        "budget": None if budget is None else budget["amount"],
        "budget_period": None if budget is None else budget["period"],
        "budget_spent": None if budget is None else budget["spent"], "budget_share": share,
        "forecast": None if going is None else going["forecast"],
        "forecast_low": None if going is None else going["low"],
        "forecast_high": None if going is None else going["high"],
        "last_total": last, "difference": difference, "state": _state(budget, going),
    }  # fmt: skip


def _state(budget: Mapping[str, Any] | None, going: Mapping[str, Any] | None) -> str:
    """over: spent, or to be spent by the forecast; at_risk: within the range, or past 80 %; none: without a budget."""
    if budget is None:
        return "none"
    spent, amount = Decimal(budget["spent"]), Decimal(budget["amount"])
    if spent > amount:
        return "over"
    expected = None if going is None or going["budget"] is None else going["budget"]["state"]
    if expected in ("over", "at_risk"):
        return "at_risk"
    return "at_risk" if amount and spent / amount >= NEAR else "within"


def _order(sort: str) -> Callable[[Mapping[str, Any]], Any]:
    """The largest first, what is unknown last; names in their own order."""
    if sort == "department":
        return lambda row: (row["department"] is None, row["department"] or "")
    name = "budget_share" if sort == "share" else sort
    return lambda row: (row[name] is None, -Decimal(row[name] or 0), row["department"] or "")


def _table(_ask: Ask, document: Document) -> Table:
    rows = [[one[name] for name in COLUMNS] for one in document["departments"]]
    return Table(f"{document['month']}-departments", COLUMNS, rows, FIGURES)


def _departments(ask: Ask, connection: Connection, raw: bytes, name: str) -> Outcome[dict[str, Any]]:
    return import_departments(connection, raw, name, ask.identity, ask.books.policy.zone)


def _budgets(ask: Ask, connection: Connection, raw: bytes, name: str) -> Outcome[dict[str, Any]]:
    return import_budgets(connection, raw, name, ask.identity, ask.books.policy.currency)


def _roster(ask: Ask, connection: Connection, raw: bytes, name: str) -> Outcome[dict[str, Any]]:
    return import_roster(connection, raw, name, ask.identity, ask.books.settings.timezone)


REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/departments", title="Departments", rule=SCOPED, read=read_departments, template="departments.html",
         table=_table, about="What each department owes for a month, beside its budget, forecast and the month before.",
         parameters=(Parameter("month", "the organisation's month", example="2026-10"),
                     Parameter("sort", "the largest first; department: by code", SORTS),
                     Parameter("words", "in the department's name or code; figures are of those alone"), PAGE)),
    import_action("/departments/import", "Import departments", FINANCE_OR_PLATFORM, "/departments", _departments,
                  "A CSV file of departments with their dates; rows are never overwritten."),
    import_action("/departments/budgets", "Import budgets", FINANCE_OR_PLATFORM, "/departments", _budgets,
                  "A CSV file of budgets; a later row replaces an earlier one of its department and period."),
    import_action("/departments/roster", "Import the roster", FINANCE_OR_PLATFORM, "/departments", _roster,
                  "A CSV file of who belongs to which department; use that it touches is attributed again."),
)  # fmt: skip
