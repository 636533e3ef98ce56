"""OpenAI's costs: the costs API's JSON pages and the dashboard's cost CSV.

One bucket a UTC day; `amount` in the named currency (dollars, not cents); `line_item` says model and unit where the
export was grouped by it; a quantity may stand beside it. The dashboard writes a day without spend as an empty row,
the API as a bucket without results: both say that the day is covered. Equal rows are summed, never dropped.
Fields: the API's reference and a real dashboard export of 2025-10.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.csv_rows import header_of, rows_of
from billing.invoices.errors import InvoiceRefused
from billing.invoices.figures import decimals
from billing.invoices.json_pages import Json, pages_of
from billing.invoices.lines import UNMAPPED, CoveredDay, FileKind, LineKind, VendorLine
from billing.invoices.money_cells import in_one_currency
from billing.invoices.openai_days import bucket_day, decimal_of, scaled
from billing.invoices.openai_items import FOLDS, QUANTITY_UNITS, LineItem, counted_as, parse_line_item
from billing.invoices.texts import text_of
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from billing.invoices.source import SourceFile

_PAGE_KEYS = {"object", "data", "has_more", "next_page"}
_BUCKET_KEYS = {"object", "start_time", "end_time", "start_time_iso", "end_time_iso", "results"}
_RESULT_KEYS = {
    "object", "amount", "line_item", "quantity", "quantity_unit", "project_id", "project_name", "api_key_id", "user_id",
    "api_source", "organization_id", "organization_name",
}  # fmt: skip
_CSV_COLUMNS = (_RESULT_KEYS | _BUCKET_KEYS | {"amount_value", "amount_currency"}) - {"object", "results", "amount"}
_CSV_REQUIRED = ("start_time", "end_time", "amount_value", "amount_currency")


@dataclass(frozen=True)
class CostsApi:
    """Pages of `/v1/organization/costs`: one page, a list of pages, or a page a line."""

    vendor: str = "openai"
    format: str = "openai.costs_api"
    kind: FileKind = FileKind.COST

    @property
    def folds(self) -> Mapping[str, str]:
        """See `openai_items.FOLDS`."""
        return FOLDS

    def recognise(self, source: SourceFile) -> str | None:
        """By the object names of its page and first result."""
        page = source.first_page
        if page is None or page.get("object") != "page" or "data" not in page:
            return None
        result = _first_result(page)
        if result is None:
            return "a page of buckets without results, as the costs API answers for days without spend"
        if result.get("object") == "organization.costs.result" or "amount" in result:
            return "a page of daily buckets whose results carry an amount, as the costs API answers"
        return None

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """Every result of every bucket of every page. `has_more` is not judged: the next page may be the next file."""
        return in_one_currency(source, "amount.currency", self._read(source))

    def _read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        for at, page in pages_of(source):
            _known(source, at or "the document", page, _PAGE_KEYS)
            buckets = page.get("data")
            if not isinstance(buckets, list):
                place = at or "the document"
                raise InvoiceRefused.at(source.name, place, "data", buckets, "a page lists its buckets here")
            for index, bucket in enumerate(buckets):
                yield from _bucket(source, f"{at}data[{index}]", bucket)


@dataclass(frozen=True)
class CostCsv:
    """The dashboard's cost export: day totals, or lines where it was grouped."""

    vendor: str = "openai"
    format: str = "openai.cost_csv"
    kind: FileKind = FileKind.COST

    @property
    def folds(self) -> Mapping[str, str]:
        """See `openai_items.FOLDS`."""
        return FOLDS

    def recognise(self, source: SourceFile) -> str | None:
        """By its header."""
        header = set(header_of(source))
        if {"start_time", "amount_value"} <= header:
            return "a CSV whose header has start_time and amount_value, as the dashboard's cost export writes"
        return None

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """A line a row; an empty row covers its day."""
        return in_one_currency(source, "amount_currency", self._read(source))

    def _read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        for place, row in rows_of(source, _CSV_COLUMNS, _CSV_REQUIRED):
            cells = {name: cell or None for name, cell in row.items()}
            day = bucket_day(source.name, place, cells["start_time"], cells["end_time"])
            yield CoveredDay(day, place)
            yield from _line(source, place, day, cells, cells["amount_value"], cells["amount_currency"], "amount_value")


def _first_result(page: Json) -> Json | None:
    buckets = page.get("data")
    for bucket in buckets if isinstance(buckets, list) else []:
        results = bucket.get("results") if isinstance(bucket, dict) else None
        if isinstance(results, list) and results and isinstance(results[0], dict):
            return results[0]
    return None


