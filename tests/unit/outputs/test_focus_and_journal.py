"""FOCUS rows and their rules, journals and resolutions, on made-up statements; each rule finds a planted break."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.invoices.vendors import Vendor
from billing.outputs.focus import COLUMNS, FocusMonth, Row, focus_rows, meter, sub_account, unit_noun
from billing.outputs.focus_rules import MANDATORY, broken_rules
from billing.outputs.journal import Unbalanced, generic_journal, items, refuse_unbalanced
from billing.outputs.resolution import Payer, resolution_rows
from billing.outputs.vendor_names import Creditors, is_tax
from tests.unit.outputs.statement_samples import HOSTILE, line, organisation, statement

CREDITORS = Creditors(
    [Vendor("azure", "Microsoft", ("openai",)), Vendor("old", "Old", ("openai",), valid_to=date(2026, 10, 1))],
    date(2026, 10, 31),
)
MONTH = FocusMonth("가온시", CREDITORS)
CHARGES: dict[str, Any] = {
    "allocated": [
        {"rule": "gateway", "pool": "fixed", "amount_exact": "1000/3", "amount": "333"},
        {"rule": "vat", "pool": "invoice_tax:azure", "amount_exact": "5", "amount": "5"},
        {"rule": "credit", "pool": "invoice_credit:azure", "amount_exact": "-7", "amount": "-7"},
    ],
    "adjustments": [
        {"reason": "late", "origin_period": "2026-09", "provider": "openai", "amount_exact": "-1.5", "amount": "-2"}
    ],
    "taxes": [{"vendor": "azure", "tax_rate": "0.1", "amount_exact": "42.8", "amount": "43"}],
}


def month() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    rates = [{"date": "2026-10-01", "rate": "1400.55", "source": "b", "quantity": "1000001"},
             {"date": "2026-10-02", "rate": "1386.5", "source": "b", "quantity": "234566"}]  # fmt: skip
    exact = str(Decimal(1000001) * Decimal("0.25") / 10**6 * Decimal("1400.55")
                + Decimal(234566) * Decimal("0.25") / 10**6 * Decimal("1386.5"))  # fmt: skip
    several = line(fx_rate=None, fx_rows=rates, amount_exact=exact, amount=str(int(Decimal(exact))))
    counted = line(unit="requests", quantity=9, price=None, price_status="not_billable", amount_exact="0", amount="0")
    documents = [
        statement("D012", several, line(unit="web_searches", quantity=3, price=None), **CHARGES),
        statement("D013", counted),
        statement(None, line(unit="output_tokens")),
    ]
    return organisation(*documents), documents


def check(rows: list[Row], documents: list[dict[str, Any]], whole: dict[str, Any]) -> list[str]:
    return broken_rules(COLUMNS, rows, [(sub_account(one), one["total"]) for one in documents], whole["total"])


def test_rows_keep_every_rule() -> None:
    whole, documents = month()
    found = focus_rows(documents, MONTH)
    assert (check(list(found.rows), documents, whole), found.left_out) == ([], 3)
    by_section = {section: [row for row in found.rows if row["x_Section"] == section]
                  for section in ("line", "allocated", "adjustments", "taxes")}  # fmt: skip
    assert [row["ChargeCategory"] for row in by_section["allocated"]] == ["Adjustment", "Tax", "Credit"]
    (correction,) = by_section["adjustments"]
    assert (correction["ChargeClass"], correction["ChargePeriodStart"]) == ("Correction", "2026-08-31T15:00:00Z")
    assert correction["BillingPeriodStart"] == "2026-09-30T15:00:00Z"
    assert {row["InvoiceIssuerName"] for row in by_section["line"]} == {"Microsoft"}
    assert by_section["allocated"][0]["InvoiceIssuerName"] == "가온시"
    assert [row["x_ExchangeRate"] for row in by_section["line"]] == ["1400.55", "1386.5", "", "1386.5"]
    assert {row["InvoiceId"] for row in found.rows} == {""}
    closed = focus_rows([{**documents[0], "status": "closed"}], MONTH)
    assert {row["InvoiceId"] for row in closed.rows} == {"2026-10-D012"}


def test_list_price_is_the_price_before_terms() -> None:
    terms = [{"term_id": "T-1", "name": "5 %", "kind": "discount", "percent": "5", "unit_price_before": "0.0000005"}]
    (row,) = focus_rows([statement("D012", line(terms=terms))], MONTH).rows
    assert (row["PricingCurrencyListUnitPrice"], row["PricingCurrencyContractedUnitPrice"]) == ("0.5", "0.25")
    assert Decimal(row["ListCost"]) == 2 * Decimal(row["ContractedCost"])


@pytest.mark.parametrize(
    ("unit", "name", "noun"),
    [("input_tokens", "Input Tokens", "Tokens"), ("cache_write_5m_tokens", "Cache Write 5m Input Tokens", "Tokens"),
     ("cache_read_tokens", "Cache Read Input Tokens", "Tokens"), ("web_searches", "Web Searches", "Web Searches"),
     ("requests", "Requests", "Requests")],
)  # fmt: skip
def test_names_of_units(unit: str, name: str, noun: str) -> None:
    assert (meter(unit), unit_noun(unit)) == (name, noun)


BREAKS: tuple[tuple[str, str, str, str], ...] = (
    ("line", "BilledCost", "1", "adds up to"),
    ("line", "BilledCost", "1e2", "no decimal"),
    ("line", "BilledCost", "", "must not be null"),
    ("line", "ListCost", "1", "ListUnitPrice x PricingQuantity"),
    ("line", "ContractedUnitPrice", "1", "ContractedUnitPrice x PricingQuantity"),
    ("line", "ContractedUnitPrice", "-1", "must not be negative"),
    ("line", "PricingCurrencyEffectiveCost", "1", "PricingCurrencyEffectiveCost"),
    ("line", "ConsumedQuantity", "1", "is not ConsumedQuantity"),
    ("line", "PricingQuantity", "", "must not be null for Usage"),
    ("line", "SkuPriceId", "", "must not be null for Usage"),
    ("line", "PricingUnit", "per million", "PricingUnit"),
    ("line", "ChargeCategory", "usage", "not allowed"),
    ("line", "ChargeClass", "correction", "not allowed"),
    ("line", "ServiceCategory", "AI", "not allowed"),
    ("line", "Tags", "department=D012", "no flat JSON"),
    ("line", "SkuPriceDetails", '{"a": {}}', "no flat JSON"),
    ("line", "BillingPeriodStart", "2026-10-01", "no UTC time"),
    ("line", "ChargePeriodEnd", "2026-12-31T00:00:00Z", "outside of the billing period"),
    ("line", "ChargePeriodEnd", "2026-09-30T15:00:00Z", "ends before it begins"),
    ("line", "InvoiceIssuerName", "", "must not be null"),
    ("taxes", "SkuId", "x", "must be null for Tax"),
    ("taxes", "PricingQuantity", "1", "must be null for Tax"),
    ("allocated", "ConsumedQuantity", "1", "must be null unless Usage"),
    ("allocated", "ContractedCost", "1", "not its BilledCost"),
    ("adjustments", "ChargeClass", "", "outside of the billing period"),
)


@pytest.mark.parametrize(("section", "column", "value", "says"), BREAKS)
def test_a_planted_break_is_found(section: str, column: str, value: str, says: str) -> None:
    whole, documents = month()
    rows = [dict(row) for row in focus_rows(documents, MONTH).rows]
    next(row for row in rows if row["x_Section"] == section)[column] = value
    assert any(says in sentence for sentence in check(rows, documents, whole)), check(rows, documents, whole)


def test_a_missing_row_and_a_wrong_total_are_found() -> None:
    whole, documents = month()
    rows = list(focus_rows(documents, MONTH).rows)
    assert "adds up to" in check(rows[1:], documents, whole)[0]
    assert "organisation's total" in check(rows, documents, {**whole, "total": "1"})[0]
    assert check([], [], {"total": "0"}) == []


@pytest.mark.parametrize("name", MANDATORY)
def test_a_missing_column_is_found(name: str) -> None:
    header = [column for column in COLUMNS if column != name]
    assert broken_rules(header, [], [], "0") == [f"column {name} is missing"]
    assert broken_rules([*COLUMNS, name], [], [], "0") == [f"column {name} stands twice"]
    assert broken_rules([*COLUMNS, "Own"], [], [], "0") == ["column Own is none of FOCUS and not marked x_"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_keep_the_rules(name: str) -> None:
    document = statement(name, line(model=name, provider=name), department_name=name)
    found = focus_rows([document], FocusMonth(name, CREDITORS, cost_centres={name: name}))
    assert check(list(found.rows), [document], organisation(document)) == []
    for row in found.rows:
        assert not [value for column, value in row.items() if value.startswith(("=", "+", "@", "\t"))]


def test_a_journal_balances() -> None:
    whole, documents = month()
    rows = generic_journal(whole, items(documents, CREDITORS))
    debit = sum(Decimal(row["debit"] or 0) for row in rows)
    assert debit == sum(Decimal(row["credit"] or 0) for row in rows)
    accounts = {(row["account"], row["department"]): (row["debit"], row["credit"]) for row in rows}
    assert accounts["expense:correction", "D012"] == ("", "2")
    assert accounts["clearing", ""] == ("", "333")
    assert ("payable:azure", "") in accounts
    assert accounts["expense:tax", "D012"] == ("48", "")


def test_planted_imbalances_are_refused() -> None:
    whole, documents = month()
    with pytest.raises(Unbalanced, match="D012"):
        items([{**documents[0], "total": "1"}, *documents[1:]], CREDITORS)
    with pytest.raises(Unbalanced, match="organisation's total"):
        generic_journal({**whole, "total": "1"}, items(documents, CREDITORS))
    with pytest.raises(Unbalanced, match="debits are 1 and credits 0"):
        refuse_unbalanced([{"account": "expense:x", "debit": "1", "credit": ""}], "1")
    with pytest.raises(Unbalanced, match="rows add up"):
        resolution_rows({**whole, "total": "1"}, items(documents, CREDITORS), {})


def test_a_resolution() -> None:
    whole, documents = month()
    payers = {"D012": Payer("예산과", "행정정보화", "201-02")}
    rows = resolution_rows(whole, items(documents, CREDITORS), payers)
    columns = ("부서", "세부사업", "통계목", "채권자", "공급가액", "부가세", "합계")
    told = [[row[name] for name in columns] for row in rows]
    lines = documents[0]["lines"][0]["amount"]
    supply = int(lines) - 7 - 2
    assert told[0] == ["예산과", "행정정보화", "201-02", "Microsoft", str(supply), "48", str(supply + 48)]
    assert ["", "333", "0", "333"] in [row[3:] for row in told]
    assert sum(int(row["합계"]) for row in rows) == int(whole["total"])


def test_creditors() -> None:
    assert CREDITORS.of_provider("OpenAI").name == "Microsoft"
    two = Creditors([Vendor("a", "A", ("x",)), Vendor("b", "B", ("x",))], date(2026, 10, 31))
    assert (two.of_provider("x").name, two.of_provider("x").is_known) == ("x", False)
    assert Creditors([], date(2026, 10, 31)).of_provider("openai").name == "OpenAI"
    assert CREDITORS.of_charge({"pool": "invoice_fee:azure"}) == CREDITORS.of_vendor("azure")
    assert CREDITORS.of_charge({"pool": "fixed"}) is None
    assert [is_tax(*one) for one in (("taxes", {}), ("allocated", {"pool": "invoice_tax:x"}), ("allocated", {}))] == [
        True, True, False,
    ]  # fmt: skip
