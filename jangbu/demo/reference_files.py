"""The files that people bring beside the usage: roster, prices, exchange rates, vendors (contract.md, section 7)."""

from __future__ import annotations

import csv
import random
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from jangbu.demo.departments import BY_CODE
from jangbu.demo.hours import is_day_off
from jangbu.demo.models import BATCH_PRICES_USD, BATCHED, BY_NAME, DOMESTIC_PRICES_KRW

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from jangbu.demo.people import City

ROSTER, PRICES, RATES, VENDORS = "roster.csv", "prices.csv", "fx.csv", "vendors.csv"
SINCE = "2025-01-01"
DAYS_BEFORE_MONTH = 7
FIRST_RATE = Decimal("1391.4")
RATE_STEP = Decimal("0.1")
INVENTED = "invented for the demo"
SEAT_COLUMNS = ("user", "key", "department", "department_name", "cost_centre", "valid_from", "valid_to",
                "pledge_signed_on")


def write_reference_files(directory: Path, city: City, month: str, seed: int) -> None:
    """All four; the same city, month and seed give the same bytes."""
    _write(directory / ROSTER, SEAT_COLUMNS, _roster(city))
    _write(directory / PRICES, ("provider", "model", "unit", "service_tier", "currency", "price", "per", "valid_from",
                                "source"), _prices())
    _write(directory / RATES, ("date", "base", "quote", "rate", "source"), _rates(month, seed))
    _write(directory / VENDORS, ("vendor", "creditor", "providers", "accounts", "zone", "currency", "tax_mode",
                                 "tax_rate", "fx_policy", "settle_days"),
           [("openai", "OpenAI", "openai", "", "UTC", "USD", "none", "0", "usage_day", "2")])


def _roster(city: City) -> Iterable[Sequence[str]]:
    for caller in (*city.staff, *city.apps):
        assert caller.department is not None
        since, until = SINCE, "" if caller.move is None else caller.move.since.date().isoformat()
        yield _seat(caller.user, caller.key, caller.department, since, until)
        if caller.move is not None:
            yield _seat(caller.user, caller.key, caller.move.department, until, "")


def _seat(user: str | None, key: str | None, code: str, since: str, until: str) -> Sequence[str]:
    return user or "", key or "", code, BY_CODE[code].name, f"CC-{code[1:]}", since, until, ""


def _prices() -> Iterable[Sequence[str]]:
    for model, (price_in, price_out) in DOMESTIC_PRICES_KRW.items():
        for unit, price in (("input_tokens", price_in), ("output_tokens", price_out)):
            yield BY_NAME[model].provider, model, unit, "", "KRW", price, "1000000", SINCE, INVENTED
    for unit, price in BATCH_PRICES_USD.items():
        yield "openai", BATCHED, unit, "batch", "USD", price, "1000000", SINCE, INVENTED


def _rates(month: str, seed: int) -> Iterable[Sequence[str]]:
    """A rate for each Korean working day, from before the month (its first day may be a holiday) to its end in UTC."""
    rng = random.Random(f"jangbu rates {month} {seed}")  # noqa: S311 - invented rates, no secret
    day = date.fromisoformat(f"{month}-01") - timedelta(days=DAYS_BEFORE_MONTH)
    end = _first_of_next(month)
    rate = FIRST_RATE
    while day <= end:
        if not is_day_off(day):
            rate += RATE_STEP * rng.randrange(-70, 71)
            yield day.isoformat(), "USD", "KRW", format(rate, "f"), INVENTED
        day += timedelta(days=1)


def _first_of_next(month: str) -> date:
    first = date.fromisoformat(f"{month}-01")
    return (first + timedelta(days=31)).replace(day=1)


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
