"""Deliveries of alerts in PostgreSQL: made with the alert, taken one message at a time, tried again with growing waits.

Nothing is sent here. At least once, with a stable id: a receiver that keeps the ids it has seen has each alert once. A
message of several deliveries is put together once, in a transaction of its own, before it is sent: what is sent again
after a crash carries the same ids.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, text

from billing.alerts.alert import BY_THE_DOZEN, SEVERITIES, Alert, Due
from billing.alerts.recipients import FOR_PEOPLE, parse_recipient
from billing.alerts.register import read_alerts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from billing.alerts.alert import Severity
    from billing.alerts.quiet import QuietHours
    from billing.alerts.routing import Registers

WAIT_FIRST_S = 2
WAIT_MAX_S = 3600
ATTEMPTS_MAX = 36
"""Waits of 2 s, 4 s and so on to an hour: about a day until a delivery is given up."""
BUNDLE_MAX = 200
"""Alerts of one message at most."""


class Plan(NamedTuple):
    """When deliveries are due. `digest_s`: what is for people waits so long for others to go with; 0: it does not."""

    zone: str
    quiet: QuietHours | None = None
    digest_s: int = 0


class Delivery(NamedTuple):
    """One alert on its way to one recipient."""

    id: str
    alert: Alert
    recipient: str
    attempts: int


class Parcel(NamedTuple):
    """One message: deliveries to one recipient, most often one. Its id is the first one's and stays."""

    id: str
    recipient: str
    deliveries: tuple[Delivery, ...]

    @property
    def attempts(self) -> int:
        """How often it was tried."""
        return self.deliveries[0].attempts


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
    message: str | None


def delivery_id(alert_uid: str, recipient: str) -> str:
    """The id of a delivery: the same for an alert and a recipient, whoever works it out."""
    return hashlib.sha256(f"{alert_uid}\n{recipient}".encode()).hexdigest()[:32]


def make_deliveries(
    connection: Connection, alerts: Sequence[Alert], registers: Registers, plan: Plan, moment: datetime
) -> int:
    """Deliveries of new alerts, in the transaction that keeps them; returns how many. Silenced ones have none."""
    rows: list[dict[str, Any]] = []
    for alert in alerts:
        if alert.silenced_by is not None:
            continue
        for recipient in registers.recipients_of(_as_due(alert)):
            channel = parse_recipient(recipient).channel
            bundles = channel in FOR_PEOPLE and (plan.digest_s > 0 or alert.kind in BY_THE_DOZEN)
            wait = timedelta(seconds=plan.digest_s if bundles else 0)
            rows.append(
                {
                    "id": delivery_id(alert.uid, recipient),
                    "alert": alert.id,
                    "recipient": recipient,
                    "bundles": bundles,
                    "wait": _beyond_quiet(alert.severity, plan, moment, wait),
                }
            )
    _insert(connection, rows, is_fallback=False)
    return len(rows)


def take_due(connection: Connection, channels: Collection[str] | None = None) -> Parcel | None:
    """The message that waits longest and is due, locked until the transaction ends; None where there is none.

    What may go with others is taken only after `pack_due` has put it together.
    """
    leader = connection.execute(
        text("""select id from alert_delivery
                where state = 'waiting' and next_at <= now() and (message = id or message is null and not bundles)
                  and (cast(:channels as text[]) is null or channel = any(:channels))
                order by next_at, id limit 1 for update skip locked"""),
        {"channels": None if channels is None else sorted(channels)},
    ).first()
    if leader is None:
        return None
    rows = connection.execute(
        text("""select id, alert_id, recipient, attempts from alert_delivery
                where id = :id or (message = :id and state = 'waiting') order by id = :id desc, alert_id for update"""),
        {"id": leader.id},
    ).all()
    alerts = {one.id: one for one in read_alerts(connection, ids={row.alert_id for row in rows})}
    found = tuple(Delivery(row.id, alerts[row.alert_id], row.recipient, row.attempts) for row in rows)
    return Parcel(leader.id, found[0].recipient, found)


def pack_due(connection: Connection, digest_s: int = 0) -> int:
    """Put together what is due and may go with others of its recipient, in a transaction of its own; returns how many
    messages came of it. What would be due within `digest_s` goes with it."""
    packed = 0
    while True:
        leader = connection.execute(
            text("""select id, recipient from alert_delivery
                    where state = 'waiting' and bundles and message is null and next_at <= now()
                    order by next_at, id limit 1 for update skip locked""")
        ).first()
        if leader is None:
            return packed
        connection.execute(
            text("""
            update alert_delivery set message = :id, next_at = least(next_at, now())
            where id in (select id from alert_delivery
                         where state = 'waiting' and bundles and message is null and recipient = :recipient
                           and next_at <= now() + :window
                         order by id <> :id, alert_id limit :most for update skip locked)"""),
            {
                "id": leader.id,
                "recipient": leader.recipient,
                "window": timedelta(seconds=digest_s),
                "most": BUNDLE_MAX,
            },
        )
        packed += 1


