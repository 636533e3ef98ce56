"""What the month end is compared with: DuckDB, which does the same sums and products on the same rows, exactly.

The parts of the month come out of PostgreSQL with the names of routes and payers; price rows are found by the product's
book and rates by their dates, as tables. That is loading, and not timed. Timed are the queries: sums by stretch of
hours, products with price and rate as DECIMAL, totals. No double anywhere: a sum that would not fit is an error.
"""

from __future__ import annotations

import json
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import duckdb

    from billing.periods import Month
    from billing.prices import PriceBook
    from billing.whatif.compare import Pricing

ROUNDS = 3
YEAR_ROUNDS = 2
PAGES = 20
UNITS = ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_tokens",
         "output_tokens", "reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "image_input_tokens",
         "image_output_tokens", "video_input_tokens", "web_searches", "requests")  # fmt: skip
QUESTION = ("provider", "model", "tier", "region", "band")
"""What prices depend on, beside unit and hour; a null region is kept as ''."""
QUANTITY, PRICE, RATE = "decimal(19, 0)", "decimal(10, 6)", "decimal(8, 4)"
"""Their product has 37 digits; DuckDB's sum of it has 38, all that it can."""
_SUMS = ", ".join(f"sum({unit}) as {unit}" for unit in UNITS)
STRETCHES = f"""
  select h.stretch, {", ".join(QUESTION)}, department, {_SUMS}
  from {{parts}} p join hours h on h.hour = p.hour where not cached {{where}} group by all"""
PRODUCTS = f"""
  select {{by}}, x.per, sum(q.quantity)::bigint as quantity,
         sum(q.quantity::{QUANTITY} * coalesce(x.price, 0)::{PRICE} * coalesce(r.rate, 1)::{RATE}) as amount
  from (unpivot {{sums}} on {", ".join(UNITS)} into name unit value quantity) q
  left join {{prices}} x using (provider, model, tier, region, band, unit, stretch)
  left join rates r on r.currency = x.currency and r.stretch = q.stretch
  group by all"""
LINE = "q.department, q.provider, q.model, q.unit"


def run_duck(settings: dict[str, Any]) -> int:
    """Load, measure, write the times and the figures."""
    import duckdb

    directory = Path(settings["directory"])
    connection = duckdb.connect(str(directory / "month.duckdb"))
    try:
        _load_parts(connection, settings, directory)
        document = _year(connection, settings) if "months" in settings else _month(connection, settings)
    finally:
        connection.close()
    Path(settings["result"]).write_text(json.dumps(document), encoding="utf-8")
    return 0


def _month(connection: duckdb.DuckDBPyConnection, settings: dict[str, Any]) -> dict[str, Any]:
    """The close's sums and products, the products alone, and one department's."""
    from billing.store import read_book, snapshot
    from billing.whatif.compare import Pricing
    from jangbu.database import connect

    with snapshot(connect(settings["database_url"])) as reading:
        _load_terms(connection, reading, [settings["month"]], [Pricing(read_book(reading))])
    query = f"with s as materialized ({STRETCHES}) {PRODUCTS}"
    whole = query.format(parts="parts", where="", by=LINE, sums="s", prices="prices_0")
    seconds, rows = _timed(connection, whole, ROUNDS)
    connection.execute(f"create table kept as {STRETCHES.format(parts='parts', where='')}")
    count = connection.execute("select count(*) from kept").fetchone()
    rating_s, _ = _timed(connection, PRODUCTS.format(by=LINE, sums="kept", prices="prices_0"), ROUNDS)
    page_s = []
    for place in range(PAGES):
        code = settings["departments"][place % len(settings["departments"])].replace("'", "''")
        where = f"and department = '{code}'"
        page = query.format(parts="parts", where=where, by=LINE, sums="s", prices="prices_0")
        page_s += _timed(connection, page, 1)[0]
    figures: dict[str, list[Any]] = {}
    for department, provider, model, unit, per, quantity, amount in rows:
        _add(figures, [department, provider, model, unit], quantity, _exact(amount, per))
    return {"close_s": seconds, "rating_s": rating_s, "sums": count[0] if count else 0, "page_s": page_s,
            "figures": _as_text(figures)}  # fmt: skip


