"""genai-prices as the list and as the oracle: its names, its tiers and its amounts, exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage, calc_price, data

from billing.errors import BillingError
from billing.models import ModelRules
from billing.money import exact, plain
from billing.periods import hour_number
from billing.prices import Asked, PriceBook
from billing.rating import cost_of
from billing.seed import Seed, read_seed
from billing.seeding import BASELINE_HOUR, dated
from producers.formats import parse
from producers.units import is_input_unit

BODIES = Path(__file__).parents[2] / "data" / "usage_bodies.jsonl"
AUGUST = hour_number(datetime(2026, 8, 1, tzinfo=UTC))
PRICED_BODIES = 467
"""Bodies of the file for which it states a list price."""
DIFFERENT: dict[int, str] = {}
"""Bodies (by line) whose list price differs from ours, with who is right and why. None do."""


@pytest.fixture(scope="module")
def seed() -> Seed:
    return read_seed()


@pytest.fixture(scope="module")
def book(seed: Seed) -> PriceBook:
    return PriceBook([replace(row, id=place + 1) for place, row in enumerate(seed.rows)], ModelRules(seed.rules))


def band_of(seed: Seed, prompt_tokens: int) -> int:
    """The largest threshold of the book that a prompt exceeds."""
    return max((row.key.prompt_above for row in seed.rows if row.key.prompt_above < prompt_tokens), default=0)


def price(book: PriceBook, asked: Asked, units: dict[str, int], hour: int) -> tuple[Decimal, Decimal]:
    """(input, output) of token units; an unpriced one fails the test."""
    sides = {True: Decimal(0), False: Decimal(0)}
    with exact():
        for unit, quantity in units.items():
            if quantity and unit.endswith("_tokens"):
                row = book.find(asked, unit, hour)
                assert row is not None, f"{asked.model} {unit} is unpriced"
                sides[is_input_unit(unit)] += cost_of(quantity, row)
    return sides[True], sides[False]


def bodies() -> Iterator[tuple[int, dict[str, Any]]]:
    with BODIES.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            body = json.loads(line, parse_float=Decimal)
            if body["list_price_usd"]:
                yield number, body


def test_every_recorded_body_costs_its_list_price(seed: Seed, book: PriceBook) -> None:
    different, checked = {}, 0
    for number, body in bodies():
        listed = body["list_price_usd"]
        units = dict(parse(body["format"], body["body"]).units)
        prompt = sum(quantity for unit, quantity in units.items() if is_input_unit(unit))
        asked = Asked(listed["provider"], body["model"], "standard", None, band_of(seed, prompt))
        ours = tuple(plain(amount) for amount in price(book, asked, units, AUGUST))
        checked += 1
        if ours != (plain(Decimal(listed["input"])), plain(Decimal(listed["output"]))):
            different[number] = f"{body['model']}: ours {ours}, listed {listed}"
    assert {number: text for number, text in different.items() if number not in DIFFERENT} == {}
    assert checked == PRICED_BODIES


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google", "azure", "aws", "mistral", "x-ai", "perplexity"])
def test_names_mean_the_model_that_the_list_finds(seed: Seed, provider: str) -> None:
    rules = ModelRules(seed.rules)
    theirs = next(one for one in data.providers if one.id == provider)
    names = {model.id for one in data.providers for model in one.models} | {body["model"] for _, body in bodies()}
    names |= {f"{name}-20251211" for name in ("gpt-5.2", "claude-x")} | {"GPT-4O", "nothing-like-it"}
    for name in names:
        found = theirs.find_model(name, all_providers=data.providers)
        meaning = rules.meaning(provider, name)
        assert (None if found is None else found.id) == (None if meaning is None else meaning[1]), name


@pytest.mark.parametrize(
    ("model", "provider", "prompt", "month"),
    [
        (model, provider, prompt, month)
        for model, provider, threshold in (("gemini-2.5-pro", "google", 200_000), ("gpt-5.4", "openai", 272_000))
        for prompt in (threshold - 1, threshold, threshold + 1)
        for month in (1, 10)
    ],
)
def test_tiers_on_both_sides(seed: Seed, book: PriceBook, model: str, provider: str, prompt: int, month: int) -> None:
    moment = datetime(2026, month, 20, tzinfo=UTC)
    theirs = calc_price(
        Usage(input_tokens=prompt, output_tokens=1000), model, provider_id=provider, genai_request_timestamp=moment
    )
    asked = Asked(provider, model, "standard", None, band_of(seed, prompt))
    ours = price(book, asked, {"input_tokens": prompt, "output_tokens": 1000}, hour_number(moment))
    assert ours == (theirs.input_price, theirs.output_price)


PRICE_UNITS = {
    "input_mtok": "input_tokens",
    "output_mtok": "output_tokens",
    "cache_read_mtok": "cache_read_tokens",
    "cache_write_mtok": "cache_write_5m_tokens",
    "cache_write_1h_mtok": "cache_write_1h_tokens",
    "input_audio_mtok": "audio_input_tokens",
    "web_searches_kcount": "web_searches",
}
MOMENTS = [
    datetime(2026, month, day, hour, tzinfo=UTC)
    for month, day, hour in ((3, 12, 23), (3, 13, 0), (8, 31, 23), (9, 1, 0), (10, 14, 0), (11, 1, 5))
]


def listed_price(model: Any, price_key: str, moment: datetime, band: int) -> Decimal | None:
    """What the list says of one field, for prompts of a band; None where it says nothing."""
    value = vars(model.get_prices(moment)).get(price_key)
    if value is None or isinstance(value, Decimal):
        return value
    return next((tier.price for tier in reversed(value.tiers) if tier.start <= band), value.base)


@pytest.mark.parametrize("band", [0, 200_000, 272_000])
def test_every_model_costs_what_the_list_says_at_every_date(seed: Seed, book: PriceBook, band: int) -> None:
    """All providers, all models, at dates around those on which prices change: what has no price is unpriced."""
    lost = {sentence.split(":")[0] for sentence in seed.not_carried if "time of day" in sentence}
    checked = 0
    for provider in data.providers:
        for model in provider.models:
            meaning = book.rules.meaning(provider.id, model.id)
            if meaning != (provider.id, model.id) or f"{provider.id}/{model.id}" in lost or not model.prices:
                continue  # another model's rule takes that name first, in the list too
            for moment in [datetime(2024, 1, 1, tzinfo=UTC), *MOMENTS]:
                for price_key, unit in PRICE_UNITS.items():
                    asked = Asked(provider.id, model.id, "standard", None, band)
                    row = book.find(asked, unit, hour_number(moment))
                    own = None if row is None or row.key.unit != unit else row.price
                    assert own == listed_price(model, price_key, moment, band), (asked, unit, moment)
                    checked += 1
    assert checked > 90_000


def test_batch_prices_are_whole(book: PriceBook) -> None:
    """A tier's rows hold the units that keep their standard price too."""
    asked = Asked("openai", "gpt-4.1", "batch", None, 0)
    hour = hour_number(datetime(2026, 11, 1, tzinfo=UTC))
    standard = asked._replace(service_tier="standard")
    found = {
        unit: (book.find(standard, unit, hour), book.find(asked, unit, hour))
        for unit in ("input_tokens", "cache_read_tokens")
    }
    before, after = found["input_tokens"]
    assert before is not None
    assert after is not None
    assert after.price * 2 == before.price
    assert all(row is not None for row in found["cache_read_tokens"])
    assert book.find(asked, "input_tokens", AUGUST) is None  # the list gives no batch price for August


