"""Invoices and reconciliation through PostgreSQL and the command line."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.integration.command_world import CommandShell, use_database
from tests.integration.invoice_world import (
    PRICES,
    Used,
    bill,
    bucket,
    cost_of,
    dollars,
    month_days,
    page,
    put_prices,
    put_use,
    result,
    seconds,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

MINI = "gpt-5-mini-2025-08-07"
FOUR = "gpt-4o-2024-08-06"
DAYS = month_days()
USE = [
    Used(day, model, what, tokens * (number + 1))
    for number, day in enumerate(DAYS[:-2])
    for model, what, tokens in (
        (MINI, "input", 120_001),
        (MINI, "cached input", 4_097),
        (MINI, "output", 33_333),
        (FOUR, "input", 5_003),
        (FOUR, "output", 701),
    )
]
COST_HEADER = (
    "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,"
    "organization_id,organization_name"
)
USAGE_HEADER = (
    "start_time,end_time,num_model_requests,model,batch,service_tier,input_tokens,output_tokens,"
    "input_cached_tokens,input_uncached_tokens"
)
Run = tuple[int, str, str]


@pytest.fixture
def run(
    migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Run]:
    """The command line against the test's database: (exit code, stdout, stderr)."""
    use_database(migrated_database, monkeypatch, tmp_path)
    monkeypatch.setenv("JANGBU_DATA_DIR", str(tmp_path / "data"))

    return CommandShell(capsys).run


@pytest.fixture
def world(migrated_database: DatabaseUrls) -> DatabaseUrls:
    """Prices and a month of use."""
    with psycopg.connect(migrated_database.owner) as connection:
        put_prices(connection, PRICES)
        put_use(connection, USE)
    return migrated_database


def import_text(run: Callable[..., Run], tmp_path: Path, text: str, name: str = "costs.json", *words: str) -> Run:
    """Write a file and import it for OpenAI's October."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    return run("invoice", "import", tmp_path / name, "--vendor", "openai", "--month", "2026-10", *words)


def reconciled(run: Callable[..., Run], code: int) -> dict[str, Any]:
    """The document of OpenAI's October; the proof holds whatever else."""
    found, out, said = run("reconcile", "--vendor", "openai", "--month", "2026-10", "--json")
    assert found == code, said
    document: dict[str, Any] = json.loads(out)
    assert document["proof"]["difference"] == "0"
    assert document["proof"]["invoice"] == document["invoice_total"]
    return document


def test_a_clean_month_has_no_break(run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path) -> None:
    code, out, said = import_text(run, tmp_path, bill(USE, PRICES, DAYS))
    assert (code, said) == (0, "")
    assert "as the costs API answers" in out
    document = reconciled(run, 0)
    total = dollars(sum(cost_of(item, PRICES) for item in USE)).rstrip("0")
    assert document["invoice_total"] == document["ours_total"] == document["matched"]["amount"] == total
    assert document["breaks"] == []
    assert document["matched"]["groups"] == len(USE)
    assert document["uncovered_days"] == []
    assert (document["vendor"], document["month"], document["currency"]) == ("openai", "2026-10", "USD")


def test_each_planted_fault_is_named(run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path) -> None:
    """A missing day of ours, use that bypassed us, use not billed, another price, another quantity, at once."""
    billed = list(USE)
    more = Used(DAYS[3], MINI, "input", USE[15].tokens + 1_000)
    assert (billed[15].day, billed[15].what) == (more.day, more.what)
    billed[15] = more
    bypass = Used(DAYS[7], "gpt-4o-2024-08-06", "cached input", 10)
    del billed[24]
    prices = {**PRICES, (FOUR, "cached input"): 125}
    dearer = {**prices, (FOUR, "output"): 1100}
    text = page([
        bucket(day, [result(item, cost_of(item, dearer if item.day == DAYS[20] else prices))
                     for item in [*billed, bypass] if item.day == day])
        for day in DAYS
    ])  # fmt: skip
    assert import_text(run, tmp_path, text)[0] == 0
    document = reconciled(run, 6)
    found = {one["class"]: one for one in document["breaks"]}
    assert sorted(found) == ["NOT_BILLED", "PRICE", "QUANTITY", "UNKNOWN_MODEL"]
    assert found["QUANTITY"]["amount"] == "0.00025"
    assert found["QUANTITY"]["key"] == {"day": "2026-10-04", "model": MINI, "unit": "input_tokens"}
    assert found["QUANTITY"]["ours"]["quantity"] == str(USE[15].tokens)
    assert found["QUANTITY"]["vendor"]["quantity"] == str(more.tokens)
    gone = USE[24]
    assert found["NOT_BILLED"]["amount"] == "-" + dollars(cost_of(gone, PRICES)).rstrip("0")
    assert found["NOT_BILLED"]["vendor"] == {"quantity": "0", "amount": "0"}
    assert found["PRICE"]["key"]["day"] == "2026-10-21"
    assert "ours 10 per 1,000,000" in found["PRICE"]["why"]
    assert "rate is 11 per 1,000,000" in found["PRICE"]["why"]
    assert found["UNKNOWN_MODEL"]["amount"] == "0.0000125"
    assert run("break", "accept", "--vendor", "openai", "--month", "2026-10", "--reason", "looked at")[0] == 0
    assert reconciled(run, 0)["breaks"] == document["breaks"]
    assert run("reconcile", "--vendor", "openai", "--month", "2026-10", "--dry-run")[0] == 6


