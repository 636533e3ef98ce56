"""A small world for the tests of invoices: metered use put straight into the tables, and bills made by other code.

The bills share nothing with our rating: prices are written here as whole micro-cents a token, sums are integers, and
text is put together by hand.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import psycopg

MICROCENTS = 100_000_000
"""A dollar."""
PRICES = {
    ("gpt-5-mini-2025-08-07", "input"): 25,
    ("gpt-5-mini-2025-08-07", "cached input"): 3,
    ("gpt-5-mini-2025-08-07", "output"): 200,
    ("gpt-4o-2024-08-06", "input"): 250,
    ("gpt-4o-2024-08-06", "output"): 1000,
}
"""What one token costs, in micro-cents: 0.25 dollars a million is 25."""
WORDS = {"input": "input_tokens", "cached input": "cache_read_tokens", "output": "output_tokens"}


class Used(NamedTuple):
    """Tokens of one kind on one UTC day."""

    day: date
    model: str
    what: str
    tokens: int
    account: str | None = None


def put_prices(
    connection: psycopg.Connection[Any], prices: dict[tuple[str, str], int], provider: str = "openai"
) -> None:
    """The same prices for us, as dollars a million."""
    connection.execute(
        """insert into book_import (id, book, origin, name, sha256, rows_added, actor)
           values (1, 'price', 'contract', 'test', repeat('0', 64), 1, 'test')"""
    )
    for number, ((model, what), price) in enumerate(sorted(prices.items()), 1):
        connection.execute(
            """insert into price (id, import_id, origin, provider, model, unit, service_tier, currency, price, per,
                                  valid_from, source)
               values (%s, 1, 'contract', %s, %s, %s, 'standard', 'USD', %s::numeric / 100, 1000000,
                       '2026-01-01Z', 'test')""",
            (number, provider, model, WORDS[what], price),
        )


def put_use(
    connection: psycopg.Connection[Any], use: Iterable[Used], *, hour: int = 5, provider: str = "openai"
) -> None:
    """Metered use: one part for each item, at an hour of its UTC day. A sixth of the output counts as reasoning."""
    connection.execute("""insert into topic_log (cluster_id, topic, topic_id) values ('c', 'usage.events', 't')
                          on conflict do nothing""")
    connection.execute("insert into payer (department, attributed_by) values ('D1', 'event') on conflict do nothing")
    for item in use:
        connection.execute(
            """insert into route (source, provider, model, account, service_tier, status, usage_source)
               values ('gateway', %s, %s, %s, 'standard', 'success', 'provider') on conflict do nothing""",
            (provider, item.model, item.account),
        )
        units = {WORDS[item.what]: item.tokens}
        if item.what == "output":
            units = {"output_tokens": item.tokens - item.tokens // 6, "reasoning_tokens": item.tokens // 6}
        at = datetime(item.day.year, item.day.month, item.day.day, hour, tzinfo=UTC)
        connection.execute(
            f"""insert into usage_part
                  (hour, route_id, payer_id, partition, log_id, events, requests, {", ".join(units)})
                select %s, r.id, (select min(id) from payer), 0, 1, 1, 1, {", ".join("%s" for _ in units)}
                from route r where provider = %s and model = %s and account is not distinct from %s""",
            (int(at.timestamp()) // 3600, *units.values(), provider, item.model, item.account),
        )


def cost_of(item: Used, prices: dict[tuple[str, str], int]) -> int:
    """What the vendor takes for it, in micro-cents."""
    return item.tokens * prices[item.model, item.what]


def dollars(microcents: int) -> str:
    """1.23456789, exactly."""
    sign = "-" if microcents < 0 else ""
    return f"{sign}{abs(microcents) // MICROCENTS}.{abs(microcents) % MICROCENTS:08d}"


def seconds(day: date) -> int:
    """The unix second at which a UTC day begins."""
    return (day - date(1970, 1, 1)).days * 86400


def bucket(day: date, results: Sequence[str]) -> str:
    """A bucket of the costs API."""
    return (
        f'{{"object":"bucket","start_time":{seconds(day)},"end_time":{seconds(day) + 86400},'
        f'"results":[{",".join(results)}]}}'
    )


def result(item: Used, microcents: int, *, spelling: str = "{model}, {what}", with_quantity: bool = True) -> str:
    """A result of the costs API; the amount is a JSON number with eight decimals."""
    text = spelling.format(model=item.model, what=item.what)
    quantity = f'"quantity":{item.tokens}.0,"quantity_unit":"tokens",' if with_quantity else ""
    account = "null" if item.account is None else f'"{item.account}"'
    return (
        f'{{"object":"organization.costs.result","amount":{{"value":{dollars(microcents)},"currency":"usd"}},'
        f'"line_item":"{text}",{quantity}"project_id":{account},"organization_id":"org-1"}}'
    )


def page(buckets: Sequence[str]) -> str:
    """A page of the costs API."""
    return f'{{"object":"page","data":[{",".join(buckets)}],"has_more":false,"next_page":null}}'


def bill(billed: Sequence[Used], prices: dict[tuple[str, str], int], days: Sequence[date], **how: Any) -> str:
    """A whole page: a bucket for each day, also for those without use."""
    return page(
        [
            bucket(day, [result(item, cost_of(item, prices), **how) for item in billed if item.day == day])
            for day in days
        ]
    )


def month_days(first: date = date(2026, 10, 1)) -> list[date]:
    """The days of October 2026."""
    return [first + timedelta(days=n) for n in range(31)]
