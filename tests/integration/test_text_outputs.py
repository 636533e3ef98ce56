"""What commands say to people: headings, words instead of blanks, nothing that looks like a program's inside."""

# ruff: noqa: F811 - fixtures of another module are parameters here

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.integration.command_world import CommandShell
from tests.integration.test_statement_languages import shell  # noqa: F401 - a fixture: October closed, November open

BUDGETS = Path(__file__).resolve().parents[2] / "docs" / "examples" / "budgets.csv"
READS = (
    "statement list 2026-11", "statement show 2026-11 D1", "statement show 2026-10 organisation", "period status",
    "period status 2026-10", "period status 2026-11", "period close 2026-11", "allocation list", "budget list",
    "allocation preview --month 2026-10", "price list", "price terms list", "vendor list", "explain 2026-11 D1",
    "explain 2026-11 D1 2", "explain 2026-11 D1 1", "usage --month 2026-10 --by user,model,unit", "fx list",
    "whatif --month 2026-10 --seat-price 30", "plan compare --month 2026-10 --seat-price 30", "price check",
    "price terms status 2026-10", "forecast --month 2026-10", "quarantine list --state all", "department list",
)  # fmt: skip
INSIDES = re.compile(r"\{'|\['|None|True|False|Decimal\(|Fraction\(|datetime\.|<[a-z]+ object")


@pytest.mark.parametrize("columns", [80, 120])
def test_every_read_fits_a_terminal_and_shows_no_insides(
    shell: CommandShell, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """Tables are never wider than the terminal; sentences of their own line may be longer, they are not cut."""
    shell.json("budget", "import", BUDGETS)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    for read in READS:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        code, out, err = shell.run(*read.split())
        assert code in (0, 6), (read, err)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
        assert plain.strip(), read
        assert not INSIDES.search(plain), (read, INSIDES.search(plain))
        lines = plain.splitlines()
        rules = [place for place, line in enumerate(lines) if line and set(line) == {"─"}]
        for place in rules:
            assert cell_len(lines[place]) <= columns
            for line in lines[max(0, place - 1) : place + 2]:
                assert cell_len(line) <= columns, (read, line)


def test_whose_statement_it_is_and_what_stands_beside_it(shell: CommandShell) -> None:
    shell.json("budget", "import", BUDGETS)
    _, out, err = shell.run("statement", "show", "2026-10", "organisation")
    budget = "budget 200000000 of 2026, 199991727 left"
    assert err == f"2026-10 Asia/Seoul, organisation, KRW, closed, last month 0, {budget}\n"
    assert out.splitlines()[0].split("\t")[:3] == ["provider", "model", "unit"]
    assert "taxes\topenai" in out


def test_a_close_is_told_with_its_hashes_whole(shell: CommandShell) -> None:
    kept = shell.json("period", "status", "2026-10")
    _, out, _ = shell.run("period", "status", "2026-10")
    assert f"sha256 {kept['content_hash']}" in out
    assert f"sha256 {kept['chain_hash']}" in out
    assert "accepted\tnothing" in out
    assert "events read\tpartition 0 below 3\n" in out


def test_the_organisation_has_its_name_in_budgets(shell: CommandShell) -> None:
    """And so a list can be imported again."""
    shell.json("budget", "import", BUDGETS)
    listed = shell.run("budget", "list", "--csv")[1]
    Path("again.csv").write_text(listed, encoding="utf-8")
    again = shell.json("budget", "import", "again.csv")
    assert (again["added"], again["unchanged"]) == (0, 3)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("forecast --month 2026-10 --holidays XX", 2, "use an ISO 3166 code such as KR"),
        ("export focus --month 2026-10 --out nowhere/x.csv", 2, "name a file in a directory that exists"),
        ("statement verify empty.zip", 4, "empty.zip holds no file"),
        ("whatif --month 2026-10 --prices bad.csv", 2, "bad.csv, line 1"),
        ("explain 2026-10 D1 99", 4, "1 to 5"),
        ("period close 2026-11 --accept quarantin", 2, "use any of quarantine"),
    ],
)
def test_a_refusal_says_what_which_and_what_to_do(shell: CommandShell, words: str, code: int, says: str) -> None:
    Path("bad.csv").write_text("x", encoding="utf-8")
    Path("empty.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    ended, out, err = shell.run(*words.split())
    assert (ended, out, says in err) == (code, "", True), err
    assert not Path("nowhere").exists()
