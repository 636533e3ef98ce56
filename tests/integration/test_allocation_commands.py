"""`allocation` as a person runs it: rules from a file, a preview, shares on statements, refusals that write nothing."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from billing.money import plain
from tests.integration.command_world import CommandShell, use_database
from tests.scenarios.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls

HEADER = "rule,pool,amount,currency,basis,departments,shares,valid_from,valid_to,source\n"
VENDORS = (
    "vendor,creditor,providers,accounts,zone,currency,tax_mode,tax_rate,fx_policy,settle_days,valid_from,valid_to\n"
)
MONTH = "2026-10"
DAY = "2026-10-03T10:00:00+09:00"


class Shell(CommandShell):
    """Runs commands in this process, on files that it writes."""

    def __init__(self, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
        super().__init__(capsys)
        self.directory = directory

    def file(self, name: str, *lines: str, header: str = HEADER) -> Path:
        path = self.directory / name
        path.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
        return path

    def rules(self, *lines: str) -> Any:
        return self.json("allocation", "import", self.file("rules.csv", *lines))


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    """Three departments that used 100, 300 and 600 won's worth, and 90 won of nobody's."""
    use_database(migrated_database, monkeypatch, tmp_path)
    found = House(migrated_database)
    found.prices("openai,gpt-x,input_tokens,,,,KRW,1,1,2026-01-01T00:00:00Z,,letter")
    for department, won in (("D001", 100), ("D002", 300), ("D003", 600), (None, 90)):
        found.use(DAY, department, "gpt-x", {"input_tokens": won}, user=f"u-{won}")
    yield found
    found.close()


@pytest.fixture
def shell(house: House, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    return Shell(capsys, tmp_path)


def parts(previewed: Any) -> list[tuple[str | None, str, str]]:
    return [(part["department"], part["amount_exact"], part["amount"]) for part in previewed["parts"]]


def test_a_fixed_cost_by_cost_from_the_file_to_the_statement(shell: Shell) -> None:
    line = "support,fixed,100,KRW,cost,,,2026-10,,contract of 1 October"
    file = shell.file("rules.csv", line)
    dry = shell.json("allocation", "import", file, "--dry-run")
    assert (dry["dry_run"], dry["added"]) == (True, 1)
    assert shell.json("allocation", "list")["rules"] == []
    before = shell.json("statement", "show", MONTH, "D001")
    seen = shell.json("allocation", "preview", "--month", MONTH, "--rules", file)
    assert shell.json("allocation", "list")["rules"] == []
    assert shell.json("statement", "show", MONTH, "D001") == before

    assert shell.rules(line)["added"] == 1
    assert shell.rules(line)["unchanged"] == 1
    (rule,) = shell.json("allocation", "list")["rules"]
    assert rule == {
        "rule_id": "A-000001", "rule": "support", "pool": "fixed", "amount": "100", "currency": "KRW", "basis": "cost",
        "departments": [], "shares": {}, "valid_from": "2026-10", "valid_to": None, "source": "contract of 1 October",
    }  # fmt: skip
    assert shell.json("allocation", "preview", "--month", MONTH) == seen
    (previewed,) = seen["rules"]
    assert (previewed["pool_amount"], previewed["weight_total"], previewed["why"]) == ("100", "1000", None)
    assert parts(previewed) == [("D001", "10", "10"), ("D002", "30", "30"), ("D003", "60", "60")]

    statement = shell.json("statement", "show", MONTH, "D002")
    (shown,) = statement["allocated"]
    assert shown == {
        "rule": "support", "rule_id": "A-000001", "pool": "fixed", "basis": "cost", "pool_amount": "100",
        "weight": "300", "weight_total": "1000", "why": None, "amount_exact": "30", "amount": "30",
        "pool_document": {"amount": "100", "currency": "KRW", "source": "contract of 1 October"},
    }  # fmt: skip
    assert statement["total"] == "330"
    assert shell.json("statement", "list", MONTH)["total"] == "1190"
    assert shell.json("allocation", "preview", "--month", "2026-09")["rules"] == []
    _, out, _ = shell.run("audit", "--json")
    laws = {law["law"]: law for law in json.loads(out)["laws"]}
    assert (laws["3-rounding"]["checked"], laws["3-rounding"]["violations"]) == (12, [])


def test_the_unattributed_account_is_shared_and_left_empty(shell: Shell) -> None:
    shell.rules("nobody's,unattributed,,,shares,,D001=1; D003=2,2026-10,,")
    (previewed,) = shell.json("allocation", "preview", "--month", MONTH)["rules"]
    assert parts(previewed) == [("D001", "30", "30"), ("D003", "60", "60"), (None, "-90", "-90")]
    assert shell.json("statement", "show", MONTH, "unattributed")["total"] == "0"
    assert [one["total"] for one in shell.json("statement", "list", MONTH)["statements"]] == ["130", "300", "660", "0"]


def test_a_pool_that_nobody_has_a_weight_for_stays_and_says_so(shell: Shell) -> None:
    shell.rules("heads,fixed,77,KRW,headcount,,,2026-10,,")
    (previewed,) = shell.json("allocation", "preview", "--month", MONTH)["rules"]
    assert (parts(previewed), previewed["why"]) == (
        [(None, "77", "77")],
        "no department has a weight by headcount: it stays here",
    )
    (shown,) = shell.json("statement", "show", MONTH, "unattributed")["allocated"]
    assert (shown["amount"], shown["weight"], shown["why"]) == ("77", None, previewed["why"])


def test_people_as_a_measure(shell: Shell, house: House) -> None:
    house.use(DAY, "D001", "gpt-x", {"requests": 1}, user="u-2")
    house.use("2026-11-02T10:00:00+09:00", "D001", "gpt-x", {"requests": 1}, user="u-next-month")
    house.use(DAY, "D003", "gpt-x", {"requests": 1}, user="u-attributed-elsewhere")
    with house.as_role("owner") as connection:
        connection.exec_driver_sql(
            """insert into usage_part (hour, band, route_id, payer_id, partition, log_id, reason, events, requests)
               select hour, band, route_id, payer_id, 0, 1, 'roster', -1, -1 from usage_part p
               join payer y on y.id = p.payer_id where y."user" = 'u-attributed-elsewhere'"""
        )
    roster = "user,department,valid_from,valid_to\n"
    lines = ["a,D001,2026-01-01,", "b,D002,2026-01-01,2026-10-31", "b,D003,2026-10-31,", "c,D003,2026-01-01,",
             "d,D002,2026-11-01,", "e,D002,2026-01-01,2026-10-31"]  # fmt: skip
    assert shell.run("roster", "import", shell.file("roster.csv", *lines, header=roster))[0] == 0
    shell.rules("active,fixed,40,KRW,users,,,2026-10,,", "heads,fixed,300,KRW,headcount,,,2026-10,,")
    active, heads = shell.json("allocation", "preview", "--month", MONTH)["rules"]
    assert [part["weight"] for part in active["parts"]] == ["2", "1", "1"]
    assert parts(heads) == [("D001", "100", "100"), ("D003", "200", "200")]


def test_rules_end_follow_each_other_and_are_never_overwritten(shell: Shell) -> None:
    shell.rules("support,fixed,100,KRW,cost,D001,,2026-08,,", "licence,fixed,7,KRW,cost,D002,,2026-08,2026-10,")
    shell.rules("support,fixed,50,KRW,cost,D001;D002,,2026-09,,")
    shell.rules("support,none,,,,,,2026-11,,", "support,fixed,60,KRW,cost,D001,,2026-09,,")
    held = {month: [row["amount"] for row in shell.json("allocation", "list", "--month", month)["rules"]]
            for month in ("2026-07", "2026-08", "2026-09", "2026-10", "2026-11")}  # fmt: skip
    assert held == {"2026-07": [], "2026-08": ["7", "100"], "2026-09": ["7", "60"], "2026-10": ["60"], "2026-11": []}
    assert len(shell.json("allocation", "list")["rules"]) == 4


def test_the_example_of_the_documents_is_taken(shell: Shell) -> None:
    examples = Path(__file__).resolve().parents[2] / "docs/examples"
    assert shell.json("fx", "import", examples / "fx.csv")["doubtful"] == []
    assert shell.json("allocation", "import", examples / "allocation.csv")["added"] == 4
    pools = {row["rule"]: row["pool_amount"] for row in shell.json("allocation", "preview", "--month", MONTH)["rules"]}
    rate = (examples / "fx.csv").read_text(encoding="utf-8").splitlines()[-1].split(",")[3]
    assert pools == {"support": "90000", "nobody": "90", "vat": "0", "throughput": plain(25 * Decimal(rate))}


def test_csv_has_a_row_for_each_part(shell: Shell) -> None:
    shell.rules("=1+1,fixed,10,KRW,shares,,D001=1; D002=2,2026-10,,")
    code, out, _ = shell.run("allocation", "preview", "--month", MONTH, "--csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["rule"], row["department"], row["weight"], row["amount_exact"], row["amount"]) for row in rows] == [
        ("'=1+1", "D001", "1", "10/3", "3"),
        ("'=1+1", "D002", "2", "20/3", "7"),
    ]
    code, out, _ = shell.run("allocation", "list", "--csv")
    assert (code, next(csv.DictReader(io.StringIO(out)))["shares"]) == (0, "D001=1; D002=2")


@pytest.mark.parametrize(
    ("line", "places"),
    [
        (",fixed,1,KRW,cost,,,2026-10,,", ("column rule: ''",)),
        ("r,surplus,1,KRW,cost,,,2026-10,,", ("column pool: 'surplus'", "unattributed")),
        ("r,invoice_tax:acme,,,cost,,,2026-10,,", ("column pool: 'invoice_tax:acme'", "openai")),
        ("r,unattributed:x,,,cost,,,2026-10,,", ("column pool: 'unattributed:x'",)),
        ("r,fixed,1.000,won,cost,,,2026-10,,", ("column currency: 'won'",)),
        ('r,fixed,"1,000",KRW,cost,,,2026-10,,', ("column amount: '1,000'",)),
        ("r,fixed,1e3,KRW,cost,,,2026-10,,", ("column amount: '1e3'",)),
        ("r,fixed,,KRW,cost,,,2026-10,,", ("column amount: ''",)),
        ("r,unattributed,5,,cost,,,2026-10,,", ("column amount: '5'",)),
        ("r,fixed,1,KRW,area,,,2026-10,,", ("column basis: 'area'",)),
        ("r,fixed,1,KRW,users:openai,,,2026-10,,", ("column basis: 'users:openai'",)),
        ("r,fixed,1,KRW,cost:acme,,,2026-10,,", ("column basis: 'cost:acme'",)),
        ("r,none,,,cost,,,2026-10,,", ("column basis: 'cost'",)),
        ("r,fixed,1,KRW,cost,D001; D999,,2026-10,,", ("column departments: 'D999'",)),
        ("r,fixed,1,KRW,shares,,D001,2026-10,,", ("column shares: 'D001'",)),
        ("r,fixed,1,KRW,shares,,D001=1;D001=2,2026-10,,", ("column shares: 'D001'", "twice")),
        ("r,fixed,1,KRW,shares,,D001=0,2026-10,,", ("column shares: 'D001=0'",)),
        ("r,fixed,1,KRW,cost,,D001=1,2026-10,,", ("column shares: 'D001=1'",)),
        ("r,fixed,1,KRW,cost,,,2026-10-05,,", ("column valid_from: '2026-10-05'", "2026-10")),
        ("r,fixed,1,KRW,cost,,,2026-10,2026-10,", ("column valid_to: '2026-10'",)),
        ("good,fixed,5,KRW,cost,,,2026-10,,", ("column rule: 'good'", "line 2")),
        ("second,unattributed,,,cost,,,2026-12,,", ("column pool: 'unattributed'", "'first'", "2026-12")),
        ("r,fixed,1,KRW", ("line 4: '4 cells'",)),
    ],
)
def test_a_wrong_file_is_refused_whole(shell: Shell, line: str, places: tuple[str, ...]) -> None:
    good = ("good,fixed,5,KRW,cost,,,2026-10,,", "first,unattributed,,,tokens,,,2026-10,,")
    file = shell.file("wrong.csv", *good, line)
    code, out, err = shell.run("allocation", "import", file)
    assert (code, out) == (2, "")
    assert all(place in err for place in ("wrong.csv, line 4", *places)), err
    assert shell.json("allocation", "list")["rules"] == []


def test_wrong_words_end_with_2_and_missing_files_with_4(shell: Shell) -> None:
    assert shell.run("allocation", "preview", "--month", "2026-13")[0] == 2
    assert shell.run("allocation", "list", "--month", "October")[0] == 2
    assert shell.run("allocation", "preview")[0] == 2
    assert shell.run("allocation", "import", "absent.csv")[0] == 4


def test_rows_of_rules_are_never_changed(shell: Shell, house: House) -> None:
    shell.rules("support,fixed,100,KRW,cost,,,2026-10,,")
    for statement in ("update allocation_rule set amount = 1", "delete from allocation_rule"):
        with house.as_role("owner") as connection, pytest.raises(Exception, match="never changed"):
            connection.exec_driver_sql(statement)


def test_no_vendors_tax_twice(shell: Shell) -> None:
    """Whichever comes second is refused: the rule, or the register's row."""
    taxed = "openai,OpenAI,openai,,UTC,USD,vendor_charged,0.1,usage_day,2,2026-01-01,2026-11-01"
    assert shell.run("vendor", "import", shell.file("vendors.csv", taxed, header=VENDORS))[0] == 0
    before = shell.json("vendor", "list")["vendors"]
    rule = "vat,invoice_tax:openai,,,cost:openai,,,{},,"
    code, _, err = shell.run("allocation", "import", shell.file("rules.csv", rule.format("2026-10")))
    assert (code, "'openai'" in err, "charged twice in 2026-10" in err, "'vat'" in err) == (5, True, True, True)
    assert shell.json("allocation", "list")["rules"] == []
    assert shell.rules(rule.format("2026-11"))["added"] == 1

    longer = "openai,OpenAI,openai,,UTC,USD,reverse_charge,0.1,usage_day,2,2026-11-01,"
    code, _, err = shell.run("vendor", "import", shell.file("vendors.csv", longer, header=VENDORS))
    assert (code, "charged twice in 2026-11" in err) == (5, True)
    assert shell.json("vendor", "list")["vendors"] == before
    shell.rules("vat,none,,,,,,2026-11,,")
    assert shell.run("vendor", "import", shell.file("vendors.csv", longer, header=VENDORS))[0] == 0


