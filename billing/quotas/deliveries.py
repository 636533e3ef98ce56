"""Deliveries of alerts in PostgreSQL: made with the alert, taken one at a time, tried again with growing waits.

Nothing is sent here. At least once, with a stable id: a receiver that keeps the ids it has seen has each alert once.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text

from billing.plans.departments import in_force, terms_of
from billing.plans.registers import held_departments
from billing.quotas.recipients import parse_recipients
from billing.quotas.register import Alert, read_alerts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

WAIT_FIRST_S = 2
WAIT_MAX_S = 3600
ATTEMPTS_MAX = 36
"""Waits of 2 s, 4 s and so on to an hour: about a day until a delivery is given up."""


class Delivery(NamedTuple):
    """One message on its way to one recipient."""

    id: str
    alert: Alert
    recipient: str
    attempts: int


class DeliveryState(NamedTuple):
    """A delivery as it stands, for lists."""

    id: str
    alert_id: int
    recipient: str
    state: str
    attempts: int
    next_at: datetime
    last_error: str | None
    sent_at: datetime | None


def delivery_id(alert_id: int, recipient: str) -> str:
    """The id of a delivery: the same for an alert and a recipient, whoever works it out."""
    return hashlib.sha256(f"{alert_id}\n{recipient}".encode()).hexdigest()[:32]


def make_deliveries(connection: Connection, alert_ids: Sequence[int], moment: datetime) -> int:
    """Deliveries of new alerts, in the transaction that keeps them; returns how many.

    An alert goes to whom its quota names; where it names nobody and is a department's, to whom the department's row in
    the register names. Entries of the register that cannot be told are left out.
    """
    if not alert_ids:
        return 0
    wanted = set(alert_ids)
    alerts = [one for one in read_alerts(connection, after_id=min(wanted) - 1) if one.id in wanted]
    of_department = _department_recipients(connection, moment)
    rows = [
        {"id": delivery_id(one.id, recipient), "alert": one.id, "recipient": recipient}
        for one in alerts
        for recipient in one.notify or (of_department.get(one.subject, ()) if one.scope == "department" else ())
    ]
    if rows:
        connection.execute(
            text("insert into alert_delivery (id, alert_id, recipient) values (:id, :alert, :recipient)"), rows
        )
    return len(rows)


def take_due(connection: Connection) -> Delivery | None:
    """The delivery that waits longest and is due, locked until the transaction ends; None where there is none."""
    row = connection.execute(
        text("""select id, alert_id, recipient, attempts from alert_delivery
                where state = 'waiting' and next_at <= now()
                order by next_at, id limit 1 for update skip locked""")
    ).first()
    if row is None:
        return None
    (alert,) = read_alerts(connection, only_id=row.alert_id)
    return Delivery(row.id, alert, row.recipient, row.attempts)


def note_sent(connection: Connection, delivery: Delivery) -> None:
    """The receiver has taken it."""
    connection.execute(
        text("""update alert_delivery set state = 'sent', attempts = attempts + 1, sent_at = clock_timestamp(),
                                          last_error = null where id = :id"""),
        {"id": delivery.id},
    )


def note_failed(connection: Connection, delivery: Delivery, reason: str, *, for_good: bool = False) -> None:
    """It was not taken: tried again after a wait that doubles, or given up after `ATTEMPTS_MAX` (or `for_good`)."""
    attempts = delivery.attempts + 1
    is_dead = for_good or attempts >= ATTEMPTS_MAX
    connection.execute(
        text("""update alert_delivery set state = :state, attempts = :attempts, last_error = :reason,
                                          next_at = clock_timestamp() + :wait where id = :id"""),
        {
            "id": delivery.id,
            "state": "dead" if is_dead else "waiting",
            "attempts": attempts,
            "reason": reason[:500],
            "wait": timedelta(seconds=min(WAIT_MAX_S, WAIT_FIRST_S * 2 ** min(attempts - 1, 20))),
        },
    )


def read_deliveries(connection: Connection, state: str | None = None) -> list[DeliveryState]:
    """Deliveries by alert; of one state where asked."""
    rows = connection.execute(
        text("""select id, alert_id, recipient, state, attempts, next_at, last_error, sent_at from alert_delivery
                where cast(:state as text) is null or state = :state order by alert_id, recipient"""),
        {"state": state},
    )
    return [DeliveryState(*row) for row in rows]


def retry_dead(connection: Connection) -> int:
    """Dead deliveries wait again, from now on; returns how many. The billing login."""
    return connection.execute(
        text("update alert_delivery set state = 'waiting', attempts = 0, next_at = now() where state = 'dead'")
    ).rowcount


def _department_recipients(connection: Connection, moment: datetime) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for code, row in in_force(terms_of(held_departments(connection)), moment).items():
        try:
            found[code] = parse_recipients(row.notify or "")
        except ValueError:
            continue
    return found
