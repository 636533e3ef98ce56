"""Texts of the pages in the reader's language. English stands in templates and code; Korean in catalogue/ko/*.po.

Each area has a file of its own; they are read once, at start. `xx` is a made-up language for tests: every text between
brackets and a third longer, so that a text which no catalogue knows, or which is cut, is seen.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from babel.messages.pofile import read_po

if TYPE_CHECKING:
    from collections.abc import Iterator

    from babel.messages.catalog import Message

LANGUAGES: Final = ("ko", "en")
PSEUDO: Final = "xx"
CATALOGUE: Final = Path(__file__).parent / "catalogue"
_LONGER: Final = str.maketrans("aeiouAEIOUcnsy", "åéîöüÅÉÎÖÜçñšý")


class Wording:
    """gettext for one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = _texts(language) if language not in ("en", PSEUDO) else {}

    def gettext(self, message: str) -> str:
        """The text in this language; itself where the catalogue does not have it."""
        if self.language == PSEUDO:
            return pseudo(message)
        return self._texts.get(message, message)

    def knows(self, message: str) -> bool:
        """Whether the catalogue has a text in this language."""
        return message in self._texts

    def ngettext(self, one: str, many: str, number: int) -> str:
        """The text for a number of things. Korean has one form: that of many."""
        return self.gettext(one if number == 1 and self.language != "ko" else many)


@cache
def wording(language: str) -> Wording:
    """The wording of a language, read once."""
    return Wording(language)


def chosen_language(cookie: str | None, accepted: str | None, default: str) -> str:
    """The language of a reader: the own choice, else the first of the browser's that we have, else the default."""
    if cookie in (*LANGUAGES, PSEUDO):
        return cookie
    for word in (accepted or "").split(",")[:20]:
        language = word.split(";")[0].strip().lower().split("-")[0]
        if language in LANGUAGES:
            return language
    return default


def pseudo(message: str) -> str:
    """A text made longer and strange, its placeholders whole."""
    parts = message.split("%(")
    shown = parts[0].translate(_LONGER)
    for part in parts[1:]:
        name, mark, rest = part.partition(")s")
        shown += f"%({name}{mark}{rest.translate(_LONGER)}"
    return f"[{shown}{'·' * (len(message) // 3)}]"


def messages(language: str) -> Iterator[Message]:
    """Every message of a language's files."""
    for file in sorted((CATALOGUE / language).glob("*.po")):
        with file.open("rb") as opened:
            for message in read_po(opened, locale=language):
                if message.id:
                    yield message


def _texts(language: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for message in messages(language):
        if isinstance(message.id, str) and isinstance(message.string, str) and message.string:
            found[message.id] = message.string
        elif isinstance(message.id, tuple | list) and message.string:
            for one in message.id:
                found[one] = message.string[-1]
    return found
