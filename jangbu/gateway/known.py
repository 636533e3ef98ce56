"""What this process knows of quotas, pledges and programmes, as the door told it; and what that says of a call. Pure.

Taken whole by one thread and swapped in at once; asked by requests without a lock.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from billing.quotas.leases import TICKS, Account, ticks_of
from billing.quotas.quota import EACH, Quota, QuotaKey
from billing.quotas.table import QuotaTable
from billing.quotas.windows import Window, WindowKind, window_of
from jangbu.gateway.bounds import Bound, most_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from producers.contract import UsageEvent

Rates = dict[tuple[str, str, str], dict[str, int]]
"""By currency, provider and model: ticks of one unit, from above."""


class Caller(NamedTuple):
    """Who calls, as far as the gateway knows; `department` is the event's own."""

    user: str | None
    department: str | None
    key: str | None


class Asked(NamedTuple):
    """Which models a call may reach: the name that was asked for, and (provider, model) of what stands behind it.
    `others`: where a request names several (models at once, fallbacks of its own) each of them by itself; their models
    are among `models`."""

    name: str
    models: tuple[tuple[str, str], ...]
    others: tuple[Asked, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Lower case."""
        others = (one.name.lower() for one in self.others)
        return (self.name.lower(), *others, *(model.lower() for _, model in self.models))


class Left(NamedTuple):
    """A quota that a call counts against, with what the door said was used of it. Ticks."""

    quota: Quota
    subject: str
    window: Window
    limit: int
    used: int

    @property
    def account(self) -> Account:
        return Account(self.quota.id, self.subject, self.window.first_hour)

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    def shown(self, ticks: int) -> str:
        """Ticks as an exact decimal of the quota's unit."""
        return str(ticks) if self.quota.currency is None else f"{Decimal(ticks) / TICKS:f}"


class Known:
    """All of it at one version."""

    def __init__(self, zone: str = "UTC") -> None:
        self.epoch: str | None = None
        self.version = -1
        self._zone = zone
        self._table = QuotaTable(())
        self._limits: dict[int, int] = {}
        self._window_kinds: dict[int, WindowKind] = {}
        self._used: dict[tuple[int, str], tuple[int, int]] = {}
        self._windows: dict[str, tuple[datetime, Window]] = {}
        self._users: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        self._holding: frozenset[str] | None = None
        self.sign_at: str | None = None
        self._programmes: dict[str, list[tuple[str, tuple[str, ...]]]] = {}

    def and_then(self, news: Mapping[str, Any]) -> Known:
        """What is known with the door's news."""
        known = Known(news["zone"])
        known.epoch, known.version = news["epoch"], news["version"]
        if news["quotas"] is None:
            known._table, known._limits, known._window_kinds = self._table, self._limits, self._window_kinds
        else:
            rows = [_quota(row) for row in news["quotas"]]
            known._table = QuotaTable(rows)
            known._window_kinds = {row.id: row.key.window for row in rows}
            known._limits = {
                row.id: ticks_of(row.limit, row.key.unit, ROUND_FLOOR) for row in rows if row.limit is not None
            }
        known._used = {} if news["whole"] else dict(self._used)
        units = {row.id: row.key.unit for row in known._table.rows} if news["used"] else {}
        for quota, subject, hour, used in news["used"]:
            known._used[quota, subject] = (hour, ticks_of(Decimal(used), units[quota]))
        if news["access"] is None:
            known._take_access_of(self)
        else:
            known._take_access(news["access"])
        return known

    def department_of(self, caller: Caller) -> str | None:
        """The event's own, else the roster's by key, else by user (contract.md, section 9)."""
        if caller.department is not None:
            return caller.department
        return self._keys.get(caller.key or "") or self._users.get(caller.user or "")

    def left(self, caller: Caller, asked: Asked, moment: datetime) -> list[Left]:
        """The quotas that a call may count against, of any model that it may reach."""
        names = asked.names
        return [
            self._left(quota, subject, moment)
            for quota, subject in self._table.about(
                moment, caller.user, self.department_of(caller), self._may_count_for(caller.user, names)
            )
            if may_count(quota.key.model.lower(), names)
        ]

    def settled(self, event: UsageEvent, rates: Rates) -> tuple[tuple[Account, int], ...]:
        """What an event counts against hard quotas, money from above where the rates are known."""
        data = event.data
        caller = Caller(event.subject, data.department, data.key)
        found = []
        programmes = [
            code for code, models in self._programmes.get(caller.user or "", ()) if _is_named(data.model, models)
        ]
        for quota, subject in self._table.about(event.time, caller.user, self.department_of(caller), programmes):
            if quota.mode != "hard" or not quota.counts_model(data.model):
                continue
            if quota.currency is None:
                used = sum(count for unit, count in data.units.items() if quota.counts_unit(unit))
            elif data.status == "cached":
                used = 0
            else:
                of_model = rates_of(rates, quota.currency, data.provider, data.model)
                used = sum(of_model.get(unit, 0) * count for unit, count in data.units.items())
            if used:
                window = window_of(quota.key.window, event.time, self._zone)
                found.append((Account(quota.id, subject, window.first_hour), used))
        return tuple(found)

    def has_signed(self, user: str | None) -> bool:
        """Whether a person may call at all. A key without a person is asked for no pledge; nor is anybody where no
        register holds any."""
        return self._holding is None or user is None or user in self._holding

    def allows_model(self, user: str | None, asked: Asked) -> bool:
        """Whether a model is one of a programme's in which the person has a place, or the person is in none; of several
        each has to be."""
        if asked.others:
            return all(self.allows_model(user, one) for one in asked.others)
        programmes = self._programmes.get(user or "")
        if not programmes:
            return True
        by_name = any(_is_named(asked.name, models) for _, models in programmes)
        return by_name or (
            bool(asked.models)
            and all(any(_is_named(model, models) for _, models in programmes) for _, model in asked.models)
        )

    def _may_count_for(self, user: str | None, names: Sequence[str]) -> list[str]:
        """The programmes for which a person's call may count, whichever of these models answers."""
        return [
            code
            for code, models in self._programmes.get(user or "", ())
            if not models or any(may_count(one.lower(), names) for one in models)
        ]

    def over_at(self, moment: datetime) -> Callable[[Account], bool]:
        """Whether an account's window had ended at an instant. While it lasts its row may hold again, as after an
        override."""
        first_hours = {
            kind: window_of(kind, moment, self._zone).first_hour for kind in set(self._window_kinds.values())
        }

        def is_over(account: Account) -> bool:
            kind = self._window_kinds.get(account.quota)
            return kind is None or first_hours[kind] > account.window_hour

        return is_over

    def _left(self, quota: Quota, subject: str, moment: datetime) -> Left:
        window = self._window(quota, moment)
        hour, used = self._used.get((quota.id, subject), (window.first_hour, 0))
        return Left(quota, subject, window, self._limits[quota.id], used if hour == window.first_hour else 0)

    def _window(self, quota: Quota, moment: datetime) -> Window:
        """The window of an instant; computed once for as long as it lasts."""
        kind = quota.key.window
        kept = self._windows.get(kind)
        if kept is None or not kept[1].start <= moment < kept[0]:
            window = window_of(kind, moment, self._zone)
            kept = self._windows[kind] = (window.end, window)
        return kept[1]

    def _take_access(self, access: Mapping[str, Any]) -> None:
        pledges = access["pledges"]
        self._holding = None if pledges is None else frozenset(pledges["holding"])
        self.sign_at = None if pledges is None else pledges["sign_at"]
        self._users, self._keys = access["users"], access["keys"]
        for programme in access["programmes"]:
            for user in programme["users"]:
                self._programmes.setdefault(user, []).append((programme["programme"], tuple(programme["models"])))

    def _take_access_of(self, other: Known) -> None:
        self._holding, self.sign_at, self._programmes = other._holding, other.sign_at, other._programmes
        self._users, self._keys = other._users, other._keys


def most(left: Left, asked: Asked, bound: Bound, rates: Rates) -> int | None:
    """The most ticks of a quota that a call can use, whichever model answers; None: no bound, or no price."""
    currency = left.quota.currency
    if currency is None:
        return most_of(left.quota.key.unit, bound)
    if bound.prompt is None or bound.output is None or bound.searches is None or bound.calls is None:
        return None
    dearest = 0
    for provider, model in asked.models:
        of_model = rates_of(rates, currency, provider, model)
        if (bound.prompt and "input_tokens" not in of_model) or (bound.output and "output_tokens" not in of_model):
            return None  # half a price is none: what the other half costs is unknown
        of_input = max((rate for unit, rate in of_model.items() if most_of(unit, _INPUT)), default=0)
        of_output = max((rate for unit, rate in of_model.items() if most_of(unit, _OUTPUT)), default=0)
        of_call = of_model.get("requests", 0) * bound.calls
        dearest = max(dearest, of_input * bound.prompt + of_output * bound.output + of_call)
    return dearest if asked.models else None


_INPUT, _OUTPUT = Bound(1, 0, 0, 0), Bound(0, 1, 0, 0)


def rates_of(rates: Rates, currency: str, provider: str, model: str) -> dict[str, int]:
    """The rates of a model, or of the longest name that its own begins with (a snapshot's family)."""
    found = rates.get((currency, provider, model))
    if found is not None:
        return found
    names = [key for key in rates if key[:2] == (currency, provider) and model.startswith(f"{key[2]}-")]
    return rates[max(names, key=lambda key: len(key[2]))] if names else {}


def may_count(pattern: str, names: Sequence[str]) -> bool:
    """Whether use of any of these models may count against a quota's: the vendor's answer may name a snapshot."""
    if not pattern or pattern == EACH:
        return True
    if pattern.endswith(EACH):
        return any(name.startswith(pattern[:-1]) or pattern.startswith(f"{name}-") for name in names)
    return any(name == pattern or pattern.startswith(f"{name}-") for name in names)


def _is_named(model: str, models: Sequence[str]) -> bool:
    name = model.lower()
    return not models or any(
        name.startswith(one[:-1].lower()) if one.endswith(EACH) else name == one.lower() for one in models
    )


def _quota(row: Sequence[Any]) -> Quota:
    number, scope, subject, model, unit, window, limit, mode, valid_from, valid_to = row
    since, until = (
        None if one is None else datetime.fromisoformat(one).astimezone(UTC) for one in (valid_from, valid_to)
    )
    key = QuotaKey(scope, subject, model, unit, window)
    return Quota(number, key, None if limit is None else Decimal(limit), (), (), mode, since, until)
