"""Data quality: quarantine by reason, what came when, copies, late events, lag by partition, silent sources."""

from __future__ import annotations

import json
from typing import Any, Final, Literal

from sqlalchemy import text

from billing.alerts.facts import hours_heard
from billing.alerts.pipeline_rules import silent_due
from billing.ledger.closes import last_closed, read_closes
from billing.periods import hour_number, hour_start
from billing.sentences import Sentence
from jangbu.errors import JangbuError, NotFoundError, UsageError
from jangbu.quarantine_decisions import decide
from jangbu.redriving import redrive_open
from jangbu.settings_kafka import broker_of
from jangbu.web.paging import PAGE, page_document, page_number, part_of, take_total
from jangbu.web.rights import ORGANISATION, PLATFORM
from jangbu.web.signin.trail import note
from jangbu.web.views import Action, Ask, Document, Done, Field, Form, Parameter, Registered, Table, View

STATES: Final = ("open", "redriven", "dismissed")
COLUMNS: Final = ("id", "state", "code", "field", "value", "reason", "partition", "offset", "record_time", "found_at")
WEEKS_HEARD: Final = 5
DAYS_SHOWN: Final = 31
HOURS_A_DAY: Final = 24
_LIST: Final = """
  select id, state, code, field, value, reason, partition, kafka_offset as "offset", record_time, found_at, decided_at,
         decided_by, record_value is not null as can_be_sent, count(*) over () as total
  from quarantine where state = :state and (cast(:code as text) is null or code = :code)
  order by id desc limit :limit offset :skip"""
_DAYS: Final = """
  select (committed_at at time zone :zone)::date as day, sum(records)::bigint as records, sum(stored)::bigint as stored,
         sum(duplicates)::bigint as duplicates, sum(quarantined)::bigint as quarantined
  from stream_chunk where committed_at > :now - make_interval(days => :days) group by 1 order by 1 desc"""
_LAST_CHUNK: Final = """(select committed_at from stream_chunk c
  where (c.log_id, c.partition) = (o.log_id, o.partition) order by first_offset desc limit 1)"""
_LOGS: Final = f"""
  select l.id, l.topic, l.first_seen, count(*) as partitions, sum(o.next_offset)::bigint as read_up_to,
         max({_LAST_CHUNK}) as last, coalesce(max(q.records), 0) as quarantined
  from topic_log l join stream_offset o on o.log_id = l.id
  left join (select log_id, count(*) as records from quarantine where state = 'open' group by 1) q on q.log_id = l.id
  group by l.id order by greatest(max({_LAST_CHUNK}), l.first_seen) desc, l.id desc"""
"""The lives of the topic that were read, the last one first: a topic that is made anew begins at 0 again."""
_PARTITIONS: Final = f"""
  select l.topic, o.log_id, o.partition, o.next_offset, {_LAST_CHUNK} as last
  from stream_offset o join topic_log l on l.id = o.log_id where o.log_id = :log order by o.partition"""
_STORED: Final = """
  select o.partition, o.next_offset from stream_offset o join topic_log l on l.id = o.log_id
  where (l.cluster_id, l.topic, l.topic_id) = (:cluster, :topic, :topic_id)"""
_LATE: Final = """
  with read_then as (select * from jsonb_to_recordset(cast(:cut_offs as jsonb))
                     as c (log smallint, partition integer, next_offset bigint))
  select to_char(e.time at time zone :zone, 'YYYY-MM') as month, r.source, count(*) as events,
         min(e.time) as first_time, max(e.time) as last_time
  from usage_event e join route r on r.id = e.route_id
  left join read_then c on c.log = e.log_id and c.partition = e.partition
  where e.event_key < cast(:end as uuid) and e.kafka_offset >= coalesce(c.next_offset, 0)
  group by 1, 2 order by 1 desc, 2"""