def note_sent(connection: Connection, parcel: Parcel) -> None:
    """The receiver has taken it."""
    connection.execute(
        text("""update alert_delivery set state = 'sent', attempts = attempts + 1, sent_at = clock_timestamp(),
                                          last_error = null where id = any(:ids)"""),
        {"ids": [one.id for one in parcel.deliveries]},
    )


def note_failed(
    connection: Connection, parcel: Parcel, reason: str, plan: Plan, moment: datetime, *, for_good: bool = False
) -> bool:
    """It was not taken at an instant: tried again after a wait that doubles, and not in quiet hours, or given up after
    `ATTEMPTS_MAX` (or `for_good`); returns whether it was given up."""
    attempts = parcel.attempts + 1
    is_dead = for_good or attempts >= ATTEMPTS_MAX
    wait = timedelta(seconds=min(WAIT_MAX_S, WAIT_FIRST_S * 2 ** min(attempts - 1, 20)))
    gravest = max((one.alert.severity for one in parcel.deliveries), key=SEVERITIES.index)
    connection.execute(
        text("""update alert_delivery set state = :state, attempts = :attempts, last_error = :reason,
                                          next_at = clock_timestamp() + :wait where id = any(:ids)"""),
        {
            "ids": [one.id for one in parcel.deliveries],
            "state": "dead" if is_dead else "waiting",
            "attempts": attempts,
            "reason": reason[:500],
            "wait": _beyond_quiet(gravest, plan, moment, wait),
        },
    )
    return is_dead


def tell_others(connection: Connection, parcel: Parcel, registers: Registers) -> int:
    """What a recipient could not be told goes on to others, in the transaction that gives it up; how many deliveries.
    Who was told of an alert anyway is not told twice."""
    rows = [
        {
            "id": delivery_id(one.alert.uid, other),
            "alert": one.alert.id,
            "recipient": other,
            "bundles": len(parcel.deliveries) > 1 and parse_recipient(other).channel in FOR_PEOPLE,
            "wait": timedelta(0),
        }
        for one in parcel.deliveries
        for other in registers.instead_of(one.recipient, _as_due(one.alert))
    ]
    _insert(connection, rows, is_fallback=True)
    return len(rows)


def read_deliveries(
    connection: Connection, state: str | None = None, alert_id: int | None = None
) -> list[DeliveryState]:
    """Deliveries by alert; of one state or alert where asked."""
    rows = connection.execute(
        text("""select id, alert_id, recipient, state, attempts, next_at, last_error, sent_at, message
                from alert_delivery
                where (cast(:state as text) is null or state = :state)
                  and (cast(:alert as bigint) is null or alert_id = :alert) order by alert_id, recipient"""),
        {"state": state, "alert": alert_id},
    )
    return [DeliveryState(*row) for row in rows]


def send_again(connection: Connection, ids: Iterable[str] | None = None) -> list[str]:
    """Deliveries that were given up wait again, from now on, under their ids, and those that wait are due now: all that
    were given up, or some by id. Returns the ids that will be tried. The billing login."""
    asked = None if ids is None else sorted(set(ids))
    rows = connection.execute(
        text("""update alert_delivery set state = 'waiting', attempts = 0, next_at = now()
                where case when cast(:ids as text[]) is null then state = 'dead'
                           else state <> 'sent' and (id = any(:ids) or message in (
                                  select message from alert_delivery where id = any(:ids) and message is not null)) end
                returning id"""),
        {"ids": asked},
    )
    return sorted(row.id for row in rows)


def _insert(connection: Connection, rows: Sequence[dict[str, Any]], *, is_fallback: bool) -> None:
    if rows:
        connection.execute(
            text("""
            insert into alert_delivery (id, alert_id, recipient, bundles, is_fallback, next_at)
            select i, a, r, b, :is_fallback, now() + w
            from unnest(cast(:ids as text[]), cast(:alerts as bigint[]), cast(:recipients as text[]),
                        cast(:bundles as boolean[]), cast(:waits as interval[])) u (i, a, r, b, w)
            on conflict do nothing"""),
            {
                "ids": [one["id"] for one in rows],
                "alerts": [one["alert"] for one in rows],
                "recipients": [one["recipient"] for one in rows],
                "bundles": [one["bundles"] for one in rows],
                "waits": [one["wait"] for one in rows],
                "is_fallback": is_fallback,
            },
        )


def _beyond_quiet(severity: Severity, plan: Plan, moment: datetime, wait: timedelta) -> timedelta:
    """A wait from an instant on; longer where it would end in quiet hours that hold for the severity."""
    if plan.quiet is None:
        return wait
    return plan.quiet.told_at(severity, moment + wait, plan.zone) - moment


def _as_due(alert: Alert) -> Due:
    return Due(
        alert.kind, alert.key, alert.severity, alert.content, alert.scope, alert.subject, alert.department, alert.quota,
        alert.notify,
    )  # fmt: skip
