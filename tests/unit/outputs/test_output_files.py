"""PDF, workbook, CSV and archive of made-up statements: opened again, the same twice, hostile names harmless."""

from __future__ import annotations

import base64
import csv
import io
import json
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import openpyxl
import pypdf
import pytest

from billing.errors import BillingError
from billing.outputs.archive import archive
from billing.outputs.csv_lines import COLUMNS, csv_file
from billing.outputs.month_files import FORMS, Wanted, department_file, month_files
from billing.outputs.page import Beside
from billing.outputs.pdf import read_recipe, recipe_for, statement_pdf, statement_pictures
from billing.outputs.verifying import verify
from billing.outputs.xlsx import Book, workbook
from billing.outputs.xlsx_reading import read_workbook
from billing.periods import month_in
from tests.unit.outputs.statement_samples import HOSTILE, line, organisation, statement

CHARGES: dict[str, Any] = {
    "allocated": [{"rule": "gateway", "pool": "fixed", "amount_exact": "1000/3", "amount": "333"}],
    "adjustments": [{"reason": "late", "origin_period": "2026-09", "amount_exact": "-120.5", "amount": "-121"}],
    "taxes": [{"vendor": "openai", "tax_rate": "0.1", "amount_exact": "42.8", "amount": "43"}],
}
KO = Wanted("ko", "가온시")


