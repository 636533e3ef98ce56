"""OpenRouter's `/api/v1/activity`: a day's cost and tokens of each model and endpoint, grouped by the vendor itself.

`usage` is dollars of credits for all tokens of the row, so it comes as the day's total of the model, with the tokens
beside it. Cached tokens are not told apart: they stand inside the prompt, as ours are folded. Reasoning stands inside
the completion. `byok_usage_inference` is what another provider bills under a key of one's own: such a row's own cost
is a fee and its tokens are not billed here. Dates are days of UTC; only ended days are told. A day without rows is
not in the answer, so it is not covered. Fields: OpenRouter's API reference (get user activity) of 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.errors import InvoiceRefused
from billing.invoices.json_pages import Json, pages_of
from billing.invoices.json_shapes import objects_at, only_known
from billing.invoices.lines import CoveredDay, FileKind, LineKind, VendorLine
from billing.invoices.openai_days import count_of, decimal_of
from billing.invoices.texts import text_of
from billing.invoices.vendor_times import YEARS
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from billing.invoices.source import SourceFile

_KEYS = {
    "date", "model", "model_permaslug", "endpoint_id", "provider_name", "usage", "byok_usage_inference", "requests",
    "prompt_tokens", "completion_tokens", "reasoning_tokens", "workspace_id",
}  # fmt: skip
_MIDNIGHT = (" 00:00:00", "T00:00:00Z")
_CURRENCY = "USD"


@dataclass(frozen=True)
class ActivityApi:
    """The answer of the activity API, one page or several."""

    vendor: str = "openrouter"
    format: str = "openrouter.activity_api"
    kind: FileKind = FileKind.COST

    @property
    def folds(self) -> Mapping[str, str]:
        """Cached tokens stand inside the prompt."""
        return {"cache_read_tokens": "input_tokens"}

    def recognise(self, source: SourceFile) -> str | None:
        """By the keys of the first row."""
        rows = (source.first_page or {}).get("data")
        first = rows[0] if isinstance(rows, list) and rows else None
        if isinstance(first, dict) and {"model_permaslug", "endpoint_id", "usage"} <= set(first):
            return "JSON whose rows have model_permaslug, endpoint_id and usage, as OpenRouter's activity API answers"
        return None

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """A total and its quantities for each row. The same endpoint of a day and model twice refuses the file."""
        seen: dict[tuple[object, ...], str] = {}
        for at, page in pages_of(source):
            only_known(source, at.rstrip(": ") or "the document", page, {"data"})
            for place, row in objects_at(source, at or "the document", page, "data", at):
                only_known(source, place, row, _KEYS)
                day = _day(source, place, row.get("date"))
                key = (day, *(row.get(name) for name in ("model_permaslug", "endpoint_id", "workspace_id")))
                if key in seen:
                    again = "this endpoint of %(day)s stands in %(place)s too; ask for the day once"
                    remedy = Sentence(again, day=day, place=seen[key])
                    raise InvoiceRefused.at(source.name, place, "endpoint_id", row.get("endpoint_id"), remedy)
                seen[key] = place
                yield CoveredDay(day, place)
                yield from _lines(source, place, row, day)


def _lines(source: SourceFile, place: str, row: Json, day: date) -> Iterator[VendorLine]:
    model = text_of(source.name, place, "model_permaslug", row.get("model_permaslug"))
    endpoint = text_of(source.name, place, "endpoint_id", row.get("endpoint_id"))
    if model is None or endpoint is None:
        name, value = ("endpoint_id", endpoint) if model else ("model_permaslug", model)
        raise InvoiceRefused.at(source.name, place, name, value, "a row names its model and its endpoint")
    amount = decimal_of(source.name, place, "usage", row.get("usage"))
    own_key = decimal_of(source.name, place, "byok_usage_inference", row.get("byok_usage_inference")) != 0
    units = _units(source, place, row)
    kind = LineKind.FEE if own_key else LineKind.CREDIT if amount < 0 else LineKind.TOTAL
    text = f"{model} / own key" if own_key else f"{model} / {endpoint}"
    yield VendorLine(
        place, day, kind, text, model=model if kind is LineKind.TOTAL else None, amount=amount, currency=_CURRENCY
    )
    for unit, quantity in units.items():
        if quantity and not own_key:
            yield VendorLine(place, day, LineKind.QUANTITY, text, model=model, unit=unit, quantity=Decimal(quantity),
                             quantity_step=Decimal(1))  # fmt: skip


def _units(source: SourceFile, place: str, row: Json) -> dict[str, int]:
    """The row's disjoint units. Raises InvoiceRefused where reasoning is more than the completion."""
    prompt, completion, reasoning = (
        count_of(source.name, place, name, row.get(name))
        for name in ("prompt_tokens", "completion_tokens", "reasoning_tokens")
    )
    if reasoning > completion:
        remedy = Sentence("it is part of %(whole)s, so it cannot be more", whole=completion)
        raise InvoiceRefused.at(source.name, place, "reasoning_tokens", reasoning, remedy)
    return {"input_tokens": prompt, "output_tokens": completion - reasoning, "reasoning_tokens": reasoning}


def _day(source: SourceFile, place: str, value: object) -> date:
    """A day, also where the vendor writes its midnight."""
    written = value if isinstance(value, str) else ""
    for midnight in _MIDNIGHT:
        written = written.removesuffix(midnight)
    try:
        day = date.fromisoformat(written)
    except ValueError:
        day = None
    if day is None or day.isoformat() != written or day.year not in YEARS:
        raise InvoiceRefused.at(source.name, place, "date", value, "a day of UTC as 2026-10-03 stands here")
    return day
