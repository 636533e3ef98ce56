"""Arithmetic of money as properties: whatever the numbers, parts add up and nothing is lost."""

from __future__ import annotations

import math
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.fx import FxRow, FxTable
from billing.fx_policy import Conversion
from billing.invoices.vendor_terms import VendorTerms
from billing.laws import rounding_of
from billing.models import ModelRules
from billing.money import exact, parse_amount, plain
from billing.movers import used_in
from billing.periods import hour_start, month_in, month_of_hour
from billing.policy import MoneyPolicy
from billing.prices import FOREVER, Asked, PriceBook, PriceKey, PriceRow, in_force
from billing.rating import RatedQuantity, UsageSum, rate
from billing.rounding import apportion, round_total
from billing.statements import add_up, make_statements
from billing.usage import group_rated

MONTH = month_in("2026-10", "Asia/Seoul")
amounts = st.decimals(min_value=-(10**9), max_value=10**12, places=9, allow_nan=False, allow_infinity=False)


@given(parts=st.lists(amounts, max_size=40), exponent=st.sampled_from([-2, 0, 1, 3]))
def test_parts_add_up_and_stay_within_one_step(parts: list[Decimal], exponent: int) -> None:
    with exact():
        total = sum(parts, Decimal(0))
        whole = round_total(total, exponent)
        booked = apportion(dict(enumerate(parts)), whole, exponent)
        step = Decimal(1).scaleb(exponent)
        assert sum(booked.values(), Decimal(0)) == whole
        assert abs(whole - total) * 2 <= step
        for place, part in enumerate(parts):
            steps = part / step
            assert booked[place] / step in (math.floor(steps), math.ceil(steps))


@given(parts=st.lists(amounts, min_size=1, max_size=20))
def test_a_larger_remainder_is_never_passed_over(parts: list[Decimal]) -> None:
    with exact():
        booked = apportion(dict(enumerate(parts)), round_total(sum(parts, Decimal(0)), 0), 0)
        up = [part - math.floor(part) for place, part in enumerate(parts) if booked[place] > part]
        down = [part - math.floor(part) for place, part in enumerate(parts) if booked[place] < part]
        assert not up or not down or min(up) >= max(down)


@given(text=st.from_regex(r"[0-9]{1,18}(\.[0-9]{1,18})?", fullmatch=True))
def test_amounts_keep_every_digit(text: str) -> None:
    amount = parse_amount(text)
    assert amount == Decimal(text)
    assert parse_amount(plain(amount)) == amount


@given(
    hour=st.integers(0, 700_000), zone=st.sampled_from(["Asia/Seoul", "UTC", "Europe/Berlin", "America/Los_Angeles"])
)
def test_every_hour_lies_in_exactly_its_month(hour: int, zone: str) -> None:
    name = month_of_hour(hour, zone)
    month = month_in(name, zone)
    assert month.first_hour <= hour < month.end_hour
    assert hour_start(month.day_hours[0]) == hour_start(month.first_hour)


hours = st.integers(0, 60)
histories = st.lists(st.tuples(hours, st.none() | st.integers(1, 30)), min_size=1, max_size=8)


@given(history=histories, asked=hours)
def test_one_row_at_most_holds_at_an_hour_and_the_later_import_decides(
    history: list[tuple[int, int | None]], asked: int
) -> None:
    key = PriceKey("p", "m", "input_tokens", "standard", None, 0)
    rows = [
        PriceRow(number + 1, "list", key, "USD", Decimal(1), 1, first, None if length is None else first + length, "t")
        for number, (first, length) in enumerate(history)
    ]
    holding = [term for term in in_force(rows) if term.holds(asked)]
    assert len(holding) <= 1
    # By the words of the rule: the last row that began, the last id among those; it holds unless its own end has come.
    begun = [row for row in rows if row.from_hour <= asked]
    last = max(begun, key=lambda row: (row.from_hour, row.id), default=None)
    expected = None if last is None or (last.to_hour or FOREVER) <= asked else last.id
    assert (holding[0].row.id if holding else None) == expected
    found = PriceBook(rows).find(Asked("p", "m", "standard", None, 0), "input_tokens", asked)
    assert (None if found is None else found.id) == expected


@st.composite
def books(draw: st.DrawFn) -> PriceBook:
    units = ["input_tokens", "output_tokens", "cache_read_tokens"]
    rows = []
    for number in range(draw(st.integers(0, 12))):
        first = MONTH.first_hour + draw(st.integers(-50, 700))
        key = PriceKey(
            "p",
            draw(st.sampled_from(["a", "b", "a*"])),
            draw(st.sampled_from(units)),
            draw(st.sampled_from(["standard", "*"])),
            None,
            draw(st.sampled_from([0, 1000])),
        )
        price = Decimal(draw(st.integers(0, 10**6))).scaleb(-draw(st.integers(0, 6)))
        rows.append(
            PriceRow(
                number + 1,
                draw(st.sampled_from(["list", "contract"])),
                key,
                draw(st.sampled_from(["USD", "KRW"])),
                price,
                draw(st.sampled_from([1, 1000, 10**6])),
                first,
                None,
                "t",
            )
        )
    return PriceBook(rows, ModelRules(()))