class Ledger:
    """What is booked, in memory."""

    def __init__(self, *documents: dict[str, Any]) -> None:
        self.documents = list(documents)

    def month(self, month: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        found = [one for one in self.documents if one["month"] == month]
        return organisation(*found) if found else {}, found


def charged() -> dict[str, Any]:
    return statement("D012", line(), line(unit="output_tokens", quantity=3, price=None), **CHARGES)


def text_of(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)


def test_pages_of_a_statement() -> None:
    document = charged()
    recipe = recipe_for(document, "ko", "가온시", Beside("1000", "2026-10", "361", "200"))
    pdf = statement_pdf(document, recipe)
    assert pdf == statement_pdf(document, recipe)
    assert read_recipe(pdf) == recipe
    said = text_of(pdf)
    expected = ["가온시", "예산과", "2026년 10월", "가격 없음", "공통비 배부", "333.333333333…", "-121"]
    expected += ["금 육백팔십이원정", "예산 (2026-10)", "1,000 KRW", "0.25 USD / 1,000,000", "P-000007", "쪽 1 / "]
    for words in expected:
        assert words in said, words
    root: Any = pypdf.PdfReader(io.BytesIO(pdf)).trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"].startswith("ko")
    assert b"<pdfaid:part>2</pdfaid:part>" in pdf
    assert b"<pdfaid:conformance>A</pdfaid:conformance>" in pdf
    assert statement_pictures(document, recipe, 40)[0].startswith(b"\x89PNG")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("form", FORMS)
def test_hostile_names_in_every_form(name: str, form: Any) -> None:
    document = statement(name, line(model=name, price_source=name, provider=name), department_name=name)
    ours = Wanted("en", name)
    content = department_file(document, form, ours)
    assert content == department_file(document, form, ours)
    (verdict,) = verify(f"x.{form}", content, Ledger(document, statement("D012")))
    assert verdict.answer == "agrees", verdict
    if form == "pdf":
        said = text_of(content)
        assert not set(said) & set("\u202e\u200f\u2066\x00")
        assert f"{int(document['total']):,} KRW" in said
    elif form == "xlsx":
        book = openpyxl.load_workbook(io.BytesIO(content))
        cells = ((sheet.title, cell) for sheet in book.worksheets for row in sheet.iter_rows() for cell in row)
        formulas = {(title, cell.coordinate) for title, cell in cells if cell.data_type == "f"}
        assert {sheet for sheet, _ in formulas} == {"Sums"}
        assert all(coordinate[0] in "BD" for _, coordinate in formulas)
    elif form == "csv":
        for row in csv.reader(io.StringIO(content.decode())):
            assert not [cell for cell in row if cell.startswith(("=", "+", "@", "\t"))]
            assert not set("".join(row)) & set("\u202e\u200f\u2066\x00")


def test_numbers_of_a_workbook() -> None:
    long = line(quantity=9_999_999_999_999_999)
    document = statement("D012", line(), long)
    book = openpyxl.load_workbook(io.BytesIO(workbook(Book("department", document, [document], "en", "", Beside()))))
    rows = list(book["Use"].iter_rows(values_only=True))
    quantity, text = rows[0].index("Quantity"), rows[0].index("Quantity — Exact, as text")
    assert (rows[1][quantity], rows[1][text]) == (1_234_567, "1234567")
    assert (rows[2][quantity], rows[2][text]) == ("9999999999999999", "9999999999999999")


def test_a_workbook_that_does_not_add_up_says_so() -> None:
    """A planted defect: the total is not what its lines are."""
    document = {**statement("D012"), "total": "1"}
    raw = workbook(Book("department", document, [document], "en", "", Beside()))
    sheet = openpyxl.load_workbook(io.BytesIO(raw), data_only=True)["Sums"]
    told = {row[0]: row[3] for row in sheet.iter_rows(min_row=13, values_only=True)}
    assert (told["Use"], told["Total"]) == ("agrees", "DIFFERS")


def test_an_archive_is_the_same_twice_in_any_order() -> None:
    files = {"b.csv": b"2", "a.pdf": b"1"}
    assert archive(files) == archive(dict(reversed(files.items())))
    with zipfile.ZipFile(io.BytesIO(archive(files))) as packed:
        assert packed.namelist() == ["a.pdf", "b.csv"]
        assert {entry.date_time for entry in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_every_file_of_a_month_agrees() -> None:
    documents = [charged(), statement("D013"), statement(None)]
    ledger = Ledger(*documents)
    whole, _ = ledger.month("2026-10")
    made = list(month_files(documents, whole, FORMS, KO))
    assert len(made) == 16
    for one in made:
        (verdict,) = verify(one.name, one.content, ledger)
        assert verdict.answer == "agrees", verdict
    packed = archive({one.name: one.content for one in made})
    assert {verdict.answer for verdict in verify("all.zip", packed, ledger)} == {"agrees"}


def changed_csv(content: bytes, line_number: int, column: str, value: str) -> bytes:
    rows = list(csv.reader(io.StringIO(content.decode())))
    rows[line_number - 1][COLUMNS.index(column)] = value
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows(rows)
    return target.getvalue().encode()


def test_places_of_differences_in_csv() -> None:
    document = statement("D012")
    changed = changed_csv(csv_file([document]), 2, "quantity", "1")
    (verdict,) = verify("x.csv", changed, Ledger(document))
    (one,) = verdict.differences
    assert (one.where, one.figure, one.file, one.ledger) == ("line 2", "quantity", "1", "1234567")
    dearer = changed_csv(csv_file([document]), 2, "amount", "9999")
    (verdict,) = verify("x.csv", dearer, Ledger(document))
    assert {one.figure for one in verdict.differences} == {"amount", "sum of the rows above"}
    shorter = b"\n".join(csv_file([document]).split(b"\n")[:2]) + b"\n"
    assert verify("x.csv", shorter, Ledger(document))[0].answer == "differs"


def test_a_department_left_out_of_the_organisations_csv_is_found() -> None:
    documents = [statement("D012"), statement("D013")]
    whole = organisation(*documents)
    rows = csv_file(documents, whole).decode().splitlines()
    shortened = "\n".join(row for row in rows if ",D013," not in row) + "\n"
    assert verify("x.csv", shortened.encode(), Ledger(*documents))[0].answer == "differs"


def test_a_renamed_department_and_a_closed_month_still_agree() -> None:
    before = statement("D012")
    after = {**before, "department_name": "재정과", "status": "closed"}
    for form in FORMS:
        (verdict,) = verify("x", department_file(before, form, KO), Ledger(after))
        assert verdict.answer == "agrees", (form, verdict)


def test_pages_that_another_version_made_say_so() -> None:
    document = statement("D012")
    recipe = recipe_for(document, "ko", "", Beside())
    older = statement_pdf(document, replace(recipe, maker="typst 0.1"))
    (verdict,) = verify("x.pdf", older, Ledger(document))
    assert (verdict.answer, "another version" in verdict.note) == ("agrees", True)
    assert verdict.checked == ("content_hash",)


def test_a_page_with_another_total_and_the_true_hash_differs() -> None:
    document = statement("D012")
    forged = statement_pdf({**document, "total": "1"}, recipe_for(document, "ko", "", Beside()))
    (verdict,) = verify("x.pdf", forged, Ledger(document))
    assert (verdict.answer, verdict.differences[0].where) == ("differs", "pages")


def test_a_formula_put_for_a_number_is_found() -> None:
    document = statement("D012")
    raw = workbook(Book("department", document, [document], "ko", "", Beside()))
    book = openpyxl.load_workbook(io.BytesIO(raw))
    book["사용 내역"]["O2"] = "=1+1"
    target = io.BytesIO()
    book.save(target)
    (verdict,) = verify("x.xlsx", target.getvalue(), Ledger(document))
    assert verdict.answer == "differs"


def test_unknown_months_and_departments() -> None:
    document = statement("D012")
    for form in FORMS:
        content = department_file(document, form, KO)
        assert verify("x", content, Ledger())[0].answer == "unknown"
        assert verify("x", content, Ledger(statement("D013")))[0].answer == "unknown"


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00", b"{}", b"[]", b'{"month": 1, "content_hash": 2}', b"%PDF-1.7\njangbu=", b"%PDF-1.7 jangbu=e30",
     b"%PDF-1.7 jangbu=bm90anNvbg", b"PK\x03\x04", ",".join(COLUMNS).encode(),
     (",".join(COLUMNS) + "\n1,2\n").encode(), b"{" * 100_000],
)  # fmt: skip
def test_files_that_are_none_of_ours_are_refused(content: bytes) -> None:
    with pytest.raises(BillingError):
        verify("x", content, Ledger(statement("D012")))


