"""Sums are cut where money needs it and no finer: hour by hour or in the widest stretches, a month is the same."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.cuts import Used, money_cuts
from billing.fx import FxRow, FxTable
from billing.fx_policy import Conversion
from billing.invoices.vendor_terms import VendorTerms
from billing.invoices.vendors import Vendor
from billing.periods import month_in
from billing.policy import MoneyPolicy
from billing.prices import PriceBook, PriceKey, PriceRow
from billing.rating import UsageSum, rate_month
from billing.statements import AddedLines, add_up, make_statements, rate_and_add_up

MONTH = month_in("2026-10", "Asia/Seoul")
WAYS = frozenset({("standard", None)})
USED = Used(
    {("p", "m-1"): WAYS, ("p", "m-2-2026-01-01"): WAYS, ("q", "m-1"): WAYS}, frozenset({("p", None), ("q", "acc")})
)
hours = st.integers(MONTH.first_hour, MONTH.end_hour - 1)


@st.composite
def books(draw: st.DrawFn) -> list[PriceRow]:
    """Rows that begin and end within the month, of models that are used and of others, by family and prefix."""
    rows = []
    for number in range(1, draw(st.integers(1, 10)) + 1):
        key = PriceKey(
            draw(st.sampled_from(["p", "q"])), draw(st.sampled_from(["m-1", "m-2", "m-*", "other"])),
            draw(st.sampled_from(["input_tokens", "output_tokens"])), "standard", None,
            draw(st.sampled_from([0, 200_000])),
        )  # fmt: skip
        begin = draw(st.one_of(st.just(0), hours))
        end = draw(st.one_of(st.none(), st.integers(begin + 1, MONTH.end_hour + 5)))
        currency = draw(st.sampled_from(["USD", "KRW", "EUR"]))
        rows.append(PriceRow(number, "contract", key, currency, Decimal(number), 1000, begin, end, "drawn"))
    return rows


def vendor(begin: date | None, end: date | None, policy: str, zone: str) -> Vendor:
    return Vendor(
        vendor="v", creditor="V", providers=("q",), accounts=(), zone=zone, currency="USD", tax_mode="none",
        tax_rate=Decimal(0), fx_policy=policy, settle_days=1, valid_from=begin, valid_to=end,
    )  # fmt: skip


days = st.sampled_from(MONTH.days)
registers = st.lists(
    st.builds(
        vendor,
        st.one_of(st.none(), days),
        st.none(),
        st.sampled_from(["", "usage_day", "month_average", "invoice_date"]),
        st.sampled_from(["UTC", "America/Los_Angeles", "Asia/Seoul"]),
    ),
    max_size=2,
    unique_by=lambda one: one.valid_from,
)
rates = st.lists(st.tuples(st.integers(-5, 30), st.sampled_from(["USD", "EUR"])), max_size=8, unique=True)
usages = st.lists(
    st.tuples(
        st.sampled_from(["D1", "D2", None]), hours, st.sampled_from(sorted(USED.models)), st.sampled_from([0, 200_000]),
        st.booleans(), st.sampled_from(["input_tokens", "output_tokens", "reasoning_tokens", "requests"]),
        st.integers(-5, 10**9),
    ),
    max_size=25,
)  # fmt: skip


def lines(added: AddedLines) -> dict[Any, Any]:
    """Everything that lines hold, without what came to nothing."""
    found: dict[Any, Any] = {}
    for department, by_key in added.by_department.items():
        for key, line in by_key.items():
            by_vendor = {(added.vendors[place], rate): quantity for place, by_rate in line.by_vendor.items()
                         for rate, quantity in by_rate.items() if quantity}  # fmt: skip
            by_rate = {rate: quantity for rate, quantity in line.by_rate.items() if quantity}
            if by_rate or by_vendor:
                found[department, key] = (line.price, line.quantity, by_rate, by_vendor)
    return found


@settings(max_examples=300)
@given(rows=books(), register=registers, fx=rates, usage=usages)
def test_the_widest_stretches_come_to_the_same_as_hours(
    rows: list[PriceRow], register: list[Vendor], fx: list[tuple[int, str]], usage: list[Any]
) -> None:
    table = FxTable(
        FxRow(number, MONTH.days[0] + timedelta(days=day), base, "KRW", Decimal(1000 + number), "t")
        for number, (day, base) in enumerate(fx, 1)
    )
    policy = MoneyPolicy()

    def conversion() -> Conversion:
        return Conversion(table, VendorTerms(register), MONTH, policy)

    cuts = money_cuts([(PriceBook(rows), {})], USED, conversion())
    edges = sorted({MONTH.first_hour, *(cut for cut in cuts if MONTH.first_hour < cut < MONTH.end_hour)})
    account = len(conversion().dimensions) > 1
    hourly: list[UsageSum] = []
    wide: Counter[tuple[Any, ...]] = Counter()
    for department, hour, (provider, model), band, cached, unit, quantity in usage:
        named = (department, "acc" if provider == "q" else None) if account else (department,)
        one = UsageSum(named, hour, provider, model, "standard", None, band, cached, ((unit, quantity),))
        if quantity:
            hourly.append(one)
            wide[one._replace(hour=max(edge for edge in edges if edge <= hour), quantities=()), unit] += quantity
    merged = [one._replace(quantities=((unit, quantity),)) for (one, unit), quantity in wide.items() if quantity]
    expected = add_up(rate_month(hourly, PriceBook(rows)), conversion())
    found = rate_and_add_up(merged, PriceBook(rows), conversion())
    assert lines(found) == lines(expected)
    assert lines(rate_and_add_up(hourly, PriceBook(rows), conversion())) == lines(expected)
    this, that = (make_statements(added, MONTH, policy, {}) for added in (found, expected))
    assert (this.exact_total, this.total) == (that.exact_total, that.total)


def test_what_nobody_uses_cuts_nothing_and_a_weekend_is_one_stretch() -> None:
    key = PriceKey("p", "other", "input_tokens", "standard", None, 0)
    used = key._replace(model="m-1")
    at = MONTH.first_hour + 100
    rows = [PriceRow(1, "contract", key, "USD", Decimal(1), 1, at, None, "t"),
            PriceRow(2, "contract", used, "USD", Decimal(1), 1, at + 7, None, "t")]  # fmt: skip
    weekdays = [day for day in MONTH.days if day.weekday() < 5]
    table = FxTable(FxRow(n, day, "USD", "KRW", Decimal(1300), "t") for n, day in enumerate(weekdays, 1))
    conversion = Conversion(table, VendorTerms(()), MONTH, MoneyPolicy())
    cuts = money_cuts([(PriceBook(rows), {})], USED, conversion)
    begins = [hour for day, hour in zip(MONTH.days, MONTH.day_hours, strict=True) if day.weekday() < 5]
    assert cuts == sorted({*begins, at + 7})
