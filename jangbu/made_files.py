"""Files that a command makes: whole or not at all, in a directory that is made if it is missing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jangbu.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

NAME_CHARACTERS_MAX = 60


def make_directory(out: Path) -> None:
    """The directory, there. Raises UsageError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out is {str(out)!r}: no directory can be made there ({error.strerror})") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file; a reader never sees half of it. Raises UsageError."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be written ({error.strerror}): choose another --out") from error


def file_part(name: str) -> str:
    """A stranger's name as part of a file's name: letters, digits, Hangul, dash, underscore."""
    return re.sub(r"[^A-Za-z0-9가-힣_-]+", "_", name)[:NAME_CHARACTERS_MAX]
