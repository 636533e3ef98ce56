"""`price`, `fx`, `usage` and `statement` as a person runs them: documents, exit codes, refusals that write nothing."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.command_world import CommandShell, house_on
from tests.scenarios.house import FX_HEADER, PRICE_HEADER, House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def shell(house: House, capsys: pytest.CaptureFixture[str]) -> CommandShell:
    return CommandShell(capsys)


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    file = tmp_path / "prices.csv"
    file.write_text(
        PRICE_HEADER
        + "openai,gpt-x,input_tokens,,,,USD,0.25,1000000,2026-01-01T00:00:00Z,,letter\n"
        + "openai,gpt-x,output_tokens,,,,USD,2,1000000,2026-01-01T00:00:00Z,,letter\n",
        encoding="utf-8",
    )
    return file


@pytest.fixture
def rates(tmp_path: Path) -> Path:
    file = tmp_path / "fx.csv"
    file.write_text(FX_HEADER + "2026-10-01,USD,KRW,1400.5,bank\n", encoding="utf-8")
    return file


def test_from_files_to_a_statement(shell: CommandShell, house: House, prices: Path, rates: Path) -> None:
    dry = shell.json("price", "import", prices, "--dry-run")
    assert (dry["added"], dry["dry_run"]) == (2, True)
    assert shell.json("price", "list")["prices"] == []
    assert shell.json("price", "import", prices)["added"] == 2
    assert shell.json("price", "import", prices)["unchanged"] == 2
    assert shell.json("fx", "import", rates)["added"] == 1
    house.use("2026-10-03T10:00:00+09:00", "D012", "gpt-x", {"input_tokens": 1_000_000, "output_tokens": 500_000})

    (listed, _) = shell.json("price", "list", "--provider", "openai")["prices"]
    assert (listed["price_id"], listed["valid_from"], listed["ends"], listed["source"]) == (
        "P-000001",
        "2026-01-01T00:00:00Z",
        None,
        "letter",
    )
    assert shell.json("fx", "list")["rates"] == [
        {"date": "2026-10-01", "base": "USD", "quote": "KRW", "rate": "1400.5", "source": "bank"}
    ]
    assert shell.json("usage", "--month", "2026-10") == {
        "month": "2026-10",
        "timezone": "Asia/Seoul",
        "rows": [
            {
                "department": "D012",
                "model": "gpt-x",
                "unit": unit,
                "quantity": quantity,
                "cost": cost,
                "currency": "USD",
                "price_status": "priced",
                "unpriced_quantity": "0",
            }
            for unit, quantity, cost in (("input_tokens", "1000000", "0.25"), ("output_tokens", "500000", "1"))
        ],
    }
    statement = shell.json("statement", "show", "2026-10", "D012")
    assert {name: statement[name] for name in ("month", "department", "currency", "status", "tax", "total")} == {
        "month": "2026-10",
        "department": "D012",
        "currency": "KRW",
        "status": "open",
        "tax": "0",
        "total": "1751",
    }
    assert (statement["allocated"], statement["adjustments"]) == ([], [])
    assert [
        [
            line[name]
            for name in (
                "model",
                "unit",
                "quantity",
                "unit_price",
                "price_currency",
                "price_id",
                "amount_exact",
                "fx_rate",
                "amount",
            )
        ]
        for line in statement["lines"]
    ] == [
        ["gpt-x", "input_tokens", "1000000", "0.00000025", "USD", "P-000001", "350.125", "1400.5", "350"],
        ["gpt-x", "output_tokens", "500000", "0.000002", "USD", "P-000002", "1400.5", "1400.5", "1401"],
    ]
    assert len(statement["content_hash"]) == 64


def test_the_list_adds_up_and_names_the_same_content(
    shell: CommandShell, house: House, prices: Path, rates: Path
) -> None:
    shell.run("price", "import", prices)
    shell.run("fx", "import", rates)
    house.use("2026-10-03T10:00:00+09:00", "D012", "gpt-x", {"output_tokens": 500_000})
    month = shell.json("statement", "list", "2026-10")
    shown = shell.json("statement", "show", "2026-10", "D012")
    assert [(one["department"], one["total"], one["content_hash"]) for one in month["statements"]] == [
        ("D012", "1400", shown["content_hash"])
    ]
    assert (month["total"], month["total_exact"]) == ("1400", "1400.5")


def test_zones_and_dimensions(shell: CommandShell, house: House, prices: Path) -> None:
    shell.run("price", "import", prices)
    house.use("2026-09-30T15:00:00Z", "D012", "gpt-x", {"input_tokens": 1})
    assert len(shell.json("usage", "--month", "2026-10", "--by", "day,provider")["rows"]) == 1
    utc = shell.json("usage", "--month", "2026-09", "--by", "hour", "--timezone", "UTC")
    assert (utc["timezone"], utc["rows"][0]["hour"]) == ("UTC", "2026-09-30T15:00:00Z")
    code, out, _ = shell.run("usage", "--month", "2026-10", "--by", "model,unit", "--csv")
    assert code == 0
    assert next(csv.DictReader(io.StringIO(out)))["cost"] == "0.00000025"


def test_the_unattributed_and_the_unknown(shell: CommandShell, house: House, prices: Path) -> None:
    shell.run("price", "import", prices)
    house.use("2026-09-30T15:00:00Z", None, "gpt-x", {"input_tokens": 1})
    house.use("2026-08-31T15:00:00Z", "D012", "gpt-x", {"input_tokens": 1})
    shown = shell.json("statement", "show", "2026-10", "unattributed")
    assert (shown["department"], shown["unconverted_quantity"]) == (None, "1")
    assert shell.json("statement", "show", "2026-10", "D012")["total"] == "0"  # known, and used nothing
    code, _, err = shell.run("statement", "show", "2026-10", "D999")
    assert (code, "'D999'" in err) == (4, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("usage", "--month", "2026-13"), "'2026-13'"),
        (("usage", "--month", "2026-10", "--by", "colour"), "'colour'"),
        (("usage", "--month", "2026-10", "--by", "day,day"), "twice"),
        (("statement", "list", "10/2026"), "'10/2026'"),
        (("price", "seed", "--from", "yesterday"), "'yesterday'"),
    ],
)
def test_wrong_words_end_with_2(shell: CommandShell, words: tuple[str, ...], says: str) -> None:
    code, out, err = shell.run(*words)
    assert (code, out, says in err) == (2, "", True)


def test_a_bad_file_is_refused_whole(shell: CommandShell, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    good = "openai,gpt-x,input_tokens,,,,USD,0.25,1000000,2026-01-01T00:00:00Z,,letter\n"
    bad.write_text(PRICE_HEADER + good + good.replace("0.25", "free").replace("gpt-x", "gpt-y"), encoding="utf-8")
    code, _, err = shell.run("price", "import", bad)
    assert (code, "bad.csv, line 3, column price: 'free'" in err) == (2, True)
    assert shell.json("price", "list")["prices"] == []
    bad.write_text(FX_HEADER + "2026-10-01,USD,KRW,0,bank\n", encoding="utf-8")
    assert shell.run("fx", "import", bad)[0] == 2


def test_check_names_what_is_unpriced(shell: CommandShell, house: House, prices: Path) -> None:
    shell.run("price", "import", prices)
    assert shell.json("price", "check") == {"findings": []}
    house.use("2026-10-03T10:00:00+09:00", "D012", "gpt-x", {"cache_read_tokens": 7})
    code, out, err = shell.run("price", "check", "--json")
    assert code == 6
    assert json.loads(out)["findings"] == [
        {
            "kind": "unpriced",
            "provider": "openai",
            "model": "gpt-x",
            "unit": "cache_read_tokens",
            "detail": "7 used, tier standard",
        }
    ]
    assert "price import" in err


def test_check_looks_at_the_book(shell: CommandShell, house: House) -> None:
    line = "openai,gpt-x,input_tokens,,,,USD,{},1,{},{},s"
    house.prices(line.format("1", "2026-01-01", ""), origin="list")
    house.prices(
        line.format("6", "2026-02-01", "2026-03-01"),
        line.format("1", "2026-04-01", "2026-06-01"),
        line.format("1", "2026-05-01", ""),
    )
    found = {finding["kind"]: finding["detail"] for finding in shell.json("price", "check")["findings"]}
    assert found == {
        "far_from_list": "P-000002 is 6 USD for one, the list's P-000001 1",
        "gap": "no price from 2026-03-01T00:00Z to 2026-04-01T00:00Z (P-000002, P-000003)",
        "cut_short": "P-000003 says it holds beyond 2026-05-01T00:00Z, where P-000004 begins",
    }


def test_seed_names_its_source_and_what_it_leaves_out(shell: CommandShell) -> None:
    found = shell.json("price", "seed")
    assert found["source"].startswith("genai-prices ")
    assert found["added"] > 5000
    assert any("time of day" in sentence for sentence in found["not_carried"])
    assert shell.json("price", "seed")["added"] == 0
    rows = shell.json("price", "list", "--provider", "openai", "--model", "gpt-5-mini")["prices"]
    assert {(row["unit"], row["price"], row["origin"]) for row in rows if row["service_tier"] == "standard"} >= {
        ("input_tokens", "0.25", "list"),
        ("output_tokens", "2", "list"),
    }
