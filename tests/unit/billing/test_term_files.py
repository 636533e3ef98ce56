"""Files of contract terms: taken whole, or refused whole with every place; what a cell may say."""

from __future__ import annotations

from decimal import Decimal

import pytest

from billing.errors import FileRefused
from billing.periods import month_in
from billing.terms.file import changes, read_terms
from billing.terms.term import ContractTerm, Tier

HEADER = "name,kind,provider,model,unit,origin,currency,percent,amount,per,above,valid_from,valid_to,source\n"
OCTOBER = month_in("2026-10", "Asia/Seoul").first_hour


def read(*lines: str) -> list[ContractTerm]:
    return read_terms((HEADER + "\n".join(lines)).encode(), "terms.csv", "Asia/Seoul")


def refused(*lines: str) -> list[tuple[int, str, str]]:
    """(line, column, value) of each problem."""
    with pytest.raises(FileRefused) as found:
        read(*lines)
    return [(problem.line, problem.column, problem.value) for problem in found.value.problems]


def test_each_kind() -> None:
    found = read(
        "a,discount,openai,,,,,12.5,,,,2026-10,,letter",
        "b,graduated_tier,openai,gpt-5*,tokens,list,,3,,,1000,2026-10-01T00:00:00+09:00,2026-11,",
        "b,graduated_tier,openai,gpt-5*,tokens,list,,8,,,2000,2026-10-01T00:00:00+09:00,2026-11,",
        "c,whole_tier,openai,gpt-5,input_tokens,,USD,,0.25,1000000,0,2026-10,,",
        "d,minimum_fee,openai,,,,USD,,500,,,2026-10,2027-10,",
        "e,commitment,openai,,,,KRW,,1000000,,,2026-10-05,2027-10,",
    )
    assert [(term.name, term.kind, term.model, term.unit) for term in found] == [
        ("a", "discount", "*", None),
        ("b", "graduated_tier", "gpt-5*", "tokens"),
        ("c", "whole_tier", "gpt-5", "input_tokens"),
        ("d", "minimum_fee", "*", None),
        ("e", "commitment", "*", None),
    ]
    assert (found[0].percent, found[0].source, found[1].source) == (Decimal("12.5"), "letter", "terms.csv")
    assert found[1].tiers == (Tier(1000, Decimal(3)), Tier(2000, Decimal(8)))
    assert found[2].tiers == (Tier(0, None, Decimal("0.25"), 1_000_000),)
    assert [term.from_hour for term in found[:4]] == [OCTOBER] * 4
    assert found[1].to_hour == month_in("2026-11", "Asia/Seoul").first_hour
    assert found[4].from_hour == OCTOBER + 4 * 24 + 9  # 00:00 UTC of the 5th


