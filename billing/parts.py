"""Where sums are read from: days that are rolled up, and beside them the parts that are not (sql/migrations/0009.sql).

Sums without people, keys and hours are the same whether they are added up from hourly parts or from rolled days, of
which there are far fewer. A day is taken whole where nothing that money depends on changes within it; of other days the
parts are read. What was written since somebody last rolled up is read as parts too, so that the result is always that
of the snapshot, to the last digit, and only its speed depends on when that was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text

WIDE_UNITS = (
    "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_tokens",
    "output_tokens", "reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "image_input_tokens",
    "image_output_tokens", "video_input_tokens", "web_searches", "requests",
)  # fmt: skip
"""The units with a column of their own in usage_part; the others stand in `other_units`."""

_KEYS = "hour, band, route_id, payer_id"
_SINCE = "(written >= :lowest and not is_seen(written, cast(:next_number as bigint), cast(:running as bigint[])))"
_HOURS = "hour >= :first_hour and hour < :end_hour"


@dataclass(frozen=True, slots=True)
class Source:
    """Something to select from, with its values: rows of hour, band, route_id, payer_id, the named `units`, and
    `other_units` where `has_others`. Rows of rolled days have the day's first hour, and any payer of the department."""

    sql: str
    values: dict[str, Any]
    units: tuple[str, ...]
    has_others: bool
    is_rolled: bool = False


def add_up_in_memory(connection: Connection) -> None:
    """Until the transaction ends: compiling a query costs more than it saves, and groups that do not fit into memory
    are sorted on disk."""
    connection.execute(text("select set_config('jit', 'off', true), set_config('work_mem', '128MB', true)"))


def read_source(
    connection: Connection, first_hour: int, end_hour: int, edges: Sequence[int], *, by_person: bool = False
) -> Source:
    """The sums of [first_hour, end_hour), where no row crosses one of `edges` (UTC hours). `by_person`: people and keys
    are asked for, which rolled days do not tell apart. All queries must see one state: call it in a snapshot."""
    hours = {"first_hour": first_hour, "end_hour": end_hour}
    mark = None if by_person else _read_mark(connection)
    if mark is None:
        return _of_parts(connection, _HOURS, hours)
    days = _read_days(connection, hours)
    whole, where = _beside(days, {first_hour, end_hour, *edges})
    values = {**hours, **mark}
    beside = _of_parts(connection, where, values)
    if not whole:
        return beside
    units = {*beside.units, *(unit for day in whole for unit in day.units)}
    columns = [unit for unit in WIDE_UNITS if unit in units]
    shown = ", ".join([*columns, "other_units"])
    rolled = f"""
      (select first_hour as hour, band, route_id, payer_id, {shown} from usage_roll
       where first_hour = any(cast(:whole_days as integer[]))
       union all
       select {_KEYS}, {shown} from usage_part where {where})"""
    values["whole_days"] = [day.first_hour for day in whole]
    return Source(rolled, values, tuple(columns), beside.has_others or any(day.has_others for day in whole), True)


def read_own(connection: Connection, first_hour: int, end_hour: int, user: str) -> Source:
    """The parts of [first_hour, end_hour) that one user's calls made. The connection is a snapshot."""
    where = f'{_HOURS} and payer_id = any(array(select id from payer where "user" = :own_user))'
    return _of_parts(connection, where, {"first_hour": first_hour, "end_hour": end_hour, "own_user": user})


Mark = dict[str, Any]
"""A snapshot, as the values by which what was written since is told."""


def read_mark(connection: Connection) -> Mark:
    """This snapshot's."""
    row = connection.execute(
        text("""select pg_snapshot_xmin(now_seen)::text::bigint as lowest,
                       pg_snapshot_xmax(now_seen)::text::bigint as next_number,
                       array(select one::text::bigint from pg_snapshot_xip(now_seen) one) as running
                from pg_current_snapshot() now_seen""")
    ).one()
    return row._asdict()


