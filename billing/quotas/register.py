"""Quotas in PostgreSQL, and when they were looked at. Nothing here decides anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from billing.plans.registers import lock_registers, write_register
from billing.programmes.register import held_applications, held_programmes
from billing.quotas.membership import NOBODY, Members
from billing.quotas.quota import Quota, QuotaKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

LOOK_LOCK = 0x6A620008
"""Advisory lock of looking for alerts: one at a time, so that each is told once."""


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


def read_members(connection: Connection, rows: Iterable[Quota], zone: str) -> Members:
    """Who counts for which programme; nobody where no row is a programme's."""
    if not any(row.key.scope == "programme" for row in rows):
        return NOBODY
    return Members(held_programmes(connection).values(), held_applications(connection), zone)


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
