"""What is refused of a vendor's file or of the register, in sentences that name place, value and remedy."""

from __future__ import annotations

import re
from typing import Final

from billing.errors import BillingError
from billing.sentences import Sentence, as_sentence

_ROW_PLACE: Final = re.compile(r"(line|row) ([0-9]+)(.*)", re.DOTALL)


class InvoiceRefused(BillingError):
    """A file that is not taken, as a whole. Nothing of it was stored."""

    @classmethod
    def at(cls, file: str, place: str, field: str, value: object, remedy: str) -> InvoiceRefused:
        """The refusal of one value: in which file, where in it (`line 3`, `data[0].results[1]`), which field."""
        return cls(
            Sentence(
                "%(file)s, %(place)s, %(field)s is %(value)s: %(remedy)s; nothing of this import was stored",
                file=file, place=_placed(place), field=field, value=shown(value), remedy=as_sentence(remedy),
            )
        )  # fmt: skip


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


def _placed(place: str) -> str:
    """A place that can be told in another language. Rows carry theirs as plain text: a file has millions of them."""
    if place == "the document":
        return Sentence("the document")
    row = _ROW_PLACE.fullmatch(place)
    if row is None:
        return place
    kind, number, rest = row.groups()
    if kind == "row":
        return Sentence("row %(number)s%(rest)s", number=number, rest=rest)
    return Sentence("line %(number)s%(rest)s", number=number, rest=rest)


def shown(value: object) -> str:
    """A value as a sentence may show it: quoted, printable, at most 80 characters."""
    if value is None:
        return Sentence("absent")
    text = str(value)
    cut = text if len(text) <= 80 else f"{text[:77]}..."
    return ascii(cut) if not cut.isprintable() else f"'{cut}'"
