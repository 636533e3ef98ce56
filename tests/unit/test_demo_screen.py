"""The demo's screen: both languages whole, one screen, aligned; a fault that was not found shows."""

from __future__ import annotations

import string
from dataclasses import replace
from decimal import Decimal
from io import StringIO
from typing import Literal

import pytest
from rich.cells import cell_len
from rich.console import Console

from jangbu.demo.figures import (
    Class,
    DepartmentTotal,
    Figures,
    Law,
    Stored,
    counted,
    largest_departments,
    statements_hash,
)
from jangbu.demo.gateway import Delivered
from jangbu.demo.messages import CATALOGUES, ENGLISH, KOREAN, language_of
from jangbu.demo.people import Plan
from jangbu.demo.screen import LEFT_WIDTH, WIDTH, print_on, screen
from jangbu.demo.vendor_bill import Planted

LINES_MAX = 45
PLANTED = (
    Planted("PRICE", Decimal("20.3138555"), 32, {"model": "gpt-5.4-mini", "day": "16", "old": "4.50", "new": "4.95"}),
    Planted("BYPASS", Decimal("27.3071"), 4, {"calls": "428", "project": "proj_lab"}),
    Planted("QUANTITY", Decimal("4.52346265"), 177, {"streams": "654"}),
    Planted("NOT_BILLED", Decimal("-37.8451175"), 1,
            {"model": "gpt-5-mini-2025-08-07", "item": "cached input", "day": "2026-10-06"}),
    Planted("ROUNDING", Decimal("0.00084127"), 1203, {}),
)  # fmt: skip
FIGURES = Figures(
    plan=Plan("2026-10", 10_000, 300_000, 7),
    delivered=Delivered(302_615, 303_573, 941, 2_564, 3, 2, 12),
    accepted=303_561,
    refused={"invalid": 6, "missing": 2, "control_character": 1, "far_future": 1, "far_past": 1, "malformed": 1},
    quarantined={"conflict": 3, "duplicate_other_time": 2, "malformed": 2, "far_future": 1, "invalid": 1},
    stored=Stored(303_565, 302_617, 941, 7, 6_298, 120, 29, 1_234),
    currency="KRW",
    total=Decimal(13_672_286),
    unattributed=Decimal(51_216),
    unpriced_models=["kanana-1.5-15.7b-a3b"],
    unpriced_quantity=10_417_896,
    largest=[DepartmentTotal(f"D07{number}", "보건환경연구원", Decimal(484_084 - number)) for number in range(5)],
    statements=121,
    statements_hash="4284b9c0442e61165639558e6b24ef05dd04b914753b7c2ab3b8ab89e539b16d",
    vendor="openai",
    vendor_currency="USD",
    ours=Decimal("3905.30995808"),
    invoice=Decimal("3919.6101"),
    proof_difference=Decimal(0),
    matched_groups=1_108,
    classes=[Class(fault.cls, fault.amount, fault.lines, fault) for fault in PLANTED],
    laws=[Law(law, 10, 0) for law in ("1-accepted", "2-sums", "3-rounding", "4-balanced", "5-statements", "6-invoice",
                                      "7-hashes", "8-alerts")],
    path_seconds=38.5,
    total_seconds=81.2,
    processors=2,
    directory="jangbu-demo",
)


def printed(figures: Figures, language: Literal["ko", "en"], width: int = WIDTH) -> list[str]:
    console = Console(file=StringIO(), width=width, highlight=False, color_system=None)
    print_on(console, screen(figures, CATALOGUES[language], language, width))
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue().rstrip("\n").split("\n")


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_say_everything() -> None:
    assert set(KOREAN) == set(ENGLISH)
    assert {key: blanks(text) for key, text in KOREAN.items()} == {key: blanks(text) for key, text in ENGLISH.items()}
    assert all(KOREAN.values())
    assert all(ENGLISH.values())


def test_every_planted_class_has_its_sentence() -> None:
    for fault in PLANTED:
        for words in CATALOGUES.values():
            assert blanks(words[f"planted_{fault.cls}"]) <= set(fault.facts)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_it_is_one_screen(language: Literal["ko", "en"]) -> None:
    lines = printed(FIGURES, language)
    assert len(lines) <= LINES_MAX
    assert max(cell_len(line) for line in lines) <= WIDTH
    assert not [line for line in lines if "…" in line], "nothing is cut"


