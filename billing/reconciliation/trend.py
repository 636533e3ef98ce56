"""A year of a vendor by class: what each month's last recorded run found. Nothing is run again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from billing.reconciliation.groups import BreakClass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal


@dataclass(frozen=True, slots=True)
class TrendMonth:
    """The last run of a month and currency. `classes`: class to (breaks, amount)."""

    month: str
    currency: str
    ours_total: Decimal
    invoice_total: Decimal
    classes: Mapping[str, tuple[int, Decimal]]
    run_at: datetime


def read_trend(connection: Connection, vendor: str, year: int) -> list[TrendMonth]:
    """The months of a year that were reconciled, by month and currency."""
    runs = connection.execute(
        text("""select distinct on (month, currency) id, month, currency, ours_total, invoice_total, run_at
                from reconciliation where vendor = :vendor and left(month, 4) = :year
                order by month, currency, id desc"""),
        {"vendor": vendor, "year": f"{year:04d}"},
    ).all()
    rows = connection.execute(
        text("""select reconciliation_id, class, count(*), sum(amount) from reconciliation_break
                where reconciliation_id = any(cast(:ids as integer[])) group by 1, 2"""),
        {"ids": [run.id for run in runs]},
    )
    classes: dict[int, dict[str, tuple[int, Decimal]]] = {}
    for run_id, cls, count, amount in rows:
        classes.setdefault(run_id, {})[cls] = (count, amount)
    return [
        TrendMonth(run.month, run.currency, run.ours_total, run.invoice_total, classes.get(run.id, {}), run.run_at)
        for run in runs
    ]


def classes_seen(months: list[TrendMonth]) -> list[str]:
    """The classes that occur in any of them, in the contract's order."""
    seen = {name for month in months for name in month.classes}
    return [str(cls) for cls in BreakClass if str(cls) in seen]
