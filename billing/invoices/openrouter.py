"""OpenRouter's activity export: a CSV row for each generation, with its cost in credits (US dollars) and its tokens.

A row's cost is one figure for all of its tokens, so it comes as a total of the day, with the tokens beside it as
quantities: the day's money is compared as a whole, its tokens model by model. Cached tokens stand inside the prompt,
reasoning inside the completion. `cost_cache`, `cost_web_search` and `cost_file_processing` are parts of `cost_total`.
What a generation cost at another provider under a key of one's own (`byok_usage_inference`) is that provider's bill:
such a row's own cost is a fee, and its tokens are not billed here. Times are UTC without saying so.
A day counts as covered where a row speaks of it. Fields: real exports of 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.csv_rows import header_of, rows_of
from billing.invoices.errors import InvoiceRefused
from billing.invoices.lines import CoveredDay, FileKind, LineKind, VendorLine
from billing.invoices.openai_days import count_of, decimal_of
from billing.invoices.texts import text_of
from billing.invoices.vendor_times import instant
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from billing.invoices.source import SourceFile

_PARTS = ("cost_web_search", "cost_cache", "cost_file_processing", "byok_usage_inference")
_COLUMNS = {
    *_PARTS, "generation_id", "created_at", "cost_total", "tokens_prompt", "tokens_completion", "tokens_reasoning",
    "tokens_cached", "model_permaslug", "provider_name", "variant", "cancelled", "streamed", "user",
    "finish_reason_raw", "finish_reason_normalized", "generation_time_ms", "time_to_first_token_ms",
    "api_key_disabled", "api_key_name", "app_name", "num_search_results",
}  # fmt: skip
_REQUIRED = (
    "generation_id", "created_at", "cost_total", "tokens_prompt", "tokens_completion", "tokens_reasoning",
    "tokens_cached", "model_permaslug", "byok_usage_inference",
)  # fmt: skip
_CURRENCY = "USD"


@dataclass(frozen=True)
class ActivityCsv:
    """The activity page's export."""

    vendor: str = "openrouter"
    format: str = "openrouter.activity_csv"
    kind: FileKind = FileKind.COST

    @property
    def folds(self) -> Mapping[str, str]:
        """Nothing: reasoning and cached tokens are told."""
        return {}

    def recognise(self, source: SourceFile) -> str | None:
        """By its header."""
        if {"generation_id", "model_permaslug", "cost_total"} <= set(header_of(source)):
            return "a CSV whose header has generation_id, model_permaslug and cost_total, as OpenRouter's activity has"
        return None

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """A total and its quantities for each row. The same generation twice refuses the file."""
        seen: dict[str, str] = {}
        for place, row in rows_of(source, _COLUMNS, _REQUIRED):
            generation = text_of(source.name, place, "generation_id", row["generation_id"])
            if generation is None or generation in seen:
                again = Sentence("it stands in %(place)s too", place=seen.get(generation or ""))
                remedy = "a row names its generation" if generation is None else again
                raise InvoiceRefused.at(source.name, place, "generation_id", generation, remedy)
            seen[generation] = place
            yield from _lines(source, place, row, generation)


def _lines(
    source: SourceFile, place: str, row: Mapping[str, str], generation: str
) -> Iterator[VendorLine | CoveredDay]:
    day = instant(source.name, place, "created_at", row["created_at"], utc_unsaid=True).date()
    yield CoveredDay(day, place)
    parts = {name: decimal_of(source.name, place, name, row[name]) for name in _PARTS if row.get(name)}
    own_key = parts.get("byok_usage_inference", Decimal(0)) != 0
    amount = decimal_of(source.name, place, "cost_total", row["cost_total"])
    model = text_of(source.name, place, "model_permaslug", row["model_permaslug"])
    if model is None:
        raise InvoiceRefused.at(source.name, place, "model_permaslug", None, "a generation names its model")
    kind = LineKind.FEE if own_key else LineKind.CREDIT if amount < 0 else LineKind.TOTAL
    text = " / ".join(part for part in (generation, model, row.get("variant"), "own key" if own_key else "") if part)
    yield VendorLine(
        place=place,
        day=day,
        kind=kind,
        text=text_of(source.name, place, "row", text if kind is not LineKind.FEE else f"{model} / own key"),
        model=model if kind is LineKind.TOTAL else None,
        amount=amount,
        currency=_CURRENCY,
    )
    for unit, quantity in _units(source, place, row).items():
        if quantity and not own_key:
            yield VendorLine(
                place=place,
                day=day,
                kind=LineKind.QUANTITY,
                text=generation,
                model=model,
                unit=unit,
                quantity=Decimal(quantity),
                quantity_step=Decimal(1),
            )


def _units(source: SourceFile, place: str, row: Mapping[str, str]) -> dict[str, int]:
    """The row's disjoint units. Raises InvoiceRefused where a part is more than its whole."""

    def told(name: str) -> int:
        return count_of(source.name, place, name, row[name] or "0")

    prompt, cached = count_of(source.name, place, "tokens_prompt", row["tokens_prompt"]), told("tokens_cached")
    completion = count_of(source.name, place, "tokens_completion", row["tokens_completion"])
    reasoning = told("tokens_reasoning")
    for name, part, whole in (("tokens_cached", cached, prompt), ("tokens_reasoning", reasoning, completion)):
        if part > whole:
            raise InvoiceRefused.at(
                source.name, place, name, part, Sentence("it is part of %(whole)s, so it cannot be more", whole=whole)
            )
    return {
        "input_tokens": prompt - cached,
        "cache_read_tokens": cached,
        "output_tokens": completion - reasoning,
        "reasoning_tokens": reasoning,
    }
