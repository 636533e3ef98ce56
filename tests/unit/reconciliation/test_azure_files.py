"""Azure cost details: what rows and meter names read as, and what is refused by name."""

from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.invoices.azure_meters import AzureMeter, azure_meter
from billing.invoices.errors import InvoiceRefused
from billing.invoices.lines import CoveredDay, VendorLine
from billing.invoices.recognise import recognise
from billing.invoices.source import SourceFile

GOLDEN = Path(__file__).resolve().parents[2] / "data" / "invoices" / "azure_mca.csv"
ROW = next(csv.DictReader(io.StringIO(GOLDEN.read_text(encoding="utf-8"))))


def written(*rows: dict[str, str]) -> str:
    """A file of rows that differ from the golden file's first."""
    target = io.StringIO()
    full = [{**ROW, **row} for row in rows]
    writer = csv.DictWriter(target, list(full[0]))
    writer.writeheader()
    writer.writerows(full)
    return target.getvalue()


def read(text: str) -> list[VendorLine | CoveredDay]:
    """Everything that a file says."""
    importer = recognise(source := SourceFile("azure.csv", text.encode())).importer
    assert importer.format == "azure.cost_details_csv"
    return list(importer.read(source))


def lines(text: str) -> list[VendorLine]:
    """Its lines."""
    return [one for one in read(text) if isinstance(one, VendorLine)]


def test_golden_lines() -> None:
    """1K and 1M, equal rows twice, reserved units, other services, a purchase and its refund."""
    text = GOLDEN.read_text(encoding="utf-8")
    found = lines(text)
    assert [
        (str(one.kind), one.day.day, one.model, one.unit, one.service_tier, one.quantity, str(one.amount))
        for one in found
    ] == [
        ("usage", 2, "gpt-4.1", "input_tokens", None, 12_500, "0.025"),
        ("usage", 2, "gpt-4.1", "cache_read_tokens", None, 2_000, "0.001"),
        ("usage", 2, "gpt-4.1", "cache_read_tokens", None, 2_000, "0.001"),
        ("usage", 4, "gpt-5-mini", "output_tokens", None, 1_234, "0.002468"),
        ("usage", 4, "5.4", "input_tokens", "priority", 1_000_000, "2"),
        ("fee", 4, None, None, None, None, "24"),
        ("fee", 4, None, None, None, None, "2.4"),
        ("fee", 1, None, None, None, None, "100"),
        ("credit", 3, None, None, None, None, "-50"),
    ]
    assert {one.account for one in found} == {"s1"}
    assert {one.day.day for one in read(text) if isinstance(one, CoveredDay)} == {1, 2, 3, 4}
    assert lines(text.replace("costInBillingCurrency", "CostInBillingCurrency")) == found, "case does not matter"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt 4.1 Inp Data Zone Tokens", AzureMeter("gpt-4.1", "input_tokens", None, None)),
        ("gpt 4.1 Inp regnl Tokens", AzureMeter("gpt-4.1", "input_tokens", None, None)),
        ("gpt 4o 0513 Input global Tokens", AzureMeter("gpt-4o-0513", "input_tokens", None, None)),
        ("gpt 4o 0513 Batch Inp glbl Tokens", AzureMeter("gpt-4o-0513", "input_tokens", "batch", None)),
        ("5.1 pp cd inp Dz 1M Tokens", AzureMeter("5.1", "cache_read_tokens", "priority", "M")),
        ("6-sol ShortCo Cd Wr Std Gl", AzureMeter("6-sol", "cache_write_tokens", "standard", None)),
        ("5.4 longco opt Gl", AzureMeter("5.4", "output_tokens", None, None)),
        ("gpt-5-codex-ccchd-inp-glbl Tokens", AzureMeter("gpt-5-codex", "cache_read_tokens", None, None)),
        ("FW GLM 5.2 Inp DZ Tokens", AzureMeter("fw-glm-5.2", "input_tokens", None, None)),
        ("gpt 4.1 Inp opt glbl", None),
        ("gpt 4.1 Inp surprise glbl", None),
        ("gpt 4.1 wr glbl", None),
        ("gpt 4.1 cd opt glbl", None),
        ("gpt 4.1 pp Batch inp", None),
        ("Inp glbl Tokens", None),
        ("gpt 4.1", None),
        ("", None),
    ],
)
def test_meter_names(name: str, expected: AzureMeter | None) -> None:
    assert azure_meter(name) == expected


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"meterName": ""}, "MeterName is absent"),
        ({"unitOfMeasure": "1"}, "UnitOfMeasure is '1': unknown unit"),
        ({"unitOfMeasure": "1 Hour"}, "UnitOfMeasure is '1 Hour'"),
        ({"meterName": "gpt 4.1 Inp glbl 1M Tokens"}, "UnitOfMeasure is '1K': the meter's name says 1M"),
        ({"chargeType": "UnusedReservation"}, "this is amortized cost"),
        ({"chargeType": "Gift"}, "ChargeType is 'Gift': unknown"),
        ({"costInBillingCurrency": "1,000"}, "CostInBillingCurrency is '1,000'"),
        ({"quantity": ""}, "Quantity is absent"),
        ({"billingCurrency": ""}, "BillingCurrency is absent"),
        ({"date": "2026-10-02"}, "the dates before are written another way"),
        ({"date": "31/10/2026"}, "Date is '31/10/2026'"),
        ({"date": "11/02/2026"}, "it must lie in the billing period 2026-10-01 to 2026-10-31"),
        ({"billingPeriodStartDate": "01/10/2026", "billingPeriodEndDate": "10/31/2026"}, "read with the month first"),
        ({"mood": "good"}, "column 18 is 'mood': unknown column"),
        ({"QUANTITY": "1"}, "the column stands twice, but for its case"),
    ],
)
def test_refused_by_name(row: dict[str, str], words: str) -> None:
    with pytest.raises(InvoiceRefused) as refused:
        lines(written(row))
    assert words in str(refused.value)
    assert str(refused.value).startswith("azure.csv, line ")


def test_days_written_year_first() -> None:
    days = {"date": "2026-10-02", "billingPeriodStartDate": "2026-10-01", "billingPeriodEndDate": "2026-10-31"}
    (one,) = lines(written(days))
    assert one.day == date(2026, 10, 2)


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=12), st.integers(0, 10**9))
def test_figures_are_exact(amount: Decimal, tokens: int) -> None:
    quantity = f"{tokens // 1000}.{tokens % 1000:03d}"
    (one,) = lines(written({"costInBillingCurrency": f"{amount:f}", "quantity": quantity}))
    assert (one.amount, one.quantity) == (amount, Decimal(tokens))
