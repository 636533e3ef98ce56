"""Tables on a terminal: they fit, no figure is broken, nothing that was said is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from jangbu.tables import shown, terminal_lines, wrap

COLUMNS = ("department", "department_name", "amount_exact", "content_hash")
ROWS = [
    ["D001", "기획담당관", "2494.5936282155", "a" * 64],
    ["D002", "교통운영과의 아주 길고도 긴 이름", "-1234567", "b" * 64],
]


def test_a_table_with_room() -> None:
    head, lines = terminal_lines(COLUMNS, ROWS, ("amount_exact",), 100)
    assert head == [
        "department  department name                       amount exact  content hash",
        "─" * 77,
    ]
    assert lines == [
        "D001        기획담당관                        2,494.5936282155  aaaaaaaaaaaa…",
        "D002        교통운영과의 아주 길고도 긴 이름        -1,234,567  bbbbbbbbbbbb…",
    ]


def test_texts_give_way_and_figures_do_not() -> None:
    head, lines = terminal_lines(COLUMNS, ROWS, ("amount_exact",), 60)
    assert head[0] == "department  department name      amount exact  content hash"
    assert max(cell_len(line) for line in [*head, *lines]) <= 60
    assert "2,494.5936282155  aaaaaaaaaaaa…" in lines[0]
    assert len(lines) > 2


def test_what_fits_no_width_is_told_record_by_record() -> None:
    head, lines = terminal_lines(COLUMNS, ROWS, ("amount_exact",), 30)
    assert head == []
    assert lines[:4] == [
        "department       D001",
        "department name  기획담당관",
        "amount exact     2,494.",
        "                 5936282155",
    ]
    assert lines.count("") == 1


def test_a_column_without_a_value_is_left_out_and_an_empty_table_says_so() -> None:
    head, lines = terminal_lines(("a", "b"), [["1", ""], ["2", ""]], (), 80)
    assert (head, lines) == (["a", "─"], ["1", "2"])
    assert terminal_lines(("a", "b_c"), [], (), 80) == ([], ["(nothing)"])


@pytest.mark.parametrize(
    ("column", "text", "is_right", "expected"),
    [
        ("quantity", "1234567", True, "1,234,567"),
        ("amount", "-0.5", True, "-0.5"),
        ("amount", "+1234.5678901234567890", True, "+1,234.5678901234567890"),
        ("weight", "1000/3", True, "1000/3"),
        ("total", "unknown", True, "unknown"),
        ("offset", "1234567", True, "1234567"),
        ("id", "1234567", True, "1234567"),
        ("department", "1234567", False, "1234567"),
        ("found_at", "2026-11-22T23:46:28.189039Z", False, "2026-11-22 23:46:28Z"),
        ("hour", "2026-11-22T23:00:00Z", False, "2026-11-22 23:00:00Z"),
        ("content_hash", "0123456789abcdef" * 4, False, "0123456789ab…"),
    ],
)
def test_what_a_cell_shows(column: str, text: str, is_right: bool, expected: str) -> None:
    assert shown(column, text, is_right) == expected


def test_words_go_before_parts_of_names_when_a_text_is_broken() -> None:
    assert wrap("set JANGBU_KAFKA_BOOTSTRAP to it", 24) == ["set", "JANGBU_KAFKA_BOOTSTRAP", "to it"]
    assert wrap("cache_write_5m_tokens", 12) == ["cache_write_", "5m_tokens"]
    assert wrap("abcdefgh", 3) == ["abc", "def", "gh"]
    assert wrap("한글은 두 칸", 5) == ["한글", "은 두", "칸"]
    assert wrap("한글", 1) == ["한", "글"]


TEXTS = st.text(st.sampled_from("ab가_- .한1"), max_size=60)


@given(TEXTS, st.integers(2, 40))
def test_no_sign_but_blanks_is_lost_and_no_line_is_too_long(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(cell_len(line) <= width for line in lines)


@given(st.lists(st.tuples(TEXTS, TEXTS, st.integers(-(10**12), 10**12)), max_size=6), st.integers(20, 140))
def test_a_table_is_never_wider_than_the_terminal(rows: list[tuple[str, str, int]], width: int) -> None:
    cells = [[one, other, str(figure)] for one, other, figure in rows]
    head, lines = terminal_lines(("a_name", "what", "amount"), cells, ("amount",), width)
    assert all(cell_len(line) <= width for line in [*head, *lines])
    if head:
        for _, _, figure in rows:
            assert any(f"{figure:,}" in line for line in lines)
