"""Carry-over: what a window left unused, added to the limit of the next one, as a row with that window's dates. Pure.

A row with dates is an override that falls back by itself, so nothing else has to know of carrying: states, gateways and
alerts see a limit. It is decided once a window, by what the sums say then; use that comes later changes nothing of it.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, NamedTuple

from billing.money import MINOR_DIGITS, exact
from billing.quotas.quota import Quota

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from billing.quotas.quota import QuotaKey
    from billing.quotas.states import QuotaState
    from billing.quotas.windows import Window

MOST_PERCENT = Decimal(100)
"""Of a quota's own limit, where nobody says otherwise: never more than double."""


class Left(NamedTuple):
    """A quota that nothing is carried for, and why."""

    quota: int
    key: QuotaKey
    why: str


class Carried(NamedTuple):
    """Rows to be written, and what is left out."""

    rows: tuple[Quota, ...]
    left_out: tuple[Left, ...]


def carry(
    held: Iterable[Quota],
    last: Iterable[QuotaState],
    window: Window,
    known_since: Mapping[int, datetime],
    most_percent: Decimal = MOST_PERCENT,
) -> Carried:
    """What the window before `window` left unused.

    Args:
        held: all rows, in any order.
        last: the states as of the end of the window before, of any kind of window.
        window: the one that gets more.
        known_since: when each row was imported, by id.
        most_percent: how much of the quota's own limit is carried at most.
    """
    rows, left_out = [], []
    by_key: dict[QuotaKey, list[Quota]] = {}
    for row in sorted(held, key=lambda row: row.id):
        by_key.setdefault(row.key, []).append(row)
    for state in sorted(last, key=lambda state: state.quota.id):
        key = state.quota.key
        if key.window != window.kind:
            continue
        counting = [row for row in by_key[key] if row.holds(window.start)]
        why = _why_not(state, window, counting, known_since) or _changes_within(by_key[key], window)
        if why is not None:
            left_out.append(Left(state.quota.id, key, why))
            continue
        base = counting[-1]
        more = _unused(state, base, most_percent)
        if more:
            with exact():
                limit = _limit(base) + more
            rows.append(replace(base, id=0, limit=limit, valid_from=window.start, valid_to=window.end))
    return Carried(tuple(rows), tuple(left_out))


def _why_not(
    state: QuotaState, window: Window, counting: list[Quota], known_since: Mapping[int, datetime]
) -> str | None:
    if state.subject != state.quota.key.subject:
        return "it is everybody's: give who is to carry over a row of its own"
    if known_since[state.quota.id] >= window.start:
        return "it was not known in the window before"
    if state.unknown_quantity:
        return f"{state.unknown_quantity} have no price or rate: what is left is not known"
    if not counting or counting[-1].limit is None:
        return "it is withdrawn"
    if any((row.valid_from, row.valid_to) == (window.start, window.end) for row in counting):
        return "the window has a row of its own already"
    return None


def _changes_within(rows: Iterable[Quota], window: Window) -> str | None:
    """A row for the whole window would stand before an override that begins in it, and go on where one ends in it."""
    for row in rows:
        for edge in (row.valid_from, row.valid_to):
            if edge is not None and window.start < edge < window.end:
                return f"row {row.id} begins or ends within the window: give the window rows of its own"
    return None


def _unused(state: QuotaState, base: Quota, most_percent: Decimal) -> Decimal:
    """What is carried, in whole steps of the unit."""
    step = Decimal(1).scaleb(-MINOR_DIGITS.get(base.key.unit, 0))
    with exact():
        unused = max(Decimal(0), state.limit - state.used)
        most = _limit(base) * most_percent / 100
    return min(unused, most).quantize(step, rounding=ROUND_FLOOR)


def _limit(row: Quota) -> Decimal:
    assert row.limit is not None
    return row.limit