def _year(connection: duckdb.DuckDBPyConnection, settings: dict[str, Any]) -> dict[str, Any]:
    """The year by both pricings."""
    from billing.periods import month_in
    from billing.policy import MoneyPolicy
    from billing.store import snapshot
    from billing.whatif.scenario import read_pricings
    from jangbu.database import connect

    zone, names = MoneyPolicy().zone, settings["months"]
    first = month_in(settings["month"], zone)
    connection.execute("create table year as select * from parts")
    for name in names[1:]:
        month = month_in(name, zone)
        shift = month.first_hour - first.first_hour
        connection.execute(
            f"insert into year select p.* replace (hour + {shift} as hour) from parts p "
            f"where hour + {shift} < {month.end_hour}"
        )
    with snapshot(connect(settings["database_url"])) as reading:
        _load_terms(connection, reading, names, read_pricings(reading, [], [settings["swap"]]))
    made = STRETCHES.format(parts="year", where="")
    connection.execute("create table stretch_month as select distinct stretch, month from hours")
    by = "q.month, q.department, q.provider, q.model"
    both = [
        PRODUCTS.format(by=by, sums="t", prices=prices).replace("x.per,", f"'{name}' as pricing, x.per,")
        for name, prices in (("now", "prices_0"), ("then", "prices_1"))
    ]
    query = f"""with s as materialized ({made}),
                     t as materialized (select s.*, m.month from s join stretch_month m using (stretch))
                {" union all ".join(f"({one})" for one in both)}"""
    seconds, rows = _timed(connection, query, YEAR_ROUNDS)
    figures: dict[str, list[Any]] = {}
    for month, department, provider, model, pricing, per, _, amount in rows:
        exact = _exact(amount, per)
        pair = (exact, Fraction(0)) if pricing == "now" else (Fraction(0), exact)
        for key in (["by_department", department], ["by_model", provider, model], ["by_month", month]):
            _add(figures, key, *pair)
    return {"year_s": seconds, "figures": _as_text(figures)}


def _load_parts(connection: duckdb.DuckDBPyConnection, settings: dict[str, Any], directory: Path) -> None:
    """The month's parts with their names."""
    import psycopg

    from billing.periods import month_in
    from billing.policy import MoneyPolicy

    month = month_in(settings["month"], MoneyPolicy().zone)
    queries = {
        "raw": f"""select hour, band, route_id, payer_id, {", ".join(UNITS)} from usage_part
                   where hour >= {month.first_hour} and hour < {month.end_hour}""",
        "route": "select id, provider, model, service_tier, region, status = 'cached' from route",
        "payer": "select id, department from payer",
    }
    columns = {
        "raw": {"hour": "integer", "band": "bigint", "route_id": "integer", "payer_id": "integer",
                **dict.fromkeys(UNITS, "bigint")},
        "route": {"id": "integer", "provider": "varchar", "model": "varchar", "tier": "varchar", "region": "varchar",
                  "cached": "boolean"},
        "payer": {"id": "integer", "department": "varchar"},
    }  # fmt: skip
    with psycopg.connect(settings["database_url"]) as source, source.cursor() as cursor:
        if cursor.execute("select count(*) from usage_part where other_units is not null").fetchone() != (0,):
            raise RuntimeError("some events have units without a column of their own, which this comparison leaves out")
        for name, query in queries.items():
            file = directory / f"{name}.csv"
            with file.open("wb") as out, cursor.copy(f"copy ({query}) to stdout (format csv)".encode()) as copy:
                for data in copy:
                    out.write(data)
            typed = "{" + ", ".join(f"'{column}': '{kind}'" for column, kind in columns[name].items()) + "}"
            connection.execute(f"create table {name} as from read_csv('{file}', header = false, columns = {typed})")
            file.unlink()
    connection.execute(f"""
      create table parts as
      select p.hour, p.band, r.provider, r.model, r.tier, coalesce(r.region, '') as region, r.cached, y.department,
             {", ".join(UNITS)}
      from raw p join route r on r.id = p.route_id join payer y on y.id = p.payer_id""")
    connection.execute("drop table raw")
    connection.execute("checkpoint")


