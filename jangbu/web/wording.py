"""Texts of the pages in the reader's language. English stands in templates and code; Korean in catalogue/ko/*.po.

Each area has a file of its own; they are read once, at start. `xx` is a made-up language for tests: every text between
brackets and a third longer, so that a text which no catalogue knows, or which is cut, is seen.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from babel.messages.pofile import read_po

from billing.sentences import Listed, Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from babel.messages.catalog import Message

LANGUAGES: Final = ("ko", "en")
ENGLISH: Final = "en"
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

    def told(self, words: str) -> str | None:
        """A sentence, with those among its values, in this language; None where the catalogue does not have it."""
        if isinstance(words, Listed):
            return words.separator.join(self.told(one) or one for one in words.parts)
        template = words.template if isinstance(words, Sentence) else words
        if not (self.knows(template) or (self.language == PSEUDO and isinstance(words, Sentence))):
            return None
        if not isinstance(words, Sentence):
            return self.gettext(words)
        values = {
            name: (self.told(one) or one) if isinstance(one, Sentence | Listed) else one
            for name, one in words.values.items()
        }
        return self.gettext(template) % values

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
        yield from _messages_of(file)


def read_texts(file: Path) -> dict[str, str]:
    """What one file of a catalogue says, by message."""
    return _by_message(_messages_of(file))


def _messages_of(file: Path) -> Iterator[Message]:
    with file.open("rb") as opened:
        yield from (message for message in read_po(opened, locale=file.parent.name) if message.id)


def _texts(language: str) -> dict[str, str]:
    return _by_message(messages(language))


def _by_message(read: Iterable[Message]) -> dict[str, str]:
    found: dict[str, str] = {}
    for message in read:
        if isinstance(message.id, str) and isinstance(message.string, str) and message.string:
            found[message.id] = message.string
        elif isinstance(message.id, tuple | list) and message.string:
            for one in message.id:
                found[one] = message.string[-1]
    return found
