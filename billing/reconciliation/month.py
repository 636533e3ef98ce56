"""One vendor's month: reads both sides in one snapshot, reconciles each currency, records what was found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from billing.errors import BillingError
from billing.invoices.errors import NothingImported
from billing.invoices.lines import LineKind, VendorLine
from billing.invoices.reading import (
    InvoiceTotals,
    covered_days,
    formats_of,
    invoice_totals,
    last_import,
    read_lines,
    read_sums_of_lines,
)
from billing.invoices.recognise import MONTHLY, importer_of
from billing.invoices.vendor_store import read_register
from billing.invoices.vendors import Vendor, vendor_for
from billing.money import minor_digits
from billing.periods import hour_start, load_zone
from billing.reconciliation.conversion import convert
from billing.reconciliation.cut_calls import read_cut_calls
from billing.reconciliation.groups import (
    Break,
    BreakClass,
    OurGroup,
    Policy,
    PriceLookup,
    PriceUse,
    Reconciliation,
)
from billing.reconciliation.month_edges import read_edge_uses
from billing.reconciliation.name_rules import read_rules, renamed
from billing.reconciliation.ours import price_lookup, read_ours, vendor_book
from billing.reconciliation.reconcile import is_open, reconcile
from billing.store import read_fx

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
    formats = formats_of(connection, vendor_name, first_day, end_day)
    read = read_lines if formats & MONTHLY else read_sums_of_lines  # on one day all lines may be equal to another
    lines = renamed(read(connection, vendor_name, first_day, end_day), read_rules(connection, vendor_name))
    totals = invoice_totals(connection, vendor_name, first_day, end_day)
    folds = {unit: to for name in formats for unit, to in importer_of(name).folds.items()}
    if formats & MONTHLY:
        ours, lines = _on_last_day(ours, lines, month.days[-1])
    converted = convert(ours, lines, month.days, vendor, read_fx(connection))
    look = converted.lookup(price_lookup(book, vendor, month))
    basis = Policy(vendor.currency, look, folds, covered_days=frozenset(covered), rates=converted.rates)
    basis = _with_terms(basis, vendor, month, now)
    documents = _documents(converted.ours, lines, totals, vendor, basis)
    if any(_wants_more(found, month) for document in documents for found in document.breaks):
        more = replace(
            basis,
            cut_calls=read_cut_calls(connection, vendor, month),
            edge_uses=() if formats & MONTHLY else read_edge_uses(connection, vendor, month),
        )
        documents = _documents(converted.ours, lines, totals, vendor, more)
    uncovered = tuple(day for day in month.days if day not in covered)
    return ReconciledMonth(vendor, month, documents, last_import(connection), uncovered)


def _with_terms(basis: Policy, vendor: Vendor, month: Month, now: datetime) -> Policy:
    """The policy with what the register says, and today in the vendor's zone."""
    today = now.astimezone(load_zone(vendor.zone)).date()
    starts = zip(month.days, month.day_hours, strict=True)
    return replace(
        basis,
        today=today,
        settled_before=today - timedelta(days=vendor.settle_days),
        provider=vendor.providers[0] if len(vendor.providers) == 1 else None,
        day_starts={day: f"{hour_start(hour):%Y-%m-%dT%H:%M:%SZ}" for day, hour in starts},
        tolerance_amount=vendor.tolerance_amount,
        tolerance_share=vendor.tolerance_share,
    )


def _documents(
    ours: Sequence[OurGroup], lines: Sequence[VendorLine], totals: InvoiceTotals, vendor: Vendor, basis: Policy
) -> tuple[Reconciliation, ...]:
    """One reconciliation a currency."""
    return tuple(
        reconcile(
            [group for group in ours if (group.currency or vendor.currency) == currency],
            [line for line in lines if (line.currency or vendor.currency) == currency],
            replace(
                basis,
                currency=currency,
                price=_in_currency(basis.price, currency),
                minor_unit=_minor_unit(currency),
            ),
            totals.added.get(currency, Decimal(0)),
            totals.stated.get(currency),
        )
        for currency in _currencies(vendor, ours, lines)
    )


def _wants_more(found: Break, month: Month) -> bool:
    """Whether our hours at the month's edges, or streams that broke off, could say more about a break."""
    if found.cls is BreakClass.QUANTITY:
        return True
    at_edge = found.key.day in {month.days[0], month.days[-1]}
    return at_edge and found.cls in {BreakClass.BYPASS, BreakClass.NOT_BILLED}


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
