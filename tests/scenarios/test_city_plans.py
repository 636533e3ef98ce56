"""The city's own figures: seats for everybody against use, in the proportions that it published.

Seats for 10,000 at 30,000 won a month are 3.6 billion a year (its estimate was about 3 billion), use was planned at
about 200 million; in the first four months 6,318 people used about 55 million where seats would have cost about 760
million.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from billing.plans.seat_document import comparison_document, months_between, read_month
from billing.store import snapshot

if TYPE_CHECKING:
    from tests.scenarios.house import House

PEOPLE = 6318
HEAVY = 100
SEAT = Decimal(30_000)
FIRST_MONTHS = [f"2026-{number:02}" for number in range(1, 5)]
LATER_MONTHS = [f"2026-{number:02}" for number in range(5, 13)]


@pytest.fixture
def city(house: House) -> House:
    """One won a token. In each of the first four months 100 people use 40,000 won, 6,217 use 1,568, one 1,744: together
    13,750,000. In each of the others 100 use 60,000, 6,217 use 1,950, one 1,850: together 18,125,000."""
    house.prices("openai,gpt-x,input_tokens,,,,KRW,1,1,2026-01-01T00:00:00Z,,letter")
    house.use("2025-12-31T00:00:00Z", "D001", "gpt-x", {"input_tokens": 1})
    with house.as_role("owner") as connection:
        connection.execute(
            text("""
            insert into payer (department, attributed_by, "user")
            select 'D' || lpad((n % 120)::text, 3, '0'), 'user', 'u-' || lpad(n::text, 5, '0')
            from generate_series(1, :people) n"""),
            {"people": PEOPLE},
        )
        connection.execute(
            text("""
            insert into roster ("user", department, valid_from)
            select "user", department, '2025-01-01Z' from payer where "user" is not null""")
        )
        for months, heavy, light, last in ((FIRST_MONTHS, 40_000, 1568, 1744), (LATER_MONTHS, 60_000, 1950, 1850)):
            for month in months:
                connection.execute(
                    text("""
                    insert into usage_part (hour, route_id, payer_id, partition, log_id, events, input_tokens)
                    select hour_of(cast(:start as timestamptz)) + (right("user", 5)::integer % 600), 1, id, 0, 1, 1,
                           case when right("user", 5)::integer <= :heavy_people then :heavy
                                when right("user", 5)::integer < :people then :light else :last end
                    from payer where "user" is not null"""),
                    {"start": f"{month}-03T00:00:00+09:00", "heavy_people": HEAVY, "people": PEOPLE, "heavy": heavy,
                     "light": light, "last": last},
                )  # fmt: skip
    return house


def compared(city: House, months: str, seats: int | None = None, **more: Any) -> dict[str, Any]:
    """`plan compare --months` as the command makes it."""
    engine = city._reader  # the login that reads
    with snapshot(engine) as connection:
        read = [read_month(connection, month, city.policy, seats) for month in months_between(months)]
    return comparison_document(read, SEAT, city.policy, **more)


def test_the_first_four_months(city: House) -> None:
    found = compared(city, "2026-01..2026-04")
    assert found["seats"] == {"count": 6318, "price": "30000", "total": "758160000", "from": "roster"}
    assert (found["usage"]["total"], found["cheaper"], found["difference"]) == ("55000000", "usage", "703160000")
    assert (found["users_cheaper_on_seat"], found["mixed_total"]) == (100, "51000000")
    assert found["break_even"]["people"] == 100
    (first, *_) = found["by_month"]
    assert (first["seats"]["total"], first["usage"]["total"], first["mixed_total"]) == (
        "189540000",
        "13750000",
        "12750000",
    )


def test_a_year_of_seats_for_everybody(city: House) -> None:
    found = compared(city, "2026-01..2026-12", 10_000, candidates=570)
    assert (found["seats"]["total"], found["usage"]["total"]) == ("3600000000", "200000000")
    assert found["cheaper"] == "usage"
    # 100 people used 4 x 40,000 + 8 x 60,000 = 640,000 each, where a seat is 360,000.
    assert (found["users_cheaper_on_seat"], found["mixed_total"]) == (100, "172000000")
    chosen = found["candidates"]
    assert (chosen["seats"], len(chosen["rows"]), chosen["seats_total"]) == (570, 570, "205200000")
    # The other 470 seats are wasted but for the 4 x 1,568 + 8 x 1,950 = 21,872 won of use that each replaces; the one
    # person who uses a little less is not among them.
    assert chosen["total_with_them"] == str(172_000_000 + 470 * (360_000 - 21_872))


def test_570_seats_cost_more_than_a_seat_for_those_it_pays_for(city: House) -> None:
    found = compared(city, "2026-10..2026-10", candidates=570)
    assert found["month"] == "2026-10"
    assert Decimal(found["mixed_total"]) < Decimal(found["usage"]["total"]) < Decimal(found["seats"]["total"])
    assert Decimal(found["candidates"]["total_with_them"]) > Decimal(found["usage"]["total"])
    assert [row["saving_exact"] for row in found["candidates"]["rows"][99:101]] == ["30000", "-28050"]
