"""What happened to a closed month's use since the last close: the facts by which a correction names its reason."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text

from billing.breaks.shared import decisions_since
from billing.ledger.from_events import has_limit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.charges import Department
    from billing.ledger.closes import Close, CutOff
    from billing.periods import Month

Model = tuple["Department", str, str]
"""(department, provider, model)."""


class LateEvents(NamedTuple):
    """Events of one partition that came after what was read at the last close (`after`: the last offset read then)."""

    partition: int
    after: int
    events: int
    redriven: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Late events by department and model; models that copies were taken out of; how many copies of the month."""

    late: Mapping[Model, Sequence[LateEvents]] = field(default_factory=dict)
    copied: frozenset[Model] = frozenset()
    copies: int = 0
    decided: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What was decided about the month's breaks, by vendor."""


def read_evidence(connection: Connection, month: Month, last: Close) -> Evidence:
    """The facts of a month since the close `last`."""
    return Evidence(
        _late_events(connection, month, last.cut_offs),
        _copied_models(connection, month),
        _copies(connection, month, last.inputs.get("quarantine", 0)),
        decisions_since(connection, month.name, last.inputs.get("break_decision", 0)),
    )


def _late_events(
    connection: Connection, month: Month, cut_offs: Sequence[CutOff]
) -> dict[Model, list[LateEvents]]:
    limit = "join event_limit n on n.log = e.log_id and n.partition = e.partition and e.kafka_offset < n.next_offset"
    rows = connection.execute(
        text(f"""
        with read_then as (select * from jsonb_to_recordset(cast(:cut_offs as jsonb))
                           as c (log smallint, partition integer, next_offset bigint))
        select y.department, r.provider, r.model, e.partition, coalesce(c.next_offset, 0) - 1 as after,
               count(*) as events, count(q.record_key) as redriven
        from usage_event e
        join route r on r.id = e.route_id
        join payer y on y.id = e.payer_id
        left join read_then c on c.log = e.log_id and c.partition = e.partition
        {limit if has_limit(connection) else ""}
        left join (select distinct record_key from quarantine where state = 'redriven') q
          on q.record_key = convert_to(r.source || '/' || e.event_id, 'UTF8')
        where e.event_key >= cast(:low as uuid) and e.event_key < cast(:high as uuid)
          and e.kafka_offset >= coalesce(c.next_offset, 0)
        group by e.log_id, 1, 2, 3, 4, 5
        order by e.log_id, 1, 2, 3, 4, 5"""),
        {
            "cut_offs": json.dumps([one._asdict() for one in cut_offs]),
            "low": _first_key(month.first_hour),
            "high": _first_key(month.end_hour),
        },
    )
    found: dict[Model, list[LateEvents]] = {}
    for department, provider, model, *facts in rows:
        found.setdefault((department, provider, model), []).append(LateEvents(*facts))
    return found


def _first_key(hour: int) -> str:
    """The smallest identity of an hour: identities begin with 4 bytes of UTC hour (sql/migrations/0001.sql)."""
    return f"{hour:08x}-0000-0000-0000-000000000000"


def _copied_models(connection: Connection, month: Month) -> frozenset[Model]:
    rows = connection.execute(
        text("""select distinct y.department, r.provider, r.model
                from public.usage_part p join route r on r.id = p.route_id join payer y on y.id = p.payer_id
                where p.reason = 'copy' and p.hour >= :first and p.hour < :end"""),
        {"first": month.first_hour, "end": month.end_hour},
    )
    return frozenset((row.department, row.provider, row.model) for row in rows)


def _copies(connection: Connection, month: Month, after_id: int) -> int:
    return int(
        connection.execute(
            text("""select count(*) from quarantine where code = 'duplicate_other_time' and id > :after
                    and record_time >= hour_start(:first) and record_time < hour_start(:end)"""),
            {"after": after_id, "first": month.first_hour, "end": month.end_hour},
        ).scalar_one()
    )
