"""The desk that leases slices: the states of quotas, what is settled beside them, and answers to reports.

`look` reads one snapshot: the sums, and which settled calls are in them. `take` answers reports from that and from the
slices of the moment, one transaction at a time over all doors. What is between the two (a call settled since the look)
is counted as settled; so is, until the next look, one whose event has arrived meanwhile: never too little.
"""

from __future__ import annotations

from collections import deque
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any, Final

from billing.periods import hour_number, second_number
from billing.quotas import lease_store as store
from billing.quotas.leases import (
    LEASE_S,
    Account,
    Asked,
    Report,
    Settled,
    apply_grants,
    apply_report,
    free_of,
    is_over,
    ticks_of,
)
from billing.quotas.rates import rates_of
from billing.quotas.running import RunningStates
from billing.quotas.windows import window_of
from producers.contract import identity_digest

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

KEPT_S: Final = 600
"""How long a settled call is kept after it was seen in the sums: another door may have read them earlier."""


class WrongReport(ValueError):
    """A report that cannot be read; the sentence says why."""


class Desk:
    """One door's. Not for several threads at once."""

    def __init__(self, zone: str) -> None:
        self.running = RunningStates(zone)
        self.reserved: dict[Account, int] = {}
        self._pending: dict[int, store.Kept] = {}
        self._settled: dict[Account, int] = {}
        self._last_id = 0
        self._rated: tuple[Any, list[Any]] = (None, [])
        self._done: deque[tuple[int, int]] = deque()

    def look(self, connection: Connection, moment: datetime) -> set[tuple[int, str]] | None:
        """Read up to a snapshot; which states changed, None: all may have."""
        self._hear(connection)
        found = store.in_the_sums(connection, [kept.call.event_key for kept in self._pending.values()])
        changed = self.running.advance(connection, moment)
        for kept in [one for one in self._pending.values() if one.call.event_key in found]:
            del self._pending[kept.id]
            self._done.append((second_number(moment), kept.id))
            self._add(kept, -1)
        slices = store.outstanding(connection)
        self.reserved = {
            account: slices.get(account, 0) + self._settled.get(account, 0)
            for account in slices.keys() | self._settled.keys()
        }
        return changed

    def take(self, connection: Connection, document: dict[str, Any], moment: datetime) -> dict[str, Any]:
        """A report's answer, in the caller's transaction. Raises WrongReport."""
        life, slot, source = (_text(document, name) for name in ("life", "slot", "source"))
        report = _report(document, source)
        accounts = {asked.account for asked in report.asked}
        accounts |= {account for call in report.settled for account, _ in call.amounts}
        unknown = {account.quota for account in accounts} - self.running.table.ids
        if unknown:
            raise WrongReport(f"quotas {sorted(unknown)} are not known: read the state anew")
        store.lock_desk(connection)
        self._hear(connection)
        process = store.heard_of(connection, life, slot, source)
        if process.is_closed or report.number not in (process.last_report, process.last_report + 1):
            return {"number": report.number, "lost": True, "granted": []}
        is_new = report.number == process.last_report + 1
        alike = {one for asked in report.asked for one in self._alike(asked.account)}
        by_process = store.slices_of(connection, sorted(accounts | alike))
        mine = by_process.setdefault(process.id, {})
        apply_report(report, mine, is_new=is_new)
        if is_new:
            store.write_settled(connection, report.settled)
            self._hear(connection)
            free = {asked.account: self._free(asked.account, by_process, moment) for asked in report.asked}
            apply_grants(report, mine, free, store.live_processes(connection))
        mine = {account: one for account, one in mine.items() if account in accounts}
        store.write_slices(connection, process.id, mine)
        store.note_report(connection, process.id, report.number, closing=report.closing)
        if document.get("drained") is True:
            store.note_drained(connection, process.id, slot)
        return {
            "number": report.number,
            "lost": False,
            "granted": [[*account, one.granted] for account, one in mine.items()],
            "rates": self._rates(document.get("models") or [], moment),
        }

    def tidy(self, connection: Connection, moment: datetime) -> int:
        """Let go of slices of processes that are gone and of settled calls that all doors saw; how many processes."""
        now_s = second_number(moment)
        store.lock_desk(connection)
        self._hear(connection)
        oldest_s = min((second_number(kept.at) for kept in self._pending.values()), default=None)
        over = [
            process_id
            for process_id, life in store.silent_lives(connection, LEASE_S).items()
            if is_over(life, now_s, oldest_s)
        ]
        if over:
            store.close_lives(connection, over)
        ids = []
        while self._done and self._done[0][0] + KEPT_S < now_s:
            ids.append(self._done.popleft()[1])
        if ids:
            store.drop_settled(connection, ids)
        return len(over)

    def _rates(self, models: Any, moment: datetime) -> list[Any]:
        """What units of models can cost, in the currencies of hard quotas; kept while the hour and the book last."""
        held = self.running.table.in_force(moment)
        currencies = tuple(sorted({quota.key.unit for quota in held if quota.mode == "hard" and quota.currency}))
        if self.running.prices is None or not currencies or not models:
            return []
        try:
            asked = tuple(sorted({(str(provider), str(model)) for provider, model in models}))
        except (TypeError, ValueError) as error:
            raise WrongReport(f"models are pairs of provider and model: {error}") from None
        key = (asked, currencies, hour_number(moment), self.running.registers)
        if self._rated[0] != key:
            self._rated = (key, rates_of(self.running.prices, asked, currencies, moment))
        return self._rated[1]

    def _hear(self, connection: Connection) -> None:
        for kept in store.settled_after(connection, self._last_id):
            self._last_id = kept.id
            self._pending[kept.id] = kept
            self._add(kept, 1)

    def _add(self, kept: store.Kept, sign: int) -> None:
        for account, amount in kept.call.amounts:
            left = self._settled.get(account, 0) + sign * amount
            if left:
                self._settled[account] = left
            else:
                self._settled.pop(account, None)

    def _free(self, account: Account, by_process: dict[int, Any], moment: datetime) -> int:
        """What may be granted of an account; nothing where its quota does not hold now or its window is another."""
        quota = self.running.table.by_id(moment, account.quota)
        if quota is None or quota.limit is None:
            return 0
        window = window_of(quota.key.window, moment, self.running.zone)
        if window.first_hour != account.window_hour:
            return 0
        state = self.running.states.get((account.quota, account.subject))
        used = state.used if state is not None and state.window == window else Decimal(0)
        alike = self._alike(account)
        return free_of(
            ticks_of(quota.limit, quota.key.unit, ROUND_FLOOR),
            ticks_of(used, quota.key.unit),
            sum(self._settled.get(one, 0) for one in alike),
            (held[one] for held in by_process.values() for one in alike if one in held),
        )

    def _alike(self, account: Account) -> list[Account]:
        """The same subject's accounts of all rows of a quota in the window: a row that takes another's place, as an
        override does, takes on what was leased and settled of that one."""
        return [account._replace(quota=one) for one in self.running.table.rows_of(account.quota, account.subject)]


