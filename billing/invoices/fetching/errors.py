"""Why a month could not be fetched, in sentences that name vendor, place, value and remedy. None holds a key."""

from __future__ import annotations

from billing.errors import BillingError

NOTHING = "nothing was imported"
CHARACTERS_SHOWN_MAX = 80


class FetchRefused(BillingError):
    """An answer that is not taken, or a month that cannot be asked for. Nothing was imported."""


class KeyRefused(FetchRefused):
    """The vendor does not take the key (401, 403)."""


class NotThere(FetchRefused):
    """The vendor has nothing at the address (404)."""


class VendorAway(FetchRefused):
    """No answer after every try: cannot be reached, cut off, too busy, or failing."""


class NothingToFetch(FetchRefused):
    """The vendor has nothing for the month: it lies ahead, is too old for the API, or no invoice was issued yet."""


def shown(value: object) -> str:
    """What a vendor sent, as a sentence may show it: quoted, printable, short."""
    text = str(value)
    cut = text if len(text) <= CHARACTERS_SHOWN_MAX else f"{text[: CHARACTERS_SHOWN_MAX - 3]}..."
    return f"'{cut}'" if cut.isprintable() else ascii(cut)
