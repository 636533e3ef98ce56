"""Korean numerals, figures, harmless texts, file names."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.outputs.charge_words import charge_words
from billing.outputs.figures import about, exact_value, fits_double, grouped
from billing.outputs.file_names import file_stems
from billing.outputs.font import covered
from billing.outputs.numerals import won_in_words
from billing.outputs.shown_text import breakable, formula_free, printable, visible
from billing.outputs.texts import _UNITS, _WORDS, month_name, status_name, unit_name, words
from jangbu.output import csv_cell
from tests.unit.outputs.statement_samples import HOSTILE

WORDS = (
    ("0", "금 영원정"),
    ("1", "금 일원정"),
    ("10", "금 일십원정"),
    ("105", "금 일백오원정"),
    ("1000", "금 일천원정"),
    ("9999", "금 구천구백구십구원정"),
    ("10000", "금 일만원정"),
    ("100001", "금 일십만일원정"),
    ("123456", "금 일십이만삼천사백오십육원정"),
    ("100000000", "금 일억원정"),
    ("3600000000", "금 삼십육억원정"),
    ("1000100010001", "금 일조일억일만일원정"),
    ("10000000000000000", "금 일경원정"),
    (
        "999999999999999999999999",
        "금 " + "".join(f"구천구백구십구{group}" for group in "해경조억만") + "구천구백구십구원정",
    ),
    ("-1000", "금 마이너스 일천원정"),
)


@pytest.mark.parametrize(("amount", "said"), WORDS)
def test_amounts_in_words(amount: str, said: str) -> None:
    assert won_in_words(Decimal(amount)) == said


def test_what_has_no_words() -> None:
    with pytest.raises(ValueError, match="whole"):
        won_in_words(Decimal("0.5"))
    with pytest.raises(ValueError, match="digits"):
        won_in_words(Decimal(10**24))


@given(st.integers(0, 10**24 - 1))
def test_words_say_the_number_back(number: int) -> None:
    digit_of = {sign: value for value, sign in enumerate("영일이삼사오육칠팔구")}
    total = group = digit = 0
    for sign in won_in_words(Decimal(number)).removeprefix("금 ").removesuffix("원정"):
        if sign in digit_of:
            digit = digit_of[sign]
        elif sign in "십백천":
            group += digit * 10 ** ("십백천".index(sign) + 1)
            digit = 0
        else:
            total += (group + digit) * 10 ** (4 * ("만억조경해".index(sign) + 1))
            group = digit = 0
    assert total + group + digit == number


@pytest.mark.parametrize(
    ("figure", "shown"),
    [("0", "0"), ("999", "999"), ("1000", "1,000"), ("-1234567.50", "-1,234,567.50"), ("1/3", "1/3"), ("", "")],
)
def test_thousands(figure: str, shown: str) -> None:
    assert grouped(figure) == shown


@pytest.mark.parametrize(
    ("figure", "shown"),
    [("1234.5", "1,234.5"), ("0.123456", "0.123456"), ("0.1234569", "0.123456…"), ("-0.9999999", "-0.999999…"),
     ("1000/3", "333.333333…"), ("-1/3", "-0.333333…"), ("2/3", "0.666666…")],
)  # fmt: skip
def test_cut_figures_show_true_digits(figure: str, shown: str) -> None:
    assert about(figure) == shown
    if shown.endswith("…"):
        kept = abs(Fraction(shown.rstrip("…").replace(",", "")))
        assert kept <= abs(exact_value(figure)) < kept + Fraction(1, 10**6)


@pytest.mark.parametrize("figure", ["1e3", "1.", ".5", "0x1", "1/0", "NaN", "1,000", "１"])
def test_what_is_no_figure(figure: str) -> None:
    with pytest.raises(ValueError, match="no figure"):
        exact_value(figure)


@pytest.mark.parametrize(
    ("figure", "fits"),
    [("123456789012345", True), ("1234567890123456", False), ("0.123456789012345", True), ("0.1234567890123456", False),
     ("1000000000000000", False), ("1/3", False), ("12345678901.5", True)],
)  # fmt: skip
def test_fifteen_digits_are_a_number(figure: str, fits: bool) -> None:
    assert fits_double(figure) is fits


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6))
def test_a_number_in_a_cell_comes_back(value: Decimal) -> None:
    text = format(value, "f")
    if fits_double(text):
        assert Decimal(f"{Decimal(repr(float(text))):.14E}") == Decimal(text)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_harmless(name: str) -> None:
    shown = printable(name, covered(), 160)
    assert {ord(sign) for sign in shown} <= covered() | {0x200B}
    assert max(len(part) for part in shown.replace("\u200b", " ").split(" ")) <= 14
    assert len(shown.replace("\u200b", "")) < 160 * 10
    assert not formula_free(name).startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("name", [*HOSTILE, "plain", "", "'=1"])
def test_both_writers_of_csv_agree(name: str) -> None:
    assert formula_free(name) == csv_cell(name)


def test_visible_escapes_and_composes() -> None:
    assert visible("a\u202eb\x00") == "a<U+202E>b<U+0000>"
    assert visible("\u1100\u1161") == "가"
    assert breakable("x" * 30) == "x" * 14 + "\u200b" + "x" * 14 + "\u200b" + "xx"
    assert printable("\\", covered(), 9) == "<U+005C>"
    assert printable("가" * 20, covered(), 5).startswith("가가가가가 … (+15)")


def test_names_of_files() -> None:
    stems = file_stems(
        "2026-10", ["D012", "d012", "정보과", "../x", "unattributed", "organisation", None, "", *HOSTILE]
    )
    assert stems["정보과"] == "2026-10-department-정보과"
    assert stems[None] == "2026-10-unattributed"
    assert len({stem.casefold() for stem in stems.values()}) == len(stems)
    for stem in stems.values():
        assert not set(stem) & set("/\\:*?\"<>|. \t\n\u202e'")
        assert len(stem.encode()) < 200


def test_one_code_alone_is_plain() -> None:
    assert file_stems("2026-10", ["D012"]) == {None: "2026-10-unattributed", "D012": "2026-10-department-D012"}


def test_words_of_charges() -> None:
    charge = {"rule": "gateway", "pool": "fixed", "why": None, "amount": "1", "amount_exact": "1", "fx_rows": [{}, {}],
              "months": ["2026-09", "2026-10"], "term": {"kind": "x"}}  # fmt: skip
    assert charge_words(charge) == "rule: gateway · fx_rows: 2 · months: 2026-09, 2026-10 · pool: fixed · term.kind: x"


def test_both_languages_say_everything() -> None:
    for name, pair in {**_WORDS, **_UNITS}.items():
        assert len(pair) == 2, name
        assert all(pair), name
    assert words("ko")["total"] == "합계"
    assert (unit_name("input_tokens", "en"), unit_name("new_unit", "ko")) == ("Input tokens", "new_unit")
    assert (month_name("2026-02", "en"), month_name("2026-02", "ko")) == ("February 2026", "2026년 2월")
    assert status_name("closed", "ko") == "마감"
