"""The vendor register: who bills, for whose models, in which zone and currency; dated by the vendor's day.

CSV `vendor,creditor,providers,accounts,zone,currency,tax_mode,tax_rate,fx_policy,settle_days,valid_from,valid_to`, and
optionally `tax_in_price,fx_day,tolerance_amount,tolerance_share`. `providers` and `accounts` are lists whose parts are
separated by `;` or by spaces; no accounts means all of them. No `fx_policy` means the organisation's. `tax_in_price`
says whether a tax is `added` to the prices (default) or `included` in them. `fx_day` is the day of the following month
that the vendor's invoice carries (or on which it is paid); without it the last day of the vendor's month counts. A
difference within `tolerance_amount` and `tolerance_share` of the smaller side (empty: not given) asks nobody; it is
booked and counted all the same.
A row replaces an earlier one of the same vendor and valid_from; nothing is overwritten. A vendor without a row is known
where BUILT_IN has it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from billing.csv_file import CellError, Columns, read_file
from billing.errors import BillingError, CellProblem, FileRefused
from billing.invoices.errors import UnknownVendor, VendorsRefused
from billing.money import minor_digits, parse_amount
from billing.periods import Month, month_in
from billing.sentences import Sentence, said_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COLUMNS = Columns(
    ("vendor", "providers"),
    ("creditor", "accounts", "zone", "currency", "tax_mode", "tax_rate", "fx_policy", "settle_days", "valid_from",
     "valid_to", "tax_in_price", "fx_day", "tolerance_amount", "tolerance_share"),
)  # fmt: skip
TAX_MODES = ("none", "vendor_charged", "reverse_charge", "domestic_invoice")
TAX_IN_PRICE = ("added", "included")
FX_POLICIES = ("usage_day", "month_fixed", "month_average", "invoice_date", "payment_date")
FX_POLICY_WORDS = {"invoice": "invoice_date"}
"""Another word for a policy, as the setting has it."""
SETTLE_DAYS_MAX = 366
_CHECKED_MONTHS = ("2026-01", "2026-07")
"""A winter and a summer month: a zone must have whole hours in both."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """One dated row of the register. `settle_days`: how long the vendor may revise a day after it ended.

    `fx_policy` is empty where the organisation's holds.
    """

    vendor: str
    creditor: str
    providers: tuple[str, ...]
    accounts: tuple[str, ...] = ()
    zone: str = "UTC"
    currency: str = "USD"
    tax_mode: str = "none"
    tax_rate: Decimal = Decimal(0)
    fx_policy: str = ""
    settle_days: int = 2
    valid_from: date | None = None
    valid_to: date | None = None
    tax_in_price: str = "added"
    fx_day: int | None = None
    tolerance_amount: Decimal = Decimal(0)
    tolerance_share: Decimal = Decimal(0)

    def month(self, name: str) -> Month:
        """The vendor's month in the vendor's zone."""
        return month_in(name, self.zone)

    def holds(self, day: date) -> bool:
        """Whether the row counts on a day."""
        return self.holds_within(day, day)

    def holds_within(self, first: date, last: date) -> bool:
        """Whether the row counts on some day from `first` to `last`, both included."""
        return (self.valid_from is None or self.valid_from <= last) and (self.valid_to is None or first < self.valid_to)


BUILT_IN = {
    row.vendor: row
    for row in (
        Vendor("openai", "OpenAI", ("openai",)),
        Vendor("anthropic", "Anthropic", ("anthropic",), settle_days=30),
        Vendor("google", "Google Cloud", ("google",), zone="America/Los_Angeles", settle_days=5),
        Vendor("aws", "Amazon Web Services", ("aws",)),
        Vendor("azure", "Microsoft Azure", ("azure",), settle_days=36),
        Vendor("mistral", "Mistral AI", ("mistral",), currency="EUR"),
        Vendor("xai", "xAI", ("x-ai", "xai"), settle_days=5),
        Vendor("openrouter", "OpenRouter", ("openrouter",)),
        Vendor("perplexity", "Perplexity", ("perplexity",)),
        Vendor("naver", "Naver Cloud", ("naver",), zone="Asia/Seoul", currency="KRW"),
    )
}
"""What holds without an import, for each vendor that an importer reads; a row of the register takes its place.

