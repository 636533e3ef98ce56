"""What counts against quotas: derived from the hourly sums at any time, so the same after any crash.

Quantities count as they were metered; money counts as priced (base price of the dated book, without volume tiers of a
contract, which only a whole month decides) at the rate of the day of use. Use without a price or a rate is unknown and
never 0: it stands beside what is known, and what is known is then a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Context, Decimal
from typing import TYPE_CHECKING, Literal, get_args

from billing.money import exact, plain
from billing.periods import day_starts, hour_start, load_zone
from billing.quotas.quota import EACH, Quota, QuotaKey, in_force
from billing.quotas.register import read_members
from billing.quotas.windows import Window, WindowKind, window_of
from billing.rating import UsageSum, cost_of, rate
from billing.sums import read_sums

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from billing.fx import FxTable
    from billing.prices import PriceBook, PriceRow
    from billing.quotas.membership import Members

State = Literal["within", "warned", "spent"]
STATES: tuple[State, ...] = get_args(State)
"""From the best to the worst."""
_DIMENSIONS: dict[str, tuple[str, ...]] = {"organisation": (), "department": ("department",), "user": ("user",),
                                          "programme": ("user",)}  # fmt: skip
_TENTH = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class QuotaState:
    """A quota for one subject in one window. `unknown_quantity`: use that counts and has no price or no rate."""

    quota: Quota
    subject: str
    window: Window
    used: Decimal
    unknown_quantity: int = 0

    @property
    def limit(self) -> Decimal:
        """In the quota's unit or currency."""
        assert self.quota.limit is not None
        return self.quota.limit

    @property
    def crossed(self) -> tuple[Decimal, ...]:
        """The thresholds, in percent, that are reached."""
        with exact():
            return tuple(one for one in self.quota.thresholds if self.used * 100 >= one * self.limit)

    @property
    def state(self) -> State:
        """`spent` at the limit or above, `warned` where a threshold is reached."""
        if self.used >= self.limit:
            return "spent"
        return "warned" if self.crossed else "within"

    def document(self) -> dict[str, object]:
        """As `quota status --json` shows it. `percent` is cut off after a tenth, never rounded up to a threshold."""
        key = self.quota.key
        with exact():
            remaining = max(Decimal(0), self.limit - self.used)
        percent = Context(prec=60, rounding=ROUND_FLOOR).divide(self.used * 100, self.limit).quantize(
            _TENTH, rounding=ROUND_FLOOR
        )  # fmt: skip
        return {
            "quota": self.quota.id,
            "scope": key.scope,
            "subject": self.subject or None,
            "model": key.model or None,
            "unit": key.unit,
            "window": key.window,
            "window_start": self.window.start,
            "resets_at": self.window.end,
            "limit": plain(self.limit),
            "used": plain(self.used),
            "remaining": plain(remaining),
            "percent": plain(percent),
            "state": self.state,
            "mode": self.quota.mode,
            "crossed": [plain(one) for one in self.crossed],
            "thresholds": [plain(one) for one in self.quota.thresholds],
            "unknown_quantity": str(self.unknown_quantity),
        }


@dataclass(frozen=True, slots=True)
class Prices:
    """What turns quantities into money: the book, the rates, and the zone whose days decide a rate."""

    book: PriceBook
    rates: FxTable
    zone: str

    def amount(self, quantity: int, price: PriceRow, hour: int, currency: str) -> Decimal | None:
        """What a quantity of a UTC hour costs in a currency; None where no rate converts it."""
        cost = cost_of(quantity, price)
        if price.currency == currency:
            return cost
        day = hour_start(hour).astimezone(load_zone(self.zone)).date()
        row = self.rates.on(day, price.currency, currency)
        if row is None:
            return None
        with exact():
            return cost * row.rate


@dataclass(slots=True)
class Tally:
    """What was used so far, exactly, and what has no price or rate."""

    used: Decimal = Decimal(0)
    unknown: int = 0

    def add(self, amount: Decimal | None, quantity: int) -> None:
        if amount is None:
            self.unknown += quantity
        else:
            with exact():
                self.used += amount


Tallies = dict[tuple[int, str], Tally]
"""By the quota's id and the subject."""


