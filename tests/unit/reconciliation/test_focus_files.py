"""FOCUS from anybody: what each kind of row reads as, and what is refused by name."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.invoices.errors import InvoiceRefused
from billing.invoices.focus import COLUMNS
from billing.invoices.lines import CoveredDay, LineKind, VendorLine
from billing.invoices.recognise import MONTHLY, recognise
from billing.invoices.source import SourceFile
from billing.invoices.token_meters import Meter, Scale, meter_of, scale_of

GOLDEN = Path(__file__).resolve().parents[2] / "data" / "invoices" / "focus_1_2.csv"
ROW = {
    "BilledCost": "1.5", "BillingCurrency": "USD", "ChargeCategory": "Usage", "ChargeClass": "",
    "ChargePeriodStart": "2026-10-01T00:00:00Z", "ChargePeriodEnd": "2026-10-02T00:00:00Z",
    "BillingPeriodStart": "2026-10-01T00:00:00Z", "BillingPeriodEnd": "2026-11-01T00:00:00Z",
    "ConsumedQuantity": "500000", "ConsumedUnit": "Tokens", "ServiceCategory": "AI and Machine Learning",
    "SkuId": "maker-large-1", "SkuMeter": "Input Tokens", "SkuPriceDetails": "",
}  # fmt: skip


def written(*rows: dict[str, str]) -> str:
    """A FOCUS file of rows that differ from ROW."""
    target = io.StringIO()
    full = [{**ROW, **row} for row in rows]
    writer = csv.DictWriter(target, list(full[0]))
    writer.writeheader()
    writer.writerows(full)
    return target.getvalue()


def read(content: bytes | str, zone: str = "UTC", name: str = "focus.csv") -> list[VendorLine | CoveredDay]:
    """Everything that a file says."""
    source = SourceFile(name, content.encode() if isinstance(content, str) else content, zone)
    importer = recognise(source).importer
    assert importer.format == "focus.csv"
    return list(importer.read(source))


def lines(content: bytes | str, zone: str = "UTC") -> list[VendorLine]:
    """Its lines."""
    return [one for one in read(content, zone) if isinstance(one, VendorLine)]


def said(content: bytes | str, zone: str = "UTC") -> str:
    """The sentence that refuses a file."""
    with pytest.raises(InvoiceRefused) as refused:
        read(content, zone)
    assert str(refused.value).endswith("nothing of this import was stored")
    return str(refused.value)


def test_golden_lines() -> None:
    """Every kind of row once; equal rows stay two; the sum of BilledCost is the sum of the lines."""
    found = lines(GOLDEN.read_bytes())
    large = "maker-large-1"
    assert [
        (str(one.kind), one.day.isoformat(), one.model, one.unit, one.service_tier, one.quantity, str(one.amount))
        for one in found
    ] == [
        ("usage", "2026-10-01", large, "input_tokens", None, 500_000, "1.5"),
        ("usage", "2026-10-02", large, "cache_read_tokens", None, 8_000_000, "2.4"),
        ("usage", "2026-10-02", large, "cache_write_tokens", None, 2_000_000, "7.5"),
        ("usage", "2026-10-03", large, "output_tokens", "batch", 1_500_000, "22.5"),
        ("usage", "2026-10-03", large, "output_tokens", "batch", 1_500_000, "22.5"),
        ("usage", "2026-10-03", large, "output_tokens", None, 10, "0"),
        ("fee", "2026-10-02", None, None, None, None, "3.25"),
        ("fee", "2026-10-01", None, None, None, None, "100"),
        ("tax", "2026-10-01", None, None, None, None, "5.975"),
        ("credit", "2026-10-01", None, None, None, None, "-4"),
        ("credit", "2026-10-01", None, None, None, None, "-0.5"),
        ("fee", "2026-10-01", None, None, None, None, "0.01"),
    ]
    assert found[10].text == "correction of 2026-09-29: Input"
    assert {one.currency for one in found} == {"USD"}
    assert found[1].quantity_step == 1_000_000
    rows = list(csv.DictReader(io.StringIO(GOLDEN.read_text(encoding="utf-8"))))
    assert sum(Decimal(row["BilledCost"]) for row in rows) == sum(one.amount or 0 for one in found)


def test_it_says_who_issued_it_and_covers_the_days_between() -> None:
    source = SourceFile("a.csv", GOLDEN.read_bytes())
    assert "issued by Reseller Ltd" in recognise(source).why
    days = {one.day for one in read(GOLDEN.read_bytes()) if isinstance(one, CoveredDay)}
    assert days == {date(2026, 10, 1), date(2026, 10, 2), date(2026, 10, 3)}


def test_packed_with_gzip_it_reads_alike_and_a_mark_at_the_start_is_none_of_the_text() -> None:
    plain = lines(GOLDEN.read_bytes())
    assert lines(gzip.compress(GOLDEN.read_bytes())) == plain
    assert lines(b"\xef\xbb\xbf" + GOLDEN.read_bytes()) == plain


@pytest.mark.parametrize(
    ("start", "zone", "day"),
    [
        ("2026-10-05T06:00:00Z", "UTC", 5),
        ("2026-10-05T06:00:00Z", "America/Los_Angeles", 4),
        ("2026-10-05T07:00:00Z", "America/Los_Angeles", 5),
        ("2026-10-05T15:00:00Z", "Asia/Seoul", 6),
        ("2026-10-05 14:00:00", "Asia/Seoul", 5),
    ],
)
def test_days_are_the_vendors(start: str, zone: str, day: int) -> None:
    end = start[:14] + "59:00" + start[19:]
    (one,) = lines(written({"ChargePeriodStart": start, "ChargePeriodEnd": end}), zone)
    assert one.day == date(2026, 10, day)


def test_use_of_another_month_is_a_fee_of_this_bill_and_says_so() -> None:
    late = {"ChargePeriodStart": "2026-09-30T23:00:00Z", "ChargePeriodEnd": "2026-10-01T00:00:00Z"}
    (one,) = lines(written(late))
    assert (one.kind, one.day, one.model) == (LineKind.FEE, date(2026, 10, 1), None)
    assert one.text == "use of 2026-09-30, billed later: Usage"


def test_money_back_is_a_credit_and_a_negative_quantity_stays_use() -> None:
    back, corrected = lines(written({"BilledCost": "-1"}, {"BilledCost": "-1", "ConsumedQuantity": "-5"}))
    assert (back.kind, corrected.kind) == (LineKind.CREDIT, LineKind.USAGE)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"BilledCost": "1,234.5"}, "BilledCost is '1,234.5': write a plain decimal"),
        ({"BilledCost": ""}, "line 2, BilledCost is absent"),
        ({"BilledCost": "=1+1"}, "BilledCost is '=1+1'"),
        ({"BilledCost": "NaN"}, "BilledCost is 'NaN'"),
        ({"BillingCurrency": "dollars"}, "BillingCurrency is 'dollars'"),
        ({"ChargeCategory": "Gift"}, "ChargeCategory is 'Gift': unknown"),
        ({"ChargeClass": "Maybe"}, "ChargeClass is 'Maybe'"),
        ({"SkuMeter": "", "SkuId": ""}, "SkuMeter is absent"),
        ({"ConsumedUnit": "Parsecs"}, "ConsumedUnit is 'Parsecs': unknown unit"),
        ({"ConsumedUnit": "Token-Hours"}, "ConsumedUnit is 'Token-Hours': the meter counts tokens"),
        ({"ConsumedUnit": ""}, "ConsumedUnit is absent: unknown unit"),
        ({"SkuPriceDetails": "{"}, "SkuPriceDetails is '{'"),
        ({"SkuPriceDetails": '{"TokenDirection": "Sideways"}'}, "TokenDirection is 'Sideways'"),
        ({"SkuPriceDetails": '{"TokenDirection": "Output"}'}, "SkuPriceDetails says output_tokens"),
        ({"SkuPriceDetails": '{"x_ServiceTier": "gold"}'}, "ServiceTier is 'gold'"),
        ({"SkuId": ""}, "ModelId in it tells the model"),
        ({"ChargePeriodStart": "1.10.2026"}, "ChargePeriodStart is '1.10.2026'"),
        ({"ChargePeriodEnd": "2026-09-01T00:00:00Z"}, "it lies before"),
        ({"Surprise": "1"}, "column 15 is 'Surprise': unknown column"),
    ],
)
def test_refused_by_name(row: dict[str, str], words: str) -> None:
    sentence = said(written(row))
    assert words in sentence
    assert sentence.startswith("focus.csv, line ")


def test_use_by_the_month_counts_on_its_last_day_and_covers_it_whole() -> None:
    """The first row of use says which a file is; a month among days is refused, a day among months is not."""
    month = {"ChargePeriodEnd": "2026-11-01T00:00:00Z"}
    tax = {"ChargeCategory": "Tax", "BilledCost": "0.15", **month}
    source = SourceFile("bill.csv", written(tax, month, {}).encode())
    found = recognise(source)
    assert (found.importer.format, "focus.by_month" in MONTHLY) == ("focus.by_month", True)
    assert "use is told by the month" in found.why
    read_lines = list(found.importer.read(source))
    kinds = [(one.day, one.kind) for one in read_lines if isinstance(one, VendorLine)]
    last = date(2026, 10, 31)
    assert kinds == [(last, LineKind.TAX), (last, LineKind.USAGE), (last, LineKind.USAGE)]
    assert {one.day.day for one in read_lines if isinstance(one, CoveredDay)} == set(range(1, 32))
    assert "told for more than one day of UTC" in said(written({}, month))


def test_mixed_currencies_and_a_missing_column_are_refused() -> None:
    mixed = said(written({}, {"BillingCurrency": "KRW"}))
    assert "line 3, BillingCurrency is 'KRW': the rows before are in USD" in mixed
    without = "\n".join(",".join(line.split(",")[:1] + line.split(",")[2:]) for line in written({}).splitlines())
    assert "has no column 'BillingCurrency'" in said(without)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(written(*[{}] * 400).encode())[:-30], "cannot be unpacked"),
        (written({}).encode().replace(b"1.5", b"1\x005"), "a text holds no such byte"),
        (written({}).encode().replace(b"maker-large", b"maker-\xff"), "the file is not UTF-8"),
        (written({}).encode("utf-16"), "UTF-8"),
        (gzip.compress(written({}).encode() + b"0" * 3_000_000), "has at most 1048576 bytes"),
        (b"BilledCost," * 1_000_000, "has at most 1048576 bytes"),
        (written({}).replace('"', "") + '"open', "unexpected end of data"),
        (written({}) + "1,2,3\n", "number of cells is '3': the header has 14"),
        (b"PAR1" + b"\0" * 50, "is not readable Parquet"),
        (b"PK\x03\x04" + b"\0" * 50, "compressed with zip"),
        (written({"SkuId": "x" * 200_000}), "field larger than field limit"),
    ],
    ids=("cut gzip", "nul", "latin", "utf-16", "bomb", "million columns", "open quote", "short row", "parquet", "zip",
         "large cell"),
)  # fmt: skip
def test_hostile_files_end_in_a_sentence(content: bytes | str, words: str) -> None:
    assert words in said(content)


def test_names_that_are_formulas_are_refused() -> None:
    assert "SkuPriceDetails is '=cmd()': it is a formula" in said(written({"SkuId": "=cmd()"}))
    (one,) = lines(written({"SkuId": "@cf/m", "ChargeDescription": "@x"}))
    assert (one.model, one.text) == ("@cf/m", "@x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Input Tokens", Meter("input_tokens", None)),
        ("Cached Input Tokens", Meter("cache_read_tokens", None)),
        ("Cache Read Audio Input Tokens", Meter("cache_read_audio_tokens", None)),
        ("Cache Write 5m Input Tokens", Meter("cache_write_5m_tokens", None)),
        ("Cache Write Input Tokens", Meter("cache_write_tokens", None)),
        ("Audio Output Tokens", Meter("audio_output_tokens", None)),
        ("Reasoning Tokens", Meter("reasoning_tokens", None)),
        ("Batch Output Tokens", Meter("output_tokens", "batch")),
        ("Web Searches", Meter("web_searches", None)),
        ("Requests", Meter("requests", None)),
        ("Tokens", None),
        ("Input Output Tokens", None),
        ("Cached Output Tokens", None),
        ("Cache Read Write Tokens", None),
        ("Batch Flex Input Tokens", None),
        ("Input Tokens 5m", None),
        ("", None),
    ],
)
def test_meters(text: str, expected: Meter | None) -> None:
    assert meter_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tokens", Scale("tokens", Decimal(1))),
        ("1000 Tokens", Scale("tokens", Decimal(1000))),
        ("1000000 Tokens", Scale("tokens", Decimal(1_000_000))),
        ("1K tokens", Scale("tokens", Decimal(1000))),
        ("1M Tokens", Scale("tokens", Decimal(1_000_000))),
        ("1M", Scale(None, Decimal(1_000_000))),
        ("1000 Requests", Scale("requests", Decimal(1000))),
        ("Token-Hours", Scale("token-hours", Decimal(1))),
        ("1", None),
        ("", None),
        ("1,000 Tokens", None),
        ("Megatokens", None),
        ("0 Tokens", None),
    ],
)
def test_scales(text: str, expected: Scale | None) -> None:
    assert scale_of(text) == expected


@given(st.decimals(min_value=-(10**15), max_value=10**15, places=12), st.integers(0, 10**12))
def test_figures_are_exact(amount: Decimal, thousands: int) -> None:
    (one,) = lines(written({"BilledCost": f"{amount:f}", "ConsumedQuantity": f"{thousands}.001", "ConsumedUnit": "1K"}))
    assert one.amount == amount
    assert one.quantity == thousands * 1000 + 1
    assert one.quantity_step == 1


def test_every_column_of_the_specification_is_known() -> None:
    assert len(COLUMNS) == 43 + 7 + 7 + 8 + 2, "1.0, 1.1, 1.2, 1.3, and two of the issuers' own that are read"