sums = st.lists(
    st.builds(
        UsageSum,
        dimensions=st.tuples(st.sampled_from(["D1", "D2", "D3", None])),
        hour=st.integers(MONTH.first_hour, MONTH.end_hour - 1),
        provider=st.just("p"),
        model=st.sampled_from(["a", "b", "ab", "zz"]),
        service_tier=st.sampled_from(["standard", "batch"]),
        region=st.none(),
        band=st.sampled_from([0, 1000]),
        cached=st.booleans(),
        quantities=st.lists(
            st.tuples(
                st.sampled_from(["input_tokens", "output_tokens", "reasoning_tokens", "cache_read_tokens", "requests"]),
                st.integers(1, 10**12),
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda pair: pair[0],
        ).map(tuple),
    ),
    max_size=12,
)
rates = st.lists(
    st.builds(
        lambda day, rate: (MONTH.days[0] + timedelta(days=day), rate),
        st.integers(-5, 30),
        st.decimals(min_value="0.0001", max_value=5000, places=4),
    ),
    max_size=6,
)


@settings(max_examples=150)
@given(book=books(), usage=sums, fx=rates, step_digits=st.sampled_from([0, 1]))
def test_statements_add_up_whatever_is_used(
    book: PriceBook, usage: list[UsageSum], fx: list[tuple[date, Decimal]], step_digits: int
) -> None:
    table = FxTable(FxRow(number + 1, day, "USD", "KRW", rate_, "t") for number, (day, rate_) in enumerate(fx))
    policy = MoneyPolicy(step_digits=step_digits)
    rated = list(rate(usage, book))
    month = make_statements(add_up(rated, Conversion(table, VendorTerms(()), MONTH, policy)), MONTH, policy, {})
    assert rounding_of(month).violations == ()
    quantity = sum(line.quantity for statement in month.statements for line in statement.lines)
    assert quantity == sum(amount for one in usage for _, amount in one.quantities)
    assert month.exact_total == _by_the_definition(rated, table)


@settings(max_examples=150)
@given(book=books(), usage=sums)
def test_usage_rows_hold_every_quantity_once(book: PriceBook, usage: list[UsageSum]) -> None:
    rows = group_rated(rate(usage, book), MONTH, ("department", "unit"), ("department",))
    assert sum(row.quantity or 0 for row in rows) == sum(amount for one in usage for _, amount in one.quantities)
    assert all((row.cost is None) == (row.price_status == "unpriced") for row in rows)
    assert all((row.unpriced_quantity > 0) == (row.cost is None) for row in rows)
    by_department = group_rated(rate(usage, book), MONTH, ("department",), ("department",))
    assert sum(row.unpriced_quantity for row in by_department) == sum(row.unpriced_quantity for row in rows)


def _by_the_definition(rated: list[RatedQuantity], table: FxTable) -> Decimal:
    """Quantity by quantity: price x quantity / per x the rate of its day."""
    total = Decimal(0)
    with exact():
        for part in rated:
            if part.price is None:
                continue
            day = (hour_start(part.usage.hour) + timedelta(hours=9)).date()
            row = table.on(day, "USD", "KRW")
            factor = Decimal(1) if part.price.currency == "KRW" else None if row is None else row.rate
            if factor is not None:
                total += part.price.price * part.quantity / part.price.per * factor
    return total


@settings(max_examples=200)
@given(book=books(), usage=sums, days=st.integers(0, 31))
def test_two_stretches_of_use_are_those_that_usage_rows_tell(
    book: PriceBook, usage: list[UsageSum], days: int
) -> None:
    """What is compared by person is what usage says of each stretch: by the rows of two reports."""
    split = MONTH.first_hour + 24 * days
    asked = [one._replace(dimensions=(one.dimensions[0], one.model), cached=False) for one in usage]
    names = ("department", "model")
    found = used_in(rate(asked, book), split)
    for uses, part in zip(
        found, ([one for one in asked if one.hour < split], [one for one in asked if one.hour >= split]), strict=True
    ):
        rows = [
            row
            for row in group_rated(rate(part, book), MONTH, (*names, "unit"), names)
            if row.price_status != "not_billable"
        ]
        told = {(row.currency, row.group[0], tuple(row.group[1:])): (row.quantity, row.cost) for row in rows}
        assert len(told) == len(rows)
        assert {
            (currency, group, thing): tuple(used)
            for currency, things in uses.items()
            for (group, thing), used in things.items()
        } == told


@given(book=books(), usage=sums)
def test_what_a_cache_answered_moves_no_price(book: PriceBook, usage: list[UsageSum]) -> None:
    """It costs nothing, and is no use at a lower price."""
    asked = [one._replace(dimensions=(one.dimensions[0], one.model)) for one in usage]
    assert used_in(rate(asked, book), MONTH.first_hour) == used_in(
        rate([one for one in asked if not one.cached], book), MONTH.first_hour
    )
