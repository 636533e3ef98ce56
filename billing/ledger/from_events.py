"""Sums rebuilt from the ledger of events, for one transaction: how a replay and a doubter read a month.

A temporary table of the name `usage_part` takes the place of the stored one in this session until the transaction ends,
so that every reader of sums, whoever wrote it, reads what the events say. Offsets restrict it to what had been read at
some moment: a close with the cut-offs of another close gives that close's statements, also where more has been read
since (contract.md, section 9, Replay).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from billing.sums import WIDE_UNITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.ledger.closes import CutOff


def rebuild_sums(connection: Connection, end_hour: int, until: Sequence[CutOff] | None = None) -> None:
    """From here to the end of the transaction, sums before `end_hour` are those of the events below `until` (all where
    None). Of copies of one event the first counts, as `take_out_copies` decides it (sql/migrations/0002.sql)."""
    limit = None if until is None else json.dumps([one._asdict() for one in until])
    if limit is not None:
        connection.execute(
            text("""create temporary table event_limit on commit drop as
                    select * from jsonb_to_recordset(cast(:until as jsonb))
                      as c (log smallint, partition integer, next_offset bigint)"""),
            {"until": limit},
        )
    units = ", ".join(f"sum({unit})::bigint as {unit}" for unit in WIDE_UNITS)
    nothing = ", ".join("null" for _ in WIDE_UNITS)
    connection.execute(
        text(f"""
        create temporary table usage_part on commit drop as
        with read_then as (select * from jsonb_to_recordset(cast(:until as jsonb))
                           as c (log smallint, partition integer, next_offset bigint)),
             told as (
               select e.*, row_number() over (partition by right(e.event_key::text, 28)
                                              order by e.log_id, e.kafka_offset, e.partition, e.event_key) as copy
               from usage_event e
               left join read_then c on c.log = e.log_id and c.partition = e.partition
               where cast(:until as jsonb) is null or e.kafka_offset < c.next_offset),
             event as (
               select *, hour_of(time) as hour, prompt_band(prompt_tokens) as band
               from told where copy = 1 and time < hour_start(:end_hour))
        select hour, band, route_id, payer_id, partition, log_id, 'events' as reason, count(*) as events, {units},
               null::jsonb as other_units
        from event group by hour, band, route_id, payer_id, partition, log_id
        union all
        select hour, band, route_id, payer_id, partition, log_id, 'events', 0, {nothing},
               jsonb_build_object(o.key, sum(o.value::bigint))
        from event cross join lateral jsonb_each_text(other_units) o
        group by hour, band, route_id, payer_id, partition, log_id, o.key"""),
        {"until": limit, "end_hour": end_hour},
    )


def has_limit(connection: Connection) -> bool:
    """Whether this transaction reads only events below the offsets of the temporary table `event_limit`."""
    return bool(connection.execute(text("select to_regclass('pg_temp.event_limit') is not null")).scalar_one())


def reads_rebuilt_sums(connection: Connection) -> bool:
    """Whether `rebuild_sums` stands before the stored sums in this transaction."""
    return connection.execute(text("select to_regclass('pg_temp.usage_part')")).scalar() is not None
