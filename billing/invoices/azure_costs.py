"""Azure cost details: the CSV of actual cost, by day and meter, of the agreements EA and MCA; also packed with gzip.

Money is `CostInBillingCurrency` in the billing currency, quantity is `Quantity` in `UnitOfMeasure` (1K, 1M, 1M Tokens).
Rows have no id and equal ones are all charged. Column names differ in case between agreements and count without it.
Days are UTC, written as 2026-10-01 or as 10/01/2026 (month first, which the billing period must bear out), in one way
a file. The data set of amortized cost is no invoice and is refused. Tax is not among the rows.
Fields: Microsoft's schemas of cost and usage details, EA 2024-08-01 and MCA.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from billing.invoices.azure_meters import AzureMeter, azure_meter
from billing.invoices.csv_rows import header_of, rows_of
from billing.invoices.errors import InvoiceRefused
from billing.invoices.lines import UNMAPPED, CoveredDay, FileKind, LineKind, VendorLine
from billing.invoices.money_cells import OneCurrency, decimal_cell, quantity_if_told, quantity_in
from billing.invoices.texts import text_of
from billing.invoices.token_meters import FOLDS, folded
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from billing.invoices.source import SourceFile

_NAMES = """accountname accountownerid additionalinfo availabilityzone benefitid benefitname billingaccountid
    billingaccountname billingcurrency billingcurrencycode billingperiodenddate billingperiodstartdate billingprofileid
    billingprofilename chargetype consumedservice costallocationrulename costcenter costinbillingcurrency
    costinpricingcurrency costinusd date effectiveprice exchangerate exchangeratedate exchangeratepricingtobilling
    frequency
    invoiceid invoicesectionid invoicesectionname isazurecrediteligible location metercategory meterid metername
    meterregion metersubcategory offerid partnumber paygcostinbillingcurrency paygcostinusd paygprice planname
    previousinvoiceid pricingcurrency pricingmodel productid productname productorderid productordername provider
    publisherid publishername publishertype quantity resellermpnid resellername reservationid reservationname
    resourcegroup resourcegroupname resourceid resourcelocation resourcename servicefamily serviceinfo1 serviceinfo2
    serviceperiodenddate serviceperiodstartdate subscriptionid subscriptionname tags term unitofmeasure unitprice
    """
COLUMNS = frozenset(_NAMES.split())
"""Every column of both agreements, in lower case."""
_REQUIRED = ("date", "chargetype", "costinbillingcurrency", "quantity", "unitofmeasure", "metername",
             "billingperiodstartdate", "billingperiodenddate")  # fmt: skip
_KINDS = {"Usage": LineKind.USAGE, "Purchase": LineKind.FEE, "Refund": LineKind.CREDIT}
_AMORTIZED = {"UnusedReservation", "UnusedSavingsPlan"}
_SLASHED = re.compile(r"(\d\d?)/(\d\d?)/(\d{4})")
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)(?:T00:00:00(?:\.0+)?Z?)?")
_MODELS = ("openai", "foundry models")


@dataclass(frozen=True)
class CostDetails:
    """The file of the portal, of an export, or of the cost details API."""

    vendor: str = "azure"
    format: str = "azure.cost_details_csv"
    kind: FileKind = FileKind.COST

    @property
    def folds(self) -> Mapping[str, str]:
        """See `token_meters.FOLDS`."""
        return FOLDS

    def recognise(self, source: SourceFile) -> str | None:
        """By its header."""
        if {"costinbillingcurrency", "metername", "unitofmeasure"} <= {name.lower() for name in header_of(source)}:
            return "a CSV whose header has CostInBillingCurrency and MeterName, as Azure's cost details have"
        return None

    def read(self, source: SourceFile) -> Iterator[VendorLine | CoveredDay]:
        """A line a row; at the end the days from the first to the last."""
        header = header_of(source)
        spelled = {name.lower(): name for name in header}
        if len(spelled) != len(header):
            twin = next(name for name in header if spelled[name.lower()] != name or header.count(name) > 1)
            raise InvoiceRefused.at(source.name, "line 1", "column", twin, "the column stands twice, but for its case")
        known = {name for name in header if name.lower() in COLUMNS}
        needed = [spelled.get(name, name) for name in _REQUIRED]
        currency, days, place = OneCurrency(source, "BillingCurrency"), _Days(source), "line 1"
        for place, row in rows_of(source, known, needed):
            yield _line(source, place, {name.lower(): cell for name, cell in row.items()}, days, currency)
        first, last = days.first, days.last
        while first is not None and last is not None and first <= last:
            yield CoveredDay(first, place)
            first += timedelta(days=1)


@dataclass
class _Days:
    """The days of a file, in the one way in which it writes them."""

    source: SourceFile
    is_slashed: bool | None = None
    first: date | None = None
    last: date | None = None

    def of(self, place: str, row: Mapping[str, str]) -> date:
        """The row's day. Raises InvoiceRefused where it is none, is written another way, or lies outside the month."""
        start = self._day(place, "BillingPeriodStartDate", row["billingperiodstartdate"])
        end = self._day(place, "BillingPeriodEndDate", row["billingperiodenddate"])
        if self.is_slashed and start.day != 1:
            raise InvoiceRefused.at(
                self.source.name, place, "BillingPeriodStartDate", row["billingperiodstartdate"],
                "read with the month first, a billing period begins on the first of a month: export with dates as "
                "2026-10-01",
            )  # fmt: skip
        day = self._day(place, "Date", row["date"])
        if not start <= day <= end or (end - start).days > 31:
            raise InvoiceRefused.at(
                self.source.name,
                place,
                "Date",
                row["date"],
                Sentence("it must lie in the billing period %(start)s to %(end)s", start=start, end=end),
            )
        self.first = day if self.first is None else min(day, self.first)
        self.last = day if self.last is None else max(day, self.last)
        return day

    def _day(self, place: str, field: str, value: str) -> date:
        slashed, iso = _SLASHED.fullmatch(value), _ISO.fullmatch(value)
        found: date | None = None
        try:
            if slashed is not None:
                found = date(int(slashed[3]), int(slashed[1]), int(slashed[2]))
            elif iso is not None:
                found = date.fromisoformat(iso[1])
        except ValueError:
            found = None
        if found is None or found.year not in range(2015, 2100):
            remedy = "write a day as 2026-10-01, or as 10/01/2026 with the month first"
            raise InvoiceRefused.at(self.source.name, place, field, value or None, remedy)
        if self.is_slashed is not None and self.is_slashed != (slashed is not None):
            raise InvoiceRefused.at(self.source.name, place, field, value, "the dates before are written another way")
        self.is_slashed = slashed is not None
        return found


