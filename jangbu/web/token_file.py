"""The tokens that are valid now: the owner's, and those of the file of tokens, read again when the file changes.

A token taken out of the file stops working within LOOK_EVERY_S. A file that can no longer be read keeps what was last
read from it and says so, rather than locking every gateway out.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from jangbu.errors import SettingsError
from producers.door.tokens import TokenTable, read_tokens

if TYPE_CHECKING:
    from pathlib import Path

LOOK_EVERY_S: Final = 1.0
_log = logging.getLogger("jangbu.tokens")


class TokensNow:
    """Gives the present TokenTable. Raises SettingsError at the start where the file cannot be used.

    Args:
        owner_token: may speak for any source.
        file: the file of tokens; None or absent: there are no others.
        required: whether an absent file is an error, because a setting names it.
    """

    def __init__(self, owner_token: str, file: Path | None, *, required: bool) -> None:
        self._owner_token = owner_token
        self._file = file
        self._required = required
        self._state = self._look()
        self._table = self._read()
        self._looked_at_s = time.monotonic()

    def __call__(self) -> TokenTable:
        """The table, at most LOOK_EVERY_S old."""
        now_s = time.monotonic()
        if now_s - self._looked_at_s >= LOOK_EVERY_S:
            self._looked_at_s = now_s
            state = self._look()
            if state != self._state:
                self._state = state
                try:
                    self._table = self._read()
                except SettingsError as error:
                    _log.error("the tokens stay as they were: %s", error)
        return self._table

    def _look(self) -> tuple[int, int, int] | None:
        """What tells one content of the file from another; None where there is none."""
        try:
            found = self._file.stat() if self._file is not None else None
        except OSError:
            return None
        return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)

    def _read(self) -> TokenTable:
        if self._file is None or (self._state is None and not self._required):
            return TokenTable(self._owner_token)
        try:
            if self._file.stat().st_mode & 0o077:
                raise SettingsError(f"the file of tokens {self._file} can be read by others: `chmod 600` it")
            return TokenTable(self._owner_token, read_tokens(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise SettingsError(f"the file of tokens {self._file} cannot be used ({error}): correct it") from error
