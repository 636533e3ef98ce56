"""Statements as pages read them: whose, of which month, kept once computed, by words that stand in addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import DBAPIError

from billing.ledger.closes import month_before
from billing.open_months import keep
from billing.plans.budget_states import show_budgets
from billing.plans.forecast_document import forecast_document
from billing.plans.forecasting import Forecaster, NothingToForecast
from billing.policy import UNATTRIBUTED
from billing.statement_document import read_month, read_statement
from billing.statements import is_known_department
from jangbu.errors import JangbuError, NotFoundError

if TYPE_CHECKING:
    from billing.charges import Department
    from billing.open_months import Keeper, OpenMonth
    from jangbu.web.books import Books
    from jangbu.web.views import Ask

SECTIONS: Final = ("allocated", "adjustments", "taxes")


def keeper_of(books: Books) -> Keeper:
    """Keeps what a page has computed of an open month, so that the next one reads it."""

    def keep_month(computed: OpenMonth) -> None:
        try:
            keep(books.engine("billing"), computed)
        except (DBAPIError, JangbuError):
            return  # It was computed all the same; who has no billing login keeps nothing.

    return keep_month


def forecast_of(ask: Ask, month: str) -> dict[str, Any] | None:
    """What the month will have cost, as `jangbu forecast` says it: `basis`, `organisation`, and `rows` by department;
    None where nothing can be said of the time to come. It may be a minute old."""

    def compute() -> dict[str, Any] | None:
        try:
            found = forecast_document(Forecaster(ask.connection, ask.books.policy), month)
        except NothingToForecast:
            return None
        basis = {name: found[name] for name in ("as_of", "finished", "days_to_come", "observed")}
        rows = {one["department"]: one for one in found["departments"]}
        return {"basis": basis, "rows": rows, "organisation": found["organisation"]}

    return ask.kept("forecast", compute, month)


def word_of(code: Department) -> str:
    """A department's word in an address: use that nobody is known for has one of its own."""
    return UNATTRIBUTED if code is None else code


def code_of(ask: Ask) -> Department:
    """The department of the path; None is use that nobody is known for, which no head has. Raises NotFoundError."""
    word = ask.path["department"]
    if is_known_department(ask.connection, word):
        return word
    if word == UNATTRIBUTED and ask.scope is None:
        return None
    raise NotFoundError(f"department is {word!r}: neither usage nor the roster knows it; look at the list")


def read_all(ask: Ask, month: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The organisation's statement and every department's, budgets beside."""
    books = ask.books
    whole, documents = read_month(ask.connection, month, books.policy, keeper_of(books))
    show_budgets(ask.connection, month, books.policy, [whole, *documents])
    return whole, documents


def read_one(ask: Ask, month: str, code: Department) -> dict[str, Any]:
    """One department's statement, its budget beside; an empty one where it has no use."""
    books = ask.books
    document, _ = read_statement(ask.connection, month, books.policy, code, keeper_of(books))
    show_budgets(ask.connection, month, books.policy, [document])
    return document


def read_before(ask: Ask, month: str, code: Department) -> dict[str, Any]:
    """The statement of the month before."""
    return read_statement(ask.connection, month_before(month), ask.books.policy, code, keeper_of(ask.books))[0]
