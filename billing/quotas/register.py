"""Quotas and their alerts in PostgreSQL. Nothing here decides anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, text

from billing.plans.registers import lock_registers, write_register
from billing.quotas.quota import Quota, QuotaKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from billing.quotas.states import QuotaState

LOOK_LOCK = 0x6A620008
"""Advisory lock of looking for alerts: one at a time, so that each is told once."""


class Alert(NamedTuple):
    """A threshold that was reached in a window, as it is kept."""

    id: int
    quota: int
    scope: str
    subject: str
    model: str
    unit: str
    window: str
    window_hour: int
    threshold: Decimal
    used: Decimal
    limit: Decimal
    recorded_at: datetime
    notify: tuple[str, ...]


def held_quotas(connection: Connection) -> list[Quota]:
    """All rows by id, also those that a later one replaced."""
    rows = connection.execute(
        text("""select id, scope, subject, model, unit, window_kind, limit_amount, thresholds, notify, mode,
                       valid_from, valid_to from quota order by id""")
    )
    return [
        Quota(
            row.id,
            QuotaKey(row.scope, row.subject, row.model, row.unit, row.window_kind),
            row.limit_amount,
            tuple(row.thresholds),
            tuple(row.notify),
            row.mode,
            row.valid_from,
            row.valid_to,
        )
        for row in rows
    ]


def known_since(connection: Connection) -> dict[int, datetime]:
    """When each row was imported."""
    rows = connection.execute(
        text("select q.id, i.imported_at from quota q join register_import i on i.id = q.import_id")
    )
    return {row.id: row.imported_at for row in rows}


def write_quotas(connection: Connection, rows: Sequence[Quota], *, name: str, sha256: str, actor: str) -> None:
    """Add rows in the caller's transaction; the billing login, under `lock_registers`."""
    lock_registers(connection)
    values: list[dict[str, Any]] = [
        {
            "scope": row.key.scope,
            "subject": row.key.subject,
            "model": row.key.model,
            "unit": row.key.unit,
            "window_kind": row.key.window,
            "limit_amount": row.limit,
            "thresholds": list(row.thresholds),
            "notify": list(row.notify),
            "mode": row.mode,
            "valid_from": row.valid_from,
            "valid_to": row.valid_to,
        }
        for row in rows
    ]
    write_register(connection, "quota", values, name=name, sha256=sha256, actor=actor)


def record_alerts(connection: Connection, states: Sequence[QuotaState]) -> list[int]:
    """Keep each threshold that is reached, once; returns the ids of those that are new. The billing login."""
    due: list[dict[str, Any]] = [
        {
            "quota": state.quota.id,
            "subject": state.subject,
            "hour": state.window.first_hour,
            "threshold": threshold,
            "used": state.used,
            "limit": state.limit,
        }
        for state in states
        for threshold in state.crossed
    ]
    new: list[int] = []
    known = _known(connection, {one["hour"] for one in due})
    for one in due:
        if (one["quota"], one["subject"], one["hour"], one["threshold"]) in known:
            continue
        row = connection.execute(
            text("""insert into quota_alert (quota_id, subject, window_hour, threshold, used, limit_amount)
                    values (:quota, :subject, :hour, :threshold, :used, :limit)
                    on conflict do nothing returning id"""),
            one,
        ).scalar()
        if row is not None:
            new.append(int(row))
    return new


def lock_look(connection: Connection) -> bool:
    """Whether this transaction is the one that looks; another is at it otherwise."""
    return bool(connection.execute(text("select pg_try_advisory_xact_lock(:key)"), {"key": LOOK_LOCK}).scalar_one())


def note_look(connection: Connection, moment: datetime, zone: str) -> None:
    """Remember that every quota was looked at as of an instant."""
    connection.execute(
        text("""insert into quota_look (looked_at, as_of, zone) values (now(), :moment, :zone)
                on conflict (only_row) do update
                set looked_at = excluded.looked_at, as_of = excluded.as_of, zone = excluded.zone"""),
        {"moment": moment, "zone": zone},
    )


def read_alerts(connection: Connection, *, after_id: int = 0, only_id: int | None = None) -> list[Alert]:
    """Alerts by id: those after one, or one alone."""
    rows = connection.execute(
        text("""
        select a.id, a.quota_id as quota, q.scope, a.subject, q.model, q.unit, q.window_kind as "window", a.window_hour,
               a.threshold, a.used, a.limit_amount as "limit", a.recorded_at, q.notify
        from quota_alert a join quota q on q.id = a.quota_id
        where a.id > :after and (cast(:only as bigint) is null or a.id = :only) order by a.id"""),
        {"after": after_id, "only": only_id},
    )
    return [Alert(**{**row._asdict(), "notify": tuple(row.notify)}) for row in rows]


def _known(connection: Connection, hours: set[int]) -> set[tuple[int, str, int, Decimal]]:
    rows = connection.execute(
        text("""select quota_id, subject, window_hour, threshold from quota_alert
                where window_hour = any(cast(:hours as integer[]))"""),
        {"hours": sorted(hours)},
    )
    return {(row.quota_id, row.subject, row.window_hour, row.threshold) for row in rows}
