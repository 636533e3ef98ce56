"""Passwords: argon2id with the library's parameters (RFC 9106, low memory), two at a time so that memory is bounded."""

from __future__ import annotations

import threading
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from jangbu.errors import UsageError

CHARACTERS_MIN: Final = 12
"""Length instead of composition rules (NIST SP 800-63B, 5.1.1)."""
CHARACTERS_MAX: Final = 1_000
TOO_SHORT: Final = "the password has fewer than 12 or more than 1000 characters: take another, such as four words"
TOO_EASY: Final = "the password is the name or one sign over and over: take another, such as four words"
"""Messages of the catalogue too, since the page of the first account shows them."""
_hasher: Final = PasswordHasher()
_two_at_a_time: Final = threading.Semaphore(2)


def hashed(password: str, name: str) -> str:
    """The hash that is kept. Raises UsageError for a password that is too easy to guess."""
    if not CHARACTERS_MIN <= len(password) <= CHARACTERS_MAX:
        raise UsageError(TOO_SHORT)
    if password.casefold() == name.casefold() or len(set(password)) < 4:
        raise UsageError(TOO_EASY)
    with _two_at_a_time:
        return _hasher.hash(password.encode("utf-8", "surrogatepass"))


def fits(password: str, kept: str | None) -> bool:
    """Whether a password belongs to a hash. For no hash (no such account) it takes as long and is false."""
    with _two_at_a_time:
        try:
            right = _hasher.verify(kept or _nobody(), password[:CHARACTERS_MAX].encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False
    return right and kept is not None


@cache
def _nobody() -> str:
    """A hash of a password that nobody has."""
    return _hasher.hash(b"nobody's")
