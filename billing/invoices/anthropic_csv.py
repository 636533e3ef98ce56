"""Anthropic's console exports: the cost CSV (dollars) and the token CSV (quantities).

The cost CSV names models for reading ("Claude Haiku 4.5"), the token CSV by id. `cost_usd` is rounded to cents row by
row, so that many rows say 0.00: reconciliation bounds what that may hide by the number of rows. The header grew from 7
columns to 9, 12 and 14; any of these is read, another column refuses the file. `usage_type` is "message" in one file
and the tier ("standard", "batch") in the other. A workspace stands by its name, which is no id: it stays in the text
and is no account. Fields: real exports of 2024 to 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.anthropic_terms import (
    CONSOLE_CONTEXT_WINDOWS,
    CONSOLE_TOKEN_UNITS,
    CURRENCY,
    FOLDS,
    SPEEDS,
    TIERS,
    VENDOR,
    model_id,
    one_of,
)
from billing.invoices.csv_rows import header_of, rows_of
from billing.invoices.errors import InvoiceRefused
from billing.invoices.lines import CoveredDay, FileKind, LineKind, VendorLine
from billing.invoices.list_prices import at_list_price
from billing.invoices.openai_days import count_of, decimal_of
from billing.invoices.texts import text_of
from billing.invoices.vendor_times import calendar_day

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from billing.invoices.source import SourceFile

_COST_COLUMNS = {
    "usage_date_utc", "model", "workspace", "api_key", "usage_type", "context_window", "token_type", "cost_usd",
    "list_price_usd", "cost_type", "inference_geo", "speed", "api_key_id", "api_key_status",
}  # fmt: skip
_COST_REQUIRED = ("usage_date_utc", "model", "token_type", "cost_usd")
_COST_TYPES = ("", "token", "tokens", "web_search", "code_execution", "session_usage")
_COST_TIERS = {"": None, "message": None, **TIERS}
_COUNTS = {
    "usage_input_tokens_no_cache": "input_tokens",
    "usage_input_tokens_cache_write_5m": "cache_write_5m_tokens",
    "usage_input_tokens_cache_write_1h": "cache_write_1h_tokens",
    "usage_input_tokens_cache_read": "cache_read_tokens",
    "usage_output_tokens": "output_tokens",
    "web_search_count": "web_searches",
}
_TOKEN_COLUMNS = {
    *_COUNTS, "usage_date_utc", "model_version", "api_key", "workspace", "usage_type", "context_window",
    "inference_geo", "speed", "api_key_id", "api_key_status",
}  # fmt: skip
_TOKEN_REQUIRED = (
    "usage_date_utc", "model_version", "usage_type", "usage_input_tokens_no_cache",
    "usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h", "usage_input_tokens_cache_read",
    "usage_output_tokens",
)  # fmt: skip


@dataclass(frozen=True)
class ConsoleCostCsv:
    """The console's cost export."""

    vendor: str = VENDOR
    format: str = "anthropic.cost_csv"
    kind: FileKind = FileKind.COST

    @property
    def folds(self) -> Mapping[str, str]:
        """See `anthropic_terms.FOLDS`."""
        return FOLDS

    def recognise(self, source: SourceFile) -> str | None:
        """By its header."""
        if {"usage_date_utc", "cost_usd"} <= set(header_of(source)):
            return "a CSV whose header has usage_date_utc and cost_usd, as Anthropic's console writes its costs"
        return None

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """A line a row, also for a row of 0.00."""
        for place, row in rows_of(source, _COST_COLUMNS, _COST_REQUIRED):
            day = calendar_day(source.name, place, "usage_date_utc", row["usage_date_utc"])
            yield CoveredDay(day, place)
            yield from _cost_lines(source, place, day, row)


