"""Whether anything that a closed month depends on has changed since the last close; counts only, so that it is cheap.

Every table that money depends on only grows, so an equal count means that nothing came. Sums of usage, prices and rates
are counted as far as they can touch the month; of the other inputs any new row makes the month be computed again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from billing.parts import count_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.ledger.closes import Close
    from billing.periods import Month

DATED = ("usage_part", "price", "fx_rate")
"""Counted by month in `seen`."""
COUNTED = ("price_rule", "vendor", "invoice_import", "contract_term", "allocation_rule", "department",
           "break_decision")  # fmt: skip
"""Counted as a whole in `inputs`."""
NO_INPUT = (
    "book_import", "contract_import", "contract_tier", "register_import", "budget", "invoice_content", "invoice_day",
    "invoice_line", "reconciliation", "reconciliation_break", "period_close", "period_state", "ledger_entry",
    "ledger_line", "statement", "quarantine_decision", "quota", "quota_alert", "alert", "alert_delivery",
    "alert_silence", "alert_known", "pledge", "programme",
    "programme_application", "vendor_name_rule", "web_event",
)  # fmt: skip
"""Tables that only grow and of which no amount depends, or that come with a row of a counted one (what names of vendors
mean reaches an amount by a recorded reconciliation)."""


def read_inputs(connection: Connection) -> dict[str, int]:
    """The recorded inputs: how many rows each has, the version of the roster, the last quarantine entry."""
    counts = ", ".join(f"(select count(*) from {table}) as {table}" for table in COUNTED)
    last = ", ".join(
        f"(select coalesce(max(id), 0) from {table}) as {table}"
        for table in ("book_import", "reconciliation", "quarantine")
    )
    row = connection.execute(text(f"select {counts}, {last}, (select version from reference_version) as roster")).one()
    return {name: int(value) for name, value in row._mapping.items()}


def read_seen(connection: Connection, month: Month) -> dict[str, int]:
    """How many sums, price rows and rates can touch a month; the sums as stored, whatever stands before them.

    An invoice may carry a later day than any of its month: with another policy than the day of use, every rate can.
    """
    row = connection.execute(
        text("""
        select (select count(*) from price where valid_from < hour_start(:end)) as price,
               (select count(*) from fx_rate
                where date <= :last_day or exists (select from vendor where fx_policy not in ('', 'usage_day'))
                   or exists (select from period_close where policy ->> 'fx_policy' <> 'usage_day')) as fx_rate"""),
        {"end": month.end_hour, "last_day": month.days[-1]},
    ).one()
    parts = count_parts(connection, month.first_hour, month.end_hour)
    return {"usage_part": parts, **{name: int(value) for name, value in row._mapping.items()}}


def is_unchanged(last: Close, month: Month, inputs: Mapping[str, int], seen: Mapping[str, int]) -> bool:
    """Whether a month can only come to what was booked for it by the close `last`."""
    watched = (*COUNTED, "reconciliation", "roster")
    return last.seen.get(month.name) == seen and all(last.inputs.get(name) == inputs[name] for name in watched)
