"""`export focus` and `export journal` through the commands: rows that add up to the statements, balanced or refused."""

# ruff: noqa: F811 - fixtures of another module are parameters here

from __future__ import annotations

import csv
import gzip
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from tests.integration.command_world import CommandShell
from tests.integration.test_billing_commands import house, shell  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenarios.house import House

MONTH = "2026-10"
VENDORS = """vendor,creditor,providers,zone,currency,tax_mode,tax_rate
openai,오픈AI 아일랜드,openai,UTC,USD,vendor_charged,0.1
"""
DEPARTMENTS = """department,name,cost_centre,programme,budget_item
D012,정보통신과,C-7,행정정보화,201-02 공공운영비
D013,=문화과,,,
"""


@pytest.fixture
def month(house: House, shell: CommandShell, tmp_path: Path) -> House:
    """Three payers, two providers, taxed use, two rates in one line, a price in won, use without a price."""
    house.prices(
        "openai,gpt-x,input_tokens,,,,USD,0.25,1000000,2026-01-01T00:00:00Z,,letter",
        "openai,gpt-x,cache_write_5m_tokens,,,,USD,0.3,1000,2026-01-01T00:00:00Z,,letter",
        "acme,hcx,output_tokens,,,,KRW,7,1000,2026-01-01T00:00:00Z,,letter",
    )
    house.fx("2026-09-01,USD,KRW,1400.55,bank", "2026-10-02,USD,KRW,1386.5,bank")
    house.use("2026-10-01T10:00:00+09:00", "D012", "gpt-x", {"input_tokens": 1_234_567})
    house.use("2026-10-03T10:00:00+09:00", "D012", "gpt-x", {"input_tokens": 7_654_321, "requests": 9})
    house.use("2026-10-03T10:00:00+09:00", "D013", "gpt-x", {"cache_write_5m_tokens": 4_321, "web_searches": 3})
    house.use("2026-10-03T10:00:00+09:00", "D013", "hcx", {"output_tokens": 12_345}, provider="acme")
    house.use("2026-10-04T10:00:00+09:00", None, "gpt-x", {"input_tokens": 10_000})
    for command, name, text in (("vendor", "vendors.csv", VENDORS), ("department", "departments.csv", DEPARTMENTS)):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        code, _, err = shell.run(command, "import", file)
        assert code == 0, err
    return house


def focus(shell: CommandShell, out: Path, *more: str) -> list[dict[str, str]]:
    code, _, err = shell.run("export", "focus", "--month", MONTH, "--out", out, *more)
    assert code == 0, err
    raw = out.read_bytes()
    text = (gzip.decompress(raw) if out.suffix == ".gz" else raw).decode()
    return list(csv.DictReader(io.StringIO(text)))


def total(rows: list[dict[str, str]], column: str) -> Decimal:
    return sum((Decimal(row[column] or 0) for row in rows), Decimal(0))


def journal(shell: CommandShell, out: Path, *more: str) -> list[dict[str, str]]:
    code, _, err = shell.run("export", "journal", "--month", MONTH, "--out", out, *more)
    assert code == 0, err
    return list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))))


def listed(shell: CommandShell) -> dict[str, Any]:
    found: dict[str, Any] = shell.json("statement", "list", MONTH)
    return found


def test_focus_adds_up_to_the_statements(shell: CommandShell, month: House, tmp_path: Path) -> None:
    rows = focus(shell, tmp_path / "focus.csv")
    told = listed(shell)
    assert total(rows, "BilledCost") == Decimal(told["total"])
    for one in told["statements"]:
        code = one["department"] or "unattributed"
        mine = [row for row in rows if row["SubAccountId"] == code]
        assert total(mine, "BilledCost") == Decimal(one["total"])
    split = [row for row in rows if row["SubAccountId"] == "D012" and row["SkuMeter"] == "Input Tokens"]
    assert [(row["ConsumedQuantity"], row["x_ExchangeRate"]) for row in split] == [
        ("1234567", "1400.55"),
        ("7654321", "1386.5"),
    ]
    (first, second) = split
    assert Decimal(first["ListUnitPrice"]) * Decimal(first["PricingQuantity"]) == Decimal(first["ListCost"])
    assert first["PricingUnit"] == "1000000 Tokens"
    assert (first["PricingCurrency"], first["PricingCurrencyContractedUnitPrice"]) == ("USD", "0.25")
    assert (first["BillingPeriodStart"], first["BillingPeriodEnd"]) == ("2026-09-30T15:00:00Z", "2026-10-31T15:00:00Z")
    assert (first["InvoiceIssuerName"], second["PublisherName"]) == ("오픈AI 아일랜드", "openai")
    assert json.loads(first["Tags"]) == {"department": "D012", "cost_center": "C-7"}
    tax = [row for row in rows if row["ChargeCategory"] == "Tax"]
    assert {row["SubAccountId"] for row in tax} == {"D012", "D013", "unattributed"}
    assert not any(row["SkuId"] or row["PricingQuantity"] for row in tax)
    cache = next(row for row in rows if row["SkuMeter"].startswith("Cache Write"))
    details = json.loads(cache["SkuPriceDetails"])
    assert (details["x_TokenCacheAction"], details["x_CacheTtl"], details["x_ServiceTier"]) == (
        "Write",
        "5m",
        "standard",
    )
    assert next(row for row in rows if row["SubAccountId"] == "D013")["SubAccountName"] == "'=문화과"


