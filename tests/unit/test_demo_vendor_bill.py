"""The vendor's bill is another house's work, and what it plants is what reconciliation finds, to the last digit."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from billing.invoices.lines import CoveredDay, VendorLine
from billing.invoices.openai_costs import CostsApi
from billing.invoices.source import SourceFile
from billing.models import ModelRules
from billing.money import exact
from billing.prices import Asked, PriceBook
from billing.reconciliation.groups import OurGroup, Policy, PriceUse, UsageKey
from billing.reconciliation.reconcile import reconcile
from billing.seed import read_seed
from jangbu.demo import vendor_bill
from jangbu.demo.city import Call, month_calls
from jangbu.demo.figures import classes_of
from jangbu.demo.people import Plan, make_city
from jangbu.demo.vendor_bill import ITEMS, PRICES_USD, Bill, VendorMeter, encode_pages, make_bill
from producers.units import parent

PLAN = Plan("2026-10", 500, 10_000, 3)


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    return list(month_calls(PLAN, make_city(PLAN)))


@pytest.fixture(scope="module")
def bill(calls: list[Call]) -> Bill:
    meter = VendorMeter(PLAN.month)
    assert list(meter.watch(calls)) == calls
    return make_bill(meter)


@pytest.fixture(scope="module")
def book() -> PriceBook:
    seed = read_seed()
    return PriceBook([replace(row, id=number) for number, row in enumerate(seed.rows, 1)], ModelRules(seed.rules))


def lines_of(bill: Bill) -> list[VendorLine]:
    """The bill as the product's importer reads it."""
    source = SourceFile("openai-costs.json", encode_pages(bill.pages))
    assert CostsApi().recognise(source)
    return [one for one in CostsApi().read(source) if isinstance(one, VendorLine)]


def our_groups(calls: list[Call], book: PriceBook) -> list[OurGroup]:
    """What the gateway saw, added up and priced from the list; half price in the batch, as agreed."""
    sums: dict[UsageKey, int] = {}
    for call in calls:
        day = datetime.fromtimestamp(call.time_ms / 1000, UTC).date()
        if call.model.provider != "openai" or not call.via_gateway or day.strftime("%Y-%m") != PLAN.month:
            continue
        for unit, count in call.units.items():
            if unit != "requests":
                key = UsageKey(day, call.account, call.model.name, call.service_tier, unit)
                sums[key] = sums.get(key, 0) + count
    hour = int(datetime(2026, 10, 20, tzinfo=UTC).timestamp()) // 3600
    groups = []
    for key, quantity in sums.items():
        row = book.find(Asked("openai", key.model, "standard", None, 0), key.unit, hour)
        assert row is not None
        with exact():
            price = row.unit_price / (2 if key.service_tier == "batch" else 1)
            use = PriceUse(row.code, price, "USD", date(2026, 1, 1))
            groups.append(OurGroup(key, quantity, quantity * price, "USD", (use,)))
    return groups


def policy(book: PriceBook) -> Policy:
    """As the product sets it: what we did not see is looked up in the book."""

    def listed(day: date, model: str, tier: str, unit: str) -> PriceUse | None:
        hour = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) // 3600
        row = book.find(Asked("openai", model, tier, None, 0), unit, hour)
        return None if row is None else PriceUse(row.code, row.unit_price, "USD", day)

    return Policy("USD", price=listed, folds=CostsApi().folds)


def test_it_shares_nothing_with_our_rating() -> None:
    """It may import the city and nothing else of ours: no price, no rounding, no contract."""
    code = Path(vendor_bill.__file__).read_text(encoding="utf-8")
    imported = {
        node.module for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom) and node.module
    } | {alias.name for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Import) for alias in node.names}
    ours = {name for name in imported if name.split(".")[0] in ("billing", "producers", "streams", "jangbu")}
    assert ours == {"jangbu.demo.models", "jangbu.demo.city"}


