"""Leases and settled calls in PostgreSQL. Nothing here decides anything; the connection is billing's but for reads."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, text

from billing.quotas.leases import Account, Life, Settled, Slice

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

DESK_LOCK = 0x6A620020
"""Advisory lock of whoever grants: one transaction at a time, so that ids of settled calls come in commit order."""
_TOO_MANY_KEYS = 20_000


class Process(NamedTuple):
    """A gateway process's life as it is kept."""

    id: int
    source: str
    last_report: int
    is_closed: bool


class Kept(NamedTuple):
    """A settled call with its row's id and when it was told."""

    id: int
    at: datetime
    call: Settled


def lock_desk(connection: Connection) -> None:
    """Wait until nobody else grants; held to the end of the transaction."""
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": DESK_LOCK})


def heard_of(connection: Connection, life: str, slot: str, source: str) -> Process:
    """The process of a life, which has just been heard of; a new one ends the earlier lives of its slot."""
    row = connection.execute(
        text("""update quota_process set heard_at = now() where life = :life
                returning id, source, last_report, closed_at is not null as is_closed"""),
        {"life": life},
    ).one_or_none()
    if row is not None:
        return Process(*row)
    row = connection.execute(
        text("""insert into quota_process (life, slot, source) values (:life, :slot, :source)
                returning id, source, last_report, false as is_closed"""),
        {"life": life, "slot": slot, "source": source},
    ).one()
    connection.execute(
        text("update quota_process set ended_at = now() where slot = :slot and id <> :id and ended_at is null"),
        {"slot": slot, "id": row.id},
    )
    return Process(*row)


def note_report(connection: Connection, process_id: int, number: int, *, closing: bool) -> None:
    """Remember the newest report of a process, and its end."""
    connection.execute(
        text("""update quota_process set last_report = :number,
                       ended_at = case when :closing then coalesce(ended_at, now()) else ended_at end
                where id = :id"""),
        {"id": process_id, "number": number, "closing": closing},
    )


def note_drained(connection: Connection, process_id: int, slot: str) -> None:
    """The earlier lives of a slot have nothing left in its outbox."""
    connection.execute(
        text("""update quota_process set drained_at = now()
                where slot = :slot and id <> :id and drained_at is null and closed_at is null"""),
        {"slot": slot, "id": process_id},
    )


def live_processes(connection: Connection) -> int:
    """How many processes were heard of lately."""
    return int(
        connection.execute(
            text("select count(*) from quota_process where ended_at is null and heard_at > now() - interval '15 s'")
        ).scalar_one()
    )


def slices_of(connection: Connection, accounts: Collection[Account]) -> dict[int, dict[Account, Slice]]:
    """The slices of some accounts that count, by process."""
    rows = connection.execute(
        text("""
        select l.process_id, l.quota_id, l.subject, l.window_hour, l.granted, l.returned, l.settled
        from unnest(cast(:quotas as integer[]), cast(:subjects as text[]), cast(:hours as integer[]))
             asked (quota_id, subject, window_hour)
        join quota_lease l using (quota_id, subject, window_hour) where l.closed_at is null"""),
        _columns(accounts),
    )
    found: dict[int, dict[Account, Slice]] = {}
    for process_id, quota, subject, hour, *amounts in rows:
        found.setdefault(process_id, {})[Account(quota, subject, hour)] = Slice(*(int(one) for one in amounts))
    return found


def outstanding(connection: Connection) -> dict[Account, int]:
    """What counts as spent in slices, by account."""
    rows = connection.execute(
        text("""select quota_id, subject, window_hour, sum(greatest(0, granted - returned - settled))
                from quota_lease where closed_at is null group by 1, 2, 3""")
    )
    return {Account(row[0], row[1], row[2]): int(row[3]) for row in rows}


