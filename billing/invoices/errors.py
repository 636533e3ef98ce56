"""What is refused of a vendor's file or of the register, in sentences that name place, value and remedy."""

from __future__ import annotations

from billing.errors import BillingError


class InvoiceRefused(BillingError):
    """A file that is not taken, as a whole. Nothing of it was stored."""

    @classmethod
    def at(cls, file: str, place: str, field: str, value: object, remedy: str) -> InvoiceRefused:
        """The refusal of one value: in which file, where in it (`line 3`, `data[0].results[1]`), which field."""
        return cls(f"{file}, {place}, {field} is {shown(value)}: {remedy}; nothing of this import was stored")


class AlreadyImported(InvoiceRefused):
    """The same bytes again."""


class CoversAlready(InvoiceRefused):
    """Days that an earlier import covers in finer detail: replacing it would lose the detail."""


class VendorsRefused(BillingError):
    """A vendor register that is not taken, as a whole."""


class UnknownVendor(BillingError):
    """A vendor without a row in the register for the month asked for."""


class NothingImported(BillingError):
    """A vendor month without one imported invoice line or covered day."""


class StoredInvoiceDamaged(BillingError):
    """What is stored of an invoice contradicts itself."""


def shown(value: object) -> str:
    """A value as a sentence may show it: quoted, printable, at most 80 characters."""
    if value is None:
        return "absent"
    text = str(value)
    cut = text if len(text) <= 80 else f"{text[:77]}..."
    return ascii(cut) if not cut.isprintable() else f"'{cut}'"