def _bucket(source: SourceFile, at: str, bucket: object) -> Iterator[VendorLine | CoveredDay]:
    if not isinstance(bucket, dict):
        raise InvoiceRefused.at(source.name, at, "bucket", bucket, "a bucket is an object with start_time and results")
    _known(source, at, bucket, _BUCKET_KEYS)
    day = bucket_day(source.name, at, bucket.get("start_time"), bucket.get("end_time"))
    yield CoveredDay(day, at)
    results = bucket.get("results")
    if not isinstance(results, list):
        raise InvoiceRefused.at(source.name, at, "results", results, "a bucket lists its results there")
    for index, result in enumerate(results):
        place = f"{at}.results[{index}]"
        if not isinstance(result, dict):
            raise InvoiceRefused.at(source.name, place, "result", result, "a result is an object with an amount")
        _known(source, place, result, _RESULT_KEYS)
        amount = result.get("amount")
        if not (isinstance(amount, dict) or ("amount" in result and amount is None)):
            raise InvoiceRefused.at(
                source.name, place, "amount", amount, "an amount is an object of value and currency"
            )
        money: Mapping[str, object] = amount or {}
        _known(source, f"{place}.amount", money, {"value", "currency"})
        yield from _line(source, place, day, result, money.get("value"), money.get("currency"), "amount.value")


def _line(
    source: SourceFile,
    place: str,
    day: date,
    cells: Mapping[str, object],
    value: object,
    currency: object,
    amount_field: str,
) -> Iterator[VendorLine]:
    """One line, or none where nothing was spent and nothing named."""
    text = text_of(source.name, place, "line_item", cells.get("line_item"))
    if value is None:
        if text is None and cells.get("quantity") is None:
            return
        raise InvoiceRefused.at(
            source.name, place, amount_field, value, "something was used, so its amount must stand here"
        )
    amount = decimal_of(source.name, place, amount_field, value)
    item = parse_line_item(text or "")
    if item is None:
        item = LineItem(LineKind.USAGE, text, UNMAPPED)
    quantity, step, item = _quantity(source, place, cells, item)
    kind = item.kind
    if amount < 0 and kind in {LineKind.USAGE, LineKind.TOTAL} and (quantity is None or quantity >= 0):
        kind = LineKind.CREDIT  # money back without use taken back; a negative quantity beside it is a correction
    yield VendorLine(
        place=place,
        day=day,
        kind=kind,
        text=text,
        account=text_of(source.name, place, "project_id", cells.get("project_id")),
        model=item.model,
        unit=item.unit,
        service_tier=item.service_tier,
        quantity=quantity,
        quantity_step=step,
        amount=amount,
        currency=_currency(source, place, currency),
    )


def _quantity(
    source: SourceFile, place: str, cells: Mapping[str, object], item: LineItem
) -> tuple[Decimal | None, Decimal | None, LineItem]:
    """The quantity in our unit and how fine it is written. A unit that is not known refuses the file."""
    value, name = cells.get("quantity"), cells.get("quantity_unit")
    if item.unit == UNMAPPED and name not in QUANTITY_UNITS:
        return None, None, item
    if name is not None and (not isinstance(name, str) or name not in QUANTITY_UNITS):
        raise InvoiceRefused.at(
            source.name,
            place,
            "quantity_unit",
            name,
            Sentence("unknown unit; known are %(known)s", known=", ".join(QUANTITY_UNITS)),
        )
    if name == "gibibyte_hours":
        return None, None, LineItem(LineKind.FEE)
    if value is None or item.unit is None:
        return None, None, item
    counted, scale = QUANTITY_UNITS[str(name)] if name is not None else (counted_as(item.unit), Decimal(1))
    if counted != counted_as(item.unit) and item.unit != UNMAPPED:
        raise InvoiceRefused.at(
            source.name,
            place,
            "quantity_unit",
            name,
            Sentence("the line item counts %(counts)s", counts=counted_as(item.unit)),
        )
    written = decimal_of(source.name, place, "quantity", value)
    return scaled(written, scale), scale.scaleb(-decimals(written)), item


def _currency(source: SourceFile, place: str, value: object) -> str:
    if isinstance(value, str) and len(value.strip()) == 3 and value.strip().isascii() and value.strip().isalpha():
        return value.strip().upper()
    raise InvoiceRefused.at(source.name, place, "currency", value, "a currency is three letters, as in usd")


def _known(source: SourceFile, place: str, found: Mapping[str, object], known: set[str]) -> None:
    for name in found:
        if name not in known:
            raise InvoiceRefused.at(
                source.name,
                place,
                Sentence("key"),
                name,
                Sentence("unknown; known are %(known)s", known=", ".join(sorted(known))),
            )
