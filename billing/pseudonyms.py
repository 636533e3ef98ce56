"""Pseudonyms: what a reader sees instead of user ids and keys (design.md, decision 11). Pure.

A pseudonym is the beginning of an HMAC-SHA256 over the name, so that one person is the same on every page and in every
month, and nobody without the key can try names out. Attribution, quotas and the roster work on the names themselves;
pseudonyms are put on where rows are shown.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX = "p-"
CHARACTERS = 16
"""80 bits: among a million people two share one in 2 of 10^12 installations."""
PERSONAL = ("user", "key")
"""Columns that say who: keys too, since a key of one person is named after them or tells them apart."""


class Pseudonyms:
    """Pseudonyms under one key. The key is in no repr."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def of(self, column: str, name: str) -> str:
        """The pseudonym of a user or a key; the two never share one."""
        digest = hmac.digest(self._key, f"{column}\0{name}".encode(), hashlib.sha256)
        return PREFIX + base64.b32encode(digest).decode("ascii")[:CHARACTERS].lower()

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row with its personal columns replaced; nobody stays nobody."""
        return {
            name: self.of(name, value) if name in PERSONAL and isinstance(value, str) else value
            for name, value in row.items()
        }

    def rows(self, rows: Sequence[Mapping[str, Any]], by: Sequence[str]) -> list[dict[str, Any]]:
        """Rows that were sorted by the columns `by`, replaced and sorted anew: the order of names would tell them."""
        replaced = [self.row(row) for row in rows]
        return sorted(replaced, key=lambda row: [(row[name] is None, row[name]) for name in by])


def shown_rows(
    people: Pseudonyms | None, rows: Sequence[Mapping[str, Any]], by: Sequence[str]
) -> Sequence[Mapping[str, Any]]:
    """Rows as a reader may see them; as they are where people are shown by name, or where no row says who."""
    if people is None or not set(PERSONAL) & set(by):
        return rows
    return people.rows(rows, by)
