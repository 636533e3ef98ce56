"""Recording runs, so that law 6 can be checked from what is stored. A run that finds the same again is not repeated."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from billing.reconciliation.document import currency_document, figures_document, key_document

if TYPE_CHECKING:
    from billing.reconciliation.groups import Reconciliation
    from billing.reconciliation.month import ReconciledMonth


def record(connection: Connection, month: ReconciledMonth, actor: str) -> list[int]:
    """Append the month's documents, in the caller's transaction; the billing login. Returns the ids of the runs."""
    return [_record_one(connection, month, found, actor) for found in month.documents]


def _record_one(connection: Connection, month: ReconciledMonth, found: Reconciliation, actor: str) -> int:
    document = json.dumps(currency_document(month, found), sort_keys=True, ensure_ascii=False)
    content_hash = hashlib.sha256(document.encode()).hexdigest()
    values = {
        "vendor": month.vendor.vendor, "month": month.month.name, "first_day": month.month.days[0],
        "end_day": month.month.days[-1] + timedelta(days=1), "currency": found.currency,
        "last_import_id": month.last_import_id, "invoice_total": found.invoice_total, "ours_total": found.ours_total,
        "stated_total": found.proof.stated_total, "matched_groups": found.matched_groups,
        "matched_amount": found.matched_amount, "content_hash": content_hash, "actor": actor,
    }  # fmt: skip
    last = connection.execute(
        text("""select id, content_hash, last_import_id from reconciliation
                where vendor = :vendor and month = :month and currency = :currency order by id desc limit 1"""),
        values,
    ).one_or_none()
    if last is not None and (last.content_hash, last.last_import_id) == (content_hash, month.last_import_id):
        return int(last.id)
    run_id = int(
        connection.execute(
            text("""insert into reconciliation (vendor, month, first_day, end_day, currency, last_import_id,
                                            invoice_total, ours_total, stated_total, matched_groups, matched_amount,
                                            content_hash, actor)
                values (:vendor, :month, :first_day, :end_day, :currency, :last_import_id, :invoice_total, :ours_total,
                        :stated_total, :matched_groups, :matched_amount, :content_hash, :actor)
                returning id"""),
            values,
        ).scalar_one()
    )
    if found.breaks:
        connection.execute(
            text("""insert into reconciliation_break (reconciliation_id, place, class, amount, key, ours, vendor, why,
                                                      provisional, tolerated, match_level, may_be, proposal)
                    values (:run, :place, :class, :amount, cast(:key as jsonb), cast(:ours as jsonb),
                            cast(:vendor as jsonb), :why, :provisional, :tolerated, :level, :may_be, :proposal)"""),
            [
                {
                    "run": run_id,
                    "place": place,
                    "class": str(one.cls),
                    "amount": one.amount,
                    "why": one.why,
                    "key": json.dumps(key_document(one)),
                    "ours": json.dumps(figures_document(one.ours)),
                    "vendor": json.dumps(figures_document(one.vendor)),
                    "provisional": one.provisional,
                    "tolerated": one.tolerated,
                    "level": one.level,
                    "may_be": [str(cls) for cls in one.may_be],
                    "proposal": one.proposal,
                }
                for place, one in enumerate(found.breaks, 1)
            ],
        )
    return run_id