@pytest.mark.parametrize(
    ("line", "column", "value"),
    [
        ("a,rebate,openai,,,,,5,,,,2026-10,,", "kind", "rebate"),
        (",discount,openai,,,,,5,,,,2026-10,,", "name", ""),
        ("a,discount,,,,,,5,,,,2026-10,,", "provider", ""),
        ("a,discount,openai,,,,,,,,,2026-10,,", "percent", ""),
        ("a,discount,openai,,,,,0,,,,2026-10,,", "percent", "0"),
        ("a,discount,openai,,,,,100.01,,,,2026-10,,", "percent", "100.01"),
        ("a,discount,openai,,,,,1e1,,,,2026-10,,", "percent", "1e1"),
        ("a,discount,openai,,,,,-5,,,,2026-10,,", "percent", "-5"),
        ("a,discount,openai,,,,KRW,5,,,,2026-10,,", "currency", "KRW"),
        ("a,discount,openai,,,,,5,,,7,2026-10,,", "above", "7"),
        ("a,discount,openai,g*t,,,,5,,,,2026-10,,", "model", "g*t"),
        ("a,discount,open*,,,,,5,,,,2026-10,,", "provider", "open*"),
        ("a,discount,openai,,words,,,5,,,,2026-10,,", "unit", "words"),
        ("a,discount,openai,,,listed,,5,,,,2026-10,,", "origin", "listed"),
        ("a,discount,openai,,,,,5,,,,2026-13,,", "valid_from", "2026-13"),
        ("a,discount,openai,,,,,5,,,,1999-10,,", "valid_from", "1999-10"),
        ("a,discount,openai,,,,,5,,,,2026-10-01T00:30:00Z,,", "valid_from", "2026-10-01T00:30:00Z"),
        ("a,discount,openai,,,,,5,,,,2026-10,2026-10,", "valid_to", "2026-10"),
        ("a,whole_tier,openai,,,,,5,,,7,2026-10,,", "unit", ""),
        ("a,whole_tier,openai,,tokens,,,5,,,,2026-10,,", "above", ""),
        ("a,whole_tier,openai,,tokens,,,5,,,-1,2026-10,,", "above", "-1"),
        ("a,whole_tier,openai,,tokens,,,5,3,,7,2026-10,,", "percent", "5"),
        ("a,whole_tier,openai,,tokens,,,,,,7,2026-10,,", "percent", ""),
        ("a,whole_tier,openai,,tokens,,USD,5,,,7,2026-10,,", "percent", "5"),
        ("a,whole_tier,openai,,tokens,,USD,,3,,7,2026-10,,", "per", ""),
        ("a,whole_tier,openai,,tokens,,USD,,3,7,7,2026-10,,", "per", "7"),
        ("a,whole_tier,openai,,tokens,,,,3,1,7,2026-10,,", "currency", ""),
        ("a,whole_tier,openai,,tokens,,WON,,3,1,7,2026-10,,", "currency", "WON"),
        ("a,minimum_fee,openai,,,,,,5,,,2026-10,,", "currency", ""),
        ("a,minimum_fee,openai,,,,KRW,,,,,2026-10,,", "amount", ""),
        ("a,minimum_fee,openai,,,,KRW,,0,,,2026-10,,", "amount", "0"),
        ("a,minimum_fee,openai,,,,KRW,,5,,,2026-10-01,,", "valid_from", "2026-10-01"),
        ("a,minimum_fee,openai,,,,KRW,,5,,,2026-10,2026-11-15,", "valid_to", "2026-11-15"),
        ("a,commitment,openai,,,,KRW,,5,,,2026-10,,", "valid_to", ""),
        ("=1+1,discount,openai,,,,,=1+1,,,,2026-10,,", "percent", "=1+1"),
    ],
)
def test_what_a_cell_may_not_say(line: str, column: str, value: str) -> None:
    assert refused("ok,discount,openai,,,,,5,,,,2026-10,,", line) == [(3, column, value)]


@pytest.mark.parametrize(
    ("second", "column"),
    [
        ("a,discount,openai,,,,,6,,,,2026-10,,", "name"),
        ("a,minimum_fee,openai,,,,KRW,,6,,,2026-11,,", "kind"),
        ("b,whole_tier,openai,,tokens,,,6,,,7,2026-10,,", "above"),
        ("b,whole_tier,openai,gpt,tokens,,,6,,,8,2026-10,,", "name"),
    ],
)
def test_lines_that_do_not_go_together(second: str, column: str) -> None:
    first = ("a,discount,openai,,,,,5,,,,2026-10,,", "b,whole_tier,openai,,tokens,,,5,,,7,2026-10,,")
    assert [problem[:2] for problem in refused(*first, second)] == [(4, column)]


def test_every_problem_of_a_file_is_told_at_once() -> None:
    assert refused("a,discount,openai,,,,,x,,,,2026-10,,", "b,nothing,,,,,,,,,,2026-10,,") == [
        (2, "percent", "x"),
        (3, "kind", "nothing"),
    ]


def test_columns_that_nobody_knows_are_named() -> None:
    with pytest.raises(FileRefused, match="'rabatt'"):
        read_terms(b"name,kind,provider,valid_from,rabatt\n", "terms.csv", "Asia/Seoul")


def test_tiers_in_another_order_are_the_same_term() -> None:
    lines = ["b,whole_tier,openai,,tokens,,,5,,,7,2026-10,,", "b,whole_tier,openai,,tokens,,,6,,,9,2026-10,,"]
    known = read(*lines)
    assert changes(known, read(*reversed(lines))).unchanged == 1
    assert len(changes(known, read(*lines[:1])).changed) == 1