def test_what_is_not_carried_is_named(seed: Seed) -> None:
    sentences = "\n".join(seed.not_carried)
    assert "deepseek/deepseek-v4-pro: its price depends on the time of day" in sentences
    assert "audio_hours" in sentences
    assert not any(row.key.provider == "deepseek" and row.key.model == "deepseek-v4-pro" for row in seed.rows)


def test_a_newer_list_changes_no_past(seed: Seed) -> None:
    """An undated price that differs needs a date; given one, it is taken over once."""
    stored = [replace(row, id=place + 1) for place, row in enumerate(seed.rows[:50])]
    first = next(place for place, row in enumerate(stored) if row.from_hour == BASELINE_HOUR)
    newer = [replace(row, id=0) for row in stored]
    newer[first] = replace(newer[first], price=newer[first].price + 1)
    with pytest.raises(BillingError, match="--from"):
        dated(stored, newer, None)
    rows = dated(stored, newer, AUGUST)
    assert [row.from_hour for row in rows if row.price == newer[first].price and row.key == newer[first].key] == [
        AUGUST
    ]
    again = [*stored, replace(rows[-1], id=1000)]
    assert len(dated(again, newer, None)) == len(newer) - 1
    assert len(dated(stored, [replace(row, id=0) for row in stored], None)) == len(stored)