def write_slices(connection: Connection, process_id: int, slices: Mapping[Account, Slice]) -> None:
    """Keep a process's slices as they are now."""
    values: list[dict[str, Any]] = [
        {"process": process_id, **account._asdict(), "granted": one.granted, "returned": one.returned,
         "settled": one.settled}
        for account, one in sorted(slices.items())
    ]  # fmt: skip
    if values:
        connection.execute(
            text("""insert into quota_lease (process_id, quota_id, subject, window_hour, granted, returned, settled)
                    values (:process, :quota, :subject, :window_hour, :granted, :returned, :settled)
                    on conflict (process_id, quota_id, subject, window_hour) do update
                    set granted = excluded.granted, returned = excluded.returned, settled = excluded.settled"""),
            values,
        )


def write_settled(connection: Connection, calls: Iterable[Settled]) -> None:
    """Keep settled calls."""
    values: list[dict[str, Any]] = [
        {**_columns([account for account, _ in call.amounts]), "key": call.event_key.hex(),
         "amounts": [amount for _, amount in call.amounts]}
        for call in calls
    ]  # fmt: skip
    if values:
        connection.execute(
            text("""insert into quota_settled (event_key, quota_ids, subjects, window_hours, amounts)
                    values (cast(:key as uuid), :quotas, :subjects, :hours, cast(:amounts as numeric[]))"""),
            values,
        )


def settled_after(connection: Connection, last_id: int) -> list[Kept]:
    """Settled calls that came after one, in the order in which they came."""
    rows = connection.execute(
        text("""select id, settled_at, uuid_send(event_key) as key, quota_ids, subjects, window_hours, amounts
                from quota_settled where id > :last order by id"""),
        {"last": last_id},
    )
    return [
        Kept(
            row.id,
            row.settled_at,
            Settled(
                bytes(row.key),
                tuple(
                    (Account(quota, subject, hour), int(amount))
                    for quota, subject, hour, amount in zip(
                        row.quota_ids, row.subjects, row.window_hours, row.amounts, strict=True
                    )
                ),
            ),
        )
        for row in rows
    ]


def in_the_sums(connection: Connection, keys: Collection[bytes]) -> set[bytes]:
    """Of event keys those in the ledger, and so in the sums of this snapshot; at most a number of them is looked up."""
    wanted = [key.hex() for key in list(keys)[:_TOO_MANY_KEYS]]
    if not wanted:
        return set()
    rows = connection.execute(
        text("select uuid_send(event_key) from usage_event where event_key = any(cast(:keys as uuid[]))"),
        {"keys": wanted},
    )
    return {bytes(row[0]) for row in rows}


def drop_settled(connection: Connection, ids: Collection[int]) -> None:
    """Forget settled calls that every door has seen in the sums."""
    connection.execute(text("delete from quota_settled where id = any(:ids)"), {"ids": list(ids)})


def silent_lives(connection: Connection, silent_s: int) -> dict[int, Life]:
    """The lives that were not heard of for some seconds and whose slices still count; times in seconds since 1970."""
    rows = connection.execute(
        text("""select id, extract(epoch from heard_at)::bigint, extract(epoch from ended_at)::bigint,
                       extract(epoch from drained_at)::bigint
                from quota_process where closed_at is null and heard_at < now() - make_interval(secs => :silent)"""),
        {"silent": silent_s},
    )
    return {row[0]: Life(*row[1:]) for row in rows}


def close_lives(connection: Connection, process_ids: Collection[int]) -> None:
    """Their slices count no more."""
    for statement in (
        "update quota_lease set closed_at = now() where process_id = any(:ids) and closed_at is null",
        "update quota_process set closed_at = now() where id = any(:ids)",
    ):
        connection.execute(text(statement), {"ids": list(process_ids)})


def _columns(accounts: Collection[Account]) -> dict[str, Any]:
    return {
        "quotas": [account.quota for account in accounts],
        "subjects": [account.subject for account in accounts],
        "hours": [account.window_hour for account in accounts],
    }