def test_a_month_that_would_be_taxed_twice_is_not_shown(shell: Shell, house: House) -> None:
    """Whatever way the rows came in: each command that computes the month says so and ends with 5."""
    shell.rules("vat,invoice_tax:openai,,,cost,,,2026-10,,")
    with house.as_role("owner") as connection:
        connection.exec_driver_sql(
            """insert into vendor (vendor, creditor, providers, accounts, zone, currency, tax_mode, tax_rate, fx_policy,
                                   settle_days, actor)
               values ('openai', 'OpenAI', '{openai}', '{}', 'UTC', 'USD', 'reverse_charge', 0.1, '', 2, 't')"""
        )
    for words in (("statement", "list", MONTH), ("statement", "show", MONTH, "D001"), ("audit",),
                  ("allocation", "preview", "--month", MONTH)):  # fmt: skip
        code, _, err = shell.run(*words)
        assert (code, "charged twice in 2026-10" in err) == (5, True), (words, err)


def test_settings_decide_rounding(shell: Shell, house: House) -> None:
    house.use(DAY, "D001", "gpt-x", {"input_tokens": 4})
    assert shell.json("--rounding-step", "10", "statement", "show", MONTH, "D001")["total"] == "100"
    named = shell.json("statement", "list", MONTH, "--rounding-step", "10", "--rounding-rest-to", "D001")
    assert [one["total"] for one in named["statements"]] == ["100", "300", "600", "90"]
    house.use(DAY, "D002", "gpt-x", {"input_tokens": 6})
    by_remainder = shell.json("statement", "list", MONTH, "--rounding-step", "10")
    assert [one["total"] for one in by_remainder["statements"]] == ["100", "310", "600", "90"]
    named = shell.json("statement", "list", MONTH, "--rounding-step", "10", "--rounding-rest-to", "D001")
    assert [one["total"] for one in named["statements"]] == ["110", "300", "600", "90"]
    for words in (("--rounding-step", "5"), ("--fx-policy", "average"), ("--fx-day", "2026-02-30"),
                  ("--unattributed-limit", "5%")):  # fmt: skip
        code, _, err = shell.run("statement", "list", MONTH, *words)
        assert (code, words[1] in err) == (3, True)
    told = {row["name"]: row["value"] for row in shell.json("doctor")["settings"]}
    assert (told["rounding_step"], told["fx_policy"], told["unattributed_limit"]) == ("1", "usage_day", "0.01")