@pytest.mark.parametrize(
    "change",
    [{"language": "xx"}, {"status": "\u202e"}, {"kind": "x"}, {"month": 7}, {"department": 7}, {"organisation": None},
     {"beside": {"budget": "1e999999"}}, {"beside": {"budget": 1}}, {"beside": []},
     {"beside": {"budget_period": "\ue000"}}, {"more": 1}, {"month": "2026-13"}, {"maker": None}],
)  # fmt: skip
def test_recipes_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    document = statement("D012")
    told = {**asdict(recipe_for(document, "ko", "", Beside())), **change}
    recipe = base64.urlsafe_b64encode(json.dumps(told).encode()).rstrip(b"=")
    with pytest.raises(BillingError):
        verify("x.pdf", b"%PDF-1.7 jangbu=" + recipe, MonthLedger(document))


class MonthLedger(Ledger):
    """Refuses months that are none, as the database's does."""

    def month(self, month: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        month_in(month, "UTC")
        return super().month(month)


def test_archives_within_archives_and_broken_ones_are_refused() -> None:
    ledger = Ledger(statement("D012"))
    inner = archive({"x.csv": csv_file(ledger.documents)})
    with pytest.raises(BillingError, match="archive within"):
        verify("x.zip", archive({"inner.zip": inner}), ledger)
    for place in range(0, len(inner), 7):
        broken = inner[:place] + bytes([inner[place] ^ 0xFF]) + inner[place + 1 :]
        try:
            verdicts = verify("x.zip", broken, ledger)
        except BillingError:
            continue
        assert all(isinstance(verdict.answer, str) for verdict in verdicts)


@pytest.mark.parametrize("form", FORMS)
def test_files_with_flipped_bytes_end_in_an_answer_or_a_refusal(form: Any) -> None:
    document = statement("D012")
    content, ledger = department_file(document, form, KO), Ledger(document)
    for place in range(5, len(content), max(1, len(content) // 60)):
        broken = content[:place] + bytes([content[place] ^ 0x15]) + content[place + 1 :]
        try:
            (verdict,) = verify("x", broken, MonthLedger(*ledger.documents))
        except BillingError:
            continue
        assert verdict.answer in ("agrees", "differs", "unknown")
        assert form != "pdf" or verdict.answer != "agrees" or "another version" in verdict.note


def test_a_deep_document_is_refused() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    text = '{"month": "2026-10", "content_hash": "x", "department": "D012", "lines": ' + deep + "}"
    with pytest.raises(BillingError, match=r"recursion|deep"):
        verify("x", text.encode(), Ledger(statement("D012")))


def test_a_workbook_with_entities_is_refused() -> None:
    document = statement("D012")
    raw = workbook(Book("department", document, [document], "ko", "", Beside()))
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as sound, zipfile.ZipFile(target, "w") as made:
        for name in sound.namelist():
            content = sound.read(name)
            if name == "xl/workbook.xml":
                content = content.replace(b"?>", b'?><!DOCTYPE x [<!ENTITY a "b">]>', 1)
            made.writestr(name, content)
    with pytest.raises(BillingError, match="document type"):
        read_workbook(target.getvalue())


def test_another_workbook_is_none_of_ours() -> None:
    target = io.BytesIO()
    openpyxl.Workbook().save(target)
    with pytest.raises(BillingError, match="did not make it"):
        verify("x.xlsx", target.getvalue(), Ledger())


def test_examples_of_the_documentation_are_of_one_statement() -> None:
    docs = Path(__file__).resolve().parents[3] / "docs"
    recipe = read_recipe((docs / "example-statement.pdf").read_bytes())
    book = read_workbook((docs / "example-statement.xlsx").read_bytes())
    assert recipe is not None
    assert recipe.content_hash == book.properties["content_hash"]
    assert (recipe.organisation, recipe.department) == ("가온시", book.properties["department"])
