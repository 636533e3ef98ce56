"""Secrets that stand in a file of their own, which nobody else may read."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from jangbu.errors import SettingsError

SECRET_FILE_BYTES_MAX: Final = 4096
OTHERS_MAY: Final = 0o077


def read_secret(file: Path, variable: str, what: str, parse: Callable[[str], str]) -> str:
    """The secret that a file holds on its only line.

    Args:
        variable: the setting that names the file.
        what: what it should hold: "key", "password".
        parse: raises ValueError, continuing "what FILE holds …".

    Raises:
        SettingsError: no such file, others may read it, it is long, it is no ASCII, or `parse` refuses its text.
    """
    check_nobody_else_reads(file, variable, what)
    try:
        size = file.stat().st_size
        if size > SECRET_FILE_BYTES_MAX:
            raise SettingsError(f"{variable} names {file}, which has {size} bytes: a {what} is one short line")
        return parse(file.read_text(encoding="ascii").strip())
    except UnicodeDecodeError:
        raise SettingsError(f"{variable} names {file}, which holds more than ASCII: write the {what} alone") from None
    except OSError as error:
        raise SettingsError(f"{variable} names {file}, which cannot be read ({error.strerror}): correct it") from None
    except ValueError as error:
        raise SettingsError(f"what {file} holds ({variable}) {error}") from None


def check_nobody_else_reads(file: Path, variable: str, what: str) -> None:
    """Raises SettingsError where `file` is none, or somebody but its owner may read it."""
    try:
        found = file.stat()
    except OSError as error:
        raise SettingsError(f"{variable} names {file}, which cannot be read ({error.strerror}): correct it") from None
    if not stat.S_ISREG(found.st_mode):
        raise SettingsError(f"{variable} names {file}, which is no file: name one that holds the {what}")
    mode = stat.S_IMODE(found.st_mode)
    if mode & OTHERS_MAY:
        raise SettingsError(
            f"{variable} names {file}, which others may read (mode {mode:04o}): make it 0600 and consider the {what} "
            "known"
        )