def test_its_prices_are_the_list_prices_of_the_whole_month(book: PriceBook) -> None:
    """Otherwise what it bills would differ by more than what is planted."""
    for day in (1, 16, 31):
        hour = int(datetime(2026, 10, day, tzinfo=UTC).timestamp()) // 3600
        for model, prices in PRICES_USD.items():
            units = ("input_tokens", "cache_read_tokens", "output_tokens")
            for unit, price in zip(units, prices, strict=True):
                row = book.find(Asked("openai", model, "standard", None, 0), unit, hour)
                assert row is not None, (model, unit)
                assert row.unit_price * 1_000_000 == price, (model, unit)
    assert parent("reasoning_tokens") == "output_tokens"


def test_the_bill_is_ours_and_what_was_planted(bill: Bill) -> None:
    assert bill.total == bill.metered_worth + sum(fault.amount for fault in bill.planted)
    assert [fault.cls for fault in bill.planted] == ["PRICE", "BYPASS", "QUANTITY", "NOT_BILLED", "ROUNDING"]
    signs = {fault.cls: fault.amount > 0 for fault in bill.planted if fault.cls != "ROUNDING"}
    assert signs == {"PRICE": True, "BYPASS": True, "QUANTITY": True, "NOT_BILLED": False}


def test_the_importer_reads_every_day_and_the_same_total(bill: Bill) -> None:
    source = SourceFile("openai-costs.json", encode_pages(bill.pages))
    days = {one.day for one in CostsApi().read(source) if isinstance(one, CoveredDay)}
    assert days == {date(2026, 10, day) for day in range(1, 32)}
    assert sum((line.amount or Decimal(0) for line in lines_of(bill)), Decimal(0)) == bill.total
    assert all(line.model is None or line.model in PRICES_USD for line in lines_of(bill))
    assert [len(page["data"]) for page in bill.pages] == [7, 7, 7, 7, 3]
    assert [page["has_more"] for page in bill.pages] == [True, True, True, True, False]


def test_reconciliation_finds_each_fault_to_the_last_digit(bill: Bill, calls: list[Call], book: PriceBook) -> None:
    found = reconcile(our_groups(calls, book), lines_of(bill), policy(book))
    breaks = [{"class": str(one.cls), "amount": str(one.amount)} for one in found.breaks]
    classes = classes_of(breaks, bill.planted)
    assert {one.cls: one.found for one in classes} == {fault.cls: fault.amount for fault in bill.planted}
    assert all(one.agrees for one in classes)
    assert found.proof.difference == 0
    assert found.ours_total == bill.metered_worth


def test_a_fault_that_was_not_told_does_not_agree(bill: Bill, calls: list[Call], book: PriceBook) -> None:
    """The comparison can fail: one line more than was planted shows as a class that does not agree."""
    lines = lines_of(bill)
    doubled = [*lines, replace(lines[0], quantity=Decimal(10), amount=Decimal("1.25"))]
    found = reconcile(our_groups(calls, book), doubled, policy(book))
    breaks = [{"class": str(one.cls), "amount": str(one.amount)} for one in found.breaks]
    assert not all(one.agrees for one in classes_of(breaks, bill.planted))


def test_a_class_that_was_not_planted_never_agrees() -> None:
    (one,) = classes_of([{"class": "UNEXPLAINED", "amount": "0.01"}], ())
    assert not one.agrees


def test_calls_that_were_never_answered_are_not_billed(calls: list[Call]) -> None:
    meter = VendorMeter(PLAN.month)
    for call in calls:
        if call.status in ("failure", "cached"):
            meter.add(call)
    assert not meter.seen


def test_other_months_are_not_billed(calls: list[Call]) -> None:
    meter = VendorMeter("2026-09")
    for call in calls:
        meter.add(call)
    days = {cell.day for cell in meter.seen}
    assert days == {date(2026, 9, 30)}, "the nine hours in which it is October in Seoul and September in UTC"
    assert len(ITEMS) == 3
