"""Names as parts of a path, whatever signs they hold: a link leads to the page of just that name.

The server decodes a path once and then parts it at its slashes, and a browser takes `..` for a way up even where it
is percent-encoded (URL Standard, "double-dot path segment"). So a name is encoded twice, and its page decodes the rest.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

from jangbu.web.answers import Refused

TAKEN: Final = frozenset({".", "..", "breaks"})
"""Parts that mean something else: ways to here and up, and the page of breaks beside those of vendors."""


def path_part(value: str) -> str:
    """A value as one part of a path: nothing of it separates."""
    return quote(value, safe="")


def name_part(name: str) -> str:
    """A name as one part of a path; a page takes it back by `name_of`. Plain names stay as they are."""
    once = "".join(f"%{ord(sign):02X}" for sign in name) if name in TAKEN else path_part(name)
    return path_part(once)


def name_of(part: str) -> str:
    """The name that a part of a path stands for. Raises Refused for a sign that no database keeps."""
    name = unquote(part)
    if "\0" in name:
        raise Refused(400, "text", "a name holds a sign that is none (NUL): leave it out")
    return name