def _report(document: dict[str, Any], source: str) -> Report:
    """A report as it came, checked."""
    try:
        settled = tuple(
            Settled(
                int(hour).to_bytes(4, "big") + identity_digest(source, str(event_id)),
                tuple((_account(entry), _amount(entry[3])) for entry in used),
            )
            for hour, event_id, used in document["settled"]
        )
        asked = tuple(Asked(_account(entry), *(_amount(one) for one in entry[3:])) for entry in document["accounts"])
        return Report(_amount(document["number"]), document.get("closing") is True, settled, asked)
    except (KeyError, TypeError, ValueError, OverflowError, IndexError) as error:
        raise WrongReport(f"a report of leases cannot be read ({type(error).__name__}: {error})") from None


def _account(entry: Any) -> Account:
    quota, subject, hour = entry[:3]
    if not (isinstance(quota, int) and isinstance(subject, str) and isinstance(hour, int)):
        raise TypeError(f"{entry[:3]!r} names no quota, subject and window")
    if not (0 <= quota < 2**31 and 0 <= hour < 2**31):
        raise ValueError("a quota or an hour that there cannot be")
    if "\x00" in subject or any("\ud800" <= letter <= "\udfff" for letter in subject):
        raise ValueError("a subject with characters that no database keeps")
    return Account(quota, subject, hour)


def _amount(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 10**30:
        raise ValueError(f"{value!r} is no amount")
    return value


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 512:
        raise WrongReport(f"{name} is {value!r}: give a text")
    return value
