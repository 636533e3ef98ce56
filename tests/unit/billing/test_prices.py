"""Which row prices what: a table for each step of the rule, with cases on both sides."""

from __future__ import annotations

from decimal import Decimal

import pytest

from billing.models import ModelRule, ModelRules, family_of
from billing.prices import Asked, Origin, PriceBook, PriceKey, PriceRow, in_force


def row(
    number: int,
    unit: str = "input_tokens",
    *,
    model: str = "m",
    provider: str = "p",
    tier: str = "standard",
    region: str | None = None,
    above: int = 0,
    origin: Origin = "list",
    hours: tuple[int, int | None] = (0, None),
) -> PriceRow:
    key = PriceKey(provider, model, unit, tier, region, above)
    return PriceRow(number, origin, key, "USD", Decimal(number), 1000, hours[0], hours[1], "test")


def find(
    rows: list[PriceRow],
    unit: str = "input_tokens",
    *,
    model: str = "m",
    provider: str = "p",
    tier: str = "standard",
    region: str | None = None,
    band: int = 0,
    hour: int = 100,
    rules: ModelRules | None = None,
) -> int | None:
    found = PriceBook(rows, rules).find(Asked(provider, model, tier, region, band), unit, hour)
    return None if found is None else found.id


@pytest.mark.parametrize(("hour", "expected"), [(9, None), (10, 1), (19, 1), (20, 2), (29, 2), (30, None)])
def test_rows_are_half_open_and_end_where_the_next_begins(hour: int, expected: int | None) -> None:
    assert find([row(1, hours=(10, None)), row(2, hours=(20, 30))], hour=hour) == expected


@pytest.mark.parametrize(("hour", "expected"), [(14, 1), (15, None), (20, 2)])
def test_an_own_end_before_the_next_row_leaves_a_gap(hour: int, expected: int | None) -> None:
    assert find([row(1, hours=(10, 15)), row(2, hours=(20, None))], hour=hour) == expected


def test_of_rows_that_begin_together_the_last_counts() -> None:
    rows = [row(1, hours=(10, None)), row(2, hours=(10, 50)), row(3, hours=(30, None))]
    first = min(in_force(rows), key=lambda term: term.row.from_hour)
    assert (first.row.id, first.end_hour) == (2, 30)
    assert find(rows, hour=29) == 2


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("input_tokens", 1),
        ("audio_input_tokens", 1),
        ("image_input_tokens", 1),
        ("video_input_tokens", 1),
        ("output_tokens", 2),
        ("reasoning_tokens", 2),
        ("audio_output_tokens", 2),
        ("image_output_tokens", 2),
        ("cache_read_tokens", 3),
        ("cache_read_audio_tokens", 3),
        ("cache_read_image_tokens", 3),
        ("cache_write_tokens", None),
        ("cache_write_5m_tokens", None),
        ("cache_write_1h_tokens", None),
        ("requests", None),
        ("web_searches", None),
        ("something_tokens", None),
    ],
)
def test_a_unit_without_a_row_takes_its_parents(unit: str, expected: int | None) -> None:
    assert find([row(1), row(2, "output_tokens"), row(3, "cache_read_tokens")], unit) == expected


def test_a_units_own_list_row_goes_before_its_parents_agreed_row() -> None:
    rows = [row(1, "output_tokens", origin="contract"), row(2, "reasoning_tokens")]
    assert find(rows, "reasoning_tokens") == 2


def test_an_agreed_price_goes_before_the_list_and_lets_it_back_when_it_ends() -> None:
    rows = [row(1, hours=(50, None)), row(2, origin="contract", hours=(0, 90))]
    assert (find(rows, hour=60), find(rows, hour=90)) == (2, 1)


@pytest.mark.parametrize(("tier", "expected"), [("standard", 1), ("batch", 2), ("flex", 3), ("priority", 3)])
def test_tiers(tier: str, expected: int) -> None:
    assert find([row(1), row(2, tier="batch"), row(3, tier="*")], tier=tier) == expected


def test_a_standard_row_prices_no_other_tier() -> None:
    assert find([row(1)], tier="batch") is None


@pytest.mark.parametrize(("region", "expected"), [(None, 1), ("eu", 2), ("us", 1)])
def test_regions(region: str | None, expected: int) -> None:
    assert find([row(1), row(2, region="eu")], region=region) == expected


def test_a_row_for_a_region_prices_no_unknown_region() -> None:
    assert find([row(1, region="eu")], region=None) is None


@pytest.mark.parametrize(("band", "expected"), [(0, 1), (128_000, 2), (150_000, 2), (200_000, 3), (272_000, 3)])
def test_prompt_lengths(band: int, expected: int) -> None:
    assert find([row(1), row(2, above=128_000), row(3, above=200_000)], band=band) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-5", 1),
        ("GPT-5", 1),
        ("gpt-5-mini", 3),
        ("gpt-5-mini-2025-08-07", 3),
        ("gpt-5-pro", 2),
        ("gpt-4", 4),
        ("llama", None),
    ],
)
def test_exact_names_then_the_longest_prefix(model: str, expected: int | None) -> None:
    rows = [row(1, model="gpt-5"), row(2, model="gpt-5*"), row(3, model="gpt-5-mini*"), row(4, model="gpt*")]
    assert find(rows, model=model) == expected


@pytest.mark.parametrize("snapshot", ["m-2025-08-07", "m-20250807", "m@20250807", "m-latest"])
def test_a_snapshot_inherits_from_its_family_unless_it_has_a_row(snapshot: str) -> None:
    assert find([row(1)], model=snapshot) == 1
    assert find([row(1, origin="contract"), row(2, model=snapshot)], model=snapshot) == 2
    assert family_of("gpt-5-mini") is None