def read_quality(ask: Ask) -> Document:
    """Everything at one look; quarantine by reason and state."""
    connection = ask.connection
    codes = connection.execute(
        text("select code, field, state, count(*) as records from quarantine group by 1, 2, 3 order by 4 desc, 1, 2")
    )
    zone = ask.books.settings.timezone
    days = connection.execute(text(_DAYS), {"zone": zone, "now": ask.now, "days": DAYS_SHOWN})
    lost = connection.execute(
        text("""select l.topic, s.log_id, partition, first_offset, next_offset, reason, accepted_by, accepted_at
                from stream_lost s join topic_log l on l.id = s.log_id order by accepted_at""")
    )
    logs = [dict(row._mapping) for row in connection.execute(text(_LOGS))]
    log = logs[0] if logs else None
    partitions = connection.execute(text(_PARTITIONS), {"log": None if log is None else log["id"]})
    return {
        "quarantine": [dict(row._mapping) for row in codes],
        "days": [dict(row._mapping) for row in days],
        "sources": _sources(ask),
        "log": log, "earlier_logs": logs[1:], "partitions": [dict(row._mapping) for row in partitions],
        "lag": _lag(ask) if ask.one("lag") == "1" else None,
        "closed_until": last_closed(connection), "late": _late(ask) if ask.one("late") == "1" else None,
        "lost": [dict(row._mapping) for row in lost],
    }


def _sources(ask: Ask) -> list[dict[str, Any]]:
    """Each source of the last weeks: when it was last heard, and whether it is silent for longer than usual. What weeks
    hold but for the last day changes seldom: it is read again where something came late."""
    hour = hour_number(ask.now)
    first, day = hour - WEEKS_HEARD * 7 * HOURS_A_DAY, hour - HOURS_A_DAY
    earlier = ask.unchanged("hours heard", day, lambda: hours_heard(ask.connection, first, day), first)
    latest = hours_heard(ask.connection, day)
    heard = {source: earlier.get(source, set()) | latest.get(source, set()) for source in {*earlier, *latest}}
    silent = {due.content["source"] for due in silent_due(heard, hour, ask.books.settings.timezone)}
    return [
        {"source": source, "last_hour": hour_start(max(hours)), "is_silent": source in silent,
         "is_quiet": hour - max(hours) > HOURS_A_DAY}
        for source, hours in sorted(heard.items())
    ]  # fmt: skip


def _lag(ask: Ask) -> list[dict[str, Any]] | None:
    """How many records each partition holds that are not stored; None where Kafka does not tell."""
    from kafka.errors import KafkaError

    from producers.topic import TopicMissing, describe_log, reach

    settings = ask.books.settings
    try:
        with ask.books.context.services(kafka=True) as endpoints:
            broker = broker_of(settings, endpoints)
            if broker is None:
                return None
            log = describe_log(broker, settings.topic)
            ends = reach(broker, log)
    except (KafkaError, TopicMissing, JangbuError):
        return None
    life = {"cluster": log.cluster_id, "topic": log.topic, "topic_id": log.topic_id}
    stored = {row.partition: row.next_offset for row in ask.connection.execute(text(_STORED), life)}
    return [
        {"partition": partition, "stored": stored.get(partition, 0), "end": place.end,
         "waiting": max(0, place.end - stored.get(partition, 0))}
        for partition, place in sorted(ends.items())
    ]  # fmt: skip


def _late(ask: Ask) -> list[dict[str, Any]] | None:
    """Events of closed months that were read after the last close, by month and source; None while none is closed.

    The next close books them as corrections (billing.ledger.evidence). Identities begin with the UTC hour.
    """
    closes = read_closes(ask.connection)
    if not closes:
        return None
    end = max(one.month.end_hour for one in closes)
    told = {
        "cut_offs": json.dumps([one._asdict() for one in closes[-1].cut_offs]),
        "end": f"{end:08x}-0000-0000-0000-000000000000", "zone": ask.books.settings.timezone,
    }  # fmt: skip
    return [dict(row._mapping) for row in ask.connection.execute(text(_LATE), told)]


