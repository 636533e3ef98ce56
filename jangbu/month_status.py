"""Months of the books: which there are, what stands between one and its close; for `jangbu period` and for pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from billing.laws import months_with_usage
from billing.ledger.checklist import blockers, make_checklist
from billing.ledger.closes import month_after, months_between, read_closes, read_state
from billing.periods import hour_start, month_in
from billing.statements import compute_month
from billing.store import snapshot
from jangbu.period_checks import check_outside

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from billing.policy import MoneyPolicy
    from jangbu.settings import Settings


def read_months(connection: Connection, policy: MoneyPolicy, now: datetime) -> list[dict[str, Any]]:
    """Every month from the first use to the last, or to the one that is open next. The connection is a snapshot."""
    used = months_with_usage(connection, policy)
    closes = {one.month.name: one for one in read_closes(connection)}
    names = sorted({*used, *closes, *((month_after(max(closes)),) if closes else ())})
    rows = connection.execute(text("select month, total from statement where kind = 'organisation'"))
    totals = {row.month: row.total for row in rows}
    return [
        {
            "month": name,
            "state": read_state(connection, name),
            "ended": now >= hour_start(month_in(name, policy.zone).end_hour),
            "total": totals.get(name),
            "closed_at": closes[name].closed_at if name in closes else None,
            "content_hash": closes[name].content_hash if name in closes else None,
        }
        for name in (months_between(names[0], names[-1]) if names else [])
    ]


def read_status(
    engine: Engine, month: str, policy: MoneyPolicy, settings: Settings, now: datetime
) -> dict[str, Any]:
    """One month: its close where it is closed, else its checklist. `engine` is the reader's. Kafka is asked between two
    snapshots, so that none waits for it. Raises BillingError for a bad month."""
    month_in(month, policy.zone)
    with snapshot(engine) as connection:
        state = read_state(connection, month)
        close = next((one for one in read_closes(connection) if one.month.name == month), None)
    document: dict[str, Any] = {"month": month, "state": state, "checklist": [], "blockers": []}
    if state == "closed":
        return {**document, **({} if close is None else close.document())}
    outside = check_outside(settings)
    with snapshot(engine) as connection:
        computed = compute_month(connection, month, policy)
        checks = make_checklist(connection, computed, now, outside(connection, computed))
    document["checklist"] = [check.document() for check in checks]
    document["blockers"] = [check.name for check in blockers(checks, ())]
    return document
