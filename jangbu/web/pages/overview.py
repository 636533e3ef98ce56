"""The overview: the month beside its budget and seats, where it is going, what changed and why, and what needs a look.

A head sees the same of the own departments. An installation without use says what to do first (`first_start`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import text

from billing.alerts.register import Wanted, read_alerts
from billing.breaks.worklist import count_breaks
from billing.errors import BillingError
from billing.money import exact, parse_amount, plain
from billing.periods import hour_start, load_zone
from billing.plans.forecasting import last_complete_day
from billing.plans.seat_document import count_seats
from billing.sentences import Sentence, said_by
from billing.sums import first_and_last_hour
from billing.usage_movers import movers
from billing.usage_slice import Slice, rates_on, read_slice
from jangbu.errors import UsageError
from jangbu.web.months import Lines, brief_of, brief_with_budgets
from jangbu.web.pages.alerts import may_see_alert, shown_alert
from jangbu.web.pages.first_start import read_first_start
from jangbu.web.rights import SCOPED
from jangbu.web.statements import forecast_of
from jangbu.web.views import Ask, Document, Parameter, Registered, Table, View

DAY: Final = timedelta(days=1)
WEEK_DAYS: Final = 7
ALERT_DAYS: Final = 14
SHOWN: Final = 8
MOVERS_SHOWN: Final = 5
SEAT_PRICE_KRW: Final = "30000"
"""What is set against use where the reader names no price: contract.md's example."""
COLUMNS: Final = ("department", "department_name", "so_far", "forecast", "low", "high", "budget", "state")
NOUGHT: Final = Decimal(0)


def read_overview(ask: Ask) -> Document:
    """Everything at one look, of a month: the present one, or the last with use where that has none."""
    hours = first_and_last_hour(ask.connection)
    if hours is None:
        return {"first_start": read_first_start(ask)}
    month = _month(ask, hours)
    policy = ask.books.policy
    documents = brief_with_budgets(ask, month)[1]
    mine = [one for one in documents if ask.scope is None or one["department"] in ask.scope]
    brief = brief_of(ask, month)
    lines = [brief.lines[one["department"]] for one in mine]
    forecast = forecast_of(ask, month)
    whole = _whole(ask, mine, forecast)
    return {
        "first_start": None, "month": month, "asked": ask.month(), "currency": policy.currency,
        "whole": whole, "seats": _seats(ask, whole, month), "forecast": forecast and forecast["basis"],
        "departments": _departments(mine, forecast),
        "providers": _largest(mine, [one.providers for one in lines]),
        "models": _largest(mine, [one.models for one in lines]), "unpriced": _unpriced(lines),
        "movers": ask.kept("movers", _movers, ask.scope),
        **_looks(ask, month, hours),
    }  # fmt: skip


def _month(ask: Ask, hours: tuple[int, int]) -> str:
    last = f"{hour_start(hours[1]).astimezone(load_zone(ask.books.policy.zone)):%Y-%m}"
    asked = ask.month()
    return asked if ask.one("month") is not None or last >= asked else last


def _whole(ask: Ask, documents: Sequence[Mapping[str, Any]], forecast: dict[str, Any] | None) -> dict[str, Any]:
    """The organisation's figures, or those of the own departments; a range of several departments is nobody's sum."""
    with exact():
        total = sum((Decimal(one["total"]) for one in documents), NOUGHT)
    nothing = {"so_far": plain(total), "forecast": None, "low": None, "high": None, "budget": None}
    if forecast is None:
        return nothing
    if ask.scope is None:
        return nothing | {name: forecast["organisation"][name] for name in ("forecast", "low", "high", "budget")}
    own = [row for code, row in forecast["rows"].items() if code in ask.scope]
    if len(own) == 1:
        return nothing | {name: own[0][name] for name in ("forecast", "low", "high", "budget")}
    with exact():
        return nothing | {"forecast": plain(sum((Decimal(row["forecast"]) for row in own), NOUGHT))}


def _seats(ask: Ask, whole: Mapping[str, Any], month: str) -> dict[str, Any] | None:
    """Use so far beside a seat for everybody, as `jangbu plan compare` counts them; of the organisation alone."""
    currency = ask.books.policy.currency
    told = ask.one("seat_price", SEAT_PRICE_KRW if currency == "KRW" else None)
    if ask.scope is not None or told is None:
        return None
    try:
        price = parse_amount(told)
    except ValueError as error:
        sentence = Sentence("the seat price is %(price)s: %(error)s", price=repr(told), error=said_by(error))
        raise UsageError(sentence) from None
    count = count_seats(ask.connection, month, ask.books.policy.zone)
    if not count:
        return None
    with exact():
        total, used = price * count, Decimal(whole["so_far"])
        return {"count": count, "price": plain(price), "total": plain(total), "usage": plain(used),
                "difference": plain(abs(total - used)),
                "cheaper": "usage" if used < total else "seats" if total < used else "equal"}  # fmt: skip


