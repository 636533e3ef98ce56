"""Files as another author would write them who had the documented fields only: other spellings, optional columns
missing, other forms of time. What is meant is the same, and is read as the same."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from billing.invoices.lines import VendorLine
from billing.invoices.recognise import recognise
from billing.invoices.source import SourceFile

DAY_S = 1790812800
BILL = "2026-10-01T00:00:00Z"
CUR = (
    "bill_billing_period_start_date", "bill_invoice_id", "line_item_usage_start_date", "line_item_usage_end_date",
    "line_item_line_item_type", "line_item_product_code", "line_item_usage_type", "line_item_operation",
    "line_item_usage_amount", "pricing_unit", "line_item_unblended_rate", "line_item_unblended_cost",
    "line_item_currency_code", "line_item_iam_principal",
)  # fmt: skip
AZURE = (
    "Date", "MeterName", "MeterCategory", "MeterSubCategory", "MeterId", "Quantity", "UnitOfMeasure", "EffectivePrice",
    "UnitPrice", "PayGPrice", "CostInBillingCurrency", "costInUsd", "ChargeType", "BillingPeriodStartDate",
    "BillingPeriodEndDate", "InvoiceId",
)  # fmt: skip


def lines(content: str, zone: str = "UTC") -> list[VendorLine]:
    source = SourceFile("bill", content.encode(), zone)
    return [one for one in recognise(source).importer.read(source) if isinstance(one, VendorLine)]


def table(header: tuple[str, ...], *rows: dict[str, str]) -> str:
    target = io.StringIO()
    writer = csv.DictWriter(target, header, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return target.getvalue()


def openai(item: str | None, **more: Any) -> str:
    result = {"object": "organization.costs.result", "amount": {"value": 1.5, "currency": "usd"}, "line_item": item}
    bucket = {"object": "bucket", "start_time": DAY_S, "end_time": DAY_S + 86_400, "results": [{**result, **more}]}
    return json.dumps({"object": "page", "data": [bucket], "has_more": False, "next_page": None})


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("gpt-6-astra, input_tokens", ("gpt-6-astra", "input_tokens", None)),
        ("gpt-4o-2024-08-06, Input", ("gpt-4o-2024-08-06", "input_tokens", None)),
        ("gpt-5.6-luna, cached input", ("gpt-5.6-luna", "cache_read_tokens", None)),
        ("gpt-5, input_cached_tokens", ("gpt-5", "cache_read_tokens", None)),
        ("gpt-5, input_cache_write_tokens", ("gpt-5", "cache_write_tokens", None)),
        ("gpt-5, reasoning_tokens", ("gpt-5", "output_tokens", None)),
        ("gpt-5, output_tokens, batch", ("gpt-5", "output_tokens", "batch")),
        ("gpt-5, batch output", ("gpt-5", "output_tokens", "batch")),
        ("gpt-realtime-2.1, audio input", ("gpt-realtime-2.1", "audio_input_tokens", None)),
        ("Code interpreter sessions", (None, None, None)),
        ("text-embedding-3-small", ("text-embedding-3-small", "unmapped", None)),
    ],
)
def test_openais_line_items(item: str, expected: tuple[str | None, ...]) -> None:
    (line,) = lines(openai(item, quantity=2.0, quantity_unit="1000_tokens"))
    assert (line.model, line.unit, line.service_tier) == expected
    assert line.quantity in {None, 2000}


def test_openais_usage_by_the_hour_is_added_up_to_the_day() -> None:
    result = {"object": "organization.usage.completions.result", "input_tokens": 5, "output_tokens": 2, "model": "m"}
    buckets = [
        {"object": "bucket", "start_time": DAY_S + hour * 3600, "end_time": DAY_S + (hour + 1) * 3600,
         "results": [result]} for hour in (0, 23)
    ]  # fmt: skip
    found = lines(json.dumps({"object": "page", "data": buckets, "has_more": False, "next_page": None}))
    assert [(one.day.day, one.unit, str(one.quantity)) for one in found] == [
        (1, "input_tokens", "5"), (1, "output_tokens", "2")
    ] * 2  # fmt: skip


def cur(usage_type: str, **more: str) -> dict[str, str]:
    return {
        "bill_billing_period_start_date": BILL, "line_item_usage_start_date": "2026-10-31T00:00:00Z",
        "line_item_usage_end_date": "2026-11-01T00:00:00Z", "line_item_line_item_type": "Usage",
        "line_item_product_code": "AmazonBedrock", "line_item_usage_type": usage_type, "line_item_usage_amount": "1.5",
        "pricing_unit": "1K tokens", "line_item_unblended_cost": "0.003", "line_item_currency_code": "USD", **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (cur("USE1-Qwen3-32B-input-tokens-flex"), ("Qwen3-32B", "input_tokens", "flex", 1500)),
        (cur("USE1-qwen.qwen3-32b-mantle-input-tokens-standard"), ("qwen3-32b", "input_tokens", "standard", 1500)),
        (cur("USE1-NovaPro-input-tokens", pricing_unit="1M tokens"), ("NovaPro", "input_tokens", None, 1_500_000)),
        (cur("USW2-MP:USW2_output_tokens_global_standard-Units", pricing_unit="1M tokens",
             line_item_product_code="Claude Opus 4.7 (Amazon Bedrock Edition)"),
         ("Claude Opus 4.7", "output_tokens", "standard", 1_500_000)),
        (cur("USE1-MP:USE1_InputTokenCount-Units", line_item_product_code="AmazonBedrockFoundationModels",
             line_item_operation="Claude Sonnet 4.6 (Amazon Bedrock Edition)"),
         ("Claude Sonnet 4.6", "input_tokens", None, 1500)),
        (cur("USE1-MP:USE1_InputTokenCount-Units", line_item_product_code="AmazonBedrockFoundationModels"),
         ("USE1-MP:USE1_InputTokenCount-Units", "input_tokens", None, 1500)),
        (cur("Claude-Consumption-Units", pricing_unit="CCU"), (None, None, None, None)),
        (cur("USE1-NovaPro-input-tokens", line_item_usage_start_date="2026-10-31",
             line_item_usage_end_date="2026-11-01"), ("NovaPro", "input_tokens", None, 1500)),
    ],
)  # fmt: skip
def test_a_report_that_tells_its_period_by_its_beginning(row: dict[str, str], expected: tuple[object, ...]) -> None:
    (line,) = lines(table(CUR, row))
    assert (line.model, line.unit, line.service_tier, line.quantity) == expected
    assert f"{line.day}" == "2026-10-31"


def test_azure_without_a_currency_column_is_in_dollars_where_it_says_the_same_in_dollars() -> None:
    row = {
        "Date": "10/02/2026", "MeterName": "gpt-5-codex-ccchd-inp-glbl Tokens", "MeterCategory": "Foundry Tools",
        "Quantity": "12.5", "UnitOfMeasure": "1K", "CostInBillingCurrency": "0.025", "costInUsd": "0.025",
        "ChargeType": "Usage", "BillingPeriodStartDate": "10/01/2026", "BillingPeriodEndDate": "10/31/2026",
    }  # fmt: skip
    (line,) = lines(table(AZURE, row))
    assert (line.model, line.unit, line.currency) == ("gpt-5-codex", "cache_read_tokens", "USD")
    assert line.quantity == 12500


def test_googles_rows_as_one_list() -> None:
    row = {
        "service": {"description": "Gemini API"}, "project": None, "cost": 0.5, "currency": "USD",
        "sku": {"description": "Generate content input token count gemini 3.7 flash text"}, "cost_type": "regular",
        "usage_start_time": "2026-10-05T06:00:00Z", "usage_end_time": "2026-10-05T07:00:00Z",
        "usage": {"amount": 10.0, "unit": "requests"}, "invoice": {"month": "202610"},
    }  # fmt: skip
    for content in (json.dumps([row, row]), json.dumps([row, row], indent=1), f"{json.dumps(row)}\n{json.dumps(row)}"):
        found = lines(content, "America/Los_Angeles")
        assert [(f"{one.day}", one.model) for one in found] == [("2026-10-04", "gemini-3.7-flash")] * 2
        assert {one.quantity for one in found} == {10}


def test_an_invoice_of_xai_whose_lines_do_not_say_what_they_count() -> None:
    core = {
        "lines": [{"description": "grok-4 prompt tokens", "amount": "1300"}, {"description": "Promo", "amount": "-50"}],
        "amountAfterVat": "1250", "prepaidCredits": {"val": "-4500"}, "totalWithCorr": {"val": "1250"},
    }  # fmt: skip
    found = lines(json.dumps({"coreInvoice": core, "billingCycle": {"year": 2026, "month": 10}}))
    assert [(one.kind.value, one.unit, str(one.amount)) for one in found] == [
        ("usage", "unmapped", "13.00"), ("credit", None, "-0.50")
    ]  # fmt: skip


def test_the_consoles_header_of_twelve_columns() -> None:
    """As the one of fourteen without the key's id and status."""
    whole = (Path(__file__).resolve().parents[2] / "data" / "invoices" / "anthropic-cost-14.csv").read_text("utf-8")
    cut = "\n".join(line.rsplit(",", 2)[0] for line in whole.splitlines()) + "\n"
    assert cut.splitlines()[0].count(",") == 11
    assert lines(cut) == lines(whole)
