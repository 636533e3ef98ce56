"""Names and wordings out of a vendor's file: text that a database, a terminal and a sheet can hold."""

from __future__ import annotations

from billing.invoices.errors import InvoiceRefused
from billing.sentences import Sentence

CHARACTERS_MAX = 512


def text_of(file: str, place: str, field: str, value: object) -> str | None:
    """A text without the spaces around it, None where it is absent or blank. Raises InvoiceRefused otherwise."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvoiceRefused.at(file, place, field, value, "this is a text")
    text = value.strip()
    if text.startswith("="):
        raise InvoiceRefused.at(file, place, field, value, "it is a formula of a spreadsheet; write the text itself")
    if not text.isprintable():
        raise InvoiceRefused.at(file, place, field, value, "it holds characters that cannot be printed")
    if len(text) > CHARACTERS_MAX:
        raise InvoiceRefused.at(
            file, place, field, value, Sentence("it is longer than %(most)s characters", most=CHARACTERS_MAX)
        )
    return text or None
