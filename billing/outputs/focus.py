"""A month's statements as FOCUS 1.2 rows: one for each line and exchange rate, one for each charge beside the lines.

The mapping (FOCUS 1.2, columns of a cost and usage data set):

* the department is the sub account, the vendor the billing account and the issuer, the model's developer the publisher;
* `BilledCost` and `EffectiveCost` are what is booked, `ContractedCost` the exact cost at the price that was agreed,
  `ListCost` the same before contract terms; unit prices are in the billing currency, at the rate of the row;
* a line that used several rates becomes a row for each, so that unit price x quantity is exact; its booked amount is
  cut by largest remainder;
* corrections of closed periods are `Adjustment` rows of class `Correction` in this billing period, with the charge
  period that they correct; shared costs are `Adjustment`, tax is `Tax`.

Use without a price or a rate has no cost, and FOCUS knows no unknown cost: it has no row, and is counted in `left_out`.
Decimals are plain text. Pure.
"""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from billing.money import exact, minor_digits, plain
from billing.outputs.charge_words import charge_words
from billing.outputs.shown_text import formula_free, visible
from billing.outputs.vendor_names import is_tax
from billing.periods import hour_start, month_in
from billing.rounding import apportion
from producers.units import is_input_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from billing.outputs.vendor_names import Creditors
    from billing.prices import PriceKey

COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd",
    "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice", "EffectiveCost",
    "InvoiceId", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory", "PricingCurrency",
    "PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost", "PricingCurrencyListUnitPrice",
    "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
    "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountId", "SubAccountName",
    "SubAccountType", "Tags", "x_ContentHash", "x_ExchangeRate", "x_ExchangeRateDate", "x_Section",
)  # fmt: skip
OWN_ACCOUNT = "internal"
UNATTRIBUTED = "unattributed"
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class FocusMonth:
    """What rows are made with. `price_keys` tells tier and prompt length by the code of a price row; `cost_centres` by
    department. `organisation` issues what no vendor bills."""

    organisation: str
    creditors: Creditors
    price_keys: Mapping[str, PriceKey] = field(default_factory=dict)
    cost_centres: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FocusRows:
    """The rows, and how much use has none because its cost is unknown."""

    rows: tuple[Row, ...]
    left_out: int


def focus_rows(documents: Sequence[Mapping[str, Any]], month: FocusMonth) -> FocusRows:
    """The rows of all departments' statements, in their order."""
    rows: list[Row] = []
    left_out = 0
    for document in documents:
        for line in document["lines"]:
            if line["amount"] is None:
                left_out += int(line["quantity"])
            else:
                rows += _line_rows(document, line, month)
        for section in ("allocated", "adjustments", "taxes"):
            rows += [_charge_row(document, section, charge, month) for charge in document[section]]
    return FocusRows(tuple(rows), left_out)


def focus_csv(rows: Sequence[Row]) -> bytes:
    """The file: UTF-8, columns in alphabetical order, own ones (`x_`) last; null is an empty cell."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([[row[name] for name in COLUMNS] for row in rows])
    return target.getvalue().encode()


def _line_rows(document: Mapping[str, Any], line: Mapping[str, Any], month: FocusMonth) -> Iterator[Row]:
    """One row for each rate; the booked amount is cut among them."""
    if line["price"] is None:
        yield _usage_row(document, line, month, _Part(line["quantity"], Decimal(1), "", Decimal(line["amount"])))
        return
    used = line["fx_rows"] or [{"quantity": line["quantity"], "rate": "1", "date": ""}]
    with exact():
        costs = {
            place: Decimal(row["quantity"]) * Decimal(row["rate"]) * Decimal(line["price"]) / Decimal(line["per"])
            for place, row in enumerate(used)
        }
    booked = apportion(costs, Decimal(line["amount"]), -minor_digits(document["currency"]))
    for place, row in enumerate(used):
        yield _usage_row(
            document, line, month, _Part(row["quantity"], Decimal(row["rate"]), row["date"], booked[place])
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of a line that one rate converted."""

    quantity: str
    rate: Decimal
    rate_date: str
    booked: Decimal


def _usage_row(document: Mapping[str, Any], line: Mapping[str, Any], month: FocusMonth, part: _Part) -> Row:
    is_billable = line["price"] is not None
    per = line["per"] or "1"
    with exact():
        agreed = Decimal(line["price"] or 0)
        listed = _before_terms(line, agreed)
        quantity = Decimal(part.quantity) / Decimal(per)
        prices = {
            "ContractedUnitPrice": agreed * part.rate,
            "ListUnitPrice": listed * part.rate,
            "ContractedCost": agreed * part.rate * quantity,
            "ListCost": listed * part.rate * quantity,
            "PricingCurrencyContractedUnitPrice": agreed,
            "PricingCurrencyListUnitPrice": listed,
            "PricingCurrencyEffectiveCost": agreed * quantity,
            "PricingQuantity": quantity,
        }
    creditor = month.creditors.of_provider(line["provider"])
    noun = unit_noun(line["unit"])
    return {
        **_whose(document, month),
        **{name: plain(value) for name, value in prices.items()},
        "BilledCost": plain(part.booked),
        "EffectiveCost": plain(part.booked),
        "BillingAccountId": _name(creditor.vendor),
        "BillingAccountName": _name(creditor.name),
        "InvoiceIssuerName": _name(creditor.name),
        "ProviderName": _name(creditor.name),
        "PublisherName": _name(line["provider"]),
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "ChargeDescription": _name(f"{line['model']}: {part.quantity} {line['unit']}"),
        "ConsumedQuantity": part.quantity,
        "ConsumedUnit": noun,
        "PricingUnit": noun if per == "1" else f"{per} {noun}",
        "PricingCategory": "Standard",
        "PricingCurrency": line["price_currency"] or document["currency"],
        "ServiceName": _name(f"{line['provider']} API"),
        "SkuId": _name(f"{line['provider']}/{line['model']}/{line['unit']}"),
        "SkuMeter": meter(line["unit"]),
        "SkuPriceId": line["price_id"] if is_billable else "not-billable",
        "SkuPriceDetails": _details(line, month),
        "x_ExchangeRate": plain(part.rate) if is_billable else "",
        "x_ExchangeRateDate": part.rate_date,
        "x_Section": "line",
    }


