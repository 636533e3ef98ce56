"""Sentences that the books keep as plain English (evidence, descriptions of entries), in the reader's language.

They were written into tables before anybody read them, so their template is not beside them. It is found again: only
the templates of one file of the catalogue are tried, a value is a name or a figure (`WIDE` names may hold spaces and
sentences of ours), and what no template makes exactly stays as it is.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from jangbu.web.wording import CATALOGUE, read_texts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CHARACTERS_MAX: Final = 2_000
DEEP_MAX: Final = 6
"""Sentences within sentences."""
FILE: Final = "kept_words.po"
LAWS: Final = "laws.po"
"""What checks of the laws (sql/checks, billing.laws) say where one does not hold."""
QUARANTINE: Final = "quarantine.po"
"""Why a record is no event (producers.contract, streams.decode)."""
WIDE: Final[Mapping[str, str]] = {
    **dict.fromkeys(("why", "said", "names", "at", "places", "prices", "what", "text", "item", "days", "model"), ".+?"),
    **dict.fromkeys(("times", "times_amount", "rate", "price", "name", "vendor"), "[^();]+?"),
}
"""Values that may hold spaces; all others are one word. Few of them stand in one template, so that a long text which
fits none is given up quickly."""
ONE_WORD: Final = r"[^\s;]+"
_VALUE: Final = re.compile(r"%\((\w+)\)s")


class _Kept(NamedTuple):
    pattern: re.Pattern[str]
    told: str


def told_again(text: str, language: str, depth: int = DEEP_MAX, *, file: str = FILE) -> str | None:
    """A kept text in a language; None where no template of the file makes it. Sentences in it are of `FILE`."""
    if len(text) > CHARACTERS_MAX or depth == 0:
        return None
    for one in _templates(CATALOGUE / language / file):
        found = one.pattern.fullmatch(text)
        if found is None:
            continue
        values = {
            name: (told_again(value, language, depth - 1) or value) if " " in value else value
            for name, value in found.groupdict().items()
        }
        return one.told % values
    return None


@cache
def _templates(file: Path) -> tuple[_Kept, ...]:
    """The templates of a file, those with the most words of their own first."""
    texts = read_texts(file) if file.exists() else {}
    longest = sorted(texts, key=lambda words: (-len(_VALUE.sub("", words)), words))
    return tuple(_Kept(_pattern(words), texts[words]) for words in longest)


def _pattern(template: str) -> re.Pattern[str]:
    parts, seen = [], set()
    for at, part in enumerate(_VALUE.split(template)):
        if at % 2 == 0:
            parts.append(re.escape(part.replace("%%", "%")))
        elif part in seen:
            parts.append(f"(?P={part})")
        else:
            seen.add(part)
            parts.append(f"(?P<{part}>{WIDE.get(part, ONE_WORD)})")
    return re.compile("".join(parts), re.DOTALL)
