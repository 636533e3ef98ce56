"""One vendor's month: reads both sides in one snapshot, reconciles each currency, records what was found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.errors import BillingError
from billing.invoices.errors import NothingImported
from billing.invoices.lines import LineKind, VendorLine
from billing.invoices.reading import covered_days, formats_of, invoice_totals, last_import, read_lines
from billing.invoices.recognise import MONTHLY, importer_of
from billing.invoices.vendor_store import read_register
from billing.invoices.vendors import Vendor, vendor_for
from billing.money import minor_digits
from billing.periods import load_zone
from billing.reconciliation.groups import OurGroup, Policy, PriceLookup, PriceUse, Reconciliation
from billing.reconciliation.ours import price_lookup, read_ours, vendor_book
from billing.reconciliation.reconcile import is_open, reconcile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from sqlalchemy import Connection

    from billing.periods import Month


@dataclass(frozen=True, slots=True)
class ReconciledMonth:
    """The documents of a month, one a currency, and what they could see."""

    vendor: Vendor
    month: Month
    documents: tuple[Reconciliation, ...]
    last_import_id: int
    uncovered_days: tuple[date, ...]

    @property
    def has_open_breaks(self) -> bool:
        return any(is_open(found) for document in self.documents for found in document.breaks)


def reconcile_month(connection: Connection, vendor_name: str, month_name: str, now: datetime) -> ReconciledMonth:
    """Reconcile a vendor's month; the connection is a snapshot, `now` an aware instant (for what is provisional).

    Raises UnknownVendor, NothingImported, StoredInvoiceDamaged.
    """
    vendor = vendor_for(read_register(connection), vendor_name, month_name)
    month = vendor.month(month_name)
    first_day, end_day = month.days[0], month.days[-1] + timedelta(days=1)
    covered = covered_days(connection, vendor_name, "cost", first_day, end_day)
    if not covered:
        raise NothingImported(
            f"no invoice of {vendor_name!r} for {month_name} is imported: "
            f"`jangbu invoice import FILE --vendor {vendor_name} --month {month_name}`"
        )
    book = vendor_book(connection, vendor)
    ours = read_ours(connection, vendor, month, book)
    lines = read_lines(connection, vendor_name, first_day, end_day)
    totals = invoice_totals(connection, vendor_name, first_day, end_day)
    formats = formats_of(connection, vendor_name, first_day, end_day)
    folds = {unit: to for name in formats for unit, to in importer_of(name).folds.items()}
    if formats & MONTHLY:
        ours, lines = _on_last_day(ours, lines, month.days[-1])
    settled_before = now.astimezone(load_zone(vendor.zone)).date() - timedelta(days=vendor.settle_days)
    documents = []
    for currency in _currencies(vendor, ours, lines):
        policy = Policy(
            currency,
            _in_currency(price_lookup(book, vendor, month), currency),
            folds,
            settled_before,
            minor_unit=_minor_unit(currency),
            covered_days=frozenset(covered),
        )
        documents.append(
            reconcile(
                [group for group in ours if (group.currency or vendor.currency) == currency],
                [line for line in lines if (line.currency or vendor.currency) == currency],
                policy,
                totals.get(currency, Decimal(0)),
            )
        )
    uncovered = tuple(day for day in month.days if day not in covered)
    return ReconciledMonth(vendor, month, tuple(documents), last_import(connection), uncovered)


def _on_last_day(
    ours: Sequence[OurGroup], lines: Sequence[VendorLine], last: date
) -> tuple[list[OurGroup], list[VendorLine]]:
    """Both sides as one day, the month's last: a vendor that bills months tells nothing about days."""
    return (
        [replace(group, key=group.key._replace(day=last)) for group in ours],
        [replace(line, day=last) for line in lines],
    )


def _currencies(vendor: Vendor, ours: Sequence[OurGroup], lines: Sequence[VendorLine]) -> list[str]:
    """The currencies that either side has money in, the vendor's own first; at least one."""
    found = {line.currency for line in lines if line.currency} | {group.currency for group in ours if group.currency}
    if (
        any(group.amount is None for group in ours)
        or any(line.kind is LineKind.QUANTITY for line in lines)
        or not found
    ):
        found.add(vendor.currency)
    return sorted(found, key=lambda currency: (currency != vendor.currency, currency))


def _in_currency(lookup: PriceLookup, currency: str) -> PriceLookup:
    """Prices of another currency do not value anything here."""

    def look(day: date, model: str, tier: str, unit: str) -> PriceUse | None:
        use = lookup(day, model, tier, unit)
        return use if use is None or use.currency == currency else None

    return look


def _minor_unit(currency: str) -> Decimal:
    try:
        return Decimal(1).scaleb(-minor_digits(currency))
    except ValueError as error:
        raise BillingError(f"the invoice is in {currency!r}: {error}") from None