def _charge_row(document: Mapping[str, Any], section: str, charge: Mapping[str, Any], month: FocusMonth) -> Row:
    creditor = month.creditors.of_charge(charge)
    name = _name(creditor.name if creditor else month.organisation or "Organisation")
    row = {
        **_whose(document, month),
        **dict.fromkeys(("BilledCost", "EffectiveCost", "ContractedCost", "ListCost"), charge["amount"]),
        "BillingAccountId": _name(creditor.vendor) if creditor else OWN_ACCOUNT,
        "BillingAccountName": name,
        "InvoiceIssuerName": name,
        "ProviderName": name,
        "PublisherName": name,
        "ChargeCategory": _category(section, charge),
        "ChargeFrequency": "One-Time" if section == "adjustments" else "Recurring",
        "ChargeDescription": _name(charge_words(charge) or section),
        "ServiceName": {"taxes": "Tax", "allocated": "Shared costs", "adjustments": "Corrections"}[section],
        "x_Section": section,
    }
    if section == "adjustments":
        row["ChargeClass"] = "Correction"
        origin = charge.get("origin_period")
        if isinstance(origin, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}", origin):
            row["ChargePeriodStart"], row["ChargePeriodEnd"] = _period(origin, document["timezone"])
    return row


def _category(section: str, charge: Mapping[str, Any]) -> str:
    if is_tax(section, charge):
        return "Tax"
    return "Credit" if str(charge.get("pool") or "").startswith("invoice_credit:") else "Adjustment"


def _whose(document: Mapping[str, Any], month: FocusMonth) -> Row:
    """Every column, empty, and what all rows of a statement have."""
    code = document["department"] or UNATTRIBUTED
    start, end = _period(document["month"], document["timezone"])
    tags = {"department": visible(code)}
    if cost_centre := month.cost_centres.get(code):
        tags["cost_center"] = visible(cost_centre)
    return {
        **dict.fromkeys(COLUMNS, ""),
        "BillingAccountType": "Vendor account",
        "BillingCurrency": document["currency"],
        "BillingPeriodStart": start,
        "BillingPeriodEnd": end,
        "ChargePeriodStart": start,
        "ChargePeriodEnd": end,
        "InvoiceId": _name(f"{document['month']}-{code}") if document["status"] == "closed" else "",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "SubAccountId": sub_account(document),
        "SubAccountName": _name(document["department_name"] or code),
        "SubAccountType": "Department",
        "Tags": json.dumps(tags, ensure_ascii=False, sort_keys=True),
        "x_ContentHash": document["content_hash"],
    }


def sub_account(document: Mapping[str, Any]) -> str:
    """The SubAccountId of a statement's rows."""
    return _name(document["department"] or UNATTRIBUTED)


def unit_noun(unit: str) -> str:
    """What is counted, in the plural that FOCUS wants: Tokens, Requests, Web Searches."""
    return "Tokens" if unit.endswith("_tokens") else meter(unit)


def meter(unit: str) -> str:
    """A unit as a meter's name: cache_write_5m_tokens -> Cache Write 5m Input Tokens."""
    words = unit.split("_")
    if unit.startswith("cache_") and unit.endswith("_tokens"):
        words.insert(-1, "input")
    return " ".join(word if word[:1].isdigit() else word.capitalize() for word in words)


def _details(line: Mapping[str, Any], month: FocusMonth) -> str:
    """Properties of the price; no price and no date are among them. Names that FOCUS has not released begin with x_."""
    unit = line["unit"]
    told = {"x_ModelDeveloper": visible(line["provider"]), "x_ModelId": visible(line["model"])}
    if unit.endswith("_tokens"):
        told["x_TokenDirection"] = "Input" if is_input_unit(unit) else "Output"
        told["x_TokenCacheAction"] = (
            "Read" if "cache_read" in unit else "Write" if "cache_write" in unit else "Uncached"
        )
        if lifetime := re.search(r"_write_([0-9]+[smhd])_", unit):
            told["x_CacheTtl"] = lifetime[1]
    key = month.price_keys.get(line["price_id"] or "")
    if key is not None:
        told["x_ServiceTier"] = key.service_tier
        told["x_ContextTier"] = f"above {key.prompt_above}" if key.prompt_above else "any"
    return json.dumps(told, ensure_ascii=False, sort_keys=True)


def _before_terms(line: Mapping[str, Any], agreed: Decimal) -> Decimal:
    """The price per `per` units before contract terms; the agreed one where there are none."""
    terms = line.get("terms") or ()
    before = terms[0].get("unit_price_before") if terms else None
    return agreed if before is None else Decimal(before) * Decimal(line["per"])


def _period(name: str, zone: str) -> tuple[str, str]:
    month = month_in(name, zone)
    start, end = (hour_start(hour).strftime("%Y-%m-%dT%H:%M:%SZ") for hour in (month.first_hour, month.end_hour))
    return start, end


def _name(text: str) -> str:
    return formula_free(visible(text))
