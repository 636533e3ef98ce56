"""Cloud bills made from a priced ledger, by code of their own, imported and reconciled: every proof comes out at 0."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.integration.command_world import CommandShell, use_database
from tests.integration.invoice_world import WORDS, Used, cost_of, dollars, month_days, put_prices, put_use

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

DAYS = month_days()
PRICES = {("NovaPro", "input"): 80, ("NovaPro", "cached input"): 20, ("NovaPro", "output"): 320}
"""Micro-cents a token."""
USE = [
    Used(day, "NovaPro", what, tokens * (number + 1))
    for number, day in enumerate(DAYS)
    for what, tokens in (("input", 120_001), ("cached input", 4_097), ("output", 33_333))
]
GEMINI_USE = [Used(item.day, "gemini-2.5-flash", item.what, item.tokens) for item in USE]
TOTAL = sum(cost_of(item, PRICES) for item in USE)
GEMINI = {("gemini-2.5-flash", what): price for what, price in (("input", 30), ("cached input", 3), ("output", 250))}
REGISTER = (
    "vendor,providers,zone,currency\naws,aws,UTC,USD\nreseller,aws,UTC,USD\nazure,aws,UTC,USD\n"
    "google,google,America/Los_Angeles,USD\n"
)
Run = tuple[int, str, str]


@pytest.fixture
def run(
    migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Run]:
    """The command line against a database with prices, a month of use and two vendors: (exit code, stdout, stderr)."""
    use_database(migrated_database, monkeypatch, tmp_path)
    monkeypatch.setenv("JANGBU_DATA_DIR", str(tmp_path / "data"))

    with psycopg.connect(migrated_database.owner) as connection:
        put_prices(connection, PRICES, "aws")
        for (model, what), price in GEMINI.items():
            connection.execute(
                """insert into price (id, import_id, origin, provider, model, unit, service_tier, currency, price, per,
                                      valid_from, source)
                   select 100 + (select max(id) from price), 1, 'contract', 'google', %s, %s, 'standard', 'USD',
                          %s::numeric / 100, 1000000, '2026-01-01Z', 'test'""",
                (model, WORDS[what], price),
            )
        put_use(connection, USE, provider="aws")
        put_use(connection, GEMINI_USE, provider="google")
    (tmp_path / "vendors.csv").write_text(REGISTER)
    run = CommandShell(capsys).run
    assert run("vendor", "import", tmp_path / "vendors.csv")[0] == 0
    return run


def reconciled(run: Callable[..., Run], vendor: str, code: int) -> dict[str, Any]:
    """The document of a vendor's October."""
    found, out, said = run("reconcile", "--vendor", vendor, "--month", "2026-10", "--json")
    assert found == code, said
    document: dict[str, Any] = json.loads(out)
    assert document["proof"]["difference"] == "0"
    return document


FOCUS_HEADER = (
    "BilledCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,ChargeDescription,"
    "ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity,ConsumedUnit,ServiceCategory,SkuId,SkuMeter,InvoiceIssuerName"
)
METERS = {"input": "Input Tokens", "cached input": "Cache Read Input Tokens", "output": "Output Tokens"}


def focus(use: Sequence[Used], more: Sequence[str] = ()) -> bytes:
    """A FOCUS file of tokens, and rows as they are."""
    rows = [
        f"{dollars(cost_of(item, PRICES))},USD,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,Usage,use,"
        f"{item.day}T00:00:00Z,{item.day + timedelta(days=1)}T00:00:00Z,{item.tokens},Tokens,"
        f"AI and Machine Learning,{item.model},{METERS[item.what]},Reseller Ltd"
        for item in use
    ]
    return "\n".join([FOCUS_HEADER, *rows, *more, ""]).encode()


def other(amount: str, category: str) -> str:
    """A FOCUS row of another category, for the whole month."""
    month = "2026-10-01T00:00:00Z,2026-11-01T00:00:00Z"
    return f"{amount},USD,{month},{category},{category} of October,{month},,,Other,,,Reseller Ltd"