@dataclass(slots=True)
class Group:
    """Quotas of one window and scope, ready to be asked by subject."""

    window: Window
    scope: str
    own: dict[str, list[Quota]] = field(default_factory=dict)
    each: list[Quota] = field(default_factory=list)
    keys: set[QuotaKey] = field(default_factory=set)
    by_id: dict[int, Quota] = field(default_factory=dict)

    def take(self, quota: Quota) -> None:
        """Add a quota in force."""
        self.keys.add(quota.key)
        self.by_id[quota.id] = quota
        if quota.key.subject == EACH:
            self.each.append(quota)
        else:
            self.own.setdefault(quota.key.subject, []).append(quota)

    def of(self, subject: str) -> list[Quota]:
        """The quotas that a subject's use counts against: its own, and those of each without one of its own."""
        for_each = [one for one in self.each if one.key._replace(subject=subject) not in self.keys]
        return [*self.own.get(subject, ()), *for_each]

    @property
    def has_money(self) -> bool:
        return any(one.currency is not None for quotas in (self.each, *self.own.values()) for one in quotas)


def states_at(
    connection: Connection, rows: Sequence[Quota], prices: Prices, moment: datetime
) -> list[QuotaState]:
    """Every quota that holds at an instant with what counts in its window; the connection is a snapshot.

    A quota of each (`*`) is listed for those that used something.
    """
    members = read_members(connection, rows, prices.zone)
    found = [
        state
        for group in groups_of(in_force(rows, moment), moment, prices.zone).values()
        for state in states_of(group, read_group(connection, group, prices, members))
    ]
    return sorted(found, key=lambda state: (state.quota.key.scope, state.subject, state.quota.key, state.quota.id))


def groups_of(held: Sequence[Quota], moment: datetime, zone: str) -> dict[tuple[WindowKind, str], Group]:
    """The quotas in force, by window kind and scope."""
    groups: dict[tuple[WindowKind, str], Group] = {}
    windows = {kind: window_of(kind, moment, zone) for kind in {quota.key.window for quota in held}}
    for quota in held:
        kind, scope = quota.key.window, quota.key.scope
        groups.setdefault((kind, scope), Group(windows[kind], scope)).take(quota)
    return groups


def read_group(connection: Connection, group: Group, prices: Prices, members: Members) -> Tallies:
    """What counts in a group's window, from all of its sums."""
    window = group.window
    cuts = _cuts(window, prices) if group.has_money else []
    if group.scope == "programme":
        cuts = sorted({*cuts, *members.edges(window.first_hour, window.end_hour)})
    tallies: Tallies = {(quota.id, subject): Tally() for subject, quotas in group.own.items() for quota in quotas}
    for usage in read_sums(connection, window.first_hour, window.end_hour, cuts, _DIMENSIONS[group.scope]):
        who = usage.dimensions[0] if usage.dimensions else ""
        for subject in members.of(who, usage.hour, usage.model) if group.scope == "programme" else (who,):
            add_use(tallies, group, subject, usage, prices)
    return tallies


def add_use(tallies: Tallies, group: Group, subject: object, usage: UsageSum, prices: Prices) -> set[tuple[int, str]]:
    """Count a subject's use against its quotas; the tallies that it counts for."""
    if not isinstance(subject, str):
        return set()
    touched = set()
    for quota in group.of(subject):
        if quota.counts_model(usage.model):
            place = (quota.id, subject)
            _count(tallies.setdefault(place, Tally()), quota, usage, prices)
            touched.add(place)
    return touched


def states_of(group: Group, tallies: Tallies) -> list[QuotaState]:
    """The tallies of a group as states."""
    return [
        QuotaState(group.by_id[quota_id], subject, group.window, tally.used, tally.unknown)
        for (quota_id, subject), tally in tallies.items()
    ]


def _count(tally: Tally, quota: Quota, usage: UsageSum, prices: Prices) -> None:
    if quota.currency is None:
        for unit, quantity in usage.quantities:
            if quota.counts_unit(unit):
                tally.add(Decimal(quantity), quantity)
        return
    for part in rate((usage,), prices.book):
        if part.status == "unpriced":
            tally.add(None, part.quantity)
        elif part.price is not None:
            tally.add(prices.amount(part.quantity, part.price, usage.hour, quota.currency), part.quantity)


def _cuts(window: Window, prices: Prices) -> list[int]:
    """UTC hours where a price changes and where a local day begins: a rate belongs to a day."""
    days = day_starts(window.first_hour, window.end_hour, prices.zone)
    return sorted(days | prices.book.cuts(window.first_hour, window.end_hour))