@pytest.mark.parametrize("language", ["ko", "en"])
def test_columns_stand_below_each_other(language: Literal["ko", "en"]) -> None:
    """Hangul takes two cells: the right half begins at one cell in every line, decimal points below each other."""
    lines = printed(FIGURES, language)
    head = next(line for line in lines if CATALOGUES[language]["dropped"] in line)
    assert cell_len(head.partition(CATALOGUES[language]["dropped"])[0]) == LEFT_WIDTH
    points = {
        cell_len(line.partition(amount)[0] + amount.partition(".")[0])
        for amount in ("3,905.30995808", "+20.3138555", "-37.8451175", "3,919.6101")
        for line in lines
        if amount in line
    }
    assert len(points) == 1


@pytest.mark.parametrize("language", ["ko", "en"])
def test_figures_and_faults_are_on_it(language: Literal["ko", "en"]) -> None:
    text = "\n".join(printed(FIGURES, language))
    for figure in ("303,573", "302,617", "941", "6,298", "13,672,286", "188,940,000", "300,000,000", "10,417,896",
                   "484,084", "+27.3071", "7,885", "proj_lab", "kanana-1.5-15.7b-a3b", FIGURES.statements_hash,
                   "jangbu-demo/data"):  # fmt: skip
        assert figure in text, figure
    assert text.count("✔ ") >= len(PLANTED)
    assert "✘" not in text


@pytest.mark.parametrize("language", ["ko", "en"])
def test_what_does_not_hold_shows(language: Literal["ko", "en"]) -> None:
    wrong = replace(
        FIGURES,
        classes=[Class("PRICE", Decimal(1), 1, PLANTED[0]), Class("UNEXPLAINED", Decimal(2), 1, None)],
        laws=[Law("2-sums", 10, 3)],
        proof_difference=Decimal("0.01"),
    )
    text = "\n".join(printed(wrong, language))
    assert text.count("✘") == 3
    assert "20.3138555" in text, "what was planted"
    assert "0.01" in text
    assert not wrong.holds
    assert not replace(FIGURES, laws=[Law("2-sums", 10, 1)]).holds
    assert not replace(FIGURES, proof_difference=Decimal("0.0001")).holds
    assert FIGURES.holds


def test_the_document_holds_money_as_text() -> None:
    document = FIGURES.as_document()
    assert document["month_total"]["seats_of_users"] == "188940000"
    assert document["month_total"]["total"] == "13672286"
    assert document["invoice"]["difference"] == "0"
    assert [one["agrees"] for one in document["invoice"]["classes"]] == [True] * 5
    assert document["invoice"]["classes"][3]["planted"]["amount"] == "-37.8451175"
    assert document["speed"]["records_a_second"] == 7885


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "C", "LC_MESSAGES": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": ""}, "ko"),
    ],
)
def test_the_locale_decides_the_language(environ: dict[str, str], language: str) -> None:
    assert language_of(environ) == language


def test_the_hash_of_all_statements_ignores_their_order_only() -> None:
    one, two = {"department": "D001", "content_hash": "a"}, {"department": None, "content_hash": "b"}
    assert statements_hash([one, two]) == statements_hash([two, one])
    assert statements_hash([one, two]) != statements_hash([one, {**two, "content_hash": "c"}])
    assert statements_hash([one, two]) != statements_hash([one])


def test_nobody_is_no_department() -> None:
    rows = [{"department": code, "department_name": None, "total": total}
            for code, total in (("D1", "5"), (None, "900"), ("D2", "70"), ("D3", "70"))]  # fmt: skip
    assert [one.code for one in largest_departments(rows)] == ["D2", "D3", "D1"]


def test_words_are_counted_the_most_frequent_first() -> None:
    assert list(counted(["b", "a", "c", "c"]).items()) == [("c", 2), ("a", 1), ("b", 1)]


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("language", ["ko", "en"])
def test_no_law_stands_apart_from_its_mark(language: Literal["ko", "en"], width: int) -> None:
    lines = printed(FIGURES, language, width)
    assert not [line for line in lines if "…" in line], "nothing is cut"
    for law in FIGURES.laws:
        assert sum(f"{law.law} ✔" in line for line in lines) == 1, law.law
    assert not [line for line in lines if line.strip() in ("✔", "·")]
    for one in FIGURES.largest:
        assert sum(line.startswith(one.code) for line in lines) == 1


def test_lines_to_be_copied_are_never_broken() -> None:
    long = "/" + "/".join(["a directory with a long name"] * 6)
    text = "\n".join(printed(replace(FIGURES, directory=long), "en"))
    assert f"jangbu statement list 2026-10 --data-dir '{long}/data'" in text