def test_focus_in_two_files_reconciles_and_names_what_is_no_use(run: Callable[..., Run], tmp_path: Path) -> None:
    """Both parts speak of the same days, and add up."""
    (tmp_path / "1.csv.gz").write_bytes(gzip.compress(focus(USE[::2])))
    others = [other("1.5", "Tax"), other("-0.25", "Credit")]
    (tmp_path / "2.csv.gz").write_bytes(gzip.compress(focus(USE[1::2], others)))
    command = ("invoice", "import", tmp_path / "1.csv.gz", tmp_path / "2.csv.gz", "--vendor", "reseller")
    code, out, said = run(*command, "--month", "2026-10")
    assert code == 0, said
    assert "issued by Reseller Ltd" in out
    document = reconciled(run, "reseller", 6)
    assert {one["class"]: one["amount"] for one in document["breaks"]} == {"TAX": "1.5", "CREDIT_OR_DISCOUNT": "-0.25"}
    assert document["ours_total"] == dollars(TOTAL).rstrip("0")
    assert document["matched"]["groups"] == len(USE)
    assert run(*command)[0] == 5


def test_focus_without_a_day_is_not_billed_and_a_revised_one_supersedes(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    (tmp_path / "first.csv").write_bytes(focus(USE[:30] + USE[33:]))
    assert run("invoice", "import", tmp_path / "first.csv", "--vendor", "reseller")[0] == 0
    document = reconciled(run, "reseller", 6)
    assert [one["class"] for one in document["breaks"]] == ["NOT_BILLED"] * 3
    (tmp_path / "revised.csv").write_bytes(focus(USE))
    assert run("invoice", "import", tmp_path / "revised.csv", "--vendor", "reseller")[0] == 0
    assert reconciled(run, "reseller", 0)["breaks"] == []


CUR_HEADER = (
    "bill_billing_period_start_date,bill_billing_period_end_date,line_item_line_item_type,line_item_product_code,"
    "line_item_usage_type,line_item_usage_start_date,line_item_usage_end_date,line_item_usage_amount,pricing_unit,"
    "line_item_unblended_cost,line_item_currency_code,line_item_usage_account_id"
)
USAGE_TYPES = {"input": "input-tokens", "cached input": "cache-read-input-token-count", "output": "output-tokens"}
MONTH = "2026-10-01T00:00:00.000Z,2026-11-01T00:00:00.000Z"


def cur(use: Sequence[Used]) -> bytes:
    """A report in two scales: each item once in thousands at 05:00, and its last thousand in millions at 06:00."""
    rows = [CUR_HEADER]
    for item in use:
        for hour, tokens, scale, unit in ((5, item.tokens - 1000, 3, "1K tokens"), (6, 1000, 6, "1M tokens")):
            quantity = f"{tokens // 10**scale}.{tokens % 10**scale:0{scale}d}"
            cost = dollars(tokens * PRICES[item.model, item.what])
            rows.append(
                f"{MONTH},Usage,AmazonBedrock,APN2-{item.model}-{USAGE_TYPES[item.what]},{item.day}T0{hour}:00:00.000Z,"
                f"{item.day}T0{hour + 1}:00:00.000Z,{quantity},{unit},{cost},USD,111122223333"
            )
    rows.append(f"{MONTH},Tax,AmazonBedrock,,{MONTH},1,,2.5,USD,111122223333")
    rows.append(f"{MONTH},Usage,AmazonS3,APN2-TimedStorage-ByteHrs,{MONTH},7,GB-Mo,0.75,USD,111122223333")
    return "\n".join([*rows, ""]).encode()


def test_a_cost_and_usage_report_reconciles(run: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "cur.csv.gz").write_bytes(gzip.compress(cur(USE)))
    code, out, said = run("invoice", "import", tmp_path / "cur.csv.gz", "--vendor", "aws", "--month", "2026-10")
    assert code == 0, said
    assert "as AWS's CUR 2.0 has" in out
    document = reconciled(run, "aws", 6)
    assert {one["class"]: one["amount"] for one in document["breaks"]} == {"TAX": "2.5", "FEE": "0.75"}
    assert document["matched"]["groups"] == len(USE)
    assert document["ours_total"] == dollars(TOTAL).rstrip("0")


def test_a_report_of_another_vendor_or_with_one_unknown_line_changes_nothing(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    (tmp_path / "vendors.csv").write_text("vendor,providers,zone,currency\nmaker,anthropic,UTC,USD\n")
    assert run("vendor", "import", tmp_path / "vendors.csv")[0] == 0
    (tmp_path / "cur.csv").write_bytes(cur(USE))
    code, _, said = run("invoice", "import", tmp_path / "cur.csv", "--vendor", "maker")
    assert (code, "is a file of aws" in said) == (2, True)
    (tmp_path / "cur.csv").write_bytes(cur(USE).replace(b"1K tokens", b"bushels"))
    code, _, said = run("invoice", "import", tmp_path / "cur.csv", "--vendor", "aws")
    assert (code, "'bushels'" in said) == (2, True)
    assert json.loads(run("invoice", "list", "--json")[1]) == {"imports": []}


AZURE_HEADER = (
    "Date,BillingPeriodStartDate,BillingPeriodEndDate,MeterName,MeterSubCategory,Quantity,UnitOfMeasure,ChargeType,"
    "BillingCurrencyCode,CostInBillingCurrency,SubscriptionId"
)
METER_NAMES = {"input": "NovaPro Inp glbl Tokens", "cached input": "NovaPro cd inp Gl", "output": "NovaPro-outpt-DZ"}


def test_azure_cost_details_reconcile(run: Callable[..., Run], tmp_path: Path) -> None:
    """In thousands, with a purchase and its refund."""
    rows = [AZURE_HEADER]
    for item in USE:
        day, quantity = item.day.strftime("%m/%d/%Y"), f"{item.tokens // 1000}.{item.tokens % 1000:03d}"
        cost = dollars(cost_of(item, PRICES))
        meter = METER_NAMES[item.what]
        rows.append(f"{day},10/01/2026,10/31/2026,{meter},Azure OpenAI,{quantity},1K,Usage,USD,{cost},s")
    rows += ["10/01/2026,10/01/2026,10/31/2026,,,1,1,Purchase,USD,3,s",
             "10/09/2026,10/01/2026,10/31/2026,,,1,1,Refund,USD,-1.25,s", ""]  # fmt: skip
    (tmp_path / "azure.csv").write_text("\n".join(rows))
    code, _, said = run("invoice", "import", tmp_path / "azure.csv", "--vendor", "azure", "--month", "2026-10")
    assert code == 0, said
    document = reconciled(run, "azure", 6)
    assert {one["class"]: one["amount"] for one in document["breaks"]} == {"FEE": "3", "CREDIT_OR_DISCOUNT": "-1.25"}
    assert document["matched"]["groups"] == len(USE)


SKUS = {"input": "Text Input - Predictions", "cached input": "Text Input Caching", "output": "Text Output (Long)"}


def test_a_billing_export_of_google_reconciles_on_pacific_days(run: Callable[..., Run], tmp_path: Path) -> None:
    """Our use at 05:00 UTC is Pacific use of the evening before: that of 1 October belongs to September's invoice."""
    rows = [
        f'{{"cost_type":"regular","cost":{dollars(cost_of(item, GEMINI))},"currency":"USD","credits":[],'
        f'"invoice":{{"month":"202610"}},"service":{{"description":"Vertex AI"}},"project":{{"id":"p"}},'
        f'"sku":{{"description":"Gemini 2.5 Flash GA {SKUS[item.what]}"}},'
        f'"usage":{{"amount":{item.tokens},"unit":"count"}},'
        f'"usage_start_time":"{item.day} 05:00:00 UTC","usage_end_time":"{item.day} 06:00:00 UTC"}}'
        for item in GEMINI_USE
        if item.day != DAYS[0]
    ]
    rows.append(rows[0].replace('"credits":[]', '"credits":[{"name":"Grant","amount":-0.5}]'))
    (tmp_path / "google.json").write_text("\n".join(rows[1:]) + "\n")
    code, _, said = run("invoice", "import", tmp_path / "google.json", "--vendor", "google", "--month", "2026-10")
    assert code == 0, said
    document = reconciled(run, "google", 6)
    assert {one["class"]: one["amount"] for one in document["breaks"]} == {"CREDIT_OR_DISCOUNT": "-0.5"}
    assert document["matched"]["groups"] == len(GEMINI_USE) - 3
