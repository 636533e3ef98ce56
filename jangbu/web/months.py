"""A month's statements without their lines: what lists of departments need, kept as long as nothing of it changed.

Statements of 120 departments are eight megabytes of text, to be read and decoded for a page of a hundred figures. So
they are read once, added up, and let go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from billing.money import exact
from billing.open_months import read_kept_documents
from billing.periods import month_in
from billing.plans.budget_states import show_budgets
from billing.statement_document import read_month
from jangbu.web.open_months import keeper_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.charges import Department
    from jangbu.web.views import Ask

NOUGHT: Final = Decimal(0)
OPEN: Final = ("unpriced", "unconverted")


@dataclass(frozen=True)
class Lines:
    """What a department's lines come to: booked amounts by provider and by model, and quantities that are in no amount
    by (provider, model)."""

    providers: Mapping[str, Decimal]
    models: Mapping[str, Decimal]
    unknown: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class MonthBrief:
    """The organisation's statement and the departments', by code, without `lines`. Shared: nothing in it is changed."""

    whole: Mapping[str, Any]
    departments: Sequence[Mapping[str, Any]]
    lines: Mapping[Department, Lines]


def brief_of(ask: Ask, month: str) -> MonthBrief:
    """A month as its statements are, or were a moment ago (`jangbu.web.open_months`)."""

    def last() -> MonthBrief:
        *documents, (_, whole) = read_kept_documents(ask.connection, month)
        return brief_of_documents(whole, [document for _, document in documents])

    return ask.books.open_months.shown(ask, month, lambda look: _newest(ask, month, look), last, ("brief", month))


def newest_brief(ask: Ask, month: str) -> MonthBrief:
    """A month as its statements are in the snapshot."""
    return _newest(ask, month, lambda: None)


def _newest(ask: Ask, month: str, look: Callable[[], None]) -> MonthBrief:
    def compute() -> MonthBrief:
        look()
        return brief_of_documents(*read_month(ask.connection, month, ask.books.policy, keeper_of(ask.books)))

    return ask.unchanged("month", month_in(month, ask.books.policy.zone).end_hour, compute, month)


def brief_with_budgets(ask: Ask, month: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The organisation's statement and every department's, without lines, budgets beside; the caller's own."""
    brief = brief_of(ask, month)
    whole, documents = dict(brief.whole), [dict(one) for one in brief.departments]
    show_budgets(ask.connection, month, ask.books.policy, [whole, *documents])
    return whole, documents


def brief_of_documents(whole: Mapping[str, Any], documents: Sequence[Mapping[str, Any]]) -> MonthBrief:
    """Of statements as they are printed."""
    return MonthBrief(
        _without_lines(whole), [_without_lines(one) for one in documents],
        {one["department"]: _added(one["lines"]) for one in documents},
    )  # fmt: skip


def _without_lines(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "lines"}


def _added(lines: Sequence[Mapping[str, Any]]) -> Lines:
    providers: dict[str, Decimal] = {}
    models: dict[str, Decimal] = {}
    unknown: dict[tuple[str, str], int] = {}
    with exact():
        for line in lines:
            if line["amount"] is not None:
                amount = Decimal(line["amount"])
                providers[line["provider"]] = providers.get(line["provider"], NOUGHT) + amount
                models[line["model"]] = models.get(line["model"], NOUGHT) + amount
            if line["price_status"] in OPEN:
                key = (line["provider"], line["model"])
                unknown[key] = unknown.get(key, 0) + int(line["quantity"])
    return Lines(providers, models, unknown)
