"""`statement export` and `statement verify` through the commands: files, their bytes, and what verify finds in them."""

# ruff: noqa: F811 - fixtures of another module are parameters here

from __future__ import annotations

import csv
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import openpyxl
import pypdf
import pytest

from tests.integration.command_world import CommandShell
from tests.integration.test_billing_commands import house, shell  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenarios.house import House

MONTH = "2026-10"
EVIL = "=1+1 #strong[x] $y$ \\ <b>&amp; \u202eabc ../../etc 😀 عربي " + "길" * 300
LINES = (
    "openai,gpt-x,input_tokens,,,,USD,0.25,1000000,2026-01-01T00:00:00Z,,letter",
    "openai,gpt-x,output_tokens,,,,USD,2,1000000,2026-01-01T00:00:00Z,,letter",
    'openai,"=cmd|x",input_tokens,,,,USD,3,1000000,2026-01-01T00:00:00Z,,"+letter"',
)


@pytest.fixture
def month(house: House) -> House:
    """Two departments, an evil one, use that nobody is known for, a unit without a price, and last month."""
    house.prices(*LINES)
    house.fx("2026-09-01,USD,KRW,1400.5,bank", "2026-10-02,USD,KRW,1386.5,bank")
    house.use("2026-09-03T10:00:00+09:00", "D012", "gpt-x", {"input_tokens": 4_000_000})
    house.use("2026-10-01T10:00:00+09:00", "D012", "gpt-x", {"input_tokens": 1_234_567, "output_tokens": 500_000})
    house.use("2026-10-03T10:00:00+09:00", "D012", "gpt-x", {"input_tokens": 7_654_321, "cache_read_tokens": 99})
    house.use("2026-10-03T10:00:00+09:00", EVIL, "=cmd|x", {"input_tokens": 3_333_333})
    house.use("2026-10-03T10:00:00+09:00", None, "gpt-x", {"output_tokens": 1_000})
    return house


def export(shell: CommandShell, out: Path, form: str, *more: str) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = shell.json("statement", "export", MONTH, "--format", form, "--out", out, *more)[
        "files"
    ]
    return files


def verify(shell: CommandShell, file: object) -> tuple[int, dict[str, Any]]:
    code, out, _ = shell.run("statement", "verify", file, "--json")
    return code, json.loads(out)


@pytest.mark.parametrize("form", ["pdf", "xlsx", "csv", "json"])
@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_file_is_made_and_agrees(
    shell: CommandShell, month: House, tmp_path: Path, form: str, language: str
) -> None:
    made = export(shell, tmp_path / "out", form, "--lang", language)
    again = export(shell, tmp_path / "again", form, "--lang", language)
    assert [one["sha256"] for one in made] == [one["sha256"] for one in again]
    listed = {one["department"]: one["content_hash"] for one in shell.json("statement", "list", MONTH)["statements"]}
    assert {one["department"]: one["content_hash"] for one in made if one["kind"] == "department"} == listed
    assert len(made) == 4
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {f"{MONTH}-department-D012.{form}", f"{MONTH}-unattributed.{form}", f"{MONTH}-organisation.{form}"} <= names
    assert all(name.isprintable() and len(name) < 100 and ".." not in name for name in names)
    for one in made:
        code, told = verify(shell, one["file"])
        assert (code, told["answer"]) == (0, "agrees"), (one["file"], told)


def test_one_department(shell: CommandShell, month: House, tmp_path: Path) -> None:
    for name, kind in (("D012", "department"), ("unattributed", "department"), ("organisation", "organisation")):
        (made,) = export(shell, tmp_path, "csv", "--department", name)
        assert made["kind"] == kind
    code, _, err = shell.run("statement", "export", MONTH, "--format", "csv", "--out", tmp_path, "--department", "D9")
    assert (code, "'D9'" in err) == (4, True)


def test_a_zip_is_the_same_twice_and_each_member_agrees(shell: CommandShell, month: House, tmp_path: Path) -> None:
    (first,) = export(shell, tmp_path / "a", "zip")
    (second,) = export(shell, tmp_path / "b", "zip")
    assert first["sha256"] == second["sha256"]
    with zipfile.ZipFile(first["file"]) as packed:
        assert len(packed.namelist()) == 12
        assert not [name for name in packed.namelist() if "/" in name or "\\" in name]
    code, told = verify(shell, first["file"])
    assert (code, len(told["statements"]), told["answer"]) == (0, 12, "agrees")
    (only,) = export(shell, tmp_path / "c", "pdf", "--zip")
    assert [one["file"].rpartition(".")[2] for one in only["members"]] == ["pdf"] * 4


def test_pages_hold_what_the_statement_says(shell: CommandShell, month: House, tmp_path: Path) -> None:
    shell.run("statement", "export", MONTH, "--format", "pdf", "--out", tmp_path, "--lang", "ko")
    shown = shell.json("statement", "show", MONTH, "D012")
    reader = pypdf.PdfReader(tmp_path / f"{MONTH}-department-D012.pdf")
    text = "\n".join(page.extract_text() for page in reader.pages)
    assert f"{int(shown['total']):,} KRW" in text
    assert shown["content_hash"] in text.replace("\n", "")
    assert f"content_hash={shown['content_hash']}" in reader.metadata["/Keywords"]
    assert "원정" in text
    assert "가격 없음" in text
    assert "99" in text
    assert "전월" in text
    assert "1,401" in text
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]
    evil = next(path for path in tmp_path.iterdir() if path.name.startswith(f"{MONTH}-department-_"))
    words = "".join(page.extract_text() for page in pypdf.PdfReader(evil).pages).replace("\n", "")
    assert "=1+1 #strong[x] $y$" in words
    assert "<U+202E>" in words
    assert "\u202e" not in words


