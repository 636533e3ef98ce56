"""The bridge of a vendor's month as it was recorded last: ours, each class of break, the invoice. Reads only."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text

from billing.money import exact
from billing.reconciliation.bridge import Step
from billing.reconciliation.groups import BreakClass

if TYPE_CHECKING:
    from datetime import datetime


class RecordedBridge(NamedTuple):
    """One currency of the newest run: its steps in the contract's order of classes, and when it was run."""

    currency: str
    run_at: datetime
    steps: tuple[Step, ...]

    @property
    def difference(self) -> Decimal:
        """Invoice - ours - breaks; 0 (law 6)."""
        with exact():
            return self.steps[-1].amount - self.steps[-2].sum_after


def read_bridges(connection: Connection, vendor: str, month: str) -> list[RecordedBridge]:
    """The bridges of the newest run of a vendor's month, by currency; none where nothing is recorded."""
    runs = connection.execute(
        text("""select distinct on (currency) id, currency, ours_total, invoice_total, run_at from reconciliation r
                where vendor = :vendor and month = :month
                  and last_import_id = (select max(last_import_id) from reconciliation l
                                        where l.vendor = r.vendor and l.month = r.month)
                order by currency, id desc"""),
        {"vendor": vendor, "month": month},
    ).all()
    found = []
    for run in runs:
        classes = {
            row[0]: (row.amount, row.breaks)
            for row in connection.execute(
                text("""select class, sum(amount) as amount, count(*) as breaks from reconciliation_break
                        where reconciliation_id = :run group by class"""),
                {"run": run.id},
            )
        }
        at = run.ours_total
        steps = [Step(None, "ours", at, 0, at)]
        with exact():
            for cls in BreakClass:
                if str(cls) in classes:
                    amount, count = classes[str(cls)]
                    at += amount
                    steps.append(Step(cls, str(cls), amount, count, at))
        steps.append(Step(None, "invoice", run.invoice_total, 0, run.invoice_total))
        found.append(RecordedBridge(run.currency, run.run_at, tuple(steps)))
    return found
