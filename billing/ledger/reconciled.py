"""Whether the differences that departments are charged are still those of what is in the books.

Breaks are decided about, and rounding is shared, as a vendor's last recorded reconciliation found them. Use that
arrived since is then charged twice, once as use and once as a difference; a revised invoice is not charged at all. So
before a month closes the two totals of such vendors are asked for again. Vendors of whose differences nothing is
charged are left alone.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Literal, NamedTuple

from sqlalchemy import Connection, text

from billing.allocation.rules import in_force
from billing.allocation.store import read_rules
from billing.breaks.shared import decided_vendors
from billing.errors import BillingError
from billing.money import plain
from billing.reconciliation.month import reconcile_month
from billing.sentences import Sentence, said_by

if TYPE_CHECKING:
    from datetime import datetime

Totals = dict[str, tuple[Decimal, Decimal]]
"""(invoice, ours) by currency."""
SHARED: Literal["invoice_difference"] = "invoice_difference"


class Stale(NamedTuple):
    """A vendor whose charged difference is out of date, and in what."""

    vendor: str
    sentence: Sentence


def stale_reconciliations(connection: Connection, month: str, now: datetime) -> list[Stale]:
    """A sentence for each vendor whose charged difference is out of date in a month; the connection is a snapshot."""
    rules = in_force(read_rules(connection), month)
    shared = {rule.pool_of for rule in rules if rule.pool == SHARED and rule.pool_of is not None}
    found = []
    for vendor in sorted(shared | set(decided_vendors(connection, month))):
        recorded = _recorded(connection, vendor, month)
        if not recorded:
            continue  # nothing was found, so nothing is charged
        try:
            present = _present(connection, vendor, month, now)
        except BillingError as error:
            sentence = Sentence("%(vendor)s cannot be reconciled any more: %(why)s", vendor=vendor, why=said_by(error))
            found.append(Stale(vendor, sentence))
            continue
        for currency in sorted(recorded.keys() | present.keys()):
            then, today = recorded.get(currency, _NOTHING), present.get(currency, _NOTHING)
            if then != today:
                sentence = Sentence(
                    "%(vendor)s was reconciled at invoice %(invoice_then)s and ours %(ours_then)s %(currency)s, "
                    "now they are %(invoice)s and %(ours)s",
                    vendor=vendor, invoice_then=plain(then[0]), ours_then=plain(then[1]), currency=currency,
                    invoice=plain(today[0]), ours=plain(today[1]),
                )  # fmt: skip
                found.append(Stale(vendor, sentence))
    return found


_NOTHING = (Decimal(0), Decimal(0))


def _recorded(connection: Connection, vendor: str, month: str) -> Totals:
    rows = connection.execute(
        text("""select distinct on (currency) currency, invoice_total, ours_total from reconciliation
                where vendor = :vendor and month = :month order by currency, id desc"""),
        {"vendor": vendor, "month": month},
    )
    return {row.currency: (row.invoice_total, row.ours_total) for row in rows}


def _present(connection: Connection, vendor: str, month: str, now: datetime) -> Totals:
    found = reconcile_month(connection, vendor, month, now)
    return {one.currency: (one.invoice_total, one.ours_total) for one in found.documents}
