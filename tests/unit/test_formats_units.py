"""The names of units and how they are related (contract, sections 1 and 9)."""

from __future__ import annotations

import pytest

from producers.units import UNITS, in_order, is_input_unit, is_unit_name, parent

CONTRACT = (
    *("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_tokens"),
    *("output_tokens", "reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "image_input_tokens"),
    *("image_output_tokens", "video_input_tokens", "web_searches", "requests"),
)


def test_the_contracts_units_are_all_there_once_in_order_and_well_named() -> None:
    assert [unit for unit in UNITS if unit in CONTRACT] == list(CONTRACT)
    assert len(set(UNITS)) == len(UNITS)
    assert all(is_unit_name(unit) for unit in UNITS)


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("a", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("cache_write_5m_tokens", True),
        ("", False),
        ("5m_tokens", False),
        ("_tokens", False),
        ("Input_tokens", False),
        ("input-tokens", False),
        ("input_tokens\n", False),
        ("토큰", False),
        ("a٣", False),
    ],
)
def test_unit_names(name: str, fits: bool) -> None:
    assert is_unit_name(name) is fits


@pytest.mark.parametrize(
    ("unit", "is_input"),
    [
        ("input_tokens", True),
        ("audio_input_tokens", True),
        ("cache_read_tokens", True),
        ("cache_read_video_tokens", True),
        ("cache_write_tokens", True),
        ("cache_write_30m_tokens", True),
        ("output_tokens", False),
        ("audio_output_tokens", False),
        ("reasoning_tokens", False),
        ("requests", False),
        ("web_searches", False),
        ("cache_storage_hours", False),
    ],
)
def test_input_units_make_the_length_of_the_prompt(unit: str, is_input: bool) -> None:
    assert is_input_unit(unit) is is_input


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("reasoning_tokens", "output_tokens"),
        ("audio_input_tokens", "input_tokens"),
        ("video_output_tokens", "output_tokens"),
        ("cache_read_audio_tokens", "cache_read_tokens"),
        ("cache_write_image_tokens", "cache_write_tokens"),
        ("cache_write_5m_video_tokens", "cache_write_5m_tokens"),
        ("cache_read_tokens", None),
        ("cache_write_5m_tokens", None),
        ("cache_write_tokens", None),
        ("input_tokens", None),
        ("output_tokens", None),
        ("smell_input_tokens", None),
        ("web_searches", None),
        ("requests", None),
    ],
)
def test_whose_price_a_unit_takes(unit: str, expected: str | None) -> None:
    assert parent(unit) == expected


def test_no_unit_is_its_own_forebear() -> None:
    for unit in UNITS:
        seen = [unit]
        while (above := parent(seen[-1])) is not None:
            assert above not in seen
            seen.append(above)


def test_units_are_put_in_order_and_strangers_behind() -> None:
    assert list(in_order({"zebra": 1, "requests": 1, "ant": 2, "input_tokens": 3})) == [
        "input_tokens",
        "requests",
        "ant",
        "zebra",
    ]
