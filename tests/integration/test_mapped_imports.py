"""A PDF's invoice typed into a spreadsheet: imported by a mapping that is kept, reconciled, read anew by another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.integration.command_world import CommandShell, use_database
from tests.integration.invoice_world import PRICES, Used, cost_of, dollars, month_days, put_prices, put_use

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

MODEL = "gpt-4o-2024-08-06"
USE = [Used(day, MODEL, what, tokens) for day in month_days() for what, tokens in (("input", 7_001), ("output", 503))]
TOTAL = sum(cost_of(item, PRICES) for item in USE)
MAPPING = """
[columns]
day = "Day"
model = "Model"
unit = "What"
kind = "Kind"
quantity = "Thousands"
amount = "Dollars"
[figures]
currency = "USD"
[dates]
format = "%d.%m.%Y"
[units]
"in" = { unit = "input_tokens", scale = 1000 }
"out" = { unit = "output_tokens", scale = 1000 }
[kinds]
"Use" = "usage"
"VAT" = "tax"
"Sum" = "stated_total"
"""
WORDS = {"input": "in", "output": "out"}
Run = tuple[int, str, str]


@pytest.fixture
def run(
    migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Run]:
    """The command line against a database with prices and a month of use: (exit code, stdout, stderr)."""
    use_database(migrated_database, monkeypatch, tmp_path)
    monkeypatch.setenv("JANGBU_DATA_DIR", str(tmp_path / "data"))

    with psycopg.connect(migrated_database.owner) as connection:
        put_prices(connection, PRICES)
        put_use(connection, USE)
    (tmp_path / "map.toml").write_text(MAPPING)
    return CommandShell(capsys).run


def typed(tmp_path: Path, vat: int = 0, name: str = "typed.csv") -> Path:
    """What somebody typed from the invoice: a row for each day and kind of token, tax, and the sum."""
    rows = [
        f"{item.day:%d.%m.%Y},{item.model},{WORDS[item.what]},Use,{item.tokens // 1000}.{item.tokens % 1000:03d},"
        f"{dollars(cost_of(item, PRICES))}"
        for item in USE
    ]
    rows += [f"31.10.2026,,,VAT,,{dollars(vat)}"] if vat else []
    rows.append(f",,,Sum,,{dollars(TOTAL + vat)}")
    (tmp_path / name).write_text("\n".join(["Day,Model,What,Kind,Thousands,Dollars", *rows, ""]))
    return tmp_path / name


def reconciled(run: Callable[..., Run], code: int) -> dict[str, Any]:
    found, out, said = run("reconcile", "--vendor", "openai", "--month", "2026-10", "--json")
    assert found == code, said
    document: dict[str, Any] = json.loads(out)
    assert document["proof"]["difference"] == "0"
    return document


def imported(run: Callable[..., Run], file: Path, *more: object) -> Run:
    return run("invoice", "import", file, "--vendor", "openai", "--month", "2026-10", *more)


def test_a_typed_invoice_reconciles_with_its_stated_total(run: Callable[..., Run], tmp_path: Path) -> None:
    file = typed(tmp_path, vat=123)
    code, out, said = imported(run, file, "--mapping", tmp_path / "map.toml")
    assert code == 0, said
    assert "read by the mapping map.toml" in out
    document = reconciled(run, 6)
    assert [(one["class"], one["amount"]) for one in document["breaks"]] == [("TAX", "0.00000123")]
    assert document["matched"]["groups"] == len(USE)
    stated = dollars(TOTAL + 123).rstrip("0")
    assert document["proof"]["stated_total"] == document["proof"]["invoice"] == stated


def test_the_mapping_is_kept_and_a_better_one_reads_anew(
    run: Callable[..., Run], tmp_path: Path, migrated_database: DatabaseUrls
) -> None:
    """Without the kept mapping the stored bytes could not be read again; the same bytes by the same mapping refuse."""
    wrong = MAPPING.replace('currency = "USD"', 'currency = "USD"\ncents = true')
    (tmp_path / "wrong.toml").write_text(wrong)
    file = typed(tmp_path)
    assert imported(run, file, "--mapping", tmp_path / "wrong.toml")[0] == 0
    (tmp_path / "wrong.toml").unlink()
    assert reconciled(run, 6)["breaks"] != []
    assert imported(run, file, "--mapping", tmp_path / "map.toml")[0] == 5
    code, out, said = imported(run, file, "--mapping", tmp_path / "map.toml", "--replace")
    assert code == 0, said
    assert "replaces 31 days" in out
    assert reconciled(run, 0)["breaks"] == []
    code, _, said = imported(run, file, "--mapping", tmp_path / "map.toml", "--replace")
    assert (code, "already imported" in said) == (5, True)
    with psycopg.connect(migrated_database.owner) as connection:
        kept = connection.execute("select count(distinct mapping_sha256), count(*) from invoice_import").fetchone()
    assert kept == (2, 2)


def test_what_is_not_understood_changes_nothing(run: Callable[..., Run], tmp_path: Path) -> None:
    file = typed(tmp_path)
    code, _, said = imported(run, file)
    assert (code, "no vendor file that is known" in said) == (2, True)
    (tmp_path / "bad.toml").write_text(MAPPING.replace('"in" =', '"input" ='))
    code, _, said = imported(run, file, "--mapping", tmp_path / "bad.toml")
    assert code == 2
    assert "typed.csv, line 2, What is 'in': add this text to [units] of the mapping" in said
    assert imported(run, file, "--mapping", tmp_path / "none.toml")[0] == 4
    assert json.loads(run("invoice", "list", "--json")[1]) == {"imports": []}


def test_a_revised_file_says_what_changed_by_day_and_model(run: Callable[..., Run], tmp_path: Path) -> None:
    assert imported(run, typed(tmp_path), "--mapping", tmp_path / "map.toml")[0] == 0
    revised = typed(tmp_path, vat=500, name="revised.csv")
    code, out, said = imported(run, revised, "--mapping", tmp_path / "map.toml", "--json")
    assert code == 0, said
    (old,) = json.loads(out)["imports"][0]["supersedes"]
    assert old["changes"] == [
        {"day": "2026-10-31", "model": None, "currency": "USD", "before": "0", "after": "0.000005"}
    ]
    assert reconciled(run, 6)["proof"]["stated_total"] == dollars(TOTAL + 500).rstrip("0")