def test_bypass_is_use_that_we_could_price_and_did_not_see(
    run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path
) -> None:
    extra = Used(DAYS[-1], MINI, "output", 5_000)
    assert import_text(run, tmp_path, bill([*USE, extra], PRICES, DAYS))[0] == 0
    (one,) = reconciled(run, 6)["breaks"]
    assert (one["class"], one["amount"]) == ("BYPASS", "0.01")
    assert one["ours"] == {"quantity": "0", "amount": "0"}
    assert one["vendor"] == {"quantity": "5000", "amount": "0.01"}


def test_totals_alone_are_taken_for_use_until_the_usage_export_tells(
    run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path
) -> None:
    def total(day: date) -> int:
        return sum(cost_of(item, PRICES) for item in USE if item.day == day) + (25_000 if day == DAYS[4] else 0)

    rows = [COST_HEADER]
    for day in DAYS:
        money = f"{dollars(total(day))}00000000,usd" if total(day) else ","
        rows.append(
            f"{seconds(day)},{seconds(day) + 86400},{day}T00:00:00+00:00,{day + timedelta(days=1)}T00:00:00+00:00,"
            f"{money},,,org-1,Personal"
        )
    assert import_text(run, tmp_path, "\n".join(rows) + "\n", "cost.csv")[0] == 0
    (one,) = reconciled(run, 6)["breaks"]
    assert (one["class"], one["amount"]) == ("QUANTITY", "0.00025")
    assert one["key"] == {"day": "2026-10-05", "model": None, "unit": None}
    assert "import the vendor's usage export" in one["why"]
    rows = [USAGE_HEADER]
    for day in DAYS:
        tokens = {(item.model, item.what): item.tokens for item in USE if item.day == day}
        if day == DAYS[4]:
            tokens[MINI, "input"] += 1_000
        start = f"{seconds(day)},{seconds(day) + 86400}"
        if not tokens:
            rows.append(f"{start},,,,,,,,")
        for model in sorted({model for model, _ in tokens}):
            fresh, cached = tokens[model, "input"], tokens.get((model, "cached input"), 0)
            rows.append(
                f"{start},3.0,{model},FALSE,default,{fresh + cached}.0,{tokens[model, 'output']}.0,{cached}.0,{fresh}.0"
            )
    assert import_text(run, tmp_path, "\n".join(rows) + "\n", "usage.csv")[0] == 0
    (one,) = reconciled(run, 6)["breaks"]
    assert (one["class"], one["amount"]) == ("QUANTITY", "0.00025")
    assert one["key"] == {"day": "2026-10-05", "model": MINI, "unit": "input_tokens", "service_tier": "standard"}


