"""Charts: places and lengths of what is drawn, the scale beside it, unknown figures, hostile names."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from jangbu.web import charts
from jangbu.web.charts import HEIGHT, Step


def rectangles(svg: str) -> list[tuple[str, float, float]]:
    """(class, top, height) of each."""
    found = re.findall(r'<rect class="([a-z0-9-]+)" x="[^"]*" y="([^"]*)" width="[^"]*" height="([^"]*)"', svg)
    return [(kind, float(top), float(height)) for kind, top, height in found]


def ticks(svg: str) -> list[str]:
    return re.findall(r"<span>([^<]*)</span>", svg)


def test_columns_stand_on_each_other_up_to_a_round_scale() -> None:
    drawn = charts.columns("use", [["3", "1"], [2, None]], marks=["7"])
    assert ticks(drawn) == ["8", "4", "0"]
    assert rectangles(drawn) == [
        ("series-1", HEIGHT * 5 / 8, HEIGHT * 3 / 8), ("series-2", HEIGHT * 4 / 8, HEIGHT / 8),
        ("series-1", HEIGHT * 6 / 8, HEIGHT * 2 / 8),
    ]  # fmt: skip
    assert f'class="mark" x1="0" x2="1000" y1="{HEIGHT / 8}"' in drawn


def test_negative_parts_hang_below_zero() -> None:
    drawn = charts.columns("use", [[-5], [5]])
    assert ticks(drawn) == ["5", "0", "\N{MINUS SIGN}5"]
    assert rectangles(drawn) == [("series-1", HEIGHT / 2, HEIGHT / 2), ("series-1", 0, HEIGHT / 2)]


def test_a_bridge_says_where_its_axis_begins() -> None:
    steps = [Step(Decimal(1000), is_total=True), Step(Decimal(-100)), Step(None), Step(Decimal(900), is_total=True)]
    drawn = charts.waterfall("bridge", steps)
    assert [kind for kind, _, _ in rectangles(drawn)] == ["total", "less", "total"]
    assert ticks(drawn)[-1] == "880", "the axis does not begin at 0, and says so"


def test_a_bar_over_its_limit_is_over() -> None:
    assert 'class="over"' in charts.bar("quota", "130", "100")
    assert 'class="near"' in charts.bar("quota", "50", "100", "120")
    assert 'class="within"' in charts.bar("quota", "50", "100")
    assert "rect" not in charts.bar("quota", "50", "0")


def test_nothing_is_drawn_of_nothing() -> None:
    for drawn in (charts.columns("x", []), charts.line("x", [None, None]), charts.waterfall("x", [])):
        assert "NaN" not in drawn
        assert "rect" not in drawn


@pytest.mark.parametrize("value", ["0.03", "999999999999999999.5", "1e-9"])
def test_any_amount_can_be_drawn(value: str) -> None:
    assert len(ticks(charts.line("x", [value, 0]))) == 3


def test_a_name_cannot_break_out() -> None:
    drawn = charts.columns('"><script>', [[1]])
    assert "<script>" not in drawn
    assert "&#34;&gt;&lt;script&gt;" in drawn
