"""A sentence that remembers what it was made of, so that whoever shows it can tell it in another language.

Refusals are English sentences. As a `Sentence` the message keeps its template and values beside its text: a page looks
up the template in its catalogue and puts the same values in, where otherwise it would have to take English apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Sentence(str):
    """A text made of a template with `%(name)s` for values; a percent sign is written twice. It is a str too."""

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, **values: object) -> Self:
        """The text of the template with these values; one that is a Sentence can be told in another language too."""
        made = super().__new__(cls, template % values)
        made.template, made.values = template, values
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, object]]:
        return (self.template,), dict(self.values)


class Listed(str):
    """Sentences one after the other; each can be told in another language. It is their English text too."""

    __slots__ = ("parts", "separator")
    parts: tuple[str, ...]
    separator: str

    def __new__(cls, parts: Iterable[str], separator: str = "; ") -> Self:
        """The parts with the separator between them."""
        kept = tuple(parts)
        made = super().__new__(cls, separator.join(kept))
        made.parts, made.separator = kept, separator
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[tuple[str, ...], str], dict[str, object]]:
        return (self.parts, self.separator), {}


def as_sentence(words: str) -> Sentence:
    """Words as a sentence: itself where it is one, else one that has no values."""
    return words if isinstance(words, Sentence) else Sentence(words.replace("%", "%%"))


def sentence_of(error: BaseException) -> Sentence | None:
    """The sentence that an error, or the one that it passes on, was raised with; None where that is plain text."""
    seen: BaseException | None = error
    while seen is not None and str(seen) == str(error):
        if seen.args and isinstance(seen.args[0], Sentence):
            return seen.args[0]
        seen = seen.__cause__
    return None


def said_by(error: BaseException) -> Sentence:
    """What an error says, to be put into another sentence: its own sentence, or its plain text as one."""
    return sentence_of(error) or as_sentence(str(error))
