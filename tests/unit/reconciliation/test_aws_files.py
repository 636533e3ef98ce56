"""AWS's Cost and Usage Report 2.0: what Bedrock's lines read as, and what is refused by name."""

from __future__ import annotations

import csv
import gzip
import io
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.invoices.bedrock_meters import BedrockMeter, bedrock_meter
from billing.invoices.errors import InvoiceRefused
from billing.invoices.lines import LineKind, VendorLine
from billing.invoices.recognise import recognise
from billing.invoices.source import SourceFile

GOLDEN = Path(__file__).resolve().parents[2] / "data" / "invoices" / "aws_cur2.csv"
ROW = next(csv.DictReader(io.StringIO(GOLDEN.read_text(encoding="utf-8"))))


def written(*rows: dict[str, str]) -> str:
    """A report of rows that differ from the golden file's first."""
    target = io.StringIO()
    full = [{**ROW, **row} for row in rows]
    writer = csv.DictWriter(target, list(full[0]))
    writer.writeheader()
    writer.writerows(full)
    return target.getvalue()


def lines(content: bytes | str) -> list[VendorLine]:
    """The lines of a report."""
    source = SourceFile("cur.csv.gz", content.encode() if isinstance(content, str) else content)
    importer = recognise(source).importer
    assert importer.format == "aws.cur2_csv"
    return [one for one in importer.read(source) if isinstance(one, VendorLine)]


def test_golden_lines() -> None:
    """1K and 1M in one bill, two spellings of one meter, equal rows twice, other services, tax, credits."""
    found = lines(gzip.compress(GOLDEN.read_bytes()))
    assert [
        (str(one.kind), one.model, one.unit, one.service_tier, one.quantity, str(one.amount)) for one in found
    ] == [
        ("usage", "NovaPro", "input_tokens", None, 1000, "0.0008"),
        ("usage", "NovaPro", "cache_read_tokens", None, 1000, "0.0002"),
        ("usage", "Qwen3-32B", "input_tokens", "flex", 2000, "0.00015"),
        ("usage", "qwen3-32b", "input_tokens", "flex", 2000, "0.00015"),
        ("usage", "Claude Sonnet 4.6", "input_tokens", None, 1000, "0.003"),
        ("usage", "Claude Opus 4.7", "output_tokens", "standard", 1000, "0.025"),
        ("usage", "Claude Opus 4.7", "output_tokens", "standard", 1000, "0.025"),
        ("fee", None, None, None, None, "0.75"),
        ("fee", None, None, None, None, "9.5"),
        ("tax", None, None, None, None, "0.08"),
        ("credit", None, None, None, None, "-0.02"),
        ("credit", None, None, None, None, "-0.0001"),
    ]
    assert found[8].text == "AmazonEC2: BoxUsage:t3.large"
    assert found[11].text == "EdpDiscount: USE1-NovaPro-input-tokens"
    rows = list(csv.DictReader(io.StringIO(GOLDEN.read_text(encoding="utf-8"))))
    assert sum(Decimal(row["line_item_unblended_cost"]) for row in rows) == sum(one.amount or 0 for one in found)


