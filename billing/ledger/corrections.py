"""What closed months come to by all that is known now, minus what has been booked for them, as charges.

They belong to the month after the last closed one. Exact values are compared, and what is booked of them is kept
exactly, so that corrections of corrections end at the true amount: nothing is lost by rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from billing.charges import Charge
from billing.ledger.booked import Books, Held, books_of, price_code, read_books
from billing.ledger.closes import last_closed, month_after, months_between, read_closes
from billing.ledger.evidence import Evidence, read_evidence
from billing.ledger.from_events import reads_rebuilt_sums
from billing.ledger.marks import is_unchanged, read_inputs, read_seen
from billing.ledger.positions import correction_key
from billing.ledger.reasons import reason_of
from billing.periods import Month, month_in, month_of_hour

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, RootTransaction

    from billing.charges import Department
    from billing.ledger.closes import Close
    from billing.ledger.positions import Position
    from billing.policy import MoneyPolicy

NOTHING = Held(Fraction(0), 0)


@dataclass(frozen=True, slots=True)
class Correction:
    """What one closed month lacks: charges for the open one, and unpriced use that its statements did not show."""

    month: str
    charges: tuple[Charge, ...]
    late_unpriced: int


def read_corrections(connection: Connection, month: Month) -> list[Charge]:
    """The charges that correct closed months, where `month` is next to book them; the connection is a snapshot."""
    return [charge for one in find_corrections(connection, month.name) for charge in one.charges]


def find_corrections(connection: Connection, month: str) -> Sequence[Correction]:
    """The same by closed month. Statement and checklist ask alike: for one state of the database it is found once."""
    last = last_closed(connection)
    if last is None or month != month_after(last):
        return ()
    transaction = connection.get_transaction()
    if transaction is None or connection.get_execution_options().get("isolation_level") != "REPEATABLE READ":
        return _find(connection)
    found = _FOUND.setdefault(transaction, {})
    state = (last, reads_rebuilt_sums(connection))
    if state not in found:
        found[state] = _find(connection)
    return found[state]


_FOUND: WeakKeyDictionary[RootTransaction, dict[tuple[str, bool], Sequence[Correction]]] = WeakKeyDictionary()
"""What was found in each transaction that sees one state, by the last close and by whose sums it reads: within one,
only these two can change."""


def _find(connection: Connection) -> tuple[Correction, ...]:
    closes = read_closes(connection)
    inputs = read_inputs(connection)
    found = []
    for closed, policy in closed_months(connection, closes):
        if is_unchanged(closes[-1], closed, inputs, read_seen(connection, closed)):
            continue
        found.append(_correct(connection, closed, policy, closes[-1]))
    return tuple(found)


def closed_months(connection: Connection, closes: Sequence[Close]) -> list[tuple[Month, MoneyPolicy]]:
    """Every month that counts as closed and may hold use, with the choices that hold for it: its own, or those of the
    close that passed over it."""
    from billing.sums import first_and_last_hour

    if not closes:
        return []
    span = first_and_last_hour(connection)
    by_name = {close.month.name: close for close in closes}
    first = closes[0].month.name
    if span is not None:
        first = min(first, month_of_hour(span[0], closes[0].policy.zone))
    months = []
    for name in months_between(first, closes[-1].month.name):
        close = by_name.get(name) or next(one for one in closes if one.month.name > name)
        months.append((month_in(name, close.policy.zone), close.policy))
    return months


def _correct(connection: Connection, month: Month, policy: MoneyPolicy, last: Close) -> Correction:
    from billing.statements import compute_month

    before = read_books(connection, month.name)
    now = books_of(compute_month(connection, month.name, policy))
    if not differing(before, now):
        return Correction(month.name, (), late_unpriced(before, now))
    evidence = read_evidence(connection, month, last)
    return Correction(month.name, tuple(correct(month.name, before, now, evidence)), late_unpriced(before, now))


def late_unpriced(before: Books, now: Books) -> int:
    """How much use without a price a month holds beyond what its statements showed. Pure."""
    return sum(max(0, quantity - before.unpriced.get(unit, 0)) for unit, quantity in now.unpriced.items())


def differing(before: Books, now: Books) -> list[tuple[Department, Position]]:
    """The positions that come to something else now, in order. Pure."""
    keys = before.positions.keys() | now.positions.keys()
    return sorted(
        (key for key in keys if before.positions.get(key, NOTHING).exact != now.positions.get(key, NOTHING).exact),
        key=lambda key: (key[0] is None, key[0] or "", key[1]),
    )


def correct(month: str, before: Books, now: Books, evidence: Evidence) -> list[Charge]:
    """The charges that take a month from what was booked to what it comes to now. Pure."""
    charges = []
    for department, position in differing(before, now):
        was = before.positions.get((department, position), NOTHING)
        becomes = now.positions.get((department, position), NOTHING)
        reason = reason_of(department, position, before, now, evidence)
        document = {
            "reason": reason.code,
            "origin_period": month,
            "origin": f"{month}: {reason.origin}",
            "content_hash": before.hashes.get(department, before.hashes.get(())),
            "section": position.kind,
        }
        if position.kind == "lines":
            provider, model, unit, price_id = position.use
            document |= {
                "provider": provider,
                "model": model,
                "unit": unit,
                "price_id": price_code(price_id),
                "quantity": str(becomes.quantity - was.quantity),
            }
        charge = Charge("adjustments", department, correction_key(month, position), becomes.exact - was.exact)
        charges.append(replace(charge, document=document))
    return charges
