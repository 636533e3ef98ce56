"""Bearer tokens: whose they are and which sources they may speak for. Compared in constant time; only digests are kept.

A file of tokens has a line each: `SOURCE TOKEN`, or `SOURCE sha256:HEX` with the token's SHA-256, `*` for any source.
Blank lines and lines that begin with `#` are passed over. A source may have several tokens, so that one can be replaced
while the old one still works; a token may stand in several lines, one for each of its sources.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

ANY_SOURCE: Final = "*"
TOKEN_CHARACTERS_MIN: Final = 16
_DIGEST_PREFIX: Final = "sha256:"
_DIGEST_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who sends: a name for counting (never the token), and the sources that may be said; None: any."""

    name: str
    sources: frozenset[str] | None


class TokenTable:
    """All tokens that are valid now."""

    def __init__(self, owner_token: str, bound: Iterable[tuple[str, bytes]] = ()) -> None:
        """`owner_token` may say any source; `bound` are (source, digest) as `read_tokens` gives them."""
        table: dict[bytes, set[str]] = {}
        for source, digest in bound:
            table.setdefault(digest, set()).add(source)
        self._bearers = [
            (digest, Bearer(f"token:{digest.hex()[:12]}", None if ANY_SOURCE in sources else frozenset(sources)))
            for digest, sources in table.items()
        ]
        self._bearers.append((digest_of(owner_token), Bearer("owner", None)))

    def bearer_of(self, authorization: str | None) -> Bearer | None:
        """Whose token an `Authorization` header carries; None where it is none of ours.

        Every entry is compared, whether or not an earlier one fitted, and digests are: time tells nothing of a token.
        """
        scheme, _, token = (authorization or "").partition(" ")
        presented = digest_of(token.strip())
        found: Bearer | None = None
        for digest, bearer in self._bearers:
            if hmac.compare_digest(digest, presented):
                found = bearer
        return found if scheme.lower() == "bearer" else None


def digest_of(token: str) -> bytes:
    """SHA-256 of a token."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def read_tokens(text: str) -> list[tuple[str, bytes]]:
    """(source, digest) of each line. Raises ValueError naming the line, never its token."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2:
            raise ValueError(f"line {number} is not `SOURCE TOKEN`: write one source and one token a line")
        found.append((words[0], _digest(words[1], number)))
    return found


def _digest(word: str, number: int) -> bytes:
    if not word.startswith(_DIGEST_PREFIX):
        if len(word) < TOKEN_CHARACTERS_MIN or not (word.isascii() and word.isprintable()):
            raise ValueError(f"line {number}: a token is at least {TOKEN_CHARACTERS_MIN} visible ASCII characters")
        return digest_of(word)
    text = word.removeprefix(_DIGEST_PREFIX)
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(text) != _DIGEST_CHARACTERS or len(digest) * 2 != _DIGEST_CHARACTERS:
        raise ValueError(f"line {number}: after sha256: come {_DIGEST_CHARACTERS} hexadecimal digits")
    return digest
