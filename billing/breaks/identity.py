"""What makes two breaks the same one: everything that says what they are about, nothing that says when or how much.

The days of a month are one break (a price that differs is one thing to decide, not thirty-one), a re-run finds it
again, and so does the next month. The class is part of it: another cause is another break. Pure.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, NamedTuple

from billing.errors import BillingError
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN_DIGITS = 10
DIGITS_MIN = 4
_ID = re.compile(rf"([0-9]{{4}}-[0-9]{{2}})-([0-9a-f]{{{DIGITS_MIN},64}})")


class BreakName(NamedTuple):
    """A break as people name it: its month and the beginning of its fingerprint, `2026-10-1f2e3d4c5b`."""

    month: str
    digits: str

    def __str__(self) -> str:
        return f"{self.month}-{self.digits}"


def about(key: Mapping[str, str | None]) -> dict[str, str]:
    """A stored key without its day and without what it does not tell."""
    return {name: value for name, value in sorted(key.items()) if name != "day" and value is not None}


def fingerprint(vendor: str, currency: str, cls: str, key: Mapping[str, str | None]) -> str:
    """SHA-256, in hex, of what a break is about. Amounts of two currencies cannot be one, so it holds the currency."""
    told = {"vendor": vendor, "currency": currency, "class": cls, "key": about(key)}
    return hashlib.sha256(json.dumps(told, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def name_of(month: str, digits: str) -> str:
    """How a break is shown."""
    return str(BreakName(month, digits[:SHOWN_DIGITS]))


def parse_name(text: str) -> BreakName:
    """A break as somebody wrote it; a shorter beginning will do where it is the only one. Raises BillingError."""
    found = _ID.fullmatch(text.strip().lower())
    if found is None:
        raise BillingError(
            Sentence(
                "break is %(text)s: name it as `jangbu break list` shows it, such as 2026-10-1f2e3d4c5b",
                text=repr(text),
            )
        )
    return BreakName(found[1], found[2])
