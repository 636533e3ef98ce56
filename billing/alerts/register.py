"""Alerts in PostgreSQL: kept once for a kind and a key, whatever crashes and whoever else looks. Decides nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, text

from billing.alerts.alert import Alert
from billing.alerts.silences import read_silences, silence_for

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from billing.alerts.alert import Due, Kind

_COLUMNS = """id, uid, kind, key, severity, scope, subject, department, quota_id as quota, content, notify, silenced_by,
              recorded_at"""


class Wanted(NamedTuple):
    """Which alerts a list shows; None: all."""

    after_id: int = 0
    kind: str | None = None
    severity: str | None = None
    department: str | None = None
    quota: int | None = None
    since: datetime | None = None


def record(connection: Connection, due: Iterable[Due], moment: datetime) -> list[Alert]:
    """Keep what is due and is not kept yet, in the caller's transaction; returns what is new. The billing login.

    Exactly once is the constraints' doing: (kind, key) and uid are unique, so that of two that look at once one waits
    for the other and then keeps nothing; a crash before the commit keeps nothing, and the next look finds the same due.
    """
    wanted = {one.uid: one for one in due}
    known = _known_uids(connection, wanted)
    rows = [one for uid, one in wanted.items() if uid not in known]
    if not rows:
        return []
    silences = read_silences(connection)
    documents = [
        {
            "uid": one.uid,
            "kind": one.kind,
            "key": one.key,
            "severity": one.severity,
            "scope": one.scope,
            "subject": one.subject,
            "department": one.department,
            "quota_id": one.quota,
            "content": dict(one.content),
            "notify": list(one.notify),
            "silenced_by": silence_for(one, silences, moment),
        }
        for one in rows
    ]
    kept = connection.execute(
        text(f"""
        insert into alert (uid, kind, key, severity, scope, subject, department, quota_id, content, notify, silenced_by,
                           as_of)
        select r.uid, r.kind, r.key, r.severity, r.scope, r.subject, r.department, r.quota_id, r.content, r.notify,
               r.silenced_by, :moment
        from jsonb_to_recordset(cast(:rows as jsonb)) as r (
          uid text, kind text, key text, severity text, scope text, subject text, department text, quota_id integer,
          content jsonb, notify text[], silenced_by bigint)
        on conflict do nothing
        returning {_COLUMNS}"""),
        {"rows": json.dumps(documents, ensure_ascii=False), "moment": moment},
    )
    new = sorted((_alert(row) for row in kept), key=lambda alert: alert.id)
    _keep_thresholds(connection, [alert.id for alert in new if alert.kind == "threshold"])
    return new


def read_alerts(connection: Connection, wanted: Wanted | None = None, *, ids: Collection[int] = ()) -> list[Alert]:
    """Alerts by id: those that are wanted, or some by id."""
    asked = wanted or Wanted()
    rows = connection.execute(
        text(f"""
        select {_COLUMNS} from alert
        where id > :after and (cast(:ids as bigint[]) is null or id = any(:ids))
          and (cast(:kind as text) is null or kind = :kind)
          and (cast(:severity as text) is null or severity = :severity)
          and (cast(:department as text) is null or department = :department)
          and (cast(:quota as integer) is null or quota_id = :quota)
          and (cast(:since as timestamptz) is null or recorded_at >= :since)
        order by id"""),
        {
            "after": asked.after_id, "ids": sorted(ids) or None, "kind": asked.kind, "severity": asked.severity,
            "department": asked.department, "quota": asked.quota, "since": asked.since,
        },
    )  # fmt: skip
    return [_alert(row) for row in rows]


def count_deliveries(connection: Connection, ids: Collection[int]) -> dict[int, int]:
    """How many recipients each of some alerts has, those that there are none for left out."""
    rows = connection.execute(
        text("select alert_id, count(*) as number from alert_delivery where alert_id = any(:ids) group by 1"),
        {"ids": sorted(ids)},
    )
    return {row.alert_id: row.number for row in rows}


def begin_watching(connection: Connection, kind: Kind, present: Iterable[str]) -> bool:
    """Note that a kind is looked at. At the first time what is `present` becomes known, so that it is never due;
    returns whether it was the first time."""
    is_first = connection.execute(
        text("insert into alert_watch (kind) values (:kind) on conflict do nothing returning true"), {"kind": kind}
    ).scalar()
    if not is_first:
        connection.execute(text("update alert_watch set looked_at = now() where kind = :kind"), {"kind": kind})
        return False
    connection.execute(
        text("insert into alert_known (kind, key) select :kind, unnest(cast(:keys as text[])) on conflict do nothing"),
        {"kind": kind, "keys": sorted(set(present))},
    )
    return True


def told_or_known(connection: Connection, kind: Kind, keys: Sequence[str]) -> set[str]:
    """Those of some keys that are kept or known already."""
    rows = connection.execute(
        text("""select key from alert where kind = :kind and key = any(:keys)
                union all select key from alert_known where kind = :kind and key = any(:keys)"""),
        {"kind": kind, "keys": list(keys)},
    )
    return {row.key for row in rows}


def _known_uids(connection: Connection, uids: Collection[str]) -> set[str]:
    if not uids:
        return set()
    rows = connection.execute(text("select uid from alert where uid = any(:uids)"), {"uids": list(uids)})
    return {row.uid for row in rows}


def _keep_thresholds(connection: Connection, ids: Sequence[int]) -> None:
    """The rows that law 8 judges thresholds by, under the alerts' ids."""
    if ids:
        connection.execute(
            text("""
            insert into quota_alert (id, quota_id, subject, window_hour, threshold, used, limit_amount)
            overriding system value
            select id, quota_id, subject, (content ->> 'window_hour')::integer, (content ->> 'threshold')::numeric,
                   (content ->> 'used')::numeric, (content ->> 'limit')::numeric
            from alert where id = any(:ids) order by id"""),
            {"ids": list(ids)},
        )


def _alert(row: Any) -> Alert:
    return Alert(**{**row._asdict(), "notify": tuple(row.notify)})