How long a vendor revises a day: Anthropic 30 days, Google 5, AWS 48 hours; Azure until the fifth day after the period,
which for its first day is 36 days. The others state no window: two days leave room for late batches, and five for an
xAI invoice that is written after its month.
"""


def read_vendors(raw: bytes, name: str) -> list[Vendor]:
    """The rows of a register file. Raises FileRefused naming every problem."""
    read = read_file(raw, name, COLUMNS, _row)
    first_line: dict[tuple[str, date | None], int] = {}
    problems = []
    for line, vendor in read:
        first = first_line.setdefault((vendor.vendor, vendor.valid_from), line)
        if first != line:
            remedy = Sentence(
                "line %(first)s says what holds from %(valid_from)s on: keep one",
                first=first,
                valid_from=vendor.valid_from or Sentence("the beginning"),
            )
            problems.append(CellProblem(name, line, "vendor", vendor.vendor, remedy))
    if problems:
        raise FileRefused(problems)
    return [vendor for _, vendor in read]


def with_new(known: Iterable[Vendor], new: Iterable[Vendor]) -> tuple[list[Vendor], list[Vendor]]:
    """(the register afterwards, the rows of `new` that change it). Raises VendorsRefused where rows overlap in time."""
    register = {(row.vendor, row.valid_from): row for row in known}
    changed = []
    for row in new:
        if register.get((row.vendor, row.valid_from)) != row:
            register[row.vendor, row.valid_from] = row
            changed.append(row)
    rows = sorted(register.values(), key=lambda row: (row.vendor, row.valid_from or date.min))
    for earlier, later in pairwise(rows):
        if earlier.vendor == later.vendor and (
            earlier.valid_to is None or earlier.valid_to > (later.valid_from or date.min)
        ):
            raise VendorsRefused(
                Sentence(
                    "vendor %(vendor)s has two rows on %(valid_from)s: give the row from "
                    "%(earlier_from)s the valid_to %(valid_from)s; nothing was imported",
                    vendor=repr(later.vendor),
                    valid_from=later.valid_from,
                    earlier_from=earlier.valid_from or Sentence("the beginning"),
                )
            )
    return rows, changed


def vendor_for(register: Iterable[Vendor], name: str, month: str | None) -> Vendor:
    """The one row that counts in a month; without a month the vendor's last.

    Raises UnknownVendor, or BillingError where a row ends within the month.
    """
    mine = [row for row in register if row.vendor == name] or ([BUILT_IN[name]] if name in BUILT_IN else [])
    if not mine:
        raise UnknownVendor(
            Sentence(
                "no vendor is named %(name)s: import it with `jangbu vendor import FILE` (see `jangbu vendor list`)",
                name=repr(name),
            )
        )
    if month is None:
        return mine[-1]
    days = month_in(month, "UTC").days
    first, last = ([row for row in mine if row.holds(day)] for day in (days[0], days[-1]))
    if not first and not last:
        raise UnknownVendor(
            Sentence(
                "vendor %(name)s has no row that holds in %(month)s: import one with `jangbu vendor import FILE`",
                name=repr(name),
                month=month,
            )
        )
    if not first or not last or first[0] != last[0]:
        if first and last and _same_terms(first[0], last[0]):
            return first[0]
        raise BillingError(f"the terms of vendor {name!r} change within {month}: let rows begin and end with a month")
    return first[0]


def _same_terms(one: Vendor, other: Vendor) -> bool:
    undated = {"valid_from": None, "valid_to": None}
    return replace(one, **undated) == replace(other, **undated)  # type: ignore[arg-type]


def _row(cells: Mapping[str, str]) -> Vendor:
    def cell(name: str, otherwise: str = "") -> str:
        return cells.get(name) or otherwise

    vendor = cell("vendor")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", vendor):
        raise CellError("vendor", vendor, "name it with letters, digits, dot, dash or underscore, at most 63")
    providers = _names(cell("providers"))
    if not providers:
        raise CellError("providers", "", "name at least one provider, separated by ; or spaces, as events name them")
    start, end = _day("valid_from", cell("valid_from")), _day("valid_to", cell("valid_to"))
    if start is not None and end is not None and end <= start:
        raise CellError("valid_to", cell("valid_to"), "it must be later than valid_from")
    tax_mode = _one_of("tax_mode", cell("tax_mode", "none"), TAX_MODES)
    tax_rate = _tax_rate(cell("tax_rate", "0"))
    fx_policy = cell("fx_policy")
    return Vendor(
        vendor=vendor,
        creditor=cell("creditor", vendor),
        providers=tuple(name.lower() for name in providers),
        accounts=_names(cell("accounts")),
        zone=_zone(cell("zone", "UTC")),
        currency=_currency(cell("currency", "USD")),
        tax_mode=tax_mode,
        tax_rate=tax_rate,
        fx_policy=_fx_policy(fx_policy) if fx_policy else "",
        settle_days=_settle_days(cell("settle_days", "2")),
        valid_from=start,
        valid_to=end,
        tax_in_price=_tax_in_price(cell("tax_in_price", "added"), tax_mode),
        fx_day=_fx_day(cell("fx_day"), fx_policy),
        tolerance_amount=_tolerance("tolerance_amount", cell("tolerance_amount", "0")),
        tolerance_share=_share(cell("tolerance_share", "0")),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in re.split(r"[;\s]+", text) if part))


def _one_of(column: str, value: str, choices: tuple[str, ...]) -> str:
    if value.lower() not in choices:
        raise CellError(column, value, Sentence("use one of %(known)s", known=", ".join(choices)))
    return value.lower()


def _zone(value: str) -> str:
    try:
        for month in _CHECKED_MONTHS:
            month_in(month, value)
    except BillingError as error:
        raise CellError("zone", value, said_by(error)) from None
    return value


def _currency(value: str) -> str:
    try:
        minor_digits(value.upper())
    except ValueError as error:
        raise CellError("currency", value, said_by(error)) from None
    return value.upper()


def _tax_rate(value: str) -> Decimal:
    try:
        rate = parse_amount(value)
    except ValueError as error:
        raise CellError("tax_rate", value, said_by(error)) from None
    if rate >= 1:
        raise CellError("tax_rate", value, Sentence("write 10 %% as 0.1"))
    return rate


def _tolerance(column: str, value: str) -> Decimal:
    try:
        return parse_amount(value)
    except ValueError as error:
        raise CellError(column, value, said_by(error)) from None


def _share(value: str) -> Decimal:
    share = _tolerance("tolerance_share", value)
    if share >= 1:
        raise CellError("tolerance_share", value, Sentence("write 0.01 %% as 0.0001"))
    return share


def _fx_policy(value: str) -> str:
    return _one_of("fx_policy", FX_POLICY_WORDS.get(value.lower(), value), FX_POLICIES)


def _tax_in_price(value: str, tax_mode: str) -> str:
    found = _one_of("tax_in_price", value, TAX_IN_PRICE)
    if found == "included" and tax_mode not in ("vendor_charged", "domestic_invoice"):
        remedy = Sentence(
            "with tax_mode %(tax_mode)s the vendor's prices hold no tax: leave it empty, or correct the mode",
            tax_mode=tax_mode,
        )
        raise CellError("tax_in_price", value, remedy)
    return found


def _fx_day(value: str, fx_policy: str) -> int | None:
    if not value:
        return None
    if not re.fullmatch(r"[1-9]|[12][0-9]|3[01]", value):
        raise CellError("fx_day", value, "use a day of the following month from 1 to 31, or leave it empty")
    if FX_POLICY_WORDS.get(fx_policy.lower(), fx_policy.lower()) not in ("invoice_date", "payment_date", ""):
        raise CellError(
            "fx_day",
            value,
            Sentence("with fx_policy %(fx_policy)s no such day counts: leave it empty", fx_policy=fx_policy),
        )
    return int(value)


def _settle_days(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", value) or int(value) > SETTLE_DAYS_MAX:
        raise CellError("settle_days", value, Sentence("use whole days from 0 to %(most)s", most=SETTLE_DAYS_MAX))
    return int(value)


def _day(column: str, value: str) -> date | None:
    if not value:
        return None
    try:
        return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007 - a calendar day, no instant
    except ValueError:
        raise CellError(column, value, "write a day as 2026-10-01, in the vendor's zone") from None
