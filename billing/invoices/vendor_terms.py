"""Whose bill use is on: the register, asked by provider, account and UTC hour.

A row of the register begins and ends at midnight of the vendor's zone. Where several rows hold for one provider, a row
that names the account goes before rows for all accounts, then the vendor that is named like the provider, then the
first name. A provider that no row holds for has no vendor: it has no tax, and the organisation's rate policy.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from billing.invoices.vendors import BUILT_IN
from billing.periods import hour_number, load_zone, month_in, month_of_hour

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from billing.invoices.vendors import Vendor

TERMS_BUILT_IN = ("openai",)
"""The other vendors that are built in are there so that their bills can be imported; they say nothing about rates or
tax, and must not stand before whoever is registered to bill their models."""
FOREVER = 1 << 40
"""An hour later than any."""


class VendorTerms:
    """The register with its days as UTC hours. Answers are kept: hours asked about are starts of stretches, not all."""

    def __init__(self, register: Iterable[Vendor]) -> None:
        rows = list(register)
        known = {row.vendor for row in rows}
        rows += [BUILT_IN[name] for name in TERMS_BUILT_IN if name not in known]
        self._spans = [(_first_hour(row.valid_from, row.zone, -FOREVER), _first_hour(row.valid_to, row.zone, FOREVER),
                        row) for row in rows]  # fmt: skip
        self._kept: dict[tuple[str, str | None, int], Vendor | None] = {}
        self.name_accounts = any(row.accounts for row in rows)
        """Whether the account decides anything: sums must then be read by account."""

    def at(self, provider: str, account: str | None, hour: int) -> Vendor | None:
        """The row under which use is billed; None where no vendor is known."""
        asked = (provider, account, hour)
        if asked not in self._kept:
            name = provider.lower()
            fitting = [
                (account not in row.accounts, row.vendor != name, row.vendor, row)
                for first, end, row in self._spans
                if first <= hour < end and name in row.providers and (not row.accounts or account in row.accounts)
            ]
            self._kept[asked] = min(fitting, key=lambda found: found[:3])[3] if fitting else None
        return self._kept[asked]

    def of(self, vendor: str, hour: int) -> Vendor | None:
        """The row of a vendor that holds at an hour."""
        return next((row for first, end, row in self._spans if row.vendor == vendor and first <= hour < end), None)

    def in_force(self, first_hour: int, end_hour: int) -> list[Vendor]:
        """The rows that hold at some hour of the stretch, in the register's order."""
        return [row for first, end, row in self._spans if first < end_hour and first_hour < end]

    def changes(self, first_hour: int, end_hour: int) -> set[int]:
        """Hours within the stretch at which a row begins or ends: no sum may cross one."""
        edges = {hour for first, end, _ in self._spans for hour in (first, end)}
        return {hour for hour in edges if first_hour < hour < end_hour}

    def month_starts(self, first_hour: int, end_hour: int, zones: Iterable[str]) -> set[int]:
        """Hours within the stretch at which a month begins in one of the zones."""
        starts = {month_in(month_of_hour(end_hour - 1, zone), zone).first_hour for zone in set(zones)}
        return {hour for hour in starts if first_hour < hour < end_hour}


def _first_hour(day: date | None, zone: str, otherwise: int) -> int:
    """The UTC hour in which a day begins in a zone."""
    if day is None:
        return otherwise
    return hour_number(datetime(day.year, day.month, day.day, tzinfo=load_zone(zone)).astimezone(UTC))