def _load_terms(
    connection: duckdb.DuckDBPyConnection, reading: Any, names: Sequence[str], pricings: Sequence[Pricing]
) -> None:
    """The stretches of hours in which no price and no day changes, and of each its prices and rates."""
    from billing.periods import month_in
    from billing.policy import MoneyPolicy

    months = [month_in(name, MoneyPolicy().zone) for name in names]
    edges = _edges(months, [pricing.book for pricing in pricings])
    hours = [(hour, stretch, month) for stretch, (first, end, month) in enumerate(edges) for hour in range(first, end)]
    _table(connection, "hours", "hour integer, stretch integer, month varchar", hours)
    rates = reading.exec_driver_sql("select date, rate from fx_rate where base = 'USD' and quote = 'KRW' order by date")
    _table(connection, "rates", f"currency varchar, stretch integer, rate {RATE}", _rates(edges, list(rates)))
    asked = connection.execute(f"select distinct {', '.join(QUESTION)} from parts where not cached").fetchall()
    columns = f"{', '.join(f'{name} varchar' for name in QUESTION[:4])}, band bigint, unit varchar, stretch integer"
    for place, pricing in enumerate(pricings):
        rows = list(_prices(pricing, asked, edges))
        _table(connection, f"prices_{place}", f"{columns}, price {PRICE}, per bigint, currency varchar", rows)


def _edges(months: Sequence[Month], books: Sequence[PriceBook]) -> list[tuple[int, int, str]]:
    """(first hour, end hour, month) of every stretch."""
    found = []
    for month in months:
        cuts = {cut for book in books for cut in book.cuts(month.first_hour, month.end_hour)}
        starts = sorted({month.first_hour, *month.day_hours, *cuts})
        found += [(first, end, month.name) for first, end in zip(starts, [*starts[1:], month.end_hour], strict=True)]
    return found


def _rates(edges: Sequence[tuple[int, int, str]], rows: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """The last rate up to the day of each stretch, in Seoul."""
    from datetime import timedelta

    from billing.periods import hour_start

    for stretch, (first, _, _) in enumerate(edges):
        day = (hour_start(first) + timedelta(hours=9)).date()
        yield "USD", stretch, [rate for on, rate in rows if on <= day][-1]


def _prices(pricing: Pricing, asked: Iterable[Any], edges: Sequence[tuple[int, int, str]]) -> Iterator[tuple[Any, ...]]:
    """The row that holds, for every question, unit and stretch that has one."""
    for provider, model, tier, region, band in asked:
        question = pricing.asked(provider, model, tier, region or None, band)
        for unit in UNITS:
            for stretch, (first, _, _) in enumerate(edges):
                row = pricing.book.find(question, unit, first)
                if row is not None:
                    if row.price != round(row.price, 6) or row.currency not in ("KRW", "USD"):
                        raise RuntimeError(f"{row.code} costs {row.price} {row.currency}, which {PRICE} cannot hold")
                    yield provider, model, tier, region, band, unit, stretch, row.price, row.per, row.currency


def _table(connection: duckdb.DuckDBPyConnection, name: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """A table of rows: through Arrow, with every value as text, which DuckDB casts exactly."""
    import pyarrow

    names = [column.split()[0] for column in columns.replace("(10, 6)", "").replace("(8, 4)", "").split(", ")]
    columns_of = list(zip(*rows, strict=True))
    arrow = pyarrow.table({
        column: pyarrow.array([None if value is None else str(value) for value in values], pyarrow.string())
        for column, values in zip(names, columns_of, strict=True)
    })  # fmt: skip
    connection.register("loaded", arrow)
    connection.execute(f"create or replace table {name} ({columns})")
    connection.execute(f"insert into {name} select * from loaded")
    connection.unregister("loaded")


def _timed(connection: duckdb.DuckDBPyConnection, query: str, rounds: int) -> tuple[list[float], list[tuple[Any, ...]]]:
    seconds, rows = [], []
    for _ in range(rounds):
        began_s = time.perf_counter()
        rows = connection.execute(query).fetchall()
        seconds.append(time.perf_counter() - began_s)
    return seconds, rows


def _exact(amount: Decimal, per: int | None) -> Fraction:
    return Fraction(amount) / (per or 1)


def _add(figures: dict[str, list[Any]], key: list[Any], first: Any, second: Any) -> None:
    held = figures.setdefault(json.dumps(key), [0, 0])
    held[0] += first
    held[1] += second


def _as_text(figures: dict[str, list[Any]]) -> dict[str, list[str]]:
    return {key: [str(value) for value in values] for key, values in figures.items() if any(values)}
