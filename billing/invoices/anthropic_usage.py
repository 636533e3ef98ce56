"""Anthropic's usage report: the JSON pages of `/v1/organizations/usage_report/messages`. Quantities, no money.

Token classes are disjoint (`uncached_input_tokens` holds no cache). Buckets may be days, hours or minutes, each within
one UTC day. Group by model: tokens without a model cannot be priced. Fields: the API's reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.anthropic_costs import first_result, results_of
from billing.invoices.anthropic_terms import CONTEXT_WINDOWS, FOLDS, SPEEDS, VENDOR, one_of, tier_of
from billing.invoices.errors import InvoiceRefused
from billing.invoices.json_pages import Json
from billing.invoices.json_shapes import object_at, only_known
from billing.invoices.lines import CoveredDay, FileKind, LineKind, VendorLine
from billing.invoices.openai_days import count_of
from billing.invoices.texts import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from billing.invoices.source import SourceFile

_COUNTS = {
    "uncached_input_tokens": "input_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "output_tokens": "output_tokens",
}
_WRITES = {
    "ephemeral_5m_input_tokens": "cache_write_5m_tokens",
    "ephemeral_1h_input_tokens": "cache_write_1h_tokens",
}
_SEARCHES = {"web_search_requests": "web_searches"}
_RESULT_KEYS = {
    *_COUNTS, "cache_creation", "server_tool_use", "account_id", "api_key_id", "context_window", "inference_geo",
    "model", "service_account_id", "service_tier", "speed", "workspace_id",
}  # fmt: skip


@dataclass(frozen=True)
class UsageReport:
    """Pages of the usage report: one page, a list of pages, or a page a line."""

    vendor: str = VENDOR
    format: str = "anthropic.usage_report"
    kind: FileKind = FileKind.USAGE

    @property
    def folds(self) -> Mapping[str, str]:
        """See `anthropic_terms.FOLDS`."""
        return FOLDS

    def recognise(self, source: SourceFile) -> str | None:
        """By the buckets' names and a result that counts uncached input."""
        if "uncached_input_tokens" not in (first_result(source) or {}):
            return None
        return "a page of RFC 3339 buckets whose results count uncached input, as Anthropic's usage report answers"

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """A line for each unit of a result that is not zero."""
        for place, day, result in results_of(source, whole_days=False):
            if result is None:
                yield CoveredDay(day, place)
            else:
                yield from _lines(source, place, day, result)


def _lines(source: SourceFile, place: str, day: date, result: Json) -> Iterator[VendorLine]:
    only_known(source, place, result, _RESULT_KEYS)
    one_of(source.name, place, "context_window", result.get("context_window"), CONTEXT_WINDOWS)
    one_of(source.name, place, "speed", result.get("speed"), SPEEDS)
    units = _counted(source, place, result, _COUNTS)
    units |= _counted(source, f"{place}.cache_creation", object_at(source, place, result, "cache_creation"), _WRITES)
    if result.get("server_tool_use") is not None:
        tools = object_at(source, place, result, "server_tool_use")
        units |= _counted(source, f"{place}.server_tool_use", tools, _SEARCHES)
    model = text_of(source.name, place, "model", result.get("model"))
    if model is None and any(units.values()):
        raise InvoiceRefused.at(
            source.name, place, "model", None, "group the report by model, so that units can be priced"
        )
    for unit, quantity in units.items():
        if quantity:
            yield VendorLine(
                place=place,
                day=day,
                kind=LineKind.QUANTITY,
                text=None,
                account=text_of(source.name, place, "workspace_id", result.get("workspace_id")),
                model=model,
                unit=unit,
                service_tier=tier_of(source.name, place, "service_tier", result.get("service_tier")),
                quantity=Decimal(quantity),
                quantity_step=Decimal(1),
            )


def _counted(source: SourceFile, place: str, found: Json, names: Mapping[str, str]) -> dict[str, int]:
    """Each count under our unit. One that is absent refuses: a class that is not told is not zero."""
    if place.endswith((".cache_creation", ".server_tool_use")):
        only_known(source, place, found, names)
    return {unit: count_of(source.name, place, name, found.get(name)) for name, unit in names.items()}