def test_the_same_file_is_refused_and_a_later_one_supersedes(
    run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path
) -> None:
    assert import_text(run, tmp_path, bill(USE, PRICES, DAYS))[0] == 0
    code, _, said = import_text(run, tmp_path, bill(USE, PRICES, DAYS), "again.json")
    assert code == 5
    assert "already imported as import 1" in said
    later = bill([*USE, Used(DAYS[-1], MINI, "output", 5_000)], PRICES, DAYS)
    code, out, _ = import_text(run, tmp_path, later, "later.json", "--json")
    assert code == 0
    (old,) = json.loads(out)["imports"][0]["supersedes"]
    assert (old["import_id"], len(old["days"])) == (1, 31)
    assert float(old["after"]["USD"]) - float(old["before"]["USD"]) == pytest.approx(0.01)
    assert [one["class"] for one in reconciled(run, 6)["breaks"]] == ["BYPASS"]
    listed = json.loads(run("invoice", "list", "--json")[1])["imports"]
    assert [(one["import_id"], one["days_that_count"]) for one in listed] == [(1, 0), (2, 31)]


def test_pages_in_several_files_add_up(run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(bill(USE, PRICES, DAYS[:10]))
    (tmp_path / "b.json").write_text(bill(USE, PRICES, DAYS[10:]))
    code, _, said = run("invoice", "import", tmp_path / "a.json", tmp_path / "b.json", "--vendor", "openai")
    assert code == 0, said
    assert reconciled(run, 0)["breaks"] == []


def test_one_bad_line_refuses_every_file(run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(bill(USE, PRICES, DAYS[:10]))
    (tmp_path / "b.json").write_text(bill(USE, PRICES, DAYS[10:]).replace('"tokens"', '"parsecs"', 1))
    code, out, said = run("invoice", "import", tmp_path / "a.json", tmp_path / "b.json", "--vendor", "openai")
    assert (code, out) == (2, "")
    assert "b.json, data[0].results[0], quantity_unit is 'parsecs'" in said
    assert run("reconcile", "--vendor", "openai", "--month", "2026-10")[0] == 4
    assert json.loads(run("invoice", "list", "--json")[1]) == {"imports": []}


def test_dry_run_writes_nothing(run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path) -> None:
    code, out, _ = import_text(run, tmp_path, bill(USE, PRICES, DAYS), "costs.json", "--dry-run")
    assert code == 0
    assert "nothing written" in out
    assert json.loads(run("invoice", "list", "--json")[1]) == {"imports": []}


def test_lines_outside_the_month_named_are_refused(
    run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path
) -> None:
    late = Used(date(2026, 11, 1), MINI, "input", 7)
    code, _, said = import_text(run, tmp_path, bill([late], PRICES, [late.day]))
    assert code == 2
    assert "2026-11-01" in said
    assert "leave out --month" in said


def test_accounts_keep_projects_apart(run: Callable[..., Run], migrated_database: DatabaseUrls, tmp_path: Path) -> None:
    """Where both sides name projects, a project that we never saw is use that passed us by."""
    use = [Used(DAYS[0], MINI, "input", 1_000, "proj_a"), Used(DAYS[0], MINI, "input", 2_000, "proj_b")]
    with psycopg.connect(migrated_database.owner) as connection:
        put_prices(connection, PRICES)
        put_use(connection, use)
    stranger = Used(DAYS[0], MINI, "input", 4_000, "proj_x")
    assert import_text(run, tmp_path, bill([*use, stranger], PRICES, DAYS))[0] == 0
    (one,) = reconciled(run, 6)["breaks"]
    assert (one["class"], one["key"]["account"], one["amount"]) == ("BYPASS", "proj_x", "0.001")


def test_hours_fall_into_the_vendors_day_and_month(
    run: Callable[..., Run], migrated_database: DatabaseUrls, tmp_path: Path
) -> None:
    """OpenAI's month is UTC: 1 October 05:00 in Seoul is September for it, and no break of October."""
    with psycopg.connect(migrated_database.owner) as connection:
        put_prices(connection, PRICES)
        put_use(connection, [Used(date(2026, 9, 30), MINI, "input", 1_000)], hour=20)
        put_use(connection, [Used(DAYS[0], MINI, "input", 3_000)], hour=0)
        put_use(connection, [Used(DAYS[-1], MINI, "input", 5_000)], hour=23)
    billed = [Used(DAYS[0], MINI, "input", 3_000), Used(DAYS[-1], MINI, "input", 5_000)]
    assert import_text(run, tmp_path, bill(billed, PRICES, DAYS))[0] == 0
    assert reconciled(run, 0)["matched"]["groups"] == 2


def test_runs_are_recorded_and_law_6_holds_until_someone_tampers(
    run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path
) -> None:
    assert import_text(run, tmp_path, bill(USE, PRICES, DAYS).replace(MINI, "gpt-5-nano-2025-08-07", 3))[0] == 0
    reconciled(run, 6)
    reconciled(run, 6)
    with psycopg.connect(world.owner) as connection:
        assert connection.execute("select count(*) from reconciliation").fetchone() == (1,)
        assert law_6(connection) == (1, [])
        connection.execute("alter table reconciliation_break disable trigger refuse_change")
        connection.execute("update reconciliation_break set amount = amount + 0.000001 where place = 1")
        checked, violations = law_6(connection)
        assert checked == 1
        assert len(violations) == 1
        assert "openai 2026-10 USD" in violations[0]
        connection.rollback()
        connection.execute("alter table invoice_line disable trigger refuse_change")
        connection.execute("update invoice_line set amount = amount + 0.000001 where number = 1")
        assert len(law_6(connection)[1]) == 1
        connection.rollback()


def test_an_import_after_a_run_does_not_break_its_law(
    run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path
) -> None:
    assert import_text(run, tmp_path, bill(USE, PRICES, DAYS))[0] == 0
    reconciled(run, 0)
    assert import_text(run, tmp_path, bill(USE[:-1], PRICES, DAYS), "later.json")[0] == 0
    reconciled(run, 6)
    with psycopg.connect(world.owner) as connection:
        assert law_6(connection) == (2, [])


def test_stored_bytes_that_changed_are_found(run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path) -> None:
    assert import_text(run, tmp_path, bill(USE, PRICES, DAYS))[0] == 0
    with psycopg.connect(world.owner) as connection:
        connection.execute("alter table invoice_line disable trigger refuse_change")
        connection.execute("update invoice_line set amount = amount + 0.000001 where number = 1")
    code, _, said = run("reconcile", "--vendor", "openai", "--month", "2026-10", "--json")
    assert code == 7
    assert "behind our back" in said


def test_rows_are_never_changed(world: DatabaseUrls, run: Callable[..., Run], tmp_path: Path) -> None:
    assert import_text(run, tmp_path, bill(USE, PRICES, DAYS))[0] == 0
    for statement in (
        "update invoice_line set amount = 0",
        "delete from invoice_import",
        "update invoice_day set day = day + 1",
        "delete from invoice_day",
        "truncate invoice_line cascade",
    ):
        with psycopg.connect(world.owner) as connection, pytest.raises(psycopg.errors.Error) as refused:
            connection.execute(statement)
        assert "never changed" in str(refused.value), statement


def test_vendors_register(run: Callable[..., Run], migrated_database: DatabaseUrls, tmp_path: Path) -> None:
    listed = json.loads(run("vendor", "list", "--json")[1])["vendors"]
    zones = {one["vendor"]: (one["zone"], one["built_in"]) for one in listed}
    assert (zones["openai"], zones["naver"]) == (("UTC", True), ("Asia/Seoul", True))
    file = tmp_path / "vendors.csv"
    header = (
        "vendor,creditor,providers,accounts,zone,currency,tax_mode,tax_rate,fx_policy,settle_days,valid_from,valid_to\n"
    )
    file.write_text(
        header + "openai,OpenAI,openai,proj_a;proj_b,UTC,USD,none,0,usage_day,3,,\n"
        "reseller,A Reseller,openai azure,,Asia/Seoul,KRW,domestic_invoice,0.1,usage_day,0,2026-01-01,\n"
    )
    assert run("vendor", "import", file)[0] == 0
    assert "0 rows added, 2 as they were" in run("vendor", "import", file)[1]
    listed = json.loads(run("vendor", "list", "--json")[1])["vendors"]
    assert [one["vendor"] for one in listed if not one["built_in"]] == ["openai", "reseller"]
    assert listed[0]["accounts"] == ["proj_a", "proj_b"]
    assert listed[1]["providers"] == ["openai", "azure"]
    file.write_text(header + "openai,OpenAI,openai,,Asia/Kolkata,USD,none,0,usage_day,3,,\n")
    code, _, said = run("vendor", "import", file)
    assert code == 2
    assert "Asia/Kolkata" in said


HEADER = "vendor,creditor,providers,accounts,zone,currency,tax_mode,tax_rate,fx_policy,settle_days,valid_from,valid_to"


def test_only_the_vendors_accounts_are_ours(
    run: Callable[..., Run], migrated_database: DatabaseUrls, tmp_path: Path
) -> None:
    use = [Used(DAYS[0], MINI, "input", 1_000, "proj_a"), Used(DAYS[0], MINI, "input", 2_000, "proj_b")]
    with psycopg.connect(migrated_database.owner) as connection:
        put_prices(connection, PRICES)
        put_use(connection, use)
    (tmp_path / "vendors.csv").write_text(f"{HEADER}\nopenai,,openai,proj_a,UTC,USD,,,,,,\n")
    assert run("vendor", "import", tmp_path / "vendors.csv")[0] == 0
    assert import_text(run, tmp_path, bill(use[:1], PRICES, DAYS))[0] == 0
    assert reconciled(run, 0)["matched"] == {"groups": 1, "amount": "0.00025"}


def test_a_file_under_the_wrong_vendor_is_refused(
    run: Callable[..., Run], migrated_database: DatabaseUrls, tmp_path: Path
) -> None:
    (tmp_path / "vendors.csv").write_text(f"{HEADER}\nmaker,,anthropic,,UTC,USD,,,,,,\n")
    assert run("vendor", "import", tmp_path / "vendors.csv")[0] == 0
    (tmp_path / "costs.json").write_text(bill(USE, PRICES, DAYS))
    code, _, said = run("invoice", "import", tmp_path / "costs.json", "--vendor", "maker")
    assert code == 2
    assert "is a file of openai" in said


def test_totals_do_not_replace_line_items_unasked(run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path) -> None:
    assert import_text(run, tmp_path, bill(USE, PRICES, DAYS))[0] == 0
    totals = f"{COST_HEADER}\n{seconds(DAYS[0])},{seconds(DAYS[1])},,,1.5,usd,,,org-1,Personal\n"
    code, _, said = import_text(run, tmp_path, totals, "cost.csv")
    assert code == 5
    assert "use --replace" in said
    code, out, _ = import_text(run, tmp_path, totals, "cost.csv", "--replace")
    assert code == 0
    assert "replaces 1 days of import 1" in out
    code, _, said = import_text(run, tmp_path, bill(USE, PRICES, DAYS))
    assert code == 5
    assert "days of it are superseded since; use --replace" in said
    assert import_text(run, tmp_path, bill(USE, PRICES, DAYS), "costs.json", "--replace")[0] == 0
    assert reconciled(run, 0)["breaks"] == []


def test_breaks_as_rows_and_as_text(run: Callable[..., Run], world: DatabaseUrls, tmp_path: Path) -> None:
    extra = Used(DAYS[-1], MINI, "output", 5_000)
    assert import_text(run, tmp_path, bill([*USE, extra], PRICES, DAYS))[0] == 0
    code, out, _ = run("reconcile", "--vendor", "openai", "--month", "2026-10", "--csv", "--dry-run")
    header, row = out.splitlines()
    assert (code, header.split(",")[:4], row.split(",")[:4]) == (
        6,
        ["class", "amount", "currency", "day"],
        ["BYPASS", "0.01", "USD", "2026-10-31"],
    )
    code, out, said = run("reconcile", "--vendor", "openai", "--month", "2026-10", "--dry-run")
    assert "BYPASS\t1\t+0.01\t" in out
    assert "= 0; 145 groups agree" in out
    assert "open breaks" in said
    with psycopg.connect(world.owner) as connection:
        assert connection.execute("select count(*) from reconciliation").fetchone() == (0,)


def test_unknown_vendor_and_month_without_invoice(run: Callable[..., Run], migrated_database: DatabaseUrls) -> None:
    assert run("reconcile", "--vendor", "nobody", "--month", "2026-10")[0] == 4
    code, _, said = run("reconcile", "--vendor", "openai", "--month", "2026-10")
    assert code == 4
    assert "no invoice of 'openai' for 2026-10" in said
    assert run("reconcile", "--vendor", "openai", "--month", "2026-13")[0] == 2


def law_6(connection: psycopg.Connection[Any]) -> tuple[int, list[str]]:
    """What the law's query says."""
    from jangbu.migrate import sql_directory

    row = connection.execute((sql_directory() / "checks" / "6-invoice.sql").read_bytes()).fetchone()
    assert row is not None
    return row[0], row[1]
