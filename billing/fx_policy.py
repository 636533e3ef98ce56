"""Which day's rate converts an amount (contract.md, section 9, FX): the policies, as days.

* `usage_day`: the day of use, in the organisation's zone;
* `month_fixed`: one day for the whole month of the organisation;
* `invoice`: the day that the vendor's invoice of that use carries.

A vendor may have a policy of its own in the register, which goes before the organisation's. Whatever the day, the rate
is that day's row, else the last one before it (holidays; a day that has not come yet), by `billing.fx`. An inverse or a
cross rate is never computed.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from calendar import monthrange
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from billing.errors import BillingError
from billing.fx import FxRow
from billing.periods import Month, month_in, month_of_hour

if TYPE_CHECKING:
    from billing.fx import FxTable
    from billing.invoices.vendor_terms import VendorTerms
    from billing.invoices.vendors import Vendor
    from billing.policy import MoneyPolicy

FxPolicy = Literal["usage_day", "month_fixed", "invoice"]


def fixed_day(fx_day: str, last: date) -> date:
    """The day whose rate holds for the month that ends with `last`.

    `fx_day` is `last`, a day of the month from 1 to 31 (in a shorter month its last one), or a day as YYYY-MM-DD.
    Raises BillingError for anything else.
    """
    if fx_day == "last":
        return last
    if re.fullmatch(r"[1-9]|[12][0-9]|3[01]", fx_day):
        return last.replace(day=min(int(fx_day), last.day))
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", fx_day):
        try:
            return date.fromisoformat(fx_day)
        except ValueError:
            pass
    raise BillingError(f"fx day is {fx_day!r}: use last, a day of the month from 1 to 31, or a day such as 2026-10-30")


def invoice_day(vendor: Vendor, month_last: date) -> date:
    """The day that a vendor's invoice carries for the month of its own that ends with `month_last`.

    `fx_day` of the register is a day of the month after; without one it is the last day of the month itself.
    """
    if vendor.fx_day is None:
        return month_last
    year, number = month_last.year + month_last.month // 12, month_last.month % 12 + 1
    return date(year, number, min(vendor.fx_day, monthrange(year, number)[1]))


class Conversion:
    """Rates for one month of the organisation, by its policy and by those of vendors. Answers are kept."""

    def __init__(self, rates: FxTable, vendors: VendorTerms, month: Month, policy: MoneyPolicy) -> None:
        self.rates = rates
        self.vendors = vendors
        self.month = month
        self.policy = policy
        self._kept: dict[tuple[date, str], FxRow | None] = {}
        self._averages: dict[tuple[str, str], FxRow | None] = {}

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What sums must be read by, so that each is of one department and one vendor."""
        return ("department", "account") if self.vendors.name_accounts else ("department",)

    def cuts(self) -> set[int]:
        """UTC hours that no sum may cross: where a row of the register begins or ends, and where a vendor's month
        begins if its month decides the rate."""
        first, end = self.month.first_hour, self.month.end_hour
        zones = {
            row.zone
            for row in self.vendors.in_force(first, end)
            if policy_name(self.policy, row) not in ("usage_day", "month_fixed")
        }
        return self.vendors.changes(first, end) | self.vendors.month_starts(first, end, zones)

    def for_use(
        self, provider: str, account: str | None, hour: int, base: str | None
    ) -> tuple[Vendor | None, FxRow | None]:
        """Who bills use of a UTC hour, and the row that converts it.

        `base` is the price's currency where it is another than the organisation's, else None. No row: there is none
        (or none is needed).
        """
        vendor = self.vendors.at(provider, account, hour)
        if base is None:
            return vendor, None
        name = policy_name(self.policy, vendor)
        if name == "usage_day":
            place = bisect_right(self.month.day_hours, hour) - 1
            return vendor, self.on(self.month.days[place], base)
        if name == "month_fixed":
            return vendor, self.for_month(base)
        zone = self.policy.zone if vendor is None else vendor.zone
        return vendor, self._for_vendor_month(name, base, month_in(month_of_hour(hour, zone), zone), vendor)

    def for_invoice(self, base: str, day: date, vendor: Vendor | None) -> FxRow | None:
        """The row that converts an amount that stands on an invoice under a day of the vendor's."""
        name = policy_name(self.policy, vendor)
        if name == "usage_day":
            return self.on(day, base)
        if name == "month_fixed":
            return self.for_month(base)
        return self._for_vendor_month(name, base, month_in(f"{day:%Y-%m}", "UTC"), vendor)

    def for_month(self, base: str) -> FxRow | None:
        """The row that converts an amount of the whole month that belongs to no day: of its fixed day."""
        return self.on(fixed_day(self.policy.fx_day, self.month.days[-1]), base)

    def on(self, day: date, base: str) -> FxRow | None:
        """The row of a day, else the last one before it."""
        asked = (day, base)
        if asked not in self._kept:
            self._kept[asked] = self.rates.on(day, base, self.policy.currency)
        return self._kept[asked]

    def _for_vendor_month(self, name: str, base: str, month: Month, vendor: Vendor | None) -> FxRow | None:
        """The rate of a vendor's month as a whole: of its invoice's day, or its average."""
        if name != "month_average":
            last = month.days[-1]
            return self.on(last if vendor is None else invoice_day(vendor, last), base)
        asked = (month.name, base)
        if asked not in self._averages:
            self._averages[asked] = average_of(
                self.rates.within(month.days[0], month.days[-1], base, self.policy.currency), month, len(self._averages)
            )
        return self._averages[asked]


def policy_name(policy: MoneyPolicy, vendor: Vendor | None) -> str:
    """The policy that holds for a vendor: its own, else the organisation's."""
    own = "" if vendor is None else vendor.fx_policy
    return own or policy.fx_policy


def average_of(rows: list[FxRow], month: Month, number: int) -> FxRow | None:
    """The mean of a month's published rates, to as many digits as they have, half to even; None where there is none.

    The row stands in no table: its id is below 0, and its source says what it was made of.
    """
    if not rows:
        return None
    digits = max(0, *(-int(row.rate.normalize().as_tuple().exponent) for row in rows))
    mean = sum((Fraction(row.rate) for row in rows), Fraction(0)) / len(rows)
    rate = Decimal(round(mean * 10**digits)).scaleb(-digits)
    source = f"mean of the {len(rows)} rates published in {month.name} ({rows[0].date} to {rows[-1].date})"
    return FxRow(-1 - number, rows[-1].date, rows[0].base, rows[0].quote, rate, source)

