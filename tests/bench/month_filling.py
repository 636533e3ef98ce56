"""A month of the house in a real ledger, fast: three days through decode, prepare and store, the other days in SQL.

The three days are the product's own work, and checked. Every other day of the month is one of them again, moved by
whole days: other times, keys, ids and offsets, the same people and quantities; its chunks and offsets too, so that the
laws hold. So rows are as many, as wide and in the same order as if each had come through a worker.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from billing.fx import FxRow
from billing.periods import month_in
from billing.price_file import read_prices
from billing.seeding import seed_prices
from billing.store import add_fx, add_prices
from jangbu.database import connect as engine_of
from jangbu.demo.models import BY_NAME, DOMESTIC_PRICES_KRW
from producers.topic import TopicLog
from streams.chunk import Chunk, Record
from tests.bench.bare_loop import CHUNK_RECORDS, Hands
from tests.bench.house import FIRST_DAY
from tests.bench.stage import Disturbed, connect
from tests.bench.truth import Truth, check_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from jangbu.services.postgres import DatabaseUrls
    from tests.bench.house import Event, House

ZONE = "Asia/Seoul"
MONTH = FIRST_DAY.strftime("%Y-%m")
BASE_DAYS = 3
"""Days that go through decode, prepare and store."""
YEAR = 12
LOG = TopicLog("bench", "usage.events", "monthend", 4)
ACTOR = "os:bench"
SINCE = "2025-01-01"
INVENTED = "invented for the benchmarks"
RATE_FIRST, RATE_STEPS = 13914, 61
"""Tenths of a won for a dollar on the first day, and by how many of them other days differ at most."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What the ledger holds of the month."""

    events: int
    parts: int


def month_names(count: int) -> list[str]:
    """The month and those after it."""
    year, number = int(MONTH[:4]), int(MONTH[5:]) - 1
    return [f"{year + (number + place) // 12:04d}-{(number + place) % 12 + 1:02d}" for place in range(count)]


def import_prices_and_rates(urls: DatabaseUrls) -> None:
    """The list prices, the demo's domestic ones, and a rate a working day for a year: before any event, because bands
    follow prices."""
    lines = ["provider,model,unit,currency,price,per,valid_from,source"]
    for model, (price_in, price_out) in DOMESTIC_PRICES_KRW.items():
        for unit, price in (("input_tokens", price_in), ("output_tokens", price_out)):
            lines.append(f"{BY_NAME[model].provider},{model},{unit},KRW,{price},1000000,{SINCE},{INVENTED}")
    rows = read_prices("\n".join(lines).encode(), "prices.csv")
    engine = engine_of(urls.billing)
    with engine.begin() as connection:
        seed_prices(connection, ACTOR)
    with engine.begin() as connection:
        add_prices(connection, rows, "contract", name="prices.csv", sha256="0" * 64, actor=ACTOR)
    with engine.begin() as connection:
        add_fx(connection, list(_rates()), name="fx.csv", sha256="1" * 64, actor=ACTOR)
    engine.dispose()


