"""Statements as pages read them: whose, of which month, kept once computed, by words that stand in addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from billing.open_months import read_kept_documents
from billing.periods import month_in
from billing.plans.budget_states import show_budgets
from billing.plans.forecast_document import forecast_document
from billing.plans.forecasting import Forecaster, NothingToForecast
from billing.policy import UNATTRIBUTED
from billing.sentences import Sentence
from billing.statement_document import no_statement, read_statement
from billing.statements import is_known_department
from jangbu.errors import NotFoundError
from jangbu.web.open_months import keeper_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from billing.charges import Department
    from jangbu.web.views import Ask

SECTIONS: Final = ("allocated", "adjustments", "taxes")


def forecast_of(ask: Ask, month: str) -> dict[str, Any] | None:
    """What the month will have cost, as `jangbu forecast` says it: `basis`, `organisation`, and `rows` by department;
    None where nothing can be said of the time to come. It may be a minute old."""

    def compute(ask: Ask) -> dict[str, Any] | None:
        try:
            days_off = frozenset(ask.books.settings.days_off)
            forecaster = Forecaster(ask.connection, ask.books.policy, more_days_off=days_off)
            found = forecast_document(forecaster, month)
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
    raise NotFoundError(
        Sentence("department is %(word)s: neither usage nor the roster knows it; look at the list", word=repr(word))
    )


def read_one(ask: Ask, month: str, code: Department) -> dict[str, Any]:
    """One department's statement, or what it was a moment ago (`jangbu.web.open_months`); an empty one where it has no
    use. Shared: nothing in it is changed."""

    def last() -> dict[str, Any]:
        found = read_kept_documents(ask.connection, month, code)
        return found[0][1] if found else no_statement(ask.connection, month, ask.books.policy, code)

    return ask.books.open_months.shown(
        ask, month, lambda look: _newest(ask, month, code, look), last, ("statement", month, code)
    )


def read_newest(ask: Ask, month: str, code: Department) -> dict[str, Any]:
    """One department's statement as it is in the snapshot. Shared: nothing in it is changed."""
    return _newest(ask, month, code, lambda: None)


def _newest(ask: Ask, month: str, code: Department, look: Callable[[], None]) -> dict[str, Any]:
    policy, keeper = ask.books.policy, keeper_of(ask.books)

    def compute() -> dict[str, Any]:
        look()
        return read_statement(ask.connection, month, policy, code, keeper)[0]

    return ask.unchanged("statement", month_in(month, policy.zone).end_hour, compute, month, code)


def with_budget(ask: Ask, document: Mapping[str, Any]) -> dict[str, Any]:
    """A statement with its budget beside; the caller's own."""
    found = dict(document)
    show_budgets(ask.connection, found["month"], ask.books.policy, [found])
    return found
