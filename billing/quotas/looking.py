"""Looking at every quota: its state now, and the thresholds that are newly reached, each kept once.

Late events count in the window of their time, so the window before the current one is looked at too. Several processes
may look; one at a time records. A crash before the commit records nothing, and the next look finds the same again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from billing.quotas.deliveries import make_deliveries
from billing.quotas.register import held_quotas, known_since, lock_look, note_look, record_alerts
from billing.quotas.states import Prices, QuotaState, states_at
from billing.quotas.windows import WINDOW_KINDS, window_of
from billing.store import read_book, read_fx

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from billing.quotas.quota import Quota


def read_prices(connection: Connection, zone: str) -> Prices:
    """Book and rates as of now."""
    return Prices(read_book(connection), read_fx(connection), zone)


def look(connection: Connection, moment: datetime, zone: str) -> list[int] | None:
    """Record what is due at an instant; the ids of new alerts, or None where another process is looking.

    The connection is billing's, in a repeatable-read transaction that the caller commits.
    """
    if not lock_look(connection):
        return None
    quotas = held_quotas(connection)
    new: list[int] = []
    if quotas:
        prices = read_prices(connection, zone)
        states = states_at(connection, quotas, prices, moment)
        states += _earlier_states(connection, quotas, prices, moment)
        new = record_alerts(connection, states)
        make_deliveries(connection, new, moment)
    note_look(connection, moment, zone)
    return new


def _earlier_states(
    connection: Connection, quotas: Sequence[Quota], prices: Prices, moment: datetime
) -> list[QuotaState]:
    """The windows before the current ones, by the quotas that were known and held when those ended."""
    since = known_since(connection)
    found: list[QuotaState] = []
    for kind in WINDOW_KINDS:
        ended = window_of(kind, moment, prices.zone).start
        rows = [quota for quota in quotas if quota.key.window == kind and since[quota.id] < ended]
        if rows:
            found += states_at(connection, rows, prices, ended - timedelta(microseconds=1))
    return found
