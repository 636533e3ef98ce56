"""Anthropic's cost report: the JSON pages of `/v1/organizations/cost_report`.

One bucket a UTC day. `amount` is a decimal STRING in the currency's lowest unit, with a fraction: "123.78912" in USD is
1.2378912 dollars. A number instead of a string is refused, because it would be another surface's dollars. There is no
quantity: the usage report tells it. Priority Tier never stands in it, code execution stands only in it.
Fields: the API's reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.anthropic_terms import (
    CONTEXT_WINDOWS,
    CURRENCY,
    FOLDS,
    SPEEDS,
    TOKEN_UNITS,
    VENDOR,
    one_of,
    tier_of,
)
from billing.invoices.errors import InvoiceRefused
from billing.invoices.json_pages import Json, pages_of
from billing.invoices.json_shapes import objects_at, only_known
from billing.invoices.lines import CoveredDay, FileKind, LineKind, VendorLine
from billing.invoices.openai_days import decimal_of
from billing.invoices.texts import text_of
from billing.invoices.vendor_times import bucket_utc_day
from billing.money import exact
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from billing.invoices.source import SourceFile

PAGE_KEYS = {"data", "has_more", "next_page"}
BUCKET_KEYS = {"starting_at", "ending_at", "results"}
_RESULT_KEYS = {
    "amount", "currency", "cost_type", "description", "model", "token_type", "context_window", "service_tier",
    "inference_geo", "workspace_id", "speed",
}  # fmt: skip
_CENT = Decimal("0.01")
_FEES = {"code_execution", "session_usage"}
_COST_TYPES = ("tokens", "web_search", "code_execution", "session_usage")


@dataclass(frozen=True)
class CostReport:
    """Pages of the cost report: one page, a list of pages, or a page a line."""

    vendor: str = VENDOR
    format: str = "anthropic.cost_report"
    kind: FileKind = FileKind.COST

    @property
    def folds(self) -> Mapping[str, str]:
        """See `anthropic_terms.FOLDS`."""
        return FOLDS

    def recognise(self, source: SourceFile) -> str | None:
        """By the buckets' names and a result with an amount. Pages without any result could be use as well as costs."""
        if "amount" not in (first_result(source) or {}):
            return None
        return "a page of RFC 3339 buckets whose results carry an amount in cents, as Anthropic's cost report answers"

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """Every result of every bucket of every page."""
        for place, day, result in results_of(source, whole_days=True):
            if result is None:
                yield CoveredDay(day, place)
            else:
                yield _line(source, place, day, result)


def first_result(source: SourceFile) -> Json | None:
    """The first result of a page of RFC 3339 buckets; None where it is no such page or has no result."""
    page = source.first_page
    buckets = page.get("data") if page is not None else None
    if not isinstance(buckets, list) or not buckets or not isinstance(buckets[0], dict):
        return None
    if not {"starting_at", "ending_at", "results"} <= set(buckets[0]):
        return None
    for bucket in buckets:
        results = bucket.get("results") if isinstance(bucket, dict) else None
        if isinstance(results, list) and results and isinstance(results[0], dict):
            return results[0]
    return None


def results_of(source: SourceFile, *, whole_days: bool) -> Iterator[tuple[str, date, Json | None]]:
    """(place, UTC day, result) of every result, and (place, day, None) for each bucket as it begins."""
    for at, page in pages_of(source):
        only_known(source, at or "the page", page, PAGE_KEYS)
        for place, bucket in objects_at(source, at or "the page", page, "data", at):
            only_known(source, place, bucket, BUCKET_KEYS)
            start, end = bucket.get("starting_at"), bucket.get("ending_at")
            day = bucket_utc_day(source.name, place, start, end, whole=whole_days)
            yield place, day, None
            for here, result in objects_at(source, place, bucket, "results", f"{place}."):
                yield here, day, result


def dollars(file: str, place: str, field: str, cents: object) -> Decimal:
    """Dollars from a decimal string of cents, exactly. Raises InvoiceRefused for anything but a string."""
    if not isinstance(cents, str):
        raise InvoiceRefused.at(file, place, field, cents, 'this is a text of cents, as in "123.45" for 1.2345 dollars')
    with exact():
        return decimal_of(file, place, field, cents) * _CENT


def _line(source: SourceFile, place: str, day: date, result: Json) -> VendorLine:
    only_known(source, place, result, _RESULT_KEYS)
    amount = dollars(source.name, place, "amount", result.get("amount"))
    currency = result.get("currency")
    if currency != CURRENCY:
        raise InvoiceRefused.at(
            source.name,
            place,
            "currency",
            currency,
            Sentence("amounts are in cents of %(currency)s; another scale is not known", currency=CURRENCY),
        )
    one_of(source.name, place, "context_window", result.get("context_window"), CONTEXT_WINDOWS)
    one_of(source.name, place, "speed", result.get("speed"), SPEEDS)
    text_of(source.name, place, "inference_geo", result.get("inference_geo"))
    model = text_of(source.name, place, "model", result.get("model"))
    kind, unit = kind_and_unit(source, place, result, model)
    if amount < 0 and kind in {LineKind.USAGE, LineKind.TOTAL}:
        kind = LineKind.CREDIT
    return VendorLine(
        place=place,
        day=day,
        kind=kind,
        text=text_of(source.name, place, "description", result.get("description")),
        account=text_of(source.name, place, "workspace_id", result.get("workspace_id")),
        model=model,
        unit=unit,
        service_tier=tier_of(source.name, place, "service_tier", result.get("service_tier")),
        amount=amount,
        currency=CURRENCY,
    )


def kind_and_unit(source: SourceFile, place: str, result: Json, model: str | None) -> tuple[LineKind, str | None]:
    """What is billed. A row that names a token type must name its model; one that names nothing is a day's total."""
    cost_type = one_of(source.name, place, "cost_type", result.get("cost_type"), _COST_TYPES)
    token_type = one_of(source.name, place, "token_type", result.get("token_type"), TOKEN_UNITS)
    if cost_type in _FEES:
        return LineKind.FEE, None
    if cost_type == "web_search":
        return LineKind.USAGE, "web_searches"
    if token_type is not None:
        if model is None:
            raise InvoiceRefused.at(source.name, place, "model", None, "a row of tokens names its model")
        return LineKind.USAGE, TOKEN_UNITS[token_type]
    if cost_type == "tokens" or model is not None:
        raise InvoiceRefused.at(source.name, place, "token_type", None, "a row of tokens names its token type")
    return LineKind.TOTAL, None
