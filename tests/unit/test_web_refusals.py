"""Refusals in the reader's language: by template where the catalogue has it, else with the English original marked."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from billing.errors import BillingError, CellProblem, FileRefused
from billing.fx import read_fx
from billing.invoices.errors import InvoiceRefused
from billing.invoices.recognise import recognise
from billing.invoices.source import SourceFile
from billing.ledger.checklist import Check
from billing.ledger.close import MonthBlocked
from billing.periods import month_in
from billing.sentences import Listed, Sentence, sentence_of
from jangbu.errors import UsageError
from jangbu.web.refusals import refusal_lines
from jangbu.web.routes import _as_refused
from jangbu.web.wording import ENGLISH, PSEUDO, wording

TEMPLATE = "month is %(month)s: write it as YYYY-MM, for example 2026-10"


def lines(error: Exception, language: str = "ko") -> list[tuple[str, str | None]]:
    refused = _as_refused(error)
    assert refused is not None
    return [(one.text, one.language) for one in refusal_lines(refused, wording(language))]


def wrapped(error: Exception) -> UsageError:
    """As a page passes an error of the books on."""
    with pytest.raises(UsageError) as caught:
        _raise(UsageError(str(error)), error)
    return caught.value


def _raise(error: Exception, cause: Exception) -> None:
    raise error from cause


def test_a_sentence_is_its_text_and_remembers_what_it_was_made_of() -> None:
    said = Sentence("100%% of %(name)s", name="%(x)s")
    assert (said, said.template, said.values) == ("100% of %(x)s", "100%% of %(name)s", {"name": "%(x)s"})
    again = copy.deepcopy(said)
    assert (again, again.template, again.values) == (said, said.template, said.values)


def test_the_books_refusal_is_told_in_korean_with_the_same_value() -> None:
    with pytest.raises(BillingError) as caught:
        month_in("2026-13", "UTC")
    for error in (caught.value, wrapped(caught.value)):
        ((told, language),) = lines(error)
        assert "'2026-13'" in told
        assert "YYYY-MM 형식으로" in told
        assert language is None
    assert lines(caught.value, "en") == [(str(caught.value), None)]


def test_a_value_is_never_taken_for_a_template_or_translated() -> None:
    ((told, _),) = lines(BillingError(Sentence(TEMPLATE, month="%(month)s Sign out")))
    assert "%(month)s Sign out" in told


def test_a_sentence_passed_on_with_other_words_is_not_taken() -> None:
    inner = BillingError(Sentence(TEMPLATE, month="'x'"))
    with pytest.raises(UsageError) as caught:
        _raise(UsageError("something else"), inner)
    assert sentence_of(caught.value) is None
    assert sentence_of(inner) is inner.args[0]


@pytest.mark.parametrize("error", [BillingError("nobody wrote this one down"), UsageError("nor this")])
def test_what_the_catalogue_has_not_keeps_its_original_marked(error: Exception) -> None:
    (lead, its_language), original = lines(error)
    assert "영어 원문" in lead
    assert its_language is None
    assert original == (str(error), ENGLISH)


def test_every_place_of_a_file_is_named_in_korean() -> None:
    remedy = Sentence("give %(count)s cells, as the header has", count=4)
    unknown = CellProblem("가.csv", 9, "", "y", "an unknown remedy")
    (head, *told) = lines(wrapped(FileRefused([CellProblem("가.csv", 3, "limit", "12x", remedy), unknown])))
    assert "문제 2건" in head[0]
    assert told == [
        ("  가.csv, 3행 limit열: '12x': 머리글과 같이 4칸을 쓰십시오", None), ("  가.csv, 9행: 'y'", None),
        ("    an unknown remedy", ENGLISH),
    ]  # fmt: skip
    many: Any = FileRefused([CellProblem("f", number, "", "y", remedy) for number in range(25)])
    assert len(lines(many)) == 22
    assert "5건" in lines(many)[-1][0]


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("빈.csv", b"", "파일 빈.csv이(가) 비어 있습니다. 다시 내려받으십시오."),
        ("a.zip", b"PK\x03\x04....", "파일 a.zip은(는) zip(으)로 압축되어 있습니다."),
        ("a.json", b'{"data": [', "파일 a.json의 1행 11번째 글자: JSON이 아니거나 끊긴 파일입니다"),
        ("a.csv", b"what,ever\n1,2\n", "파일 a.csv, 1행, 항목 내용의 값 'what,ever': 알지 못하는 청구 파일입니다."),
        ("a.csv", b"start_time,end_time,amount_value,amount_currency\n1790812800,1790899200,1.00.0,usd\n",
         "파일 a.csv, 2행, 항목 amount_value의 값 '1.00.0': 천 단위 쉼표 없이 1234.56처럼 쓰십시오."),
        ("a.csv", b"start_time,end_time,amount_value,amount_currency\n0,86400\n",
         "파일 a.csv, 2행, 항목 칸 수의 값 '2': 머리글은 4칸입니다."),
    ],
)  # fmt: skip
def test_a_vendors_file_is_refused_in_korean(name: str, raw: bytes, expected: str) -> None:
    with pytest.raises(InvoiceRefused) as caught:
        _read(SourceFile(name, raw))
    ((told, language),) = lines(wrapped(caught.value))
    assert told.startswith(expected)
    assert told.endswith("저장한 것은 없습니다.")
    assert language is None
    assert str(caught.value).endswith("; nothing of this import was stored")


def _read(source: SourceFile) -> None:
    list(recognise(source).importer.read(source))


def test_a_cell_of_a_register_says_in_korean_what_to_do() -> None:
    with pytest.raises(FileRefused) as caught:
        read_fx(b"date,base,quote,rate\n2026-10-01,USD,KRW,1.4e3\n2026-10-01,USD,USD,0\n", "환율.csv")
    assert lines(wrapped(caught.value))[1:] == [
        ("  환율.csv, 2행 rate열: '1.4e3': 쉼표와 부호 없이 1386.50처럼 쓰십시오. 소수점 앞뒤는 각각 최대 18자리입니다",
         None),
        ("  환율.csv, 3행 quote열: 'USD': 기준 통화와 다른 통화를 쓰십시오", None),
    ]  # fmt: skip


def test_a_month_that_cannot_be_closed_leads_with_korean() -> None:
    beside = Sentence("; %(count)s disputed", count=1)
    named = Listed([Sentence("%(count)s with %(vendor)s in %(currency)s", count=2, vendor="google", currency="KRW")])
    checks = [
        Check("breaks", "block", Sentence("breaks are open: %(named)s%(beside)s", named=named, beside=beside)),
        Check("laws", "block", "nobody wrote this one down", "nor this"),
    ]
    (lead, breaks, unknown) = lines(MonthBlocked("2026-10", checks))
    assert "마감할 수 없습니다" in lead[0]
    assert breaks == ("  breaks: 미처리 차이가 있습니다: google KRW 2건. 이의 제기 중 1건", None)
    assert unknown == ("  laws: nobody wrote this one down; nor this", ENGLISH)


def test_a_list_of_sentences_is_its_text_and_survives_a_copy() -> None:
    said = Listed([Sentence("all use has a rate"), "and more"], ", ")
    assert said == "all use has a rate, and more"
    again = copy.deepcopy(said)
    assert (again, again.parts, again.separator) == (said, said.parts, ", ")


def test_the_made_up_language_shows_what_is_told_by_code() -> None:
    ((told, _),) = lines(BillingError(Sentence(TEMPLATE, month="'x'")), PSEUDO)
    assert told.startswith("[")
