"""OpenAI's usage API: its results read as the dashboard's rows are, its traps refused by their place."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.invoices.errors import InvoiceRefused
from billing.invoices.lines import CoveredDay, FileKind, VendorLine
from billing.invoices.openai_usage_api import RESULT, UsageApi
from billing.invoices.recognise import recognise
from billing.invoices.source import SourceFile

DAY = 1790812800
"""2026-10-01T00:00:00Z."""
GIVEN: dict[str, Any] = {
    "object": RESULT, "input_tokens": 1000, "input_cached_tokens": 300, "input_uncached_tokens": 650,
    "input_cache_write_tokens": 50, "output_tokens": 90, "num_model_requests": 4, "project_id": "proj_1",
    "user_id": None, "api_key_id": None, "model": "gpt-5-mini-2025-08-07", "batch": False, "service_tier": "default",
    "api_source": None,
}  # fmt: skip


def source(*results: dict[str, Any], **page: Any) -> SourceFile:
    bucket = {"object": "bucket", "start_time": DAY, "end_time": DAY + 86400, "results": list(results)}
    document = {"object": "page", "data": [bucket], "has_more": False, "next_page": None, **page}
    return SourceFile("usage.json", json.dumps(document).encode())


def units(*results: dict[str, Any]) -> dict[str | None, Decimal | None]:
    return {one.unit: one.quantity for one in UsageApi().read(source(*results)) if isinstance(one, VendorLine)}


def test_a_result_is_known_and_read() -> None:
    found = recognise(source(GIVEN))
    assert (found.importer.format, found.importer.kind) == ("openai.usage_api", FileKind.USAGE)
    covered, *lines = UsageApi().read(source(GIVEN))
    assert covered == CoveredDay(date(2026, 10, 1), "data[0]")
    parts = {"cache_write_tokens": 50, "input_tokens": 650, "cache_read_tokens": 300, "output_tokens": 90}
    assert units(GIVEN) == parts
    for one in lines:
        assert isinstance(one, VendorLine)
        assert (one.account, one.model, one.service_tier) == ("proj_1", "gpt-5-mini-2025-08-07", "standard")


def test_whole_numbers_that_are_written_as_floats_are_whole_numbers() -> None:
    assert units({**GIVEN, "output_tokens": 90.0}) == units(GIVEN)


@pytest.mark.parametrize(
    ("batch", "tier", "expected"),
    [(True, "default", "batch"), (False, "flex", "flex"), (None, None, None), (None, "priority", "priority")],
)
def test_tiers(batch: bool | None, tier: str | None, expected: str | None) -> None:
    lines = UsageApi().read(source({**GIVEN, "batch": batch, "service_tier": tier}))
    assert {one.service_tier for one in lines if isinstance(one, VendorLine)} == {expected}


def test_equal_results_are_both_read() -> None:
    assert len(list(UsageApi().read(source(GIVEN, GIVEN)))) == 1 + 2 * 4


def test_a_day_without_use_is_covered() -> None:
    assert list(UsageApi().read(source())) == [CoveredDay(date(2026, 10, 1), "data[0]")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"input_uncached_tokens": 651}, "input_tokens is '1000': it must be uncached 651 + cached 300"),
        ({"model": None}, "model is absent: group the export by model"),
        ({"input_tokens": None}, "a row of a model tells its input and output"),
        ({"output_tokens": 1.5}, "it cannot be a fraction"),
        ({"output_tokens": -1}, "negative"),
        ({"output_tokens": "90"}, "output_tokens is '90': counts are whole numbers"),
        ({"output_tokens": True}, "output_tokens is 'True': counts are whole numbers"),
        ({"batch": "yes"}, "batch is 'yes'"),
        ({"service_tier": "moon"}, "this tier is not known"),
        ({"model": 7}, "model is '7': counts are whole numbers, names are texts"),
        ({"object": "organization.usage.embeddings.result"}, "object is 'organization.usage.embeddings.result'"),
        ({"thoughts": 1}, "key is 'thoughts'"),
    ],
)
def test_what_is_not_of_that_shape_is_refused_by_place(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvoiceRefused) as refused:
        list(UsageApi().read(source({**GIVEN, **change})))
    assert said in str(refused.value)
    assert "data[0].results[0]" in str(refused.value)
