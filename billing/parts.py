"""Where sums are read from: days that are rolled up, and beside them the parts that are not (sql/migrations/0009.sql).

Sums without people, keys and hours are the same whether they are added up from hourly parts or from rolled days, of
which there are far fewer. A day is taken whole where nothing that money depends on changes within it; of other days the
parts are read. What was written since somebody last rolled up is read as parts too, so that the result is always that
of the snapshot, to the last digit, and only its speed depends on when that was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, text

WIDE_UNITS = (
    "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_tokens",
    "output_tokens", "reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "image_input_tokens",
    "image_output_tokens", "video_input_tokens", "web_searches", "requests",
)  # fmt: skip
"""The units with a column of their own in usage_part; the others stand in `other_units`."""

Model = tuple[str, str]
"""(provider, model)."""
NO_MODELS: Final[Mapping[int, Collection[Model]]] = MappingProxyType({})
_KEYS = "hour, band, route_id, payer_id"
_SINCE = "(written >= :lowest and not is_seen(written, cast(:next_number as bigint), cast(:running as bigint[])))"
_HOURS = "hour >= :first_hour and hour < :end_hour"


@dataclass(frozen=True, slots=True)
class Source:
    """Something to select from, with its values: rows of hour, band, route_id, payer_id, the named `units`, and
    `other_units` where `has_others`. Rows of rolled days have the day's first hour and, unless people were asked for,
    any payer of the department."""

    sql: str
    values: dict[str, Any]
    units: tuple[str, ...]
    has_others: bool
    is_rolled: bool = False


def add_up_in_memory(connection: Connection) -> None:
    """Until the transaction ends: compiling a query costs more than it saves; groups that do not fit into memory are
    sorted on disk. Joins are with arrays, of whose values the planner knows nothing: it would take a hundred thousand
    rows for three, and go over a list once for each of them. Hashing is right for few and for many."""
    names = {"jit": "off", "work_mem": "128MB", "enable_nestloop": "off", "enable_mergejoin": "off",
             "enable_sort": "off", "enable_indexscan": "off"}  # fmt: skip
    connection.execute(text("select " + ", ".join(f"set_config('{name}', '{to}', true)" for name, to in names.items())))


def read_source(
    connection: Connection, first_hour: int, end_hour: int, edges: Sequence[int], *, by_person: bool = False,
    payers: str = "", models_at: Mapping[int, Collection[Model]] = NO_MODELS,
) -> Source:  # fmt: skip
    """The sums of [first_hour, end_hour), where no row crosses one of `edges` (UTC hours). `by_person`: people and keys
    are asked for; `payers` is then a condition on the rows of `payer` that are wanted, whose values the query brings,
    so that no others are looked at. `models_at`: edges that only rows of these models may not cross.
    All queries must see one state: call it in a snapshot."""
    hours = {"first_hour": first_hour, "end_hour": end_hour}
    mark = _read_mark(connection)
    if mark is None:
        return _of_parts(connection, _HOURS, hours)
    loose = {hour: models for hour, models in models_at.items() if first_hour < hour < end_hour}
    days = _sort_days(_read_days(connection, hours), {first_hour, end_hour, *edges}, loose)
    values = {**hours, **mark, **days.values}
    beside = _of_parts(connection, f"{_HOURS} and ({_SINCE}{days.beside})", values)
    if not days.rolled:
        return beside
    units = {*beside.units, *(unit for day in days.rolled for unit in day.units)}
    columns = [unit for unit in WIDE_UNITS if unit in units]
    shown = ", ".join([*columns, "other_units"])
    table = "usage_roll_person" if by_person else "usage_roll"
    of_payers = f" and payer_id = any(array(select id from payer where {payers}))" if by_person and payers else ""
    rolled = f"""
      (select first_hour as hour, band, route_id, payer_id, {shown} from {table}
       where first_hour = any(cast(:rolled_days as integer[])){of_payers}{days.without}
       union all
       select {_KEYS}, {shown} from usage_part where {_HOURS} and ({_SINCE}{days.beside}))"""
    return Source(rolled, values, tuple(columns), beside.has_others or any(day.has_others for day in days.rolled), True)


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


def last_own_hour(connection: Connection, user: str) -> int | None:
    """An hour in the local day of a user's last use; None where there is none."""
    mark = _read_mark(connection)
    whose = 'payer_id = any(array(select id from payer where "user" = :own_user))'
    query = f"select max(hour) from usage_part where {whose}"
    if mark is not None:
        query = f"""select max(last) from (select max(first_hour) as last from usage_roll_person where {whose}
                    union all select max(hour) from usage_part where {whose} and {_SINCE}) both_of_them"""
    found = connection.execute(text(query), {"own_user": user, **(mark or {})}).scalar()
    return None if found is None else int(found)


def count_parts(connection: Connection, first_hour: int, end_hour: int) -> int:
    """How many parts of [first_hour, end_hour) are stored, whatever table stands before them."""
    hours = {"first_hour": first_hour, "end_hour": end_hour}
    query = f"select count(*) from public.usage_part where {_HOURS}"
    mark = _read_mark(connection, of_stored=True)
    if mark is None:
        return int(connection.execute(text(query), hours).scalar_one())
    days = _sort_days(_read_days(connection, hours), {first_hour, end_hour}, NO_MODELS)
    query = f"select count(*) from public.usage_part where {_HOURS} and ({_SINCE}{days.beside})"
    beside = connection.execute(text(query), {**hours, **mark}).scalar_one()
    return int(beside) + sum(int(day.parts) for day in days.rolled)


def _read_days(connection: Connection, hours: dict[str, Any]) -> Sequence[Any]:
    return connection.execute(
        text("""select first_hour, end_hour, parts, units, has_others from usage_roll_day
                where end_hour > :first_hour and first_hour < :end_hour order by first_hour"""),
        hours,
    ).all()


class _Days(NamedTuple):
    """Days that are read as rolled; the condition of those parts of other days that are read beside them, and of those
    rolled sums that are not, because an edge of their model cuts the day."""

    rolled: list[Any]
    beside: str
    without: str
    values: dict[str, Any]


def _sort_days(days: Sequence[Any], edges: set[int], models_at: Mapping[int, Collection[Model]]) -> _Days:
    """A day that an edge of everything cuts is read as parts; one that only edges of some models cut, as rolled but for
    these models."""
    rolled, beside, without = [], "", ""
    values: dict[str, Any] = {}
    for day in days:
        cuts = [edge for edge in edges if day.first_hour < edge < day.end_hour]
        stretch = f"hour >= {day.first_hour} and hour < {day.end_hour}"
        if not all(edge in models_at for edge in cuts):
            beside += f" or {stretch}"
            continue
        rolled.append(day)
        models = sorted({model for edge in cuts for model in models_at[edge]})
        if models:
            name = f"cut_{day.first_hour}"
            values |= {f"{name}_{column}": list(cells)
                       for column, cells in zip(("providers", "models"), zip(*models, strict=True), strict=True)}
            routes = f"""array(select id from route join unnest(cast(:{name}_providers as text[]),
              cast(:{name}_models as text[])) cut_model (cut_provider, cut_name)
              on provider = cut_provider and model = cut_name)"""
            beside += f" or {stretch} and route_id = any({routes})"
            without += f" and not (first_hour = {day.first_hour} and route_id = any({routes}))"
    return _Days(rolled, beside, without, {**values, "rolled_days": [day.first_hour for day in rolled]})


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
