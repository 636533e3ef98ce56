"""What a FOCUS 1.2 file of ours must fulfil: columns, types, allowed values, nulls, and arithmetic. Pure.

Rules are those of the specification for the columns that we write (FOCUS 1.2, chapter Columns), and our own sums: the
billed costs of a sub account are its statement's total, and all of them the organisation's.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.money import exact, plain
from billing.outputs.focus import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MANDATORY = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodStart", "BillingPeriodEnd",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodStart", "ChargePeriodEnd", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
    "ServiceCategory", "ServiceName",
)  # fmt: skip
MAY_BE_NULL = frozenset({"ChargeClass", "PricingQuantity", "PricingUnit"})
DECIMALS = (
    "BilledCost", "ConsumedQuantity", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "ListCost",
    "ListUnitPrice", "PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice", "PricingQuantity",
)  # fmt: skip
TIMES = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
ALLOWED = {
    "ChargeCategory": frozenset({"Usage", "Purchase", "Tax", "Credit", "Adjustment"}),
    "ChargeClass": frozenset({"", "Correction"}),
    "ChargeFrequency": frozenset({"One-Time", "Recurring", "Usage-Based"}),
    "PricingCategory": frozenset({"", "Standard", "Dynamic", "Committed", "Other"}),
    "ServiceCategory": frozenset({"AI and Machine Learning"}),
    "ServiceSubcategory": frozenset({"Generative AI"}),
}
NEEDED_FOR_USAGE = ("ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "PricingUnit", "ListUnitPrice",
                    "ContractedUnitPrice", "PricingCategory", "SkuId", "SkuPriceId", "SkuMeter")  # fmt: skip
NULL_FOR_TAX = ("PricingQuantity", "PricingUnit", "ListUnitPrice", "ContractedUnitPrice", "PricingCategory", "SkuId",
                "SkuPriceId", "SkuMeter", "SkuPriceDetails", "ConsumedQuantity", "ConsumedUnit")  # fmt: skip
PRODUCTS = (
    ("ListUnitPrice", "PricingQuantity", "ListCost"),
    ("ContractedUnitPrice", "PricingQuantity", "ContractedCost"),
    ("PricingCurrencyContractedUnitPrice", "PricingQuantity", "PricingCurrencyEffectiveCost"),
)
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_PRICING_UNIT = re.compile(r"([1-9][0-9]* )?[A-Z][A-Za-z0-9 ]*s")


def broken_rules(
    header: Sequence[str], rows: Sequence[Mapping[str, str]], totals: Sequence[tuple[str, str]], total: str
) -> list[str]:
    """Sentences for whatever is wrong; empty where nothing is. `totals`: the sub account and total of each
    statement."""
    found = [f"column {name} is missing" for name in MANDATORY if name not in header]
    found += [f"column {name} stands twice" for name in sorted(set(header)) if list(header).count(name) > 1]
    found += [f"column {name} is none of FOCUS and not marked x_" for name in header
              if name not in COLUMNS and not name.startswith("x_")]  # fmt: skip
    if found:
        return found
    for place, row in enumerate(rows, start=2):
        found += [f"line {place}: {sentence}" for sentence in (*_values(row), *_nulls(row), *_periods(row))]
        if not found:
            found += [f"line {place}: {sentence}" for sentence in _products(row)]
    return found or list(_sums(rows, totals, total))


def _values(row: Mapping[str, str]) -> Iterator[str]:
    for name in DECIMALS:
        if row[name] and not _DECIMAL.fullmatch(row[name]):
            yield f"{name} is {row[name]!r}, no decimal"
    for name in TIMES:
        if not _TIME.fullmatch(row[name]):
            yield f"{name} is {row[name]!r}, no UTC time"
    for name, allowed in ALLOWED.items():
        if row[name] not in allowed:
            yield f"{name} is {row[name]!r}, which is not allowed"
    if row["PricingUnit"] and not _PRICING_UNIT.fullmatch(row["PricingUnit"]):
        yield f"PricingUnit is {row['PricingUnit']!r}, not '<quantity> <plural units>'"
    for name in ("SkuPriceDetails", "Tags"):
        if row[name] and not _is_flat_object(row[name]):
            yield f"{name} is no flat JSON object"


def _nulls(row: Mapping[str, str]) -> Iterator[str]:
    category, is_correction = row["ChargeCategory"], row["ChargeClass"] == "Correction"
    for name in MANDATORY:
        if not row[name] and name not in MAY_BE_NULL:
            yield f"{name} must not be null"
    for name in NEEDED_FOR_USAGE:
        if category == "Usage" and not is_correction and not row[name]:
            yield f"{name} must not be null for Usage"
    for name in NULL_FOR_TAX:
        if category == "Tax" and row[name]:
            yield f"{name} must be null for Tax"
    if category != "Usage" and row["ConsumedQuantity"]:
        yield "ConsumedQuantity must be null unless Usage"
    for name in ("ListUnitPrice", "ContractedUnitPrice"):
        if row[name].startswith("-"):
            yield f"{name} must not be negative"


def _periods(row: Mapping[str, str]) -> Iterator[str]:
    start, end = row["ChargePeriodStart"], row["ChargePeriodEnd"]
    billing_start, billing_end = row["BillingPeriodStart"], row["BillingPeriodEnd"]
    if not billing_start < billing_end or not start < end:
        yield "a period ends before it begins"
    is_within = billing_start <= start and end <= billing_end
    if not is_within and row["ChargeClass"] != "Correction":
        yield "the charge period lies outside of the billing period and the row is no Correction"


def _products(row: Mapping[str, str]) -> Iterator[str]:
    if row["ChargeClass"] == "Correction":
        return
    with exact():
        for price, quantity, cost in PRODUCTS:
            if row[price] and row[quantity] and Decimal(row[price]) * Decimal(row[quantity]) != Decimal(row[cost]):
                yield f"{price} x {quantity} is not {cost}"
        size = re.match(r"[0-9]+", row["PricingUnit"])
        if row["ConsumedQuantity"] and Decimal(row["PricingQuantity"]) * int(size[0] if size else 1) != Decimal(
            row["ConsumedQuantity"]
        ):
            yield "PricingQuantity in PricingUnit is not ConsumedQuantity"
        if not row["PricingQuantity"] and Decimal(row["ContractedCost"]) != Decimal(row["BilledCost"]):
            yield "ContractedCost of a charge without quantity is not its BilledCost"


def _sums(rows: Sequence[Mapping[str, str]], totals: Sequence[tuple[str, str]], total: str) -> Iterator[str]:
    sums: dict[str, Decimal] = {}
    stated: dict[str, Decimal] = {}
    with exact():
        for row in rows:
            sums[row["SubAccountId"]] = sums.get(row["SubAccountId"], Decimal(0)) + Decimal(row["BilledCost"])
        for code, figure in totals:
            stated[code] = stated.get(code, Decimal(0)) + Decimal(figure)
        for code in sorted(sums.keys() | stated.keys()):
            billed, owed = sums.get(code, Decimal(0)), stated.get(code, Decimal(0))
            if billed != owed:
                yield f"BilledCost of {code} adds up to {plain(billed)}, its statement to {plain(owed)}"
        whole = sum(sums.values(), Decimal(0))
        if whole != Decimal(total):
            yield f"BilledCost adds up to {plain(whole)}, the organisation's total is {total}"


def _is_flat_object(text: str) -> bool:
    try:
        read = json.loads(text)
    except ValueError:
        return False
    return isinstance(read, dict) and not any(isinstance(value, dict | list) for value in read.values())
