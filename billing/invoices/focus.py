"""FOCUS 1.0 to 1.3, from anybody: cost and usage rows as CSV, also packed with gzip, or Parquet.

FOCUS types figures as decimals: a Parquet file that has doubles for those that are read is refused.

What is read, and from where (FOCUS specification 1.0 to 1.3):
* money is `BilledCost` in `BillingCurrency`: its sum is what the invoice asks for; effective, list and contracted cost
  are not; use that a commitment covers is billed 0 and keeps its quantity;
* what was used is `SkuPriceDetails` (TokenDirection, TokenCacheAction, also as `x_` properties) and `SkuMeter`, which
  must not contradict each other; where a row has neither, `x_SkuMeterName` or `x_UsageType` stand in for the meter;
* how much is `ConsumedQuantity` in `ConsumedUnit`, else `PricingQuantity` in `PricingUnit`;
* `ChargeCategory` decides the kind: Purchase is a fee, Adjustment a fee or a credit by its sign;
* a Correction, and any charge for days outside the billing period, is a fee or a credit of this bill (`charge_days`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from billing.invoices.charge_days import ChargeDays, Period
from billing.invoices.csv_rows import header_of, rows_of
from billing.invoices.errors import InvoiceRefused
from billing.invoices.focus_grain import tells_months
from billing.invoices.focus_skus import Sku, sku_of
from billing.invoices.lines import ANYBODY, UNMAPPED, CoveredDay, FileKind, LineKind, VendorLine
from billing.invoices.money_cells import OneCurrency, decimal_cell, quantity_if_told, quantity_in
from billing.invoices.texts import text_of
from billing.invoices.token_meters import FOLDS
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from billing.invoices.source import SourceFile

_PERIODS = ("ChargePeriodStart", "ChargePeriodEnd", "BillingPeriodStart", "BillingPeriodEnd")
REQUIRED = (*_PERIODS, "BilledCost", "BillingCurrency", "ChargeCategory")
WANTED = {
    *REQUIRED, "ChargeClass", "ChargeDescription", "ConsumedQuantity", "ConsumedUnit", "PricingQuantity",
    "PricingUnit", "ServiceCategory", "ServiceName", "SkuId", "SkuMeter", "SkuPriceDetails", "SubAccountId",
    "x_SkuMeterName", "x_UsageType",
}  # fmt: skip
COLUMNS = WANTED | {
    "AllocatedMethodDetails", "AllocatedMethodId", "AllocatedResourceId", "AllocatedResourceName", "AllocatedTags",
    "AvailabilityZone", "BillingAccountId", "BillingAccountName", "BillingAccountType", "CapacityReservationId",
    "CapacityReservationStatus", "ChargeFrequency", "CommitmentDiscountCategory", "CommitmentDiscountId",
    "CommitmentDiscountName", "CommitmentDiscountQuantity", "CommitmentDiscountStatus", "CommitmentDiscountType",
    "CommitmentDiscountUnit", "ContractApplied", "ContractedCost", "ContractedUnitPrice", "EffectiveCost",
    "HostProviderName", "InvoiceId", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory",
    "PricingCurrency", "PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice", "ProviderName", "PublisherName", "RegionId", "RegionName", "ResourceId",
    "ResourceName", "ResourceType", "ServiceProviderName", "ServiceSubcategory", "SkuPriceId", "SubAccountName",
    "SubAccountType", "Tags",
}  # fmt: skip
"""Every column of FOCUS 1.0 to 1.3. Columns of the issuer's own begin with `x_` and are left unread."""
_CATEGORIES = ("Usage", "Purchase", "Tax", "Credit", "Adjustment")
_OURS = "AI and Machine Learning"


@dataclass(frozen=True)
class FocusCsv:
    """A cost and usage data set of FOCUS, whoever issued it."""

    vendor: str = ANYBODY
    format: str = "focus.csv"
    kind: FileKind = FileKind.COST

    @property
    def folds(self) -> Mapping[str, str]:
        """See `token_meters.FOLDS`."""
        return FOLDS

    def recognise(self, source: SourceFile) -> str | None:
        """By its header, where its use is told by days."""
        why = self.header_says(source)
        return None if why is None or tells_months(source) else why

    def header_says(self, source: SourceFile) -> str | None:
        """Why this is FOCUS; the reason names the issuer of the first row."""
        header = header_of(source, parquet=True)
        if not {"BilledCost", "ChargePeriodStart", "ChargeCategory"} <= set(header):
            return None
        what = "Parquet" if source.is_parquet else "a CSV"
        why = f"{what} whose header has BilledCost, ChargePeriodStart and ChargeCategory, as FOCUS has them"
        named = {"InvoiceIssuerName", "ServiceProviderName", "ProviderName"}
        try:
            _, row = next(rows_of(source, header, (), wanted=named, doubles=()), ("", {}))
        except InvoiceRefused:
            return why
        issuer = row.get("InvoiceIssuerName") or row.get("ServiceProviderName") or row.get("ProviderName")
        shown = text_of(source.name, "line 2", "InvoiceIssuerName", issuer)
        return f"{why}, issued by {shown}" if shown else why

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """A line a row; at the end the days from the first to the last."""
        rows, place = FocusRows(source), "line 1"
        for place, row in rows_of(source, COLUMNS, REQUIRED, wanted=WANTED, own_prefix="x_", doubles=()):
            yield rows.line(place, row)
        yield from rows.days.covered(place)


