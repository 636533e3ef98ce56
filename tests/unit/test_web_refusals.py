"""Refusals in the reader's language: by template where the catalogue has it, else with the English original marked."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from billing.errors import BillingError, CellProblem, FileRefused
from billing.ledger.close import MonthBlocked
from billing.periods import month_in
from billing.sentences import Sentence, sentence_of
from jangbu.errors import UsageError
from jangbu.web.refusals import ENGLISH, refusal_lines
from jangbu.web.routes import _as_refused
from jangbu.web.wording import PSEUDO, wording

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


def test_a_month_that_cannot_be_closed_leads_with_korean() -> None:
    (lead, original) = lines(MonthBlocked("2026-10", []))
    assert "마감할 수 없습니다" in lead[0]
    assert original[0].startswith("2026-10 cannot be closed:")
    assert original[1] == ENGLISH


def test_the_made_up_language_shows_what_is_told_by_code() -> None:
    ((told, _),) = lines(BillingError(Sentence(TEMPLATE, month="'x'")), PSEUDO)
    assert told.startswith("[")