def _departments(documents: Sequence[Mapping[str, Any]], forecast: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Each department's figures, the largest first."""
    rows = {} if forecast is None else forecast["rows"]
    found = []
    for one in documents:
        row = rows.get(one["department"], {})
        budget = row.get("budget") or one.get("budget")
        found.append({
            "department": one["department"], "department_name": one["department_name"], "so_far": one["total"],
            "forecast": row.get("forecast"), "low": row.get("low"), "high": row.get("high"),
            "budget": None if budget is None else budget["amount"],
            "state": None if budget is None else budget.get("state"),
        })  # fmt: skip
    return sorted(found, key=lambda one: (-Decimal(one["so_far"]), one["department"] is None, one["department"] or ""))


def _largest(documents: Sequence[Mapping[str, Any]], named: Sequence[Mapping[str, Decimal]]) -> dict[str, Any]:
    """Lines of statements by provider or model: amounts as booked; shared costs, corrections and tax beside."""
    amounts: dict[str, Decimal] = {}
    with exact():
        for one in named:
            for name, amount in one.items():
                amounts[name] = amounts.get(name, NOUGHT) + amount
        total = sum((Decimal(one["total"]) for one in documents), NOUGHT)
        together = sum(amounts.values(), NOUGHT)
        ordered = sorted(amounts, key=lambda one: (-amounts[one], one))
        others = sum((amounts[one] for one in ordered[SHOWN:]), NOUGHT)
        rows = [{"name": one, "amount": plain(amounts[one])} for one in ordered[:SHOWN]]
        return {"rows": rows, "others": plain(others) if len(ordered) > SHOWN else None,
                "beside": plain(total - together), "total": plain(total)}  # fmt: skip


def _unpriced(lines: Sequence[Lines]) -> dict[str, Any]:
    """Use without a price or a rate, which is in no amount, and whose it is."""
    models: dict[tuple[str, str], int] = {}
    for one in lines:
        for key, quantity in one.unknown.items():
            models[key] = models.get(key, 0) + quantity
    rows = [{"provider": key[0], "model": key[1], "quantity": str(models[key])}
            for key in sorted(models, key=lambda key: (-models[key], key))]  # fmt: skip
    return {"quantity": str(sum(models.values())), "models": rows[:SHOWN], "count": len(rows)}


def _movers(ask: Ask) -> dict[str, Any] | None:
    """The last seven complete days beside the seven before, in the organisation's currency at the last day's rates."""
    zone, hours = ask.books.policy.zone, first_and_last_hour(ask.connection)
    if hours is None:
        return None
    stored = ask.connection.execute(text("select max(committed_at) from stream_chunk")).scalar_one()
    last = last_complete_day(hours[1], None if stored is None else int(stored.timestamp()) // 3600, zone)
    filters = {} if ask.scope is None else {"department": tuple(sorted(ask.scope))}
    now = Slice(last - DAY * (WEEK_DAYS - 1), last, zone, filters)
    book, by = ask.book, ("department", "model", "unit")
    rows, before = (read_slice(ask.connection, one, book, by) for one in (now, now.before()))
    currency = ask.books.policy.currency
    others = {row.currency for row in (*rows, *before) if row.currency is not None}
    rates = rates_on(ask.connection, last, currency, others)
    return {
        "from": now.first, "to": now.last, "before_from": now.before().first, "before_to": now.before().last,
        "rates": {other: plain(rate) for other, rate in rates.items()},
        "departments": [one.document() for one in movers(rows, before, 0, currency, rates)[:MOVERS_SHOWN]],
        "models": [one.document() for one in movers(rows, before, 1, currency, rates)[:MOVERS_SHOWN]],
    }  # fmt: skip


def _looks(ask: Ask, month: str, hours: tuple[int, int]) -> dict[str, Any]:
    """How fresh the data is, open breaks, late alerts, the laws: what needs a look. Breaks and laws are the
    organisation's."""
    connection = ask.connection
    stored_at = connection.execute(text("select max(committed_at) from stream_chunk")).scalar_one()
    quarantined = connection.execute(text("select count(*) from quarantine where state = 'open'")).scalar_one()
    recorded = reversed(read_alerts(connection, Wanted(since=ask.now - DAY * ALERT_DAYS)))
    alerts = [one for one in recorded if may_see_alert(ask, one)]
    is_whole = ask.scope is None
    return {
        "fresh": {"last_use_hour": hour_start(hours[1]), "stored_at": stored_at,
                  "stored_hours_ago": None if stored_at is None else int((ask.now - stored_at).total_seconds()) // 3600,
                  "quarantined": quarantined if is_whole else None},
        "breaks": _breaks(ask, month) if is_whole else None,
        "alerts": {"rows": [shown_alert(ask, one) for one in alerts[:MOVERS_SHOWN]], "count": len(alerts),
                   "days": ALERT_DAYS},
        "laws": _laws(ask) if is_whole else None,
    }  # fmt: skip


def _breaks(ask: Ask, month: str) -> list[dict[str, Any]]:
    try:
        return [one._asdict() for one in count_breaks(ask.connection, month)]
    except BillingError:
        return []


def _laws(ask: Ask) -> dict[str, Any]:
    """What the last check from a page found (`jangbu.web.pages.ledger`); checks of `jangbu audit` leave no trace."""
    last = ask.connection.execute(
        text("select at, detail from web_event where action = 'laws_checked' order by id desc limit 1")
    ).one_or_none()
    if last is None:
        return {"checked_at": None, "broken": None}
    detail = last.detail if isinstance(last.detail, dict) else json.loads(last.detail)
    return {"checked_at": last.at, "broken": sorted(law for law, one in detail.items() if one.get("violations"))}


def _table(_ask: Ask, document: Document) -> Table:
    rows = [[one[name] for name in COLUMNS] for one in document.get("departments", [])]
    return Table("overview", COLUMNS, rows, ("so_far", "forecast", "low", "high", "budget"))


REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/", api="/overview", title="Overview", rule=SCOPED, read=read_overview, template="overview.html",
         table=_table,
         about="The month beside budget, seats and forecast; by provider, model and department; the largest changes "
         "of the last week with the effects of quantity and price; freshness, breaks, alerts, laws.",
         parameters=(Parameter("month", "YYYY-MM; the present one, or the last with use", example="2026-10"),
                     Parameter("seat_price", "a seat for a person and month, in the organisation's currency",
                               example=SEAT_PRICE_KRW))),
)  # fmt: skip
