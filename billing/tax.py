"""Tax of vendors as computed charges: one for each department and vendor (contract.md, section 9, Tax).

What the register says of a vendor, by date:

* `none`: nothing. What the vendor's invoice shows as tax reaches statements by an allocation rule, if one says so;
* `vendor_charged`, `domestic_invoice`: the vendor adds `tax_rate` to its prices, or has it in them (`tax_in_price`);
* `reverse_charge`: the vendor charges none, and the organisation owes `tax_rate` of the price itself. A city is no
  taxable business for this use and recovers nothing, so it is a cost like the others (VAT Act of Korea, article 52).

The tax is the rate times the exact cost of the vendor's own lines; it is rounded with everything else on the statement.
A tax that prices include is shown with what it comes to, and adds nothing. A rate of 0 computes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from billing.charges import Charge
from billing.errors import StateRefused
from billing.money import exact_text, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from billing.charges import Department
    from billing.invoices.vendors import Vendor


class TaxedTwice(StateRefused):
    """A vendor's tax would reach statements both computed and from its invoice."""


@dataclass(slots=True)
class VendorUse:
    """What a department used of one vendor: its exact cost in the statement's currency, and its tokens."""

    cost: Fraction
    tokens: int


def is_computed(vendor: Vendor) -> bool:
    """Whether a row of the register says a tax to be computed, added or included."""
    return vendor.tax_mode != "none" and vendor.tax_rate > 0


def tax_charges(use: Mapping[Department, Mapping[Vendor | None, VendorUse]]) -> list[Charge]:
    """The computed taxes of all departments. Rows of one vendor with the same terms are one charge. Pure."""
    charges = []
    for department, by_vendor in use.items():
        bases: dict[tuple[str, ...], Fraction] = {}
        rows: dict[tuple[str, ...], Vendor] = {}
        for vendor, used in by_vendor.items():
            if vendor is None or not is_computed(vendor) or not used.cost:
                continue
            key = (vendor.vendor, vendor.tax_mode, vendor.tax_in_price, plain(vendor.tax_rate))
            bases[key] = bases.get(key, Fraction(0)) + used.cost
            rows[key] = vendor
        charges += [_charge(department, key, rows[key], base) for key, base in sorted(bases.items())]
    return charges


def refuse_taxed_twice(computed: Iterable[Vendor], allocated: Mapping[str, str], month: str) -> None:
    """Refuse a month in which a vendor's tax is computed and its invoice's tax lines are allocated as well.

    `computed`: the register's rows in force; `allocated`: the rule that shares a vendor's tax lines, by vendor.
    Raises TaxedTwice.
    """
    for vendor in computed:
        if is_computed(vendor) and vendor.vendor in allocated:
            raise TaxedTwice(
                f"the tax of vendor {vendor.vendor!r} would be charged twice in {month}: the register has tax_mode "
                f"{vendor.tax_mode} at {plain(vendor.tax_rate)}, and rule {allocated[vendor.vendor]!r} allocates the "
                "tax lines of its invoice; let one of them end (a rule by a row with pool none, the register by "
                "tax_mode none)"
            )


def _charge(department: Department, key: tuple[str, ...], vendor: Vendor, base: Fraction) -> Charge:
    rate = Fraction(vendor.tax_rate)
    is_included = vendor.tax_in_price == "included"
    tax = base * rate
    document = {
        "vendor": vendor.vendor,
        "creditor": vendor.creditor,
        "tax_mode": vendor.tax_mode,
        "tax_rate": plain(vendor.tax_rate),
        "tax_in_price": vendor.tax_in_price,
        "base_exact": exact_text(base),
        "included_exact": exact_text(base * rate / (1 + rate)) if is_included else None,
    }
    return Charge("tax", department, key, Fraction(0) if is_included else tax, document)
