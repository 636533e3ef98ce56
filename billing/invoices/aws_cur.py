"""AWS Cost and Usage Report 2.0: CSV, also packed with gzip, or Parquet; lines of Bedrock told by model and unit.

Money is `line_item_unblended_cost` in `line_item_currency_code`: with its discount, credit and tax lines it adds up
to the invoice (net columns hold the discounts a second time and are not read). Quantity is `line_item_usage_amount` in
`pricing_unit`, whose scale is mixed within one bill (1K tokens, 1M tokens). Days are the register's zone's (UTC).
What is billed for other services is a fee by its product and usage type; a usage type of Bedrock that is not known
refuses the file. In Parquet AWS types cost and usage as doubles; they are read as the shortest text of the double,
as the CSV has them. A report of a month comes in several files: those of one delivery add up, equal rows too.
Fields: AWS Data Exports, table dictionary of CUR 2.0.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from billing.invoices.aws_cur_columns import COLUMNS
from billing.invoices.bedrock_meters import BedrockMeter, bedrock_meter, is_fee
from billing.invoices.charge_days import ChargeDays, Period
from billing.invoices.csv_rows import header_of, rows_of
from billing.invoices.errors import InvoiceRefused
from billing.invoices.lines import UNMAPPED, CoveredDay, FileKind, LineKind, VendorLine
from billing.invoices.money_cells import OneCurrency, decimal_cell, factor_of, quantity_if_told, scaled_cell
from billing.invoices.texts import text_of
from billing.invoices.token_meters import FOLDS
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from billing.invoices.line_blocks import LineBlock
    from billing.invoices.source import SourceFile

REQUIRED = (
    "line_item_usage_start_date", "line_item_usage_end_date", "bill_billing_period_start_date",
    "line_item_line_item_type", "line_item_product_code", "line_item_usage_type",
    "line_item_usage_amount", "line_item_unblended_cost", "line_item_currency_code", "pricing_unit",
)  # fmt: skip
_NAMES = ("product_product_name", "product_servicename", "product_service_name", "line_item_product_code",
          "line_item_operation", "line_item_line_item_description")  # fmt: skip
WANTED = {*REQUIRED, *_NAMES, "bill_billing_period_end_date", "line_item_usage_account_id", "product"}
USAGE_COLUMN, COST_COLUMN = "line_item_usage_amount", "line_item_unblended_cost"
_DOUBLES = {USAGE_COLUMN, COST_COLUMN}
_FORMS_MAX = 50_000
_KINDS = {
    "Usage": LineKind.USAGE,
    "DiscountedUsage": LineKind.USAGE,
    "SavingsPlanCoveredUsage": LineKind.USAGE,
    "Tax": LineKind.TAX,
    "Credit": LineKind.CREDIT,
    "Refund": LineKind.CREDIT,
    "Discount": LineKind.CREDIT,
    "BundledDiscount": LineKind.CREDIT,
    "EdpDiscount": LineKind.CREDIT,
    "PrivateRateDiscount": LineKind.CREDIT,
    "RiVolumeDiscount": LineKind.CREDIT,
    "SppDiscount": LineKind.CREDIT,
    "DistributorDiscount": LineKind.CREDIT,
    "SavingsPlanNegation": LineKind.CREDIT,
    "Fee": LineKind.FEE,
    "RIFee": LineKind.FEE,
    "SavingsPlanRecurringFee": LineKind.FEE,
    "SavingsPlanUpfrontFee": LineKind.FEE,
}
_BEDROCK = "AmazonBedrock"
_EDITION = " (Amazon Bedrock Edition)"


@dataclass(frozen=True)
class CostAndUsageReport:
    """The report's CSV, with any choice of its columns that has those needed."""

    vendor: str = "aws"
    format: str = "aws.cur2_csv"
    kind: FileKind = FileKind.COST

    @property
    def folds(self) -> Mapping[str, str]:
        """See `token_meters.FOLDS`."""
        return FOLDS

    def recognise(self, source: SourceFile) -> str | None:
        """By its header; the older report writes `lineItem/UsageType` and is not this one."""
        if {"line_item_usage_type", "line_item_unblended_cost"} <= set(header_of(source, parquet=True)):
            what = "Parquet" if source.is_parquet else "a CSV"
            return f"{what} whose header has line_item_usage_type and line_item_unblended_cost, as AWS's CUR 2.0 has"
        return None

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """A line a row; at the end the days from the first to the last.

        What rows share but for their figures is understood once: a bill has far fewer such forms than rows.
        """
        days, currency, place = ChargeDays(source), OneCurrency(source, "line_item_currency_code"), "line 1"
        forms: dict[tuple[str, ...], Form] = {}
        for place, row in rows_of(source, COLUMNS, REQUIRED, wanted=WANTED, doubles=_DOUBLES):
            amount, quantity = row.pop(COST_COLUMN), row.pop(USAGE_COLUMN)
            key = tuple(row.values())
            form = forms.get(key)
            if form is None:
                if len(forms) >= _FORMS_MAX:
                    forms.clear()
                form = forms[key] = form_of(source, place, row, days, currency)
            yield line_of(source, place, form, amount, quantity)
        yield from days.covered(place)

    def blocks(self, source: SourceFile) -> Iterator[LineBlock | CoveredDay]:
        """The same by the block, for CSV (`line_blocks.BlockImporter`)."""
        from billing.invoices.aws_cur_blocks import blocks_of  # Arrow: loaded for large files only

        yield from blocks_of(self, source)


