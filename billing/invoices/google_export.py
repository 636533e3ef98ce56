"""Google Cloud's billing export, standard and detailed, as JSON lines (a row of the table a line) or Parquet.

Money is `cost` in `currency` and each entry of `credits`, which is a line of its own: the invoice is their sum over an
`invoice.month`. A row stands on the day of its `usage_start_time` in the register's zone (Google's reports use
America/Los_Angeles), held inside its invoice month. Tokens of Gemini models are told by `sku.description`. Tax,
adjustments and rounding errors are rows by `cost_type`. Numbers may be written as numbers or as texts; both are read as
the decimals that they write; the table's FLOAT columns, doubles in Parquet, as the shortest text of the double, which
is what BigQuery's JSON has. Fields: Google's schemas of the standard and the detailed usage cost data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.invoices.charge_days import ChargeDays, Period
from billing.invoices.errors import InvoiceRefused
from billing.invoices.figures import decimals
from billing.invoices.google_skus import GoogleSku, google_sku, is_known_fee
from billing.invoices.json_pages import Json, object_lines
from billing.invoices.json_shapes import object_at, objects_at, only_known
from billing.invoices.lines import UNMAPPED, CoveredDay, FileKind, LineKind, VendorLine
from billing.invoices.money_cells import OneCurrency
from billing.invoices.openai_days import decimal_of
from billing.invoices.parquet_rows import columns_of, parquet_rows
from billing.invoices.texts import text_of
from billing.invoices.token_meters import FOLDS
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from billing.invoices.source import SourceFile

_KEYS = frozenset(
    {
        "adjustment_info", "billing_account_id", "consumption_model", "cost", "cost_at_effective_price_default",
        "cost_at_list", "cost_at_list_consumption_model", "cost_type", "credits",
        "currency", "currency_conversion_rate", "export_time", "invoice", "labels", "location", "price", "project",
        "resource", "seller_name", "service", "sku", "subscription", "system_labels", "tags", "transaction_type",
        "usage", "usage_end_time", "usage_start_time",
    }
)  # fmt: skip
_READ = ("cost", "cost_type", "credits", "currency", "invoice", "project", "service", "sku", "usage", "usage_end_time",
         "usage_start_time")  # fmt: skip
_DOUBLES = frozenset({"cost", "credits.amount", "usage.amount", "usage.amount_in_pricing_units"})
"""The FLOAT columns of the table among those that are read."""
_CREDIT_KEYS = frozenset({"name", "amount", "full_name", "id", "type"})
_COST_TYPES = ("regular", "tax", "adjustment", "rounding_error")
_SERVICES = {"vertex ai", "gemini api", "generative language api"}
_UNITS = {"count", "requests"}
"""`usage.unit` of tokens: the bill counts both words in single tokens."""
_MONTH = re.compile(r"(20[0-9]{2})(0[1-9]|1[0-2])")
_INSTANT_END = re.compile(r" UTC$")


@dataclass(frozen=True)
class BillingExport:
    """Rows of `gcp_billing_export_v1_…` or `gcp_billing_export_resource_v1_…`."""

    vendor: str = "google"
    format: str = "google.billing_export"
    kind: FileKind = FileKind.COST

    @property
    def folds(self) -> Mapping[str, str]:
        """See `token_meters.FOLDS`."""
        return FOLDS

    def recognise(self, source: SourceFile) -> str | None:
        """By the keys of its first row."""
        keys = columns_of(source) if source.is_parquet else source.first_page
        if keys is not None and {"sku", "usage_start_time", "cost"} <= set(keys):
            return "rows with sku, usage_start_time and cost, as Google Cloud's billing export has them"
        return None

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """A line for each row and one for each of its credits; at the end the days from the first to the last."""
        days, currency, place = ChargeDays(source), OneCurrency(source, "currency"), "line 1"
        for place, row in _rows(source):
            yield from _lines(source, place, row, days, currency)
        yield from days.covered(place)


def _rows(source: SourceFile) -> Iterator[tuple[str, Json]]:
    if not source.is_parquet:
        yield from object_lines(source)
        return
    only_known(source, "schema", dict.fromkeys(columns_of(source)), _KEYS)
    yield from parquet_rows(source, _READ, _DOUBLES)


def _lines(
    source: SourceFile, place: str, row: Json, days: ChargeDays, currency: OneCurrency
) -> Iterator[VendorLine]:
    """The row's own line, then one for each credit."""
    only_known(source, place, row, _KEYS)
    cost_type, written = row.get("cost_type"), row.get("currency")
    if cost_type not in _COST_TYPES:
        raise InvoiceRefused.at(
            source.name, place, "cost_type", cost_type, Sentence("known are %(known)s", known=", ".join(_COST_TYPES))
        )
    amount = decimal_of(source.name, place, "cost", row.get("cost"))
    described = object_at(source, place, row, "sku").get("description")
    description = text_of(source.name, place, "sku.description", described)
    sku = _sku(source, place, row, description or "") if cost_type == "regular" else None
    start, end = (_instant(source, place, row, name) for name in ("usage_start_time", "usage_end_time"))
    day, outside = days.of(
        place, Period("usage_start_time", "usage_end_time", start, end), _month(source, place, row, days),
        is_use=sku is not None and sku.unit != UNMAPPED,
    )  # fmt: skip
    line = VendorLine(
        place, day, _kind(str(cost_type), amount), description or str(cost_type), _project(source, place, row),
        amount=amount, currency=currency.of(place, written if isinstance(written, str) else ""),
    )  # fmt: skip
    if sku is not None and outside is None:
        yield _use(source, place, row, line, sku)
    elif sku is not None:
        yield replace(line, text=f"use of {outside}, billed later: {line.text}"[:512])
    else:
        yield line
    for at, credit in objects_at(source, place, {"credits": row.get("credits") or []}, "credits", f"{place}, "):
        only_known(source, at, credit, _CREDIT_KEYS)
        off = decimal_of(source.name, at, "amount", credit.get("amount"))
        name = text_of(source.name, at, "name", credit.get("name")) or "credit"
        yield VendorLine(at, day, LineKind.CREDIT, name, line.account, amount=off, currency=line.currency)