def test_focus_leaves_out_the_unknown_and_says_so(shell: CommandShell, month: House, tmp_path: Path) -> None:
    code, out, err = shell.run("export", "focus", "--month", MONTH, "--out", tmp_path / "f.csv", "--json")
    assert (code, json.loads(out)["left_out_quantity"]) == (0, "3")
    assert "3 units of use have no price" in err
    assert not [row for row in focus(shell, tmp_path / "f.csv") if row["SkuMeter"] == "Web Searches"]


def test_focus_packed_is_the_same_twice(shell: CommandShell, month: House, tmp_path: Path) -> None:
    rows = focus(shell, tmp_path / "a.csv.gz")
    assert rows == focus(shell, tmp_path / "b.csv")
    focus(shell, tmp_path / "c.csv.gz")
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "c.csv.gz").read_bytes()


def test_focus_in_another_currency(shell: CommandShell, month: House, tmp_path: Path) -> None:
    month.fx("2026-09-01,KRW,USD,0.0007,bank")
    rows = focus(shell, tmp_path / "usd.csv", "--currency", "USD")
    assert {row["BillingCurrency"] for row in rows} == {"USD"}
    assert total(rows, "BilledCost") == Decimal(shell.json("statement", "list", MONTH, "--currency", "USD")["total"])


def test_the_generic_journal_balances(shell: CommandShell, month: House, tmp_path: Path) -> None:
    rows = journal(shell, tmp_path / "j.csv")
    assert total(rows, "debit") == total(rows, "credit") == Decimal(listed(shell)["total"])
    assert {row["date"] for row in rows} == {"2026-10-31"}
    by_account = {row["account"]: row for row in rows if row["credit"]}
    assert set(by_account) == {"payable:openai", "payable:acme"}
    assert {row["account"] for row in rows if row["debit"]} == {"expense:ai-usage", "expense:tax"}


def test_the_spending_resolution(shell: CommandShell, month: House, tmp_path: Path) -> None:
    rows = journal(shell, tmp_path / "j.csv", "--layout", "local-government")
    assert list(rows[0]) == ["부서", "세부사업", "통계목", "적요", "채권자", "공급가액", "부가세", "합계"]
    assert total(rows, "합계") == total(rows, "공급가액") + total(rows, "부가세") == Decimal(listed(shell)["total"])
    first = rows[0]
    assert [first[name] for name in ("부서", "세부사업", "통계목", "적요", "채권자")] == [
        "정보통신과", "행정정보화", "201-02 공공운영비", "2026년 10월 AI 사용료", "오픈AI 아일랜드",
    ]  # fmt: skip
    assert total(rows, "부가세") > 0
    assert {row["부서"] for row in rows} == {"정보통신과", "'=문화과", "귀속 부서 없음"}


def test_columns_are_a_setting_and_workbooks_hold_numbers(
    shell: CommandShell,
    month: House,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JANGBU_JOURNAL_COLUMNS", "부서코드,부서,합계")
    out = tmp_path / "j.xlsx"
    assert shell.run("export", "journal", "--month", MONTH, "--out", out, "--layout", "local-government")[0] == 0
    rows = list(openpyxl.load_workbook(out).active.iter_rows(values_only=True))
    assert rows[0] == ("부서코드", "부서", "합계")
    assert sum(row[2] for row in rows[1:]) == int(listed(shell)["total"])
    sheet = openpyxl.load_workbook(out).active
    assert not [cell.coordinate for row in sheet.iter_rows() for cell in row if cell.data_type == "f"]
    monkeypatch.setenv("JANGBU_JOURNAL_COLUMNS", "부서,금액")
    code, _, err = shell.run("export", "journal", "--month", MONTH, "--out", out)
    assert (code, "금액" in err) == (3, True)


def test_a_provider_without_a_vendor_is_said(shell: CommandShell, month: House, tmp_path: Path) -> None:
    code, out, err = shell.run("export", "journal", "--month", MONTH, "--out", tmp_path / "j.csv", "--json")
    assert (code, json.loads(out)["creditors_unknown"]) == (0, ["acme"])
    assert "'acme'" in err


@pytest.mark.parametrize(
    "words",
    [
        ("export", "focus", "--month", MONTH, "--out", "focus.txt"),
        ("export", "focus", "--month", "2026-13", "--out", "focus.csv"),
        ("export", "journal", "--month", MONTH, "--out", "missing/directory/j.csv"),
        ("export", "journal", "--month", MONTH, "--out", "j.csv", "--layout", "other"),
    ],
)
def test_wrong_words(shell: CommandShell, month: House, words: tuple[str, ...]) -> None:
    assert shell.run(*words)[0] == 2


def test_a_month_without_use(shell: CommandShell, house: House, tmp_path: Path) -> None:
    assert focus(shell, tmp_path / "f.csv") == []
    assert journal(shell, tmp_path / "j.csv") == []


def test_a_statement_that_does_not_add_up_is_refused(
    shell: CommandShell,
    month: House,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A planted defect: one booked amount is a won more than what was rounded."""
    import jangbu.month_exports as documents

    sound = vars(documents)["read_month"]

    def planted(*given: Any) -> Any:
        whole, found = sound(*given)
        found[0]["lines"][0]["amount"] = str(int(found[0]["lines"][0]["amount"]) + 1)
        return whole, found

    monkeypatch.setattr(documents, "read_month", planted)
    code, _, err = shell.run("export", "journal", "--month", MONTH, "--out", tmp_path / "j.csv")
    assert (code, "'D012'" in err) == (5, True)
    assert not (tmp_path / "j.csv").exists()
    code, _, err = shell.run("export", "focus", "--month", MONTH, "--out", tmp_path / "f.csv")
    assert code != 0
    assert not (tmp_path / "f.csv").exists()