def read_new(connection: Connection, first_hour: int, since: Mark) -> Source:
    """The parts from an hour on that an earlier snapshot did not see."""
    return _of_parts(connection, f"hour >= :first_hour and {_SINCE}", {"first_hour": first_hour, **since})


def roll_up(engine: Engine, zone: str) -> int:
    """Roll up what was written since the last time, by days of a zone; how many parts. `engine` is billing's or the
    worker's. Whoever reads afterwards reads less; nothing else depends on it."""
    with engine.begin() as connection:
        return int(connection.execute(text("select roll_up_usage(:zone)"), {"zone": zone}).scalar_one())


def first_and_last_hour(connection: Connection) -> tuple[int, int] | None:
    """The first and the last UTC hour that hold usage, or None."""
    mark = _read_mark(connection)
    if mark is None:
        row = connection.execute(text("select min(hour), max(hour) from usage_part")).one()
    else:
        row = connection.execute(
            text(f"""select min(low), max(high) from (
                       select min(hour_min) as low, max(hour_max) as high from usage_roll_day
                       union all select min(hour), max(hour) from usage_part where {_SINCE}) both_of_them"""),
            mark,
        ).one()
    return None if row[0] is None else (int(row[0]), int(row[1]))


def count_parts(connection: Connection, first_hour: int, end_hour: int) -> int:
    """How many parts of [first_hour, end_hour) are stored, whatever table stands before them."""
    hours = {"first_hour": first_hour, "end_hour": end_hour}
    query = f"select count(*) from public.usage_part where {_HOURS}"
    mark = _read_mark(connection, of_stored=True)
    if mark is None:
        return int(connection.execute(text(query), hours).scalar_one())
    whole, where = _beside(_read_days(connection, hours), {first_hour, end_hour})
    query = f"select count(*) from public.usage_part where {where}"
    beside = connection.execute(text(query), {**hours, **mark}).scalar_one()
    return int(beside) + sum(int(day.parts) for day in whole)


def _read_days(connection: Connection, hours: dict[str, Any]) -> Sequence[Any]:
    return connection.execute(
        text("""select first_hour, end_hour, parts, units, has_others from usage_roll_day
                where end_hour > :first_hour and first_hour < :end_hour order by first_hour"""),
        hours,
    ).all()


def _beside(days: Sequence[Any], edges: set[int]) -> tuple[list[Any], str]:
    """The days that no edge cuts, and the condition of the parts that they do not hold."""
    cut = [day for day in days if any(day.first_hour < edge < day.end_hour for edge in edges)]
    stretches = "".join(f" or hour >= {day.first_hour} and hour < {day.end_hour}" for day in cut)
    return [day for day in days if day not in cut], f"{_HOURS} and ({_SINCE}{stretches})"


def _read_mark(connection: Connection, *, of_stored: bool = False) -> dict[str, Any] | None:
    """Up to where this database's sums are rolled up, as the values of `_SINCE`.

    None where they are not, and where a replay's table stands before the stored parts (billing/ledger/from_events.py),
    unless the stored ones are asked for.
    """
    row = connection.execute(
        text("""select lowest, next_number, running from usage_roll_mark
                where cluster = (select system_identifier from pg_control_system())
                  and (:of_stored or to_regclass('pg_temp.usage_part') is null)"""),
        {"of_stored": of_stored},
    ).one_or_none()
    return None if row is None else row._asdict()


def _of_parts(connection: Connection, where: str, values: dict[str, Any]) -> Source:
    """The parts of a condition, with the units that any of them has: adding up a column of nothing costs as much as one
    of figures."""
    counts = ", ".join(f"count({unit}) > 0" for unit in (*WIDE_UNITS, "other_units"))
    row = connection.execute(text(f"select {counts} from usage_part where {where}"), values).one()
    units = tuple(unit for unit, is_there in zip(WIDE_UNITS, row, strict=False) if is_there)
    shown = ", ".join([_KEYS, *units, "other_units"])
    return Source(f"(select {shown} from usage_part where {where})", dict(values), units, bool(row[-1]))
