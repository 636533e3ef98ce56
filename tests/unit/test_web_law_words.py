"""What a check of the laws says where one does not hold is told in Korean, for every sentence of sql/checks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jangbu.web.frame import told_of
from jangbu.web.kept_words import CHARACTERS_MAX, LAWS, told_again

CHECKS = Path(__file__).parents[2] / "sql" / "checks"
_FORMAT = re.compile(r"format\('((?:[^']|'')*)'((?:\s*'(?:[^']|'')*')*)")
WORDS_MIN = 3
"""Fewer make a name, not a sentence."""


def sentences() -> list[str]:
    """Every text that a check formats, with made-up values."""
    found = set()
    for file in sorted(CHECKS.glob("*.sql")):
        for first, rest in _FORMAT.findall(file.read_text(encoding="utf-8")):
            text = (first + "".join(re.findall(r"'((?:[^']|'')*)'", rest))).replace("''", "'")
            if len(re.findall(r"[a-z]{2,}", text)) < WORDS_MIN:
                continue
            texts = {text}
            if "route %s, %s %s:" in text:
                texts = {text.replace("%s %s:", f"{word} %s:") for word in ("payer", "department")}
            if "%s, %s: what it shows" in text:
                texts = {text.replace("%s, %s:", f"%s, {word}:") for word in ("organisation", "department A")}
            found |= {one.replace("%L", "'a user'").replace("%s", "7") for one in texts}
    return sorted(found)


ALL = sentences()


def test_sentences_are_found() -> None:
    assert len(ALL) > 35


@pytest.mark.parametrize(
    "text",
    [
        *ALL,
        "2026-10, department (unattributed), lines 3: booked 5 for exactly 1/3, which is not within 1 of it",
        "2026-10, department D 1, exact: lines add up to 4, the statement says 5",
        "2026-10: the departments do not add up to the organisation's 5",
        "2026-10: exact amounts do not add up to 5",
        "2026-10, organisation: the kept document of the open month is not what it comes to",
        (
            "2026-10, department D1: the kept document of the open month is not what its inputs come to; any change of "
            "an input, or `delete from open_month` as billing's login, has it computed anew"
        ),
        "hour 2026-10-01 00:00:00+00, band 0, route 1, payer 2, partition 3, log 1: events minus sums is events 1",
    ],
)
def test_every_violation_has_its_korean(text: str) -> None:
    told = told_again(text, "ko", file=LAWS)
    assert told is not None
    assert any("가" <= sign <= "힣" for sign in told)


def test_what_an_entry_is_about_is_told_too() -> None:
    told = told_again("entry 0123 (D001: use of 2026-10): it has no lines", "ko", file=LAWS)
    assert told == "분개 0123(D001: 2026-10 사용): 항목이 없습니다"


def test_what_no_template_makes_is_marked_as_english_and_names_are_no_markup() -> None:
    assert told_of("never <b>seen</b>", "ko", LAWS) == '<span lang="en">never &lt;b&gt;seen&lt;/b&gt;</span>'
    told = told_of("close of <b>: its chain hash does not follow from the close before it", "ko", LAWS)
    assert told.startswith("&lt;b&gt; 마감: ")
    assert told_of("period <b>: debits", "en", LAWS) == "period &lt;b&gt;: debits"


@pytest.mark.parametrize(
    "part", ["a, department ", "rolled sums of the day from x, band 1, route 1, department ", ": "]
)
def test_a_long_text_that_fits_nothing_is_given_up(part: str) -> None:
    assert told_again((part * CHARACTERS_MAX)[:CHARACTERS_MAX], "ko", file=LAWS) is None
