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
    """Append the month's documents, in the caller's transaction; the billing login. Returns the ids of the runs.

    A currency that an earlier run had and this one has not (the bill came again in another) gets a run without
    anything: otherwise the earlier one would stay the newest of that currency, and its breaks open.
    """
    runs = [_record_one(connection, month, found, actor) for found in month.documents]
    gone = _currencies_gone(connection, month)
    return runs + [_record_nothing(connection, month, currency, actor) for currency in gone]


def _currencies_gone(connection: Connection, month: ReconciledMonth) -> list[str]:
    """Currencies whose newest run says something, and of which there is nothing any more."""
    rows = connection.execute(
        text("""select currency from (
                  select distinct on (currency) id, currency, invoice_total, ours_total from reconciliation
                  where vendor = :vendor and month = :month order by currency, id desc) newest
                where currency <> all(:present)
                  and (invoice_total <> 0 or ours_total <> 0
                       or exists (select from reconciliation_break b where b.reconciliation_id = newest.id))
                order by currency"""),
        {
            "vendor": month.vendor.vendor,
            "month": month.month.name,
            "present": [found.currency for found in month.documents],
        },
    )
    return [str(currency) for currency in rows.scalars()]


def _record_nothing(connection: Connection, month: ReconciledMonth, currency: str, actor: str) -> int:
    nothing = {"vendor": month.vendor.vendor, "month": month.month.name, "currency": currency, "breaks": []}
    document = json.dumps(nothing)
    values = {
        "vendor": month.vendor.vendor, "month": month.month.name, "first_day": month.month.days[0],
        "end_day": month.month.days[-1] + timedelta(days=1), "currency": currency,
        "last_import_id": month.last_import_id, "content_hash": hashlib.sha256(document.encode()).hexdigest(),
        "actor": actor,
    }  # fmt: skip
    return int(
        connection.execute(
            text("""insert into reconciliation (vendor, month, first_day, end_day, currency, last_import_id,
                                            invoice_total, ours_total, matched_groups, matched_amount, content_hash,
                                            actor)
                values (:vendor, :month, :first_day, :end_day, :currency, :last_import_id, 0, 0, 0, 0, :content_hash,
                        :actor)
                returning id"""),
            values,
        ).scalar_one()
    )


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
