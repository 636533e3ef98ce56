"""`price import`, `price check`, `price terms` as a person runs them: diffs, what they touch, findings, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.command_world import CommandShell, house_on
from tests.scenarios.house import PRICE_HEADER, House
from tests.scenarios.test_prices_months import TERMS_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls

LINE = "openai,gpt-x,input_tokens,,,,USD,{},1000000,{},,letter\n"
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def shell(house: House, capsys: pytest.CaptureFixture[str]) -> CommandShell:
    return CommandShell(capsys)


def written(directory: Path, text: str, name: str = "file.csv") -> Path:
    file = directory / name
    file.write_text(text, encoding="utf-8")
    return file


def test_an_import_says_what_it_touches(shell: CommandShell, house: House, tmp_path: Path) -> None:
    """Of the month before the newest use: 3 of 4 dollars, and a model that gets its first price."""
    house.prices(
        LINE.format("1", "2026-01-01").strip(),
        LINE.format("1", "2026-01-01").strip().replace("gpt-x", "gpt-y"),
        LINE.format("1400", "2026-01-01").strip().replace("gpt-x", "gpt-w").replace("USD", "KRW"),
    )
    for model, tokens in (("gpt-x", 3_000_000), ("gpt-y", 1_000_000), ("gpt-w", 1_000_000), ("gpt-new", 77)):
        house.use("2026-09-03T10:00:00+09:00", "D001", model, {"input_tokens": tokens, "requests": 1})
    house.use("2026-10-03T10:00:00+09:00", "D001", "gpt-y", {"input_tokens": 5_000_000})
    file = written(
        tmp_path,
        PRICE_HEADER
        + LINE.format("2", "2026-11-01")
        + LINE.format("2", "2026-09-01").replace("gpt-x", "gpt-new")
        + LINE.format("3", "2026-01-01").replace("gpt-x", "gpt-unused"),
    )
    dry = shell.json("price", "import", file, "--dry-run")
    assert dry["impact"] == {
        "month": "2026-09",
        "costs": [
            {"currency": "KRW", "touched": "0", "total": "1400", "share_percent": "0"},
            {"currency": "USD", "touched": "3", "total": "4", "share_percent": "75"},
        ],
        "unpriced_quantity": "77",
        "priced_now": "77",
    }
    assert (dry["added"], dry["changed"], dry["ended"]) == (3, 0, 1)
    assert [(row["change"], row["model"], row["before"]) for row in dry["rows"]] == [
        ("added", "gpt-x", None),
        ("added", "gpt-new", None),
        ("added", "gpt-unused", None),
        ("ended", "gpt-x", "P-000001"),
    ]
    code, out, _ = shell.run("price", "import", file)
    assert code == 0
    assert "touches 75 % of 2026-09's cost: 3 of 4 USD" in out
    assert "gives a price to 77 of 77 units" in out
    assert "- openai/gpt-x input_tokens from 2026-01-01T00:00Z: 1 USD per 1000000 (P-000001 ends" in out
    assert shell.json("price", "import", file)["impact"] is None  # nothing new


def test_an_import_before_any_use_touches_nothing(shell: CommandShell, tmp_path: Path) -> None:
    file = written(tmp_path, PRICE_HEADER + LINE.format("2", "2026-11-01"))
    assert shell.json("price", "import", file)["impact"] is None


def test_asked_on_a_terminal_no_means_nothing(
    shell: CommandShell, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal the diff is shown and a person is asked; no writes nothing and ends with 5."""
    import jangbu.importing as importing

    house.use("2026-10-03T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 1})
    file = written(tmp_path, PRICE_HEADER + LINE.format("2", "2026-11-01"))
    seen: list[str] = []
    monkeypatch.setattr(importing.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(importing.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(importing.click, "confirm", lambda question, **_: seen.append(question))
    code, _, err = shell.run("price", "import", file)
    assert (code, seen) == (5, ["Write this?"])
    assert "touches no cost of 2026-09" in err
    monkeypatch.undo()


def test_check_compares_with_the_list_everywhere(shell: CommandShell, house: House) -> None:
    """Other currencies by the rate, prefixes by the models they stand for, later list prices, a price of nothing."""
    row = "openai,{},input_tokens,{},,,{},{},1,{},,s"
    house.prices(
        row.format("gpt-a", "", "USD", "1", "2026-01-01"),
        row.format("gpt-a", "", "USD", "0.1", "2026-06-01"),
        row.format("gpt-b", "batch", "USD", "1", "2026-01-01"),
        row.format("gpt-c", "", "USD", "1", "2026-01-01"),
        row.format("gpt-d", "", "USD", "1", "2026-01-01"),
        row.format("gpt-e", "", "EUR", "1", "2026-01-01"),
        row.format("gpt-f", "", "USD", "1", "2026-01-01"),
        origin="list",
    )
    house.fx("2026-10-01,USD,KRW,1400,bank")
    house.prices(
        row.format("gpt-a", "", "USD", "1", "2026-02-01"),
        row.format("gpt-b*", "*", "USD", "5.01", "2026-02-01"),
        row.format("gpt-c", "", "KRW", "7000", "2026-02-01"),
        row.format("gpt-d", "", "KRW", "7001", "2026-02-01"),
        row.format("gpt-e", "", "KRW", "1", "2026-02-01"),
        row.format("gpt-f", "", "USD", "0", "2026-02-01"),
    )
    found = {(one["kind"], one["model"]): one["detail"] for one in shell.json("price", "check")["findings"]}
    assert found == {
        ("far_from_list", "gpt-a"): "P-000008 is 1 USD for one, the list's P-000002 0.1",
        ("far_from_list", "gpt-b*"): "P-000009 is 5.01 USD for one, the list's P-000003 1",
        ("far_from_list", "gpt-d"): "P-000011 is 7001 KRW for one, the list's P-000005 1 USD, or 1400",
        ("not_compared", "gpt-e"): "P-000012 is in KRW, the list's P-000006 in EUR, and no rate is known",
        ("far_from_list", "gpt-f"): "P-000013 is 0 USD for one, the list's P-000007 1",
    }


@pytest.mark.parametrize(("price", "is_far"), [("5", False), ("5.000001", True), ("0.2", False), ("0.199999", True)])
def test_five_times_on_both_sides(shell: CommandShell, house: House, price: str, is_far: bool) -> None:
    row = "openai,gpt-a,input_tokens,,,,USD,{},1,2026-01-01,,s"
    house.prices(row.format("1"), origin="list")
    house.prices(row.format(price))
    kinds = [one["kind"] for one in shell.json("price", "check")["findings"]]
    assert kinds == (["far_from_list"] if is_far else [])


def test_terms_from_a_file_to_the_status_of_a_month(shell: CommandShell, house: House, tmp_path: Path) -> None:
    house.prices("openai,gpt-x,input_tokens,,,,KRW,10,1000,2026-01-01,,list")
    house.use("2026-10-03T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 2000})
    file = written(
        tmp_path,
        TERMS_HEADER
        + "volume,graduated_tier,openai,gpt*,tokens,,,50,,,1500,2026-10,,annex\n"
        + "least,minimum_fee,openai,,,,KRW,,100,,,2026-10,,annex\n"
        + "prepaid,commitment,openai,,,,KRW,,20,,,2026-10,2026-12,annex\n"
        + "typo,discount,opemai,,,,,5,,,,2026-10,,annex\n",
    )
    assert shell.json("price", "terms", "import", file, "--dry-run")["added"] == 4
    assert shell.json("price", "terms", "list")["terms"] == []
    code, out, _ = shell.run("price", "terms", "import", file)
    assert code == 0
    assert "+ volume (graduated_tier) from 2026-09-30T15:00Z: above 1500: 50 % off, openai/gpt* tokens" in out
    assert shell.json("price", "terms", "import", file)["unchanged"] == 4
    (listed, *_) = shell.json("price", "terms", "list")["terms"]
    assert (listed["term_id"], listed["tiers"]) == (
        "T-000001",
        [{"above": "1500", "percent": "50", "price": None, "per": None}],
    )
    status = shell.json("price", "terms", "status", "2026-10")
    assert [
        (one["name"], one["charges"], one["shortfall"], one["due"], one["remaining"]) for one in status["obligations"]
    ] == [
        ("least", "17.5", "82.5", True, None),  # 1,500 at 0.01 and 500 at 0.005
        ("prepaid", "17.5", "2.5", False, "2.5"),
    ]
    for option in ("--csv", "--json"):
        assert shell.run("price", "terms", "status", "2026-10", option)[0] == 0
    assert "prepaid, KRW:" in shell.run("price", "terms", "status", "2026-10")[1]
    assert shell.run("price", "terms", "list", "--csv", "--all")[0] == 0
    findings = shell.json("price", "check")["findings"]
    assert [(one["kind"], one["provider"]) for one in findings] == [("idle_term", "opemai")]
    shown = shell.json("statement", "show", "2026-10", "D001")
    assert [(line["quantity"], len(line["terms"])) for line in shown["lines"]] == [("1500", 0), ("500", 1)]


def test_refused_terms_change_nothing(shell: CommandShell, tmp_path: Path) -> None:
    good = "least,minimum_fee,openai,,,,KRW,,100,,,2026-10,,annex\n"
    bad = written(tmp_path, TERMS_HEADER + good + good.replace("least", "other").replace("KRW", "WON"))
    code, out, err = shell.run("price", "terms", "import", bad, "--json")
    assert (code, out) == (2, "")
    assert "file.csv, line 3, column currency: 'WON'" in err
    assert shell.json("price", "terms", "list", "--all")["terms"] == []
    assert shell.run("price", "terms", "import", tmp_path / "none.csv")[0] == 4
    assert shell.run("price", "terms", "status", "2026-13")[0] == 2


def test_the_example_is_taken(shell: CommandShell) -> None:
    assert shell.json("price", "terms", "import", EXAMPLES / "terms.csv")["added"] == 4
    assert json.dumps(shell.json("price", "terms", "status", "2026-10"))


@pytest.mark.parametrize("table", ["contract_import", "contract_term", "contract_tier"])
@pytest.mark.parametrize("statement", ["update {} set {} = {}", "delete from {}", "truncate {} cascade"])
def test_terms_are_never_changed_by_any_role(shell: CommandShell, house: House, table: str, statement: str) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    shell.run("price", "terms", "import", EXAMPLES / "terms.csv")
    column = "above" if table == "contract_tier" else "source" if table == "contract_term" else "name"
    for role in ("owner", "billing", "reader"):
        with pytest.raises(DBAPIError), house.as_role(role) as connection:
            connection.execute(text(statement.format(table, column, column)))