def read_quarantine(ask: Ask) -> Document:
    """Records of one state and reason, the newest first, with the field that was wrong."""
    state = ask.one("state", "open")
    if state not in STATES:
        raise UsageError(Sentence("%(state)s is no state: use %(known)s", state=repr(state), known=", ".join(STATES)))
    number = page_number(ask)
    asked = {"state": state, "code": ask.one("code"), **part_of(number)}
    rows = [dict(row._mapping) for row in ask.connection.execute(text(_LIST), asked)]
    total = take_total(rows)
    return {"state": state, "code": ask.one("code"), "states": list(STATES), "quarantine": rows,
            "shown": page_document(number, total, rows)}  # fmt: skip


def _table(_ask: Ask, document: Document) -> Table:
    rows = [[one[name] for name in COLUMNS] for one in document["quarantine"]]
    return Table("quarantine", COLUMNS, rows, ("id", "partition", "offset"))


def _chosen(form: Form) -> tuple[tuple[int, ...], str | None]:
    """The numbers that were ticked, or the code of which all are meant. Raises UsageError."""
    ids = form.many("id")
    if any(not one.isascii() or not one.isdigit() or len(one) > 18 for one in ids):
        raise UsageError(Sentence("a number of the list is none: open the list again and tick records there"))
    code = None if ids else form.optional("code")
    if not ids and code is None:
        raise UsageError(Sentence("nothing is chosen: tick records, or choose all of one reason"))
    return tuple(map(int, ids)), code


def redrive(ask: Ask, form: Form) -> Done:
    """Send open records again as they were, after what was wrong has been mended."""
    ids, code = _chosen(form)
    sent = redrive_open(ask.books.settings, ask.books.engine("billing"), ids, code, ask.identity, dry_run=False)
    if not sent:
        raise NotFoundError(
            Sentence("no open record of the reason %(code)s has its bytes: nothing was sent", code=repr(code))
        )
    with ask.books.change() as connection:
        note(connection, ask.identity, "redrive", "quarantine", detail={"ids": sent[:100], "count": len(sent)})
    sentence = ask.text("%(count)s records were accepted into the outbox and go through again.", count=len(sent))
    return Done("/data-quality/quarantine", sentence, {"redriven": sent})


def _decision(decision: Literal["dismissed", "reopened"], sentence: str) -> Any:
    def do(ask: Ask, form: Form) -> Done:
        ids, code = _chosen(form)
        with ask.books.change() as connection:
            numbers = decide(connection, decision, ids, code, form.text("reason"), ask.identity)
        going = "/data-quality/quarantine" + ("?state=dismissed" if decision == "reopened" else "")
        return Done(going, ask.text(sentence, count=len(numbers)), {decision: numbers})

    return do


_CHOICE: Final = (
    Field("id", "numbers of records", "many", required=False), Field("code", "all of one reason", required=False),
)  # fmt: skip
REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/data-quality", title="Data quality", rule=ORGANISATION, read=read_quality,
         template="data_quality.html", parameters=(Parameter("lag", "1: ask Kafka how far it is", ("1",)),
                                                        Parameter("late", "1: look for late events", ("1",))),
         about="Quarantine by reason, what came by day, copies left out, sources, partitions, late events."),
    View(path="/data-quality/quarantine", title="Quarantine", rule=ORGANISATION, read=read_quarantine,
         template="quarantine.html", table=_table, about="Records that were no event, or contradicted one.",
         parameters=(Parameter("state", "which", STATES), Parameter("code", "only one reason"), PAGE)),
    Action(path="/data-quality/quarantine/redrive", title="Send again", rule=PLATFORM, do=redrive, fields=_CHOICE,
           about="Send open records again, as they were and with their own timestamps."),
    Action(path="/data-quality/quarantine/dismiss", title="Dismiss", rule=PLATFORM,
           do=_decision("dismissed", "%(count)s records are dismissed: they are not counted."),
           fields=(*_CHOICE, Field("reason", "why; it is kept")),
           about="Decide that records are not to be counted. They stay on record."),
    Action(path="/data-quality/quarantine/reopen", title="Reopen", rule=PLATFORM,
           do=_decision("reopened", "%(count)s records are open again."),
           fields=(*_CHOICE, Field("reason", "why; it is kept")), about="Take dismissed records back."),
)  # fmt: skip
