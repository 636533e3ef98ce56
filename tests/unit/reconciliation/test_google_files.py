"""Google Cloud's billing export: what rows and SKUs read as, and what is refused by name."""

from __future__ import annotations

import gzip
import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.invoices.errors import InvoiceRefused
from billing.invoices.google_skus import GoogleSku, google_sku
from billing.invoices.lines import LineKind, VendorLine
from billing.invoices.recognise import recognise
from billing.invoices.source import SourceFile

PACIFIC = "America/Los_Angeles"
IN = "Gemini 2.5 Flash GA Text Input - Predictions"


def row(cost: str = "0.003", **more: Any) -> str:
    """A row of the export; the cost is put in as the text it is."""
    full = {
        "billing_account_id": "A-1", "service": {"id": "C7E2-9256-1C43", "description": "Vertex AI"},
        "sku": {"id": "S", "description": IN}, "usage_start_time": "2026-10-05 06:00:00 UTC",
        "usage_end_time": "2026-10-05 07:00:00 UTC", "project": {"id": "p-1"}, "labels": [], "cost": "COST",
        "currency": "USD", "currency_conversion_rate": 1, "usage": {"amount": 10_000, "unit": "count"},
        "credits": [], "invoice": {"month": "202610"}, "cost_type": "regular", **more,
    }  # fmt: skip
    return json.dumps(full).replace('"COST"', cost)


def lines(*rows: str, pack: bool = False) -> list[VendorLine]:
    """The lines of a file of rows."""
    content = ("\n".join(rows) + "\n").encode()
    source = SourceFile("gcp.json", gzip.compress(content) if pack else content, PACIFIC)
    importer = recognise(source).importer
    assert importer.format == "google.billing_export"
    return [one for one in importer.read(source) if isinstance(one, VendorLine)]


def test_a_row_its_credits_and_what_is_no_use() -> None:
    taken_off = [{"name": "Free tier", "amount": -0.001, "type": "FREE_TIER"}, {"name": "Deal", "amount": "-0.0005"}]
    use = row(credits=taken_off)
    storage = row("1", sku={"description": "Gemini 2.5 Flash GA Text Input Caching Storage"}, usage={"unit": "hour"})
    disks = row("2", service={"description": "Compute Engine"}, sku={"description": "Disk"})
    tax = row("0.3", sku={"description": "Tax"}, cost_type="tax", usage_end_time="2026-10-31 00:00:00 UTC")
    rounding = row("-1e-7", sku={"description": "Rounding error"}, cost_type="rounding_error")
    found = lines(use, use, storage, disks, tax, rounding)
    assert [(str(one.kind), one.model, one.unit, one.quantity, one.amount) for one in found] == [
        *[("usage", "gemini-2.5-flash", "input_tokens", 10_000, Decimal("0.003")),
          ("credit", None, None, None, Decimal("-0.001")), ("credit", None, None, None, Decimal("-0.0005"))] * 2,
        ("fee", None, None, None, Decimal(1)),
        ("fee", None, None, None, Decimal(2)),
        ("tax", None, None, None, Decimal("0.3")),
        ("credit", None, None, None, Decimal("-1e-7")),
    ]  # fmt: skip
    assert {one.day for one in found} == {date(2026, 10, 4)}, "06:00 UTC is the evening before in the Pacific zone"
    assert lines(use, pack=True) == lines(use)


@pytest.mark.parametrize(
    ("start", "end", "day"),
    [
        ("2026-11-01T06:00:00Z", "2026-11-01T07:00:00Z", date(2026, 10, 31)),
        ("2026-10-01 07:00:00 UTC", "2026-10-01 08:00:00 UTC", date(2026, 10, 1)),
    ],
)
def test_days_are_the_pacific_zones_with_summer_time(start: str, end: str, day: date) -> None:
    (one,) = lines(row(usage_start_time=start, usage_end_time=end))
    assert (one.day, one.kind) == (day, LineKind.USAGE)


def test_use_of_the_month_before_is_a_fee_of_this_invoice() -> None:
    (one,) = lines(row(usage_start_time="2026-10-01 06:00:00 UTC", usage_end_time="2026-10-01 07:00:00 UTC"))
    assert (one.kind, one.day, one.text) == (
        LineKind.FEE, date(2026, 10, 1), f"use of 2026-09-30, billed later: {IN}"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("Gemini 3.7 Flash Global Text Input - Predictions", GoogleSku("gemini-3.7-flash", "input_tokens", None)),
        ("Gemini 2.5 Flash GA Thinking Text Output - Predictions",
         GoogleSku("gemini-2.5-flash", "output_tokens", None)),
        ("Gemini 2.5 Flash Text Input Caching", GoogleSku("gemini-2.5-flash", "cache_read_tokens", None)),
        ("Gemini 2.5 Pro Text Input (Long) - Predictions", GoogleSku("gemini-2.5-pro", "input_tokens", None)),
        ("Gemini 2.5 Pro Text Output - Batch Predictions", GoogleSku("gemini-2.5-pro", "output_tokens", "batch")),
        ("Gemini 2.5 Pro Audio Input Priority - Predictions",
         GoogleSku("gemini-2.5-pro", "audio_input_tokens", "priority")),
        ("Generate content input token count gemini 3.7 flash text",
         GoogleSku("gemini-3.7-flash", "input_tokens", None)),
        ("Generate content output token count Gemini 2.5 Pro short output text",
         GoogleSku("gemini-2.5-pro", "output_tokens", None)),
        ("Generate content cached input token count gemini 2.5 flash input image",
         GoogleSku("gemini-2.5-flash", "cache_read_image_tokens", None)),
        ("Gemini 2.5 Flash GA Text Input Caching Storage", None),
        ("Gemini 2.5 Flash Text Dream - Predictions", None),
        ("Gemini Text Input - Predictions", None),
        ("Gemini 2.5 Flash Text Input Output", None),
        ("Gamini 2.5 Flash Text Input", None),
    ],
)  # fmt: skip
def test_skus(description: str, expected: GoogleSku | None) -> None:
    assert google_sku(description) == expected


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"usage": {"amount": 1, "unit": "hour"}}, "usage.unit is 'hour'"),
        ({"usage": {"amount": "many", "unit": "count"}}, "usage.amount is 'many'"),
        ({"cost_type": "gift"}, "cost_type is 'gift'"),
        ({"currency": None}, "currency is absent"),
        ({"invoice": {"month": "2026-10"}}, "invoice.month is '2026-10'"),
        ({"usage_start_time": 5}, "usage_start_time is '5'"),
        ({"usage_start_time": "5.10.2026"}, "usage_start_time is '5.10.2026'"),
        ({"usage_end_time": "2026-10-09 07:00:00 UTC"}, "told for more than one day"),
        ({"mood": 1}, "key is 'mood'"),
        ({"credits": [{"name": "x", "amount": -1, "mood": 1}]}, "line 1, credits[0], key is 'mood'"),
    ],
)
def test_refused_by_name(more: dict[str, Any], words: str) -> None:
    with pytest.raises(InvoiceRefused) as refused:
        lines(row(**more))
    assert words in str(refused.value)
    assert str(refused.value).startswith("gcp.json, line 1")


def test_a_cut_line_and_another_currency_are_refused() -> None:
    with pytest.raises(InvoiceRefused, match="line 2"):
        lines(row(), row()[:-5])
    with pytest.raises(InvoiceRefused, match="line 2, currency is 'KRW'"):
        lines(row(), row(currency="KRW"))


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=12))
def test_amounts_are_exact(amount: Decimal) -> None:
    (one,) = lines(row(f"{amount:f}"))
    assert one.amount == amount
