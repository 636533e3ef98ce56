"""Names that strangers chose, opened by a spreadsheet program: nothing is calculated from them, and the sheet of sums
agrees after the program's own calculation."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from typing import TYPE_CHECKING

import openpyxl
import pytest

from billing.outputs.month_files import Wanted, department_file
from tests.unit.outputs.statement_samples import HOSTILE, line, statement

if TYPE_CHECKING:
    from pathlib import Path

OFFICE = shutil.which("soffice")
NAMES = HOSTILE[:7]
EVERY_SHEET = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"
COMMAS = "CSV:44,34,76,1,,0,false,true"

pytestmark = pytest.mark.skipif(OFFICE is None, reason="LibreOffice Calc is not installed (soffice)")


def test_hostile_names_are_text_in_a_spreadsheet_program(tmp_path: Path) -> None:
    """Workbooks are calculated anew and written out; CSV files become workbooks, in which nothing may be a formula."""
    (tmp_path / "planted.csv").write_text("a\n=1+1\n", encoding="utf-8")
    for number, name in enumerate(NAMES):
        document = statement(name, line(model=name, price_source=name, provider=name), department_name=name)
        for form in ("xlsx", "csv"):
            file = tmp_path / f"{number:02}.{form}"
            file.write_bytes(department_file(document, form, Wanted("en", name)))
    _convert(tmp_path, "--convert-to", EVERY_SHEET, files="*.xlsx")
    sums = sorted((tmp_path / "out").glob("*-Sums.csv"))
    assert len(sums) == len(NAMES)
    for file in sums:
        told = [row[3] for row in _rows(file) if len(row) > 3 and row[2]][1:]
        assert told == ["agrees"] * 6, file.name
    for number, name in enumerate(NAMES):
        columns, first, *_ = _rows(tmp_path / "out" / f"{number:02}-Use.csv")
        if name.startswith(("=", "+", "-", "@")):
            assert first[columns.index("Model")] == name
    _convert(tmp_path, f"--infilter={COMMAS}", "--convert-to", "xlsx", files="*.csv")
    for number in range(len(NAMES)):
        assert _formulas(tmp_path / "out" / f"{number:02}.xlsx") == []
    assert _formulas(tmp_path / "out" / "planted.xlsx") == ["A2"]  # what is not made harmless is calculated


def _rows(file: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"))))


def _convert(directory: Path, *words: str, files: str) -> None:
    home = f"-env:UserInstallation={(directory / 'profile').as_uri()}"
    command = [str(OFFICE), home, "--headless", *words, "--outdir", "out", *sorted(map(str, directory.glob(files)))]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def _formulas(workbook: Path) -> list[str]:
    book = openpyxl.load_workbook(workbook)
    cells = (cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row)
    return [str(cell.coordinate) for cell in cells if cell.data_type == "f"]