def test_workbooks_hold_numbers_texts_and_sums(shell: CommandShell, month: House, tmp_path: Path) -> None:
    shell.run("statement", "export", MONTH, "--format", "xlsx", "--out", tmp_path, "--lang", "en")
    shown = shell.json("statement", "show", MONTH, "D012")
    book = openpyxl.load_workbook(tmp_path / f"{MONTH}-department-D012.xlsx", data_only=True)
    lines = list(book["Use"].iter_rows(values_only=True))
    amount = lines[0].index("Amount")
    assert [row[amount] for row in lines[1:]] == [
        None if line["amount"] is None else int(line["amount"]) for line in shown["lines"]
    ]
    assert book["Use"].freeze_panes == "A2"
    assert book["Use"].auto_filter.ref is not None
    sums = {row[0]: row[1:] for row in book["Sums"].iter_rows(min_row=13, values_only=True)}
    assert sums["Total"] == (int(shown["total"]), int(shown["total"]), "agrees", shown["total"])
    whole = openpyxl.load_workbook(tmp_path / f"{MONTH}-organisation.xlsx")
    for sheet in whole.worksheets:
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type != "f" or sheet.title == "Sums", f"{cell.coordinate} is a formula: {cell.value}"
    assert any(str(cell.value).startswith("=1+1") for row in whole["Use"].iter_rows() for cell in row)


def test_rows_add_up_and_are_no_formulas(shell: CommandShell, month: House, tmp_path: Path) -> None:
    shell.run("statement", "export", MONTH, "--format", "csv", "--out", tmp_path)
    text = (tmp_path / f"{MONTH}-organisation.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    total = sum(int(row["amount"] or 0) for row in rows if row["section"] not in ("total", "organisation"))
    assert str(total) == rows[-1]["amount"] == shell.json("statement", "list", MONTH)["total"]
    for row in rows:
        assert not [cell for cell in row.values() if cell.startswith(("=", "+", "@"))]


def planted(file: Path, form: str) -> None:
    """One figure changed by a person who holds the file."""
    if form in ("csv", "json"):
        text = file.read_text(encoding="utf-8")
        assert "7654321" in text or "8888888" in text
        file.write_text(text.replace("8888888", "8888887"), encoding="utf-8")
    elif form == "xlsx":
        book = openpyxl.load_workbook(file)
        sheet = book["Use"]
        sheet.cell(2, 5).value += 1
        book.save(file)
    else:
        file.write_bytes(file.read_bytes().replace(b"/Title", b"/Titel", 1))


@pytest.mark.parametrize("form", ["pdf", "xlsx", "csv", "json"])
def test_a_changed_figure_is_found_and_named(shell: CommandShell, month: House, tmp_path: Path, form: str) -> None:
    (made,) = export(shell, tmp_path, form, "--department", "D012", "--lang", "en")
    planted(tmp_path / f"{MONTH}-department-D012.{form}", form)
    code, told = verify(shell, made["file"])
    (one,) = told["statements"]
    assert (code, one["answer"]) == (7, "differs")
    figures = {difference["figure"] for difference in one["differences"]}
    assert figures & {"quantity", "Quantity", "bytes"}, figures


def test_a_statement_that_changed_since_differs_by_its_hash(shell: CommandShell, month: House, tmp_path: Path) -> None:
    made = {form: export(shell, tmp_path, form, "--department", "D012")[0] for form in ("pdf", "xlsx", "csv", "json")}
    month.use("2026-10-09T10:00:00+09:00", "D012", "gpt-x", {"output_tokens": 1_000_000})
    for one in made.values():
        code, told = verify(shell, one["file"])
        assert code == 7
        assert told["statements"][0]["file_hash"] != told["statements"][0]["ledger_hash"]


def test_what_the_ledger_never_had_is_unknown(shell: CommandShell, month: House, tmp_path: Path) -> None:
    shown = shell.json("statement", "show", MONTH, "D012")
    for change in ({"department": "D777"}, {"month": "2025-01"}):
        file = tmp_path / "held.json"
        file.write_text(json.dumps({**shown, **change}), encoding="utf-8")
        code, told = verify(shell, file)
        assert (code, told["answer"]) == (4, "unknown")


def test_what_show_prints_agrees(shell: CommandShell, month: House, tmp_path: Path) -> None:
    file = tmp_path / "shown.json"
    file.write_text(json.dumps(shell.json("statement", "show", MONTH, "D012")), encoding="utf-8")
    assert verify(shell, file)[0] == 0


@pytest.mark.parametrize("content", [b"", b"hello", b"%PDF-1.7 nothing", b"PK\x03\x04 broken", b"{]", b"\xff\xfe\x00"])
def test_other_files_are_refused(shell: CommandShell, month: House, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "other"
    file.write_bytes(content)
    code, _, err = shell.run("statement", "verify", file)
    assert (code, "unexpected" in err) == (2, False)


def test_wrong_words(shell: CommandShell, month: House, tmp_path: Path) -> None:
    assert shell.run("statement", "export", "2026-13", "--format", "csv", "--out", tmp_path)[0] == 2
    assert shell.run("statement", "verify", tmp_path / "none.pdf")[0] == 4
    (tmp_path / "file").write_text("x")
    assert shell.run("statement", "export", MONTH, "--format", "csv", "--out", tmp_path / "file")[0] == 2


def test_a_month_without_use_has_the_organisations_file(shell: CommandShell, house: House, tmp_path: Path) -> None:
    for form in ("pdf", "xlsx", "csv"):
        (made,) = export(shell, tmp_path, form)
        assert made["kind"] == "organisation"