@dataclass(frozen=True)
class ConsoleTokenCsv:
    """The console's token export."""

    vendor: str = VENDOR
    format: str = "anthropic.token_csv"
    kind: FileKind = FileKind.USAGE

    @property
    def folds(self) -> Mapping[str, str]:
        """See `anthropic_terms.FOLDS`."""
        return FOLDS

    def recognise(self, source: SourceFile) -> str | None:
        """By its header."""
        if {"usage_date_utc", "model_version"} <= set(header_of(source)):
            return "a CSV whose header has usage_date_utc and model_version, as Anthropic's console writes its tokens"
        return None

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """A line for each unit of a row that is not zero."""
        for place, row in rows_of(source, _TOKEN_COLUMNS, _TOKEN_REQUIRED):
            day = calendar_day(source.name, place, "usage_date_utc", row["usage_date_utc"])
            yield CoveredDay(day, place)
            yield from _token_lines(source, place, day, row)


def _cost_lines(source: SourceFile, place: str, day: date, row: Mapping[str, str]) -> Iterator[VendorLine]:
    _check_words(source, place, row)
    tier = one_of(source.name, place, "usage_type", row.get("usage_type", ""), _COST_TIERS)
    kind, unit = _kind_and_unit(source, place, row)
    amount = decimal_of(source.name, place, "cost_usd", row["cost_usd"])
    listed = amount
    if row.get("list_price_usd"):
        listed = decimal_of(source.name, place, "list_price_usd", row["list_price_usd"])
    if amount < 0 and kind is LineKind.USAGE:
        kind = LineKind.CREDIT
    display = text_of(source.name, place, "model", row["model"])
    if display is None and unit is not None and unit.endswith("_tokens"):
        raise InvoiceRefused.at(source.name, place, "model", None, "a row of tokens names its model")
    said = (row["model"], row["token_type"], row.get("context_window"), row.get("speed"), row.get("workspace"))
    line = VendorLine(
        place=place,
        day=day,
        kind=kind,
        text=text_of(source.name, place, "row", " / ".join(part for part in said if part)),
        model=None if display is None or kind is LineKind.FEE else model_id(display),
        unit=unit,
        service_tier=_COST_TIERS[tier or ""],
        amount=amount,
        currency=CURRENCY,
    )
    yield from at_list_price(line, listed)


def _kind_and_unit(source: SourceFile, place: str, row: Mapping[str, str]) -> tuple[LineKind, str | None]:
    cost_type = one_of(source.name, place, "cost_type", row.get("cost_type", ""), _COST_TYPES)
    if cost_type in {"code_execution", "session_usage"}:
        return LineKind.FEE, None
    if cost_type == "web_search":
        return LineKind.USAGE, "web_searches"
    token_type = one_of(source.name, place, "token_type", row["token_type"], CONSOLE_TOKEN_UNITS)
    assert token_type is not None
    return LineKind.USAGE, CONSOLE_TOKEN_UNITS[token_type]


def _token_lines(source: SourceFile, place: str, day: date, row: Mapping[str, str]) -> Iterator[VendorLine]:
    _check_words(source, place, row)
    model = text_of(source.name, place, "model_version", row["model_version"])
    tier = one_of(source.name, place, "usage_type", row["usage_type"], TIERS)
    assert tier is not None
    for name, unit in _COUNTS.items():
        if name == "web_search_count" and not row.get(name):
            continue
        quantity = count_of(source.name, place, name, row[name])
        if quantity and model is None:
            raise InvoiceRefused.at(source.name, place, "model_version", None, "a row of tokens names its model")
        if quantity:
            yield VendorLine(
                place=place,
                day=day,
                kind=LineKind.QUANTITY,
                text=None,
                model=model,
                unit=unit,
                service_tier=TIERS[tier],
                quantity=Decimal(quantity),
                quantity_step=Decimal(1),
            )


def _check_words(source: SourceFile, place: str, row: Mapping[str, str]) -> None:
    """Words that change a row's price, not its unit, are still known or refused."""
    one_of(source.name, place, "context_window", row.get("context_window", ""), CONSOLE_CONTEXT_WINDOWS)
    one_of(source.name, place, "speed", row.get("speed", ""), SPEEDS)
    text_of(source.name, place, "inference_geo", row.get("inference_geo"))
