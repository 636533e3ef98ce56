"""What this process may still use of hard quotas, and what it holds of that for calls under way. Pure but for a lock.

    granted = returned + settled + held + free        for each account, all in ticks

A call holds its worst case for every account before it is made; each of its events settles what was really used; its
end lets go of the rest. Reports to the door carry settled calls with their events' identities and give back what is
free for nothing; one is repeated, under its number, until it is answered (billing/quotas/leases.py).
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from billing.quotas.leases import LEASE_S, Account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LATE_S: Final = 2 * 3600.0 + 60
"""A call that has not ended by then is let go of: its event has been made as one that is owed."""
ENDED_GRACE_S: Final = 6.0
"""After a request failed for good its last events may still come for so long (`attempts.GRACE_S` and a second)."""
SETTLED_MAX: Final = 5_000
"""Settled calls in one report."""
RECENT_REPORTS: Final = 3
DENIED_S: Final = 0.5
"""So long after a report to which the door had no slice for a call, calls of as much are refused without asking: at a
limit that is spent everybody would wait for the same answer."""
Needs = tuple[tuple[Account, int], ...]


@dataclass(slots=True)
class _Share:
    """One account's amounts. `waiting`: calls that are short of a slice; `asked`: the least of them in the report that
    is unanswered; `denied`: what the door had no slice for, until an instant; `taken`: held anew since the last
    report."""

    granted: int = 0
    returned: int = 0
    settled: int = 0
    held: int = 0
    waiting: list[int] = field(default_factory=list)
    asked: int | None = None
    denied: int | None = None
    denied_until_s: float = float("-inf")
    taken: int = 0
    taken_lately: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT_REPORTS))

    @property
    def free(self) -> int:
        return self.granted - self.returned - self.settled - self.held


@dataclass(slots=True)
class _Hold:
    """What is held for a request: `needs` for each of the attempts whose event has not come."""

    needs: Needs
    begun_s: float
    attempts: int = 1
    called: int = 0
    ended_s: float | None = None


class Slices:
    """The slices of one life of this process. Usable from several threads; no call waits longer than another's few
    microseconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shares: dict[Account, _Share] = {}
        self._holds: dict[str, list[_Hold]] = {}
        self._settled: list[tuple[int, str, Needs]] = []
        self._number = 0
        self._unanswered: dict[str, Any] | None = None
        self.valid_until_s = float("-inf")

    def hold(self, call_id: str, needs: Needs, now_s: float) -> list[Account]:
        """Hold one call's worst case, all or nothing; the accounts that are short (empty: it is held)."""
        with self._lock:
            short = self._short(needs, now_s)
            if not short:
                self._take(needs)
                self._holds.setdefault(call_id, []).append(_Hold(needs, now_s))  # clients may give one id twice
            return short

    def is_denied(self, needs: Needs, now_s: float) -> bool:
        """Whether the door has just said that it has no slice for so much."""
        with self._lock:
            for account, amount in needs:
                share = self._shares.get(account)
                if share is None or share.denied is None or share.free >= amount:
                    continue
                if amount >= share.denied and now_s < share.denied_until_s:
                    return True
            return False

    def next_attempt(self, call_id: str, now_s: float) -> list[Account]:
        """A request is about to call a vendor: from the second time on the same is held once more. The accounts that
        are short; empty also where nothing is held for the request."""
        with self._lock:
            holds = self._holds.get(call_id)
            if not holds:
                return []
            hold = holds[-1]
            hold.called += 1
            if hold.called == 1:
                return []
            short = self._short(hold.needs, now_s)
            if not short:
                self._take(hold.needs)
                hold.attempts += 1
            return short

    def settle(self, call_id: str, hour: int, event_id: str, used: Needs) -> None:
        """An event of a call has been written: what it used leaves what was held for that call."""
        with self._lock:
            for hold in self._holds.get(call_id, ()):
                if hold.attempts > 0:
                    hold.attempts -= 1
                    self._release(hold.needs, 1)
                    break
            self._drop_done(call_id)
            for account, amount in used:
                self._shares.setdefault(account, _Share()).settled += amount
            if used:
                self._settled.append((hour, event_id, used))

    def ended(self, call_id: str, now_s: float) -> None:
        """A request is over; events of it may come for some seconds more."""
        with self._lock:
            for hold in self._holds.get(call_id, ()):
                if hold.ended_s is None:
                    hold.ended_s = now_s
                    break
            self._drop_done(call_id)

    def let_go(self, now_s: float) -> None:
        """Give free what is held for requests that are over."""
        with self._lock:
            for call_id in list(self._holds):
                for hold in self._holds[call_id]:
                    is_over = hold.ended_s is not None and hold.ended_s + ENDED_GRACE_S <= now_s
                    if is_over or hold.begun_s + LATE_S <= now_s:
                        self._release(hold.needs, hold.attempts)
                        hold.attempts, hold.ended_s = 0, now_s
                self._drop_done(call_id)

    def is_short(self) -> bool:
        """Whether somebody waits for a slice."""
        with self._lock:
            return any(share.waiting for share in self._shares.values())

    def report(self, *, closing: bool = False) -> dict[str, Any]:
        """What to tell the door now; the same again until it was answered."""
        with self._lock:
            if self._unanswered is not None:
                return self._unanswered
            self._number += 1
            settled, self._settled = self._settled[:SETTLED_MAX], self._settled[SETTLED_MAX:]
            self._unanswered = {
                "number": self._number,
                "closing": closing,
                "settled": [[hour, event_id, [[*account, amount] for account, amount in used]]
                            for hour, event_id, used in settled],
                "accounts": [[*account, *self._ask(share, closing)] for account, share in self._shares.items()],
            }  # fmt: skip
            return self._unanswered

    def answered(self, number: int, granted: Iterable[tuple[Account, int]], sent_s: float) -> None:
        """The door's answer to the report that was sent at an instant: what it has granted in all, by account."""
        with self._lock:
            if self._unanswered is None or self._unanswered["number"] != number:
                return
            self._unanswered = None
            for account, amount in granted:
                share = self._shares.setdefault(account, _Share())
                share.granted = max(share.granted, amount)
            for share in self._shares.values():
                is_denied = share.asked is not None and share.free < share.asked
                share.denied, share.asked = (share.asked if is_denied else None), None
                share.denied_until_s = sent_s + DENIED_S
            self.valid_until_s = sent_s + LEASE_S

    def forget_before(self, is_over: Callable[[Account], bool]) -> None:
        """Drop accounts of windows that are over for good and in which nothing is held, free, or unreported: what was
        given back and settled of one that counts again would be taken for free."""
        with self._lock:
            told = {account for _, _, used in self._settled for account, _ in used}
            for account, share in list(self._shares.items()):
                if share.held == 0 and share.free <= 0 and account not in told and is_over(account):
                    del self._shares[account]

    def begin_anew(self) -> None:
        """The door knows this life no more: what was granted is gone; settled calls are told again, by the next."""
        with self._lock:
            if self._unanswered is not None:
                again = [
                    (hour, event_id, tuple((Account(*entry[:3]), entry[3]) for entry in used))
                    for hour, event_id, used in self._unanswered["settled"]
                ]
                self._settled = [*again, *self._settled]
            self._unanswered = None
            self._number = 0
            self.valid_until_s = float("-inf")
            for share in self._shares.values():
                share.granted = share.returned = share.settled = 0
            for _, _, used in self._settled:
                for account, amount in used:
                    self._shares.setdefault(account, _Share()).settled += amount

    def refused(self) -> int:
        """The door will never take the report that is unanswered. Begin anew without what may have been wrong with it:
        accounts in which nothing is held and, where a new life's first report was refused already, its settled calls;
        returns how many those are, which are told no more."""
        with self._lock:
            unanswered = self._unanswered
            lost = 0
            if unanswered is not None and unanswered["number"] == 1:
                lost, unanswered["settled"] = len(unanswered["settled"]), []
        self.begin_anew()
        with self._lock:
            told = {account for _, _, used in self._settled for account, _ in used}
            for account, share in list(self._shares.items()):
                if share.held == 0 and account not in told:
                    del self._shares[account]
        return lost

    def is_clear(self) -> bool:
        """Whether all that was settled has been told and answered."""
        with self._lock:
            return not self._settled and self._unanswered is None

    def is_idle(self) -> bool:
        """Whether there is nothing to tell the door."""
        return not self._shares and self.is_clear()

    def amounts(self, account: Account) -> tuple[int, int]:
        """(free, held) of an account."""
        with self._lock:
            share = self._shares.get(account)
            return (0, 0) if share is None else (share.free, share.held)

    def _short(self, needs: Needs, now_s: float) -> list[Account]:
        short = []
        for account, amount in needs:
            share = self._shares.setdefault(account, _Share())
            if share.free < amount or now_s >= self.valid_until_s:
                share.waiting.append(amount)
                short.append(account)
        return short

    def _take(self, needs: Needs) -> None:
        for account, amount in needs:
            self._shares[account].held += amount
            self._shares[account].taken += amount

    def _release(self, needs: Needs, attempts: int) -> None:
        for account, amount in needs:
            self._shares[account].held -= amount * attempts

    def _drop_done(self, call_id: str) -> None:
        left = [hold for hold in self._holds.get(call_id, ()) if hold.attempts > 0 or hold.ended_s is None]
        if left:
            self._holds[call_id] = left
        else:
            self._holds.pop(call_id, None)

    @staticmethod
    def _ask(share: _Share, closing: bool) -> tuple[int, int, int]:
        """(returned in all, needed at least, wanted at best) of an account; what lies idle is given back at once."""
        share.taken_lately.append(share.taken)
        share.taken = 0
        waiting, share.waiting = share.waiting, []
        share.asked = min(waiting, default=None)
        keep = 0 if closing else sum(waiting) + 2 * sum(share.taken_lately) // RECENT_REPORTS
        if share.free > keep:
            share.returned += share.free - keep
        need = max(0, min(waiting) - share.free) if waiting else 0
        return share.returned, need, max(need, keep - share.free)