@pytest.mark.parametrize(
    ("usage_type", "expected"),
    [
        ("USE1-NovaPro-output-tokens", BedrockMeter("NovaPro", "output_tokens", None)),
        ("NovaPro-output-tokens-batch", BedrockMeter("NovaPro", "output_tokens", "batch")),
        ("USE1-NovaPro-cache-write-input-token-count", BedrockMeter("NovaPro", "cache_write_tokens", None)),
        ("USE1-NovaLite-input-tokens-cross-region-global", BedrockMeter("NovaLite", "input_tokens", None)),
        ("USE1-NovaLite-input-tokens-priority-custom-model",
         BedrockMeter("NovaLite-custom-model", "input_tokens", "priority")),
        ("USE1-MP:USE1_CacheReadInputTokenCount_Global-Units", BedrockMeter(None, "cache_read_tokens", None)),
        ("USE1-MP:USE1_CacheWriteInputTokenCount-Units", BedrockMeter(None, "cache_write_tokens", None)),
        ("EU-MP:EU_OutputTokenCount-Units", BedrockMeter(None, "output_tokens", None)),
        ("USW2-MP:USW2_input_tokens_batch-Units", BedrockMeter(None, "input_tokens", "batch")),
        ("USE1-NovaCanvas-T2I-1024-Premium", None),
        ("USE1-NovaPro-input-tokens-sometimes", None),
        ("USE1-MP:USE1_SurpriseTokenCount-Units", None),
    ],
)  # fmt: skip
def test_usage_types(usage_type: str, expected: BedrockMeter | None) -> None:
    assert bedrock_meter(usage_type) == expected


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"line_item_usage_type": ""}, "line_item_usage_type is absent: use of Bedrock names its type"),
        ({"line_item_line_item_type": "Gift"}, "line_item_line_item_type is 'Gift': unknown"),
        ({"pricing_unit": "Units"}, "pricing_unit is 'Units': the meter counts tokens"),
        ({"pricing_unit": "1K images"}, "pricing_unit is '1K images': the meter counts tokens"),
        ({"pricing_unit": "bushels"}, "pricing_unit is 'bushels': unknown unit"),
        ({"line_item_unblended_cost": "1,5"}, "line_item_unblended_cost is '1,5'"),
        ({"line_item_usage_amount": "many"}, "line_item_usage_amount is 'many'"),
        ({"line_item_currency_code": ""}, "line_item_currency_code is absent"),
        ({"line_item_usage_end_date": "2026-10-31T00:00:00.000Z"}, "told for more than one day"),
        ({"line_item_usage_start_date": "01/10/2026"}, "line_item_usage_start_date is '01/10/2026'"),
        ({"line_item_mood": "good"}, "column 17 is 'line_item_mood': unknown column"),
    ],
)  # fmt: skip
def test_refused_by_name(row: dict[str, str], words: str) -> None:
    with pytest.raises(InvoiceRefused) as refused:
        lines(written(row))
    assert words in str(refused.value)
    assert str(refused.value).startswith("cur.csv.gz, line ")


def test_a_report_without_a_column_that_is_needed_is_refused() -> None:
    with pytest.raises(InvoiceRefused, match="has no column 'pricing_unit'"):
        lines(GOLDEN.read_text(encoding="utf-8").replace("pricing_unit", "pricing_term"))


def test_money_back_without_use_taken_back_is_a_credit_and_a_correction_stays_use() -> None:
    back, corrected = lines(
        written({"line_item_unblended_cost": "-1"}, {"line_item_unblended_cost": "-1", "line_item_usage_amount": "-5"})
    )
    assert (back.kind, corrected.kind) == (LineKind.CREDIT, LineKind.USAGE)


def test_a_column_that_stands_twice_is_refused() -> None:
    with pytest.raises(InvoiceRefused, match="the column stands twice"):
        lines(GOLDEN.read_text(encoding="utf-8").replace("resource_tags", "product"))


def test_consumption_units_name_no_model_and_are_a_fee() -> None:
    (one,) = lines(written({"line_item_usage_type": "USE1-ClaudeConsumptionUnits", "pricing_unit": "CCU"}))
    assert (one.kind, one.text) == (LineKind.FEE, "AmazonBedrock: USE1-ClaudeConsumptionUnits")


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=10), st.integers(0, 10**9))
def test_figures_are_exact(amount: Decimal, tokens: int) -> None:
    row = {"line_item_unblended_cost": f"{amount:f}", "line_item_usage_amount": f"{tokens // 1000}.{tokens % 1000:03d}"}
    (one,) = lines(written(row))
    assert one.amount == amount
    assert one.quantity is None or one.quantity == tokens