def _line(source: SourceFile, place: str, row: Mapping[str, str], days: _Days, currency: OneCurrency) -> VendorLine:
    day = days.of(place, row)
    kind = _kind(source, place, row["chargetype"])
    amount = decimal_cell(source, place, "CostInBillingCurrency", row["costinbillingcurrency"])
    named = row["metername"] or row.get("productname") or row["chargetype"]
    said = text_of(source.name, place, "MeterName", named) or row["chargetype"]
    account = text_of(source.name, place, "SubscriptionId", row.get("subscriptionid"))
    money = currency.of(place, _currency(row))
    meter = _meter(source, place, row) if kind is LineKind.USAGE else None
    if meter is None:
        if kind is LineKind.USAGE:
            kind = LineKind.CREDIT if amount < 0 else LineKind.FEE
            said = f"{row.get('metercategory') or 'Azure'}: {said}"[:512]
        return VendorLine(place, day, kind, said, account, amount=amount, currency=money)
    quantity: Decimal | None
    if meter.unit == UNMAPPED:
        quantity, step = quantity_if_told(source, place, "Quantity", row["quantity"], row["unitofmeasure"])
    else:
        quantity, step = _quantity(source, place, row, meter)
    if amount < 0 and (quantity is None or quantity >= 0):
        kind = LineKind.CREDIT
    unit = folded(meter.unit)
    return VendorLine(
        place, day, kind, said, account, meter.model, unit, meter.service_tier, quantity, step, amount, money
    )


def _currency(row: Mapping[str, str]) -> str:
    """The row's currency. Without a column for it, a row whose cost is told in dollars too, as the same figure, is in
    dollars."""
    told = row.get("billingcurrency") or row.get("billingcurrencycode")
    if told is None and row.get("costinusd") and row["costinusd"] == row["costinbillingcurrency"]:
        return "USD"
    return told or ""


def _kind(source: SourceFile, place: str, charge_type: str) -> LineKind:
    if charge_type in _AMORTIZED:
        raise InvoiceRefused.at(
            source.name, place, "ChargeType", charge_type, "this is amortized cost, no invoice: export actual cost"
        )
    if charge_type not in _KINDS:
        raise InvoiceRefused.at(
            source.name,
            place,
            "ChargeType",
            charge_type or None,
            Sentence("unknown; known are %(known)s", known=", ".join(_KINDS)),
        )
    return _KINDS[charge_type]


def _meter(source: SourceFile, place: str, row: Mapping[str, str]) -> AzureMeter | None:
    """What a row of use counts; None where it is no model's use by the token. Models' use of another wording is
    UNMAPPED; a row without a meter refuses."""
    about = " ".join(row.get(name, "") for name in ("metercategory", "metersubcategory", "productname")).lower()
    found = azure_meter(row["metername"])
    if not any(name in about for name in _MODELS) and not (found and "token" in _words_of(row)):
        return None
    if "provisioned" in f"{about} {row['metername'].lower()}":
        return None
    if found is None and not row["metername"]:
        named = row.get("meterid") or Sentence("not told")
        remedy = Sentence("a row of use names its meter (MeterId %(id)s)", id=named)
        raise InvoiceRefused.at(source.name, place, "MeterName", None, remedy)
    return found or AzureMeter(row["metername"], UNMAPPED, None, None)


def _words_of(row: Mapping[str, str]) -> str:
    """Where a meter of a category that is not known by name says that it counts tokens."""
    return f"{row['metername']} {row['unitofmeasure']}".lower()


def _quantity(
    source: SourceFile, place: str, row: Mapping[str, str], meter: AzureMeter
) -> tuple[Decimal, Decimal]:
    unit = row["unitofmeasure"]
    if meter.scale is not None and re.match(r"1[KM]\b", unit.upper()) and unit.upper()[1] != meter.scale:
        raise InvoiceRefused.at(
            source.name,
            place,
            "UnitOfMeasure",
            unit,
            Sentence("the meter's name says 1%(scale)s: one of them is wrong", scale=meter.scale),
        )
    return quantity_in(source, place, ("Quantity", "UnitOfMeasure"), row["quantity"], unit, meter.unit)