@dataclass
class FocusRows:
    """The rows of one file: which days it speaks of, and in which currency. `whole_months`: use may be longer than a
    day, and counts on its first day."""

    source: SourceFile
    whole_months: bool = False
    days: ChargeDays = field(init=False)
    currency: OneCurrency = field(init=False)

    def __post_init__(self) -> None:
        self.days, self.currency = ChargeDays(self.source), OneCurrency(self.source, "BillingCurrency")

    def line(self, place: str, row: Mapping[str, str]) -> VendorLine:
        """A row as a line. Raises InvoiceRefused at the first thing that is not known."""
        return _line(self.source, place, row, self)


def _line(source: SourceFile, place: str, row: Mapping[str, str], rows: FocusRows) -> VendorLine:
    amount = decimal_cell(source, place, "BilledCost", row["BilledCost"])
    kind = _kind(source, place, row, amount)
    sku = sku_of(source, place, row) if kind is LineKind.USAGE else None
    if kind is LineKind.USAGE and sku is None:
        kind, sku = _stranger(source, place, row, amount)
    day, outside = rows.days.of(
        place,
        Period("ChargePeriodStart", "ChargePeriodEnd", row["ChargePeriodStart"], row["ChargePeriodEnd"]),
        Period("BillingPeriodStart", "BillingPeriodEnd", row["BillingPeriodStart"], row["BillingPeriodEnd"]),
        is_use=_is_of_a_day(row, sku) and not rows.whole_months,
    )
    said = text_of(source.name, place, "ChargeDescription", row.get("ChargeDescription")) or row["ChargeCategory"]
    account = text_of(source.name, place, "SubAccountId", row.get("SubAccountId"))
    money = rows.currency.of(place, row["BillingCurrency"])
    corrects = row.get("ChargeClass") == "Correction"
    if kind is not LineKind.TAX and (corrects or (outside is not None and kind is LineKind.USAGE)):
        of = f" of {outside}" if outside else ""
        words = f"correction{of}: {said}" if corrects else f"use{of}, billed later: {said}"
        return VendorLine(place, day, _by_sign(amount), words[:512], account, amount=amount, currency=money)
    if sku is None or kind is not LineKind.USAGE:
        return VendorLine(place, day, kind, said, account, amount=amount, currency=money)
    return _use(source, place, row, VendorLine(place, day, kind, said, account, amount=amount, currency=money), sku)


def _is_of_a_day(row: Mapping[str, str], sku: Sku | None) -> bool:
    """Whether a row must lie within one day: use that is understood, of this billing period."""
    return sku is not None and sku.unit != UNMAPPED and row.get("ChargeClass") != "Correction"


def _use(source: SourceFile, place: str, row: Mapping[str, str], line: VendorLine, sku: Sku) -> VendorLine:
    """The line with model, unit and quantity. Money back without use taken back is a credit."""
    quantity: Decimal | None = None
    step: Decimal | None = None
    for what in ("Consumed", "Pricing"):
        told, unit = row.get(f"{what}Quantity", ""), row.get(f"{what}Unit", "")
        if told and sku.unit == UNMAPPED:
            quantity, step = quantity_if_told(source, place, f"{what}Quantity", told, unit)
            break
        if told:
            fields = (f"{what}Quantity", f"{what}Unit")
            quantity, step = quantity_in(source, place, fields, told, unit, sku.unit)
            break
    assert line.amount is not None
    is_back = line.amount < 0 and (quantity is None or quantity >= 0)
    return VendorLine(
        place, line.day, LineKind.CREDIT if is_back else LineKind.USAGE, line.text, line.account, sku.model, sku.unit,
        sku.service_tier, quantity, step, line.amount, line.currency,
    )  # fmt: skip


def _kind(source: SourceFile, place: str, row: Mapping[str, str], amount: Decimal) -> LineKind:
    category, charge_class = row["ChargeCategory"], row.get("ChargeClass", "")
    if category not in _CATEGORIES:
        raise InvoiceRefused.at(
            source.name,
            place,
            "ChargeCategory",
            category,
            Sentence("unknown; FOCUS knows %(known)s", known=", ".join(_CATEGORIES)),
        )
    if charge_class not in {"", "Correction", "null", "NULL"}:
        raise InvoiceRefused.at(source.name, place, "ChargeClass", charge_class, "this is Correction or empty")
    if category == "Adjustment":
        return _by_sign(amount)
    return {"Usage": LineKind.USAGE, "Purchase": LineKind.FEE, "Tax": LineKind.TAX, "Credit": LineKind.CREDIT}[category]


def _stranger(source: SourceFile, place: str, row: Mapping[str, str], amount: Decimal) -> tuple[LineKind, Sku | None]:
    """Use of another kind of service is on the bill, so it is a fee by its name; use of models in a wording that is not
    understood is UNMAPPED. A row that names nothing refuses."""
    category = row.get("ServiceCategory", "")
    if category and category != _OURS:
        return _by_sign(amount), None
    names = ("SkuMeter", "x_SkuMeterName", "x_UsageType", "SkuId", "ChargeDescription")
    wording = next((row[name] for name in names if row.get(name)), None)
    if wording is None:
        raise InvoiceRefused.at(
            source.name, place, "SkuMeter", None,
            "a meter such as Input Tokens, Cache Read Input Tokens or Output Tokens tells what was used, or "
            "SkuPriceDetails with TokenDirection; ask the issuer for one of them",
        )  # fmt: skip
    sku_id = row.get("SkuId") or ""
    said = wording if sku_id in {"", wording} else f"{sku_id}: {wording}"
    return LineKind.USAGE, Sku(text_of(source.name, place, "SkuMeter", said) or said, UNMAPPED, None)


def _by_sign(amount: Decimal) -> LineKind:
    return LineKind.CREDIT if amount < 0 else LineKind.FEE
