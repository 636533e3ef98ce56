"""Descriptions of charges in Korean and English: our words are translated, what people wrote is not."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import pytest

from billing.allocation.sharing import SharedPool, charges_of, share
from billing.invoices.vendors import TAX_IN_PRICE, TAX_MODES
from billing.ledger.booked import Books
from billing.ledger.corrections import correct
from billing.ledger.evidence import Evidence
from billing.ledger.positions import Position
from billing.ledger.reasons import SECTIONS, reason_of
from billing.outputs.charge_texts import _BASES, _FACTS, _POOLS, _SENTENCES, _VALUES, fact_value, sentence
from billing.outputs.charge_words import charge_words, terms_words
from billing.terms.term import KINDS
from tests.unit.ledger import test_corrections

HANGUL = re.compile(r"[가-힣]")
REASONS = test_corrections.test_one_reason_by_evidence.pytestmark[0].args[1]  # type: ignore[attr-defined]
"""Every way in which a closed month comes to something else."""


def origins() -> list[str]:
    """Each sentence that a correction can carry."""
    found = [
        str(correct("2026-10", before, now, evidence)[0].document["origin"]) for before, now, evidence, *_ in REASONS
    ]
    books, nothing = test_corrections.books, Evidence()
    gone = correct("2026-10", books(("D1", 10, 1, "5")), books(("D1", 13, 2, "13")), nothing)
    found += [str(one.document["origin"]) for one in gone]
    for kind in (*SECTIONS, "adjustments"):
        position = Position(kind, ("support", "fixed"))
        reason = reason_of("D1", position, Books(), Books(), nothing)
        found.append(f"2026-10: {reason.origin}")
    return [
        *found,
        "2026-10: no longer price row P-000001",
        "2026-10: price row P-000002",
        "2026-10: exchange rate 1390 of 2026-10-01, 1391.5 of 2026-10-02",
        "2026-10: exchange rate none instead of 1400 of 2026-10-01",
        "2026-10: 3 events after offset 118 of partition 2; 1 event of partition 0 (from quarantine)",
        "2026-10: 1 event of partition 0; 7 events of 3 other partitions",
        "2026-10: price row P-000001 instead of P-000003",
    ]


@pytest.mark.parametrize("origin", origins())
def test_every_reason_has_its_korean(origin: str) -> None:
    korean = sentence(origin, "ko")
    assert korean.startswith("2026-10: ")
    assert HANGUL.search(korean), korean
    left = set(re.findall(r"[a-z]{3,}", korean)) - {"gpt", "support", "fixed"}
    assert not left, korean
    assert set(re.findall(r"P-\d+|\d+", origin)) == set(re.findall(r"P-\d+|\d+", korean)), korean
    assert sentence(origin, "en") == origin


def test_every_pattern_is_needed() -> None:
    """A planted sentence of another wording stays English: so a changed reason is noticed by the test above."""
    said = [*(one.removeprefix("2026-10: ") for one in origins()), *WHY]
    parts = [part for one in said for part in (one, *one.split("; "))]
    unused = [one.pattern.pattern for one in _SENTENCES if not any(one.pattern.fullmatch(part) for part in parts)]
    assert not unused
    assert sentence("2026-10: somebody found another reason", "ko") == "2026-10: somebody found another reason"


WHY = {
    "there is nothing to share": "배부할 금액 없음",
    "no department has a weight by tokens:openai: it stays here":
        "토큰 (openai) 기준에 드는 부서가 없어 여기에 남음",
    "no such amount of open ai; inc is known for 2026-10": "2026-10에 open ai; inc의 그런 금액 없음",
    "there is no rate of USD in KRW for 2026-10: import one with `jangbu fx import FILE`":
        "2026-10에 쓸 USD/KRW 환율이 없음",
}  # fmt: skip


@pytest.mark.parametrize(("english", "korean"), WHY.items())
def test_why_something_is_not_shared(english: str, korean: str) -> None:
    assert sentence(english, "ko") == korean


def test_a_pool_that_nobody_has_a_weight_for_says_so_in_korean() -> None:
    (kept,) = charges_of(share(SharedPool("fixed", None, Fraction(1000), {"source": "letter of May"}), {}))
    assert charge_words({**kept.document, "amount": "1", "amount_exact": "1"}, "ko") == (
        "공통비: 정액 · 공통비 전체: 1,000 · 배부 기준: 사용 금액 · 전체 몫: 0 · 출처: letter of May · "
        "설명: 사용 금액 기준에 드는 부서가 없어 여기에 남음"
    )


def test_what_people_wrote_stays_as_it_is() -> None:
    """A name may be one of our words, a number, or a sentence."""
    charge = {"rule": "cost", "name": "minimum_fee", "vendor": "1234567", "creditor": "tax", "source": "price row P-1",
              "unknown_fact": "fixed", "model": "requests"}  # fmt: skip
    said = charge_words(charge, "ko")
    for value in charge.values():
        assert f": {value}" in said, said
    assert "unknown_fact: fixed" in said


def test_programs_are_told_by_names() -> None:
    charge: dict[str, Any] = {"rule": "r", "pool": "term:least", "basis": "users", "weight": "1000"}
    assert charge_words(charge) == "rule: r · basis: users · pool: term:least · weight: 1000"
    assert charge_words(charge, "en") == (
        "Rule: r · Shared cost: shortfall of a contract (least) · Shared by: active users · Weight: 1,000"
    )
    assert terms_words({"terms": [{"term_id": "T-000001", "kind": "discount", "percent": "10"}]}, "ko") == (
        "종류: 할인 · 할인율(%): 10 · 조건 번호: T-000001"
    )


def test_both_languages_know_every_word_of_the_rules() -> None:
    assert set(_VALUES["kind"]) == set(KINDS)
    assert set(_VALUES["tax_mode"]) == set(TAX_MODES)
    assert set(_VALUES["tax_in_price"]) == set(TAX_IN_PRICE)
    pairs = [pair for words in (_FACTS, _POOLS, _BASES, *_VALUES.values()) for pair in words.values()]
    assert all(HANGUL.search(korean) and english and not HANGUL.search(english) for korean, english in pairs)
    assert (fact_value("due", "True", "ko"), fact_value("due", "False", "en")) == ("예", "no")
