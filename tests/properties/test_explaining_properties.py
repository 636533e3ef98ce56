"""Explaining tells rules again, independently; whatever is drawn, it tells the outcome that the rules have."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from billing.explaining.events import runs
from billing.explaining.price_choice import contest
from billing.explaining.rounding_story import rounded_part, rounded_whole
from billing.models import ModelRule, ModelRules
from billing.prices import Asked, Origin, PriceBook, PriceKey, PriceRow
from billing.rounding import apportion, round_total

MODELS = ("gpt-5", "gpt-5-mini", "gpt-5-mini-2025-08-07", "gpt-5*", "gpt*", "GPT-5")
UNITS = ("input_tokens", "output_tokens", "reasoning_tokens", "audio_input_tokens", "cache_read_tokens")
RULES = ModelRules([ModelRule("azure", 0, None, "p", None), ModelRule("p", 0, {"starts_with": "chat"}, "p", "gpt-5")])


@st.composite
def rows(draw: st.DrawFn) -> list[PriceRow]:
    found = []
    for number in range(1, draw(st.integers(1, 25)) + 1):
        key = PriceKey(
            draw(st.sampled_from(["p", "P", "azure"])), draw(st.sampled_from(MODELS)), draw(st.sampled_from(UNITS)),
            draw(st.sampled_from(["standard", "batch", "*"])), draw(st.sampled_from([None, "eu"])),
            draw(st.sampled_from([0, 128_000, 200_000])),
        )  # fmt: skip
        first = draw(st.sampled_from([0, 10, 20]))
        last = draw(st.sampled_from([None, first + 5, 40]))
        origin: Origin = draw(st.sampled_from(["list", "contract"]))
        found.append(PriceRow(number, origin, key, "USD", Decimal(number), 1, first, last, "drawn"))
    return found


@given(
    rows=rows(),
    provider=st.sampled_from(["p", "azure"]),
    model=st.sampled_from(["gpt-5", "gpt-5-mini-2025-08-07", "chat-latest", "gpt-5-2026-01-01", "other"]),
    unit=st.sampled_from(UNITS),
    tier=st.sampled_from(["standard", "batch", "flex"]),
    region=st.sampled_from([None, "eu", "us"]),
    band=st.sampled_from([0, 128_000, 200_000]),
    hour=st.sampled_from([5, 10, 12, 20, 25, 39]),
)
def test_the_contest_has_the_winner_of_the_book_and_every_loser_a_reason(
    rows: list[PriceRow],
    provider: str,
    model: str,
    unit: str,
    tier: str,
    region: str | None,
    band: int,
    hour: int,
) -> None:
    book = PriceBook(rows, RULES)
    asked = Asked(provider, model, tier, region, band)
    found = contest(rows, book, asked, unit, hour)
    assert found.winner == book.find(asked, unit, hour)
    assert found.winner is None or found.winner not in [loser.row for loser in found.losers]
    assert all(loser.why and "{" not in loser.why for loser in found.losers)
    if found.winner is not None:
        without = [row for row in rows if row.id != found.winner.id]
        assert contest(without, PriceBook(without, RULES), asked, unit, hour).winner != found.winner


amounts = st.fractions(min_value=-(10**6), max_value=10**9, max_denominator=10**6)


@given(parts=st.lists(amounts, min_size=1, max_size=30), exponent=st.sampled_from([-2, 0, 1]), first=st.booleans())
def test_the_story_of_rounding_agrees_with_the_rounding(parts: list[Fraction], exponent: int, first: bool) -> None:
    exacts = dict(enumerate(parts))
    exact_total = sum(parts, Fraction(0))
    whole = round_total(exact_total, exponent)
    booked = apportion(exacts, whole, exponent, lambda key: first and key == 0)
    assert rounded_whole(exact_total, whole, exponent).agrees
    for key in exacts:
        story = rounded_part(exacts, booked, key, exponent, frozenset([0]) if first else frozenset())
        assert story.agrees
        up = Fraction(booked[key]) > exacts[key]
        assert ("rounded up" in story.why) == up
        assert ("nothing to round" in story.why) == (Fraction(booked[key]) == exacts[key])


@given(parts=st.lists(amounts, min_size=2, max_size=12), place=st.integers(0, 11))
def test_a_step_given_to_somebody_else_is_seen(parts: list[Fraction], place: int) -> None:
    """Moving one won from a part to another leaves the whole as it is, and the story of both says no."""
    exacts = dict(enumerate(parts))
    booked = apportion(exacts, round_total(sum(parts, Fraction(0)), 0), 0)
    one, other = place % len(parts), (place + 1) % len(parts)
    booked[one] += 1
    booked[other] -= 1
    assert not rounded_part(exacts, booked, one, 0).agrees
    assert not rounded_part(exacts, booked, other, 0).agrees


@given(hours=st.lists(st.integers(0, 200)))
def test_runs_hold_each_hour_once(hours: list[int]) -> None:
    found = runs(hours)
    assert [hour for first, end in found for hour in range(first, end)] == sorted(set(hours))
    assert all(end < following for (_, end), (following, _) in pairwise(found))
