"""genai-prices as the oracle: every recorded body and every unit of every listed model, and where our rules differ.

Two ways to the same amounts: its calculator on its own usage fields, ours on disjoint units and price rows. Where they
differ a rule of `RULES` says who is right and why; a difference that no rule explains fails, and so does a rule that
explains nothing any more. Prices are as of 2026-08-01, token units and those that the list counts beside them.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from genai_prices import Usage, calc_price, data

from billing.models import ModelRules
from billing.money import exact
from billing.periods import hour_number
from billing.prices import Asked, PriceBook
from billing.rating import cost_of
from billing.seed import Seed, read_seed
from producers.formats import parse
from producers.units import is_input_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BODIES = Path(__file__).parents[2] / "data" / "usage_bodies.jsonl"
WHEN = datetime(2026, 8, 1, tzinfo=UTC)
HOUR = hour_number(WHEN)


class Rule(NamedTuple):
    """A difference that is meant: what each side does, who is right, and where that is written down."""

    ours: str
    theirs: str
    right: str
    source: str


RULES = {
    "time of day": Rule(
        "unpriced: rows hold from an hour to an hour, not at hours of each day",
        "the price of the hour asked about",
        "theirs; ours does not guess, and names the model when it is seeded",
        "billing/seed.py; DECISIONS.md, Money",
    ),
    "cached without a price": Rule(
        "unpriced",
        "the price of fresh input, or of writes of another lifetime",
        "nobody before the vendor's bill: reads are sold at 0.1 to 0.5 of fresh input and writes at 1.25 to 2 times it",
        "contract.md, section 9, Prices: cache units without a row are unpriced",
    ),
    "no price is 0": Rule(
        "unpriced, with its quantity",
        "0",
        "ours: unknown is never zero",
        "contract.md, section 9, Prices: no match = unpriced",
    ),
    "requests are counted": Rule(
        "not billable without a row",
        "0",
        "both: the same amount",
        "contract.md, section 9, Prices",
    ),
}

_INPUT, _OUTPUT = "input_tokens", "output_tokens"
FIELDS: Mapping[str, tuple[str, ...]] = {
    "input_tokens": (_INPUT,),
    "cache_read_tokens": (_INPUT, "cache_read_tokens"),
    "cache_write_tokens": (_INPUT, "cache_write_tokens"),
    "cache_write_5m_tokens": (_INPUT, "cache_write_tokens", "cache_write_5m_tokens"),
    "cache_write_1h_tokens": (_INPUT, "cache_write_tokens", "cache_write_1h_tokens"),
    "output_tokens": (_OUTPUT,),
    "reasoning_tokens": (_OUTPUT, "output_reasoning_tokens"),
    "audio_input_tokens": (_INPUT, "input_audio_tokens"),
    "image_input_tokens": (_INPUT, "input_image_tokens"),
    "video_input_tokens": (_INPUT, "input_video_tokens"),
    "audio_output_tokens": (_OUTPUT, "output_audio_tokens"),
    "image_output_tokens": (_OUTPUT, "output_image_tokens"),
    "cache_read_audio_tokens": (_INPUT, "cache_read_tokens", "input_audio_tokens", "cache_audio_read_tokens"),
    "cache_read_image_tokens": (_INPUT, "cache_read_tokens", "input_image_tokens", "cache_image_read_tokens"),
    "web_searches": ("web_searches",),
    "requests": (),
}
"""How genai-prices is told of a quantity of one of our units: its fields contain each other, ours are disjoint.
The fee of one request it adds to every calculation by itself."""


@pytest.fixture(scope="module")
def seed() -> Seed:
    return read_seed()


@pytest.fixture(scope="module")
def book(seed: Seed) -> PriceBook:
    return PriceBook([replace(row, id=place + 1) for place, row in enumerate(seed.rows)], ModelRules(seed.rules))


@pytest.fixture(scope="module")
def timed(seed: Seed) -> set[str]:
    """Models whose price depends on the time of day."""
    return {sentence.split(":")[0] for sentence in seed.not_carried if "time of day" in sentence}


@cache
def thresholds() -> list[int]:
    """The thresholds of the list, rising."""
    return sorted({row.key.prompt_above for row in read_seed().rows})


def band_of(prompt_tokens: int) -> int:
    """The largest threshold of the book that a prompt exceeds."""
    return max((above for above in thresholds() if above < prompt_tokens), default=0)


def amounts(book: PriceBook, asked: Asked, units: Mapping[str, int]) -> dict[str, Decimal | None]:
    """The cost of each unit; None where it has no price."""
    rows = {unit: book.find(asked, unit, HOUR) for unit, quantity in units.items() if quantity}
    return {unit: None if row is None else cost_of(units[unit], row) for unit, row in rows.items()}


def reason(unit: str, ours: Decimal | None, theirs: Decimal, *, is_timed: bool) -> str | None:
    """Which rule explains a difference; None where there is none, 'unexplained' where no rule does."""
    if ours == theirs:
        return None
    if ours is not None:
        return "unexplained"
    if is_timed:
        return "time of day"
    if unit == "requests":
        return "requests are counted" if not theirs else "unexplained"
    if not theirs:
        return "no price is 0"
    return "cached without a price" if unit.startswith("cache_") else "unexplained"


@pytest.fixture(scope="module")
def cliffs(seed: Seed) -> set[tuple[str, str]]:
    """Provider and model of those that have a threshold, by the list or by our rows."""
    ours = {(row.key.provider, row.key.model) for row in seed.rows if row.key.prompt_above}
    theirs = {
        (provider.id, model.id)
        for provider in data.providers
        for model in provider.models
        if "TieredPrices" in repr(model.prices)
    }
    assert len(ours & theirs) > 10
    return ours | theirs


@pytest.mark.parametrize(
    ("quantity", "is_for_all", "same_min"),
    [(1000, True, 4000), (200_000, False, 100), (200_001, False, 100), (272_000, False, 100), (272_001, True, 4000)],
)
def test_every_unit_of_every_model_costs_the_same_or_a_rule_says_why(
    seed: Seed,
    book: PriceBook,
    timed: set[str],
    cliffs: set[tuple[str, str]],
    quantity: int,
    is_for_all: bool,
    same_min: int,
) -> None:
    """All models below and above all thresholds; between them those that have one."""
    found: Counter[str] = Counter()
    unexplained = []
    same = 0
    for provider in data.providers:
        for model in provider.models:
            if book.rules.meaning(provider.id, model.id) != (provider.id, model.id) or not model.prices:
                continue  # another model's rule takes that name first, in the list too
            if not is_for_all and (provider.id, model.id) not in cliffs:
                continue
            fee = model.calc_price(Usage(), provider, genai_request_timestamp=WHEN).total_price
            for unit, fields in FIELDS.items():
                count = quantity if unit.endswith("_tokens") else 1
                prompt = count if is_input_unit(unit) else 0
                usage = Usage(**dict.fromkeys(fields, count))
                theirs = model.calc_price(usage, provider, genai_request_timestamp=WHEN).total_price
                theirs = theirs - fee if fields else fee
                asked = Asked(provider.id, model.id, "standard", None, band_of(prompt))
                (ours,) = amounts(book, asked, {unit: count}).values()
                why = reason(unit, ours, theirs, is_timed=f"{provider.id}/{model.id}" in timed)
                if why is None:
                    same += 1
                elif why == "unexplained":
                    unexplained.append((provider.id, model.id, unit, ours, theirs))
                else:
                    found[why] += 1
    assert unexplained == []
    assert same > same_min
    assert found.keys() == RULES.keys() if is_for_all else found.keys() <= RULES.keys()


def test_every_recorded_body_of_a_listed_model_costs_the_same_or_a_rule_says_why(
    seed: Seed, book: PriceBook, timed: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Also those for which the file states no list price, where the list knows the model by its name alone."""
    caplog.set_level(logging.CRITICAL)
    found: Counter[str] = Counter()
    same = unknown = 0
    for body in _bodies():
        stated = body["list_price_usd"]
        if body["model"] is None:
            continue
        try:
            theirs = calc_price(
                Usage(**body["inclusive_usage"]),
                body["model"],
                provider_id=stated["provider"] if stated else None,
                genai_request_timestamp=WHEN,
            )
        except LookupError:
            unknown += 1
            continue
        units = {
            unit: quantity
            for unit, quantity in dict(parse(body["format"], body["body"]).units).items()
            if quantity and unit.endswith("_tokens")
        }
        prompt = sum(quantity for unit, quantity in units.items() if is_input_unit(unit))
        asked = Asked(theirs.provider.id, body["model"], "standard", None, band_of(prompt))
        ours = amounts(book, asked, units)
        with exact():
            known = sum((cost for cost in ours.values() if cost is not None), Decimal(0))
        if None not in ours.values() and known == theirs.input_price + theirs.output_price:
            same += 1
            continue
        is_timed = f"{theirs.provider.id}/{theirs.model.id}" in timed
        whys = {
            reason(unit, cost, theirs.total_price, is_timed=is_timed) for unit, cost in ours.items() if cost is None
        }
        assert len(whys) == 1, (body["model"], ours, theirs.total_price)
        found[str(whys.pop())] += 1
    assert "unexplained" not in found
    assert set(found) <= set(RULES)
    assert (same, dict(found), unknown) == (490, {"time of day": 4, "cached without a price": 1}, 91)


def test_a_planted_difference_is_no_rules() -> None:
    """A price that is off by the smallest digit, and a plain unit without a price, are found."""
    price = Decimal("0.000001")
    assert reason("input_tokens", price, price, is_timed=False) is None
    assert reason("input_tokens", price, price + Decimal("1e-18"), is_timed=True) == "unexplained"
    assert reason("input_tokens", None, price, is_timed=False) == "unexplained"
    assert reason("requests", None, price, is_timed=False) == "unexplained"
    assert reason("cache_read_tokens", price, price * 2, is_timed=False) == "unexplained"


def _bodies() -> Iterator[dict[str, Any]]:
    with BODIES.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line, parse_float=Decimal)
