"""What of a hard quota may still be leased: the arithmetic of slices, free of clocks and storage.

A gateway process decides about a call from a slice that the door leased to it. What has been used of a quota's window
stands in three places, and each call in exactly one of them as far as the door counts:

1. **within a slice** (`Slice.outstanding`): free, held for a call under way, or settled and not yet reported;
2. **settled** (`Settled`): reported with its event's identity; its amount has left the slice in the same transaction;
3. **in the sums**: its event was seen in the ledger by the very snapshot that the sums were read from.

The watermark between 2 and 3 is the event's own identity: an offset or a time would not do, since an event may wait in
an outbox while later ones pass it on other partitions. A call whose event is in the sums before its report came counts
in both 1 and 3 for that long: more than was used, never less. So

    used <= sums + settled that are not in the sums + outstanding <= limit

at every moment, as long as no call uses more than was held for it. Source: two-phase reservation, as with card
authorisations; the states are property-tested with lost, repeated and late messages, kills and restarts.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from billing.money import MINOR_DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterable

TICKS: Final = 10**9
"""Of one unit of a currency; of everything else one."""
LEASE_S: Final = 10
"""How long a slice may be used after the report that was answered last was sent."""
LOST_AFTER_S: Final = 60
"""How long after its end a lost process's slices still count as spent, once its outbox is known to be empty."""
ABANDONED_AFTER_S: Final = 600
"""The same where nobody has taken its outbox since: what it had written went out long ago, or stands on a lost disk."""


def ticks_of(amount: Decimal, unit: str, rounding: str = ROUND_CEILING) -> int:
    """An amount of a quota's unit as whole ticks."""
    scaled = amount * TICKS if unit in MINOR_DIGITS else amount
    return int(scaled.to_integral_value(rounding))


class Account(NamedTuple):
    """One quota's row for one subject in one window (the UTC hour at which it begins)."""

    quota: int
    subject: str
    window_hour: int


class Settled(NamedTuple):
    """A call that a process settled: its event's key in the ledger, and what it used of which accounts, in ticks."""

    event_key: bytes
    amounts: tuple[tuple[Account, int], ...]


@dataclass(slots=True)
class Slice:
    """A process's share of an account; all three only grow. Ticks."""

    granted: int = 0
    returned: int = 0
    settled: int = 0

    @property
    def outstanding(self) -> int:
        """What it may still use: counts as spent. Never below 0: a call that used more than was held for it has that
        counted as settled."""
        return max(0, self.granted - self.returned - self.settled)


def free_of(limit: int, used: int, settled: int, slices: Iterable[Slice]) -> int:
    """What may still be granted of an account: `used` as the sums say, `settled` beside them."""
    return max(0, limit - used - settled - sum(one.outstanding for one in slices))


def grant_of(free: int, need: int, want: int, processes: int) -> int:
    """How much more a process gets: at least what it needs now (or nothing), at most half of its even share.

    Halving leaves something for the others until nearly nothing is left, and each further grant is smaller, so that
    little lies idle in slices when the limit comes near.
    """
    if need > free:
        return 0
    return max(need, min(want, free // (2 * max(1, processes))))


class Asked(NamedTuple):
    """What a report says of one account: given back in all, and how much more is needed at least and wanted at best."""

    account: Account
    returned: int
    need: int
    want: int


class Report(NamedTuple):
    """A process's report, read."""

    number: int
    closing: bool
    settled: tuple[Settled, ...]
    asked: tuple[Asked, ...]


def apply_report(report: Report, slices: dict[Account, Slice], *, is_new: bool) -> None:
    """Take what was settled and given back out of a process's slices. A report that is told again settles nothing."""
    if is_new:
        for settled in report.settled:
            for account, amount in settled.amounts:
                slices.setdefault(account, Slice()).settled += amount
    for asked in report.asked:
        one = slices.setdefault(asked.account, Slice())
        one.returned = max(one.returned, asked.returned)


def apply_grants(report: Report, slices: dict[Account, Slice], free: dict[Account, int], processes: int) -> None:
    """Grant what a new report asks for, from what is `free` of each account now. What was used beyond a slice needs
    nothing more: it counts as settled."""
    for asked in report.asked:
        one = slices[asked.account]
        beyond = max(0, one.settled + one.returned - one.granted)
        if asked.need > 0 or asked.want > 0:
            need, want = max(0, asked.need - beyond), max(0, asked.want - beyond)
            more = grant_of(free[asked.account], need, want, processes)
            if more or not need:
                one.granted += more + beyond


class Life(NamedTuple):
    """What is known of a process when one asks whether its slices still count. Whole seconds of any one clock.

    heard_s: its last report. ended_s: it told its end, or its outbox has another owner. drained_s: that one told that
    nothing of it is left there.
    """

    heard_s: int
    ended_s: int | None
    drained_s: int | None


def is_over(life: Life, now_s: int, oldest_unseen_s: int | None) -> bool:
    """Whether a process's slices no longer count as spent: it is gone, and what it really used is in the sums.

    `oldest_unseen_s`: when the oldest settled call was reported whose event is not in the sums yet (None: no such).
    While one from before the end is missing, the pipeline is behind, and events of the lost process may be missing too.
    """
    if life.ended_s is not None and life.drained_s is not None:
        end_s, patience_s = max(life.ended_s, life.drained_s), LOST_AFTER_S
    else:
        end_s, patience_s = life.heard_s + LEASE_S, ABANDONED_AFTER_S
    if now_s < end_s + patience_s:
        return False
    return oldest_unseen_s is None or oldest_unseen_s > end_s
