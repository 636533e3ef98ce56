"""Reconciliation compares at agreed prices: contract discounts and volume tiers are on our side, as on statements."""

# ruff: noqa: F811 - fixtures of another module are parameters here

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.integration.invoice_world import Used, bill, month_days, put_prices, put_use
from tests.integration.test_invoices import FOUR, MINI, Run, import_text, reconciled, run  # noqa: F401 - a fixture
from tests.scenarios.test_prices_months import TERMS_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

DAYS = month_days()
LIST = {(MINI, "input"): 100, (FOUR, "input"): 400}
"""Micro-cents a token; the terms below make whole ones of them."""
USE = [
    Used(day, model, "input", 10_001, account)
    for day in DAYS[:20]
    for model in (MINI, FOUR)
    for account in ("a", "b")
]
"""400,040 tokens of each model."""


@pytest.fixture
def world(migrated_database: DatabaseUrls) -> DatabaseUrls:
    with psycopg.connect(migrated_database.owner) as connection:
        put_prices(connection, LIST)
        put_use(connection, USE)
    return migrated_database


def agree(run: Callable[..., Run], tmp_path: Path, *terms: str) -> None:
    (tmp_path / "terms.csv").write_text(TERMS_HEADER + "\n".join(terms) + "\n", encoding="utf-8")
    code, _, said = run("price", "terms", "import", tmp_path / "terms.csv")
    assert code == 0, said


def test_a_vendor_that_bills_the_agreed_discount_agrees(
    run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path
) -> None:
    agree(run, tmp_path, "ten,discount,openai,gpt-5-mini*,,,,10,,,,2026-01-01,,letter")
    import_text(run, tmp_path, bill(USE, {**LIST, (MINI, "input"): 90}, DAYS))
    assert reconciled(run, 0)["breaks"] == []


def test_a_vendor_that_bills_the_list_differs_by_price_and_the_reason_names_the_term(
    run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path
) -> None:
    """400,040 tokens at 10 micro-cents more each."""
    agree(run, tmp_path, "ten,discount,openai,gpt-5-mini*,,,,10,,,,2026-01-01,,letter")
    import_text(run, tmp_path, bill(USE, LIST, DAYS))
    document = reconciled(run, 6)
    assert {found["class"] for found in document["breaks"]} == {"PRICE"}
    assert sum(Decimal(found["amount"]) for found in document["breaks"]) == Decimal(400_040 * 10) / 10**8
    assert "with T-000001 (0.9 per 1,000,000" in document["breaks"][0]["why"]


def test_a_discount_that_begins_in_the_month_prices_from_there(
    run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path
) -> None:
    agree(run, tmp_path, "half,discount,openai,gpt-4o*,,,,50,,,,2026-10-11,,letter")
    early = [one for one in USE if one.day < date(2026, 10, 11)]
    late = [one for one in USE if one.day >= date(2026, 10, 11)]
    billed = bill(early, LIST, DAYS[:10]), bill(late, {**LIST, (FOUR, "input"): 200}, DAYS[10:])
    for place, text in enumerate(billed):
        (tmp_path / f"{place}.json").write_text(text, encoding="utf-8")
    code, _, said = run("invoice", "import", tmp_path / "0.json", tmp_path / "1.json", "--vendor", "openai",
                        "--month", "2026-10")  # fmt: skip
    assert code == 0, said
    assert reconciled(run, 0)["breaks"] == []


def test_a_volume_tier_counts_all_use_of_the_vendors_month(
    run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path
) -> None:
    """Whole volume: 400,040 exceed 400,039, although a day has 20,002 and an account 200,020."""
    agree(run, tmp_path, "many,whole_tier,openai,gpt-5-mini*,input_tokens,,,25,,,400039,2026-01-01,,letter")
    import_text(run, tmp_path, bill(USE, {**LIST, (MINI, "input"): 75}, DAYS))
    assert reconciled(run, 0)["breaks"] == []


def test_a_tier_is_not_reached_at_its_threshold(
    run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path
) -> None:
    agree(run, tmp_path, "many,whole_tier,openai,gpt-5-mini*,input_tokens,,,25,,,400040,2026-01-01,,letter")
    import_text(run, tmp_path, bill(USE, LIST, DAYS))
    assert reconciled(run, 0)["breaks"] == []


def test_use_on_another_vendors_account_counts_towards_the_tier(
    run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path
) -> None:
    """The vendor bills account a only; the contract's volume is the organisation's."""
    agree(run, tmp_path, "many,whole_tier,openai,gpt-5-mini*,input_tokens,,,25,,,400039,2026-01-01,,letter")
    (tmp_path / "vendors.csv").write_text("vendor,providers,accounts,currency\nopenai,openai,a,USD\n", encoding="utf-8")
    assert run("vendor", "import", tmp_path / "vendors.csv")[0] == 0
    mine = [one for one in USE if one.account == "a"]
    import_text(run, tmp_path, bill(mine, {**LIST, (MINI, "input"): 75}, DAYS))
    document = reconciled(run, 0)
    assert document["breaks"] == []
    assert document["ours_total"] == document["invoice_total"] == "0.950095"


def test_ours_is_what_departments_are_charged(
    run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path
) -> None:
    """Over a month whose zone is the vendor's, our side of the reconciliation is the statement's exact total."""
    agree(run, tmp_path, "ten,discount,openai,gpt-5-mini*,,,,10,,,,2026-01-01,,letter",
          "many,graduated_tier,openai,gpt-4o*,input_tokens,,,30,,,100000,2026-01-01,,letter")  # fmt: skip
    import_text(run, tmp_path, bill(USE, LIST, DAYS))
    ours = reconciled(run, 6)["ours_total"]
    code, out, said = run("statement", "show", "2026-10", "D1", "--timezone", "UTC", "--currency", "USD", "--json")
    assert code == 0, said
    assert f'"total_exact": "{ours}"' in out