def test_a_snapshots_family_tells_more_than_a_prefix_and_its_own_row_more_than_both() -> None:
    """An agreed price for gpt-5-mini holds for its snapshots, whatever an agreed price for gpt-5* says."""
    rows = [row(1, model="gpt-5*"), row(2, model="gpt-5-mini"), row(3, model="gpt-5-mini-2026-01-01")]
    assert find(rows, model="gpt-5-mini-2025-08-07") == 2
    assert find(rows, model="gpt-5-mini-2026-01-01") == 3
    assert find(rows, model="gpt-5-mini-preview") == 1
    assert find(rows, model="gpt-5-2025-08-07") == 1
    contract = [row(4, model="gpt-5*", origin="contract"), *rows]
    assert find(contract, model="gpt-5-mini-2025-08-07") == 4  # agreed before listed


def test_a_snapshot_that_the_rules_know_as_another_model_is_not_of_its_family() -> None:
    """gpt-4o-2024-05-13 was dearer than gpt-4o ever was: the list says so, and the date in the name decides nothing."""
    rules = ModelRules(
        [
            ModelRule("p", 0, {"equals": "gpt-4o-2024-05-13"}, "p", "gpt-4o:2024-05-13"),
            ModelRule("p", 1, {"starts_with": "gpt-4o"}, "p", "gpt-4o"),
        ]
    )
    rows = [row(1, model="gpt-4o"), row(2, model="gpt-4o:2024-05-13"), row(3, model="gpt-4*")]
    assert find(rows, model="gpt-4o-2024-05-13", rules=rules) == 3  # a prefix before an alias
    assert find(rows[:2], model="gpt-4o-2024-05-13", rules=rules) == 2
    assert find(rows[:1], model="gpt-4o-2024-05-13", rules=rules) == 1  # a book without it and without a prefix
    assert find(rows, model="gpt-4o-2024-08-06", rules=rules) == 1  # the rules call it its family


def test_rules_say_what_a_name_means() -> None:
    rules = ModelRules(
        [
            ModelRule("p", 0, {"any": [{"equals": "m-one"}, {"starts_with": "M-one-"}]}, "p", "m1"),
            ModelRule("p", 1, {"all": [{"contains": "m"}, {"ends_with": "-two"}]}, "p", "m2"),
            ModelRule("p", 2, {"regex": "^x[0-9]$"}, "p", "m3"),
            ModelRule("p", 3, None, "q", None),
            ModelRule("q", 0, {"equals": "lent-2026-03-05"}, "q", "lent"),
            ModelRule("q", 1, None, "r", None),
            ModelRule("r", 0, {"equals": "far"}, "r", "far"),
        ]
    )
    asked = ["M-ONE", "m-one-b", "m-two", "x7", "x77", "lent-20260305", "lent-20261305", "far"]
    assert [rules.meaning("p", name) for name in asked] == [
        ("p", "m1"),
        ("p", "m1"),
        ("p", "m2"),
        ("p", "m3"),
        None,
        ("q", "lent"),
        None,
        None,
    ]
    assert rules.meaning("q", "far") == ("r", "far")
    assert rules.providers_of("p") == {"p", "q"}
    rows = [row(1, model="lent", provider="q"), row(2, model="lent", origin="contract")]
    assert find(rows[:1], model="lent-2026-03-05", rules=rules) == 1
    assert find(rows, model="lent-2026-03-05", rules=rules) == 2  # the seller's own agreed price
    with pytest.raises(ValueError, match="'like'"):
        ModelRules([ModelRule("p", 0, {"like": "x"}, "p", "m")])


def test_hours_at_which_a_price_changes() -> None:
    book = PriceBook([row(1, hours=(10, None)), row(2, hours=(20, 30))])
    assert book.cuts(10, 30) == {20}
    assert book.cuts(0, 31) == {10, 20, 30}


@pytest.mark.parametrize(
    ("unit", "tier", "region", "band", "expected"),
    [
        ("input_tokens", "standard", None, 0, 1),
        ("input_tokens", "standard", "eu", 0, 2),
        ("input_tokens", "standard", "eu", 200_000, 2),  # a region's own row before a longer prompt of any region
        ("input_tokens", "standard", "us", 200_000, 3),
        ("input_tokens", "batch", "eu", 0, 4),  # the tier itself before the region
        ("input_tokens", "batch", None, 200_000, 4),
        ("input_tokens", "flex", "eu", 0, 5),
        ("input_tokens", "flex", None, 0, 5),
        ("audio_input_tokens", "flex", None, 0, 5),
        ("reasoning_tokens", "standard", None, 0, 6),
        ("reasoning_tokens", "flex", None, 0, None),  # no row of that tier: unpriced, and no other tier's
        ("cache_read_tokens", "standard", None, 0, None),
        ("cache_read_audio_tokens", "standard", None, 0, None),
    ],
)
def test_tier_region_and_length_together(unit: str, tier: str, region: str | None, band: int, expected: int) -> None:
    rows = [
        row(1), row(2, region="eu"), row(3, above=200_000), row(4, tier="batch"), row(5, tier="*"),
        row(6, "output_tokens"),
    ]  # fmt: skip
    assert find(rows, unit, tier=tier, region=region, band=band) == expected


def test_two_rows_of_one_id_are_no_book() -> None:
    with pytest.raises(ValueError, match="same id"):
        PriceBook([row(1), row(1, "output_tokens")])