def _sku(source: SourceFile, place: str, row: Json, description: str) -> GoogleSku | None:
    """What a regular row counts; None for other services. Use of models in another wording is UNMAPPED."""
    found = google_sku(description)
    service = text_of(
        source.name, place, "service.description", object_at(source, place, row, "service").get("description")
    )
    if (service or "").lower() not in _SERVICES or is_known_fee(description):
        return None
    if found is None and ("gemini" in description.lower() or "token" in description.lower()):
        return GoogleSku(description, UNMAPPED, None)
    return found


def _use(source: SourceFile, place: str, row: Json, line: VendorLine, sku: GoogleSku) -> VendorLine:
    if sku.unit == UNMAPPED and (row.get("usage") or {}).get("unit") not in _UNITS:  # type: ignore[attr-defined]
        return replace(line, kind=_by_sign(line), model=sku.model, unit=sku.unit)
    usage = object_at(source, place, row, "usage")
    if usage.get("unit") not in _UNITS:
        raise InvoiceRefused.at(source.name, place, "usage.unit", usage.get("unit"), "tokens are counted in count")
    quantity = decimal_of(source.name, place, "usage.amount", usage.get("amount"))
    assert line.amount is not None
    kind = LineKind.CREDIT if line.amount < 0 <= quantity else LineKind.USAGE
    step = Decimal(1).scaleb(-decimals(quantity))
    return replace(
        line, kind=kind, model=sku.model, unit=sku.unit, service_tier=sku.service_tier, quantity=quantity,
        quantity_step=step,
    )  # fmt: skip


def _by_sign(line: VendorLine) -> LineKind:
    return LineKind.CREDIT if line.amount is not None and line.amount < 0 else LineKind.USAGE


def _kind(cost_type: str, amount: Decimal) -> LineKind:
    """What a row is that counts no tokens."""
    if cost_type == "tax":
        return LineKind.TAX
    return LineKind.CREDIT if amount < 0 else LineKind.FEE


def _project(source: SourceFile, place: str, row: Json) -> str | None:
    project = row.get("project")
    return text_of(source.name, place, "project.id", project.get("id") if isinstance(project, dict) else project)


def _instant(source: SourceFile, place: str, row: Json, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise InvoiceRefused.at(source.name, place, name, value, "write an instant such as 2026-10-01 07:00:00 UTC")
    return _INSTANT_END.sub("Z", value)


def _month(source: SourceFile, place: str, row: Json, days: ChargeDays) -> Period:
    """The invoice month as a period of the register's zone."""
    value = object_at(source, place, row, "invoice").get("month")
    found = _MONTH.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InvoiceRefused.at(source.name, place, "invoice.month", value, "a month is written as 202610")
    year, month = int(found[1]), int(found[2])
    return Period("invoice.month", "invoice.month", days.midnight(year, month),
                  days.midnight(year + month // 12, month % 12 + 1))  # fmt: skip
