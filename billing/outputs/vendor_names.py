"""Who is paid for what: vendors of providers and of charges beside the lines, by the vendor register. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from billing.invoices.vendors import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from billing.invoices.vendors import Vendor


@dataclass(frozen=True, slots=True)
class Creditor:
    """Who is paid. `is_known` says that the register named exactly one; else both names are the provider's."""

    vendor: str
    name: str
    is_known: bool


class Creditors:
    """The vendors of a month, ready to be asked."""

    def __init__(self, register: Iterable[Vendor], last_day: date) -> None:
        """`last_day` is the month's last day: the rows that hold on it count."""
        self._rows = [row for row in register if row.holds(last_day)]
        billed = {provider for row in self._rows for provider in row.providers}
        self._rows += [row for row in BUILT_IN.values() if billed.isdisjoint(row.providers)]

    def of_provider(self, provider: str) -> Creditor:
        """Who bills a provider's models; several vendors for one provider are not told apart, so none is named."""
        found = [row for row in self._rows if provider.lower() in row.providers]
        if len(found) == 1:
            return Creditor(found[0].vendor, found[0].creditor, is_known=True)
        return Creditor(provider, provider, is_known=False)

    def of_vendor(self, vendor: str) -> Creditor:
        """The creditor of a vendor that a charge names."""
        found = [row for row in self._rows if row.vendor == vendor]
        return Creditor(vendor, found[0].creditor if found else vendor, is_known=bool(found))

    def of_charge(self, charge: Mapping[str, Any]) -> Creditor | None:
        """The creditor of a charge: the vendor it names, or whose invoice its pool is (`invoice_fee:openai`), or who
        bills the provider that a correction names. None where it is nobody's outside."""
        vendor, provider = charge.get("vendor"), charge.get("provider")
        kind, _, of = str(charge.get("pool") or "").partition(":")
        if isinstance(vendor, str) and vendor:
            return self.of_vendor(vendor)
        if kind.startswith("invoice_") and of:
            return self.of_vendor(of)
        return self.of_provider(provider) if isinstance(provider, str) and provider else None


def is_tax(section: str, charge: Mapping[str, Any]) -> bool:
    """Whether a charge is tax: computed, shared from an invoice's tax lines, or a correction of tax."""
    pool = str(charge.get("pool") or "")
    return section == "taxes" or pool.startswith("invoice_tax:") or charge.get("section") in ("tax", "taxes")