def fill_month(urls: DatabaseUrls, house: House, events: int, say: Callable[[str], None]) -> Filled:
    """Bring so many events into MONTH, rounded up to equal days. Raises Disturbed, WrongSums."""
    month = month_in(MONTH, ZONE)
    a_day = -(-events // len(month.days))
    hands, truth = Hands(urls.worker, LOG), Truth()
    next_offsets = [dict.fromkeys(range(LOG.partitions), 0)]
    for number in range(BASE_DAYS):
        day = house.day(number, a_day)
        next_offsets.append(_store_day(hands, house.events(day), next_offsets[-1]))
        truth.add(house.truth(day))
    log_id = hands.log_id
    hands.close()
    with connect(urls.owner) as connection:
        check_ledger(connection, truth)
        say(f"{truth.events:,} events stored; the other days of {MONTH} are made of them")
        first = next(place for place, day in enumerate(month.days) if day == FIRST_DAY)
        at = next_offsets[-1]
        for place in range(len(month.days)):
            base = (place - first) % BASE_DAYS
            if first <= place < first + BASE_DAYS:
                continue
            begin, end = next_offsets[base], next_offsets[base + 1]
            copy = DayCopy(log_id, place, month.day_hours[first + base], month.day_hours[place], begin, end, at)
            at = copy.run(connection)
        row = connection.execute(
            "select (select count(*) from usage_event), count(*), sum(events) from usage_part"
        ).fetchone()
        assert row is not None
        if row[0] != row[2] or row[0] != a_day * len(month.days):
            raise Disturbed(f"the month holds {row[0]} events, sums of {row[2]}; {a_day * len(month.days)} were wanted")
        connection.execute("vacuum analyze")
        connection.execute("checkpoint")
    return Filled(row[0], row[1])


def roll_up(worker_url: str) -> float:
    """What a worker does once it has nothing to read; how long it took, in seconds."""
    began_s = time.perf_counter()
    with connect(worker_url) as connection:
        connection.execute("select roll_up_usage()")
    return time.perf_counter() - began_s


def order_days(urls: DatabaseUrls) -> None:
    """What workers have done by the end of a year, some days a minute, and what PostgreSQL clears away after them."""
    with connect(urls.worker) as connection:
        connection.execute("select order_rolled_days(400)")
    with connect(urls.owner) as connection:
        connection.execute("vacuum analyze usage_roll_person")


def add_months(owner_url: str, names: list[str]) -> None:
    """Kept sums of later months: the sums of MONTH moved by whole days, cut off where the month is shorter. No events:
    nothing reads them there."""
    source = month_in(MONTH, ZONE)
    with connect(owner_url) as connection:
        others = ", ".join(_columns(connection, "usage_part", {"hour", "written"}))
        for name in names:
            target = month_in(name, ZONE)
            shift = target.first_hour - source.first_hour
            end = min(source.end_hour, target.end_hour - shift)
            connection.execute(
                f"insert into usage_part (hour, {others}) select hour + %s, {others} from usage_part "
                "where hour >= %s and hour < %s".encode(),
                (shift, source.first_hour, end),
            )
        connection.execute("vacuum analyze usage_part")
        connection.execute("checkpoint")


@dataclass(frozen=True, slots=True)
class DayCopy:
    """One stored day again on another day. Offsets by partition: where the stored day begins and ends, and where its
    copy begins."""

    log_id: int
    number: int
    from_hour: int
    to_hour: int
    begin: dict[int, int]
    end: dict[int, int]
    at: dict[int, int]

    def run(self, connection: psycopg.Connection[Any]) -> dict[int, int]:
        """Insert events, sums and chunks, move the offsets; returns where the copy ends."""
        after = {one: self.at[one] + self.end[one] - self.begin[one] for one in self.at}
        values = {
            "shift": self.to_hour - self.from_hour, "number": str(self.number), "log_id": self.log_id,
            "first": self.from_hour, "end": self.from_hour + 24, "partitions": list(self.at),
            "moves": [self.at[one] - self.begin[one] for one in self.at], "begins": list(self.begin.values()),
            "ends": list(self.end.values()), "afters": list(after.values()),
            "first_key": f"{self.from_hour:08x}" + "0" * 24, "end_key": f"{self.from_hour + 24:08x}" + "0" * 24,
        }  # fmt: skip
        with connection.transaction():
            for statement in self._statements(connection):
                connection.execute(statement.encode(), values)
        return after

    def _statements(self, connection: psycopg.Connection[Any]) -> Iterator[str]:
        events = _columns(connection, "usage_event", {"event_key", "time", "kafka_offset", "event_id"})
        parts = ", ".join(_columns(connection, "usage_part", {"hour", "written"}))
        moved = """unnest(%(partitions)s::integer[], %(moves)s::bigint[], %(begins)s::bigint[], %(ends)s::bigint[],
                          %(afters)s::bigint[]) m (partition, move, begins, ends, after)"""
        yield f"""
          insert into usage_event (event_key, time, kafka_offset, event_id, {", ".join(events)})
          select (lpad(to_hex(hour_of_key(e.event_key) + %(shift)s), 8, '0')
                  || right(md5(e.event_key::text || %(number)s), 24))::uuid,
                 e.time + make_interval(hours => %(shift)s), e.kafka_offset + m.move, e.event_id || '-' || %(number)s,
                 {", ".join(f"e.{name}" for name in events)}
          from usage_event e join {moved} on m.partition = e.partition
          where e.event_key >= %(first_key)s::uuid and e.event_key < %(end_key)s::uuid
          order by e.event_key"""
        yield f"""insert into usage_part (hour, {parts}) select hour + %(shift)s, {parts} from usage_part
                  where hour >= %(first)s and hour < %(end)s"""
        yield f"""
          insert into stream_chunk (log_id, partition, first_offset, next_offset, records, stored, duplicates,
                                    quarantined, worker)
          select log_id, c.partition, first_offset + m.move, next_offset + m.move, records, stored, duplicates,
                 quarantined, worker
          from stream_chunk c join {moved} on m.partition = c.partition
          where c.log_id = %(log_id)s and c.first_offset >= m.begins and c.first_offset < m.ends"""
        yield f"""update stream_offset o set next_offset = m.after from {moved}
                  where o.log_id = %(log_id)s and o.partition = m.partition"""


def _store_day(hands: Hands, events: Iterator[Event], begin: dict[int, int]) -> dict[int, int]:
    """Hand a day's events over in chunks of one partition, dealt out in turn; returns the offsets after it."""
    at = dict(begin)
    held: dict[int, list[Record]] = {partition: [] for partition in at}

    def store(partition: int) -> None:
        records, held[partition] = held[partition], []
        if records:
            hands.store(hands.prepare(Chunk(partition, records[0].offset, records[-1].offset + 1, records, 1)))

    for count, (key, value, timestamp_ms) in enumerate(events):
        partition = count % len(at)
        held[partition].append(Record(at[partition], timestamp_ms, key, value))
        at[partition] += 1
        if len(held[partition]) == CHUNK_RECORDS:
            store(partition)
    for partition in at:
        store(partition)
    return at


def _columns(connection: psycopg.Connection[Any], table: str, without: set[str]) -> list[str]:
    """A table's columns as SQL names them, some left out."""
    rows = connection.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped "
        "order by attnum", (table,),
    )  # fmt: skip
    return [f'"{row[0]}"' for row in rows if row[0] not in without]


def _rates() -> Iterator[FxRow]:
    """Won for a dollar on every weekday, from a year before the month to the end of the year after it."""
    from decimal import Decimal

    day = date.fromisoformat(f"{MONTH}-01") - timedelta(days=400)
    end = date.fromisoformat(f"{month_names(YEAR)[-1]}-01") + timedelta(days=31)
    while day <= end:
        if day.weekday() < 5:
            rate: Decimal = Decimal(RATE_FIRST + day.toordinal() * 37 % RATE_STEPS).scaleb(-1)
            yield FxRow(0, day, "USD", "KRW", rate, INVENTED)
        day += timedelta(days=1)
