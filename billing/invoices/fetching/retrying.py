"""What to do with an answer's status: take it, wait and ask again, or give up. Pure; times in whole seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TRIES_MAX = 6
BACKOFF_S = (1, 2, 4, 8, 16)
"""Waits between tries: one caller, one request at a time, so there is no herd to scatter."""
RETRY_AFTER_S_MAX = 120
WAIT_S_MAX = 600
"""All waits of one command together."""
OK, NOT_FOUND, TOO_MANY = 200, 404, 429
_AGAIN = frozenset({408, TOO_MANY})
KEY_STATUSES = frozenset({401, 403})
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Turn(StrEnum):
    """What comes next."""

    TAKE = "take"
    WAIT = "wait"
    REDIRECT = "redirect"
    KEY = "key"
    REFUSE = "refuse"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`wait_s` counts with WAIT; `why` with GIVE_UP."""

    turn: Turn
    wait_s: int = 0
    why: str = ""


def verdict(status: int, headers: Mapping[str, str], tries: int, waited_s: int, now: datetime) -> Verdict:
    """On the answer to the try with this number (from 1), after so many seconds of waiting."""
    if status == OK:
        return Verdict(Turn.TAKE)
    if status in REDIRECTS:
        return Verdict(Turn.REDIRECT)
    if status in KEY_STATUSES:
        return Verdict(Turn.KEY)
    if status not in _AGAIN and status < 500:
        return Verdict(Turn.REFUSE)
    what = "it asks for fewer requests (429)" if status == TOO_MANY else f"it answers with status {status}"
    return wait_or_give_up(what, tries, waited_s, retry_after_s(headers.get("retry-after"), now))


def wait_or_give_up(what: str, tries: int, waited_s: int, told_s: int | None = None) -> Verdict:
    """How long to wait before the next try: as told, else backing off; bounded in tries and in time."""
    if tries >= TRIES_MAX:
        return Verdict(Turn.GIVE_UP, why=f"{what}, after {tries} tries")
    wait_s = BACKOFF_S[min(tries, len(BACKOFF_S)) - 1] if told_s is None else told_s
    if wait_s > RETRY_AFTER_S_MAX or waited_s + wait_s > WAIT_S_MAX:
        return Verdict(Turn.GIVE_UP, why=f"{what} and is to be asked again in {wait_s} s, longer than we wait")
    return Verdict(Turn.WAIT, wait_s)


def retry_after_s(told: str | None, now: datetime) -> int | None:
    """`Retry-After` in seconds or as a date of HTTP, rounded up; None where it is absent or unreadable."""
    if told is None:
        return None
    text = told.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    until = (at if at.tzinfo is not None else at.replace(tzinfo=UTC)) - now
    return max(0, -(-until // timedelta(seconds=1)))