class Form(NamedTuple):
    """What a line says beside its figures.

    `scale` is how many of our unit one of theirs is, None for what is no use or not understood; `unit_text` is theirs
    then. `by_sign`: money back makes it a credit.
    """

    day: date
    kind: LineKind
    text: str
    account: str | None
    currency: str
    by_sign: bool = False
    model: str | None = None
    meter: BedrockMeter | None = None
    scale: Decimal | None = None
    unit_text: str = ""


def form_of(
    source: SourceFile, place: str, row: Mapping[str, str], days: ChargeDays, currency: OneCurrency
) -> Form:
    line_type, usage_type = row["line_item_line_item_type"], row["line_item_usage_type"]
    kind = _KINDS.get(line_type)
    if kind is None:
        raise InvoiceRefused.at(
            source.name,
            place,
            "line_item_line_item_type",
            line_type or None,
            Sentence("unknown; known are %(known)s", known=", ".join(_KINDS)),
        )
    meter = _meter(source, place, row) if kind is LineKind.USAGE else None
    start, end = "line_item_usage_start_date", "line_item_usage_end_date"
    bill_start, bill_end = "bill_billing_period_start_date", "bill_billing_period_end_date"
    bill = Period(bill_start, bill_end, row[bill_start], row.get(bill_end) or days.month_after(row[bill_start]))
    day, outside = days.of(
        place, Period(start, end, row[start], row[end]), bill,
        is_use=meter is not None and meter.unit != UNMAPPED,
    )  # fmt: skip
    words = usage_type or row.get("line_item_line_item_description") or row["line_item_product_code"]
    said = text_of(source.name, place, "line_item_usage_type", words) or line_type
    account = text_of(source.name, place, "line_item_usage_account_id", row.get("line_item_usage_account_id"))
    money = currency.of(place, row["line_item_currency_code"])
    if meter is not None and outside is None:
        if meter.unit == UNMAPPED:
            unit_text = row["pricing_unit"]
            return Form(day, kind, said, account, money, True, meter.model, meter, None, unit_text)
        model = meter.model or _product_name(source, place, row)
        scale = factor_of(source, place, "pricing_unit", row["pricing_unit"], meter.unit)
        return Form(day, kind, said, account, money, True, model, meter, scale)
    if kind is LineKind.USAGE:
        said = f"use of {outside}, billed later: {said}" if outside else f"{row['line_item_product_code']}: {said}"
        return Form(day, LineKind.FEE, said[:512], account, money, by_sign=True)
    if kind is not LineKind.TAX:
        said = f"{line_type}: {said}"
    return Form(day, kind, said[:512], account, money)


def line_of(source: SourceFile, place: str, form: Form, written: str, used: str) -> VendorLine:
    """The line with its figures. Money back without use taken back is a credit."""
    amount = decimal_cell(source, place, COST_COLUMN, written)
    kind = LineKind.CREDIT if form.by_sign and amount < 0 else form.kind
    if form.meter is None:
        return VendorLine(place, form.day, kind, form.text, form.account, amount=amount, currency=form.currency)
    quantity: Decimal | None
    if form.scale is None:
        quantity, step = quantity_if_told(source, place, USAGE_COLUMN, used, form.unit_text)
    else:
        quantity, step = scaled_cell(source, place, USAGE_COLUMN, used, form.scale)
    if kind is LineKind.CREDIT and quantity is not None and quantity < 0:
        kind = form.kind
    return VendorLine(
        place, form.day, kind, form.text, form.account, form.model, form.meter.unit, form.meter.service_tier, quantity,
        step, amount, form.currency,
    )  # fmt: skip


def _meter(source: SourceFile, place: str, row: Mapping[str, str]) -> BedrockMeter | None:
    """What a line of use counts; None where it is no model's use. Bedrock's use of another wording is UNMAPPED."""
    usage_type = row["line_item_usage_type"]
    found = bedrock_meter(usage_type)
    if found is not None:
        return found
    of_models = row["line_item_product_code"].startswith(_BEDROCK) or ("MP:" in usage_type and "oken" in usage_type)
    if of_models and not is_fee(usage_type):
        wording = text_of(source.name, place, "line_item_usage_type", usage_type)
        if wording is None:
            raise InvoiceRefused.at(source.name, place, "line_item_usage_type", None, "use of Bedrock names its type")
        return BedrockMeter(wording, UNMAPPED, None)
    return None


def _product_name(source: SourceFile, place: str, row: Mapping[str, str]) -> str:
    """The model of a marketplace line, out of the map `product`; else its product code, which is the model's own. Where
    the report has neither, the usage type stands for it: no model of ours, so that the break says what was seen."""
    named = [_name_in(row.get("product", "")), *(row.get(column) for column in _NAMES)]
    edition = next((name for name in named if name and name.endswith(_EDITION)), None)
    name = edition or named[0] or row.get("product_product_name") or row["line_item_product_code"]
    if not name or name.startswith(_BEDROCK):
        name = row["line_item_usage_type"]
    shown = text_of(source.name, place, "product", name.removesuffix(_EDITION))
    assert shown is not None
    return shown


@lru_cache(maxsize=4096)
def _name_in(text: str) -> str | None:
    try:
        found = json.loads(text, parse_float=Decimal) if text else None
    except (ValueError, RecursionError):
        return None
    name = found.get("product_name") if isinstance(found, dict) else None
    return name.strip() if isinstance(name, str) else None
