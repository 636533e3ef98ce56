"""What departments are charged of a vendor's breaks: the amounts that were decided about, by the vendor's days.

Accepted and written-off breaks are charged, each exactly once: TAX, FEE and CREDIT_OR_DISCOUNT by the pool that shares
such lines of the invoice where a rule of the month names it, everything else by the pool of differences; a TAX break of
a vendor whose tax is computed is on the statements already. Rounding and what the policy tolerates, about which nobody
is asked, is shared where a rule shares the vendor's differences, as the newest run found it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text

from billing.breaks.identity import name_of
from billing.breaks.states import BOOKED
from billing.breaks.worklist import read_all
from billing.money import exact, plain

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

OWN_POOLS = {"TAX": "invoice_tax", "CREDIT_OR_DISCOUNT": "invoice_credit", "FEE": "invoice_fee"}
"""Classes of breaks whose lines pools of their own share, and those pools."""
NAMED_MAX = 20


class DayAmount(NamedTuple):
    """An amount of a vendor's day."""

    day: date
    currency: str
    amount: Decimal


def decided_vendors(connection: Connection, month: str) -> list[str]:
    """The vendors of whose breaks of a month something was decided."""
    rows = connection.execute(
        text("select distinct vendor from break_standing where month = :month order by 1"), {"month": month}
    )
    return [str(vendor) for vendor in rows.scalars()]


def decided_amounts(connection: Connection, vendor: str, month: str, without: Collection[str]) -> list[DayAmount]:
    """What was decided to be charged, by day and currency; without some classes."""
    rows = connection.execute(
        text("""select cast(part ->> 'day' as date) as day, currency, sum(cast(part ->> 'amount' as numeric)) as amount
                from break_standing cross join lateral jsonb_array_elements(parts) part
                where vendor = :vendor and month = :month and state = any(:booked) and class <> all(:without)
                group by 1, 2 order by 1, 2"""),
        {"vendor": vendor, "month": month, "booked": list(BOOKED), "without": list(without)},
    )
    return [DayAmount(*row) for row in rows]


def tolerated_amounts(connection: Connection, vendor: str, month: str) -> list[DayAmount]:
    """The rounding and what else nobody is asked about, as the newest runs found it, by day and currency."""
    found: dict[tuple[date, str], Decimal] = {}
    with exact():
        for item in read_all(connection, month, vendor):
            if not item.is_work and item.state == "open":
                for part in item.parts:
                    at = (part.day, item.currency)
                    found[at] = found.get(at, Decimal(0)) + part.amount
    return [DayAmount(*at, amount) for at, amount in sorted(found.items())]


def decided_documents(
    connection: Connection, vendor: str, month: str, without: Collection[str]
) -> dict[str, object]:
    """The breaks behind `decided_amounts` as statements name them: no person, no time, so that a replay agrees."""
    rows = connection.execute(
        text("""select fingerprint, class, currency, amount, state from break_standing
                where vendor = :vendor and month = :month and state = any(:booked) and class <> all(:without)
                order by abs(amount) desc, fingerprint, currency"""),
        {"vendor": vendor, "month": month, "booked": list(BOOKED), "without": list(without)},
    ).all()
    named = [
        {"break": name_of(month, row.fingerprint), "class": row[1], "state": row.state, "amount": plain(row.amount),
         "currency": row.currency}
        for row in rows[:NAMED_MAX]
    ]  # fmt: skip
    return {"breaks": named, "breaks_count": str(len(rows))}


def decisions_since(connection: Connection, month: str, seen: int) -> dict[str, tuple[str, ...]]:
    """What was decided about a month's breaks after the first `seen` rows of all, by vendor, in words; the last row of
    each break only. Words about a break are none."""
    rows = connection.execute(
        text("""select distinct on (vendor, currency, fingerprint) vendor, fingerprint, class, state, id
                from (select *, row_number() over (order by id) as number from break_decision) d
                where month = :month and number > :seen and action not in ('assign', 'comment', 'propose')
                order by vendor, currency, fingerprint, id desc"""),
        {"month": month, "seen": seen},
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        said = "open again" if row.state == "open" else row.state.replace("_", " ")
        found.setdefault(row.vendor, []).append(f"{row[2]} {name_of(month, row.fingerprint)} {said}")
    return {vendor: tuple(named) for vendor, named in found.items()}
